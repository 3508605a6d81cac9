"""Exclusion windows against clocks on the wall, minute by minute."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pipechaos.errors import ConfigError, UnknownNameError
from pipechaos.safety.switch import Halted
from pipechaos.safety.windows import Exclusions, Window

NAMES = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
MINUTE, DAY = dt.timedelta(minutes=1), dt.timedelta(days=1)
# zone -> days without and with a change of clocks
QUIET = {
    "UTC": (2024, 2, 28),
    "Asia/Kathmandu": (2024, 12, 31),
    "Europe/Berlin": (2024, 6, 30),
    "America/St_Johns": (2023, 1, 31),
}
SHIFTS = {
    "Europe/Berlin": [(2024, 3, 31), (2024, 10, 27)],
    "Australia/Lord_Howe": [(2024, 4, 7), (2024, 10, 6)],
    "America/Sao_Paulo": [(2018, 11, 4), (2018, 2, 18)],
    "Africa/Cairo": [(2024, 4, 26), (2024, 11, 1)],
}


def text(minute):
    return f"{minute // 60:02}:{minute % 60:02}"


@st.composite
def entries(draw, zones):
    zone = draw(st.sampled_from(sorted(zones)))
    day = dt.date(*draw(st.sampled_from(zones[zone])))
    start, end = draw(st.lists(st.integers(0, 1439), min_size=2, max_size=2, unique=True))
    entry = {"reason": "r", "zone": zone, "from": text(start), "to": text(end)}
    if draw(st.booleans()):
        entry["weekdays"] = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    if draw(st.booleans()):
        entry["first"] = str(day + draw(st.integers(-2, 2)) * DAY)
    if draw(st.booleans()):
        entry["last"] = str(day + draw(st.integers(2, 3)) * DAY)
    return entry, day, start, end


def on_the_wall(entry, start, end, local):
    """Whether a clock on the wall shows a time in the window: on its day, or on the next one after midnight."""

    def begins(day):
        first, last = entry.get("first", "0001-01-01"), entry.get("last", "9999-12-31")
        return NAMES[day.weekday()] in entry.get("weekdays", NAMES) and first <= str(day) <= last

    at = local.hour * 60 + local.minute
    if start < end:
        return begins(local.date()) and start <= at < end
    return (begins(local.date()) and at >= start) or (begins(local.date() - DAY) and at < end)


def minutes(day, zone):
    begin = dt.datetime.combine(day, dt.time(), ZoneInfo(zone)).astimezone(dt.UTC) - DAY
    return [begin + i * 7 * MINUTE for i in range(3 * 24 * 60 // 7)] + [begin + i * MINUTE for i in range(1380, 1740)]


@settings(max_examples=40, deadline=None)
@given(entries({zone: [day] for zone, day in QUIET.items()}))
def test_where_clocks_go_evenly_it_is_what_the_wall_says(case):
    entry, day, start, end = case
    window, zone = Window.of(entry), ZoneInfo(entry["zone"])
    for now in minutes(day, entry["zone"]):
        assert window.covers(now) == on_the_wall(entry, start, end, now.astimezone(zone)), now


@settings(max_examples=60, deadline=None)
@given(entries(SHIFTS))
def test_where_clocks_jump_it_is_never_shorter_and_longer_by_the_jump_only(case):
    entry, day, start, end = case
    window, zone = Window.of(entry), ZoneInfo(entry["zone"])
    for now in minutes(day, entry["zone"]):  # no jump of these zones is longer than an hour
        covered, wall = window.covers(now), on_the_wall(entry, start, end, now.astimezone(zone))
        assert covered or not wall, now
        if covered and not wall:
            offsets = {(now + d).astimezone(zone).utcoffset() for d in (-DAY, DAY)}  # before and after the jump
            near = (now.replace(tzinfo=None) + o + m * MINUTE for m in range(-60, 61) for o in offsets)
            assert any(on_the_wall(entry, start, end, local) for local in near), now


def covered(entry, zone, *times):
    window = Window.of({"reason": "r", "zone": zone, **entry})
    return [window.covers(dt.datetime.fromisoformat(t + "+00:00")) for t in times]


def test_clocks_put_forward_in_berlin():
    """02:00 CET = 01:00 UTC is followed by 03:00 CEST: 02:15 may mean 00:15 or 01:15 UTC, 02:45 then 00:45 or 01:45."""
    night = {"from": "02:15", "to": "02:45"}
    day = "2024-03-31T"
    got = covered(night, "Europe/Berlin", *(day + t for t in ("00:14", "00:15", "01:00", "01:44", "01:45")))
    assert got == [False, True, True, True, False]


def test_clocks_put_back_in_berlin():
    """02:15 to 02:45 is 00:15 to 00:45 UTC and again 01:15 to 01:45 UTC; what lies between counts too."""
    night = {"from": "02:15", "to": "02:45"}
    day = "2024-10-27T"
    got = covered(night, "Europe/Berlin", *(day + t for t in ("00:14", "00:15", "01:00", "01:44", "01:45")))
    assert got == [False, True, True, True, False]


def test_a_jump_of_half_an_hour():
    """Lord Howe, 7 April 2024: 02:00 becomes 01:30 again, at 15:00 UTC of the day before."""
    got = covered(
        {"from": "01:30", "to": "02:00"}, "Australia/Lord_Howe",
        *(f"2024-04-06T{t}" for t in ("14:29", "14:30", "15:00", "15:29", "15:30")),
    )  # fmt: skip
    assert got == [False, True, True, True, False]


def test_a_window_over_midnight_belongs_to_the_day_it_begins_on():
    friday = {"weekdays": ["fri"], "from": "22:00", "to": "02:00", "last": "2024-03-01"}
    first = ["2024-03-01T01:59", "2024-03-01T22:00", "2024-03-02T01:59", "2024-03-02T02:00"]
    got = covered(friday, "UTC", *first, "2024-03-02T22:00", "2024-03-08T23:00")
    assert got == [False, True, True, False, False, False]


def test_days_are_whole_without_times_and_both_ends_count():
    got = covered(
        {"first": "2024-12-20", "last": dt.date(2025, 1, 2)}, "America/New_York",
        "2024-12-20T04:59", "2024-12-20T05:00", "2025-01-03T04:59", "2025-01-03T05:00",
    )  # fmt: skip
    assert got == [False, True, True, False]


@pytest.mark.parametrize("edge", [dt.datetime.min, dt.datetime.max])
def test_times_at_the_end_of_the_calendar_are_an_error_and_not_free(edge):
    with pytest.raises(ConfigError, match="out of any calendar"):
        Window.of({"reason": "r", "zone": "UTC", "weekdays": NAMES}).covers(edge.replace(tzinfo=dt.UTC))


def test_times_without_quotes_in_yaml_mean_the_same():
    data = yaml.safe_load("[{reason: r, zone: UTC, from: 22:00, to: 06:30, first: 2024-01-01}]")
    assert data[0]["from"] == 22 * 60  # base 60, says YAML 1.1
    window = Exclusions.of(data).windows[0]
    assert (window.start, window.end, window.first) == (22 * 60, 390, dt.date(2024, 1, 1))
    assert Window.of({"reason": "r", "zone": "UTC", "from": "18:00", "to": "24:00"}).end == 1440


GOOD = {"reason": "r", "zone": "UTC", "weekdays": ["mon"]}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"zone": None}, "needs `zone`"),
        ({"zone": "Europe/Berlim"}, "did you mean 'Europe/Berlin'"),
        ({"zone": "../etc/passwd"}, "unknown time zone"),
        ({"reason": " "}, "needs `reason`"),
        ({"weekday": ["mon"]}, "did you mean 'weekdays'"),
        ({"weekdays": []}, "weekdays are a list"),
        ({"weekdays": "mon"}, "weekdays are a list"),
        ({"weekdays": ["Monday"]}, "unknown weekday 'Monday'"),
        ({"from": "10:00"}, "both `from` and `to`"),
        ({"from": "10:00", "to": "10:00"}, "two different times"),
        ({"from": "24:00", "to": "10:00"}, "two different times"),
        ({"from": "1:00", "to": "10:00"}, "a time is HH:MM"),
        ({"from": "10:60", "to": "11:00"}, "a time is HH:MM"),
        ({"from": "10:00", "to": "24:01"}, "a time is HH:MM"),
        ({"from": True, "to": "10:00"}, "a time is HH:MM"),
        ({"from": 1441, "to": "10:00"}, "a time is HH:MM"),
        ({"from": "\u0967\u0966:\u0966\u0966", "to": "11:00"}, "a time is HH:MM"),
        ({"first": "2024-02-30"}, "there is no day"),
        ({"first": "2024-1-1"}, "a day is YYYY-MM-DD"),
        ({"first": dt.datetime(2024, 1, 1)}, "a day is YYYY-MM-DD"),
        ({"first": "2024-02-02", "last": "2024-02-01"}, "is before the first"),
    ],
)
def test_what_is_wrong_is_said_when_it_is_read(change, says):
    with pytest.raises(ConfigError, match=says):
        Exclusions.of([GOOD | change])


@pytest.mark.parametrize("data", ["mon", GOOD, ["mon"], None])
def test_other_shapes_are_refused(data):
    with pytest.raises(ConfigError):
        Exclusions.of(data)


def test_a_window_without_an_end_is_refused():
    with pytest.raises(ConfigError, match="for ever"):
        Exclusions.of([{"reason": "r", "zone": "UTC"}])


def test_the_reason_of_the_first_that_holds_and_a_halt():
    at = dt.datetime(2024, 3, 4, 12, tzinfo=dt.UTC)  # a Monday
    found = Exclusions.of([GOOD | {"weekdays": ["tue"], "reason": "a"}, GOOD | {"reason": "b"}, GOOD | {"reason": "c"}])
    assert found.excluded(at) == "b"
    assert found.excluded(at + 5 * DAY) is None
    with pytest.raises(Halted, match=r"exclusion window.*: b"):
        found.check(at)
    found.check(at + 5 * DAY)
    with pytest.raises(ConfigError, match="no time zone"):
        found.excluded(dt.datetime(2024, 3, 9))
    with pytest.raises(ConfigError, match="no time zone"):
        Exclusions().check(dt.datetime(2024, 3, 9))
    with pytest.raises(UnknownNameError):
        Window(reason="r", zone="Mars/Olympus")
