"""Which rows are hit and which numbers they draw (ENGINE.md sections 1 to 3 and 8).

Everything here is a pure function of its arguments over unsigned 64-bit integers: no generator object, no state, no
floats. The hash is xxHash's XXH64 (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md), computed over whole
arrays because no maintained library hashes an array with one seed per element.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from pipechaos.errors import ConfigError

__all__ = [
    "ROW_SEED",
    "U64",
    "Streams",
    "below",
    "canonical_json",
    "decimal_text",
    "digest_id",
    "draw",
    "exact_hits",
    "fold_bytes",
    "fold_int64",
    "fold_null",
    "hits",
    "order",
    "streams",
    "threshold",
    "windows",
    "xxh64_u64",
]

U64 = npt.NDArray[np.uint64]
ROW_SEED = 42

_P1, _P2, _P3, _P4, _P5 = (
    np.uint64(p)
    for p in (
        0x9E3779B185EBCA87,
        0xC2B2AE3D27D4EB4F,
        0x165667B19E3779F9,
        0x85EBCA77C2B2AE63,
        0x27D4EB2F165667C5,
    )
)
_MASK = (1 << 64) - 1
_CHUNK = 1 << 14  # arrays of this many values stay in the L2 cache


def _rotl(x: U64, bits: int) -> U64:
    return (x << np.uint64(bits)) | (x >> np.uint64(64 - bits))


def _avalanche(h: U64) -> U64:
    h = (h ^ (h >> np.uint64(33))) * _P2
    h = (h ^ (h >> np.uint64(29))) * _P3
    return h ^ (h >> np.uint64(32))


def _round(acc: U64, lane: U64) -> U64:
    return _rotl(acc + lane * _P2, 31) * _P1


def _mix8(h: U64, lane: U64) -> U64:
    return _rotl(h ^ _round(np.zeros_like(lane), lane), 27) * _P1 + _P4


def _as_u64(values: npt.ArrayLike) -> U64:
    array = np.asarray(values)
    return array.astype(np.uint64, copy=False) if array.dtype != np.int64 else array.view(np.uint64)


def xxh64_u64(values: npt.ArrayLike, seed: int | U64) -> U64:
    """XXH64 of the eight little-endian bytes of each value.

    Parameters
    ----------
    values
        Integers, shape (n,), read modulo 2^64.
    seed
        One seed, or one for each value.

    Returns
    -------
    numpy.ndarray
        uint64, shape (n,).

    Examples
    --------
    >>> format(int(xxh64_u64([0], 42)[0]), "016x")
    'b71b47ebda15746c'
    """
    lanes = np.atleast_1d(_as_u64(values))
    seeds = seed if isinstance(seed, np.ndarray) else np.full(1, seed & _MASK, np.uint64)
    out = np.empty(lanes.shape, np.uint64)
    base = seeds + _P5 + np.uint64(8)
    for start in range(0, len(lanes), _CHUNK):
        part = slice(start, start + _CHUNK)
        h = base[part] if len(base) > 1 else base
        out[part] = _avalanche(_mix8(h, lanes[part]))
    return out


def windows(data: npt.NDArray[np.uint8]) -> U64:
    """The eight little-endian bytes that start at each byte, zeros after the end; shape (bytes + 1,)."""
    padded = np.zeros(len(data) + 8, np.uint8)
    padded[: len(data)] = data
    return np.ndarray((len(data) + 1,), "<u8", buffer=padded, strides=(1,))


def _xxh64_texts(words: U64, starts: npt.NDArray[np.int64], length: int, seeds: U64) -> U64:
    """XXH64 of texts of one length that start at these bytes, with one seed a text."""
    at = 0
    if length >= 32:
        accs = [seeds + _P1 + _P2, seeds + _P2, seeds + np.uint64(0), seeds - _P1]
        while at + 32 <= length:
            for i in range(4):
                accs[i] = _round(accs[i], _words(words, starts + (at + 8 * i)))
            at += 32
        h = _rotl(accs[0], 1) + _rotl(accs[1], 7) + _rotl(accs[2], 12) + _rotl(accs[3], 18)
        zero = np.zeros(len(starts), np.uint64)
        for acc in accs:
            h = (h ^ _round(zero, acc)) * _P1 + _P4
    else:
        h = seeds + _P5
    h = h + np.uint64(length)
    while at + 8 <= length:
        h = _mix8(h, _words(words, starts + at))
        at += 8
    if at + 4 <= length:
        word = _words(words, starts + at) & np.uint64(0xFFFFFFFF)
        h = _rotl(h ^ (word * _P1), 23) * _P2 + _P3
        at += 4
    rest = _words(words, starts + at) if at < length else words[:0]
    for i in range(length - at):
        byte = (rest >> np.uint64(8 * i)) & np.uint64(0xFF)
        h = _rotl(h ^ (byte * _P5), 11) * _P1
    return _avalanche(h)


def _words(words: U64, at: npt.NDArray[np.int64]) -> U64:
    return words[at].astype(np.uint64, copy=False)


def fold_null(h: U64, null: npt.NDArray[np.bool_]) -> U64:
    """Fold one key column's validity into the running row hash (0 for null, 1 for a value)."""
    return xxh64_u64((~null).astype(np.uint64), h)


