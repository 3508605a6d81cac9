"""References: every form of a path, names, JSON, credentials; discovery of batches."""

import json
import traceback
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipechaos.batch.connections import connection_in
from pipechaos.batch.ref import BatchRef, Format, discover
from pipechaos.errors import BatchError, ConfigError, UnknownNameError

TABLE = pa.table({"x": [1, 2]})


@pytest.fixture
def lake(tmp_path):
    """Two days of two files each, as a job leaves them: with a marker and a half-written file."""
    for day in ("2013-01-02", "2013-01-01"):
        folder = tmp_path / "lake" / f"date={day}"
        folder.mkdir(parents=True)
        for name in ("part-1.parquet", "part-0.parquet", ".part-2.parquet", "_part-3.parquet"):
            pq.write_table(TABLE, folder / name)
        (folder / "_SUCCESS").write_text("")
    return tmp_path / "lake"


@pytest.fixture
def memory():
    """An fsspec file system that is empty again afterwards."""
    found = fsspec.filesystem("memory")
    yield found
    found.store.clear()
    found.pseudo_dirs[:] = [""]


class StoragePath:
    """Looks like Airflow's ObjectStoragePath: no os.PathLike, the connection in its text."""

    def __init__(self, text, conn_id, fs=None):
        self.protocol, self.conn_id, self.text, self.fs = text.partition("://")[0], conn_id, text, fs

    def __str__(self):
        return self.text


def test_one_file_in_every_form(lake):
    file = lake / "date=2013-01-01" / "part-0.parquet"
    for form in (file, str(file), f"file://{file}", StoragePath(f"file://{file}", None)):
        ref = BatchRef.of(form)
        assert ref.uri == str(form)
        assert (ref.name, ref.format, ref.files) == ("2013-01-01", Format.PARQUET, ())
        assert ref.partition == (("date", "2013-01-01"),)
        assert ref.paths == (str(form),)
        assert (ref.digest, ref.rows, ref.connection_id) == ("", None, None)


def test_a_directory_is_one_batch_of_its_visible_files(lake):
    ref = BatchRef.of(lake / "date=2013-01-02")
    assert ref.name == "2013-01-02"
    assert ref.files == ("part-0.parquet", "part-1.parquet")
    assert ref.paths == tuple(str(lake / "date=2013-01-02" / f) for f in ref.files)
    assert BatchRef.of(lake, name="all").files[0] == "date=2013-01-01/part-0.parquet"


def test_names(tmp_path):
    for name, expected in {
        "flights.parquet": "flights",
        "a.b.csv": "a.b",
        "c.csv.gz": "c",
        "k=v/year=2013/date=2013-06-03T00%3A00/x.parquet": "v/2013/2013-06-03T00:00",
    }.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
        assert BatchRef.of(file).name == expected
    assert BatchRef.of(tmp_path / "c.csv.gz").format is Format.CSV
    assert BatchRef.of(tmp_path / "flights.parquet", name="n").name == "n"


def test_memory_url(memory):
    with memory.open("/bucket/date=1/a.parquet", "wb") as file:
        pq.write_table(TABLE, file)
    assert BatchRef.of("memory://bucket/date=1/a.parquet").name == "1"
    assert BatchRef.of("memory://bucket/date=1").files == ("a.parquet",)
    assert [r.name for r in discover("memory://bucket")] == ["1"]
    assert [r.uri for r in discover("memory://bucket/date=*")] == ["memory://bucket/date=1"]


def test_an_object_storage_path_brings_its_connection(memory):
    with memory.open("/bucket/a/x.parquet", "wb") as file:
        pq.write_table(TABLE, file)
    ref = BatchRef.of(StoragePath("memory://lake_conn@bucket/a", "lake_conn", memory))
    assert (ref.uri, ref.connection_id, ref.files) == ("memory://bucket/a", "lake_conn", ("x.parquet",))
    # nothing to look with: a known suffix is taken on trust, a directory cannot be
    ref = BatchRef.of("s3://bucket/a/x.parquet", connection_id="aws")
    assert (ref.uri, ref.connection_id) == ("s3://bucket/a/x.parquet", "aws")
    with pytest.raises(BatchError, match=r"needs the connection 'aws'.*filesystem="):
        BatchRef.of("s3://bucket/a", connection_id="aws")
    with pytest.raises(BatchError, match="give one of them"):
        BatchRef.of(StoragePath("memory://a@bucket/a", "a", memory), connection_id="b")


