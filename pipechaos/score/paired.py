"""Two versions of a suite on the same frames: what each pair of trials came to (SCORING.md sections 2 and 4).

A pair is one injection, or one untouched batch, judged by both versions. It counts only where both came to a judgement
that stands in the rates; everything else is counted apart, by the first reason that holds. What the old version caught
and the new one gives no verdict on is a loss of its weakness, yet in no rate and no test: an error is no miss.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipechaos import counter
from pipechaos.score.pair_records import Alarm, ControlChange, Movement, Paired, PairFate, RateChange, WeaknessChange
from pipechaos.score.rates import RHO, proportion
from pipechaos.score.records import ErrorCause, Outcome, Review, Trial, TrialKind
from pipechaos.score.sign_flip import SignFlip, sign_flip
from pipechaos.validate.verdict import FindingKind

__all__ = ["compare", "weakness_of"]


COUNTING = (PairFate.KEPT, PairFate.LOST, PairFate.WON, PairFate.MISSED)
_GONE = (PairFate.LOST, PairFate.SILENCED)
_FATES = {
    (Outcome.TP, Outcome.TP): PairFate.KEPT,
    (Outcome.TP, Outcome.FN): PairFate.LOST,
    (Outcome.TP, Outcome.ERROR): PairFate.SILENCED,
    (Outcome.FN, Outcome.TP): PairFate.WON,
    (Outcome.FN, Outcome.FN): PairFate.MISSED,
    (Outcome.TN, Outcome.TN): PairFate.KEPT,
    (Outcome.TN, Outcome.FP): PairFate.LOST,
    (Outcome.FP, Outcome.TN): PairFate.WON,
    (Outcome.FP, Outcome.FP): PairFate.MISSED,
    (Outcome.ACCEPTED, Outcome.ACCEPTED): PairFate.KEPT,
    (Outcome.ACCEPTED, Outcome.ALARM): PairFate.LOST,
    (Outcome.ALARM, Outcome.ACCEPTED): PairFate.WON,
    (Outcome.ALARM, Outcome.ALARM): PairFate.MISSED,
}


@dataclass(frozen=True, kw_only=True)
class _Pair:
    base: Trial
    head: Trial
    fate: PairFate

    @property
    def sign(self) -> int:
        return (self.fate is PairFate.WON) - (self.fate is PairFate.LOST)


def compare(base: Iterable[Trial], head: Iterable[Trial], *, rho: float = RHO) -> Paired:
    """Pair the trials of two versions by injection and batch, and compare them.

    Parameters
    ----------
    base, head
        Of the old and the new version, one validator each, from campaigns with the same seed and batches.
    rho
        Smallest correlation within a cluster that the intervals assume.
    """
    old, new = list(base), list(head)
    faults, unpaired = _pairs(old, new, TrialKind.FAULT)
    counting = [p for p in faults if p.fate in COUNTING]
    moving = [p for p in faults if p.fate in COUNTING or p.fate is PairFate.SILENCED]
    hidden = [p for p in faults if p.fate is PairFate.SUBNATURAL]
    judged = [_FATES.get((p.base.outcome, p.head.outcome)) for p in hidden]
    return Paired(
        fnr=_change(counting, Outcome.FN, rho),
        weaknesses=_weaknesses(moving),
        apart=_apart(faults, unpaired),
        subnatural_lost=judged.count(PairFate.LOST),
        subnatural_won=judged.count(PairFate.WON),
        natural=_controls(old, new, TrialKind.NATURAL, rho),
        benign=_controls(old, new, TrialKind.BENIGN, rho),
    )


def _pairs(old: Sequence[Trial], new: Sequence[Trial], kind: TrialKind) -> tuple[list[_Pair], int]:
    """Pairs of one kind in a fixed order, and how many trials have no partner."""
    mine, theirs = _by_name(old, kind), _by_name(new, kind)
    both = sorted(mine.keys() & theirs.keys(), key=lambda k: (weakness_of(mine[k]), mine[k].batch, mine[k].repeat, k))
    seen: set[tuple[str, str]] = set()
    found = []
    for key in both:
        base, head = mine[key], theirs[key]
        fate = _fate(base, head)
        # the same frame under two names says nothing twice
        content = head.after_digest or f"name {key}"
        frame = ("" if kind is TrialKind.NATURAL else weakness_of(head), content)
        if fate in COUNTING or fate in (PairFate.SILENCED, PairFate.SUBNATURAL):
            fate = PairFate.DUPLICATE if frame in seen else fate
            seen.add(frame)
        found.append(_Pair(base=base, head=head, fate=fate))
    return found, len(mine.keys() ^ theirs.keys())


def _by_name(trials: Iterable[Trial], kind: TrialKind) -> dict[tuple[str, str], Trial]:
    """Trials by injection and batch; of a control that was looked at twice, the first look."""
    found: dict[tuple[str, str], Trial] = {}
    for trial in trials:
        if trial.kind is kind:
            found.setdefault((trial.injection_id, trial.batch), trial)
    return found


def _fate(base: Trial, head: Trial) -> PairFate:
    both = (base, head)
    if any(t.error_cause is ErrorCause.INJECTION for t in both):
        return PairFate.INJECTION
    if (base.source_digest, base.after_digest) != (head.source_digest, head.after_digest):
        return PairFate.OTHER_FRAME
    if any(t.flaky for t in both):
        return PairFate.FLAKY
    outcomes = [t.outcome for t in both]
    if Outcome.BASE_BAD in outcomes:
        return PairFate.BASE_BAD if base.outcome is Outcome.BASE_BAD else PairFate.BASE_BAD_ADDED
    if Outcome.NOOP in outcomes:
        return PairFate.NOOP
    if any(t.outcome is Outcome.FP and t.review is Review.TRUE for t in both):
        return PairFate.TRUE_ALARM
    if any(t.subnatural for t in both):
        return PairFate.SUBNATURAL
    if base.outcome is Outcome.ERROR:
        return PairFate.ERROR
    if head.outcome is Outcome.ERROR and base.outcome is not Outcome.TP:
        return PairFate.ERROR_ADDED
    return _FATES[base.outcome, head.outcome]


def _change(pairs: Sequence[_Pair], bad: Outcome, rho: float) -> RateChange:
    natural = bad is Outcome.FP
    units = [weakness_of(p.head) if bad is Outcome.FN else "" for p in pairs]
    clusters = [p.head.block if natural else p.head.batch for p in pairs]
    rates = [
        proportion(
            [(t.outcome is bad, t.batch, c, u) for t, c, u in zip(trials, clusters, units, strict=True)],
            rho,
        )
        for trials in ([p.base for p in pairs], [p.head for p in pairs])
    ]
    share = Counter(units)
    weights = [1 / share[u] if u else 1.0 for u in units]
    moved = -math.fsum(w * p.sign for w, p in zip(weights, pairs, strict=True))
    return RateChange(
        before=rates[0],
        after=rates[1],
        difference=moved / math.fsum(weights) if pairs else math.nan,
        worse=sum(p.fate is PairFate.LOST for p in pairs),
        better=sum(p.fate is PairFate.WON for p in pairs),
        pairs=len(pairs),
        test=_test(pairs, natural=natural),
    )


def _test(pairs: Iterable[_Pair], *, natural: bool = False) -> SignFlip:
    net: Counter[str] = Counter()
    for pair in pairs:
        net[str(pair.head.block) if natural else pair.head.batch] += pair.sign
    return sign_flip(net.values())


def weakness_of(trial: Trial) -> str:
    """Id of a trial's weakness without its validator, so that both versions share it; empty for a natural control."""
    if not trial.fault:
        return ""
    named = [trial.fault, list(trial.columns) or None, trial.placement, trial.params, trial.severity]
    return counter.digest_id("weakness", "", *named)


