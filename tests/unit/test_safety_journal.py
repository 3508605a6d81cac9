"""The journal and recovery: what is written first, what damage means, and that recovering twice changes nothing."""

import json
import os
import stat
import threading
from pathlib import Path

import pytest

from pipechaos.errors import CannotRunError, ConfigError
from pipechaos.safety.disk import Disk, digest_of
from pipechaos.safety.journal import EntryState, Journal, JournalError
from pipechaos.safety.live import changed_file
from pipechaos.safety.recover import UndoError, file_undoers, recover
from pipechaos.safety.undo import ABSENT, Undo, UndoKind

TABLE = Undo.drop_table("warehouse", schema="shadow", table="t")


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def journal(tmp_path, clock):
    return Journal(tmp_path / "j" / "journal.jsonl", owner="alice", clock=clock)


@pytest.fixture
def file(tmp_path):
    (tmp_path / "lake").mkdir()
    file = tmp_path / "lake" / "a.parquet"
    file.write_bytes(b"original")
    return file


def begin(journal, undo=TABLE, target="t", lease=60.0, what="a change"):
    return journal.begin(undo, what=what, target=target, lease_seconds=lease)


def states(journal):
    return [e.state.value for e in journal.entries()]


def lines(journal):
    return journal.path.read_bytes().splitlines(keepends=True)


def names(folder):
    return [p.name for p in folder.iterdir()]


def spy(calls):
    return {UndoKind.DROP_TABLE: lambda entry: calls.append(entry.what)}


# --- the journal ------------------------------------------------------------------------------------------------------


def test_an_entry_says_what_by_whom_until_when_and_how_to_undo_it(journal, clock):
    entry_id = begin(journal)
    (entry,) = Journal(journal.path).entries()
    assert (entry.entry_id, entry.what, entry.target, entry.undo) == (entry_id, "a change", "t", TABLE)
    assert (entry.begun, entry.until, entry.state) == (1000.0, 1060.0, EntryState.OPEN)
    assert (entry.holder.owner, entry.holder.pid) == ("alice", os.getpid())
    assert stat.S_IMODE(journal.path.stat().st_mode) == 0o600
    clock.now = 1050
    journal.renew(entry_id, 100)
    assert journal.entry(entry_id).until == 1150


def test_it_is_on_disk_before_the_call_returns(tmp_path):
    steps = []

    class Spy(Disk):
        def append(self, path, line):
            super().append(path, line)
            steps.append("append")

        def sync(self, path):
            steps.append(f"sync {path.name}")

    synced = []
    real = os.fsync
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            os, "fsync", lambda handle: (synced.append(str(Path(f"/proc/self/fd/{handle}").readlink())), real(handle))
        )
        begin(Journal(tmp_path / "j.jsonl", disk=Spy()))
    assert synced == [str(tmp_path / "j.jsonl")]
    assert steps == [f"sync {tmp_path.name}", "append"]


def test_done_and_undone_close_an_entry_once(journal):
    first, second = begin(journal), begin(journal)
    journal.done(first)
    journal.undone(second)
    assert states(journal) == ["done", "undone"]
    for act in (journal.done, journal.undone, lambda i: journal.renew(i, 5), journal.check):
        with pytest.raises(JournalError, match="done already"):
            act(first)
    with pytest.raises(JournalError, match="no entry"):
        journal.done("ffff")


def test_a_change_whose_lease_ran_out_must_not_be_made(journal, clock):
    entry_id = begin(journal)
    journal.check(entry_id)
    clock.now = 1060
    with pytest.raises(JournalError, match="its lease has run out"):
        journal.check(entry_id)


