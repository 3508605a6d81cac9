"""Ground truth as scoring needs it, and how well findings name the rows that really changed."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields

import numpy as np
import numpy.typing as npt

from pipechaos.faults.spec import Phase
from pipechaos.ledger.records import Ledger, SchemaChangeKind

__all__ = ["RowScores", "Truth"]

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Truth:
    """What scoring needs of a ledger.

    Attributes
    ----------
    changed
        For each column with changed cells, the sorted positions of these rows in the corrupted batch.
    dropped, retyped, added_columns
        Columns as a whole.
    renamed
        (from, to) of renamed columns.
    added
        Sorted positions in the corrupted batch of rows that the fault made; they are new in every column.
    touches_rows, touches_schema, touches_key
        Whether rows went, came or moved; whether columns or types changed; whether a cell of a key column changed.
    """

    changed: Mapping[str, Positions] = field(default_factory=dict)
    dropped: frozenset[str] = frozenset()
    renamed: tuple[tuple[str, str], ...] = ()
    retyped: frozenset[str] = frozenset()
    added_columns: frozenset[str] = frozenset()
    added: Positions = field(default_factory=lambda: np.empty(0, np.int64))
    touches_rows: bool = False
    touches_schema: bool = False
    touches_key: bool = False

    @classmethod
    def of(cls, ledger: Ledger, phase: Phase | None = None, key_columns: Collection[str] = ()) -> Truth:
        """Read a ledger.

        Parameters
        ----------
        ledger
            Of one injection.
        phase
            Phase of its fault: says that a fault is about rows or schema even where this ledger shows nothing of it.
        key_columns
            Declared key of the batch.
        """
        named: dict[SchemaChangeKind, list[str]] = {k: [] for k in SchemaChangeKind}
        for change in ledger.schema:
            named[change.kind].append(change.column)
        changed = {c.column: np.sort(c.position[c.position >= 0]) for c in ledger.cells if len(c.origin)}
        return cls(
            changed=changed,
            dropped=frozenset(named[SchemaChangeKind.DROPPED]),
            renamed=tuple((c.column, c.to or "") for c in ledger.schema if c.kind is SchemaChangeKind.RENAMED),
            retyped=frozenset(named[SchemaChangeKind.RETYPED]),
            added_columns=frozenset(named[SchemaChangeKind.ADDED]),
            added=np.sort(ledger.rows.added),
            touches_rows=phase is Phase.ROWS or not ledger.rows.empty,
            touches_schema=phase is Phase.SCHEMA or bool(ledger.schema),
            touches_key=any(c in changed for c in key_columns),
        )

    @property
    def broken(self) -> frozenset[str]:
        """Columns dropped, renamed or retyped: a check that raises on one of these has noticed."""
        return self.dropped | self.retyped | {name for pair in self.renamed for name in pair}

    @property
    def whole(self) -> frozenset[str]:
        """Columns that changed as a whole, whatever the row."""
        return self.broken | self.added_columns

    @property
    def columns(self) -> frozenset[str]:
        """Every column the ledger names."""
        return self.whole | frozenset(self.changed)

    @property
    def rows(self) -> Positions:
        """Sorted positions in the corrupted batch of every row with a changed cell, and of every added row."""
        return np.unique(np.concatenate([*self.changed.values(), self.added]))


@dataclass(frozen=True, kw_only=True)
class RowScores:
    """Row level counts of one trial; sums of them give rates.

    Attributes
    ----------
    named
        Rows that direct findings named; innocent twins in a hit uniqueness group are left out.
    right
        How many of these really changed or were added.
    found
        Changed or added rows that direct findings named, by themselves or through their uniqueness group.
    truth
        Changed and added rows; 0 where no direct finding named rows, so that recall speaks only where rows were given.
    findings, with_rows
        New fail findings, and how many of them carry rows.
    """

    named: int = 0
    right: int = 0
    found: int = 0
    truth: int = 0
    findings: int = 0
    with_rows: int = 0

    def __add__(self, other: RowScores) -> RowScores:
        return RowScores(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})

    @property
    def precision(self) -> float:
        """Share of named rows that really changed; NaN when none was named."""
        return _share(self.right, self.named)

    @property
    def recall(self) -> float:
        """Share of changed rows that were found; NaN when there was nothing to find."""
        return _share(self.found, self.truth)

    @property
    def coverage(self) -> float:
        """Share of findings that carry rows (attribution coverage); NaN without findings."""
        return _share(self.with_rows, self.findings)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
