"""Reading and writing: whole or nothing, clear errors, several files, streams, CSV, fsspec."""

import json
import subprocess
import sys
from dataclasses import replace

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

from pipechaos.batch.connections import Resolver
from pipechaos.batch.digest import ordered_digest
from pipechaos.batch.io import iter_tables, read_batch, read_table, write_batch, write_table, write_tables
from pipechaos.batch.model import Batch
from pipechaos.batch.ref import BatchRef, Format
from pipechaos.errors import BatchError, MissingExtraError, UnknownNameError

TABLE = pa.table(
    {
        "id": pa.array(range(20), pa.int64()),
        "text": ["a", None, "", "N/A"] * 5,
        "value": [1.5, None] * 10,
        "kind": pa.array(["u", "v"] * 10).dictionary_encode(),
    }
)
BATCH = Batch.of(TABLE, name="monday", key=["id"])


@pytest.fixture
def memory():
    found = fsspec.filesystem("memory")
    yield found
    found.store.clear()
    found.pseudo_dirs[:] = [""]


def names(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("target", ["a.parquet", "folder", "date=1/b.parquet", "c.pq"])
def test_parquet_round_trip(tmp_path, target):
    ref = write_batch(BATCH, tmp_path / target)
    assert (ref.name, ref.rows, ref.digest) == ("monday", 20, ordered_digest(TABLE))
    back = read_batch(ref, key=["id"], time=None, target=["value"], expected_digest=ref.digest)
    assert back.table.equals(TABLE)
    assert (back.name, back.key, back.target) == ("monday", ("id",), ("value",))
    assert (back.identity.choice == BATCH.identity.choice).all()
    assert len(names(tmp_path)) == 1
    assert BatchRef.of(ref.uri).files == ref.files


@pytest.mark.parametrize("target", ["a.csv", "b.csv.gz"])
def test_csv_round_trip(tmp_path, target):
    ref = write_batch(BATCH, tmp_path / target)
    back = read_batch(ref, key=["id"], expected_digest=ref.digest)
    assert ref.format is Format.CSV
    assert back.table.to_pydict() == TABLE.to_pydict()
    assert ordered_digest(pa.concat_tables(iter_tables(ref, rows=3))) == ref.digest
    raw = (tmp_path / target).read_bytes()
    assert (raw[:2] == b"\x1f\x8b") is target.endswith(".gz")


def test_memory_round_trip(memory):
    ref = write_batch(BATCH, "memory://bucket/out/date=3")
    assert read_batch(ref).table.equals(TABLE)
    assert memory.find("/bucket") == ["/bucket/out/date=3/part-0.parquet"]
    with pytest.raises(BatchError, match="exists"):
        write_batch(BATCH, "memory://bucket/out/date=3")
    assert write_batch(BATCH, "memory://bucket/out/date=3", overwrite=True) == ref
    assert [t.num_rows for t in iter_tables(ref, rows=8)] == [8, 8, 4]


def test_a_connection_must_be_resolved_by_the_caller(memory, tmp_path):
    ref = write_batch(BATCH, "memory://bucket/a.parquet", filesystem=memory, connection_id="lake")
    assert ref.connection_id == "lake"
    with pytest.raises(BatchError, match=r"needs the connection 'lake'.*Airflow task.*filesystem="):
        read_batch(ref)
    with pytest.raises(BatchError, match="needs the connection 'lake'"):
        write_batch(BATCH, "memory://bucket/b.parquet", connection_id="lake")
    assert read_batch(ref, filesystem=memory).table.equals(TABLE)
    arrow = pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem())
    ref = write_batch(BATCH, "x.parquet", filesystem=arrow)
    assert read_batch(ref, filesystem=arrow).table.equals(TABLE)
    with pytest.raises(BatchError, match="filesystem is a str"):
        read_batch(ref, filesystem="s3")


