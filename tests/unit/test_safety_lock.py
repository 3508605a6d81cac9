"""One lock per target: one holder at a time, whoever dies, waits or races."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pipechaos.errors import ConfigError
from pipechaos.safety import process
from pipechaos.safety.lock import LockedError, target_lock
from pipechaos.safety.process import Holder

TARGET = "s3://lake/flights"

CHILD = """
import os, sys, time
from pipechaos.safety.lock import target_lock

with target_lock(sys.argv[1], sys.argv[2], lease_seconds=float(sys.argv[3]), owner="child"):
    print("held", flush=True)
    sys.stdin.readline()
"""

RACER = """
import sys
from pipechaos.safety.lock import LockedError, target_lock

sys.stdin.readline()  # all at once
try:
    with target_lock(sys.argv[1], sys.argv[2], lease_seconds=1000):
        print("won", flush=True)
        sys.stdin.readline()
except LockedError:
    print("lost", flush=True)
"""


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def hold(folder, clock, target=TARGET, lease=60.0):
    return target_lock(folder, target, lease_seconds=lease, clock=clock, owner="alice")


@pytest.fixture
def take(clock):
    """Takes a lock and keeps it until the test has ended."""
    kept = []

    def one(folder, target=TARGET, lease=60.0, clock=clock):
        kept.append((folder, hold(folder, clock, target, lease)))
        return kept[-1][1].__enter__()

    yield one
    for folder, context in kept:
        for file in locks(folder):
            file.unlink()
        context.__exit__(None, None, None)


def start(script, *args):
    command = [sys.executable, "-c", script, *map(str, args)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def locks(folder):
    return sorted(folder.glob("*.lock"))


def test_a_target_is_held_once_and_free_again_afterwards(tmp_path, clock):
    with hold(tmp_path, clock), pytest.raises(LockedError, match=r"held by alice .* for another 60 s"):
        hold(tmp_path, clock).__enter__()
    assert locks(tmp_path) == []
    with hold(tmp_path, clock):
        pass


def test_it_is_free_again_when_the_block_fails(tmp_path, clock):
    with pytest.raises(ZeroDivisionError), hold(tmp_path, clock):
        raise ZeroDivisionError
    assert locks(tmp_path) == []


def test_targets_are_told_apart_whatever_they_are_called(tmp_path, clock, take):
    names = ["a/b", "a-b", "../x", "..", "x" * 5000, "\ud800", "a\nb", "A/b"]
    for name in names:
        take(tmp_path / "locks", name)
    assert len(locks(tmp_path / "locks")) == len(names)
    assert [p.name for p in tmp_path.iterdir()] == ["locks"]


def test_a_lease_that_ran_out_is_taken_over_and_the_old_holder_is_told(tmp_path, clock):
    with hold(tmp_path, clock) as old:
        clock.now += 59.9
        with pytest.raises(LockedError):
            hold(tmp_path, clock).__enter__()
        clock.now += 0.1
        with hold(tmp_path, clock) as new:
            with pytest.raises(LockedError, match="was lost"):
                old.renew()
            old.release()  # not its own any more
            assert len(locks(tmp_path)) == 1
            new.renew()
        assert locks(tmp_path) == []
        with pytest.raises(LockedError, match="its lock file is gone"):
            old.renew()


def test_a_lease_that_is_renewed_goes_on(tmp_path, clock):
    with hold(tmp_path, clock) as lock:
        for _ in range(5):
            clock.now += 59
            lock.renew()
        with pytest.raises(LockedError):
            hold(tmp_path, clock).__enter__()


def test_a_process_that_was_killed_holds_nothing(tmp_path, clock):
    child = start(CHILD, tmp_path, TARGET, 1e6)
    try:
        assert child.stdout.readline() == "held\n"
        with pytest.raises(LockedError, match="held by child"):
            hold(tmp_path, clock).__enter__()
        child.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, and its number still taken
        with hold(tmp_path, clock):
            pass
    finally:
        child.kill()
        child.communicate()


def rewritten(folder, **holder):
    (file,) = locks(folder)
    data = json.loads(file.read_text())
    data["holder"] |= holder
    file.write_text(json.dumps(data))


def test_a_number_that_another_process_has_by_now_is_no_holder(tmp_path, clock, take):
    take(tmp_path)
    rewritten(tmp_path, began="another boot:1")
    with hold(tmp_path, clock):
        pass


@pytest.mark.parametrize("holder", [{"began": ""}, {"host": "elsewhere", "pid": 2**22 + 5, "began": "x"}])
def test_in_doubt_a_process_is_there(tmp_path, clock, take, holder):
    take(tmp_path)
    rewritten(tmp_path, **holder)
    with pytest.raises(LockedError):
        hold(tmp_path, clock).__enter__()


def test_two_containers_of_one_name_do_not_judge_each_others_processes(tmp_path, clock, take, monkeypatch):
    take(tmp_path)
    rewritten(tmp_path, pid=2**22 + 5)  # no such process here
    here = Holder.here().host
    monkeypatch.setattr(process, "_host", lambda: here.replace("pid:", "pid:other"))
    with pytest.raises(LockedError):
        hold(tmp_path, clock).__enter__()
    monkeypatch.undo()
    take(tmp_path)


def test_the_start_of_a_process_is_that_of_the_kernel():
    text = Path("/proc/self/stat").read_text()
    assert Holder.here().began.rpartition(":")[2] == text.rpartition(")")[2].split()[19]
    assert not Holder.here().gone()


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"target": 1}', b"\xff", None],
    ids=["empty", "torn", "list", "keys", "bytes", "nan"],
)
def test_a_lock_file_that_cannot_be_understood_holds(tmp_path, clock, take, content):
    take(tmp_path)
    (file,) = locks(tmp_path)
    if content is None:
        content = json.dumps(json.loads(file.read_text()) | {"until": float("nan")}).encode()
    file.write_bytes(content)
    with pytest.raises(LockedError, match="counts as held"):
        hold(tmp_path, clock).__enter__()


@pytest.mark.parametrize("lease", [0, -1, float("nan"), float("inf")])
def test_leases_that_are_none(tmp_path, clock, lease):
    with pytest.raises(ConfigError, match="lease"):
        hold(tmp_path, clock, lease=lease).__enter__()


@pytest.mark.parametrize("stale", [False, True])
def test_of_two_processes_one_wins(tmp_path, stale, take):
    if stale:
        take(tmp_path, lease=1.0)  # long ago
    racers = [start(RACER, tmp_path, TARGET) for _ in range(2)]
    try:
        for racer in racers:
            racer.stdin.write("go\n")
            racer.stdin.flush()
        assert sorted(racer.stdout.readline() for racer in racers) == ["lost\n", "won\n"]
    finally:
        for racer in racers:
            racer.communicate("end\n", timeout=240)
    assert locks(tmp_path) == []


@pytest.mark.parametrize("stale", [False, True])
def test_of_many_threads_one_wins_every_time(tmp_path, stale, take):
    for turn in range(20):
        folder = tmp_path / str(turn)
        if stale:
            take(folder, lease=1.0)
        gate, won, lost = threading.Barrier(8), [], []

        def work(folder=folder, gate=gate, won=won, lost=lost):
            gate.wait()
            try:
                take(folder, lease=1000, clock=time.time)
                won.append(1)
            except LockedError:
                lost.append(1)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert (len(won), len(lost)) == (1, 7)


def test_a_host_that_does_not_share_the_guard_cannot_take_a_free_target_twice(tmp_path, clock, take, monkeypatch):
    take(tmp_path)
    monkeypatch.setattr("pipechaos.safety.lock._read", lambda file: None)  # it looked a moment too early
    with pytest.raises(LockedError, match="at the same moment"):
        hold(tmp_path, clock).__enter__()
    assert len(list(tmp_path.iterdir())) == 2  # lock and guard, nothing that waits
