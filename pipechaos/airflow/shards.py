"""A campaign over several tasks, for those that one worker cannot finish in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from pipechaos.airflow.campaign_operators import CampaignOperator, CampaignTask
from pipechaos.airflow.failures import AirflowSkipException
from pipechaos.airflow.stores import check_store, needed_store
from pipechaos.errors import ConfigError

__all__ = ["CampaignShardOperator", "sharded_campaign"]

# what only the task that scores takes
_SCORES = frozenset(
    {"out", "baseline", "formats", "fail_on", "publish", "report_url", "outlets", "inlets", "trigger_rule"}
    | {f"on_{what}_callback" for what in ("execute", "failure", "success", "retry", "skipped")}
)


class CampaignShardOperator(CampaignTask):
    """Run a part of a campaign into its store; made by :func:`sharded_campaign`.

    Parameters
    ----------
    experiment, store, store_conn_id, root, gates, jobs, values
        As :class:`CampaignOperator` takes them, and the same as there: else its run is another one.
    scores
        Task that scores.
    halt_file, halt_variable
        As there. A halted part is skipped, and with it the score.
    part, of
        Which part, from 0, of how many; None is the controls, which come before all.
    """

    template_fields: ClassVar[Sequence[str]] = (
        "experiment", "store", "store_conn_id", "root", "gates", "jobs", "part", "of", "halt_file", "halt_variable",
    )  # fmt: skip
    ui_color = "#e9dcf2"

    def __init__(
        self,
        *,
        experiment: Any,
        scores: str,
        of: int,
        store: str | None = None,
        store_conn_id: str | None = None,
        part: int | None = None,
        root: str | None = None,
        gates: Sequence[Any] | None = None,
        jobs: int | str = 2,
        values: bool = False,
        halt_file: str | None = None,
        halt_variable: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.experiment, self.root, self.gates = experiment, root, gates
        self.store, self.store_conn_id = store, store_conn_id
        self.scores, self.part, self.of, self.jobs, self.values = scores, part, of, jobs, values
        self.halt_file, self.halt_variable = halt_file, halt_variable

    def execute(self, context: Any) -> dict[str, Any]:
        """Run it."""
        from pipechaos.airflow.campaign import TaskKey, run_campaign_share
        from pipechaos.airflow.halting import switch_of
        from pipechaos.campaign.share import Share

        with self.campaign():
            found = run_campaign_share(
                self.experiment,
                share=Share(part=None if self.part is None else int(self.part), of=int(self.of)),
                task=replace(TaskKey.of(context["ti"]), task_id=self.scores, map_index=-1),
                store=needed_store(self.store, self.store_conn_id),
                root=self.root,
                gates=self.gates,
                jobs=int(self.jobs),
                values=self.values,
                halt=switch_of(self.halt_file, self.halt_variable).check,
                say=self.log.info,
            )
        if found["halted"]:
            raise AirflowSkipException(found["stopped"])
        return found


def sharded_campaign(
    *, task_id: str, shards: int, store: str | None = None, store_conn_id: str | None = None, **arguments: Any
) -> CampaignOperator:
    """Controls, then parts of the faults as mapped tasks, then the score: the same as of one task.

    They meet in the store, under one run: the last task finds everything done, does what is missing, and scores.

    Parameters
    ----------
    task_id
        Of the task that scores; the others are called ``<task_id>_controls`` and ``<task_id>_faults``.
    shards
        How many parts.
    store, store_conn_id
        One of them, reachable from every worker: PostgreSQL, or a file where all run on one machine.
    **arguments
        Of :class:`CampaignOperator`. Those of every operator (retries, pool, queue, ...) go to all, callbacks and
        outlets to the last one alone.

    Returns
    -------
    CampaignOperator
        The task that scores.

    Raises
    ------
    ConfigError
        Fewer than one shard, or no store.
    """
    if shards < 1:
        raise ConfigError(f"{shards} shards: give at least one")
    check_store(store, store_conn_id, needed=True)
    arguments |= {"store": store, "store_conn_id": store_conn_id}
    scores = CampaignOperator(task_id=task_id, **arguments)
    shared = {name: value for name, value in arguments.items() if name not in _SCORES}
    same = {"scores": scores.task_id, "of": shards, **shared}
    controls = CampaignShardOperator(task_id=f"{task_id}_controls", **same)
    faults = CampaignShardOperator.partial(task_id=f"{task_id}_faults", **same).expand(part=list(range(shards)))
    controls >> faults >> scores
    return scores