def test_file_systems_by_connection_id(memory):
    """A mapping, or a resolver, which is told where the batch is and is asked once for all its files."""
    ref = write_batch(BATCH, "memory://bucket/a.parquet", filesystem=memory, connection_id="lake")
    asked = []

    def look_up(connection_id, uri):
        asked.append((connection_id, uri))
        return memory

    ref = replace(ref, uri="memory://bucket", files=("a.parquet", "a.parquet"))
    twice = pa.concat_tables([TABLE, TABLE])
    resolver = Resolver(database=str, filesystem=look_up)
    for connections in ({"lake": memory, "shop": "duckdb:///x"}, resolver):
        assert read_batch(ref, connections=connections, key=["id"]).table.equals(twice)
        assert read_table(ref, columns=["id"], connections=connections).equals(twice.select(["id"]))
        assert [t.num_rows for t in iter_tables(ref, rows=15, connections=connections)] == [15, 5, 15, 5]
    assert asked == [("lake", "memory://bucket")] * 3
    # what needs no connection asks for none, and a file system that was handed over is taken
    assert read_table(replace(ref, connection_id=None), connections=resolver).equals(twice)
    assert read_table(ref, filesystem=memory, connections=resolver).equals(twice)
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("connections", "error", "message"),
    [
        (None, BatchError, "needs the connection 'lake'.*connections="),
        (str, BatchError, "needs the connection 'lake'.*connections="),  # a function knows databases alone
        ({"lace": None}, UnknownNameError, "connection 'lake'.*did you mean 'lace'"),
        ({"lake": "duckdb:///x"}, BatchError, "filesystem is a str"),
    ],
)
def test_a_connection_that_gives_no_file_system_is_told(connections, error, message):
    ref = BatchRef.of("s3://bucket/a.parquet", connection_id="lake")
    with pytest.raises(error, match=f"(?s){message}"):
        read_batch(ref, connections=connections)


def test_without_fsspec_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(MissingExtraError, match=r"pipechaos\[fsspec\]"):
        BatchRef.of("memory://x/a.parquet")


def failing(after):
    yield TABLE
    raise after


@pytest.mark.parametrize("error", [RuntimeError("boom"), KeyboardInterrupt()], ids=repr)
def test_a_failing_writer_leaves_nothing(tmp_path, error):
    with pytest.raises(type(error)):
        write_tables(failing(error), tmp_path / "new" / "deep" / "a.parquet")
    assert list(tmp_path.iterdir()) == []


def test_a_failing_writer_leaves_the_old_file(tmp_path, memory):
    old = TABLE.slice(0, 3)
    for target in (str(tmp_path / "a.parquet"), "memory://bucket/a.parquet"):
        write_table(old, target)
        with pytest.raises(RuntimeError):
            write_tables(failing(RuntimeError()), target, overwrite=True)
        with pytest.raises(BatchError, match="different columns"):
            write_tables([TABLE, TABLE.drop(["id"])], target, overwrite=True)
        assert read_table(target).equals(old)
    assert names(tmp_path) == ["a.parquet"]
    assert memory.find("/bucket") == ["/bucket/a.parquet"]


def test_what_is_there_is_not_overwritten(tmp_path):
    target = tmp_path / "a.parquet"
    write_table(TABLE.slice(0, 3), target)
    content = target.read_bytes()
    with pytest.raises(BatchError, match=r"exists.*overwrite=True"):
        write_table(TABLE, target)
    assert target.read_bytes() == content
    write_table(TABLE, target, overwrite=True)
    assert read_table(target).num_rows == 20
    (tmp_path / "d.parquet").mkdir()
    with pytest.raises(BatchError, match="is a directory"):
        write_table(TABLE, tmp_path / "d.parquet", overwrite=True)
    assert names(tmp_path) == ["a.parquet"]


def test_a_faster_writer_wins(tmp_path):
    target = tmp_path / "a.parquet"

    def overtaken():
        yield TABLE
        target.write_bytes(b"theirs")

    with pytest.raises(BatchError, match="exists"):
        write_tables(overtaken(), target)
    assert target.read_bytes() == b"theirs"
    assert names(tmp_path) == ["a.parquet"]


def test_while_being_written_a_file_is_invisible_to_readers_of_the_directory(tmp_path):
    write_table(TABLE, tmp_path / "a.parquet")
    seen = []

    def watching():
        yield TABLE
        seen.extend(p.name for p in tmp_path.iterdir())
        assert pq.read_table(tmp_path).num_rows == 20
        assert BatchRef.of(tmp_path).files == ("a.parquet",)
        yield TABLE

    assert write_tables(watching(), tmp_path / "b.parquet") == 40
    (hidden,) = set(seen) - {"a.parquet"}
    assert hidden.startswith(".")
    assert not hidden.endswith(".parquet")
    assert names(tmp_path) == ["a.parquet", "b.parquet"]


