"""What every test has: no store in the folder that tests happen to run in, and a terminal of no given width."""

import os


def pytest_configure():
    os.environ["PIPECHAOS_STORE"] = "none"
    os.environ.pop("COLUMNS", None)
    os.environ.pop("PIPECHAOS_KILL_SWITCH", None)
