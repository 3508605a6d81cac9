"""The operator for scheduled drills."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from pipechaos.airflow.campaign_operators import CampaignTask
from pipechaos.airflow.failures import AirflowFailException, AirflowSkipException
from pipechaos.airflow.links import ChaosReportLink, report_link
from pipechaos.airflow.notifier import PipechaosNotifier, tell_all
from pipechaos.airflow.stores import check_store, needed_store

__all__ = ["Channel", "DrillOperator"]

Channel = PipechaosNotifier | Callable[[str], object]


class DrillOperator(CampaignTask):
    """Hold a drill: a small campaign on the latest batches, with those faults whose turn it is.

    A retry of the task, or a task that is cleared, goes on with the same drill; one that has finished is read back.

    Parameters
    ----------
    experiment
        Path of an experiment file, or what it would say as a mapping.
    store
        Where drills are kept, and so whose turn it is: a SQLite file or
        ``postgresql://USER:${PASSWORD}@HOST/DATABASE``.
    store_conn_id
        Airflow connection in its place, of type ``postgres`` or ``sqlite``: no password stands in the DAG.
    out
        Folder of results; each drill has a folder of its own in it.
    settings
        Fields of :class:`pipechaos.drill.settings.DrillSettings`: ``period_days``, ``every_days``, ``trials`` (the
        budget of one drill), ``minutes``, ``controls``, ``bases``, ``until``, ``pause_after``. Texts from templates
        will do, and an empty one or ``None`` stands for the default.
    root
        Folder that relative paths of the experiment start from; that of its file where there is one.
    baseline
        File of accepted survivors.
    jobs
        Worker processes.
    values
        Whether data values may be shown and written.
    release
        Hold a drill though drills are paused; ``"{{ params.release }}"`` makes a switch of it in the trigger form.
    fail_on_gate
        Whether a failed gate or baseline fails the task, for good. Somebody is told either way.
    notify
        Who is told when a gate failed, a survivor is new or the drill could not run: a
        :class:`pipechaos.airflow.notifier.PipechaosNotifier` (log, e-mail, Slack), anything that takes the text, or
        several of them. The task's log otherwise. One that fails keeps no other from being tried; the task fails, and
        its retry tells again without drilling again.
    report_url
        Web address of the report for the link in the UI, with ``{run_id}`` and ``{experiment}``; our plugin's page
        otherwise.
    halt_file, halt_variable
        The kill switch: a file that halts by being there, a Variable that has to say ``off``. It is asked before every
        frame; what cannot be read, a Variable that is not there too, counts as on. A drill that may not begin
        or go on is skipped; cleared, it goes on where it stopped.

    Returns
    -------
    dict
        ``DrillResult.to_json()``, and ``message``, what was or would be told: plain values without NaN; see
        ``docs/drills.md``.
    """

    template_fields: ClassVar[Sequence[str]] = (
        "experiment", "store", "store_conn_id", "out", "settings", "root", "baseline", "release", "report_url",
        "halt_file", "halt_variable",
    )  # fmt: skip
    operator_extra_links = (ChaosReportLink(),)
    ui_color = "#f3e6c4"

    def __init__(
        self,
        *,
        experiment: str | Mapping[str, Any],
        out: str,
        store: str | None = None,
        store_conn_id: str | None = None,
        settings: Mapping[str, Any] | None = None,
        root: str | None = None,
        baseline: str | None = None,
        jobs: int = 2,
        values: bool = False,
        release: bool | str = False,
        fail_on_gate: bool = False,
        notify: Channel | Sequence[Channel] | None = None,
        report_url: str | None = None,
        halt_file: str | None = None,
        halt_variable: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_store(store, store_conn_id, needed=True)
        self.experiment, self.out, self.root = experiment, out, root
        self.store, self.store_conn_id = store, store_conn_id
        self.settings = dict(settings or {})
        self.baseline, self.jobs, self.values, self.release = baseline, jobs, values, release
        self.fail_on_gate, self.report_url = fail_on_gate, report_url
        self.notify: list[Channel] = _listed(notify)
        self.halt_file, self.halt_variable = halt_file, halt_variable
        self.report_link = ""

    def execute(self, context: Any) -> dict[str, Any]:
        """Hold it, or what is left of it."""
        from pipechaos.airflow.campaign import could_not_judge
        from pipechaos.drill.schedule import DrillsPausedError

        with self.campaign():
            try:
                result = self._hold(context)
            except DrillsPausedError as error:  # stays so, however often it is tried
                raise AirflowFailException(str(error)) from error
        self.report_link = report_link(result, self.report_url)
        self.log.info("%s", result["message"])
        if result["halted"]:
            context["ti"].xcom_push(key="return_value", value=result)
            raise AirflowSkipException(result["stopped"])  # cleared, it goes on
        code = result["exit_code"]
        if code == 3 or (code == 1 and self.fail_on_gate):
            context["ti"].xcom_push(key="return_value", value=result)
            what = could_not_judge(result) if code == 3 else "a gate or the baseline failed"
            raise AirflowFailException(f"drill {result['run_id']!r}: {what}")  # another try would find the same
        return result

    def _hold(self, context: Any) -> dict[str, Any]:
        from pathlib import Path

        from pipechaos.airflow.campaign import TaskKey, experiment_of
        from pipechaos.airflow.halting import switch_of
        from pipechaos.drill.execute import DrillRun, run_drill
        from pipechaos.drill.message import drill_message
        from pipechaos.drill.settings import DrillSettings
        from pipechaos.report.experiment_run import tenths
        from pipechaos.store.opening import open_store

        experiment, home = experiment_of(self.experiment, root=self.root)
        run_id = TaskKey.of(context["ti"]).drill_id
        run = DrillRun(
            run_id=run_id,
            out=Path(self.out),
            source=experiment.name if isinstance(self.experiment, Mapping) else str(self.experiment),
            jobs=int(self.jobs),
            values=self.values,
            baseline=_baseline(self.baseline),
            release=str(self.release).strip().lower() == "true",
            notify=partial(tell_all, [*self._channels(context, {"run_id": run_id, "experiment": experiment.name})]),
            halt=switch_of(self.halt_file, self.halt_variable).check,
            progress=tenths(self.log.info),
        )
        with open_store(needed_store(self.store, self.store_conn_id)) as opened:
            settings = DrillSettings.of(self.settings)
            found = run_drill(experiment, home, opened, settings=settings, run=run)
        return {**found.to_json(), "message": drill_message(found)}

    def _channels(self, context: Any, drill: Mapping[str, Any]) -> Iterator[Callable[[str], object]]:
        for channel in self.notify:
            yield partial(channel.tell, context, drill=drill) if isinstance(channel, PipechaosNotifier) else channel
        if not self.notify:
            yield partial(self.log.warning, "%s")


def _listed(given: Channel | Sequence[Channel] | None) -> list[Channel]:
    if given is None:
        return []
    return list(given) if isinstance(given, Sequence) else [given]


def _baseline(file: str | None) -> Any:
    if not file:
        return None
    from pipechaos.campaign.baseline_file import read_baseline

    return read_baseline(file)
