"""Text that a hand or a machine got slightly wrong."""

from __future__ import annotations

import pyarrow as pa

from pipechaos.counter import below
from pipechaos.faults.kernel import CellInput
from pipechaos.faults.kinds import is_text
from pipechaos.faults.spec import CELL_PLACEMENTS, Example, Family, Fault, Ladder, Phase, Scope

__all__ = ["FAULTS", "mistyped"]

_ROWS = ("1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm")
_STRAY = "asdfghjkl"


def _neighbours() -> dict[str, str]:
    """Keys next to each key of a US keyboard: left, right, and the two it touches in the rows above and below."""
    out = {}
    for r, row in enumerate(_ROWS):
        for i, key in enumerate(row):
            near = [(r, i - 1), (r, i + 1), (r - 1, i), (r - 1, i + 1), (r + 1, i - 1), (r + 1, i)]
            keys = "".join(_ROWS[a][b] for a, b in near if 0 <= a < len(_ROWS) and 0 <= b < len(_ROWS[a]))
            out[key.upper()], out[key] = keys.upper(), keys  # a digit is its own upper case: the plain form stays
    return out


NEIGHBOURS = _neighbours()


def mistyped(text: str, operation: int, place: int, which: int) -> str:
    """Text with one slip of the hand; always another text.

    Parameters
    ----------
    text
        Any text; code points are its letters.
    operation
        0 a neighbouring key, 1 two letters swapped, 2 a letter left out, 3 a letter struck twice. One that would change
        nothing (a letter without neighbours, twins swapped, the only letter left out) gives way to the next.
    place
        0 <= place < 2^16: which letter, as a share of the length.
    which
        0 <= which < 2^16: which neighbouring key, or the stray letter in an empty text, as a share of their number.

    Examples
    --------
    >>> [mistyped("ab", op, 0, 0) for op in range(4)]
    ['sb', 'ba', 'b', 'aab']
    """
    if not text:
        return _STRAY[which * len(_STRAY) >> 16]
    n = len(text)
    at = place * n >> 16
    near = NEIGHBOURS.get(text[at], "")
    if operation == 0 and near:
        return text[:at] + near[which * len(near) >> 16] + text[at + 1 :]
    if operation <= 1 and n > 1:
        left = min(at, n - 2)
        if text[left] != text[left + 1]:
            return text[:left] + text[left + 1] + text[left] + text[left + 2 :]
    if operation <= 2 and n > 1:
        return text[:at] + text[at + 1 :]
    return text[:at] + text[at] + text[at:]


def _typo(given: CellInput) -> pa.Array:
    """Operation, place and choice from the top of draws 0, 1 and 2."""
    operations = below(given.draw(0), 4).tolist()
    places = below(given.draw(1), 1 << 16).tolist()
    choices = below(given.draw(2), 1 << 16).tolist()
    texts = given.values.to_pylist()
    return pa.array(map(mistyped, texts, operations, places, choices), given.values.type)


FAULTS = (
    Fault(
        code="text.typo",
        family=Family.TEXT,
        title="one slip of the hand in a text",
        doc="Codes and names keyed in by people: a neighbouring key, two letters swapped, one left out, one struck "
        "twice. A typo always changes the text; in an empty one a stray letter appears.",
        phase=Phase.CELLS,
        scope=Scope.LOCAL,
        kernel=_typo,
        ladder=Ladder(moves="fraction", rungs=(0.01, 0.05, 0.2, 0.5, 1.0)),
        applies=is_text,
        types="text",
        placements=CELL_PLACEMENTS,
        examples=(
            Example(
                columns=("city",),
                before={"city": ["Boston", "Oslo", None, "Aachen", "", "東京"]},
                after={"city": ["Bostn", "sOlo", None, "Achen", "f", "東東京"]},
            ),
        ),
    ),
)
