"""The operator for scheduled drills, and what it does as a plain function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from airflow.sdk import BaseOperator

from pipechaos.airflow.failures import AirflowFailException, Cancelled, failure_of
from pipechaos.airflow.links import ChaosReportLink
from pipechaos.errors import PipechaosError

__all__ = ["DrillOperator"]


class DrillOperator(BaseOperator):
    """Hold a drill: a small campaign on the latest batches, with those faults whose turn it is.

    A retry of the task, or a task that is cleared, goes on with the same drill; one that has finished is read back.

    Parameters
    ----------
    experiment
        Path of an experiment file, or what it would say as a mapping.
    store
        Where drills are kept, and so whose turn it is: a SQLite file or
        ``postgresql://USER:${PASSWORD}@HOST/DATABASE``.
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
        Takes the message when a gate failed, a survivor is new or the drill could not run; the task's log otherwise.
    halt
        Raises ``Halted`` where nothing may be injected.

    Returns
    -------
    dict
        ``DrillResult.to_json()``: plain values without NaN; see ``docs/drills.md``.
    """

    template_fields: ClassVar[Sequence[str]] = ("experiment", "store", "out", "settings", "root", "baseline", "release")
    operator_extra_links = (ChaosReportLink(),)
    ui_color = "#f3e6c4"

    def __init__(
        self,
        *,
        experiment: str | Mapping[str, Any],
        store: str,
        out: str,
        settings: Mapping[str, Any] | None = None,
        root: str | None = None,
        baseline: str | None = None,
        jobs: int = 2,
        values: bool = False,
        release: bool | str = False,
        fail_on_gate: bool = False,
        notify: Callable[[str], None] | None = None,
        halt: Callable[[], None] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.experiment, self.store, self.out, self.root = experiment, store, out, root
        self.settings = dict(settings or {})
        self.baseline, self.jobs, self.values, self.release = baseline, jobs, values, release
        self.fail_on_gate, self.notify, self.halt = fail_on_gate, notify, halt
        self.report_link = ""
        self._running = False

    def execute(self, context: Any) -> dict[str, Any]:
        """Hold it, or what is left of it."""
        self._running = True
        try:
            result = self._hold(context["ti"])
        except PipechaosError as error:
            from pipechaos.drill.schedule import DrillsPausedError

            if isinstance(error, DrillsPausedError):  # stays so, however often it is tried
                raise AirflowFailException(str(error)) from error
            raise failure_of(error) from error
        finally:
            self._running = False
        if result["report"]:
            from pathlib import Path

            self.report_link = Path(result["report"]).resolve().as_uri()
        code = result["exit_code"]
        if code == 3 or (code == 1 and self.fail_on_gate):
            context["ti"].xcom_push(key="return_value", value=result)
            what = f"blind: {', '.join(result['blind'])}" if code == 3 else "a gate or the baseline failed"
            raise AirflowFailException(f"drill {result['run_id']!r}: {what}")  # another try would find the same
        return result

    def _hold(self, instance: Any) -> dict[str, Any]:
        from pathlib import Path

        from pipechaos.airflow.campaign import experiment_of
        from pipechaos.drill.execute import DrillRun, run_drill
        from pipechaos.drill.settings import DrillSettings
        from pipechaos.report.experiment_run import tenths
        from pipechaos.store.opening import open_store

        experiment, home = experiment_of(self.experiment, root=self.root)
        run = DrillRun(
            run_id=drill_id(instance),
            out=Path(self.out),
            source=experiment.name if isinstance(self.experiment, Mapping) else str(self.experiment),
            jobs=int(self.jobs),
            values=self.values,
            baseline=_baseline(self.baseline),
            release=str(self.release).strip().lower() == "true",
            notify=self.notify or (lambda text: self.log.warning("%s", text)),
            halt=self.halt,
            progress=tenths(self.log.info),
        )
        with open_store(self.store) as opened:
            settings = DrillSettings.of(self.settings)
            return run_drill(experiment, home, opened, settings=settings, run=run).to_json()

    def on_kill(self) -> None:
        """End the running drill: what is committed stays, and the next try goes on.

        Raises
        ------
        Cancelled
            Airflow calls this in the middle of what runs, and would let it run on.
        """
        if self._running:
            self._running = False
            raise Cancelled("Airflow ended the task: the drill stops here, and its store keeps what was committed")


def drill_id(instance: Any) -> str:
    """Id of a task instance's drill: the same on every try, whenever that is."""
    parts = [instance.dag_id, instance.run_id, instance.task_id]
    mapped = getattr(instance, "map_index", None)
    return "/".join(map(str, parts if mapped in (None, -1) else [*parts, mapped]))


def _baseline(file: str | None) -> Any:
    if not file:
        return None
    from pipechaos.campaign.baseline_file import read_baseline

    return read_baseline(file)
