"""Example to copy: what a team's own tests say about its suites. The plugin comes with pipechaos: nothing to import.

Run with ``pytest``, or ``pytest -n auto`` with pytest-xdist.
"""

import pandas as pd
import pandera.pandas as pa
import pytest

SHOPS = ["north", "east", "south", "west"]

# Yours would be imported: from suites.orders import orders_schema
orders_schema = pa.DataFrameSchema(
    {
        "order_id": pa.Column(int, unique=True),
        "shop": pa.Column(str, pa.Check.isin(SHOPS)),
        "amount": pa.Column(float, [pa.Check.in_range(0, 500), pa.Check(lambda s: 40 < s.mean() < 60, name="mean")]),
    },
    checks=pa.Check(lambda df: len(df) > 300, name="enough_rows"),
    name="orders",
)


def day(number: int) -> pd.DataFrame:
    """A day of orders. Yours would be a file: batch="lake/orders/date=2024-05-01"."""
    ids = range(number * 1000, number * 1000 + 400)
    amounts = [float(20 + (i * 7 + number) % 61) for i in ids]
    return pd.DataFrame({"order_id": ids, "shop": [SHOPS[i % 4] for i in ids], "amount": amounts})


def test_ordinary_days_pass(must_accept):
    """No false alarm on untouched batches."""
    must_accept(orders_schema, [day(n) for n in range(1, 8)])


def test_lost_amounts_are_noticed(must_reject):
    """One fault, three draws of it: every one has to be rejected."""
    must_reject(orders_schema, day(1), "null.mcar", columns="amount", severity=3, repeats=3, key=["order_id"])


@pytest.mark.pipechaos(
    batch=lambda: day(1),
    preset="quick",
    ignore=["order_id"],
    severities=[3],
    history=lambda: [day(n) for n in range(-6, 1)],
    key=["order_id"],
    known={  # survivors that the team accepts, each with its reason; one that is caught one day fails as well
        "category.swap[shop]@3": "a shop may sell what another did; the ledger of the tills is compared elsewhere",
        "drift.category_mix[shop]@3": "the share of a shop moves with the weather",
        "relation.shuffle[amount]@3": "no column says what an order should cost",
        "rows.drop@3": "tills may report a day late; below 300 orders it is noticed",
    },
)
def test_faults_of_the_preset(must_reject, fault):
    """One test for each fault that fits the batch."""
    must_reject(orders_schema, fault.batch, fault)
