"""``@task.chaos``: the function names a batch, the task hands on its corrupted copy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk.bases.decorator import DecoratedOperator, task_decorator_factory

__all__ = ["ChaosDecoratedOperator", "chaos_task"]

_OWN = ("fault", "columns", "shadow", "severity", "fraction", "placement", "fault_params", "history")


class ChaosDecoratedOperator(DecoratedOperator, PythonOperator):
    """Call a function that returns a batch's reference, and break a copy of that batch.

    Parameters
    ----------
    python_callable, op_args, op_kwargs
        The function, and what it is called with.
    fault, shadow, columns, severity, fraction, placement, fault_params, seed, repeat, key, time, target, history
        As :class:`pipechaos.airflow.operators.ChaosOperator` takes them.

    Returns
    -------
    dict
        As there.
    """

    template_fields: Sequence[str] = (*DecoratedOperator.template_fields, "templates_dict", *_OWN)
    template_fields_renderers: ClassVar[dict[str, str]] = {**DecoratedOperator.template_fields_renderers}
    custom_operator_name = "@task.chaos"
    ui_color = "#f6d5c8"

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Sequence[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        fault: str,
        shadow: str,
        columns: str | Sequence[str] = (),
        severity: int | None = None,
        fraction: float | None = None,
        placement: Mapping[str, Any] | str | None = None,
        fault_params: Mapping[str, Any] | None = None,
        seed: int = 0,
        repeat: int = 0,
        key: Sequence[str] = (),
        time: str | None = None,
        target: Sequence[str] = (),
        history: Sequence[Any] = (),
        **kwargs: Any,
    ) -> None:
        called = {"python_callable": python_callable, "op_args": op_args, "op_kwargs": op_kwargs}
        super().__init__(kwargs_to_upstream=called, **called, **kwargs)
        self.fault, self.shadow, self.columns = fault, shadow, columns
        self.severity, self.fraction, self.placement, self.fault_params = severity, fraction, placement, fault_params
        self.seed, self.repeat = seed, repeat
        self.key, self.time, self.target, self.history = key, time, target, history

    def execute(self, context: Any) -> dict[str, Any]:
        """Call the function, then break a copy."""
        from pipechaos.airflow.tasks import corrupt_batch

        return corrupt_batch(
            super().execute(context),
            fault=self.fault,
            columns=self.columns,
            severity=self.severity,
            fraction=self.fraction,
            placement=self.placement,
            params=self.fault_params,
            seed=self.seed,
            repeat=self.repeat,
            shadow=self.shadow,
            key=self.key,
            time=self.time,
            target=self.target,
            history=self.history,
        )


def chaos_task(python_callable: Callable[..., Any] | None = None, **kwargs: Any) -> Any:
    """Decorate a function that returns a batch's reference, path or URL; ``@task.chaos`` in a DAG file.

    Parameters
    ----------
    python_callable
        The function.
    **kwargs
        Of :class:`ChaosDecoratedOperator`, and of every operator.
    """
    return task_decorator_factory(
        python_callable=python_callable,
        multiple_outputs=False,
        decorated_operator_class=ChaosDecoratedOperator,
        **kwargs,
    )
