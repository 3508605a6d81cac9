"""What a change of a suite wins and loses: for a pull request, and for a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console

from pipechaos.campaign.diff_suite import Side, SuiteDiff
from pipechaos.errors import UnknownNameError
from pipechaos.faults import registry
from pipechaos.plan.placement import Placement
from pipechaos.report.blocks import Block, Line, Name, markdown_blocks, print_blocks
from pipechaos.report.dose import dose_text
from pipechaos.report.escape import clip, listed
from pipechaos.report.numbers import over_batches, over_blocks, plural
from pipechaos.score.gates import ExitCode
from pipechaos.score.pair_records import Alarm, Movement, PairFate, RateChange, WeaknessChange
from pipechaos.score.sign_flip import SignFlip

__all__ = ["LIMIT", "markdown_diff", "render_diff"]

LIMIT = 60_000  # bytes; GitHub refuses a comment of more than 65,536 characters
_LOUD = 3  # faults that the first sentence names
_ROWS = 40  # of a table
_NAMES = 20  # of a list
_FEW = 5
_NAME = 60
_CHECK = 100
_MUTE = (
    "No verdict now: the new version crashed, hung or left checks out where the old one caught it. Such a pair is a "
    "loss, and in no rate; p is about pairs that both versions judged."
)


def markdown_diff(found: SuiteDiff, *, rerun: str, replay: str, allow_losses: bool = False, limit: int = LIMIT) -> str:
    """Write a comparison as GitHub-flavoured Markdown for a pull request.

    Parameters
    ----------
    found
        From ``campaign.diff_suite.diff_suite``.
    rerun, replay
        Command that makes the comparison again, and what stands before the id of a trial to repeat it.
    allow_losses
        Whether losses are let through.
    limit
        Most bytes of UTF-8.
    """
    return markdown_blocks(_blocks(found, rerun, replay, allow_losses=allow_losses), limit)


def render_diff(found: SuiteDiff, console: Console, *, rerun: str, replay: str, allow_losses: bool = False) -> None:
    """Print a comparison; markup in names is never interpreted. See :func:`markdown_diff`."""
    print_blocks(_blocks(found, rerun, replay, allow_losses=allow_losses), console)


def _blocks(found: SuiteDiff, rerun: str, replay: str, *, allow_losses: bool) -> list[Block]:
    return [
        b
        for b in (
            _head(found, allow_losses),
            _weaknesses(found, Movement.LOST, "Lost"),
            _alarms("False alarms added", found, added=True),
            _rates(found),
            _replay(found, rerun, replay),
            _weaknesses(found, Movement.WON, "Won"),
            _weaknesses(found, Movement.MIXED, "Lost on some batches, won on as many"),
            _alarms("False alarms removed", found, added=False),
            _checks(found),
            _about(found),
        )
        if b is not None
    ]


def _head(found: SuiteDiff, allow_losses: bool) -> Block:
    verdict = {
        ExitCode.OK: "passes",
        ExitCode.GATE_FAILED: "fails",
        ExitCode.INCONCLUSIVE: "inconclusive",
        ExitCode.COULD_NOT_RUN: "could not be judged",
    }[found.exit_code(allow_losses=allow_losses)]
    let = " (losses are allowed)" if allow_losses and found.lost else ""
    title = f"Suite change {verdict}{let}: {_short(found.base)} to {_short(found.head)}"
    lines: list[Line] = [(f"Nothing can be said: {'; '.join(found.could_not_run)}.",)] if found.could_not_run else []
    lines.append(_sentence(found))
    lines += [(f"{name} version is paranoid: it rejects most untouched batches.",) for name in _paranoid(found)]
    if found.inconclusive:
        lines.append((f"Not the whole picture: {'; '.join(found.inconclusive)}.",))
    if found.sample.dropped and not found.lost:
        lines.append((f"{_untried(found)} A larger --budget tries more.",))
    if found.identical:
        lines.append(
            (
                f"Both versions are the same suite, byte for byte (digest {found.head.digest}): what differs, if "
                "anything, lies outside its files.",
            )
        )
    return Block(title=title, lines=tuple(lines), loud=True)


def _untried(found: SuiteDiff) -> str:
    return f"{plural(len(found.sample.dropped), 'fault')} on columns or rows not tried, for want of room."


def _short(side: Side) -> str:
    v = side.version
    return clip(v.asked, _NAME) + (f" ({v.commit[:10]})" if v.commit and not v.commit.startswith(v.asked) else "")


def _paranoid(found: SuiteDiff) -> list[str]:
    return [name for name, side in (("The old", found.base), ("The new", found.head)) if side.paranoid]


def _sentence(found: SuiteDiff) -> Line:
    """The one sentence that says it all."""
    lost, won = _grouped(found, Movement.LOST), _grouped(found, Movement.WON)
    natural, benign = found.paired.natural, found.paired.benign
    parts: list[Line] = []
    if lost:
        parts.append(("loses ", *_named(lost, "no longer caught")))
    if natural.true_alarms_lost:
        bad = plural(len(natural.true_alarms_lost), "batch", "batches")
        parts.append((f"accepts {bad} that a review found truly bad",))
    for control, batches in ((natural, "untouched"), (benign, "harmlessly changed")):
        if control.added:
            count = plural(len(control.added), "false alarm")
            of = f"{len(control.added)} of {plural(control.change.pairs, f'{batches} batch', f'{batches} batches')}"
            parts.append((f"adds {count} ({of})",))
    if won:
        parts.append(("wins ", *_named(won, "caught only now")))
    removed = len(natural.removed) + len(benign.removed)
    if removed:
        parts.append((f"removes {plural(removed, 'false alarm')}",))
    if not found.lost:
        tried = plural(found.paired.fnr.pairs, "paired trial")
        parts.insert(0, (f"loses nothing in {tried} and adds no false alarm",))
    said: Line = ("This change ",)
    for at, part in enumerate(parts):
        between = "" if not at else " and " if at == len(parts) - 1 else ", "
        said = (*said, between, *part)
    return (*said, ".")


@dataclass(kw_only=True)
class _Group:
    """A fault on columns that went one way."""

    moved: int = 0  # to a miss, or to a detection
    silenced: int = 0
    rest: int = 0  # pairs that could have moved

    def said(self, verb: str) -> str:
        of = f" of {self.moved + self.silenced + self.rest}"
        parts = [(self.moved, verb), (self.silenced, "caught before, no verdict now")]
        told = [(n, words) for n, words in parts if n]
        return " and ".join(f"{n}{'' if at else of} {words}" for at, (n, words) in enumerate(told))


Groups = list[tuple[tuple[str, tuple[str, ...]], _Group]]


def _grouped(found: SuiteDiff, movement: Movement) -> Groups:
    """Faults on columns that went one way; the most pairs on top."""
    groups: dict[tuple[str, tuple[str, ...]], _Group] = {}
    for w in found.paired.moved(movement):
        group = groups.setdefault((w.fault, w.columns), _Group())
        lost = movement is Movement.LOST
        group.moved += w.lost if lost else w.won
        group.silenced += w.silenced if lost else 0
        group.rest += w.kept if lost else w.missed
    return sorted(groups.items(), key=lambda g: (-g[1].moved - g[1].silenced, g[0]))


def _named(groups: Groups, verb: str) -> Line:
    out: Line = ()
    for at, ((fault, columns), group) in enumerate(groups[:_LOUD]):
        said = f" ({_title(fault)}{group.said(verb)})"
        out = (*out, ", " if at else "", Name(text=fault), *_on(columns), said)
    rest = len(groups) - _LOUD
    return (*out, f" and {plural(rest, 'more fault')}") if rest > 0 else out


def _title(fault: str) -> str:
    try:
        return f"{registry.get(fault).title}; "
    except UnknownNameError:
        return ""


def _on(columns: Sequence[str]) -> Line:
    out: Line = (" on ",) if columns else ()
    for at, column in enumerate(columns):
        out = (*out, ", " if at else "", Name(text=column))
    return out


def _weaknesses(found: SuiteDiff, movement: Movement, title: str) -> Block | None:
    moved = found.paired.moved(movement)
    if not moved:
        return None
    spoke = {Movement.LOST: "caught before by", Movement.WON: "caught now by"}.get(movement, "")
    mute = any(w.silenced for w in moved)
    after: list[Line] = [(_MUTE,)] if mute else []
    if len(moved) > _ROWS:
        after.append((f"And {len(moved) - _ROWS} more; the JSON holds all of them.",))
    counts = ("caught before", "caught now", *(["no verdict now"] if mute else []))
    return Block(
        title=f"{title}: {plural(len(moved), 'weakness', 'weaknesses')}",
        headers=("fault", "on", "dose", *counts, "p", *([spoke] if spoke else [])),
        rows=tuple(_row(w, named=bool(spoke), mute=mute) for w in moved[:_ROWS]),
        after=tuple(after),
    )


def _row(w: WeaknessChange, *, named: bool, mute: bool) -> tuple[Line, ...]:
    of = f" of {w.pairs + w.silenced}"
    placed = f" ({Placement.of(w.placement)})" if w.placement else ""
    where: Line = (*_on(w.columns)[1:], placed) if w.columns else (f"the whole batch{placed}",)
    checks: list[Line] = [(Name(text=clip(c, _CHECK)),) for c in w.caught_by[:1]]
    more = f" and {len(w.caught_by) - 1} more" if len(w.caught_by) > 1 else ""
    return (
        (Name(text=w.fault),),
        where,
        (dose_text(w),),
        (f"{w.kept + w.gone}{of}",),
        (f"{w.kept + w.won}{of}",),
        *(((f"{w.silenced}{of}",),) if mute else ()),
        (_p(w.test),),
        *(((*(checks[0] if checks else ("an error only",)), more),) if named else ()),
    )


def _p(test: SignFlip) -> str:
    return "n/a" if math.isnan(test.p) else _number(test.p)


def _number(p: float) -> str:
    return f"{p:.2g}" if p >= 0.0001 else "<0.0001"


def _alarms(title: str, found: SuiteDiff, *, added: bool) -> Block | None:
    lines: list[Line] = []
    for control in (found.paired.natural, found.paired.benign):
        lines += [_alarm(a) for a in (control.added if added else control.removed)]
    if added:
        lines += [
            (Name(text=b), ": truly bad by its review, rejected before and accepted now")
            for b in found.paired.natural.true_alarms_lost
        ]
    if not lines:
        return None
    rest: list[Line] = [(f"and {len(lines) - _NAMES} more",)] if len(lines) > _NAMES else []
    return Block(title=title, lines=(*lines[:_NAMES], *rest))


def _alarm(alarm: Alarm) -> Line:
    change: Line = (" after ", Name(text=alarm.fault)) if alarm.fault else (", untouched",)
    by: Line = (": ", Name(text=clip(alarm.checks[0], _CHECK))) if alarm.checks else ()
    more = f" and {len(alarm.checks) - 1} more" if len(alarm.checks) > 1 else ""
    return (Name(text=clip(alarm.batch, _NAME)), *change, *by, more)


def _rates(found: SuiteDiff) -> Block:
    p = found.paired
    named = [("FNR (faults missed)", p.fnr, True), ("FPR (untouched batches rejected)", p.natural.change, False)]
    if p.benign.change.pairs:
        named.append(("benign alarms (harmless changes rejected)", p.benign.change, True))
    notes: list[Line] = [
        (
            "Both versions judged the same frames; rates are over the same pairs, with two-sided 95 % intervals: to be "
            "compared with each other, not with those of a run. p: exact sign-flip test, two-sided, that flips whole "
            f"batches (for the FPR blocks of {found.experiment.block} batches), as trials on one batch are not "
            "independent.",
        )
    ]
    test = p.fnr.test
    if test.clusters:
        one = min(test.p_loss, test.p_gain)
        side = "more is lost than won" if test.p_loss <= test.p_gain else "more is won than lost"
        notes.append(
            (
                f"FNR: the trials of {plural(test.clusters, 'batch', 'batches')} went one way more than the other; "
                f"one-sided p that {side}: {_number(one)}. With so many, p could not fall under "
                f"{_number(test.smallest_p)}: what is called lost was missed on these very draws; a "
                "large p only says that they are few.",
            )
        )
    return Block(
        title="Rates before and after",
        headers=("", "before", "after", "difference", "worse", "better", "p"),
        rows=tuple(_rate(name, change, batches=batches) for name, change, batches in named),
        after=tuple(notes),
    )


def _rate(name: str, change: RateChange, *, batches: bool) -> tuple[Line, ...]:
    text = over_batches if batches else over_blocks
    of = f" of {change.pairs:,}"
    return (
        (name,),
        (text(change.before).line,),
        (text(change.after).line,),
        (_points(change.difference),),
        (f"{change.worse:,}{of}",),
        (f"{change.better:,}{of}",),
        (_p(change.test),),
    )


def _points(difference: float) -> str:
    if math.isnan(difference):
        return "n/a"
    return f"{100 * difference:+.1f} points" if difference else "none"


def _replay(found: SuiteDiff, rerun: str, replay: str) -> Block | None:
    lost = next((w for w in found.paired.weaknesses if w.gone), None)
    if lost is None:
        return None
    trial = (*lost.lost_trials, *lost.silenced_trials)[0]
    lines: tuple[Line, ...] = (
        ("the comparison: ", Name(text=rerun)),
        ("then one loss, ", Name(text=lost.fault), *_on(lost.columns), ": ", Name(text=replay + trial)),
    )
    return Block(title="See it again", lines=lines)


def _checks(found: SuiteDiff) -> Block:
    lines: list[Line] = []
    for word, checks in (("added", found.checks_added), ("removed", found.checks_removed)):
        lines += [(f"{word}: ", Name(text=clip(check.id, _CHECK))) for check in checks[:_NAMES]]
        if len(checks) > _NAMES:
            lines.append((f"{word}: {len(checks) - _NAMES} more",))
    if not lines:
        same = "" if found.identical else ", though the files differ: a check may have changed behind its name"
        lines.append((f"None added and none removed, by name{same}.",))
    counts = f"{len(found.base.checks)} before, {len(found.head.checks)} now"
    return Block(title=f"Checks: {counts}", lines=tuple(lines))


_APART = {
    PairFate.SILENCED: "caught before and without a verdict now",
    PairFate.UNPAIRED: "asked of one version only",
    PairFate.OTHER_FRAME: "the data changed meanwhile",
    PairFate.INJECTION: "injection failed",
    PairFate.FLAKY: "flaky",
    PairFate.BASE_BAD_ADDED: "only the new version rejects the untouched batch",
    PairFate.BASE_BAD: "the old version does not accept the untouched batch",
    PairFate.NOOP: "nothing changed",
    PairFate.SUBNATURAL: "within the range of the history",
    PairFate.ERROR_ADDED: "no judgement of the new version alone",
    PairFate.ERROR: "no judgement of the old version",
    PairFate.DUPLICATE: "the same frame again",
    PairFate.TRUE_ALARM: "truly bad by its review",
}


def _about(found: SuiteDiff) -> Block:
    s, p = found.sample, found.paired
    lines: list[Line] = [
        (
            f"{plural(s.trials, 'faulty trial')} of each version: {plural(len(s.mutants), 'weakness', 'weaknesses')} "
            f"on {plural(s.bases_each, 'batch', 'batches')} each, seed {found.experiment.seed}; on every batch they "
            f"would be {s.full_trials:,}.",
        )
    ]
    lines += [(f"{_untried(found)} Such as {listed(s.dropped, _FEW)}.",)] if s.dropped else []
    for what, apart in (("Pairs of faults", p.apart), ("Untouched batches", p.natural.apart)):
        if apart:
            said = ", ".join(f"{n} {_APART[PairFate(k)]}" for k, n in apart.items())
            lines.append((f"{what} in no rate: {said}.",))
    if p.subnatural_lost or p.subnatural_won:
        lines.append(
            (f"Within the range of the history, so in no rate: {p.subnatural_lost} lost, {p.subnatural_won} won.",)
        )
    for name, side in (("old", found.base), ("new", found.head)):
        v = side.version
        commit = f", commit {v.commit[:10]}" if v.commit else ""
        lines.append((f"{name}: ", Name(text=v.asked), f"{commit}, ", Name(text=v.spec), f", digest {side.digest}"))
    lines += [(note,) for note in found.notes]
    return Block(title="About this comparison", lines=tuple(lines))
