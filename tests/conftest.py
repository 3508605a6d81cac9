"""What every test has: no store in the folder that tests happen to run in."""

import pytest


@pytest.fixture(autouse=True)
def no_store_of_the_project(monkeypatch):
    monkeypatch.setenv("PIPECHAOS_STORE", "none")
