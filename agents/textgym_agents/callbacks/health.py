"""Warnings about training runs that go wrong in ways that the reward doesn't show, or shows late."""

import warnings
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from numbers import Real
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback

from textgym.errors import ConfigError, ModelError
from textgym_agents.buffers.rollout import EpisodeRolloutBuffer

NEGATIVE_KL = -0.005  # nats per token; above it lies what rounding and the noise of small KLs make
NOISE = 3.0  # standard errors
FEW_NATS = 0.01
COLLAPSED = 0.1  # of the entropy at the start
RATIO_ERROR = 0.01  # nats per token
NO_SIGNAL = 0.5  # of the groups
OUT_OF_TOKENS = 0.9  # of the texts
TEXTS = 64  # that have ended, before their ends are judged


class TrainingWarning(UserWarning):
    """A training run shows the signs of a mistake; the text names the likely cause and what to do."""


@dataclass(frozen=True)
class Finding:
    """One warning.

    Attributes:
        cause: "negative_kl", "entropy", "ratio", "zero_variance", "length" or "not_finite".
        timesteps: tokens at that time.
        message: what the warning said.
    """

    cause: str
    timesteps: int
    message: str


class HealthCheck(BaseCallback):
    """Warn, by :class:`TrainingWarning`, when a training run shows the signs of a mistake.

    =============== ===============================================================================================
    Cause           Sign
    =============== ===============================================================================================
    negative_kl     the mean KL to the reference model of ``window`` rollouts is below 0, beyond noise
    entropy         the policy's entropy is below 0.01 nats per token, or below a tenth of what it was at the start
    ratio           log-probabilities computed for the update differ from those of the rollout before any step is made
    zero_variance   in more than half of the groups, all texts score the same, ``window`` rollouts in a row
    length          more than nine in ten of the last texts ran out of tokens
    not_finite      a loss or gradient is NaN or infinite
    =============== ===============================================================================================

    A cause is named once, and again only after it went away. What an algorithm doesn't have is not looked at; one whose
    rollouts are not samples of its policy says so by ``samples_from_policy = False``, and the first three are left
    out. Logs ``health/entropy`` (nats per token, minus the mean log-probability of the sampled tokens) and
    ``health/ratio_error`` (mean absolute difference of the log-probabilities, at the rollouts where it is measured).

    Args:
        window: rollouts that a judgement rests on.
        every: the ratio is measured in the first rollout and then in every so many.

    Attributes:
        found: a :class:`Finding` for each warning so far.

    Raises:
        ConfigError: ``window`` is below 2 or ``every`` below 1.
        ModelError: (by training) after an update, weights are NaN or infinite: nothing can be learnt any more.
    """

    def __init__(self, window: int = 5, every: int = 10, verbose: int = 0) -> None:
        super().__init__(verbose)
        if window < 2 or every < 1:
            raise ConfigError(f"window is {window} and every is {every}, expected at least 2 and at least 1.")
        self.window, self.every = window, every
        self.found: list[Finding] = []
        self._active: set[str] = set()
        self._rollouts, self._played = 0, False
        self._kls: deque[float] = deque(maxlen=window)
        self._entropies: deque[float] = deque(maxlen=window)
        self._without_signal: deque[float] = deque(maxlen=window)
        self._first_entropy: float | None = None
        self._ran_out: deque[bool] = deque(maxlen=4 * TEXTS)

    def get_state(self) -> dict[str, Any]:
        """What a checkpoint needs, as JSON has it."""
        return {
            "found": [asdict(finding) for finding in self.found],
            "active": sorted(self._active),
            "rollouts": self._rollouts,
            "first_entropy": self._first_entropy,
            **{name: list(getattr(self, f"_{name}")) for name in ("kls", "entropies", "without_signal", "ran_out")},
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from :meth:`get_state`."""
        self.found = [Finding(**finding) for finding in state["found"]]
        self._active, self._rollouts = set(state["active"]), state["rollouts"]
        self._first_entropy = state["first_entropy"]
        for name in ("kls", "entropies", "without_signal", "ran_out"):
            kept = getattr(self, f"_{name}")
            kept.clear()
            kept.extend(state[name])

    def _on_rollout_start(self) -> None:
        self._check_finite()  # what the update before has logged
        self._played = False

    def _on_step(self) -> bool:
        dones = self.locals.get("dones", ())
        self._played |= len(dones) > 0
        for row in np.flatnonzero(dones):
            reason = self.locals["infos"][row].get("finish_reason")
            if reason is not None:
                self._ran_out.append(reason == "length")
        return True

    def _on_rollout_end(self) -> None:
        buffer: Any = getattr(self.model, "rollout_buffer", None)
        sampled = self._played and getattr(self.model, "samples_from_policy", True)
        if sampled and isinstance(getattr(buffer, "log_probs", None), np.ndarray) and buffer.log_probs.size:
            self._check_entropy(buffer)
            if self._rollouts % self.every == 0:
                self._check_ratio(buffer)
        stats = getattr(buffer, "stats", {})
        if sampled and "kl_per_token" in stats:
            self._check_kl(stats["kl_per_token"])
        if getattr(buffer, "group_size", 1) > 1:
            self._check_groups(buffer)
        self._check_ends()
        self._rollouts += 1

    def _on_training_end(self) -> None:
        self._check_finite()

    # ------------------------------------------------------------------ the checks

    def _check_kl(self, kl: float) -> None:
        self._kls.append(kl)
        if len(self._kls) < self.window:
            return
        mean, error = float(np.mean(self._kls)), float(np.std(self._kls, ddof=1) / np.sqrt(self.window))
        negative = mean < NEGATIVE_KL and mean + NOISE * error < 0
        self._tell(
            "negative_kl",
            negative,
            f"The KL to the reference model was {mean:.3f} nats per token over the last {self.window} rollouts, and a "
            "KL can't be negative: the log-probabilities are not those of the distribution that tokens were sampled "
            "from. Likely causes: a temperature, mask, top-k or top-p that sampling has and the log-probabilities "
            "don't, or the other way round; a reference policy made with others than the policy. Make both with the "
            "same policy_kwargs.",
        )

    def _check_entropy(self, buffer: Any) -> None:
        entropy = -float(buffer.log_probs.mean())  # tokens were sampled: their mean surprise is the entropy
        self.logger.record("health/entropy", entropy)
        self._entropies.append(entropy)
        if self._first_entropy is None:
            self._first_entropy = entropy
        now = float(np.mean(self._entropies))
        low = max(FEW_NATS, COLLAPSED * self._first_entropy)
        self._tell(
            "entropy",
            len(self._entropies) == self.window and now < low and self._first_entropy > FEW_NATS,
            f"The policy's entropy fell from {self._first_entropy:.2f} to {now:.3f} nats per token: it writes nearly "
            "the same text each time and finds nothing new. If the reward is as high as it can be, that is as it "
            "should be. Otherwise lower the learning rate, raise ent_coef or kl_coef, or begin again from an earlier "
            "checkpoint.",
        )

    def _check_ratio(self, buffer: Any) -> None:
        error = _ratio_error(self.model.policy, buffer)
        self.logger.record("health/ratio_error", error)
        self._tell(
            "ratio",
            not error <= RATIO_ERROR,
            f"Before the first step of an update, log-probabilities differ by {error:.3g} nats per token from those of "
            "the rollout, and the ratio of PPO from 1. Likely causes: dropout that is on in updates; top-k or top-p, "
            "which drop a token between the two, or are on in only one of them; a wrapper that changes observations "
            "after the policy saw them; bfloat16, whose rounding differs between batches. Switch them off, or use "
            "float32.",
        )

    def _check_groups(self, buffer: Any) -> None:
        scores = buffer.scores  # (groups, k)
        self._without_signal.append(float((np.ptp(scores, axis=1) < 1e-8).mean()))
        most = len(self._without_signal) == self.window and min(self._without_signal) > NO_SIGNAL
        self._tell(
            "zero_variance",
            most,
            f"In {np.mean(self._without_signal):.0%} of the groups of the last {self.window} rollouts all texts scored "
            f"the same, and such groups teach nothing (mean reward {scores.mean():.3g}). Likely causes: a reward with "
            "few distinct values; prompts that are too hard (reward near its lowest) or solved (near its highest); a "
            "temperature so low that all texts of a prompt are alike. Take a finer reward or other prompts, raise "
            "group_size or the temperature.",
        )

    def _check_ends(self) -> None:
        space: Any = self.model.observation_space
        # Where no text may end sooner, running out of tokens is how texts end.
        if getattr(space, "min_new_tokens", 0) >= getattr(space, "max_new_tokens", np.inf):
            return
        share = float(np.mean(self._ran_out)) if self._ran_out else 0.0
        self._tell(
            "length",
            len(self._ran_out) >= TEXTS and share > OUT_OF_TOKENS,
            f"{share:.0%} of the last {len(self._ran_out)} texts ran out of tokens without an end. Likely causes: "
            "max_new_tokens is too small for the task; the model was never taught to end, or earns more by going on. "
            "Raise max_new_tokens, warm up on references, or penalise it: "
            'textgym.wrappers.transform_reward(env, "missing_eos_penalty=0.5").',
        )

    def _check_finite(self) -> None:
        numbers: Mapping[str, Any] = self.logger.name_to_value
        logged = {n: float(v) for n, v in numbers.items() if n.startswith("train/") and isinstance(v, Real)}
        # Explained variance is NaN where all returns are equal, which is nothing to worry about.
        wrong = sorted(n for n, v in logged.items() if n != "train/explained_variance" and not np.isfinite(v))
        if wrong and not all(bool(torch.isfinite(p).all()) for p in self.model.policy.parameters()):
            raise ModelError(
                f"After {self.model.num_timesteps} tokens {wrong[0]} is {logged[wrong[0]]} and the weights hold NaN or "
                "infinity: training has diverged. Go back to the last checkpoint and lower the learning rate."
            )
        self._tell(
            "not_finite",
            bool(wrong),
            f"{', '.join(wrong)} of an update was NaN or infinite; the weights are still finite. Likely causes: tokens "
            "of the rollout to which the update gives no probability, by top-k, top-p or a mask; or a learning rate "
            "that is too high.",
        )

    def _tell(self, cause: str, wrong: bool, message: str) -> None:
        if not wrong:
            self._active.discard(cause)
        elif cause not in self._active:
            self._active.add(cause)
            self.found.append(Finding(cause, self.model.num_timesteps, message))
            warnings.warn(message, TrainingWarning, stacklevel=2)


def _ratio_error(policy: Any, buffer: Any) -> float:
    """Mean distance, in nats, of log-probabilities as an update computes them from those that were stored."""
    was_training = policy.training
    policy.set_training_mode(True)  # as it will be in the update: dropout shows only so
    try:
        if isinstance(buffer, EpisodeRolloutBuffer):
            observations, actions, stored = buffer.peek()
            with torch.no_grad(), torch.random.fork_rng(devices=[]):
                found = policy.evaluate_actions(observations, actions)[1]
        else:
            observations, actions, stored = _some_steps(buffer)
            # With gradients, since without them a policy of ours would put these rows into its cache.
            with torch.enable_grad(), torch.random.fork_rng(devices=[]):
                found = policy.evaluate_actions(observations, actions)[1].detach()
    finally:
        policy.set_training_mode(was_training)
    return float((found - stored).abs().mean())


def _some_steps(buffer: Any, count: int = 16) -> tuple[Any, torch.Tensor, torch.Tensor]:
    """Observations, actions and log-probabilities of a few steps of one of SB3's own buffers, spread over all."""
    steps = np.linspace(0, buffer.buffer_size - 1, min(count, buffer.buffer_size)).astype(int)
    rows = np.arange(len(steps)) % buffer.n_envs

    def taken(array: Any) -> torch.Tensor:
        found: torch.Tensor = buffer.to_torch(array[steps, rows])
        return found

    stored = buffer.observations
    seen = {name: taken(array) for name, array in stored.items()} if isinstance(stored, dict) else taken(stored)
    return seen, taken(buffer.actions).long().flatten(), taken(buffer.log_probs).flatten()
