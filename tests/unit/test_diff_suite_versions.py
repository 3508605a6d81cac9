"""Which version of a suite a word names, and how a copy of a revision comes and goes."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pipechaos.campaign.experiment import parse_experiment
from pipechaos.campaign.suite_versions import importing, suite_versions
from pipechaos.campaign.versions import checked_out
from pipechaos.cli.keeping import keeping
from pipechaos.errors import ConfigError, UnknownNameError


def experiment(**more):
    base = {
        "name": "e",
        "batches": ["*.parquet"],
        "validators": [{"name": "v", "spec": "callable:checks:f", "imports": ["extra"]}],
        "preset": "quick",
    }
    return parse_experiment({**base, **more})


def versions(root, base, head="WORKTREE", validator=None, **more):
    with suite_versions(experiment(**more), root, base=base, head=head, validator=validator) as found:
        return found


def git(*arguments, where):
    settings = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", where, *settings, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repo(tmp_path, monkeypatch):
    """Repository with the experiment's folder inside it, and a suite in a folder of its own."""
    home = tmp_path / "repo"
    (home / "suites").mkdir(parents=True)
    (home / "conf").mkdir()
    (home / "suites" / "checks.py").write_text("first = 1\n")
    (home / "suites" / "s.json").write_text("{}")
    (home / "big").write_text("elsewhere")
    git("init", "-q", "-b", "main", where=home)
    git("add", ".", where=home)
    git("commit", "-q", "-m", "one", where=home)
    (home / "suites" / "checks.py").write_text("second = 2\n")
    git("commit", "-q", "-am", "two", where=home)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.chdir(home)
    return home


TWO = [{"name": "v", "spec": "callable:checks:f"}, {"name": "w", "spec": "gx:s.json"}]


def test_a_revision_is_copied_with_its_roots_alone_and_removed(repo):
    with suite_versions(experiment(roots=["../suites"]), repo / "conf", base="HEAD~1", head="main", validator=None) as (
        base,
        head,
    ):
        assert [Path(v.roots[0], "checks.py").read_text() for v in (base, head)] == ["first = 1\n", "second = 2\n"]
        assert (base.spec, base.imports, base.name) == ("callable:checks:f", ("extra",), "v")
        assert base.lasting_roots == (str(repo / "suites"),)
        assert base.commit == git("rev-parse", "HEAD~1", where=repo)
        assert not list(Path(base.roots[0]).parent.glob("big"))
        assert Path(base.roots[0]).is_relative_to(tempfile.gettempdir())
    assert list(Path(tempfile.gettempdir()).iterdir()) == []


def test_the_copy_goes_when_the_comparison_fails(repo):
    with pytest.raises(KeyboardInterrupt), suite_versions(experiment(roots=["suites"]), repo, base="main", head="main"):
        raise KeyboardInterrupt
    assert list(Path(tempfile.gettempdir()).iterdir()) == []


def test_a_hook_of_git_does_not_lead_astray(repo, monkeypatch, tmp_path):
    index = repo / ".git" / "index"
    before = index.read_bytes()
    monkeypatch.setenv("GIT_INDEX_FILE", str(index))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    (base, _) = versions(repo, "HEAD~1", roots=["suites"])
    assert len(base.commit) == 40
    assert index.read_bytes() == before


def test_what_is_checked_out_is_asked_of_the_first_folder_that_lies_in_a_repository(repo, monkeypatch, tmp_path):
    head = git("rev-parse", "HEAD", where=repo)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    outside = tmp_path / "outside"
    outside.mkdir()
    new = tmp_path / "new"
    new.mkdir()
    git("init", "-q", where=new)
    assert checked_out(repo / "suites") == checked_out(outside, repo) == checked_out(tmp_path / "gone", repo) == head
    assert checked_out(outside) == ""
    assert checked_out(new, repo) == ""  # no commit yet: another repository's says nothing about it
    monkeypatch.setenv("GIT_DIR", str(new / ".git"))
    assert checked_out(repo) == head
    monkeypatch.setenv("PATH", str(outside))
    assert checked_out(repo) == ""