def fold_int64(h: U64, values: npt.NDArray[np.int64], null: npt.NDArray[np.bool_]) -> U64:
    """Fold one key column of integers into the running row hash; null rows get their marker only.

    Parameters
    ----------
    h
        Running hash, uint64, shape (n,); starts as ``ROW_SEED`` everywhere.
    values
        int64, shape (n,): the integers, microseconds or days of ENGINE.md section 1.
    null
        True where the value is null.
    """
    marked = fold_null(h, null)
    return np.where(null, marked, xxh64_u64(values, marked))


def fold_bytes(h: U64, data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], null: npt.NDArray[np.bool_]) -> U64:
    """Fold one key column of strings or binaries into the running row hash.

    Parameters
    ----------
    h
        Running hash, uint64, shape (n,).
    data
        All bytes, one after the other.
    offsets
        int64, shape (n + 1,): value i is ``data[offsets[i]:offsets[i + 1]]``.
    null
        True where the value is null.
    """
    out = fold_null(h, null)
    words = windows(data[offsets[0] : offsets[-1]])
    starts, lengths = offsets[:-1] - offsets[0], np.diff(offsets)
    for length in np.unique(lengths[~null]):
        at = np.flatnonzero((lengths == length) & ~null)
        out[at] = _xxh64_texts(words, starts[at], int(length), out[at])
    return out


def decimal_text(x: object) -> str:
    """Write a number as ENGINE.md section 8 does: plain decimal digits, no exponent, no trailing zeros.

    Examples
    --------
    >>> decimal_text(0.050)
    '0.05'
    >>> decimal_text(1e-7)
    '0.0000001'
    """
    return format(Decimal(str(x)).normalize(), "f")


def _plain(x: object) -> object:
    if x is None or isinstance(x, (bool, int, str)):
        return x
    if isinstance(x, (float, Decimal, np.floating)):
        return decimal_text(x)
    if isinstance(x, np.integer):
        return int(x)
    if isinstance(x, Mapping):
        return {str(k): _plain(v) for k, v in x.items()}
    if isinstance(x, Sequence):
        return [_plain(v) for v in x]
    raise TypeError(f"no canonical form for {type(x).__name__}")