def _weaknesses(pairs: Sequence[_Pair]) -> tuple[WeaknessChange, ...]:
    groups: dict[str, list[_Pair]] = {}
    for pair in pairs:
        groups.setdefault(weakness_of(pair.head), []).append(pair)
    order = list(Movement)
    found = [_weakness(name, group) for name, group in groups.items()]
    return tuple(
        sorted(
            found,
            key=lambda w: (
                order.index(w.movement),
                -abs(w.gone - w.won),
                -w.severity / w.rungs,
                w.fault,
                w.columns,
                w.weakness_id,
            ),
        )
    )


def _weakness(name: str, group: Sequence[_Pair]) -> WeaknessChange:
    first = group[0].head
    count = Counter(p.fate for p in group)
    won, gone = count[PairFate.WON], count[PairFate.LOST] + count[PairFate.SILENCED]
    movement = Movement.LOST if gone > won else Movement.WON if won > gone else Movement.MIXED if won else Movement.SAME
    spoke = {Movement.LOST: [p.base for p in group if p.fate in _GONE]}
    spoke[Movement.WON] = [p.head for p in group if p.fate is PairFate.WON]
    return WeaknessChange(
        weakness_id=name,
        fault=first.fault,
        family=first.family,
        columns=first.columns,
        placement=first.placement,
        params=first.params,
        fraction=first.fraction,
        severity=first.severity,
        rungs=first.rungs,
        kept=count[PairFate.KEPT],
        missed=count[PairFate.MISSED],
        lost=count[PairFate.LOST],
        won=won,
        silenced=count[PairFate.SILENCED],
        batches=len({p.head.batch for p in group}),
        movement=movement,
        test=_test(group),
        lost_trials=_ids(group, PairFate.LOST),
        won_trials=_ids(group, PairFate.WON),
        silenced_trials=_ids(group, PairFate.SILENCED),
        caught_by=_spoke(spoke.get(movement, ())),
    )


