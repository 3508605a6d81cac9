"""Where the store of a contract test is kept."""

import pytest


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request, tmp_path):
    """Where a new store may be, on either database."""
    if request.param == "sqlite":
        return str(tmp_path / "store" / "runs.db")
    return request.getfixturevalue("new_database")()
