"""The task instance as a clone in a lane sees it: the stage's output is the copy, all else is as it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["BASE", "CopyHandover", "Judging"]

BASE = "base"  # label of the untouched copy
_RETURNED = "return_value"
_WAITED = "pipechaos_waited"
_MISSING = object()


@dataclass(frozen=True, kw_only=True)
class Judging:
    """What one clone judges.

    Attributes
    ----------
    stage, stage_key
        Whose output, under which XCom key, is replaced.
    copies, label
        Task that made the copies, and which of them this is.
    leading
        The consumer and all tasks that lead to it: what a branch may choose to accept.
    rejects
        See :func:`pipechaos.airflow.outside_verdicts.judge_ending`.
    """

    stage: str
    stage_key: str
    copies: str
    label: str
    leading: frozenset[str] = frozenset()
    rejects: tuple[str, ...] = ()


class CopyHandover:
    """Stands for a task instance: pulls from the stage give the copy, and the clone's own result is kept back.

    Parameters
    ----------
    ti
        The task instance.
    lane
        Whose output is replaced, and by which copy.
    mapped_stage
        Whether the stage runs once for each element of a map, so that its output is a list by itself.
    map_index
        Which element of a mapped validator this is; the task instance's own when None.

    Attributes
    ----------
    handed_over
        Whether anybody pulled the stage's output.
    pushed
        What the operator pushed as its return value itself.
    pipechaos_copy
        Name of the copy, for our own operators that keep files.
    """

    _MINE = ("_ti", "_lane", "_mapped", "_made", "handed_over", "pushed", "map_index", "pipechaos_copy")

    def __init__(self, ti: Any, lane: Judging, *, mapped_stage: bool = False, map_index: int | None = None) -> None:
        self._ti, self._lane, self._mapped = ti, lane, mapped_stage
        self._made: Any = None
        self.handed_over = False
        self.pushed: Any = None
        self.map_index = getattr(ti, "map_index", -1) if map_index is None else map_index
        self.pipechaos_copy = f"{lane.copies}.{lane.label}"

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self._ti)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ti, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._MINE:
            object.__setattr__(self, name, value)
        else:
            setattr(self._ti, name, value)

    @property
    def until(self) -> float | None:
        """When the lane's time is over, seconds since 1970; None where no copies were made."""
        made = self._copies_made()
        return None if made is None else float(made["until"])

    @property
    def label(self) -> str:
        """Which copy it is."""
        return self._lane.label

    @property
    def tables(self) -> Any:
        """Where copies of tables are; None for files, and where no copies were made."""
        return (self._copies_made() or {}).get("tables")

    def copies_of(self, key: str) -> Any:
        """The mapped stage's output as a list of copies, one for each of its elements."""
        return self._replaced(self._lane.stage, None, key, (), None, {})

    def xcom_pull(
        self,
        task_ids: str | Iterable[str] | None = None,
        dag_id: str | None = None,
        key: str = _RETURNED,
        *args: Any,
        default: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Pull as the task instance does, the stage's output apart."""
        asked = [] if task_ids is None else [task_ids] if isinstance(task_ids, str) else list(task_ids)
        here = dag_id in (None, self._ti.dag_id) and kwargs.get("run_id") in (None, self._ti.run_id)
        if asked in ([], [self._ti.task_id]):  # what an element of a map has pushed, which is none of its own here
            kwargs.pop("map_indexes", None)
        if not here or self._lane.stage not in asked:
            wanted = task_ids if isinstance(task_ids, str) or task_ids is None else asked
            return self._ti.xcom_pull(wanted, dag_id, key, *args, default=default, **kwargs)
        if isinstance(task_ids, str):
            return self._of_map(self._replaced(task_ids, dag_id, key, args, default, kwargs), kwargs)
        pulled: list[Any] = []
        for task_id in asked:
            found = self._replaced(task_id, dag_id, key, args, _MISSING, kwargs)
            pulled += found if task_id == self._lane.stage and isinstance(found, list) and self._mapped else [found]
        return [p for p in pulled if p is not _MISSING]

    def xcom_push(self, key: str, value: Any, *args: Any, **kwargs: Any) -> None:
        """Push as the task instance does; the return value is the lane's to push."""
        if key == _RETURNED:
            self.pushed = value
        else:
            self._ti.xcom_push(key, value, *args, **kwargs)

    def waits(self, said: Sequence[Mapping[str, Any]]) -> None:
        """Note what is known when the task defers: it goes on in another process."""
        self._ti.xcom_push(_WAITED, {"took": self.handed_over, "said": list(said)})

    def waited(self) -> list[dict[str, Any]]:
        """What was said before the task deferred; whether it had taken the copy by then is known again."""
        noted = self._ti.xcom_pull(task_ids=self._ti.task_id, key=_WAITED) or {"took": False, "said": []}
        self.handed_over = self.handed_over or bool(noted["took"])
        return list(noted["said"])

    def _replaced(
        self, task_id: str, dag_id: str | None, key: str, args: tuple[Any, ...], default: Any, kwargs: Mapping[str, Any]
    ) -> Any:
        stage, mine = task_id == self._lane.stage, self._lane.stage_key
        named = stage and self.tables is not None and self.tables["named"]
        if stage and key == mine and not named:
            self.handed_over = True
            return self._copy()
        value = self._ti.xcom_pull(task_id, dag_id, key, *args, default=default, **kwargs)
        if named:
            return self._renamed(value)
        if stage and key == _RETURNED:
            parts = value if isinstance(value, (list, tuple)) else [value]
            if parts and all(isinstance(v, Mapping) and mine in v for v in parts):
                self.handed_over = True
                several = self._mapped or parts is value
                copies = self._copy() if several else [self._copy()]
                made = [{**v, mine: c} for v, c in zip(parts, copies, strict=True)]
                return made if several else made[0]
        return value

    def _of_map(self, value: Any, kwargs: Mapping[str, Any]) -> Any:
        """Of a mapped stage's list what Airflow gives for ``map_indexes``; a list of one is that one."""
        at = kwargs.get("map_indexes")
        if not self._mapped or value is None:
            return value
        if isinstance(at, int):
            return value[at]
        if isinstance(at, Iterable):
            return [value[i] for i in at]
        return value[0] if len(value) == 1 else value

    def _renamed(self, value: Any) -> Any:
        """Output of a stage whose table was declared: only where it names that table is it another."""
        from pipechaos.airflow.lane_sql import renamed

        copy = renamed(value, self.tables, self.label)
        self.handed_over = self.handed_over or copy != value
        return copy

    def _copy(self) -> Any:
        made = self._copies_made()
        if made is None:  # the lane was skipped: whoever asks does not get to judge
            return None
        return made[BASE] if self._lane.label == BASE else made["trials"][self._lane.label]["given"]

    def _copies_made(self) -> Any:
        if self._made is None:
            self._made = self._ti.xcom_pull(task_ids=self._lane.copies)
        return self._made
