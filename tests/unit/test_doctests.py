"""Examples in docstrings hold, in every module that can be imported without a server."""

import doctest
import importlib
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "pipechaos"
NEEDS_MORE = ("airflow", "feast", "store/migrations")  # rooms whose modules need a library of another environment
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE).as_posix()
        if ">>>" in path.read_text(encoding="utf-8") and not place.startswith(NEEDS_MORE):
            yield "pipechaos." + place.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@pytest.mark.parametrize("name", list(modules()))
def test_examples_hold(name):
    result = doctest.testmod(importlib.import_module(name), optionflags=FLAGS)
    assert (result.failed, result.attempted > 0) == (0, True)
