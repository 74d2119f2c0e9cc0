"""What a training run on text should log, once a rollout."""

import math
import sys
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from textgym.errors import ConfigError
from textgym.mdp import text_env
from textgym_agents.callbacks.ended import ended_infos

REPLAY_TOKENS = 1024  # in a row of TextLogger, for an algorithm with a replay buffer


class TextLogger(BaseCallback):
    """Log statistics of the finished completions once a rollout.

    Scalars: ``text/num_tokens`` (mean length), ``text/finished_<reason>`` (share of completions), ``text/turns`` (the
    policy's, of a conversation),
    ``text/reward_<part>`` (mean of each part of the reward, and what the reward counts itself, such as the agreement of
    judges: see ``BatchReward.statistics``), ``text/untransformed_reward`` (before reward wrappers),
    ``text/abstained`` (share of completions whose reward abstained, which are in no other mean), ``text/failed`` (share
    of those for which it failed, or a part of it),
    ``kl/...`` (from the buffer: ``kl`` is the KL of an episode to the reference model in nats, ``kl_per_token`` its
    mean per token, ``kl_k3_per_token`` the same by the k3 estimator, ``kl_coef`` its coefficient),
    ``time/rollout_tokens_per_second``, ``time/update_tokens_per_second`` (of the update before; tokens of the rollout,
    however many epochs), ``time/update_padding`` (the share of padding in what updates put through the model until
    now), ``time/cache_mib`` (of the key-value caches) and ``time/peak_memory_mib`` (of this process since it began).
    What an algorithm doesn't have is left out: without a finished episode that has a reward there is no reward.

    Args:
        every: at least so many tokens make a row, of one rollout or of several. Default: 1, or 1,024 for algorithms
            with a replay buffer, whose rollouts may be a single step.

    Attributes:
        history: one dict per row with ``timesteps``, ``reward`` (mean over the episodes that ended in it), ``episodes``
            and the scalars above.
    """

    def __init__(self, every: int | None = None, verbose: int = 0) -> None:
        super().__init__(verbose)
        self.every = every
        self.history: list[dict[str, float]] = []
        self._values: dict[str, list[float]] = {}  # of the episodes that have ended since the last row
        self._spent: dict[str, list[float]] = {}  # tokens and seconds of rollouts and of updates since then
        self._unlogged = 0  # tokens since then
        self._tokens = 0  # of the last rollout
        self._rollout_end: float | None = None

    def get_state(self) -> dict[str, Any]:
        """What a checkpoint stores: what the next row has so far. ``MetricsFile`` keeps the rows."""
        own = ("_values", "_spent", "_unlogged", "_tokens")
        return {name.lstrip("_"): getattr(self, name) for name in own}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue from :meth:`get_state`."""
        self._values, self._spent = state["values"], state["spent"]
        self._unlogged, self._tokens = state["unlogged"], state["tokens"]

    def _on_training_start(self) -> None:
        self._rollout_end = None  # what lies between two calls of learn is no update
        self._steps, self._began = 0, self.model.num_timesteps
        over = self.model.num_timesteps >= self.locals.get("total_timesteps", math.inf)
        if over and self._unlogged:  # resumed from a checkpoint at the end: this row comes before the last evaluation
            self._finish_row()

    def _on_rollout_start(self) -> None:
        self._steps, self._first_step = 0, 0.0
        self._began = self._first_tokens = self.model.num_timesteps
        if self._rollout_end is not None:
            self._spend("update", self._tokens, time.perf_counter() - self._rollout_end)

    def _on_step(self) -> bool:
        self._steps += 1
        if self._steps == 1:  # the clock starts here: other callbacks may have evaluated since the rollout's start
            self._first_step, self._first_tokens = time.perf_counter(), self.num_timesteps
        for info in ended_infos(self.locals):
            abstained = bool(info.get("reward_abstained", False))
            if "episode" in info or abstained:
                self._values.setdefault("text/abstained", []).append(float(abstained))
                self._values.setdefault("text/failed", []).append(float("reward_failure" in info))
            if abstained or "episode" not in info:
                continue
            values = {"reward": info["episode"]["r"], "text/num_tokens": info["episode"]["l"]}
            reasons = ("done", "turns", "full", "length") if "turns" in info else ("eos", "stop", "length")
            values |= {f"text/finished_{why}": info.get("finish_reason") == why for why in reasons}
            if "turns" in info:
                values["text/turns"] = sum(turn.speaker == "policy" for turn in info["turns"])
            values |= {f"text/reward_{part}": value for part, value in info.get("reward_components", {}).items()}
            if "untransformed_reward" in info:
                values["text/untransformed_reward"] = info["untransformed_reward"]
            for name, value in values.items():
                self._values.setdefault(name, []).append(float(value))
        return True

    def _on_rollout_end(self) -> None:
        self._rollout_end = time.perf_counter()
        self._tokens = self.model.num_timesteps - self._began
        self._unlogged += self._tokens
        if self._steps > 1:
            tokens = self.model.num_timesteps - self._first_tokens
            self._spend("rollout", tokens, self._rollout_end - self._first_step)
        replays = getattr(self.model, "replay_buffer", None) is not None
        if self._unlogged >= (self.every or (REPLAY_TOKENS if replays else 1)):
            self._finish_row()

    def _on_training_end(self) -> None:
        if self._unlogged:
            self._finish_row()

    def _finish_row(self) -> None:
        row = {name: float(np.mean(values)) for name, values in self._values.items()}
        stats = getattr(getattr(self.model, "rollout_buffer", None), "stats", {})
        row |= {f"kl/{name}": value for name, value in stats.items()}
        policy: Any = self.model.policy
        if getattr(policy, "packed_tokens", 0):
            row["time/update_padding"] = policy.padding_tokens / policy.packed_tokens
        row["time/cache_mib"] = getattr(policy, "cache_nbytes", 0) / 2**20
        row |= {f"text/reward_{name}": value for name, value in self._statistics().items()}
        for name, (tokens, seconds) in self._spent.items():
            row[f"time/{name}_tokens_per_second"] = tokens / seconds
        row |= _peak_memory()
        for name, value in row.items():
            if name != "reward":  # SB3 logs it as rollout/ep_rew_mean
                self.logger.record(name, value)
        episodes = len(self._values.get("text/abstained", ()))
        self.history.append({"timesteps": self.model.num_timesteps, "episodes": episodes, **row})
        self._values, self._spent, self._unlogged = {}, {}, 0

    def _statistics(self) -> dict[str, float]:
        """What the reward of the environment says of itself."""
        try:
            reward: Any = text_env(self.training_env).mdp.reward
        except ConfigError:  # environments in processes, or others than textgym's
            return {}
        return dict(reward.statistics()) if hasattr(reward, "statistics") else {}

    def _spend(self, name: str, tokens: float, seconds: float) -> None:
        spent = self._spent.setdefault(name, [0.0, 1e-9])
        spent[0] += tokens
        spent[1] += seconds


def _peak_memory() -> dict[str, float]:
    """Peak memory of this process in MiB. Empty on Windows, which has no such count."""
    if sys.platform == "win32":
        return {}
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"time/peak_memory_mib": peak / 2**20 if sys.platform == "darwin" else peak / 2**10}  # bytes, else KiB
