"""Wrong numbers: noise, a wrong unit, a flipped sign, outliers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from pipechaos.faults.arithmetic import Floats, moved, negated, scaled
from pipechaos.faults.kernel import CellInput
from pipechaos.faults.kinds import is_number, is_signed_number
from pipechaos.faults.scale import centre_and_scale, robust_scale
from pipechaos.faults.spec import CELL_PLACEMENTS, Example, Family, Fault, Ladder, Param, Phase, Scope

__all__ = ["FAULTS", "bell"]

_PARTS_MEAN_SUM = 12 * 65_535 // 2


def bell(given: CellInput) -> Floats:
    """Bell-shaped numbers from draws 0, 1 and 2, of mean 0, variance 1 - 2^-32 and range +-5.99990845.

    The sum of the twelve 16-bit parts of three draws, less its mean 393,210, divided by 65,536. Each part is uniform on
    0..65535 with variance (65536^2 - 1) / 12, so twelve have 65536^2 - 1. Every step is exact in float64; the tails are
    lighter than the normal distribution's (Irwin-Hall, n = 12).

    Returns
    -------
    numpy.ndarray
        float64, one for each asked cell.
    """
    total = np.full(len(given.rows), -_PARTS_MEAN_SUM, np.int64)
    for j in range(3):
        u = given.draw(j)
        for shift in (0, 16, 32, 48):
            total += ((u >> np.uint64(shift)) & np.uint64(0xFFFF)).astype(np.int64)
    out: Floats = total / 65_536.0
    return out


def _noise(given: CellInput) -> pa.Array:
    step = given.params["sigma"] * given.params["scale"]
    return moved(given.values, bell(given) * step)


def _scale(given: CellInput) -> pa.Array:
    return scaled(given.values, given.params["factor"])


def _sign(given: CellInput) -> pa.Array:
    return negated(given.values)


def _outlier(given: CellInput) -> pa.Array:
    distance = given.params["distance"] * given.params["scale"]
    side = given.params["side"]
    if side == "away":
        above = np.asarray(given.values).astype(np.float64) >= given.params["centre"]
    else:
        above = np.full(len(given.values), side == "high")
    return moved(given.values, np.where(above, distance, -distance))


_ROBUST = "robust standard deviations"

_NOISE = Fault(
    code="value.noise",
    family=Family.VALUE,
    title="measurement noise on top of numbers",
    doc="A worse sensor, a lossy codec or a privacy filter blurs a feature. The scale is the history's interquartile "
    "range / 1.349; integers move by whole steps.",
    phase=Phase.CELLS,
    scope=Scope.RESOLVED,
    kernel=_noise,
    resolve=robust_scale,
    ladder=Ladder(moves="sigma", rungs=(0.1, 0.25, 0.5, 1.0, 2.0)),
    params=(Param(name="sigma", doc="Spread of the noise.", default=0.5, unit=_ROBUST, low=0.0, high=1e6),),
    applies=is_number,
    types="integers and floats",
    placements=CELL_PLACEMENTS,
    examples=(
        Example(
            columns=("x",),
            before={"x": [0.0, 1.349, 2.698, 4.047]},
            after={"x": [0.4672698974609375, 0.026597045898437477, 2.1902943115234375, 3.9473906249999997]},
            note="Quartiles 0 and 2.698: scale 2, so the noise has a standard deviation of 1.",
        ),
    ),
)

_UNIT = Fault(
    code="value.scale",
    family=Family.VALUE,
    title="numbers in the wrong unit",
    doc="A producer switches from cents to euros, miles to kilometres, seconds to milliseconds, for some rows or all: "
    "the ladder moves the share of rows in the wrong unit.",
    phase=Phase.CELLS,
    scope=Scope.LOCAL,
    kernel=_scale,
    ladder=Ladder(moves="fraction", rungs=(0.01, 0.05, 0.2, 0.5, 1.0)),
    params=(
        Param(
            name="factor",
            doc="Old unit in new units, for instance 100 (euros to cents), 1000, 60, 2.54 (inches to centimetres), "
            "1.609344 (miles to kilometres), 0.45359237 (pounds to kilograms).",
            default=10.0,
            unit="new units per old unit",
            low=-1e15,
            high=1e15,
        ),
    ),
    applies=is_number,
    types="integers and floats",
    placements=CELL_PLACEMENTS,
    examples=(
        Example(columns=("cents",), before={"cents": [0.5, 0.0, None]}, after={"cents": [5.0, 0.0, None]}),
        Example(
            columns=("miles",),
            before={"miles": [100, 2**53 + 1, 9 * 10**18]},
            after={"miles": [250, 5 * 2**52 + 2, 2**63 - 1]},
            params={"factor": 2.5},
            note="2.5 x (2^53 + 1) ends in .5 and is rounded to the even neighbour; int64 ends at 2^63 - 1.",
        ),
    ),
)

_SIGN = Fault(
    code="value.sign",
    family=Family.VALUE,
    title="numbers with the sign flipped",
    doc="Debit and credit, east and west, early and late are taken for each other.",
    phase=Phase.CELLS,
    scope=Scope.LOCAL,
    kernel=_sign,
    ladder=Ladder(moves="fraction", rungs=(0.01, 0.05, 0.2, 0.5, 1.0)),
    applies=is_signed_number,
    types="signed integers and floats",
    placements=CELL_PLACEMENTS,
    examples=(Example(columns=("x",), before={"x": [3, -4, 0, None]}, after={"x": [-3, 4, 0, None]}),),
)

_OUTLIER = Fault(
    code="value.outlier",
    family=Family.VALUE,
    title="single values far off",
    doc="A stuck sensor or a slipped decimal point throws a few values far from the rest: each moves away from the "
    "history's median by so many robust standard deviations.",
    phase=Phase.CELLS,
    scope=Scope.RESOLVED,
    kernel=_outlier,
    resolve=centre_and_scale,
    ladder=Ladder(moves="distance", rungs=(3.0, 5.0, 10.0, 30.0, 100.0), fraction=0.02),
    params=(
        Param(name="distance", doc="How far a value moves.", default=10.0, unit=_ROBUST, low=0.0, high=1e6),
        Param(
            name="side",
            doc="Away from the median, or always up or down.",
            default="away",
            choices=("away", "high", "low"),
        ),
    ),
    applies=is_number,
    types="integers and floats",
    placements=CELL_PLACEMENTS,
    examples=(
        Example(
            columns=("x",),
            before={"x": [0.0, 1.349, 2.698, 4.047]},
            after={"x": [-20.0, 21.349, 22.698, 24.047]},
            note="Quartiles 0 and 2.698: scale 2. Median 1.349.",
        ),
    ),
)

FAULTS = (_NOISE, _UNIT, _SIGN, _OUTLIER)