@pytest.mark.parametrize("cut", [1, 5, 40, None])
def test_a_last_line_that_was_cut_short_does_not_count_and_does_not_harm_the_next(journal, cut):
    kept = begin(journal, what="kept")
    begin(journal, what="cut")
    whole = lines(journal)
    journal.path.write_bytes(whole[0] + (whole[1][:cut] if cut else whole[1][:-1]))
    assert [e.what for e in journal.entries()] == ["kept"]
    begin(journal, what="next")
    assert [e.what for e in journal.entries()] == ["kept", "next"]
    assert lines(journal)[0] == whole[0]
    journal.done(kept)


def test_a_file_that_holds_only_a_cut_line(journal):
    begin(journal)
    journal.path.write_bytes(b'{"v": 1, "ev' * 1000)
    assert journal.entries() == ()
    begin(journal, what="next")
    assert [e.what for e in journal.entries()] == ["next"]


def changed(line, **change):
    return json.dumps({**json.loads(line), **change}).encode() + b"\n"


@pytest.mark.parametrize(
    "damage",
    [
        lambda a, b: [b"\n", a, b],
        lambda a, b: [a[:-5] + b"\n", b],
        lambda a, b: [a[:20] + b"\x00" + a[21:], b],
        lambda a, b: [a, b"\xff\n"],
        lambda a, b: [changed(a, target="other"), b],
        lambda a, b: [changed(a, until=2e9), b],
        lambda a, b: [changed(a, v=2), b],
        lambda a, b: [a, a, b],
        lambda a, b: [b],
        lambda a, b: [a, b, b],
        lambda a, b: [b, a],
        lambda a, b: [a, b"{}\n"],
        lambda a, b: [a, b"[" * 100_000 + b"\n"],
        lambda a, b: [a[: len(a) // 2] + b],
    ],
)
def test_any_other_damage_stops_everything(journal, damage):
    entry_id = begin(journal)
    journal.done(entry_id)
    journal.path.write_bytes(b"".join(damage(*lines(journal))))
    held, calls = journal.path.read_bytes(), []
    for act in (journal.entries, lambda: begin(journal), lambda: recover(journal, spy(calls), 1e9)):
        with pytest.raises(JournalError, match="damaged in line"):
            act()
    assert journal.path.read_bytes() == held
    assert calls == []


def test_a_full_disk_leaves_the_journal_as_it_was_and_no_change_is_begun(journal, monkeypatch):
    begin(journal)
    held, real, budget = journal.path.read_bytes(), os.write, [30]

    def write(handle, data):
        if not budget[0]:
            raise OSError(28, "No space left on device")
        some, budget[0] = data[: budget[0]], 0
        return real(handle, some)

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(OSError, match="No space"):
        begin(journal)
    assert journal.path.read_bytes() == held


def test_many_writers_lose_no_line(tmp_path):
    path = tmp_path / "j.jsonl"

    def work(name):
        mine = Journal(path)
        for n in range(10):
            entry_id = begin(mine, what=f"{name} {n}")
            mine.done(entry_id)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    found = Journal(path).entries()
    assert {e.what for e in found} == {f"{a} {b}" for a in range(4) for b in range(10)}
    assert {e.state for e in found} == {EntryState.DONE}


@pytest.mark.parametrize(
    "make",
    [
        lambda: Undo.restore_file("a", backup="/b", digest="0" * 64),
        lambda: Undo.restore_file("/a", backup="b", digest="0" * 64),
        lambda: Undo.restore_file("/a", backup="/b", digest=""),
        lambda: Undo.restore_file("/a", backup="/b", digest="0" * 64, after="0"),
        lambda: Undo.remove_file("a"),
        lambda: Undo.drop_table("postgresql://u:secret@h/d", schema="s", table="t"),
        lambda: Undo.drop_table("c", schema="", table="t"),
        lambda: Undo(kind=UndoKind.DROP_SCHEMA, arguments={"connection": "c"}),
        lambda: Undo(kind=UndoKind.REMOVE_FILE, arguments={"path": "/a", "after": "", "code": "x"}),
        lambda: Undo(kind=UndoKind.REMOVE_FILE, arguments={"path": "/a", "after": None}),
    ],
)
def test_recipes_are_checked_when_they_are_made(make):
    with pytest.raises(ConfigError):
        make()


# --- recovery ---------------------------------------------------------------------------------------------------------


def test_only_what_is_open_and_due_is_undone_the_last_first(journal, clock):
    ids = {name: begin(journal, what=name, target=name) for name in ("one", "done", "undone", "two", "three")}
    live = begin(journal, what="live", target="live", lease=1000)
    journal.done(ids["done"])
    journal.undone(ids["undone"])
    calls = []
    assert recover(journal, spy(calls), 1059.9).undone == ()
    found = recover(journal, spy(calls), 1060)
    assert calls == ["three", "two", "one"]
    assert [e.what for e in found.undone] == calls
    assert [e.entry_id for e in found.waiting] == [live]
    held = journal.path.read_bytes()
    again = recover(journal, spy(calls), 1060)
    assert (again.undone, again.failed) == ((), ())
    assert journal.path.read_bytes() == held
    assert len(calls) == 3


def test_an_undo_that_fails_is_kept_told_and_tried_again(journal):
    for name in ("a", "bad", "c"):
        begin(journal, what=name, target=name)
    broken, calls = [True], []

    def undo(entry):
        if entry.what == "bad" and broken:
            raise RuntimeError("cannot reach it")
        calls.append(entry.what)

    undoers = {UndoKind.DROP_TABLE: undo}
    found = recover(journal, undoers, 2000)
    assert calls == ["c", "a"]
    assert [(f.entry.what, f.reason) for f in found.failed] == [("bad", "cannot reach it")]
    assert [e.failure for e in journal.entries()] == ["", "cannot reach it", ""]
    held = journal.path.read_bytes()
    assert len(recover(journal, undoers, 2000).failed) == 1
    assert journal.path.read_bytes() == held
    broken.clear()
    assert [e.what for e in recover(journal, undoers, 2000).undone] == ["bad"]
    assert states(journal) == ["undone"] * 3


def test_an_earlier_change_of_a_target_waits_for_the_later_one(journal):
    begin(journal, what="first")
    begin(journal, what="second")
    begin(journal, what="else", target="other")
    calls = []

    def undo(entry):
        if entry.what == "second" and not calls.count("again"):
            raise RuntimeError("not yet")
        calls.append(entry.what)

    found = recover(journal, {UndoKind.DROP_TABLE: undo}, 2000)
    assert calls == ["else"]
    assert [e.what for e in found.waiting] == ["first"]
    calls.append("again")
    recover(journal, {UndoKind.DROP_TABLE: undo}, 2000)
    assert calls == ["else", "again", "second", "first"]


def test_a_later_change_that_is_at_work_keeps_an_earlier_one(journal):
    begin(journal, what="dead")
    begin(journal, what="at work", lease=1e6)
    calls = []
    assert [e.what for e in recover(journal, spy(calls), 2000).waiting] == ["at work", "dead"]
    assert calls == []


def test_what_nobody_here_can_undo_is_kept(journal):
    begin(journal)
    found = recover(journal, file_undoers(), 2000)
    assert "nothing here can undo drop_table" in found.failed[0].reason
    assert states(journal) == ["open"]


def test_nothing_to_recover_makes_no_file(journal):
    assert recover(journal, {}, 0.0).undone == ()
    assert not journal.path.parent.exists()


def test_a_time_that_is_none_is_an_error(journal):
    with pytest.raises(ConfigError, match="time"):
        recover(journal, {}, float("nan"))


def test_a_change_cannot_be_closed_or_made_while_it_is_undone(journal, tmp_path, monkeypatch):
    monkeypatch.setattr("pipechaos.safety.journal._WAIT", 0.0)
    entry_id, seen = begin(journal), []

    def undo(entry):
        other = Journal(journal.path)
        for act in (lambda: other.done(entry_id), lambda: begin(other), lambda: recover(other, {}, 2000)):
            with pytest.raises(CannotRunError, match="busy"):
                act()
            seen.append(1)

    recover(journal, {UndoKind.DROP_TABLE: undo}, 2000)
    assert len(seen) == 3
    assert states(journal) == ["undone"]


def test_an_undo_that_cannot_be_written_down_keeps_no_other_from_being_undone(tmp_path, clock):
    class Full(Disk):
        full = False

        def append(self, path, line):
            if self.full:
                raise OSError(28, "No space left on device")
            super().append(path, line)

    disk, calls = Full(), []
    journal = Journal(tmp_path / "j.jsonl", clock=clock, disk=disk)
    begin(journal, what="a", target="a")
    begin(journal, what="b", target="b")
    disk.full = True
    found = recover(journal, spy(calls), 2000)
    assert calls == ["b", "a"]
    assert all("No space" in f.reason for f in found.failed)
    disk.full = False
    assert len(recover(journal, spy(calls), 2000).undone) == 2


# --- files ------------------------------------------------------------------------------------------------------------


def restoring(journal, file, tmp_path, after=""):
    backup = tmp_path / "backup"
    backup.write_bytes(file.read_bytes())
    return begin(journal, Undo.restore_file(file, backup=backup, digest=digest_of(file), after=after), str(file))


def reasons(journal):
    return [f.reason for f in recover(journal, file_undoers(), 2000).failed]


def test_a_file_is_restored_with_its_rights(journal, file, tmp_path):
    file.chmod(0o640)
    backup = tmp_path / "backup"
    Disk().copy(file, backup)
    begin(journal, Undo.restore_file(file, backup=backup, digest=digest_of(file)))
    file.write_bytes(b"corrupt")
    file.chmod(0o600)
    assert reasons(journal) == []
    assert file.read_bytes() == b"original"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert names(file.parent) == ["a.parquet"]


def test_a_backup_that_is_not_what_was_there_is_not_put_back(journal, file, tmp_path):
    restoring(journal, file, tmp_path)
    file.write_bytes(b"corrupt")
    (tmp_path / "backup").write_bytes(b"origina1")
    assert "restore it by hand" in reasons(journal)[0]
    (tmp_path / "backup").unlink()
    assert "restore it by hand" in reasons(journal)[0]
    assert names(file.parent) == ["a.parquet"]
    assert file.read_bytes() == b"corrupt"


def test_a_file_that_is_as_it_was_needs_no_backup(journal, file, tmp_path):
    restoring(journal, file, tmp_path)
    (tmp_path / "backup").unlink()
    assert reasons(journal) == []
    assert states(journal) == ["undone"]


def test_what_somebody_wrote_since_is_not_lost(journal, file, tmp_path):
    (tmp_path / "after").write_bytes(b"corrupt")
    restoring(journal, file, tmp_path, after=digest_of(tmp_path / "after"))
    file.write_bytes(b"tonight's")
    assert "somebody else has written" in reasons(journal)[0]
    assert file.read_bytes() == b"tonight's"
    file.unlink()
    assert "is gone" in reasons(journal)[0]
    file.symlink_to(tmp_path / "backup")
    assert "is a link now" in reasons(journal)[0]
    file.unlink()
    file.write_bytes(b"corrupt")
    assert reasons(journal) == []
    assert file.read_bytes() == b"original"


def test_a_file_that_the_change_took_away_comes_back(journal, file, tmp_path):
    restoring(journal, file, tmp_path, after=ABSENT)
    file.unlink()
    assert reasons(journal) == []
    assert file.read_bytes() == b"original"


def test_a_file_that_was_not_there_is_removed_unless_it_is_another(journal, file):
    mine = file.with_name("b.parquet")
    mine.write_bytes(b"mine")
    begin(journal, Undo.remove_file(mine, after=digest_of(mine)))
    mine.write_bytes(b"theirs")
    assert "somebody else" in reasons(journal)[0]
    mine.write_bytes(b"mine")
    assert reasons(journal) == []
    assert not mine.exists()
    begin(journal, Undo.remove_file(file.parent / "gone" / "x"))
    assert reasons(journal) == []


# --- a file that is changed for a while -------------------------------------------------------------------------------


def change(journal, file, tmp_path, write=lambda to: to.write_bytes(b"corrupt"), lease=60.0, **more):
    return changed_file(journal, file, write, backups=tmp_path / "backups", lease_seconds=lease, **more)


def test_a_file_is_another_within_the_block_and_itself_after_it(journal, file, tmp_path):
    file.chmod(0o640)
    with change(journal, file, tmp_path):
        assert file.read_bytes() == b"corrupt"
        assert stat.S_IMODE(file.stat().st_mode) == 0o640
        assert stat.S_IMODE((tmp_path / "backups").stat().st_mode) == 0o700
        assert names(file.parent) == ["a.parquet"]
        assert states(journal) == ["open"]
    assert file.read_bytes() == b"original"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert states(journal) == ["undone"]
    assert names(tmp_path / "backups") == []


def test_it_is_itself_again_when_the_block_or_the_writing_fails(journal, file, tmp_path):
    with pytest.raises(KeyboardInterrupt), change(journal, file, tmp_path):
        raise KeyboardInterrupt

    def fails(to):
        to.write_bytes(b"half")
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"), change(journal, file, tmp_path, fails):
        pass
    assert file.read_bytes() == b"original"
    assert states(journal) == ["undone"]
    assert names(tmp_path / "backups") == []


def test_a_link_is_followed(journal, file, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(file)
    with change(journal, link, tmp_path):
        assert file.read_bytes() == b"corrupt"
    assert link.is_symlink()
    assert file.read_bytes() == b"original"


def test_a_change_whose_lease_ran_out_says_that_its_block_proves_nothing(journal, file, tmp_path, clock):
    context = change(journal, file, tmp_path)
    context.__enter__()
    clock.now = 1060
    assert len(recover(journal, file_undoers(), clock.now).undone) == 1
    assert file.read_bytes() == b"original"
    with pytest.raises(JournalError, match="before its time"):
        context.__exit__(None, None, None)
    assert file.read_bytes() == b"original"


def test_a_process_that_slept_past_its_lease_makes_no_change(journal, file, tmp_path, clock):
    class Slow(Disk):
        def copy(self, source, to, *, like=None):
            super().copy(source, to, like=like)
            if like is not None:  # the new content waits beside the file
                clock.now = 1060
                assert len(recover(Journal(journal.path), file_undoers(), clock.now).undone) == 1

    with pytest.raises(JournalError, match="must not be made"), change(journal, file, tmp_path, disk=Slow()):
        raise AssertionError("never here")
    assert file.read_bytes() == b"original"
    assert names(file.parent) == ["a.parquet"]


def test_a_file_that_somebody_writes_meanwhile_is_theirs(journal, file, tmp_path):
    def write(to):
        to.write_bytes(b"corrupt")
        file.write_bytes(b"tonight's")

    with pytest.raises(UndoError, match="it was not made"), change(journal, file, tmp_path, write):
        raise AssertionError("never here")
    assert file.read_bytes() == b"tonight's"
    assert states(journal) == ["undone"]
    assert names(file.parent) == ["a.parquet"]


def test_a_file_that_somebody_writes_in_the_block_is_theirs_and_told(journal, file, tmp_path):
    with pytest.raises(UndoError, match="somebody else"), change(journal, file, tmp_path):
        file.write_bytes(b"tonight's")
    assert file.read_bytes() == b"tonight's"
    assert states(journal) == ["open"]
    assert len(names(tmp_path / "backups")) == 2
