"""Row level: do direct findings name the rows that really changed? (SCORING.md section 4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pipechaos.score.outcome import why_found
from pipechaos.score.records import Why
from pipechaos.score.truth import RowScores, Truth
from pipechaos.validate.verdict import Finding, FindingKind, Subject

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["row_scores", "uniqueness_groups"]

Positions = npt.NDArray[np.int64]
Groups = Mapping[tuple[str, ...], Positions]


def row_scores(truth: Truth, findings: Iterable[Finding], groups: Groups | None = None) -> RowScores:
    """Count rows named and rows changed over the direct findings that carry rows.

    A uniqueness finding speaks about groups, the rows that share the value afterwards: one changed row makes the group
    a hit, all changed rows in it are found, and its innocent twins stand in no denominator. Without ``groups`` for its
    columns it cannot be judged by row and is left out.

    Parameters
    ----------
    truth
        What the ledger says.
    findings
        New findings of one trial.
    groups
        For each tuple of columns that a uniqueness finding names, the group of every row of the corrupted batch.

    Returns
    -------
    RowScores
        Counts; they add up over trials.
    """
    fails = [f for f in findings if f.kind is FindingKind.FAIL]
    changed = truth.rows
    named: set[int] = set()
    found: set[int] = set()
    judged = False
    for finding in fails:
        if finding.rows is None or why_found(finding, truth) is not Why.DIRECT:
            continue
        rows = {int(r) for r in finding.rows}
        if finding.subject is Subject.UNIQUENESS:
            group = (groups or {}).get(finding.columns)
            if group is None:
                continue
            rows, twins = _groups_hit(rows, changed, group)
            found |= twins
        judged = True
        named |= rows
    true_rows = {int(r) for r in changed}
    right = named & true_rows
    return RowScores(
        named=len(named),
        right=len(right),
        found=len(right | found),
        truth=len(true_rows) if judged else 0,
        findings=len(fails),
        with_rows=sum(f.rows is not None for f in fails),
    )


def _groups_hit(rows: set[int], changed: Positions, group: Positions) -> tuple[set[int], set[int]]:
    """Named rows without innocent twins, and changed rows found through their group."""
    hit = set(group[changed].tolist())
    touched = {int(group[r]) for r in rows} & hit
    true_rows = {int(r) for r in changed}
    kept = {r for r in rows if r in true_rows or int(group[r]) not in hit}
    return kept, {r for r in true_rows if int(group[r]) in touched}


def uniqueness_groups(table: pa.Table, columns: tuple[str, ...]) -> Positions:
    """Group of every row: rows with equal values in these columns, nulls equal to nulls, share a number.

    Parameters
    ----------
    table
        The corrupted batch.
    columns
        Columns that it holds.

    Returns
    -------
    numpy.ndarray
        int64, shape (rows,).
    """
    from pipechaos.batch.digest import plain

    codes = [
        plain(table.column(name)).dictionary_encode().indices.fill_null(-1).to_numpy(zero_copy_only=False)
        for name in columns
    ]
    if not codes or not table.num_rows:
        return np.zeros(table.num_rows, np.int64)
    _, group = np.unique(np.stack(codes, axis=1), axis=0, return_inverse=True)
    return np.asarray(group, np.int64).reshape(-1)
