"""Callbacks for SB3's ``learn``: what a training run on text should log."""

import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from textgym.errors import ConfigError, did_you_mean
from textgym_agents.evaluation import evaluate

REPLAY_TOKENS = 1024  # that make a row of TextLogger's, for an algorithm with a replay buffer


class TextLogger(BaseCallback):
    """Log, once a rollout, what the finished texts were like.

    Scalars: ``text/num_tokens`` (mean length), ``text/finished_<reason>`` (share of texts), ``text/reward_<part>``
    (mean of each part of the reward), ``text/unshaped_reward`` (before reward wrappers), ``kl/...`` (from the buffer:
    ``kl`` is the KL to the reference model of an episode in nats, ``kl_per_token`` its mean per token,
    ``kl_k3_per_token`` the same by the k3 estimator, ``kl_coef`` its coefficient),
    ``time/rollout_tokens_per_second``, ``time/update_tokens_per_second`` (of the update before; tokens of the rollout,
    however many epochs), ``time/update_padding`` (the share of padding in what updates put through the model until
    now), ``time/cache_mib`` (of the key-value caches) and ``time/peak_memory_mib`` (of this process since it began).
    What an algorithm doesn't have is left out: no texts ended, no reward.

    Args:
        every: at least so many tokens make a row, of one rollout or of several. Default: 1, or 1,024 for algorithms
            with a replay buffer, whose rollouts may be a single step.

    Attributes:
        history: one dict per row with ``timesteps``, ``reward`` (mean over the texts that ended in it), ``episodes``
            and the scalars above.
    """

    def __init__(self, every: int | None = None, verbose: int = 0) -> None:
        super().__init__(verbose)
        self.every = every
        self.history: list[dict[str, float]] = []
        self._values: dict[str, list[float]] = {}  # of the texts that have ended since the last row
        self._spent: dict[str, list[float]] = {}  # tokens and seconds of rollouts and of updates since then
        self._unlogged = 0  # tokens since then
        self._tokens = 0  # of the last rollout
        self._rollout_end: float | None = None

    def _on_training_start(self) -> None:
        self._rollout_end = None  # what lies between two calls of learn is no update
        self._steps, self._began = 0, self.model.num_timesteps

    def _on_rollout_start(self) -> None:
        self._steps, self._first_step = 0, 0.0
        self._began = self._first_tokens = self.model.num_timesteps
        if self._rollout_end is not None:
            self._spend("update", self._tokens, time.perf_counter() - self._rollout_end)

    def _on_step(self) -> bool:
        self._steps += 1
        if self._steps == 1:  # the clock starts here: other callbacks may have evaluated since the rollout's start
            self._first_step, self._first_tokens = time.perf_counter(), self.num_timesteps
        for row in np.flatnonzero(self.locals.get("dones", ())):
            info: dict[str, Any] = self.locals["infos"][row]
            if "episode" not in info:
                continue
            found = {"reward": info["episode"]["r"], "text/num_tokens": info["episode"]["l"]}
            found |= {f"text/finished_{why}": info.get("finish_reason") == why for why in ("eos", "stop", "length")}
            found |= {f"text/reward_{part}": value for part, value in info.get("reward_components", {}).items()}
            if "unshaped_reward" in info:
                found["text/unshaped_reward"] = info["unshaped_reward"]
            for name, value in found.items():
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
        for buffer in ("rollout_buffer", "replay_buffer"):
            stats = getattr(getattr(self.model, buffer, None), "stats", {})
            row |= {f"kl/{name}": value for name, value in stats.items()}
        policy: Any = self.model.policy
        if getattr(policy, "packed_tokens", 0):
            row["time/update_padding"] = policy.padding_tokens / policy.packed_tokens
        row["time/cache_mib"] = getattr(policy, "cache_nbytes", 0) / 2**20
        for name, (tokens, seconds) in self._spent.items():
            row[f"time/{name}_tokens_per_second"] = tokens / seconds
        row |= _peak_memory()
        for name, value in row.items():
            if name != "reward":  # SB3 logs it as rollout/ep_rew_mean
                self.logger.record(name, value)
        episodes = len(self._values.get("reward", ()))
        self.history.append({"timesteps": self.model.num_timesteps, "episodes": episodes, **row})
        self._values, self._spent, self._unlogged = {}, {}, 0

    def _spend(self, name: str, tokens: float, seconds: float) -> None:
        spent = self._spent.setdefault(name, [0.0, 1e-9])
        spent[0] += tokens
        spent[1] += seconds