def _ids(group: Sequence[_Pair], fate: PairFate) -> tuple[str, ...]:
    heads = [p.head for p in group if p.fate is fate]
    return tuple(t.trial_id for t in sorted(heads, key=lambda t: (-(t.dose or 0), t.trial_id)))


def _spoke(trials: Iterable[Trial]) -> tuple[str, ...]:
    """Checks of new findings, the most frequent first."""
    heard = Counter(
        check for t in trials for check in dict.fromkeys(f.check for f in t.findings if f.kind is FindingKind.FAIL)
    )
    return tuple(sorted(heard, key=lambda c: (-heard[c], c)))


def _controls(old: Sequence[Trial], new: Sequence[Trial], kind: TrialKind, rho: float) -> ControlChange:
    pairs, unpaired = _pairs(old, new, kind)
    bad = Outcome.FP if kind is TrialKind.NATURAL else Outcome.ALARM
    return ControlChange(
        change=_change([p for p in pairs if p.fate in COUNTING], bad, rho),
        added=tuple(_alarm(p.head) for p in pairs if p.fate is PairFate.LOST),
        removed=tuple(_alarm(p.base) for p in pairs if p.fate is PairFate.WON),
        apart=_apart(pairs, unpaired),
        true_alarms_lost=tuple(
            p.base.batch
            for p in pairs
            if p.fate is PairFate.TRUE_ALARM and p.base.review is Review.TRUE and p.head.outcome is Outcome.TN
        ),
    )


def _alarm(trial: Trial) -> Alarm:
    return Alarm(batch=trial.batch, fault=trial.fault, checks=_spoke([trial]))


def _apart(pairs: Iterable[_Pair], unpaired: int) -> dict[str, int]:
    count = Counter(p.fate.value for p in pairs if p.fate not in COUNTING)
    count[PairFate.UNPAIRED.value] = unpaired
    return {f.value: count[f.value] for f in PairFate if count[f.value]}
