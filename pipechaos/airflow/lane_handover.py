"""The task instance as a clone in a lane sees it: the stage's output is the copy, all else is as it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["CopyHandover"]

_RETURNED = "return_value"
_MISSING = object()


class CopyHandover:
    """Stands for a task instance: pulls from the stage give the copy, and the clone's own result is kept back.

    Parameters
    ----------
    ti
        The task instance.
    stage, key
        Whose output, under which XCom key, is replaced.
    copies, label
        Task that made the copies, and which of them is handed over.

    Attributes
    ----------
    handed_over
        Whether anybody pulled the stage's output.
    pushed
        What the operator pushed as its return value itself.
    """

    _MINE = ("_ti", "_stage", "_key", "_copies", "_label", "_made", "handed_over", "pushed")

    def __init__(self, ti: Any, *, stage: str, key: str, copies: str, label: str) -> None:
        self._ti, self._stage, self._key, self._copies, self._label = ti, stage, key, copies, label
        self._made: Any = None
        self.handed_over = False
        self.pushed: Any = None

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
    def until(self) -> float:
        """When the lane's time is over, seconds since 1970."""
        return float(self._copies_made()["until"])

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
        if not here or self._stage not in asked:
            wanted = task_ids if isinstance(task_ids, str) or task_ids is None else asked
            return self._ti.xcom_pull(wanted, dag_id, key, *args, default=default, **kwargs)
        if isinstance(task_ids, str):
            return self._replaced(task_ids, dag_id, key, args, default, kwargs)
        pulled = [self._replaced(t, dag_id, key, args, _MISSING, kwargs) for t in asked]
        return [p for p in pulled if p is not _MISSING]

    def xcom_push(self, key: str, value: Any, *args: Any, **kwargs: Any) -> None:
        """Push as the task instance does; the return value is the lane's to push."""
        if key == _RETURNED:
            self.pushed = value
        else:
            self._ti.xcom_push(key, value, *args, **kwargs)

    def _replaced(
        self, task_id: str, dag_id: str | None, key: str, args: tuple[Any, ...], default: Any, kwargs: Mapping[str, Any]
    ) -> Any:
        if task_id == self._stage and key == self._key:
            self.handed_over = True
            return self._copy()
        value = self._ti.xcom_pull(task_id, dag_id, key, *args, default=default, **kwargs)
        if task_id == self._stage and key == _RETURNED and isinstance(value, Mapping) and self._key in value:
            self.handed_over = True
            return {**value, self._key: self._copy()}
        return value

    def _copy(self) -> Any:
        made = self._copies_made()
        return made["base"] if self._label == "base" else made["trials"][self._label]["given"]

    def _copies_made(self) -> Any:
        if self._made is None:
            self._made = self._ti.xcom_pull(task_ids=self._copies)
        return self._made
