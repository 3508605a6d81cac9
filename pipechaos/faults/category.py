"""Wrong categories: one nobody has seen, or one that belongs to another row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from pipechaos.counter import below
from pipechaos.faults.kernel import CellInput, Params
from pipechaos.faults.kinds import is_text
from pipechaos.faults.scale import category_counts
from pipechaos.faults.spec import CELL_PLACEMENTS, Example, Family, Fault, Ladder, Phase, Scope

if TYPE_CHECKING:
    from pipechaos.batch.model import Batch

__all__ = ["FAULTS", "unseen_like"]

MOST_CATEGORIES = 64
_CLASSES = ("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz", "0123456789")
_NEXT = {c: (row[(i + 1) % len(row)], i + 1 == len(row)) for row in _CLASSES for i, c in enumerate(row)}


def unseen_like(model: str, seen: set[str]) -> str:
    """Text of the model's form that is not among those seen: counted on from the model, Z to A and 9 to 0.

    Letters and digits count like the wheels of a meter, rightmost first; where no form is left, an X is appended.

    Examples
    --------
    >>> unseen_like("UA", {"UA", "UB"}), unseen_like("B6", {"B6"}), unseen_like("-", {"-"})
    ('UC', 'B7', '-X')
    """
    text = model
    for _ in range(len(seen) + 1):
        text = _counted_on(text)
        if text not in seen:
            return text
        if text == model:
            break
    while text in seen:
        text += "X"
    return text


def _counted_on(text: str) -> str:
    letters = list(text)
    for i in range(len(letters) - 1, -1, -1):
        if letters[i] in _NEXT:
            letters[i], carry = _NEXT[letters[i]]
            if not carry:
                break
    return "".join(letters)


def _resolve_unseen(
    source: Batch, history: Sequence[Batch], column: str | None, params: Params
) -> dict[str, str] | None:
    known = category_counts(source, history, column)
    own = category_counts(source, (), column)
    seen = {value for value, _ in (*known, *own)}
    if not own:
        return None
    return {"unseen": unseen_like((known or own)[0][0], seen)}


def _unseen(given: CellInput) -> pa.Array:
    return pa.repeat(pa.scalar(given.params["unseen"], given.values.type), len(given.values))


def _resolve_categories(
    source: Batch, history: Sequence[Batch], column: str | None, params: Params
) -> dict[str, tuple[str, ...]] | None:
    known = [value for value, _ in category_counts(source, history, column)[:MOST_CATEGORIES]]
    return {"categories": tuple(sorted(known))} if len(known) > 1 else None


def _swap(given: CellInput) -> pa.Array:
    """Draw 0 picks among the other categories, so that the value always changes."""
    categories: Sequence[str] = tuple(given.params["categories"])
    place = {value: i for i, value in enumerate(categories)}
    own = np.array([place.get(v, len(categories)) for v in given.values.to_pylist()], np.int64)
    u = given.draw(0)
    pick = np.where(own < len(categories), below(u, len(categories) - 1), below(u, len(categories)))
    pick += pick >= own  # skips its own place
    return pa.array(categories, given.values.type).take(pa.array(pick))


_UNSEEN = Fault(
    code="category.unseen",
    family=Family.CATEGORY,
    title="a category that nobody has seen",
    doc="A new product, station or enum value arrives upstream before anybody here is told. It has the form of the "
    "usual values and occurs neither in the batch nor in the history.",
    phase=Phase.CELLS,
    scope=Scope.RESOLVED,
    kernel=_unseen,
    resolve=_resolve_unseen,
    ladder=Ladder(moves="fraction", rungs=(0.01, 0.05, 0.2, 0.5, 1.0)),
    applies=is_text,
    types="text",
    placements=CELL_PLACEMENTS,
    examples=(
        Example(
            columns=("carrier",),
            before={"carrier": ["UA", "UB", None, "UA"]},
            after={"carrier": ["UC", "UC", None, "UC"]},
        ),
    ),
)

_SWAP = Fault(
    code="category.swap",
    family=Family.CATEGORY,
    title="a valid category on the wrong row",
    doc="Codes are mixed up: every value is allowed, but not its own. The other value is drawn evenly from the "
    f"{MOST_CATEGORIES} most frequent of the history (ties by value).",
    phase=Phase.CELLS,
    scope=Scope.RESOLVED,
    kernel=_swap,
    resolve=_resolve_categories,
    ladder=Ladder(moves="fraction", rungs=(0.01, 0.05, 0.2, 0.5, 1.0)),
    applies=is_text,
    types="text",
    placements=CELL_PLACEMENTS,
    examples=(
        Example(columns=("gate",), before={"gate": ["A", "B", None, "A"]}, after={"gate": ["B", "A", None, "B"]}),
    ),
)

FAULTS = (_UNSEEN, _SWAP)