def test_a_killed_writer_leaves_nothing_that_a_reader_sees(tmp_path):
    write_table(TABLE, tmp_path / "a.parquet")
    script = f"""
import os, signal, pyarrow as pa
from pipechaos.batch.io import write_tables
def dying():
    yield pa.table({{"id": [1]}})
    os.kill(os.getpid(), signal.SIGKILL)
write_tables(dying(), {str(tmp_path / "a.parquet")!r}, overwrite=True)
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)
    assert done.returncode == -9
    assert pq.read_table(tmp_path).equals(TABLE)
    assert read_table(tmp_path).equals(TABLE)


def test_files_get_ordinary_permissions(tmp_path):
    write_table(TABLE, tmp_path / "a.parquet")
    (tmp_path / "plain").write_text("")
    assert (tmp_path / "a.parquet").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_several_files_are_one_batch_as_pandas_reads_it(tmp_path):
    frame = TABLE.to_pandas()
    frame.iloc[:8].to_parquet(tmp_path / "b.parquet")
    frame.iloc[8:].reset_index(drop=True).to_parquet(tmp_path / "c.parquet")
    batch = read_batch(tmp_path, name="day")
    assert batch.rows == 20
    pd.testing.assert_frame_equal(batch.to_pandas(), pd.read_parquet(tmp_path))
    assert sum(t.num_rows for t in iter_tables(tmp_path, rows=6)) == 20


def test_files_of_one_batch_that_differ(tmp_path):
    write_table(TABLE, tmp_path / "a.parquet")
    wider = TABLE.set_column(0, "id", TABLE.column("id").cast(pa.string())).append_column("new", TABLE.column("id"))
    write_table(wider, tmp_path / "b.parquet")
    message = r"b\.parquet against the first file: id: int64 against string; new: absent against int64"
    with pytest.raises(BatchError, match=message):
        read_batch(tmp_path)
    with pytest.raises(BatchError, match=message):
        list(iter_tables(tmp_path))
    write_table(TABLE.select(["text", "id", "value", "kind"]), tmp_path / "b.parquet", overwrite=True)
    with pytest.raises(BatchError, match="the order of columns"):
        read_batch(tmp_path)


def broken(folder):
    write_table(TABLE, folder / "good.parquet")
    whole = (folder / "good.parquet").read_bytes()
    (folder / "empty.parquet").touch()
    (folder / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    (folder / "footer.parquet").write_bytes(whole[:-20] + b"\xff" * 16 + whole[-4:])
    (folder / "text.parquet").write_text("a,b\n1,2\n")
    (folder / "parquet.csv").write_bytes(whole)
    (folder / "ragged.csv").write_text("a,b\n1\n")
    (folder / "bytes.csv").write_bytes(b"a,b\n\xff\xfe,\x80\n" + b"\xc3(" * 3)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("empty.parquet", "empty.parquet is empty .0 bytes."),
        ("cut.parquet", "cut.parquet is damaged or no parquet file"),
        ("footer.parquet", "footer.parquet is damaged or no parquet file"),
        ("text.parquet", "text.parquet is no Parquet file .its first bytes are b'a,b.*format="),
        ("parquet.csv", "parquet.csv is a Parquet file, not CSV"),
        ("ragged.csv", "ragged.csv is damaged or no csv file"),
        ("bytes.csv", "bytes.csv is damaged or no csv file"),
    ],
)
def test_broken_files_are_named(tmp_path, name, message):
    broken(tmp_path)
    with pytest.raises(BatchError, match=message):
        read_batch(tmp_path / name)
    with pytest.raises(BatchError, match=message):
        list(iter_tables(tmp_path / name))


def test_a_file_that_went_away(tmp_path):
    ref = write_batch(BATCH, tmp_path / "a.parquet")
    (tmp_path / "a.parquet").unlink()
    with pytest.raises(BatchError, match=r"a\.parquet does not exist: batch 'monday'"):
        read_batch(ref)
    folder = BatchRef(uri=str(tmp_path), format=Format.PARQUET, name="x")
    with pytest.raises(BatchError, match=r"is a directory: make the reference with BatchRef\.of"):
        read_batch(folder)


def test_content_that_changed(tmp_path):
    ref = write_batch(BATCH, tmp_path / "a.parquet")
    write_table(TABLE.slice(1), tmp_path / "a.parquet", overwrite=True)
    with pytest.raises(BatchError, match=f"not the expected {ref.digest}"):
        read_batch(ref, expected_digest=ref.digest)


def test_chosen_columns(tmp_path):
    for target in ("a.parquet", "a.csv"):
        ref = write_batch(BATCH, tmp_path / target)
        assert read_table(ref, columns=["value", "id"]).column_names == ["value", "id"]
        assert {tuple(t.column_names) for t in iter_tables(ref, columns=["value", "id"])} == {("value", "id")}
        with pytest.raises(UnknownNameError, match="did you mean 'value'"):
            read_table(ref, columns=["valeu"])
        with pytest.raises(UnknownNameError, match="did you mean 'value'"):
            list(iter_tables(ref, columns=["valeu"]))


def test_streams(tmp_path):
    pq.write_table(TABLE, tmp_path / "a.parquet", row_group_size=7)
    parts = list(iter_tables(tmp_path / "a.parquet", rows=5))
    assert max(p.num_rows for p in parts) <= 5
    assert pa.concat_tables(parts).equals(TABLE)
    pq.write_table(TABLE.slice(0, 0), tmp_path / "none.parquet")
    (empty,) = iter_tables(tmp_path / "none.parquet")
    assert (empty.num_rows, empty.schema) == (0, TABLE.schema)
    with pytest.raises(BatchError, match="at least 1"):
        list(iter_tables(tmp_path / "a.parquet", rows=0))
    with pytest.raises(BatchError, match="not even an empty table"):
        write_tables([], tmp_path / "b.parquet")
    assert names(tmp_path) == ["a.parquet", "none.parquet"]


def test_formats_that_cannot_hold_a_column(tmp_path):
    nested = pa.table({"x": [[1]]})
    with pytest.raises(BatchError, match=r"column 'x' has type list.*write Parquet"):
        write_table(nested, tmp_path / "a.csv")
    with pytest.raises(BatchError, match="cannot tell the format"):
        write_table(TABLE, tmp_path / "a.dat")
    write_table(TABLE, tmp_path / "a.dat", format="parquet")
    assert pq.read_table(tmp_path / "a.dat").equals(TABLE)
    assert names(tmp_path) == ["a.dat"]


def test_a_dictionary_that_holds_a_null_can_be_written(tmp_path):
    column = pa.DictionaryArray.from_arrays(pa.array([0, 1, None], pa.int8()), pa.array(["x", None]))
    write_table(pa.table({"x": column}), tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.parquet").column("x").to_pylist() == ["x", None, None]


def test_only_columns_that_repeat_are_dictionary_encoded(tmp_path):
    n = 2000
    table = pa.table(
        {
            "few": ["a", "b"] * (n // 2),
            "many": [f"value {i}" for i in range(n)],
            "floats": np.arange(n) / 7,
            "kind": pa.array([f"v{i}" for i in range(n)]).dictionary_encode(),
            "list": [[1.5]] * n,
        }
    )
    write_table(table, tmp_path / "a.parquet")
    group = pq.ParquetFile(tmp_path / "a.parquet").metadata.row_group(0)
    encoded = {group.column(i).path_in_schema: "RLE_DICTIONARY" in group.column(i).encodings for i in range(5)}
    assert encoded == {"few": True, "many": False, "floats": False, "kind": True, "list.list.element": False}


def test_a_written_copy_carries_no_trace_of_how_it_was_made(tmp_path):
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0], "s": ["a", "b", "c"]}, index=pd.RangeIndex(3))
    frame.to_parquet(tmp_path / "source.parquet")
    source = read_batch(tmp_path / "source.parquet")
    corrupted = source.with_table(source.table.set_column(0, "x", pa.array([1.0, None, 3.0]))).take(np.array([0, 1]))
    write_batch(corrupted, tmp_path / "corrupted.parquet")
    frame = pd.DataFrame({"x": [1.0, None], "s": ["a", "b"]}, index=pd.RangeIndex(2))
    frame.to_parquet(tmp_path / "honest.parquet")
    made, honest = (pq.ParquetFile(tmp_path / f"{n}.parquet") for n in ("corrupted", "honest"))
    assert made.metadata.created_by == honest.metadata.created_by
    assert made.schema_arrow == honest.schema_arrow
    assert json.loads(made.schema_arrow.metadata[b"pandas"]) == json.loads(honest.schema_arrow.metadata[b"pandas"])
    assert set(made.metadata.metadata) == set(honest.metadata.metadata)
    assert b"pipechaos" not in (tmp_path / "corrupted.parquet").read_bytes()
