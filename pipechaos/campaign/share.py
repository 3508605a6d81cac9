"""A run shared out between processes that meet in its store: controls once, then parts of the faults."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pipechaos import counter
from pipechaos.campaign.tasks import CampaignPlan, Task
from pipechaos.errors import ConfigError

__all__ = ["Share"]


@dataclass(frozen=True, kw_only=True)
class Share:
    """One share of a run.

    Attributes
    ----------
    part
        From 0; None is the controls alone, which come before every part: all of them pair with the same verdicts.
    of
        How many parts there are.

    Raises
    ------
    ConfigError
        There is no such part.
    """

    part: int | None
    of: int

    def __post_init__(self) -> None:
        if self.of < 1 or (self.part is not None and not 0 <= self.part < self.of):
            raise ConfigError(f"there is no part {self.part} of {self.of}: parts count from 0")

    def plan(self, whole: CampaignPlan) -> CampaignPlan:
        """The plan with all controls, and of the rest this share alone."""
        return replace(whole, second=tuple(task for task in whole.second if self.takes(task)))

    def takes(self, task: Task) -> bool:
        """Whether a benign change or a fault belongs to it: by its id, so that no other fault moves it."""
        if self.part is None or task.injection is None:
            return False
        digest = counter.digest_id("share", task.injection.injection_id(task.base), task.base)
        return int(digest, 16) % self.of == self.part
