"""What a fault is: the records of the catalogue. Records of kernels come from the module beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from pipechaos.errors import FaultError, UnknownNameError
from pipechaos.faults.kernel import (
    CellInput,
    CellKernel,
    Params,
    Resolver,
    RowEdit,
    RowInput,
    RowKernel,
    Scalar,
    SchemaChange,
    SchemaChangeKind,
    SchemaEdit,
    SchemaInput,
    SchemaKernel,
)

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "CELL_PLACEMENTS",
    "ROW_PLACEMENTS",
    "CellInput",
    "CellKernel",
    "Example",
    "Family",
    "Fault",
    "Kind",
    "Ladder",
    "Param",
    "Params",
    "Phase",
    "Resolver",
    "RowEdit",
    "RowInput",
    "RowKernel",
    "Scalar",
    "SchemaChange",
    "SchemaChangeKind",
    "SchemaEdit",
    "SchemaInput",
    "SchemaKernel",
    "Scope",
    "Summary",
]


class Family(StrEnum):
    """Families of the catalogue."""

    MISSING = "missing"
    VALUE = "value"
    TEXT = "text"
    CATEGORY = "category"
    TYPE = "type"
    SCHEMA = "schema"
    ROWS = "rows"
    RELATION = "relation"
    TIME = "time"
    DRIFT = "drift"
    BENIGN = "benign"
    CANARY = "canary"


class Phase(StrEnum):
    """Order of composition (ENGINE.md section 4)."""

    CELLS = "cells"
    ROWS = "rows"
    SCHEMA = "schema"


class Scope(StrEnum):
    """What a fault needs to see (ENGINE.md section 5)."""

    LOCAL = "local"
    RESOLVED = "resolved"
    GLOBAL = "global"


class Kind(StrEnum):
    """Placements a fault can take."""

    RANDOM = "random"
    OWN_VALUE = "own_value"
    OTHER_COLUMN = "other_column"
    BLOCK = "block"
    BURST = "burst"
    ENTITY = "entity"


ROW_PLACEMENTS = (Kind.RANDOM, Kind.OTHER_COLUMN, Kind.BLOCK, Kind.BURST, Kind.ENTITY)
CELL_PLACEMENTS = (Kind.RANDOM, Kind.OWN_VALUE, *ROW_PLACEMENTS[1:])


class Summary(StrEnum):
    """Summary that a fault moves; inside its historic range a trial is *subnatural* (SCORING.md section 2)."""

    NULL_SHARE = "null_share"
    ROW_COUNT = "row_count"
    MEAN = "mean"
    CATEGORY_SHARE = "category_share"


@dataclass(frozen=True, kw_only=True)
class Param:
    """One parameter of a fault.

    Attributes
    ----------
    name, doc
        Its name, and one line that says what it does.
    default
        Value used when none is given.
    unit
        Unit, for instance ``"robust standard deviations"``; empty for names and texts.
    low, high
        Inclusive bounds for numbers.
    choices
        Allowed texts; empty means any.
    takes
        Type of a given value where the default is None ("not given"); the default's own type otherwise.
    """

    name: str
    doc: str
    default: Scalar
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    takes: type | None = None

    def check(self, value: object, fault: str) -> Scalar:
        """Return the value if it is allowed.

        Raises
        ------
        FaultError
            It is of another type or outside the bounds.
        """
        if value is None and self.default is None:
            return None
        wanted = self.takes or type(self.default)
        good = isinstance(value, wanted)
        if wanted is float and isinstance(value, (int, float)) and not isinstance(value, bool):
            value, good = float(value), True
        if wanted is int and isinstance(value, bool):
            good = False
        if not good:
            raise FaultError(f"{fault}: parameter {self.name!r} takes a {wanted.__name__}, not {value!r}")
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            low, high = (-np.inf if self.low is None else self.low), (np.inf if self.high is None else self.high)
            if not low <= value <= high:
                raise FaultError(f"{fault}: parameter {self.name!r} must lie in [{low:g}, {high:g}], not {value!r}")
        if self.choices and value not in self.choices:
            raise UnknownNameError(f"{self.name} of {fault}", str(value), self.choices)
        return value  # type: ignore[return-value]


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """A fault's doses, mildest first: five rungs, or one where there are no degrees.

    Attributes
    ----------
    moves
        ``"fraction"`` or the name of the parameter that the ladder moves.
    rungs
        Values of that parameter for severity 1, 2, ...
    fraction
        Fraction on every rung of a ladder that moves a parameter.
    """

    moves: str
    rungs: tuple[Scalar, ...]
    fraction: float = 1.0

    def at(self, severity: int) -> tuple[float, dict[str, Scalar]]:
        """Fraction and parameters at a severity, 1 being the mildest.

        Raises
        ------
        FaultError
            The ladder has no such rung.
        """
        if not 1 <= severity <= len(self.rungs):
            raise FaultError(f"severity {severity} is not on the ladder: it has rungs 1 to {len(self.rungs)}")
        rung = self.rungs[severity - 1]
        if self.moves == "fraction":
            return float(rung), {}  # type: ignore[arg-type]
        return self.fraction, {self.moves: rung}


@dataclass(frozen=True, kw_only=True)
class Example:
    """One tiny before and after that is a test and documentation at once.

    Draws are those of seed 0, repeat 0 on a batch named ``example`` without a key.

    Attributes
    ----------
    before, after
        Columns as lists; the fault hits every eligible row (fraction 1) unless ``fraction`` says otherwise.
    columns
        Columns the fault is put on; empty for row faults.
    types
        Arrow types of columns by name where they cannot be guessed, for instance ``{"t": "timestamp[us]"}``.
    params
        Parameters that differ from the defaults; resolved ones come from ``before``, as there is no history.
    time
        The time column, where the fault needs one.
    donor
        Columns of the earlier batch, where the fault needs one.
    """

    before: Mapping[str, Sequence[Any]]
    after: Mapping[str, Sequence[Any]]
    columns: tuple[str, ...] = ()
    types: Mapping[str, str] = field(default_factory=dict)
    params: Params = field(default_factory=dict)
    placement: Mapping[str, Scalar] = field(default_factory=dict)
    fraction: float = 1.0
    time: str | None = None
    donor: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Fault:
    """One entry of the catalogue: a named, parameterised way of breaking a batch.

    Attributes
    ----------
    code
        Stable, dotted, for instance ``"null.mcar"``.
    version
        Moves when the meaning changes; part of every draw.
    title, doc
        One line, and what goes wrong in production when this happens.
    phase, scope
        See the enums.
    kernel
        A pure function: :data:`CellKernel`, :data:`RowKernel` or :data:`SchemaKernel` by phase; None for a fault whose
        rows come from a donor.
    applies
        Whether a column of this Arrow type (value type of a dictionary) can be hit; ignored for row faults.
    types
        The same in words.
    placements
        Allowed placements, the default first.
    needs_value
        Whether null and NaN cells are left out (they are then never counted as hit).
    column_count
        How many columns one injection names: 1 for most, 0 for row faults.
    donor
        Whether it needs an earlier batch (its rows have origin -1).
    needs_time
        Whether the batch must declare a time column.
    moves
        The summary it moves; None is never subnatural.
    clause
        Contract clause that must be declared for a benign fault.
    """

    code: str
    family: Family
    title: str
    doc: str
    phase: Phase
    scope: Scope
    ladder: Ladder
    kernel: CellKernel | RowKernel | SchemaKernel | None
    version: int = 1
    params: tuple[Param, ...] = ()
    resolve: Resolver | None = None
    applies: Callable[[pa.DataType], bool] = lambda _: True
    types: str = "any"
    placements: tuple[Kind, ...] = (Kind.RANDOM,)
    needs_value: bool = True
    column_count: int = 1
    donor: bool = False
    needs_time: bool = False
    moves: Summary | None = None
    clause: str | None = None
    examples: tuple[Example, ...] = ()

    @property
    def writes_column(self) -> bool:
        """Whether the column is part of the draw's key (cell faults)."""
        return self.phase is Phase.CELLS

    def check_params(self, given: Params) -> dict[str, Scalar]:
        """Complete and check parameters.

        Raises
        ------
        UnknownNameError
            There is no such parameter.
        FaultError
            A value is of the wrong type or out of bounds.
        """
        known = {p.name: p for p in self.params}
        for name in given:
            if name not in known:
                raise UnknownNameError("parameter", name, known, f"fault {self.code!r}")
        return {n: p.check(given.get(n, p.default), self.code) for n, p in known.items()}

    def change_cells(self, given: CellInput) -> pa.Array:
        """Run the kernel of a cell fault."""
        return cast("CellKernel", self.kernel)(given)

    def change_rows(self, given: RowInput) -> RowEdit:
        """Run the kernel of a row fault."""
        return cast("RowKernel", self.kernel)(given)

    def change_schema(self, given: SchemaInput) -> SchemaEdit:
        """Run the kernel of a type or schema fault."""
        return cast("SchemaKernel", self.kernel)(given)