def test_the_connection_may_be_one_of_the_options_of_the_path(memory):
    """As in Airflow 3.1, whose paths have no ``conn_id``."""
    path = StoragePath("memory://lake_conn@bucket/x.parquet", None, memory)
    del path.conn_id
    path.storage_options = {"conn_id": "lake_conn"}
    memory.pipe_file("/bucket/x.parquet", b"PAR1")
    ref = BatchRef.of(path)
    assert (ref.uri, ref.connection_id) == ("memory://bucket/x.parquet", "lake_conn")


def test_a_connection_is_looked_with_where_somebody_resolves_it(memory):
    with memory.open("/bucket/a/x.parquet", "wb") as file:
        pq.write_table(TABLE, file)
    ref = BatchRef.of("memory://bucket/a", connection_id="lake", connections={"lake": memory})
    assert (ref.connection_id, ref.files) == ("lake", ("x.parquet",))
    with pytest.raises(BatchError, match="there is no file"):
        BatchRef.of("memory://bucket/b.parquet", connection_id="lake", connections={"lake": memory})


def test_the_text_of_an_object_storage_path_carries_its_connection_too():
    for scheme in ("s3", "s3a", "gs", "gcs"):
        ref = BatchRef.of(f"{scheme}://lake_conn@bucket/date=1/x.parquet")
        assert (ref.uri, ref.connection_id) == (f"{scheme}://bucket/date=1/x.parquet", "lake_conn")
        assert BatchRef.of(f"{scheme}://bucket/x.parquet", connection_id="other").connection_id == "other"
    with pytest.raises(BatchError, match="give one of them"):
        BatchRef.of("s3://a@bucket/x.parquet", connection_id="b")
    # a container and a user are none
    assert connection_in("abfs://container@account/x.parquet") is None
    assert connection_in("sftp://me@host/x.parquet") is None
    assert connection_in("s3://bucket/a@b/x.parquet") is None


def test_what_a_path_says_when_it_cannot_connect_is_not_repeated():
    class Sealed(StoragePath):
        @property
        def fs(self):
            raise RuntimeError("hunter2 was refused")

        @fs.setter
        def fs(self, value):
            pass

    with pytest.raises(
        ConfigError, match=r"'aws' gives no file system for s3://b/x.parquet \(RuntimeError\)"
    ) as caught:
        BatchRef.of(Sealed("s3://aws@b/x.parquet", "aws"))
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_a_real_object_storage_path(tmp_path):
    path_type = pytest.importorskip("airflow.sdk").ObjectStoragePath
    pq.write_table(TABLE, tmp_path / "day.parquet")
    ref = BatchRef.of(path_type(f"file://{tmp_path}/day.parquet"))
    assert (ref.name, ref.connection_id, ref.uri) == ("day", None, f"file://{tmp_path}/day.parquet")
    named = BatchRef.of(path_type("s3://aws_prod@bucket/date=1/x.parquet"), filesystem=_Trusting())
    assert (named.uri, named.connection_id) == ("s3://bucket/date=1/x.parquet", "aws_prod")


class _Trusting(fsspec.AbstractFileSystem):
    """Has every file."""

    def info(self, path, **kwargs):
        return {"name": path, "type": "file", "size": 1}


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("s3://user:hunter2@host/x.parquet", "s3://***@host/x.parquet"),
        ("filecache::ftp://user:hunter2@host/x.parquet", "ftp://***@host/x.parquet"),
        ("https://host/x.parquet?X-Amz-Signature=hunter2", "https://host/x.parquet"),
        ("https://host/x.parquet?sig=hunter2&se=1", "https://host/x.parquet"),
    ],
)
def test_credentials_are_refused_and_not_repeated(uri, shown):
    for make in (BatchRef.of, lambda u: BatchRef(uri=u, format=Format.CSV, name="n")):
        with pytest.raises(BatchError, match="connection_id") as caught:
            make(uri)
        assert "hunter2" not in str(caught.value)
        assert shown in str(caught.value)
    data = BatchRef(uri="lake", format=Format.CSV, name="n").to_json()
    with pytest.raises(BatchError, match="credential"):
        BatchRef.from_json({**data, "files": [uri]})


def test_a_user_name_alone_is_no_credential():
    ref = BatchRef(uri="abfs://container@account/x.parquet", format=Format.PARQUET, name="n")
    assert ref.uri == "abfs://container@account/x.parquet"


SHORT = st.text(min_size=1, max_size=8).filter(lambda t: ":" not in t and "?" not in t)


