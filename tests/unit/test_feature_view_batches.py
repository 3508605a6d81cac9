"""The part of the feature-store check that needs no Feast: roles, windows, one form of batches, the experiment."""

import datetime as dt
import itertools
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from pipechaos.batch.io import read_batch
from pipechaos.campaign.experiment import read_mapping
from pipechaos.errors import CannotRunError, ConfigError, ExperimentError, MissingExtraError, UnknownNameError
from pipechaos.feast.batches import canonical, export
from pipechaos.feast.experiment import Asked, Profile, build, gate_of, link_roots
from pipechaos.feast.repository import opened_repository
from pipechaos.feast.view import Feature, View, feature_of, missing_columns
from pipechaos.feast.windows import Length, Window, days_of, windows

DAY = dt.date(2024, 5, 1)
UTC = dt.UTC


def view(*features, **more):
    given = {"project": "p", "name": "rides", "keys": ("driver", "city"), "time": "at", "source": "rides_file"}
    return View(**{**given, "features": features or (Feature(name="trips"), Feature(name="grade")), **more})


def window(day=1, days=1):
    begin = dt.datetime(2024, 5, day, tzinfo=UTC)
    return Window(name=f"2024-05-{day:02d}", begin=begin, end=begin + dt.timedelta(days=days))


def rows(*, at, driver=None, **more):
    n = len(at)
    return {
        "driver": driver or list(range(n)),
        "city": ["north"] * n,
        "at": at,
        "trips": list(range(n)),
        "grade": ["a"] * n,
        **more,
    }


# --- roles ------------------------------------------------------------------------------------------------------------


def test_tags_give_roles_and_other_tags_give_none():
    assert feature_of("tip", {"pipechaos.target": "True", "team": "x"}) == Feature(name="tip", target=True)
    assert feature_of("note", {"pipechaos.ignore": "true"}) == Feature(name="note", ignore=True)
    assert feature_of("note", {"pipechaos.ignore": "false"}) == Feature(name="note")


def test_a_slip_in_a_tag_is_refused():
    with pytest.raises(UnknownNameError, match=r"pipechaos.ignroe.*did you mean 'pipechaos.ignore'"):
        feature_of("note", {"pipechaos.ignroe": "true"})
    with pytest.raises(ConfigError, match="'true' or 'false', not 'yes'"):
        feature_of("note", {"pipechaos.ignore": "yes"})


def test_missing_columns_are_named_as_the_source_would_call_them():
    v = view(created="made", columns={"trips": "n_trips"})
    assert missing_columns(v, ["driver", "city", "at", "n_trips", "grade", "made"]) == ""
    said = missing_columns(v, ["driver", "city", "at", "n_trip", "grade"])
    assert "'n_trips' (did you mean 'n_trip'?)" in said
    assert "'made'" in said


# --- windows ----------------------------------------------------------------------------------------------------------


def test_days_meet_without_gap_over_the_end_of_a_month():
    found = windows(dt.date(2024, 4, 29), dt.date(2024, 5, 2))
    assert [w.name for w in found] == ["2024-04-29", "2024-04-30", "2024-05-01", "2024-05-02"]
    assert all(a.end == b.begin for a, b in itertools.pairwise(found))
    assert found[-1].end == dt.datetime(2024, 5, 3, tzinfo=UTC)


def test_hours_and_weeks():
    hours = windows(DAY, DAY, Length.HOUR)
    assert len(hours) == 24
    assert (hours[0].name, hours[-1].name) == ("2024-05-01T00", "2024-05-01T23")
    weeks = windows(DAY, dt.date(2024, 5, 16), Length.WEEK)  # sixteen days: the first two make no week
    assert [w.name for w in weeks] == ["2024-05-03", "2024-05-10"]


def test_names_sort_as_time_goes():
    for length in Length:
        names = [w.name for w in windows(dt.date(2023, 12, 20), dt.date(2024, 1, 10), length)]
        assert names == sorted(names)
        assert len(set(names)) == len(names)


