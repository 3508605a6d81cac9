"""Tell people how a campaign or a drill went: in the log, by e-mail, in Slack."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from copy import copy
from typing import Any

from airflow.sdk import BaseNotifier

__all__ = ["PipechaosNotifier", "tell_all"]


def tell_all(senders: Iterable[Callable[..., object]], *what: object) -> None:
    """Let each say it: one that fails keeps no other from being tried, and its error is raised at the end."""
    with ExitStack() as stack:
        for send in reversed([*senders]):  # the stack goes from its end
            stack.callback(send, *what)


class PipechaosNotifier(BaseNotifier):
    """Says what a campaign or a drill found, through Airflow's own connections.

    A callback of tasks and DAGs, and a channel of a :class:`pipechaos.airflow.drill.DrillOperator` (``notify``).

    The message always goes to the log; to e-mail and Slack where they are asked for and their provider is installed.

    Parameters
    ----------
    campaign
        Task that returned the result; the task whose callback this is otherwise.
    to
        E-mail addresses.
    smtp_conn_id
        Connection for e-mail.
    slack_conn_id
        Connection of a Slack webhook.
    report_url
        Web address of the report, with ``{run_id}`` and ``{experiment}``; the file otherwise.
    also_ok
        Whether a campaign whose gates all pass, and as a callback a drill that found nothing new, is told too.
    context
        Airflow gives it.
    """

    template_fields: Sequence[str] = ("campaign", "to", "smtp_conn_id", "slack_conn_id", "report_url")

    def __init__(
        self,
        *,
        campaign: str | None = None,
        to: str | Sequence[str] | None = None,
        smtp_conn_id: str = "smtp_default",
        slack_conn_id: str | None = None,
        report_url: str | None = None,
        also_ok: bool = False,
        context: Any = None,
    ) -> None:
        super().__init__(context)
        self.campaign, self.to, self.smtp_conn_id = campaign, to, smtp_conn_id
        self.slack_conn_id, self.report_url, self.also_ok = slack_conn_id, report_url, also_ok

    def notify(self, context: Any) -> None:
        """Tell it: a channel that fails keeps no other from being tried, and its error is raised at the end."""
        from pipechaos.airflow.messages import message_of, of_drill, subject_of

        result, where = self._result(context), _where(context)
        if result is not None and not (self.also_ok or _alarming(result)):
            return
        if result is not None and "message" in result:  # a drill writes its own
            self._send(*of_drill(result["message"], result, report_url=self.report_url))
        else:
            self._send(subject_of(result, where), message_of(result, where, report_url=self.report_url))

    def tell(self, context: Any, message: str, drill: Mapping[str, Any]) -> None:
        """Tell what a drill says, while its task still runs.

        Parameters
        ----------
        context
            Of the task; templates are filled in from it.
        message
            From the drill.
        drill
            Its ``run_id`` and ``experiment``.
        """
        from pipechaos.airflow.messages import of_drill

        mine = copy(self)  # rendering is for good, and the next run of the task has another context
        mine.render_template_fields(context)
        mine._send(*of_drill(message, drill, report_url=mine.report_url))

    def _send(self, subject: str, text: str) -> None:
        self.log.warning("%s", text)
        tell_all(self._channels(), subject, text)

    def _channels(self) -> Iterator[Callable[[str, str], None]]:
        if self.to:
            yield self._mail
        if self.slack_conn_id:
            yield self._slack

    def _result(self, context: Any) -> Mapping[str, Any] | None:
        """What the campaign returned; None where there is nothing to read, as in a DAG's callback."""
        instance = context.get("ti")
        task_id = self.campaign or getattr(instance, "task_id", None)
        if task_id is None or not hasattr(instance, "xcom_pull"):
            return None
        own = {"map_indexes": instance.map_index} if task_id == instance.task_id else {}
        found = instance.xcom_pull(task_ids=task_id, **own)
        ours = isinstance(found, Mapping) and "experiment" in found and ("verdict" in found or "message" in found)
        return found if ours else None

    def _mail(self, subject: str, text: str) -> None:
        from pipechaos.airflow.messages import html_message

        try:
            from airflow.providers.smtp.hooks.smtp import SmtpHook
        except ModuleNotFoundError:
            self._not_installed("e-mail", "apache-airflow-providers-smtp")
            return
        with SmtpHook(smtp_conn_id=self.smtp_conn_id) as hook:
            hook.send_email_smtp(to=self.to, subject=subject, html_content=html_message(text))

    def _slack(self, subject: str, text: str) -> None:
        from pipechaos.airflow.messages import slack_blocks

        try:
            from airflow.providers.slack.hooks.slack_webhook import SlackWebhookHook
        except ModuleNotFoundError:
            self._not_installed("Slack", "apache-airflow-providers-slack")
            return
        hook = SlackWebhookHook(slack_webhook_conn_id=self.slack_conn_id)
        hook.send(text="pipechaos has a result", blocks=slack_blocks(text))

    def _not_installed(self, channel: str, package: str) -> None:
        self.log.warning("nothing is sent by %s: pip install %s; the message is in this log", channel, package)


def _alarming(result: Mapping[str, Any]) -> bool:
    """Whether somebody is to be told: of a campaign its verdict says so, a drill says it itself."""
    return bool(result["alarming"]) if "alarming" in result else result["verdict"] != "ok"


def _where(context: Any) -> dict[str, str]:
    """Names of what the callback is about; of an exception its class alone, as its message may quote data."""
    instance, run, dag = context.get("ti"), context.get("dag_run"), context.get("dag")
    error = context.get("exception")
    found = {
        "dag": getattr(instance, "dag_id", None) or getattr(dag, "dag_id", None),
        "task": getattr(instance, "task_id", None),
        "run": getattr(instance, "run_id", None) or getattr(run, "run_id", None),
        "exception": type(error).__name__ if isinstance(error, BaseException) else None,
    }
    return {what: str(name) for what, name in found.items() if name}
