"""The import table of DESIGN.md, over the syntax trees: a room imports from the lines above its own only."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "pipechaos"
LINES = [
    ["errors"],
    ["counter"],
    ["batch", "safety"],
    ["faults", "validate"],
    ["plan"],
    ["ledger"],
    ["inject"],
    ["score"],
    ["store"],
    ["campaign"],
    ["harden", "report", "model", "runtime"],
    ["drill", "testing"],
    ["feast", "airflow"],
    ["cli"],
]
LINE_OF = {room: n for n, rooms in enumerate(LINES) for room in rooms}
HEAVY = ["pandas", "pyarrow", "great_expectations", "pandera", "airflow", "sqlalchemy", "scipy", "fsspec"]
HEAVY += ["polars", "dataframely", "pointblank", "feast", "jinja2", "pytest"]
VALIDATE_RECORDS = {"pipechaos.validate.verdict", "pipechaos.validate.base"}


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def modules():
    return [p for p in sorted(PACKAGE.rglob("*.py")) if room_of(p) not in ("__init__", "__main__")]


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "absolute imports only"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_rooms_import_from_above_only(path):
    mine = room_of(path)
    assert mine in LINE_OF, f"{mine} is no room of DESIGN.md"
    for name in imported(ast.parse(path.read_text(encoding="utf-8"))):
        parts = name.split(".")
        if parts[0] != "pipechaos" or len(parts) == 1 or parts[1] == mine:
            continue
        other = parts[1]
        if other.startswith("__"):
            continue
        assert LINE_OF[other] < LINE_OF[mine], f"{mine} imports {name}"
        if mine == "validate":
            assert other in ("errors", "batch"), f"a validator is blind: {name}"
        if mine == "score" and other == "validate":
            assert any(name.startswith(r) for r in VALIDATE_RECORDS), f"score knows records, no adapter: {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_modules_and_functions_stay_short(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") < 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            body = node.end_lineno - node.body[0].lineno + 1
            doc = node.body[0].end_lineno - node.body[0].lineno + 1 if ast.get_docstring(node) else 0
            assert body - doc <= 50, f"{node.name} has {body - doc} lines"


def test_every_folder_holds_code():
    empty = [
        d.name
        for d in PACKAGE.iterdir()
        if d.is_dir() and d.name != "__pycache__" and not any(p.name != "__init__.py" for p in d.glob("*.py"))
    ]
    assert empty == []


@pytest.mark.parametrize("statement", ["import pipechaos", "import pipechaos.cli.main", "pipechaos --help"])
def test_light_start(statement):
    code = {
        "pipechaos --help": "from click.testing import CliRunner; from pipechaos.cli.main import main\n"
        "r = CliRunner().invoke(main, ['--help']); assert r.exit_code == 0, r.output",
    }.get(statement, statement)
    script = f"import sys\n{code}\nprint([m for m in {HEAVY!r} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_no_folder_shadows_a_library():
    root = PACKAGE.parent
    shadows = {"airflow", "pandera", "feast", "great_expectations"}
    found = [p for top in ("tests", "dags", "expectations") for p in (root / top).rglob("*") if p.name in shadows]
    assert found == []