def test_impossible_ranges_are_refused():
    with pytest.raises(ConfigError, match="comes before"):
        windows(DAY, dt.date(2024, 4, 30))
    with pytest.raises(ConfigError, match="no whole week"):
        windows(DAY, dt.date(2024, 5, 6), Length.WEEK)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (dt.date(2024, 4, 22), dt.date(2024, 5, 21))),  # thirty days up to the newest row
        ({"days": 3}, (dt.date(2024, 5, 19), dt.date(2024, 5, 21))),
        ({"end": DAY, "days": 2}, (dt.date(2024, 4, 30), DAY)),
        ({"start": DAY, "days": 2}, (DAY, dt.date(2024, 5, 2))),
        ({"start": DAY, "end": DAY}, (DAY, DAY)),
        ({"start": DAY}, (DAY, dt.date(2024, 5, 21))),
    ],
)
def test_days_that_somebody_means(given, expected):
    asked = {"days": None, "start": None, "end": None, **given}
    assert days_of(**asked, newest=dt.date(2024, 5, 21), usual=30) == expected


def test_days_that_nobody_can_mean():
    with pytest.raises(ConfigError, match="two of --days"):
        days_of(days=1, start=DAY, end=DAY, newest=None, usual=30)
    with pytest.raises(ConfigError, match="no row before today"):
        days_of(days=None, start=None, end=None, newest=None, usual=30)


# --- one form of batches ----------------------------------------------------------------------------------------------


def test_every_store_gives_the_same_table():
    at = pd.to_datetime(["2024-05-01 23:00", "2024-05-01 01:00", "2024-05-01 01:00"])
    plain = pa.table(rows(at=at, driver=[7, 9, 8]))  # naive nanoseconds, as PostgreSQL is read
    zoned = pa.table(rows(at=at.tz_localize("UTC"), driver=[7, 9, 8]))
    elsewhere = pa.table(rows(at=at.tz_localize("UTC").tz_convert("America/New_York").as_unit("us"), driver=[7, 9, 8]))
    turned = zoned.select(["grade", "at", "trips", "city", "driver"]).take([2, 0, 1])
    large = zoned.set_column(1, "city", zoned.column("city").cast(pa.large_string()))
    with_index = zoned.append_column("__index_level_0__", pa.array([0, 1, 2]))
    found = [canonical(t, view(), window()) for t in (plain, zoned, elsewhere, turned, large, with_index)]
    assert all(f.equals(found[0], check_metadata=True) for f in found)
    assert found[0].column_names == ["driver", "city", "at", "trips", "grade"]
    assert found[0].column("driver").to_pylist() == [7, 8, 9]
    assert found[0].column("trips").to_pylist() == [0, 2, 1]
    assert found[0].schema.field("at").type == pa.timestamp("us", "UTC")
    assert found[0].schema.metadata is None


def test_the_end_of_a_window_belongs_to_the_next():
    at = ["2024-05-01", "2024-05-01 23:59:59.999999999", "2024-05-02", "2024-04-30 23:59:59"]
    at = pd.to_datetime(at, utc=True, format="ISO8601")
    found = canonical(pa.table(rows(at=at)), view(), window())
    assert found.column("trips").to_pylist() == [0, 1]
    assert canonical(pa.table(rows(at=at)), view(), window(2)).column("trips").to_pylist() == [2]


def test_rows_of_one_key_and_time_come_in_the_order_of_their_creation():
    at = pd.to_datetime(["2024-05-01"] * 3, utc=True)
    made = pd.to_datetime(["2024-05-03", "2024-05-01", "2024-05-02"])
    table = pa.table(rows(at=at, driver=[1, 1, 1], made=made))
    found = canonical(table, view(created="made"), window())
    assert found.column("trips").to_pylist() == [1, 2, 0]
    assert "made" not in found.column_names
    assert canonical(table, view(), window()).column("trips").to_pylist() == [0, 1, 2]  # by the features else


def test_mapped_names_lists_and_categories():
    at = pd.to_datetime(["2024-05-01 02:00", "2024-05-01 01:00"], utc=True)
    table = pa.table(
        {
            "d": pa.array(["z", "b"]).dictionary_encode(),
            "city": ["x", "x"],
            "ts": at,
            "vector": [[1.0, 2.0], [3.0]],
            "nothing": pa.nulls(2),
        }
    )
    names = (Feature(name="vector"), Feature(name="nothing"))
    found = canonical(table, view(*names, columns={"driver": "d", "at": "ts"}), window())
    assert found.column_names == ["driver", "city", "at", "vector", "nothing"]
    assert found.column("driver").to_pylist() == ["b", "z"]
    assert found.column("vector").to_pylist() == [[3.0], [1.0, 2.0]]


