"""The counter against vectors made without any code of this project, and against the xxhash library."""

import datetime as dt
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from pipechaos import counter
from pipechaos.batch.identity import choice_ids

VECTORS = json.loads((Path(__file__).parent / "hits.json").read_text())
CASES = {c["key_json"]: c for c in VECTORS["cases"]}
BIG = [0, 1, 7, 8, 63, 2**31, 2**32 + 5, 2**63 - 1, 2**63, 2**63 + 8, 2**64 - 1]
DRAWN_ROWS = [0, 1, 17, 2**63]


def key_of(case):
    _, seed, batch, repeat, fault, version, column, placement = json.loads(case["key_json"])
    return counter.streams(
        seed=seed, batch=batch, repeat=repeat, fault=fault, version=version, column=column, placement=placement
    )


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_streams(case):
    key = key_of(case)
    assert [format(x, "016x") for x in (key.k, key.s1, key.s2, key.s3)] == [case[n] for n in ("k", "s1", "s2", "s3")]
    assert format(int(counter.xxh64_u64([0], key.s1)[0]), "016x") == case["h0"]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_hits(case):
    key, rows = key_of(case), np.arange(2000, dtype=np.uint64)
    for fraction, expected in case["hits"].items():
        assert str(counter.threshold(fraction)) == expected["T"]
        hit = np.flatnonzero(counter.hits(rows, key, fraction))
        assert len(hit) == expected["count_2000"]
        assert hit[: len(expected["first"])].tolist() == expected["first"]
        big = np.array(BIG, np.uint64)
        chosen = big[counter.hits(big, key, fraction)]
        assert [str(int(x)) for x in chosen] == expected["big"]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_exact_order_and_draws(case):
    key = key_of(case)
    for fraction, expected in case["exact_1000"].items():
        hit = counter.exact_hits(np.arange(1000, dtype=np.uint64), key, fraction)
        assert np.flatnonzero(hit).tolist() == expected
    assert counter.order(np.arange(10, dtype=np.uint64), key).tolist() == case["permutation_10"]
    for j, expected in case["draws"].items():
        drawn = counter.draw(np.array(DRAWN_ROWS, np.uint64), int(j), key)
        assert [format(int(x), "016x") for x in drawn] == expected


def golden_value(kind, text):
    match kind:
        case "datetime":
            return dt.datetime.fromisoformat(text)
        case "date":
            return dt.date.fromisoformat(text)
        case "bytes":
            return bytes.fromhex(text)
        case _:
            return text


@pytest.mark.parametrize("vector", VECTORS["row_ids"], ids=lambda v: v["id"])
def test_row_ids(vector):
    arrow = {"str": pa.string(), "int": pa.int64(), "bool": pa.bool_(), "date": pa.date32(), "bytes": pa.binary()}
    columns = []
    for kind, text in zip(vector["types"], vector["values"], strict=True):
        value = golden_value(kind, text)
        if kind == "datetime":  # through integers: pyarrow drops a fixed offset once pandera is imported
            epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC if value.tzinfo else None)
            micros = pa.array([(value - epoch) // dt.timedelta(microseconds=1)], pa.int64())
            columns.append(micros.cast(pa.timestamp("us", tz="UTC" if value.tzinfo else None)))
        else:
            columns.append(pa.array([value], arrow.get(kind, pa.string())))
    assert format(int(choice_ids(columns)[0]), "016x") == vector["id"]


@pytest.mark.parametrize("vector", VECTORS["ids"], ids=lambda v: v["id"])
def test_ids(vector):
    _, kind, *fields = json.loads(vector["json"])
    assert counter.digest_id(kind, *fields) == vector["id"]
    assert counter.canonical_json(json.loads(vector["json"])).decode() == vector["json"]


@given(st.lists(st.binary(max_size=100), min_size=1, max_size=20), st.integers(0, 2**64 - 1))
def test_fold_bytes_is_xxh64(values, seed):
    null = np.zeros(len(values), bool)
    data = np.frombuffer(b"".join(values), np.uint8)
    offsets = np.cumsum([0, *map(len, values)]).astype(np.int64)
    got = counter.fold_bytes(np.full(len(values), seed, np.uint64), data, offsets, null)
    marked = xxhash.xxh64_intdigest((1).to_bytes(8, "little"), seed)
    assert [int(x) for x in got] == [xxhash.xxh64_intdigest(v, marked) for v in values]


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_u64_is_xxh64(value, seed):
    expected = xxhash.xxh64_intdigest(value.to_bytes(8, "little"), seed)
    assert int(counter.xxh64_u64(np.array([value], np.uint64), seed)[0]) == expected


@given(st.integers(0, 2**64 - 1), st.integers(1, 2**32))
def test_below_is_the_high_half_of_the_product(u, n):
    assert int(counter.below(np.array([u], np.uint64), n)[0]) == u * n >> 64


@given(st.integers(0, 2**40), st.integers(1, 200), st.floats(0, 1))
def test_consecutive_rows_take_the_fast_path_to_the_same_hits(start, n, fraction):
    key = counter.streams(seed=1, batch="b", repeat=0, fault="f", version=1, column="c", placement={})
    rows = np.arange(start, start + n, dtype=np.uint64)
    shuffled = np.random.default_rng(0).permutation(n)
    assert (counter.hits(rows, key, fraction)[shuffled] == counter.hits(rows[shuffled], key, fraction)).all()
