"""Injection: fault x columns x placement x severity x seed x repeat, frozen and named (ENGINE.md section 8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from pipechaos import counter
from pipechaos.errors import PlanError
from pipechaos.faults import registry
from pipechaos.faults.spec import Fault, Phase
from pipechaos.plan.placement import Placement

__all__ = ["Injection", "Plan"]


@dataclass(frozen=True, kw_only=True)
class Injection:
    """One mutant, before it meets a batch.

    Attributes
    ----------
    fault
        Code in the catalogue.
    columns
        Columns it is put on; empty for row faults.
    placement
        What chooses cells.
    params
        Complete, checked parameters.
    fraction
        Probability that an eligible cell is hit, in [0, 1].
    severity
        Rung of the fault's ladder, from 1; 0 for a dose of one's own.
    seed, repeat
        What makes the draw.
    exact
        Hit exactly ``floor(fraction * eligible + 1/2)`` cells instead.
    """

    fault: str
    columns: tuple[str, ...] = ()
    placement: Placement = field(default_factory=Placement)
    params: Mapping[str, Any] = field(default_factory=dict)
    fraction: float = 1.0
    severity: int = 0
    seed: int = 0
    repeat: int = 0
    exact: bool = False

    @classmethod
    def of(
        cls,
        fault: str,
        columns: str | Sequence[str] = (),
        *,
        severity: int | None = None,
        fraction: float | None = None,
        placement: Mapping[str, Any] | Placement | str | None = None,
        params: Mapping[str, Any] | None = None,
        seed: int = 0,
        repeat: int = 0,
        exact: bool = False,
    ) -> Injection:
        """Make an injection, checked against the catalogue.

        Parameters
        ----------
        fault
            Code, for instance ``"null.mcar"``.
        columns
            Column or columns; none for row faults.
        severity
            Rung of the ladder; without it and without a fraction, the middle rung.
        fraction
            Overrides the ladder's fraction.
        placement, params, seed, repeat, exact
            See the attributes.

        Raises
        ------
        UnknownNameError
            Unknown fault, parameter or placement.
        FaultError, PlanError, ConfigError
            A value out of bounds.

        Examples
        --------
        >>> i = Injection.of("null.mcar", "dep_delay", fraction=0.05, seed=7)
        >>> i.columns, i.fraction, i.placement.canonical()
        (('dep_delay',), 0.05, {})
        """
        spec = registry.get(fault)
        names = (columns,) if isinstance(columns, str) else tuple(columns)
        if len(names) != spec.column_count:
            wants = (
                f"{spec.column_count} column{'s' if spec.column_count > 1 else ''}"
                if spec.column_count
                else "no column"
            )
            raise PlanError(f"fault {fault!r} takes {wants}, not {list(names)}")
        given = dict(params or {})
        custom = fraction is not None or spec.ladder.moves in given
        if severity is None and not custom:
            severity = (len(spec.ladder.rungs) + 1) // 2
        share, moved = spec.ladder.at(severity) if severity is not None else (spec.ladder.fraction, {})
        chosen = share if fraction is None else fraction
        counter.threshold(chosen)
        place = Placement.of(spec.placements[0].value if placement is None else placement)
        place.check(spec)
        return cls(
            fault=fault,
            columns=names,
            placement=place,
            params=MappingProxyType(spec.check_params(moved | given)),
            fraction=float(chosen),
            severity=severity or 0,
            seed=seed,
            repeat=repeat,
            exact=exact,
        )

    @property
    def spec(self) -> Fault:
        """Entry of the catalogue."""
        return registry.get(self.fault)

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameters as ids see them."""
        return dict(self.params) | ({"exact": True} if self.exact else {})

    def key(self, batch: str) -> counter.Streams:
        """Seeds of this injection on a batch of this name."""
        spec = self.spec
        return counter.streams(
            seed=self.seed,
            batch=batch,
            repeat=self.repeat,
            fault=self.fault,
            version=spec.version,
            column=self.columns[0] if spec.writes_column else None,
            placement=self.placement.canonical(),
        )

    def injection_id(self, batch: str) -> str:
        """Sixteen hex digits that name this injection on this batch."""
        return counter.digest_id(
            "injection",
            self.fault,
            self.spec.version,
            list(self.columns) or None,
            self.placement.canonical(),
            self.parameters,
            counter.decimal_text(self.fraction),
            self.severity,
            self.seed,
            self.repeat,
            batch,
        )

    def weakness_id(self, validator: str) -> str:
        """Sixteen hex digits that name the weakness: no seed, batch or version, so baselines outlive them."""
        return counter.digest_id(
            "weakness",
            validator,
            self.fault,
            list(self.columns) or None,
            self.placement.canonical(),
            self.parameters,
            self.severity,
        )


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Injections in the order they are applied.

    Raises
    ------
    PlanError
        The plan is empty, or its phases do not come in the order cells, rows, schema.
    """

    injections: tuple[Injection, ...]

    def __post_init__(self) -> None:
        if not self.injections:
            raise PlanError("the plan is empty: name at least one fault (see `pipechaos faults`)")
        order = list(Phase)
        last = 0
        for injection in self.injections:
            phase = injection.spec.phase
            if order.index(phase) < last:
                raise PlanError(
                    f"{injection.fault} ({phase.value}) stands after a fault of a later phase: list cells, then rows, "
                    "then type and schema. Plans are not reordered, because order is part of what they mean."
                )
            last = order.index(phase)

    @classmethod
    def of(cls, *injections: Injection) -> Plan:
        """Plan of these injections."""
        return cls(injections=injections)