def _peak_memory() -> dict[str, float]:
    """Most memory that this process has held, in MiB. Empty on Windows, which doesn't say."""
    if sys.platform == "win32":
        return {}
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"time/peak_memory_mib": peak / 2**20 if sys.platform == "darwin" else peak / 2**10}  # bytes, else KiB


class EvaluateCallback(BaseCallback):
    """Evaluate on held-out prompts every so many tokens, keep the best policy, and stop when it gets no better.

    Args:
        env_id: id of the environment.
        every: tokens between two evaluations; the first is before training.
        num_prompts: see :func:`textgym_agents.evaluation.evaluate`, as are the rest.
        metric: what "best" means, higher being better: "reward", or any other name in ``history``.
        best_folder: where ``save_pretrained`` writes the policy with the best held-out metric; None: nowhere.
        patience: end the training after so many evaluations in a row without an improvement; None: never.
        min_delta: an improvement by no more than this doesn't count as one. ``best`` and ``best_folder`` take any.

    Attributes:
        history: one dict per evaluation: ``timesteps``, ``reward`` and the metrics.
        best: the highest value of the metric so far.
        stopped_early: whether the last training ended for want of improvement.

    Raises:
        ConfigError: patience or min_delta makes no sense; at the first evaluation, there is no such metric.
    """

    def __init__(
        self,
        env_id: str,
        every: int,
        num_prompts: int = 100,
        *,
        metric: str = "reward",
        best_folder: str | Path | None = None,
        patience: int | None = None,
        min_delta: float = 0.0,
        deterministic: bool = False,
        split: str = "validation",
        env_kwargs: dict[str, Any] | None = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(verbose)
        if patience is not None and patience < 1:
            raise ConfigError(f"patience is {patience}, expected at least 1 evaluation without improvement, or None.")
        if not min_delta >= 0:
            raise ConfigError(f"min_delta is {min_delta}, expected a number that is not negative.")
        self.env_id, self.every, self.num_prompts = env_id, every, num_prompts
        self.metric, self.best_folder, self.patience, self.min_delta = metric, best_folder, patience, min_delta
        self.options: dict[str, Any] = {"deterministic": deterministic, "split": split, "env_kwargs": env_kwargs}
        self.history: list[dict[str, float]] = []
        self.best = -math.inf
        self.stopped_early = False
        self._to_beat = -math.inf  # by more than min_delta
        self._waited = 0  # evaluations since that was done
        self._next = 0

    def _on_training_start(self) -> None:
        if self.stopped_early:
            self.stopped_early, self._waited = False, 0
        goes_on = bool(self.history) and 0 < self.model.num_timesteps >= self.history[-1]["timesteps"]
        if not goes_on:
            self._next = self.model.num_timesteps
        self._evaluate()

    def _on_step(self) -> bool:
        return not self.stopped_early

    def _on_rollout_start(self) -> None:
        # Between rollouts, so that the slots of the training rows are not needed again before they change anyway.
        self._evaluate()

    def _on_training_end(self) -> None:
        if self.stopped_early:
            # SB3 has stepped the environment and not kept what it showed: going on, it must begin new texts.
            self.model._last_obs = None
        evaluated = self.stopped_early or (self.history and self.history[-1]["timesteps"] == self.model.num_timesteps)
        if not evaluated:
            self._next = self.model.num_timesteps
            self._evaluate()

    def _evaluate(self) -> None:
        now = self.model.num_timesteps
        if now < self._next:
            return
        self._next = now + self.every
        found = evaluate(self.model, self.env_id, self.num_prompts, **self.options).summary()
        if self.metric not in found:
            raise ConfigError(
                f"Evaluations on {self.env_id} have no metric {self.metric!r}. {did_you_mean(self.metric, found)}"
            )
        self.history.append({"timesteps": now, **found})
        for name, value in found.items():
            self.logger.record(f"eval/{name}", value)
        value = found[self.metric]
        if value > self.best:
            self.best = value
            if self.best_folder is not None:
                self.model.policy.save_pretrained(self.best_folder)  # type: ignore[operator]
        improved = value > self._to_beat + self.min_delta
        self._to_beat, self._waited = (value, 0) if improved else (self._to_beat, self._waited + 1)
        self.stopped_early = self.patience is not None and self._waited >= self.patience