@pytest.mark.parametrize("inside", [True, False])
def test_a_run_is_kept_with_the_revision_of_its_folder_or_of_the_working_directory(repo, monkeypatch, tmp_path, inside):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    first = git("rev-parse", "HEAD~1", where=repo)
    other = tmp_path / "other"
    git("clone", "-q", str(repo), str(other), where=repo)
    git("checkout", "-q", first, where=other)
    (tmp_path / "copied").mkdir()
    asked = []

    def recorder(store, run_id, *, revision, **more):
        asked.append(revision)

    monkeypatch.setattr("pipechaos.store.recorder.recorder", recorder)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))  # as a hook of another repository sets it
    monkeypatch.chdir(repo if not inside else other)
    store = f"sqlite:///{tmp_path / 'store.db'}"
    with keeping("e", repo / "conf" if inside else tmp_path / "copied", store=store, resume=None, kept=tuple):
        monkeypatch.delenv("GIT_DIR")
    assert asked == [git("rev-parse", "HEAD", where=repo)]
    assert asked != [first]


def test_names_that_leave_the_tree_of_a_root_are_literal(repo):
    (repo / "su*").mkdir()
    (repo / "su*" / "checks.py").write_text("third = 3\n")
    git("add", ".", where=repo)
    git("commit", "-q", "-m", "three", where=repo)
    with suite_versions(experiment(roots=["su*"]), repo, base="HEAD", head="WORKTREE") as (base, _):
        assert sorted(p.name for p in Path(base.roots[0]).parent.iterdir()) == ["su*"]


@pytest.mark.parametrize(
    ("asked", "spec", "first"),
    [
        ("v", "callable:checks:f", "suites"),
        ("WORKTREE", "callable:checks:f", "suites"),
        ("pandera:mod.sub:attr", "pandera:mod.sub:attr", "suites"),
        ("gx:s.json", "gx:s.json", "suites"),  # as the experiment would name it
        ("gx:here.json", "gx:here.json", "."),
        ("here.json", "gx:here.json", "."),
        ("old/checks.py:f", "callable:checks:f", "old"),  # the kind of the one validator
        ("pandera:old/checks.py:f", "pandera:checks:f", "old"),
    ],
)
def test_what_a_word_names(repo, asked, spec, first):
    (repo / "old").mkdir()
    (repo / "old" / "checks.py").write_text("")
    (repo / "here.json").write_text("{}")
    (found, _) = versions(repo, asked, roots=["suites"])
    assert (found.spec, found.roots[0], found.name) == (spec, str((repo / first).resolve()), "v")
    assert str(repo / "suites") in found.roots


def test_with_a_validator_named_a_word_is_a_revision_first(repo):
    git("branch", "w", where=repo)
    (found, _) = versions(repo, "w", validator="v", roots=["suites"], validators=TWO)
    assert (found.name, found.commit) == ("v", git("rev-parse", "w", where=repo))
    (found, _) = versions(repo, "w", head="v", roots=["suites"], validators=TWO)
    assert (found.name, found.spec, found.commit) == ("w", "gx:s.json", "")


@pytest.mark.parametrize(
    ("arguments", "more", "kind", "says"),
    [
        ({"base": "mian"}, {}, ConfigError, "did you mean 'main'"),
        ({"base": "--output=x"}, {}, ConfigError, "is no revision"),
        ({"base": "main", "validator": "u"}, {}, UnknownNameError, "unknown validator 'u'"),
        ({"base": "main"}, {"validators": TWO}, ConfigError, "--validator NAME"),
        ({"base": "no/such.py:f"}, {}, ConfigError, "there is no file no/such.py"),
        ({"base": "no.json"}, {}, ConfigError, "there is no file no.json"),
        ({"base": "main"}, {"roots": ["later"]}, ConfigError, "is there at revision 'main'"),
    ],
)
def test_what_names_nothing(repo, arguments, more, kind, says):
    (repo / "later").mkdir()
    with pytest.raises(kind, match=says.replace("(", r"\(")):
        versions(repo, **arguments, **{"roots": ["suites"], **more})


def test_outside_a_repository_revisions_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    (tmp_path / "e").mkdir()
    with pytest.raises(ConfigError, match="lies in no git repository"):
        versions(tmp_path / "e", "main")


def test_the_version_stands_in_for_the_project_on_the_path(repo, monkeypatch):
    monkeypatch.syspath_prepend(str(repo / "suites"))
    before = list(sys.path)
    with suite_versions(experiment(roots=["suites"]), repo, base="HEAD~1", head="WORKTREE") as (base, head):
        with importing(base):
            assert sys.path[0] == base.roots[0]
            assert str(repo / "suites") not in sys.path
        with importing(head):
            assert sys.path[0] == str(repo / "suites")
    assert sys.path == before
