"""The expectations a Great Expectations suite **file** declares: one id for each, whatever the library keeps."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from pipechaos.validate.base import number_ids
from pipechaos.validate.verdict import Check, Subject

__all__ = ["columns_of", "declared_checks", "gives_rows", "short_name", "subject_of"]

_LONGEST = 80
_COLUMN_KEYS = ("column", "column_A", "column_B")
_SILENT_KEYS = {*_COLUMN_KEYS, "column_list", "batch_id", "result_format", "catch_exceptions"}

_DTYPE = {"expect_column_values_to_be_of_type", "expect_column_values_to_be_in_type_list", "expect_column_type_to_be"}
_UNIQUE = {"expect_column_values_to_be_unique", "expect_compound_columns_to_be_unique"}
_AGGREGATE_WORDS = (
    "_mean_",
    "_median_",
    "_stdev_",
    "_sum_to_be_",
    "_min_to_be_",
    "_max_to_be_",
    "_quantile_",
    "_proportion_of_",
    "_unique_value_count_",
    "_distinct_values_",
    "_kl_divergence_",
    "_most_common_value_",
    "_p_value_",
    "_cramers_phi_",
)


def declared_checks(expectations: Sequence[Mapping[str, Any]]) -> tuple[Check, ...]:
    """One check per expectation of the file, in its order, with unique ids.

    Examples
    --------
    >>> raw = {"type": "expect_column_values_to_be_between", "kwargs": {"column": "x", "min_value": 0, "mostly": 0.9}}
    >>> [c.id for c in declared_checks([raw, raw])]
    ['values_to_be_between(x, min_value=0, mostly=0.9)', 'values_to_be_between(x, min_value=0, mostly=0.9)#2']
    """
    checks = [
        Check(id=_label(e), columns=columns_of(e.get("kwargs") or {}), subject=subject_of(str(e.get("type", ""))))
        for e in expectations
    ]
    ids = number_ids([c.id for c in checks])
    return tuple(Check(id=unique, columns=c.columns, subject=c.subject) for unique, c in zip(ids, checks, strict=True))


def columns_of(kwargs: Mapping[str, Any]) -> tuple[str, ...]:
    """Columns that an expectation looks at.

    Examples
    --------
    >>> columns_of({"column_A": "arr", "column_B": "dep"}), columns_of({"column_list": ["a", "b"]})
    (('arr', 'dep'), ('a', 'b'))
    """
    named = [kwargs[k] for k in _COLUMN_KEYS if isinstance(kwargs.get(k), str)]
    several = kwargs.get("column_list")
    if isinstance(several, list | tuple):
        named += several
    return tuple(dict.fromkeys(str(c) for c in named))


def subject_of(kind: str, family: Subject | None = None) -> Subject:
    """What an expectation of a type looks at.

    Parameters
    ----------
    kind
        Type in snake case, as in the file.
    family
        What the base class of a custom expectation says; used where the name says nothing.

    Examples
    --------
    >>> subject_of("expect_column_mean_to_be_between"), subject_of("expect_table_row_count_to_equal")
    (<Subject.AGGREGATE: 'aggregate'>, <Subject.ROW_COUNT: 'row_count'>)
    """
    if kind in _DTYPE:
        return Subject.DTYPE
    if kind in _UNIQUE:
        return Subject.UNIQUENESS
    if kind == "expect_column_to_exist" or kind.startswith("expect_table_column"):
        return Subject.SCHEMA
    if kind.startswith("expect_table_row_count"):
        return Subject.ROW_COUNT
    if any(word in kind for word in _AGGREGATE_WORDS):
        return Subject.AGGREGATE
    if family is not None:
        return family
    if kind.startswith(("expect_column_", "expect_multicolumn_", "expect_select_column_values_")):
        return Subject.VALUE
    return Subject.TABLE


def gives_rows(check: Check) -> bool:
    """Whether the complete result format can name rows for it."""
    return check.subject in {Subject.VALUE, Subject.UNIQUENESS, Subject.DTYPE}


def short_name(kind: str) -> str:
    """Type without the words that every type shares.

    Examples
    --------
    >>> short_name("expect_column_values_to_not_be_null"), short_name("expect_column_to_exist")
    ('values_to_not_be_null', 'to_exist')
    """
    return kind.removeprefix("expect_").removeprefix("column_")


def _label(expectation: Mapping[str, Any]) -> str:
    kwargs = expectation.get("kwargs") or {}
    shown = [*columns_of(kwargs)]
    shown += [
        f"{key}={_show(value)}"
        for key, value in kwargs.items()
        if key not in _SILENT_KEYS and value is not None and not (key == "mostly" and value == 1)
    ]
    text = ", ".join(shown)
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST - 20]}... {hashlib.blake2b(text.encode(), digest_size=4).hexdigest()}"
    return f"{short_name(str(expectation.get('type', '?')))}({text})"


def _show(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
