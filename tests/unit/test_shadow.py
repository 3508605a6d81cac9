"""The shadow: private, outside every path a consumer reads, the same bytes every time, nothing left on failure."""

import os
import signal
import stat
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

from pipechaos.batch.io import read_batch
from pipechaos.batch.ref import BatchRef
from pipechaos.errors import BatchError, FaultError, ShadowError, UnknownNameError
from pipechaos.inject import shadow as shadow_module
from pipechaos.inject.shadow import check_shadow, corrupt, dataset_root, sweep
from pipechaos.ledger.io import read_ledger
from pipechaos.ledger.records import Status
from pipechaos.plan.injection import Injection

HALF = Injection.of("null.mcar", "x", fraction=0.5, seed=3)


@pytest.fixture
def lake(tmp_path):
    """Three days of one data set, Hive-style."""
    for day in ("2013-06-01", "2013-06-02", "2013-06-03"):
        write(tmp_path / "lake" / "flights" / f"date={day}" / "part-0.parquet")
    return tmp_path / "lake" / "flights"


def write(file, rows=100):
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"id": list(range(rows)), "x": [float(i) for i in range(rows)]}), file)


def day(lake, name="2013-06-03"):
    return BatchRef.of(lake / f"date={name}")


def files(root):
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("inside", ["", "shadow", "date=2013-06-03", "date=2013-06-03/part-0.parquet/x", "a/b/c"])
def test_a_shadow_inside_the_data_set_is_refused(lake, inside):
    with pytest.raises(ShadowError, match="one inside the other"):
        check_shadow(lake / inside, day(lake))


@pytest.mark.parametrize("above", ["..", "../..", "../../.."])
def test_a_shadow_that_holds_the_data_set_is_refused(lake, above):
    with pytest.raises(ShadowError, match="one inside the other"):
        check_shadow(lake / above, day(lake))


def test_a_shadow_beside_the_data_set_is_taken_though_its_name_begins_the_same(lake, tmp_path):
    place = tmp_path / "lake" / "flights_shadow"
    assert check_shadow(place, day(lake)) == place.resolve()


def test_links_into_the_data_set_are_followed(lake, tmp_path):
    (tmp_path / "elsewhere").symlink_to(lake, target_is_directory=True)
    with pytest.raises(ShadowError):
        check_shadow(tmp_path / "elsewhere" / "shadow", day(lake))
    ref = BatchRef.of(tmp_path / "elsewhere" / "date=2013-06-03")  # the batch is named through the link
    with pytest.raises(ShadowError):
        check_shadow(lake / "shadow", ref)


def test_a_partition_that_is_a_link_does_not_open_the_folder_it_hangs_in(lake, tmp_path):
    write(tmp_path / "store" / "abc" / "part-0.parquet")
    (lake / "date=2013-06-04").symlink_to(tmp_path / "store" / "abc", target_is_directory=True)
    ref = day(lake, "2013-06-04")
    write(tmp_path / "store" / "set" / "date=2013-06-05" / "part-0.parquet")
    (lake / "date=2013-06-05").symlink_to(tmp_path / "store" / "set" / "date=2013-06-05", target_is_directory=True)
    with pytest.raises(ShadowError):
        check_shadow(tmp_path / "store" / "set" / "shadow", day(lake, "2013-06-05"))
    for place in (lake / "shadow", tmp_path / "store" / "abc" / "shadow"):
        with pytest.raises(ShadowError):
            check_shadow(place, ref)


@pytest.mark.parametrize("scheme", ["file://{}", "{}/", "{}/."])
def test_however_a_local_folder_is_written(lake, scheme):
    with pytest.raises(ShadowError):
        check_shadow(scheme.format(lake / "shadow"), day(lake))
    ref = BatchRef.of(f"file://{lake}/date=2013-06-03")
    with pytest.raises(ShadowError):
        check_shadow(lake / "shadow", ref)


def test_percent_signs_of_a_file_url_are_read(tmp_path):
    write(tmp_path / "my lake" / "a.parquet")
    ref = BatchRef.of(f"file://{tmp_path}/my%20lake/a.parquet")
    with pytest.raises(ShadowError):
        check_shadow(tmp_path / "my lake" / "shadow", ref)


