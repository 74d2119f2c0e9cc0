"""Rewards that come after their episodes have ended, as buffers see them."""

from collections.abc import Mapping
from typing import Protocol

from textgym_agents.objectives.arrays import Ints


class LateSource(Protocol):
    """Where a buffer finds which steps have a reward that is still to come, and what it was.

    Such a step is stored with the reward that it has without it, and the number of a ticket.
    """

    def begin(self, steps: int | None = None, *, taken: int = 0) -> None:
        """A rollout of so many steps begins; None: as many as the algorithm's have.

        With ``taken``, if none is under way: so many of its steps are over, unless the last one ended a rollout.
        """

    def tickets(self) -> Ints:
        """(rows,) of the last step; -1: its reward is all there is."""

    def arrive(self) -> Mapping[int, float | None]:
        """Wait for all that are still to come. By its ticket, what is added to a step's reward; None: it abstained."""
