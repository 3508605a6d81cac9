"""Placement: which cells an injection may hit (ENGINE.md section 2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

from pipechaos.counter import decimal_text
from pipechaos.errors import PlanError, UnknownNameError
from pipechaos.faults.spec import Fault, Kind

__all__ = ["Placement", "Side"]


class Side(StrEnum):
    """Which end of a column's values is hit."""

    HIGH = "high"
    LOW = "low"


@dataclass(frozen=True, kw_only=True)
class Placement:
    """What chooses cells; never a fraction or a severity, so that ladders nest.

    Attributes
    ----------
    kind
        At random (MCAR), by the cell's own value (MNAR), by another column (MAR), a block of rows, a burst in time, or
        a share of entities.
    other
        The other column, for ``other_column``.
    side, quantile
        Cells whose value lies at or beyond this quantile on this side are eligible; quantile as decimal text in (0, 1].
    block
        Length of a block in rows, or of a burst in microseconds.
    entity
        Columns that name an entity.

    Examples
    --------
    >>> Placement.of({"kind": "own_value", "quantile": 0.8}).canonical()
    {'kind': 'own_value', 'quantile': '0.8', 'side': 'high'}
    >>> Placement().canonical()
    {}
    """

    kind: Kind = Kind.RANDOM
    other: str | None = None
    side: Side | None = None
    quantile: str | None = None
    block: int | None = None
    entity: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        wanted = _FIELDS[self.kind]
        for name in ("other", "side", "quantile", "block", "entity"):
            value = getattr(self, name)
            if (value is None) == (name in wanted):
                verb = "needs" if value is None else "takes no"
                raise PlanError(
                    f"placement {self.kind.value!r} {verb} {name!r}; it takes: {', '.join(wanted) or 'nothing'}"
                )
        self._check_values()

    def _check_values(self) -> None:
        if self.quantile is not None:
            q = _decimal(self.quantile)
            if not (q.is_finite() and 0 < q <= 1):
                raise PlanError(f"quantile {self.quantile} is outside (0, 1]")
        whole = isinstance(self.block, int) and not isinstance(self.block, bool)
        if self.block is not None and not (whole and self.block >= 1):
            raise PlanError(f"block {self.block!r} must be a whole number from 1 (rows, or microseconds for a burst)")
        if self.other is not None and not isinstance(self.other, str):
            raise PlanError(f"other {self.other!r} must be the name of one column")
        if self.entity is not None and not (self.entity and all(isinstance(c, str) for c in self.entity)):
            raise PlanError(f"entity {list(self.entity)!r} must name the columns of an entity, at least one")

    @classmethod
    def of(cls, given: Mapping[str, Any] | Placement | str | None) -> Placement:
        """Read a placement as an experiment file writes it; quantile 0.8 and side high are filled in.

        Raises
        ------
        UnknownNameError
            An unknown kind or key.
        PlanError
            A key that the kind needs is missing, or one that it does not take is there.
        """
        if given is None or isinstance(given, Placement):
            return given or cls()
        if isinstance(given, str):
            given = {"kind": given}
        known = [f.name for f in fields(cls)]
        for name in given:
            if name not in known:
                raise UnknownNameError("key", name, known, "placement")
        kind = given.get("kind", "random")
        if kind not in set(Kind):
            raise UnknownNameError("placement", str(kind), [k.value for k in Kind])
        values = dict(given) | {"kind": Kind(kind)}
        if "quantile" in _FIELDS[values["kind"]]:
            values = {"side": "high", "quantile": "0.8"} | values
            if values["side"] not in set(Side):
                raise UnknownNameError("side", str(values["side"]), [s.value for s in Side])
            values |= {"side": Side(values["side"]), "quantile": decimal_text(_decimal(values["quantile"]))}
        if values.get("entity") is not None:
            entity = values["entity"]
            if not isinstance(entity, (str, list, tuple)):
                raise PlanError(f"entity {entity!r} must name the columns of an entity, at least one")
            values["entity"] = (entity,) if isinstance(entity, str) else tuple(entity)
        return cls(**values)

    def canonical(self) -> dict[str, Any]:
        """Form that goes into keys and ids: empty when at random."""
        if self.kind is Kind.RANDOM:
            return {}
        out: dict[str, Any] = {"kind": self.kind.value}
        for name in _FIELDS[self.kind]:
            value = getattr(self, name)
            out[name] = list(value) if isinstance(value, tuple) else value.value if isinstance(value, Side) else value
        return dict(sorted(out.items()))

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns it reads beside the one that is hit."""
        return ((self.other,) if self.other else ()) + (self.entity or ())

    def check(self, fault: Fault) -> None:
        """Refuse a placement that the fault does not take."""
        if self.kind not in fault.placements:
            allowed = ", ".join(k.value for k in fault.placements)
            raise PlanError(f"fault {fault.code!r} takes no placement {self.kind.value!r}; it takes: {allowed}")

    def __str__(self) -> str:
        match self.kind:
            case Kind.RANDOM:
                return "at random"
            case Kind.OWN_VALUE:
                return f"own value {self.side} of q{self.quantile}"
            case Kind.OTHER_COLUMN:
                return f"{self.other} {self.side} of q{self.quantile}"
            case Kind.BLOCK:
                return f"blocks of {self.block} rows"
            case Kind.BURST:
                return f"bursts of {(self.block or 0) / 1e6:g} s"
            case _:
                return f"entities of {', '.join(self.entity or ())}"


_FIELDS: Mapping[Kind, tuple[str, ...]] = {
    Kind.RANDOM: (),
    Kind.OWN_VALUE: ("side", "quantile"),
    Kind.OTHER_COLUMN: ("other", "side", "quantile"),
    Kind.BLOCK: ("block",),
    Kind.BURST: ("block",),
    Kind.ENTITY: ("entity",),
}


def _decimal(x: object) -> Decimal:
    try:
        return Decimal(str(x))
    except InvalidOperation:
        raise PlanError(f"quantile {x!r} is not a number") from None
