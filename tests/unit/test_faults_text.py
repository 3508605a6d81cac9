"""Typos and categories, against a naive letter-by-letter reading."""

import numpy as np
import pyarrow as pa
import pytest
import xxhash

from pipechaos import counter
from pipechaos.batch.model import Batch
from pipechaos.faults import registry
from pipechaos.faults.category import unseen_like
from pipechaos.faults.kernel import CellInput
from pipechaos.faults.text import NEIGHBOURS, mistyped

KEYBOARD = ("1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm")
TEXTS = ["", "a", "aa", "ab", "Boston", "N228UA", "東京駅", "ß", "👩‍🚀", "a b", "...", "zz9", "ÅÅ"]


def le8(n):
    return (n % 2**64).to_bytes(8, "little")


def naive_draw(row, j, key):
    return xxhash.xxh64_intdigest(le8(row), seed=xxhash.xxh64_intdigest(le8(j), seed=key.s3))


def given(values, fault, **params):
    key = counter.streams(seed=3, batch="b", repeat=0, fault=fault, version=1, column="x", placement={})
    rows = np.arange(100, 100 + len(values), dtype=np.uint64)
    return CellInput(column="x", values=values, rows=rows, key=key, params=params)


def batch(values, name="day"):
    return Batch.of(pa.table({"x": pa.array(values, pa.string())}), name=name)


def naive_neighbours(letter):
    for r, row in enumerate(KEYBOARD):
        if letter in row:
            i = row.index(letter)
            spots = [(r, i - 1), (r, i + 1), (r - 1, i), (r - 1, i + 1), (r + 1, i - 1), (r + 1, i)]
            return [KEYBOARD[a][b] for a, b in spots if a in range(4) and b in range(len(KEYBOARD[a]))]
    return []


def naive_typo(text, row, key):
    operation, place, which = (naive_draw(row, j, key) for j in range(3))
    place, which = place >> 48, which >> 48
    if not text:
        return "asdfghjkl"[which * 9 >> 16]
    at = place * len(text) >> 16
    for attempt in range(operation >> 62, 4):
        letters = list(text)
        match attempt:
            case 0:
                near = naive_neighbours(letters[at].lower()) if letters[at].isascii() else []
                if near:
                    new = near[which * len(near) >> 16]
                    letters[at] = new.upper() if letters[at].isupper() else new
            case 1 if len(text) > 1:
                i = min(at, len(text) - 2)
                letters[i], letters[i + 1] = letters[i + 1], letters[i]
            case 2 if len(text) > 1:
                del letters[at]
            case 3:
                letters.insert(at, letters[at])
        if "".join(letters) != text:
            return "".join(letters)
    raise AssertionError("a typo must change the text")


def test_typos_are_what_the_draws_say():
    texts = TEXTS * 40
    asked = given(pa.array(texts), "text.typo")
    got = registry.get("text.typo").change_cells(asked).to_pylist()
    assert got == [naive_typo(t, 100 + i, asked.key) for i, t in enumerate(texts)]


@pytest.mark.parametrize("text", TEXTS)
def test_every_slip_changes_the_text(text):
    shares = range(0, 1 << 16, 4096)
    slips = {mistyped(text, op, place, which) for op in range(4) for place in shares for which in shares}
    assert text not in slips
    assert all(abs(len(s) - len(text)) <= 1 for s in slips)


def test_the_keyboard_is_mutual():
    assert sorted(NEIGHBOURS["s"]) == sorted("adwezx")
    assert sorted(NEIGHBOURS["P"]) == ["0", "L", "O"]
    assert all(a in NEIGHBOURS[b] for a, near in NEIGHBOURS.items() if a.islower() for b in near if b.islower())


def test_an_unseen_category_is_in_neither_batch_nor_history():
    resolve = registry.get("category.unseen").resolve
    source, history = batch(["UB", "UC", None]), [batch(["UA", "UA", "UZ"]), batch(["ZZ", "ZZ"])]
    assert resolve(source, history, "x", {}) == {"unseen": "UD"}  # counted on from UA, the first of two frequent ones
    assert resolve(source, [], "x", {}) == {"unseen": "UD"}
    assert resolve(batch([None]), history, "x", {}) is None


def test_counting_on_wraps_carries_and_at_last_grows():
    digits = {str(i) for i in range(10)}
    assert unseen_like("9", digits) == "9X"
    assert unseen_like("AZ", {"AZ"}) == "BA"
    assert unseen_like("z-9", {"z-9"}) == "a-0"
    assert unseen_like("", {"", "X"}) == "XX"
    assert unseen_like("東京", {"東京"}) == "東京X"


def test_swaps_always_pick_another_category():
    categories = ["a", "b", "c"]
    values = ["a", "b", "c", "other"] * 100
    asked = given(pa.array(values), "category.swap", categories=categories)
    got = registry.get("category.swap").change_cells(asked).to_pylist()
    others = [[c for c in categories if c != v] for v in values]
    draws = [naive_draw(100 + i, 0, asked.key) for i in range(len(values))]
    assert got == [o[u * len(o) >> 64] for o, u in zip(others, draws, strict=True)]
    assert {(v, g) for v, g in zip(values, got, strict=True)} == {
        (v, c) for v in set(values) for c in categories if v != c
    }


def test_swaps_know_the_most_frequent_categories_in_the_order_of_values():
    resolve = registry.get("category.swap").resolve
    many = [f"c{i:03}" for i in range(100)] + [f"c{i:03}" for i in range(40, 100)]
    found = resolve(batch(many), [], "x", {})["categories"]
    assert found == tuple(f"c{i:03}" for i in [*range(4), *range(40, 100)])
    assert resolve(batch(["a", "a", None]), [], "x", {}) is None
    assert resolve(batch(["a", "b"]), [batch(["y", "x"])], "x", {}) == {"categories": ("x", "y")}


def test_the_mix_drifts_to_the_most_frequent_category_of_the_history():
    resolve = registry.get("drift.category_mix").resolve
    assert resolve(batch(["z"]), [batch(["b", "a", "c", "b", "a"])], "x", {}) == {"category": "a"}
    assert resolve(batch(["z", "z", "y"]), [], "x", {}) == {"category": "z"}
    assert resolve(batch([None]), [], "x", {}) is None
