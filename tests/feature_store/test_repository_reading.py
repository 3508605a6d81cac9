"""A real Feast repository is read, and left as it was."""

import datetime as dt
import os
import sys
from pathlib import Path

import pandas as pd
import pytest

from pipechaos.errors import CannotRunError, ConfigError, UnknownNameError
from pipechaos.feast.batches import canonical
from pipechaos.feast.repository import opened_repository
from pipechaos.feast.view import Feature
from pipechaos.feast.windows import windows

DAY = dt.date(2024, 5, 7)
KEY = ["driver_id", "city", "event_timestamp"]
FEATURES = ["trips", "grade", "zeros", "tip", "rate", "note"]


def day_of(repo, view="rides", day=DAY):
    """A view and its rows of one day."""
    with opened_repository(repo) as repository:
        found = repository.view(view)
        span = windows(day, day)[0]
        return found, canonical(repository.pull(found, span), found, span)


def changed(definitions, old, new):
    assert old in definitions
    return definitions.replace(old, new)


def test_a_view_as_it_is_declared(place):
    with opened_repository(place / "feature_repo") as repository:
        view = repository.view("rides")
    assert (view.project, view.name, view.source) == ("taxis", "rides", "rides_file")
    assert view.key == tuple(KEY)
    assert view.features == (
        Feature(name="trips"),
        Feature(name="grade"),
        Feature(name="zeros"),
        Feature(name="tip", target=True),
        Feature(name="rate"),
        Feature(name="note", ignore=True),
    )


def test_a_day_is_the_source_s_day(place, source):
    _, table = day_of(place / "feature_repo")
    at = source["event_timestamp"]
    expected = source[(at >= "2024-05-07") & (at < "2024-05-08")].sort_values(KEY, ignore_index=True)
    assert len(expected) == 200
    assert table.column_names == [*KEY, *FEATURES]
    got = table.to_pandas()
    assert str(got["event_timestamp"].dtype) == "datetime64[us, UTC]"
    assert got["event_timestamp"].min() == pd.Timestamp("2024-05-07", tz="UTC")  # and not the next midnight's row
    for name in [*KEY, *FEATURES]:
        assert got[name].tolist() == expected[name].tolist(), name
    assert got.dtypes.astype(str).to_dict() == {
        "driver_id": "int64",
        "city": "object",
        "event_timestamp": "datetime64[us, UTC]",
        "trips": "int64",
        "grade": "object",
        "zeros": "float64",
        "tip": "float64",
        "rate": "float32",
        "note": "object",
    }


def test_the_newest_row_before_a_moment(place):
    with opened_repository(place / "feature_repo") as repository:
        view = repository.view("rides")
        whole = repository.newest(view, dt.datetime(2030, 1, 1, tzinfo=dt.UTC))
        early = repository.newest(view, dt.datetime(2024, 5, 4, tzinfo=dt.UTC))
        none = repository.newest(view, dt.datetime(2024, 5, 1, tzinfo=dt.UTC))
    assert whole.date() == dt.date(2024, 5, 30)
    assert early.date() == dt.date(2024, 5, 3)  # the fourth begins with a row at midnight, which is not before it
    assert none is None


def test_nothing_is_written_and_the_process_is_as_it_was(place, monkeypatch, fingerprint):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    repo = place / "feature_repo"
    before = fingerprint(repo)
    cwd, path, folders = Path.cwd(), list(sys.path), {p for p in repo.rglob("*") if p.is_dir()}
    day_of(repo)
    assert fingerprint(repo) == before
    assert {p for p in repo.rglob("*") if p.is_dir()} == folders  # no __pycache__ either
    assert (Path.cwd(), sys.path) == (cwd, path)
    assert "rides_defs" not in sys.modules
    assert not sys.dont_write_bytecode
    assert sys.modules["feast"].__file__ != sys.modules["pipechaos.feast"].__file__  # the real one


def test_a_relative_path_starts_from_the_repository(place, monkeypatch, tmp_path):
    monkeypatch.chdir(place)
    view, table = day_of("feature_repo/feature_store.yaml")
    assert (view.name, table.num_rows) == ("rides", 200)
    monkeypatch.chdir(tmp_path)
    assert day_of(os.path.relpath(place / "feature_repo"))[1].num_rows == 200


def test_features_that_nobody_declares_are_taken_from_the_source(repository, definitions):
    start, end = definitions.index("    schema=["), definitions.index("    ],\n)") + len("    ],\n")
    view, table = day_of(repository(definitions[:start] + definitions[end:]))
    assert [f.name for f in view.features] == ["note", "rate", "trips", "unused", "zeros", "grade", "tip"]
    assert table.num_rows == 200


def test_mapped_columns_bear_the_name_of_the_view(repository, definitions, source):
    mapped = changed(
        definitions,
        'timestamp_field="event_timestamp"',
        'timestamp_field="event_timestamp", field_mapping={"n": "trips", "ts": "event_timestamp", "who": "driver_id"}',
    )
    frame = source.rename(columns={"trips": "n", "event_timestamp": "ts", "driver_id": "who"})
    view, table = day_of(repository(mapped, frame))
    assert view.key == tuple(KEY)
    plain = source[source["event_timestamp"].dt.day == 7].sort_values(KEY)
    assert table.column("trips").to_pylist() == plain["trips"].tolist()


