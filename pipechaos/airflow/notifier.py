"""Tell people how a campaign went: in the log, by e-mail, in Slack."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from airflow.sdk import BaseNotifier

__all__ = ["PipechaosNotifier"]


class PipechaosNotifier(BaseNotifier):
    """Callback for tasks and DAGs: says what a campaign found, through Airflow's own connections.

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
        Whether a campaign whose gates all pass is told too.
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
        from pipechaos.airflow.messages import message_of, subject_of

        result = self._result(context)
        if result is not None and result["verdict"] == "ok" and not self.also_ok:
            return
        where = _where(context)
        text = message_of(result, where, report_url=self.report_url)
        self.log.warning("%s", text)
        with ExitStack() as stack:
            for send in reversed([*self._channels()]):  # the stack goes from its end
                stack.callback(send, subject_of(result, where), text)

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
        return found if isinstance(found, Mapping) and {"verdict", "experiment"} <= found.keys() else None

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
        hook.send(text="pipechaos: a campaign has a result", blocks=slack_blocks(text))

    def _not_installed(self, channel: str, package: str) -> None:
        self.log.warning("nothing is sent by %s: pip install %s; the message is in this log", channel, package)


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