def test_a_batch_behind_a_connection_has_a_local_copy_that_needs_none(lake, tmp_path):
    behind = SubTreeFileSystem(str(lake), LocalFileSystem())
    ref = replace(day(lake), uri="s3://date=2013-06-03", connection_id="store")
    copy = corrupt(ref, [HALF], tmp_path / "shadow", connections={"store": behind})
    plain = corrupt(day(lake), [HALF], tmp_path / "plain")
    assert copy.ref.connection_id is None
    assert Path(copy.ref.uri).is_relative_to(tmp_path / "shadow")
    assert copy.ref.digest == plain.ref.digest
    with pytest.raises(BatchError, match="needs the connection 'store'"):
        corrupt(ref, [HALF], tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_remote_shadow_is_refused(lake):
    with pytest.raises(ShadowError, match="not local"):
        check_shadow("s3://bucket/shadow", day(lake))


@pytest.mark.parametrize(
    ("uri", "files_below", "root"),
    [
        ("s3://lake/f/date=1/a.parquet", (), "s3://lake/f"),
        ("s3://lake/f/year=1/month=2", ("a.parquet", "b.parquet"), "s3://lake/f"),
        ("s3://lake/f/a.parquet", (), "s3://lake/f"),
        ("/data/f/date=1/hour=2/a.parquet", (), "/data/f"),
        ("/data/f/2013.parquet", (), "/data/f"),
        ("/a.parquet", (), "/"),
        ("file:///data/f/date=1/a.parquet", (), "/data/f"),
    ],
)
def test_root_of_a_data_set(uri, files_below, root):
    ref = BatchRef.from_json({"uri": uri, "format": "parquet", "name": "1", "files": list(files_below)})
    assert dataset_root(ref) == root


def test_a_data_set_at_the_root_of_the_disk_leaves_no_room(tmp_path):
    ref = BatchRef.from_json({"uri": "/a.parquet", "format": "parquet", "name": "a"})
    with pytest.raises(ShadowError):
        check_shadow(tmp_path, ref)


def test_the_copy_its_ledger_and_the_untouched_source(lake, tmp_path):
    before = files(lake)
    copy = corrupt(day(lake), [HALF], tmp_path / "shadow", key=["id"])
    assert files(lake) == before
    assert read_ledger(copy.ledger_dir).changed_cells == copy.ledger.changed_cells > 0
    after = read_batch(copy.ref).table
    assert after["x"].null_count == copy.ledger.changed_cells
    assert copy.ref.name == "2013-06-03"
    nulls = [i for i, v in enumerate(after["x"].to_pylist()) if v is None]
    assert nulls == copy.ledger.by_column["x"].origin.tolist()


def test_place_of_a_copy(lake, tmp_path):
    copy = corrupt(day(lake), [HALF], tmp_path / "shadow")
    home = tmp_path / "shadow" / "2013-06-03" / HALF.injection_id("2013-06-03")
    assert Path(copy.ledger_dir) == home / "ledger"
    assert Path(copy.ref.uri).is_relative_to(home / "data")


def test_everything_made_is_private(lake, tmp_path):
    (tmp_path / "ready").mkdir(mode=0o755)
    for place in (tmp_path / "new" / "shadow", tmp_path / "ready"):
        copy = corrupt(day(lake), [HALF], place)
        home = Path(copy.ledger_dir).parent
        assert [stat.S_IMODE(p.stat().st_mode) for p in (place, home.parent, home)] == [0o700] * 3


def test_the_same_call_writes_the_same_bytes_to_the_same_place(lake, tmp_path):
    first = corrupt(day(lake), [HALF], tmp_path / "shadow")
    written = files(tmp_path / "shadow")
    again = corrupt(day(lake), [HALF], tmp_path / "shadow")
    assert again.ref == first.ref
    assert files(tmp_path / "shadow") == written


def test_many_injections_fit_into_one_name(lake, tmp_path):
    many = [Injection.of("null.mcar", "x", fraction=0.01, repeat=i) for i in range(40)]
    copy = corrupt(day(lake), many, tmp_path / "shadow")
    assert len(copy.ledger.injections) == 40
    assert copy.ref != corrupt(day(lake), many[:-1], tmp_path / "shadow").ref


@pytest.mark.parametrize("name", ["..", ".", "../../escaped", "a/b", ".hidden"])
def test_no_name_of_a_batch_leads_out_of_the_shadow(lake, tmp_path, name):
    ref = BatchRef.of(lake / "date=2013-06-03", name=name)
    copy = corrupt(ref, [HALF], tmp_path / "deep" / "shadow")
    home = Path(copy.ledger_dir).parent
    assert home.resolve().parents[1] == (tmp_path / "deep" / "shadow").resolve()


def test_two_data_sets_do_not_overwrite_each_other(lake, tmp_path):
    write(tmp_path / "other" / "date=2013-06-03" / "part-0.parquet", rows=7)
    first = corrupt(day(lake), [HALF], tmp_path / "shadow")
    with pytest.raises(ShadowError, match="another data set"):
        corrupt(day(tmp_path / "other"), [HALF], tmp_path / "shadow")
    assert read_batch(first.ref).rows == 100


def test_a_folder_of_somebody_else_is_not_made_a_shadow(lake, tmp_path):
    (tmp_path / "home" / "photos").mkdir(parents=True)
    with pytest.raises(ShadowError, match="new or empty"):
        corrupt(day(lake), [HALF], tmp_path / "home")
    assert [p.name for p in (tmp_path / "home").iterdir()] == ["photos"]


@pytest.mark.parametrize("broken", ["write_ledger", "write_batch"])
def test_nothing_is_left_when_writing_fails(lake, tmp_path, monkeypatch, broken):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shadow_module, broken, full)
    with pytest.raises(OSError, match="No space"):
        corrupt(day(lake), [HALF], tmp_path / "shadow")
    assert [p.name for p in (tmp_path / "shadow").rglob("*")] == [shadow_module.MARKER]