def test_a_view_without_entities_has_the_time_as_its_key(repository, definitions):
    repo = repository(changed(definitions, "    entities=[driver, city],\n", ""))
    view, table = day_of(repo)
    with opened_repository(repo) as opened:
        assert opened.newest(view, dt.datetime(2024, 5, 4, tzinfo=dt.UTC)).date() == dt.date(2024, 5, 3)
    assert view.key == ("event_timestamp",)
    assert table.column_names == ["event_timestamp", *FEATURES]
    assert table.num_rows == 200


def test_created_timestamps_order_rows_of_one_key(repository, definitions, source):
    later = source[source["event_timestamp"].dt.day == 7].assign(made=pd.Timestamp("2024-06-02", tz="UTC"), trips=7)
    frame = pd.concat([later, source.assign(made=pd.Timestamp("2024-06-01", tz="UTC"))])
    made = changed(
        definitions,
        'timestamp_field="event_timestamp"',
        'timestamp_field="event_timestamp", created_timestamp_column="made"',
    )
    view, table = day_of(repository(made, frame))
    assert view.created == "made"
    assert table.num_rows == 400
    assert table.column_names == [*KEY, *FEATURES]
    assert set(table.column("trips").to_pylist()[1::2]) == {7}


def test_a_push_source_has_batches_behind_it(repository, definitions):
    pushed = changed(definitions, "import Entity,", "import PushSource, Entity,")
    pushed = changed(pushed, "source=rides_file,", 'source=PushSource(name="live", batch_source=rides_file),')
    assert day_of(repository(pushed))[1].num_rows == 200


# --- refusals ---------------------------------------------------------------------------------------------------------


def refused(repo, view="rides"):
    with pytest.raises((ConfigError, CannotRunError)) as caught:
        day_of(repo, view)
    return caught.value


def test_an_unknown_view(place):
    error = refused(place / "feature_repo", "ride")
    assert isinstance(error, UnknownNameError)
    assert "did you mean 'rides'?" in str(error)


def test_a_declared_feature_that_the_source_lacks(repository, source):
    error = refused(repository(frame=source.drop(columns="rate").rename(columns={"tip": "tips"})))
    assert error.exit_code == 3
    assert "'tip' (did you mean 'tips'?), 'rate'" in str(error)
    assert "Feast itself does not say so" in str(error)


def test_a_join_key_that_the_source_lacks(repository, source):
    error = refused(repository(frame=source.drop(columns="city")))
    assert error.exit_code == 3
    assert "'city'" in str(error)


def test_a_time_that_is_none(repository, source):
    error = refused(repository(frame=source.assign(event_timestamp="yesterday")))
    assert error.exit_code == 3


def test_an_entity_that_nobody_defines(repository, definitions):
    inline = changed(definitions, "entities=[driver, city]", 'entities=[driver, Entity(name="c", join_keys=["city"])]')
    assert "unknown entity 'c'" in str(refused(repository(inline)))


def test_a_source_file_that_is_not_there(repository):
    error = refused(repository(frame=None))
    assert error.exit_code == 3
    assert "the source 'rides_file' of view 'rides' cannot be read" in str(error)


def test_an_on_demand_view_has_no_source(repository, definitions):
    demand = (
        definitions
        + """
import pandas as pd
from feast.on_demand_feature_view import on_demand_feature_view


@on_demand_feature_view(sources=[rides], schema=[Field(name="twice", dtype=Float64)])
def doubled(inputs: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"twice": inputs["tip"] * 2})
"""
    )
    error = refused(repository(demand), "doubled")
    assert error.exit_code == 2
    assert "on-demand feature view 'doubled' has no offline source" in str(error)
    assert "views that have one: rides" in str(error)


def test_a_view_without_any_source(repository, definitions):
    error = refused(repository(changed(definitions, "    source=rides_file,\n", "")))
    assert error.exit_code == 2
    assert "no offline source" in str(error)


@pytest.mark.parametrize("code", ["raise RuntimeError('out of paper')", "raise SystemExit('out of paper')"])
def test_definitions_that_fail(repository, definitions, code):
    cwd = Path.cwd()
    error = refused(repository(definitions + code))
    assert error.exit_code == 3
    assert "out of paper" in str(error)
    assert Path.cwd() == cwd


def test_no_repository(tmp_path):
    error = refused(tmp_path)
    assert error.exit_code == 2
    assert "there is no" in str(error)


def test_a_configuration_that_feast_refuses_keeps_its_values_to_itself(repository):
    error = refused(
        repository(store="project: taxis\nregistry: r.db\nonline_store: {type: sqlite, password: hunter2}\n")
    )
    assert error.exit_code == 3
    assert "feature_store.yaml cannot be used" in str(error)
    assert "password" in str(error)
    assert "hunter2" not in str(error)


def test_a_slip_in_a_tag(repository, definitions):
    error = refused(repository(changed(definitions, "pipechaos.ignore", "pipechaos.ignored")))
    assert error.exit_code == 2
    assert "did you mean 'pipechaos.ignore'?" in str(error)
