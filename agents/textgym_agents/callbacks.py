"""Callbacks for SB3's ``learn``: what a training run on text should log."""

import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from textgym_agents.evaluation import evaluate


class TextLogger(BaseCallback):
    """Log, once a rollout, what the finished texts were like.

    Scalars: ``text/num_tokens`` (mean length), ``text/finished_<reason>`` (share of texts), ``text/reward_<part>``
    (mean of each part of the reward), ``kl/...`` (from the buffer: ``kl`` is the KL to the reference model of an
    episode in nats, ``kl_per_token`` its mean per token, ``kl_k3_per_token`` the same by the k3 estimator, ``kl_coef``
    its coefficient), ``time/rollout_tokens_per_second``,
    ``time/update_tokens_per_second`` (of the update before; tokens of the rollout, however many epochs),
    ``time/update_padding`` (the share of padding in what updates put through the model until now), ``time/cache_mib``
    (of the key-value caches) and ``time/peak_memory_mib`` (of this process since it began).

    Attributes:
        history: one dict per rollout with ``timesteps``, ``reward`` (mean over the texts that ended in it),
            ``episodes`` and the scalars above.
    """

    def __init__(self, verbose: int = 0) -> None:
        super().__init__(verbose)
        self.history: list[dict[str, float]] = []
        self._speeds: dict[str, float] = {}
        self._rollout_end: float | None = None

    def _on_rollout_start(self) -> None:
        self._values: dict[str, list[float]] = defaultdict(list)
        self._steps, self._first_step = 0, 0.0
        self._began = self._first_tokens = self.model.num_timesteps
        if self._rollout_end is not None:
            seconds = time.perf_counter() - self._rollout_end
            self._speeds["time/update_tokens_per_second"] = self._tokens / seconds

    def _on_step(self) -> bool:
        self._steps += 1
        if self._steps == 1:  # the clock starts here: other callbacks may have evaluated since the rollout's start
            self._first_step, self._first_tokens = time.perf_counter(), self.num_timesteps
        for row in np.flatnonzero(self.locals["dones"]):
            info: dict[str, Any] = self.locals["infos"][row]
            if "episode" not in info:
                continue
            self._values["reward"].append(info["episode"]["r"])
            self._values["text/num_tokens"].append(info["episode"]["l"])
            for reason in ("eos", "stop", "length"):
                self._values[f"text/finished_{reason}"].append(info.get("finish_reason") == reason)
            for part, value in info.get("reward_components", {}).items():
                self._values[f"text/reward_{part}"].append(value)
        return True

    def _on_rollout_end(self) -> None:
        row = {name: float(np.mean(values)) for name, values in self._values.items()}
        stats = getattr(getattr(self.model, "rollout_buffer", None), "stats", {})
        row |= {f"kl/{name}": value for name, value in stats.items()}
        self._rollout_end = time.perf_counter()
        self._tokens = self.num_timesteps - self._began
        if self._steps > 1:
            seconds = self._rollout_end - self._first_step
            self._speeds["time/rollout_tokens_per_second"] = (self.num_timesteps - self._first_tokens) / seconds
        policy: Any = self.model.policy
        if getattr(policy, "packed_tokens", 0):
            row["time/update_padding"] = policy.padding_tokens / policy.packed_tokens
        row["time/cache_mib"] = getattr(policy, "cache_nbytes", 0) / 2**20
        row |= {**self._speeds, **_peak_memory()}
        for name, value in row.items():
            if name != "reward":  # SB3 logs it as rollout/ep_rew_mean
                self.logger.record(name, value)
        self.history.append({"timesteps": self.num_timesteps, "episodes": len(self._values["reward"]), **row})


def _peak_memory() -> dict[str, float]:
    """Most memory that this process has held, in MiB. Empty on Windows, which doesn't say."""
    if sys.platform == "win32":
        return {}
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"time/peak_memory_mib": peak / 2**20 if sys.platform == "darwin" else peak / 2**10}  # bytes, else KiB


class EvaluateCallback(BaseCallback):
    """Evaluate on held-out prompts every so many tokens, and keep the best policy.

    Args:
        env_id: id of the environment.
        every: tokens between two evaluations; the first is before training.
        num_prompts: see :func:`textgym_agents.evaluation.evaluate`, as are the rest.
        best_folder: where ``save_pretrained`` writes the policy with the best held-out reward; None: nowhere.

    Attributes:
        history: one dict per evaluation: ``timesteps``, ``reward`` and the metrics.
    """

    def __init__(
        self,
        env_id: str,
        every: int,
        num_prompts: int = 100,
        *,
        best_folder: str | Path | None = None,
        deterministic: bool = False,
        split: str = "validation",
        env_kwargs: dict[str, Any] | None = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(verbose)
        self.env_id, self.every, self.num_prompts = env_id, every, num_prompts
        self.best_folder = best_folder
        self.options: dict[str, Any] = {"deterministic": deterministic, "split": split, "env_kwargs": env_kwargs}
        self.history: list[dict[str, float]] = []
        self.best = -np.inf

    def _on_training_start(self) -> None:
        self._next = self.num_timesteps
        self._evaluate()

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        # Between rollouts, so that the slots of the training rows are not needed again before they change anyway.
        self._evaluate()

    def _on_training_end(self) -> None:
        if not self.history or self.history[-1]["timesteps"] < self.num_timesteps:
            self._next = self.num_timesteps
            self._evaluate()

    def _evaluate(self) -> None:
        if self.num_timesteps < self._next:
            return
        self._next = self.num_timesteps + self.every
        result = evaluate(self.model, self.env_id, self.num_prompts, **self.options)
        self.history.append({"timesteps": self.num_timesteps, **result.summary()})
        for name, value in result.summary().items():
            self.logger.record(f"eval/{name}", value)
        if result.reward > self.best:
            self.best = result.reward
            if self.best_folder is not None:
                self.model.policy.save_pretrained(self.best_folder)  # type: ignore[operator]