def canonical_json(x: object) -> bytes:
    """UTF-8 JSON, keys sorted, no spaces, non-integers as decimal strings; a ConfigError where a text is no Unicode.

    Examples
    --------
    >>> canonical_json(["größe", 0.10, {"b": 1, "a": None}]).decode()
    '["größe","0.1",{"a":null,"b":1}]'
    """
    text = json.dumps(_plain(x), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    try:
        return text.encode()
    except UnicodeEncodeError as exc:
        raise ConfigError(f"half of a surrogate pair is no character: {text[: exc.end][-60:]!a}") from None


def digest_id(kind: str, *fields: object) -> str:
    """Sixteen hex digits that name a weakness, an injection or a trial (ENGINE.md section 8).

    Examples
    --------
    >>> digest_id("weakness", "pandera:flights", "missing.sentinel", ["distance"], {}, {"value": "-999"}, 3)
    '62e6ee4e182eab8f'
    """
    return hashlib.blake2b(canonical_json(["pipechaos/1", kind, *fields]), digest_size=8).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Streams:
    """The three seeds of one injection key: hits (s1), ties and orders (s2), values (s3)."""

    k: int
    s1: int
    s2: int
    s3: int


def streams(
    *,
    seed: int,
    batch: str,
    repeat: int,
    fault: str,
    version: int,
    column: str | None,
    placement: Mapping[str, object],
) -> Streams:
    """Derive the seeds of one injection key (ENGINE.md section 2).

    Parameters
    ----------
    seed, batch, repeat, fault, version, column, placement
        What the key is made of. Neither fraction nor severity is part of it, so a smaller dose hits a subset of a
        larger one. ``column`` is None for row, schema and delivery faults.
    """
    key = canonical_json(["pipechaos/1", seed, batch, repeat, fault, version, column, placement])
    k = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little")
    s1, s2, s3 = (int(xxh64_u64(np.array([k ^ m], np.uint64), ROW_SEED)[0]) for m in _STREAM_MASKS)
    return Streams(k=k, s1=s1, s2=s2, s3=s3)


_STREAM_MASKS = (0, 0xA5A5A5A5A5A5A5A5, 0x5A5A5A5A5A5A5A5A)


def threshold(fraction: object) -> int:
    """``floor(fraction * 2^64)`` with the fraction taken as an exact decimal; 2^64 for fraction 1.

    Raises
    ------
    ConfigError
        The fraction is not a number in [0, 1].
    """
    try:
        exact = Decimal(str(fraction))
    except ArithmeticError:
        raise ConfigError(f"fraction {fraction!r} is not a number: give one in [0, 1]") from None
    if not (exact.is_finite() and 0 <= exact <= 1):
        raise ConfigError(f"fraction {fraction} is outside [0, 1]: it is the probability that an eligible cell is hit")
    numerator, denominator = exact.as_integer_ratio()
    return (numerator << 64) // denominator


def hits(rows: U64, key: Streams, fraction: object) -> npt.NDArray[np.bool_]:
    """Which rows are hit ("XX-lane8", ENGINE.md section 2).

    Parameters
    ----------
    rows
        Choice ids, uint64, shape (n,).
    key
        Seeds of the injection.
    fraction
        Probability of a hit, in [0, 1], read as an exact decimal.

    Returns
    -------
    numpy.ndarray
        bool, shape (n,).
    """
    t = threshold(fraction)
    if t == 0:
        return np.zeros(len(rows), np.bool_)
    if t > _MASK:
        return np.ones(len(rows), np.bool_)
    lane = _lanes(rows, key.s1)
    top = np.uint8(t >> 56)
    hit = lane < top
    tie = np.flatnonzero(lane == top)
    hit[tie] = xxh64_u64(rows[tie], key.s2) < np.uint64((t << 8) & _MASK)
    return hit


def _lanes(rows: U64, s1: int) -> npt.NDArray[np.uint8]:
    n = len(rows)
    if n and int(rows[-1]) - int(rows[0]) == n - 1 and bool(np.all(rows[1:] - rows[:-1] == 1)):
        # consecutive row numbers share one hash in eight: 5 times cheaper, same bytes
        first, last = int(rows[0]) >> 3, int(rows[-1]) >> 3
        words = np.arange(last - first + 1, dtype=np.uint64) + np.uint64(first)
        skip = int(rows[0]) & 7
        return xxh64_u64(words, s1).astype("<u8", copy=False).view(np.uint8)[skip : skip + n]
    h = xxh64_u64(rows >> np.uint64(3), s1)
    return (h >> ((rows & np.uint64(7)) << np.uint64(3))).astype(np.uint8)


def exact_hits(rows: U64, key: Streams, fraction: object) -> npt.NDArray[np.bool_]:
    """Hit ``floor(fraction * n + 1/2)`` rows with the smallest tie hashes; ties with the last are all hit.

    Parameters
    ----------
    rows
        Choice ids of the *eligible* rows, uint64, shape (n,).
    key, fraction
        As in :func:`hits`.
    """
    threshold(fraction)  # refuses what is no fraction
    count = int(Decimal(str(fraction)) * len(rows) + Decimal("0.5"))
    if count == 0:
        return np.zeros(len(rows), np.bool_)
    ranks = xxh64_u64(rows, key.s2)
    cut: np.uint64 = np.partition(ranks, count - 1)[count - 1]
    return ranks <= cut


def order(rows: U64, key: Streams) -> npt.NDArray[np.int64]:
    """Positions of the rows sorted by (tie hash, choice id): the permutation of ENGINE.md section 5."""
    return np.lexsort((rows, xxh64_u64(rows, key.s2))).astype(np.int64)


def draw(rows: U64, j: int, key: Streams) -> U64:
    """Draw j of each row: uniform over the unsigned 64-bit integers (ENGINE.md section 3)."""
    inner = int(xxh64_u64(np.array([j], np.uint64), key.s3)[0])
    return xxh64_u64(rows, inner)


def below(u: U64, n: int) -> npt.NDArray[np.int64]:
    """Integers in [0, n) from draws, by the high half of a 128-bit product.

    Parameters
    ----------
    u
        Draws, uint64.
    n
        Exclusive upper end, 1 <= n <= 2^32. The bias is below n / 2^64.

    Examples
    --------
    >>> below(np.array([0, 2**63, 2**64 - 1], np.uint64), 10).tolist()
    [0, 5, 9]
    """
    if not 1 <= n <= 1 << 32:
        raise ValueError(f"n must be in [1, 2^32], not {n}")
    m = np.uint64(n)
    low = (u & np.uint64(0xFFFFFFFF)) * m >> np.uint64(32)
    return (((u >> np.uint64(32)) * m + low) >> np.uint64(32)).astype(np.int64)