def test_what_is_no_timestamp_is_refused():
    with pytest.raises(CannotRunError, match="no timestamp in its source but string"):
        canonical(pa.table(rows(at=["2024-05-01"])), view(), window())
    with pytest.raises(CannotRunError, match="gave no column trips"):
        canonical(
            pa.table({"driver": [1], "city": ["x"], "at": pd.to_datetime(["2024-05-01"])}),
            view(*[Feature(name="trips")]),
            window(),
        )


def days_source(days, per_day=4, **by_day):
    def pull(asked):
        parts = []
        for day in range(1, days + 1):
            at = pd.to_datetime([f"2024-05-{day:02d} {h:02d}:00" for h in range(per_day)], utc=True)
            part = rows(at=at)
            part["trips"] = by_day.get(f"d{day}", part["trips"])
            parts.append(pd.DataFrame(part))
        whole = pd.concat(parts)
        inside = whole["at"].between(asked.begin, asked.end, inclusive="both")
        return pa.Table.from_pandas(whole[inside], preserve_index=False)

    return pull


def test_export_writes_one_private_file_a_window(tmp_path):
    spans = windows(DAY, dt.date(2024, 5, 23))  # more than are pulled at once
    done = export(view(), spans, days_source(23), tmp_path / "b")
    assert done.names == tuple(f"2024-05-{d:02d}" for d in range(1, 24))
    assert (done.rows, done.empty) == (23 * 4, ())
    assert (tmp_path / "b").stat().st_mode & 0o077 == 0
    batch = read_batch(tmp_path / "b" / "2024-05-11.parquet", key=view().key, time="at")
    assert batch.name == "2024-05-11"
    assert batch.rows == 4
    assert {t.day for t in batch.column("at").to_pylist()} == {11}


def test_empty_windows_are_refused_unless_told(tmp_path):
    spans = windows(dt.date(2024, 4, 29), dt.date(2024, 5, 2))
    with pytest.raises(CannotRunError, match=r"2 of 4 windows \(2024-04-29, 2024-04-30\).*--skip-empty"):
        export(view(), spans, days_source(2), tmp_path / "a")
    done = export(view(), spans, days_source(2), tmp_path / "b", skip_empty=True)
    assert (done.names, done.empty) == (("2024-05-01", "2024-05-02"), ("2024-04-29", "2024-04-30"))
    with pytest.raises(CannotRunError, match="no row in 1 of 1"):
        export(
            view(), windows(dt.date(2023, 1, 1), dt.date(2023, 1, 1)), days_source(2), tmp_path / "c", skip_empty=True
        )


def test_types_are_one_over_all_windows(tmp_path):
    def pull(asked):  # the first pull has no value at all in a column
        whole = days_source(11)(asked)
        empty = pa.nulls(whole.num_rows)
        return whole.set_column(3, "trips", empty) if asked.begin.day == 1 else whole

    export(view(), windows(DAY, dt.date(2024, 5, 11)), pull, tmp_path / "b")
    batches = [read_batch(tmp_path / "b" / f"2024-05-{d:02d}.parquet") for d in (1, 10, 11)]
    assert [b.table.schema.field("trips").type for b in batches] == [pa.int64()] * 3
    assert [b.column("trips").null_count for b in batches] == [4, 4, 0]


def test_types_that_do_not_go_together_are_refused(tmp_path):
    def pull(asked):
        whole = days_source(11)(asked)
        words = pa.array(["x"] * whole.num_rows)
        return whole.set_column(3, "trips", words) if asked.begin.day == 1 else whole

    with pytest.raises(CannotRunError, match=r"types differ between windows.*trips"):
        export(view(), windows(DAY, dt.date(2024, 5, 11)), pull, tmp_path / "b")


# --- the experiment ---------------------------------------------------------------------------------------------------

NAMES = [f"2024-05-{d:02d}" for d in range(1, 31)]
ONE = [("pandera", "pandera:suites:rides")]


def test_roles_and_defaults_of_an_experiment(tmp_path):
    v = view(Feature(name="trips"), Feature(name="tip", target=True), Feature(name="note", ignore=True))
    e = build(v, NAMES, Asked(validators=ONE, roots=[tmp_path], gates=[gate_of("fnr <= 0.4")]))
    assert e.key == ["driver", "city", "at"]
    assert (e.time, e.target, e.ignore) == ("at", ["tip"], ["note"])
    assert e.contract.row_order
    assert (e.history.count, e.preset, e.severities, e.budget.trials) == (15, "quick", [1, 3, 5], 300)
    assert [(g.metric, g.limit) for g in e.gates] == [("fnr", 0.4)]
    night = build(v, NAMES, Asked(validators=[*ONE, ("gx", "gx:s.json")], roots=[tmp_path], profile=Profile.NIGHTLY))
    assert (night.preset, night.severities, night.budget.trials) == ("standard", [1, 2, 3, 4, 5], 4000)


