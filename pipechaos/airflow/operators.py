"""Operators: break a batch in the shadow, let validators judge, score.

Each is a few lines over a function of the library. Only batch references and small results travel through XCom; draws
come from the batch's name, so a retry or a backfill injects the identical fault.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from airflow.sdk import BaseOperator

from pipechaos.airflow.campaign_operators import CampaignGateOperator, CampaignOperator
from pipechaos.airflow.corrupting import CorruptingOperator
from pipechaos.airflow.failures import AirflowException, AirflowFailException

__all__ = ["CampaignGateOperator", "CampaignOperator", "ChaosOperator", "ScoreOperator", "ValidateBatchOperator"]


class ChaosOperator(CorruptingOperator):
    """Write a corrupted copy of a batch, and the ledger of what changed, into the shadow.

    Parameters
    ----------
    batch
        Reference of the untouched batch: a ``BatchRef`` as JSON, a path or a URL.
    fault, shadow, columns, severity, fraction, placement, fault_params, seed, repeat, key, time, target, history
        What is done to it, and where; see :class:`pipechaos.airflow.corrupting.CorruptingOperator`.

    Returns
    -------
    dict
        ``{"batch": reference of the copy, "ledger": its folder, "source": reference, "fault", "columns", "status",
        "changed"}``.
    """

    template_fields: ClassVar[Sequence[str]] = ("batch", *CorruptingOperator.corrupting_fields)

    def __init__(self, *, batch: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch = batch

    def execute(self, context: Any) -> dict[str, Any]:
        """Corrupt a copy."""
        return self.corrupted(self.batch)


class ValidateBatchOperator(BaseOperator):
    """Let validators judge a batch: as a gate that fails the task, or as a report.

    Parameters
    ----------
    batch
        A reference, or what :class:`ChaosOperator` returned.
    validators
        Specs by name, for instance ``{"pandera": "pandera:flights:flights_schema"}``.
    code_roots
        The only folders that code and suites come from.
    results
        Folder where verdicts are kept, outside the data set.
    gate
        Whether anything but acceptance fails the task. A rejection is not retried; an errored or timed out validator is
        an ordinary failure, since it is no verdict.
    limit_seconds
        A validator is killed after so long.
    loader
        ``module:function(path) -> frame`` where the team does not read with ``pandas.read_parquet``.

    Returns
    -------
    dict
        The reference that was judged, and for each validator its status, counts and the file that holds its verdict.
    """

    template_fields: ClassVar[Sequence[str]] = ("batch", "validators", "code_roots", "results")
    ui_color = "#d5e4f6"

    def __init__(
        self,
        *,
        batch: Any,
        validators: Mapping[str, str],
        code_roots: Sequence[str],
        results: str,
        gate: bool = True,
        limit_seconds: float = 60,
        loader: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.batch, self.validators, self.code_roots, self.results = batch, validators, code_roots, results
        self.gate, self.limit_seconds, self.loader = gate, limit_seconds, loader

    def execute(self, context: Any) -> dict[str, Any]:
        """Judge, and fail the task when it is a gate and something did not accept."""
        from pipechaos.airflow.connections import resolver
        from pipechaos.airflow.tasks import refusal, validate_batch

        ti = context.get("ti")
        found = validate_batch(
            self.batch,
            validators=self.validators,
            roots=self.code_roots,
            results=self.results,
            limit_seconds=self.limit_seconds,
            loader=self.loader,
            kept_as=getattr(ti, "pipechaos_copy", "base"),
            connections=resolver(),
        )
        rejected, message = refusal(found)
        if self.gate and message:
            if ti is not None:  # a task that fails returns nothing
                ti.xcom_push(key="return_value", value=found)
            raise AirflowFailException(message) if rejected else AirflowException(message)
        return found


class ScoreOperator(BaseOperator):
    """Say for each corrupted copy and validator whether the fault was noticed, paired with the untouched batch.

    Parameters
    ----------
    base
        What a :class:`ValidateBatchOperator` returned for the untouched batch.
    verdicts
        What it returned for corrupted copies: one, or a list (mapped tasks).
    key
        Key columns of the batch.

    Returns
    -------
    dict
        ``{"outcomes": [...], "counts": {validator: {outcome: n}}}``, plain values without NaN. A benign or canary
        injection counts as ``accepted`` or ``alarm``, as SCORING.md says for controls.
    """

    template_fields: ClassVar[Sequence[str]] = ("base", "verdicts")
    ui_color = "#d9f0d3"

    def __init__(self, *, base: Any, verdicts: Any, key: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.base, self.verdicts, self.key = base, verdicts, key

    def execute(self, context: Any) -> dict[str, Any]:
        """Score."""
        from pipechaos.airflow.tasks import score_verdicts

        return score_verdicts(self.base, self.verdicts, key=self.key)
