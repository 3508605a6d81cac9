"""Killed at any step of a change or of its undo: the original comes back, and a reader never meets a half file."""

import os
import signal
import subprocess
import sys

import pytest

from pipechaos.safety.disk import Disk
from pipechaos.safety.journal import EntryState, Journal
from pipechaos.safety.live import changed_file
from pipechaos.safety.recover import file_undoers, recover

BEFORE, AFTER = b"original " * 500, b"corrupt! " * 700
LEASE = 60.0


class Killed(BaseException):
    """Stands for SIGKILL: nothing of the process does anything afterwards."""


class DyingDisk(Disk):
    """Dies before, in the middle of, or after its n-th step; looks at the file as a reader does all the while."""

    def __init__(self, at, where, watched, die=None):
        self.at, self.where, self.watched, self.steps = at, where, watched, 0
        self.names, self.dead, self._die = [], False, die

    def die(self):
        self.dead = True
        if self._die:
            self._die()
        raise Killed

    def look(self):
        assert self.watched.read_bytes() in (BEFORE, AFTER)
        visible = [p.name for p in self.watched.parent.iterdir() if not p.name.startswith(".")]
        assert visible == [self.watched.name]

    def step(self, name, whole, half=None):
        if self.dead:
            raise Killed
        self.steps += 1
        self.names.append(name)
        mine = self.steps == self.at
        if mine and self.where == "before":
            self.die()
        if mine and self.where == "middle" and half is not None:
            half()
            self.look()
            self.die()
        whole()
        self.look()
        if mine:
            self.die()

    def folder(self, path):
        self.step("folder", lambda: Disk().folder(path))

    def copy(self, source, to, *, like=None):
        half = source.read_bytes()[:100]
        self.step("copy", lambda: Disk().copy(source, to, like=like), lambda: to.write_bytes(half))

    def fill(self, to, write):
        self.step("fill", lambda: Disk().fill(to, write), lambda: to.write_bytes(AFTER[:100]))

    def append(self, path, line):
        def half():
            with path.open("ab") as file:
                file.write(line[: len(line) // 2])

        self.step("append", lambda: Disk().append(path, line), half)

    def replace(self, waiting, at):
        self.step("replace", lambda: Disk().replace(waiting, at))

    def remove(self, path):
        self.step("remove", lambda: Disk().remove(path))


CHANGE = ["folder", "copy", "fill", "folder", "append", "copy", "folder", "replace"]  # backup, new, begun, beside, made
UNDO = ["folder", "remove", "copy", "replace", "append"]
STEPS = [*CHANGE, *UNDO, "remove", "remove"]


class World:
    def __init__(self, home):
        self.home, self.file = home, home / "lake" / "a.parquet"
        self.file.parent.mkdir(parents=True)
        self.file.write_bytes(BEFORE)

    def change(self, disk, body=lambda: None):
        journal = Journal(self.home / "journal.jsonl", clock=lambda: 1000.0, disk=disk)
        with changed_file(
            journal,
            self.file,
            lambda to: to.write_bytes(AFTER),
            backups=self.home / "b",
            lease_seconds=LEASE,
            disk=disk,
        ):
            assert self.file.read_bytes() == AFTER
            body()

    def recover(self, disk=None, now=1000.0 + LEASE):
        steps = disk or Disk()
        return recover(Journal(self.home / "journal.jsonl", disk=steps), file_undoers(steps), now)

    def check_whole(self):
        assert self.file.read_bytes() == BEFORE
        assert [p.name for p in self.file.parent.iterdir()] == ["a.parquet"]  # not even hidden ones
        assert all(e.state is not EntryState.OPEN for e in Journal(self.home / "journal.jsonl").entries())


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_the_steps_are_these(world):
    disk = DyingDisk(0, "", world.file)
    world.change(disk)
    assert disk.names == STEPS
    world.check_whole()


@pytest.mark.parametrize("where", ["before", "middle", "after"])
@pytest.mark.parametrize("at", range(1, len(STEPS) + 1))
def test_killed_at_any_step_of_a_change_it_recovers_and_then_there_is_nothing_to_do(world, at, where):
    with pytest.raises(Killed):
        world.change(DyingDisk(at, where, world.file))
    assert world.file.read_bytes() in (BEFORE, AFTER)
    begun = at > 5 or (at == 5 and where == "after")
    closed = at > 13 or (at == 13 and where == "after")
    assert len(world.recover().undone) == (begun and not closed)
    world.check_whole()
    held = {p: p.read_bytes() for p in world.home.rglob("*") if p.is_file()}
    assert world.recover().undone == ()
    assert {p: p.read_bytes() for p in world.home.rglob("*") if p.is_file()} == held


@pytest.mark.parametrize("where", ["before", "middle", "after"])
@pytest.mark.parametrize("at", range(1, len(UNDO) + 1))
def test_killed_at_any_step_of_a_recovery_the_next_one_ends_it(world, at, where):
    with pytest.raises(Killed):
        world.change(DyingDisk(len(CHANGE), "after", world.file))
    assert world.file.read_bytes() == AFTER
    with pytest.raises(Killed):
        world.recover(DyingDisk(at, where, world.file))
    for again in range(2):
        assert len(world.recover().undone) == (again == 0 and not (at == len(UNDO) and where == "after"))
        world.check_whole()


def test_every_recovery_killed_one_step_later_still_ends(world):
    with pytest.raises(Killed):
        world.change(DyingDisk(len(CHANGE), "after", world.file))
    for at in range(1, len(UNDO)):  # the fourth puts the file back
        with pytest.raises(Killed):
            world.recover(DyingDisk(at, "middle", world.file))
    assert len(world.recover().undone) == 1
    world.check_whole()


CHILD = """
import os, signal, sys, time
from pathlib import Path
from pipechaos.safety.disk import Disk
from pipechaos.safety.journal import Journal
from pipechaos.safety.live import changed_file

home, at = Path(sys.argv[1]), sys.argv[2]
count = 0


def dying(name):
    real = getattr(Disk, name)

    def step(self, *args, **more):
        global count
        real(self, *args, **more)
        count += 1
        if str(count) == at:
            os.kill(os.getpid(), signal.SIGKILL)

    return step


disk = type("Dying", (Disk,), {n: dying(n) for n in ("folder", "copy", "fill", "append", "replace", "remove")})()
write = lambda to: to.write_bytes(b"corrupt! " * 700)
with changed_file(
    Journal(home / "journal.jsonl", disk=disk), home / "lake" / "a.parquet", write,
    backups=home / "b", lease_seconds=1e6, disk=disk,
):
    print("changed", flush=True)
    sys.stdin.readline()
"""  # fmt: skip


def child(world, at):
    command = [sys.executable, "-c", CHILD, world.home, str(at)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_a_process_killed_in_its_block_is_known_to_be_gone_long_before_its_lease_ends(world):
    process = child(world, "never")
    try:
        assert process.stdout.readline() == "changed\n"
        assert world.file.read_bytes() == AFTER
        assert len(world.recover(now=0.0).waiting) == 1  # it lives, and its lease runs
        assert world.file.read_bytes() == AFTER
        process.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert len(world.recover(now=0.0).undone) == 1
    finally:
        process.kill()
        process.communicate()
    world.check_whole()
    assert world.recover(now=0.0).undone == ()


@pytest.mark.parametrize("at", [4, 5, 6, 8, 11, 12, 13])
def test_really_killed_after_a_step(world, at):
    process = child(world, at)
    process.communicate("go on\n", timeout=240)
    assert process.returncode == -signal.SIGKILL
    assert len(world.recover(now=0.0).undone) == (5 <= at < 13)
    world.check_whole()
