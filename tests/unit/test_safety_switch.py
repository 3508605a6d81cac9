"""The kill switch: released only where every source says so in so many words."""

import datetime as dt
import json
import os
import pickle
import threading

import pytest

from pipechaos.errors import CannotRunError
from pipechaos.safety.switch import FileSource, Halted, HaltOrder, KillSwitch, engage, read_answer, release

NOW = dt.datetime(2026, 3, 1, 12, 30, 15, tzinfo=dt.UTC)


def halted(switch):
    with pytest.raises(Halted) as held:
        switch.check()
    return str(held.value)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "halt"


def test_no_file_is_released_and_a_file_is_engaged_with_who_when_and_why(file):
    switch = KillSwitch(FileSource(path=file))
    switch.check()
    assert switch.orders() == ()
    assert engage(file, reason="incident 7", who="ops", now=NOW)
    message = halted(switch)
    assert "by ops since 2026-03-01T12:30:15+00:00" in message
    assert "incident 7" in message
    assert f"delete {file}" in message
    assert release(file)
    switch.check()
    assert not release(file)


def test_a_halt_that_stands_is_not_overwritten(file):
    engage(file, reason="first", who="a", now=NOW)
    assert not engage(file, reason="second", who="b", now=NOW)
    assert json.loads(file.read_text())["reason"] == "first"


@pytest.mark.parametrize("content", [b"", b"off", b"\xff\x00\xfe", b"[1]", b'{"who": {"a": 1}}', b"{" * 100_000])
def test_a_file_engages_whatever_it_holds(file, content):
    file.write_bytes(content)
    assert len(halted(KillSwitch(FileSource(path=file)))) < 1000


def test_what_is_no_plain_file_engages_and_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")  # opening one waits for a writer
    (tmp_path / "folder").mkdir()
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    for name in ("pipe", "folder", "nowhere"):
        halted(KillSwitch(FileSource(path=tmp_path / name)))


def test_a_file_that_cannot_be_looked_for_engages(tmp_path, monkeypatch):
    (tmp_path / "plain").touch()
    assert "counts as on" in halted(KillSwitch(FileSource(path=tmp_path / "plain" / "halt")))
    assert "counts as on" in halted(KillSwitch(FileSource(path=tmp_path / ("x" * 300))))
    assert "counts as on" in halted(KillSwitch(FileSource(path=tmp_path / "a\0b")))

    def denied(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr("pathlib.Path.lstat", denied)  # root may look everywhere
    assert "Permission denied" in halted(KillSwitch(FileSource(path=tmp_path / "halt")))


def test_a_file_on_a_mount_that_is_lost_engages(tmp_path):
    place = tmp_path / "mount"
    switch = KillSwitch(FileSource(path=place / "halt", within=place))
    assert f"bring {place} back" in halted(switch)
    place.mkdir()
    switch.check()


@pytest.mark.parametrize("answer", [False, 0, "off", " OFF\n", "false", "no", "0", "go", "released"])
def test_answers_that_release(answer):
    assert read_answer(answer, "s") is None


@pytest.mark.parametrize(
    "answer",
    [True, 1, "on", "On ", "true", "yes", "1", "halt", None, "", "  ", "onn", "null", "[]", 2, -1, 0.0, float("nan"),
     b"off", [], {}, {"engaged": False}, '{"reason": "r"}', object()],
)  # fmt: skip
def test_everything_else_engages(answer):
    assert isinstance(read_answer(answer, "s"), HaltOrder)
    halted(KillSwitch({"s": lambda: answer}))


def test_a_variable_may_hold_json():
    order = read_answer('{"reason": "incident", "who": "ops", "since": "noon"}', "variable halt", "delete it")
    assert order == HaltOrder(source="variable halt", reason="incident", who="ops", since="noon", release="delete it")


@pytest.mark.parametrize("error", [OSError("down"), KeyError("x"), ValueError(), RuntimeError("a\x1b[31m" * 1000)])
def test_a_source_that_raises_engages(error):
    def ask():
        raise error

    message = halted(KillSwitch({"variable": ask}, release={"variable": "mend it"}))
    assert type(error).__name__ in message
    assert "mend it" in message
    assert len(message) < 1000


def test_any_source_is_enough_and_all_are_told(file):
    said = {"a": "off", "b": "off"}
    switch = KillSwitch({"a": lambda: said["a"], "file": FileSource(path=file), "b": lambda: said["b"]})
    switch.check()
    said["b"] = "on"
    file.touch()
    assert [o.source for o in switch.orders()] == [f"file {file}", "b"]
    said["a"] = None
    assert "(a)" in halted(switch)


def test_a_release_is_remembered_only_so_long_and_a_halt_never(file):
    time, said, calls = [0.0], ["off"], []

    def ask():
        calls.append(1)
        return said[0]

    switch = KillSwitch({"v": ask, "f": FileSource(path=file)}, remember_seconds=5, clock=lambda: time[0])
    for now in (0, 1, 4.9):
        time[0] = now
        switch.check()
    assert len(calls) == 1
    file.touch()  # a file is looked at every time
    halted(switch)
    file.unlink()
    said[0], time[0] = "on", 5.0
    halted(switch)
    said[0] = "off"
    switch.check()
    assert len(calls) == 3
    time[0] = 4.0  # a clock that goes back proves nothing
    switch.check()
    assert len(calls) == 4


def test_a_halt_is_no_verdict_and_travels_between_processes():
    error = Halted(HaltOrder(source="s", reason="r", who="w"))
    assert isinstance(error, CannotRunError)
    assert error.exit_code == 3
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert (str(again), again.order) == (str(error), error.order)


def test_threads_ask_one_after_the_other():
    inside, most = [], []
    gate = threading.Barrier(4)

    def ask():
        inside.append(1)
        most.append(len(inside))
        inside.pop()
        return "off"

    switch = KillSwitch({"v": ask})

    def work():
        gate.wait()
        for _ in range(200):
            switch.check()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(most) == 800
    assert max(most) == 1
