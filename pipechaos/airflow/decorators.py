"""``@task.chaos``: the function names a batch, the task hands on its corrupted copy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk.bases.decorator import DecoratedOperator, task_decorator_factory

from pipechaos.airflow.corrupting import CorruptingOperator

__all__ = ["ChaosDecoratedOperator", "chaos_task"]


class ChaosDecoratedOperator(CorruptingOperator, DecoratedOperator, PythonOperator):
    """Call a function that returns a batch's reference, and break a copy of that batch.

    Parameters
    ----------
    python_callable, op_args, op_kwargs
        The function, and what it is called with.
    fault, shadow, columns, severity, fraction, placement, fault_params, seed, repeat, key, time, target, history
        What is done to the batch, and where; see :class:`pipechaos.airflow.corrupting.CorruptingOperator`.

    Returns
    -------
    dict
        As of :class:`pipechaos.airflow.operators.ChaosOperator`.
    """

    template_fields: Sequence[str] = (
        *DecoratedOperator.template_fields,
        "templates_dict",
        *CorruptingOperator.corrupting_fields,
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {**DecoratedOperator.template_fields_renderers}
    custom_operator_name = "@task.chaos"

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Sequence[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        called: dict[str, Any] = {"python_callable": python_callable, "op_args": op_args, "op_kwargs": op_kwargs}
        super().__init__(kwargs_to_upstream=called, **called, **kwargs)

    def execute(self, context: Any) -> dict[str, Any]:
        """Call the function, then break a copy."""
        return self.corrupted(super().execute(context))


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