def test_a_file_is_filled_in_and_options_win(tmp_path):
    file = {
        "name": "mine",
        "seed": 3,
        "ignore": "grade",
        "contract": {"extra_columns": True},
        "faults": [{"fault": "rows.duplicate"}],
        "history": {"count": 4},
        "gates": [{"metric": "fpr", "limit": 0.1}],
        "validators": [{"name": "own", "spec": "pandera:suites:own"}],
    }
    asked = Asked(validators=ONE, roots=[tmp_path], file=file, seed=9, gates=[gate_of("fnr<=1")])
    e = build(view(Feature(name="trips"), Feature(name="note", ignore=True)), NAMES, asked)
    assert (e.name, e.seed, e.ignore, e.preset, e.history.count) == ("mine", 9, ["note", "grade"], None, 4)
    assert (e.contract.row_order, e.contract.extra_columns) == (True, True)
    assert [v.name for v in e.validators] == ["own", "pandera"]
    assert [g.metric for g in e.gates] == ["fpr", "fnr"]
    assert build(view(), NAMES, Asked(file=file, roots=[tmp_path], history=7)).history.count == 7


def test_what_cannot_be_an_experiment_is_refused(tmp_path):
    with pytest.raises(ExperimentError, match="key, time: the view fills this in"):
        build(view(), NAMES, Asked(validators=ONE, roots=[tmp_path], file={"key": ["x"], "time": "y"}))
    with pytest.raises(ExperimentError, match="no validator"):
        build(view(), NAMES, Asked(roots=[tmp_path]))
    with pytest.raises(ExperimentError, match="30 windows are fewer than a history of 30 and one more"):
        build(view(), NAMES, Asked(validators=ONE, roots=[tmp_path], history=30))
    with pytest.raises(ExperimentError, match="unknown key; did you mean 'severities'"):
        build(view(), NAMES, Asked(validators=ONE, roots=[tmp_path], file={"severites": [1]}))
    for slip in (
        {"validators": "x"},
        {"validators": ["x"]},
        {"budget": [1]},
        {"contract": "rows"},
        {"gates": {"a": 1}},
    ):
        with pytest.raises(ExperimentError, match=next(iter(slip))):
            build(view(), NAMES, Asked(validators=ONE, roots=[tmp_path], file=slip))


def test_a_file_that_is_no_mapping_is_refused(tmp_path):
    file = tmp_path / "chaos.yaml"
    for text, said in (("- a", "must hold a mapping"), ("a: [", "cannot be read"), ("seed: 1\nseed: 2", "there twice")):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(ExperimentError, match=said):
            read_mapping(file)
    file.write_text("incidents: [{batch: 2024-05-03, reason: flood}]", encoding="utf-8")
    e = build(view(), NAMES, Asked(validators=ONE, roots=[tmp_path], file=read_mapping(file)))
    assert e.incidents[0].batch == "2024-05-03"


def test_without_feast_the_extra_is_named(tmp_path, monkeypatch):
    (tmp_path / "feature_store.yaml").write_text("project: p", encoding="utf-8")
    monkeypatch.setitem(sys.modules, "feast", None)
    before = Path.cwd()
    with pytest.raises(MissingExtraError, match=r"pip install 'pipechaos\[feast\]'"), opened_repository(tmp_path):
        pass
    assert Path.cwd() == before


@pytest.mark.parametrize("text", ["fnr", "fnr<0.4", "fnr<=2", "fnr<=", "recall<=0.4", "fnr<=1.2.3", "fnr<=nan"])
def test_a_gate_that_reads_otherwise_is_refused(text):
    with pytest.raises(ConfigError, match="METRIC<=LIMIT"):
        gate_of(text)


def test_the_digest_does_not_know_where_the_batches_lie(tmp_path):
    found = []
    for place in ("a", "b"):
        folder = tmp_path / place
        folder.mkdir()
        roots = [tmp_path / f"code-{place}"]
        roots[0].mkdir()
        link_roots(roots, folder)
        e = build(view(), NAMES, Asked(validators=ONE, roots=roots))
        assert (folder / e.roots[0]).resolve() == roots[0]
        found.append(e.digest)
    assert found[0] == found[1]