def test_a_copy_that_is_there_survives_a_failing_second_writer(lake, tmp_path, monkeypatch):
    corrupt(day(lake), [HALF], tmp_path / "shadow")
    written = files(tmp_path / "shadow")
    monkeypatch.setattr(shadow_module, "write_ledger", lambda *a: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        corrupt(day(lake), [HALF], tmp_path / "shadow")
    assert files(tmp_path / "shadow") == written


@pytest.mark.parametrize(
    ("injection", "error"),
    [
        (Injection.of("null.mcar", "nothing"), UnknownNameError),
        (Injection.of("text.typo", "x"), FaultError),
        (Injection.of("missing.sentinel", "x", params={"value": "none"}), FaultError),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(lake, tmp_path, injection, error):
    with pytest.raises(error):
        corrupt(day(lake), [injection], tmp_path / "shadow")
    assert not (tmp_path / "shadow").exists()


def test_a_stale_batch_takes_its_rows_from_the_batch_before(tmp_path):
    for name, first in (("d1", 0), ("d2", 86_400_000_000)):
        stamps = pa.array([first, first + 1], pa.timestamp("us"))
        file = tmp_path / "set" / f"{name}.parquet"
        file.parent.mkdir(exist_ok=True)
        pq.write_table(pa.table({"t": stamps, "x": [name, name]}), file)
    old = read_batch(tmp_path / "set" / "d1.parquet", time="t")
    ref = BatchRef.of(tmp_path / "set" / "d2.parquet")
    copy = corrupt(ref, [Injection.of("time.stale")], tmp_path / "shadow", time="t", earlier=[old])
    assert copy.ledger.status is Status.APPLIED
    after = read_batch(copy.ref).table
    assert after["x"].to_pylist() == ["d1", "d1"]
    assert after["t"].cast(pa.int64()).to_pylist() == [86_400_000_000, 86_400_000_001]


def age(copy, seconds):
    marker = Path(copy.ledger_dir).parent / shadow_module.MARKER
    os.utime(marker, (seconds, seconds))


def test_sweep_deletes_what_is_older_than_its_time_to_live(lake, tmp_path):
    place = tmp_path / "shadow"
    old = corrupt(day(lake, "2013-06-01"), [HALF], place)
    young = corrupt(day(lake, "2013-06-02"), [HALF], place)
    age(old, 1000.0)
    age(young, 1001.0)
    assert sweep(place, now=1100.0, ttl_seconds=100.5) == ()
    found = sweep(place, now=1100.0, ttl_seconds=100.0)
    assert found == (f"2013-06-01/{HALF.injection_id('2013-06-01')}",)
    assert not (place / "2013-06-01").exists()
    assert read_batch(young.ref).rows == 100


def test_sweep_leaves_what_is_not_ours(lake, tmp_path):
    place = tmp_path / "shadow"
    age(corrupt(day(lake), [HALF], place), 0.0)
    (place / "mine" / "notes").mkdir(parents=True)
    os.utime(place / "mine" / "notes", (0.0, 0.0))
    assert len(sweep(place, now=1e10, ttl_seconds=0.0)) == 1
    assert (place / "mine" / "notes").is_dir()


def test_sweep_finds_the_shadows_of_stages_below_and_nothing_that_lacks_a_marker(lake, tmp_path):
    top, name = tmp_path / "shadow", HALF.injection_id("2013-06-01")
    for place in (top, top / "features", top / "nightly" / "features"):
        age(corrupt(day(lake, "2013-06-01"), [HALF], place), 0.0)
    too_deep = corrupt(day(lake, "2013-06-01"), [HALF], top / "a" / "b" / "c")
    elsewhere = corrupt(day(lake, "2013-06-01"), [HALF], tmp_path / "elsewhere")
    (top / "linked").symlink_to(tmp_path / "elsewhere")
    (top / "features" / "linked").symlink_to(tmp_path / "elsewhere" / "2013-06-01")
    mine = top / "features" / "mine" / name
    mine.mkdir(parents=True)
    (mine / "notes").write_text("not of pipechaos")
    for copy in (too_deep, elsewhere):
        age(copy, 0.0)
    found = sweep(top, now=1e10, ttl_seconds=0.0)
    assert found == (
        f"2013-06-01/{name}",
        f"features/2013-06-01/{name}",
        f"nightly/features/2013-06-01/{name}",
    )
    assert sorted(p.parents[2] for p in tmp_path.rglob("part-0.parquet") if "lake" not in p.parts) == sorted(
        [Path(elsewhere.ledger_dir).parents[1], Path(too_deep.ledger_dir).parents[1]]
    )
    assert (mine / "notes").exists()


def test_sweep_of_a_folder_that_only_holds_shadows(lake, tmp_path):
    (tmp_path / "all").mkdir()
    age(corrupt(day(lake, "2013-06-01"), [HALF], tmp_path / "all" / "features"), 0.0)
    assert len(sweep(tmp_path / "all", now=1e10, ttl_seconds=0.0, dry_run=True)) == 1
    assert len(sweep(tmp_path / "all", now=1e10, ttl_seconds=0.0)) == 1
    assert sweep(tmp_path / "all", now=1e10, ttl_seconds=0.0) == ()


@pytest.mark.parametrize("name", ["lake/flights", "missing"])
def test_sweep_refuses_a_folder_that_is_no_shadow(lake, tmp_path, name):
    with pytest.raises(ShadowError, match="nothing was deleted"):
        sweep(tmp_path / name, now=1e12, ttl_seconds=0.0)
    assert len(files(lake)) == 3


SLOW = """
import sys, time, pathlib
import pyarrow.parquet as pq
from pipechaos.batch.ref import BatchRef
from pipechaos.inject.shadow import corrupt
from pipechaos.plan.injection import Injection

lake, shadow, signal_file = sys.argv[1:]
whole = pq.ParquetWriter.write_table


def slow(self, table, *args, **kwargs):
    whole(self, table.slice(0, 50))
    if "data" in str(sorted(pathlib.Path(shadow).rglob("*.tmp"))):
        pathlib.Path(signal_file).write_text("half way")
        time.sleep(600)


pq.ParquetWriter.write_table = slow
corrupt(BatchRef.of(lake + "/date=2013-06-03"), [Injection.of("null.mcar", "x", fraction=0.5)], shadow)
"""


def test_killed_in_the_middle_of_writing_readers_still_see_the_original_bytes_only(lake, tmp_path):
    before = files(lake)
    place, half_way = tmp_path / "lake" / "shadow", tmp_path / "half-way"
    root = str(Path(__file__).resolve().parents[2])
    env = {**os.environ, "PYTHONPATH": root}
    child = subprocess.Popen([sys.executable, "-c", SLOW, str(lake), str(place), str(half_way)], env=env)
    try:
        for _ in range(1200):
            if half_way.exists() or child.poll() is not None:
                break
            time.sleep(0.05)
        assert half_way.exists(), "the child never got to the middle of writing"
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert any(p.name.endswith(".tmp") for p in place.rglob("*")), "killed too late to show anything"
    assert files(lake) == before
    table = pyarrow.dataset.dataset(lake, format="parquet", partitioning="hive").to_table()
    assert table.num_rows == 300
    assert table["x"].null_count == 0
    assert not list(place.rglob("*.parquet")) or all("ledger" in p.parts for p in place.rglob("*.parquet"))
    # the next call makes it whole
    copy = corrupt(day(lake), [Injection.of("null.mcar", "x", fraction=0.5)], place)
    assert read_batch(copy.ref).rows == 100
