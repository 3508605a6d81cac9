"""Rows named against rows changed, worked out by hand."""

import math

import numpy as np
import pyarrow as pa

from pipechaos.score.attribution import row_scores, uniqueness_groups
from pipechaos.score.records import RowScores, Truth
from pipechaos.validate.verdict import Finding, FindingKind, Subject


def finding(rows, columns=("x",), subject=Subject.VALUE, kind=FindingKind.FAIL):
    return Finding(
        check="c",
        columns=columns,
        kind=kind,
        subject=subject,
        rows=None if rows is None else np.array(rows, np.int64),
    )


TRUTH = Truth(changed={"x": np.array([2, 4, 6, 8])})


def test_precision_and_recall_over_direct_findings():
    given = [
        finding([2, 4, 5]),
        finding([4, 6]),
        finding([0, 1], columns=("z",)),  # elsewhere: not ours to judge
        finding(None),
        finding([3], kind=FindingKind.TOLERATED),
    ]
    found = row_scores(TRUTH, given)
    assert found == RowScores(named=4, right=3, found=3, truth=4, findings=4, with_rows=3)
    assert (found.precision, found.recall, found.coverage) == (0.75, 0.75, 0.75)


def test_without_rows_nothing_is_claimed():
    found = row_scores(TRUTH, [finding(None)])
    assert found == RowScores(findings=1)
    assert math.isnan(found.precision)
    assert math.isnan(found.recall)
    assert found.coverage == 0.0
    assert math.isnan(row_scores(TRUTH, []).coverage)


def test_one_hit_makes_a_uniqueness_group_a_hit_and_twins_are_collateral():
    table = pa.table({"x": ["a", "b", "a", "c", "b", "d", "d", "e", None, None]})
    group = uniqueness_groups(table, ("x",))
    # changed: 2 (twin 0), 4 (twin 1), 6 (twin 5), 8 (twin 9)
    unique = finding([0, 2, 4, 5], subject=Subject.UNIQUENESS)
    found = row_scores(TRUTH, [unique], {("x",): group})
    # 0 and 5 are innocent twins; through 5 the group of 6 is a hit too
    assert found == RowScores(named=2, right=2, found=3, truth=4, findings=1, with_rows=1)


def test_a_group_without_a_changed_row_is_a_false_hit():
    table = pa.table({"x": ["a", "a", "b", "c", "d", "e", "f", "g", "h"]})
    found = row_scores(
        TRUTH, [finding([0, 1, 2], subject=Subject.UNIQUENESS)], {("x",): uniqueness_groups(table, ("x",))}
    )
    assert (found.named, found.right, found.found) == (3, 1, 1)


def test_uniqueness_without_groups_is_not_judged():
    assert row_scores(TRUTH, [finding([2], subject=Subject.UNIQUENESS)]) == RowScores(findings=1, with_rows=1)


def test_added_rows_are_truth():
    truth = Truth(added=np.array([5, 6]), touches_rows=True)
    found = row_scores(truth, [finding([5], columns=("any",))])
    assert (found.named, found.right, found.truth) == (1, 1, 2)


def test_counts_add_up():
    assert RowScores(named=1, truth=2) + RowScores(named=3, right=1) == RowScores(named=4, right=1, truth=2)


def test_groups_over_several_columns_chunks_and_dictionaries():
    left = pa.chunked_array([pa.array(["u", "v"]).dictionary_encode(), pa.array(["v", "u", None]).dictionary_encode()])
    table = pa.table({"l": left, "r": [1, 2, 2, 3, None]})
    group = uniqueness_groups(table, ("l", "r"))
    assert group[1] == group[2]
    assert len(set(group.tolist())) == 4
    assert uniqueness_groups(table.slice(0, 0), ("l",)).tolist() == []
