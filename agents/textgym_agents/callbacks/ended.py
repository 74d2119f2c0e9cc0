"""Which episodes callbacks count in a step."""

from collections.abc import Mapping
from typing import Any


def ended_infos(step: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The last infos of the episodes that count with a step: those that ended, with what is known of their reward.

    An episode whose reward is still to come counts with the step that waits for it: its info then comes behind those of
    the rows.

    Args:
        step: the ``locals`` of a callback, of which "dones" and "infos" are read.

    >>> infos = [{"episode": {"r": 1.0}}, {}, {"reward_pending": True}, {"episode": {"r": 0.5}}]
    >>> ended_infos({"dones": [True, False, True], "infos": infos})
    [{'episode': {'r': 1.0}}, {'episode': {'r': 0.5}}]
    """
    dones = step.get("dones", ())
    return [
        info
        for row, info in enumerate(step.get("infos", ()))
        if (row >= len(dones) or dones[row]) and not info.get("reward_pending", False)
    ]
