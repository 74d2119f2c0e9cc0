"""Evaluation on held-out prompts while training, the best policy, and early stopping."""

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback

from textgym.errors import ConfigError, did_you_mean
from textgym_agents.callbacks.averaging import WeightAveraging
from textgym_agents.evaluation.held_out import evaluate
from textgym_agents.storage import replacing_folder

# Of a folder that holds a model, or adapters, and that another one may replace.
MODEL_FILES = ("config.json", "adapter_config.json")


class EvaluateCallback(BaseCallback):
    """Evaluate on held-out prompts every so many tokens, keep the best policy, and stop when it no longer improves.

    Args:
        env_id: id of the environment.
        every: tokens between two evaluations; the first is before training.
        num_prompts, deterministic, env_kwargs: see :func:`textgym_agents.evaluate`.
        split: by default "validation", since these evaluations guide the training; "test" is for results.
        metric: what "best" means, higher being better: "reward", or any other name in ``history``.
        best_folder: where ``save_pretrained`` writes the policy with the best held-out metric; None: nowhere. A new one
            takes the place of the one before as a whole.
        patience: end the training after so many evaluations in a row without an improvement; None: never.
        min_delta: an improvement by no more than this doesn't count as one. ``best`` and ``best_folder`` take any.
        averaging: evaluate and keep the policy with these averaged weights, once there are any. It comes before this
            callback.

    Attributes:
        history: one dict per evaluation: ``timesteps``, ``reward`` and the metrics.
        first_rewards, last_rewards: of each prompt, in the first evaluation and in the last.
        best: the highest value of the metric so far.
        stopped_early: whether the last training ended because the metric no longer improved.

    Raises:
        ConfigError: patience or min_delta makes no sense; at the first evaluation, there is no such metric.
    """

    def __init__(
        self,
        env_id: str,
        every: int,
        num_prompts: int = 200,
        *,
        metric: str = "reward",
        best_folder: str | Path | None = None,
        patience: int | None = None,
        min_delta: float = 0.0,
        averaging: WeightAveraging | None = None,
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
        self.averaging = averaging
        self.options: dict[str, Any] = {"deterministic": deterministic, "split": split, "env_kwargs": env_kwargs}
        self.history: list[dict[str, float]] = []
        self.first_rewards: list[float] = []
        self.last_rewards: list[float] = []
        self.best = -math.inf
        self.stopped_early = False
        self._to_beat = -math.inf  # by more than min_delta
        self._waited = 0  # evaluations since that was done
        self._last: int | None = None  # tokens at the last evaluation
        self._next = 0
        self._resumed = False  # from a checkpoint, since when nothing was evaluated

    def get_state(self) -> dict[str, Any]:
        """What a checkpoint stores. ``MetricsFile`` keeps the rows of ``history``."""
        own = ("first_rewards", "last_rewards", "best", "stopped_early", "_to_beat", "_waited", "_last", "_next")
        return {name.lstrip("_"): getattr(self, name) for name in own}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue from :meth:`get_state`."""
        self.first_rewards, self.last_rewards = list(state["first_rewards"]), list(state["last_rewards"])
        self.best, self.stopped_early = state["best"], state["stopped_early"]
        self._to_beat, self._waited = state["to_beat"], state["waited"]
        self._last, self._next, self._resumed = state["last"], state["next"], True

    def _on_training_start(self) -> None:
        if self.stopped_early:
            self.stopped_early, self._waited = False, 0
        now = self.model.num_timesteps
        goes_on = self._last is not None and now >= self._last and (now > 0 or self._resumed)
        if not goes_on:
            self._next = now
        self._resumed = False
        self._evaluate()

    def _on_step(self) -> bool:
        return not self.stopped_early

    def _on_rollout_start(self) -> None:
        # Between rollouts, when the cache slots of the training rows are no longer needed.
        self._evaluate()

    def _on_training_end(self) -> None:
        if self.stopped_early:
            # SB3 has stepped the environment without keeping its observation: if it continues, with new episodes.
            self.model._last_obs = None
        evaluated = self.stopped_early or self._last == self.model.num_timesteps
        if not evaluated:
            self._next = self.model.num_timesteps
            self._evaluate()

    def _evaluate(self) -> None:
        now = self.model.num_timesteps
        if now < self._next:
            return
        self._next = now + self.every
        with self._weights():
            self._evaluate_now(now)

    def _weights(self) -> AbstractContextManager[None]:
        return nullcontext() if self.averaging is None else self.averaging.applied()

    def _evaluate_now(self, now: int) -> None:
        evaluation = evaluate(self.model, self.env_id, self.num_prompts, **self.options)
        result = evaluation.summary()
        if self.metric not in result:
            raise ConfigError(
                f"Evaluations on {self.env_id} have no metric {self.metric!r}. {did_you_mean(self.metric, result)}"
            )
        self.history.append({"timesteps": now, **result})
        self.last_rewards = evaluation.rewards.tolist()
        self.first_rewards = self.first_rewards or self.last_rewards
        self._last = now
        for name, value in result.items():
            self.logger.record(f"eval/{name}", value)
        value = result[self.metric]
        if math.isnan(value):  # the reward abstained for all completions, which says nothing of the policy
            return
        if value > self.best:
            self.best = value
            if self.best_folder is not None:
                with replacing_folder(self.best_folder, "the best policy", MODEL_FILES) as new:
                    self.model.policy.save_pretrained(new)  # type: ignore[operator]
        improved = value > self._to_beat + self.min_delta
        self._to_beat, self._waited = (value, 0) if improved else (self._to_beat, self._waited + 1)
        self.stopped_early = self.patience is not None and self._waited >= self.patience