@settings(max_examples=50)
@given(
    st.builds(
        BatchRef,
        uri=SHORT,
        format=st.sampled_from([Format.PARQUET, Format.CSV]),
        name=SHORT,
        partition=st.lists(st.tuples(SHORT, SHORT), max_size=2).map(tuple),
        files=st.lists(SHORT, max_size=3).map(tuple),
        digest=st.text(max_size=4),
        connection_id=st.none() | SHORT,
        rows=st.none() | st.integers(0, 2**62),
    )
)
def test_json_round_trip(ref):
    text = json.dumps(ref.to_json(), allow_nan=False)
    back = BatchRef.from_json(json.loads(text))
    assert back == ref
    assert hash(back) == hash(ref)


def test_json_refuses_what_it_does_not_know():
    data = BatchRef(uri="a.csv", format=Format.CSV, name="a").to_json()
    with pytest.raises(UnknownNameError, match="unknown key 'urri' in a batch reference: did you mean 'uri'"):
        BatchRef.from_json({**data, "urri": "x"})
    with pytest.raises(BatchError, match="lacks name"):
        BatchRef.from_json({k: v for k, v in data.items() if k != "name"})
    with pytest.raises(UnknownNameError, match="did you mean 'parquet'"):
        BatchRef.from_json({**data, "format": "parqet"})
    for key, value in {"rows": 1.5, "files": "abc", "partition": [["a"]], "uri": 3, "connection_id": 1}.items():
        with pytest.raises(BatchError, match=f"wrong kind in {key}"):
            BatchRef.from_json({**data, key: value})
    with pytest.raises(BatchError, match="uri and a name"):
        BatchRef.from_json({**data, "name": ""})


def test_what_is_not_there(tmp_path):
    with pytest.raises(BatchError, match=r"no file or directory .*nope\.parquet"):
        BatchRef.of(tmp_path / "nope.parquet")
    with pytest.raises(BatchError, match="holds no Parquet or CSV file"):
        BatchRef.of(tmp_path)
    (tmp_path / "x.dat").write_text("a\n1\n")
    with pytest.raises(BatchError, match="cannot tell the format"):
        BatchRef.of(tmp_path / "x.dat")
    assert BatchRef.of(tmp_path / "x.dat", format="csv").format is Format.CSV
    with pytest.raises(BatchError, match="no file system for zork://"):
        BatchRef.of("zork://x/y.csv")
    for name in ("a.csv", "b.parquet"):
        (tmp_path / name).write_text("x")
    with pytest.raises(BatchError, match="both Parquet and CSV"):
        BatchRef.of(tmp_path)
    assert BatchRef.of(tmp_path, format="csv").files == ("a.csv",)


@pytest.mark.parametrize("pattern", [None, "date=*", "date=*/*.parquet", "**/*.parquet", "**"])
def test_discover_partitions(lake, pattern):
    found = discover(lake, pattern)
    assert [r.name for r in found] == ["2013-01-01", "2013-01-02"]
    assert all(r.files == ("part-0.parquet", "part-1.parquet") for r in found)
    if pattern:
        assert discover(lake / pattern) == found
        assert [r.name for r in discover(f"file://{lake}/{pattern}")] == ["2013-01-01", "2013-01-02"]
    assert discover(str(lake)) == discover(lake)


def test_discover_one_partition_or_files(lake, tmp_path):
    assert [r.name for r in discover(lake / "date=2013-01-02")] == ["2013-01-02"]
    flat = tmp_path / "flat [1]"
    flat.mkdir()
    for name in ("b.parquet", "a.parquet", "c.csv", "_d.parquet"):
        pq.write_table(TABLE, flat / name)
    assert [r.name for r in discover(flat, "*.parquet")] == ["a", "b"]
    assert [r.name for r in discover(flat / "[ab].parquet")] == ["a", "b"]
    assert [r.name for r in discover(flat, format="csv")] == ["c"]
    assert [r.name for r in discover(flat)] == ["a", "b", "c"]


def test_discover_relative_paths(lake, monkeypatch):
    monkeypatch.chdir(lake.parent)
    assert [r.uri for r in discover("lake/date=*")] == ["lake/date=2013-01-01", "lake/date=2013-01-02"]
    assert [r.uri for r in discover("*/date=2013-01-01")] == ["./lake/date=2013-01-01"]
    assert discover(Path("lake"))[0].name == "2013-01-01"


def test_discover_says_what_is_wrong(lake, tmp_path):
    with pytest.raises(BatchError, match=r"no batch matches .*lake/date=2014\*"):
        discover(lake, "date=2014*")
    with pytest.raises(BatchError, match="no directory"):
        discover(tmp_path / "nope")
    for region in ("eu", "us"):
        folder = tmp_path / "twins" / region
        folder.mkdir(parents=True)
        pq.write_table(TABLE, folder / "a.parquet")
    with pytest.raises(BatchError, match=r"two batches are called 'a'.*eu.*us"):
        discover(tmp_path / "twins")
