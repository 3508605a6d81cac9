"""The tables of a store, and its views as they are read (SQLAlchemy Core; nothing else may define a table)."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, UserDefinedType

__all__ = ["VERSION_TABLE", "JsonText", "Utc", "metadata", "rate", "regressions", "run", "run_rates", "survivors"]
__all__ += ["trial", "verdict", "weaknesses"]

VERSION_TABLE = "pc_alembic_version"


class Utc(TypeDecorator[dt.datetime]):
    """A moment in UTC, aware on both sides: SQLite drops the zone, so it is put back."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        """To the database; a moment without a zone is refused."""
        if value is None:
            return None
        if value.utcoffset() is None:
            raise ValueError(f"{value!r} has no time zone: give an aware moment, in UTC")
        moment = value.astimezone(dt.UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        """From the database."""
        if value is None:
            return None
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


class JsonText(UserDefinedType[str]):
    """JSON in a column of that type, handed over and given back as text: nothing is parsed and written twice."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """Name of the type in both databases."""
        return "JSON"

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], str | None]:
        """A driver may have parsed it."""

        def process(value: Any) -> str | None:
            return value if value is None or isinstance(value, str) else json.dumps(value)

        return process


metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

run = sa.Table(
    "pc_run",
    metadata,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("experiment", sa.Text, nullable=False),
    sa.Column("experiment_digest", sa.Text, nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("suites", JsonText, nullable=False),
    sa.Column("versions", JsonText, nullable=False),
    sa.Column("revision", sa.Text, nullable=False),
    sa.Column("history", sa.Text, nullable=False),
    sa.Column("started", Utc, nullable=False),
    sa.Column("finished", Utc),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("exit_code", sa.Integer),
    sa.Column("scorecard", JsonText),
    sa.Index(None, "experiment", "started"),
)


def _of_run() -> sa.Column[str]:
    return sa.Column("run_id", sa.Text, sa.ForeignKey(run.c.run_id, ondelete="CASCADE"), primary_key=True)


_TEXTS = ["fault", "family", "moves", "weakness_id", "injection_id", "ledger_reason"]
_DIGESTS = ["source_digest", "after_digest", "frame_digest"]
_WORDS = ["ledger_status", "base_status", "status", "error_cause", "why"]  # null where nothing was judged
_WHOLE = ["block", "fault_version", "severity", "repeat", "rungs", "checks_declared", "checks_ran"]

trial = sa.Table(
    "pc_trial",
    metadata,
    _of_run(),
    sa.Column("trial_id", sa.Text, primary_key=True),
    sa.Column("validator", sa.Text, primary_key=True),
    sa.Column("batch", sa.Text, primary_key=True),  # two untouched batches of the same content share their trial id
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    *(sa.Column(name, sa.Text, nullable=False) for name in (*_TEXTS, *_DIGESTS)),
    *(sa.Column(name, sa.Text) for name in _WORDS),
    *(sa.Column(name, sa.Integer, nullable=False) for name in _WHOLE),
    *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("seed", "eligible", "changed")),
    *(sa.Column(name, sa.Double, nullable=False) for name in ("fraction", "seconds")),
    sa.Column("dose", sa.Double),
    *(sa.Column(name, sa.Boolean, nullable=False) for name in ("error_only", "subnatural", "flaky")),
    sa.Column("review", sa.Text, nullable=False),
    *(sa.Column(n, JsonText, nullable=False) for n in ("columns", "placement", "params", "resolved", "findings")),
    sa.Column("rows", JsonText),
)

verdict = sa.Table(
    "pc_verdict",
    metadata,
    _of_run(),
    sa.Column("batch", sa.Text, primary_key=True),
    sa.Column("again", sa.Boolean, primary_key=True),
    sa.Column("validator", sa.Text, primary_key=True),
    sa.Column("source_digest", sa.Text, nullable=False),
    sa.Column("verdict", JsonText, nullable=False),
)

_RATES = ["fnr", "fnr_low", "fnr_high", "fpr", "fpr_low", "fpr_high"]
_COUNTS = ["missed", "faulty", "alarms", "natural"]

rate = sa.Table(
    "pc_rate",
    metadata,
    _of_run(),
    sa.Column("validator", sa.Text, primary_key=True),
    sa.Column("suite_digest", sa.Text, nullable=False),
    *(sa.Column(name, sa.Double) for name in _RATES),
    *(sa.Column(name, sa.Integer, nullable=False) for name in _COUNTS),
)

_views = sa.MetaData()  # apart: nothing of it is ever created from here


def _view(name: str, *columns: sa.Column[Any]) -> sa.Table:
    return sa.Table(name, _views, *columns)


def _weakness_columns() -> list[sa.Column[Any]]:
    texts = ("run_id", "experiment", "validator", "weakness_id", "fault", "family", "moves")
    return [
        *(sa.Column(name, sa.Text) for name in texts),
        *(sa.Column(name, JsonText) for name in ("columns", "placement", "params")),
        sa.Column("fraction", sa.Double),
        *(sa.Column(name, sa.Integer) for name in ("severity", "rungs", "missed", "detected", "errors")),
        sa.Column("started", Utc),
    ]


run_rates = _view(
    "pc_v_run_rates",
    *(sa.Column(n, sa.Text) for n in ("run_id", "experiment", "revision", "validator", "suite_digest")),
    sa.Column("started", Utc),
    *(sa.Column(name, sa.Double) for name in (*_RATES, "previous_fnr", "previous_fpr")),
    *(sa.Column(name, sa.Integer) for name in _COUNTS),
    sa.Column("previous_run", sa.Text),
)
weaknesses = _view("pc_v_weaknesses", *_weakness_columns())
survivors = _view("pc_v_survivors", *_weakness_columns())
regressions = _view(
    "pc_v_regressions",
    *_weakness_columns(),
    sa.Column("previous_run", sa.Text),
    sa.Column("previous_detected", sa.Integer),
)
