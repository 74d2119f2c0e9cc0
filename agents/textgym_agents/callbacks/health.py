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
from textgym_agents.callbacks.ended import ended_infos
from textgym_agents.callbacks.ratio_error import ratio_error
from textgym_agents.objectives.advantages import comparable, without_signal

NEGATIVE_KL = -0.005  # nats per token; above it lies what rounding and the noise of small KLs make
NOISE = 3.0  # standard errors
FEW_NATS = 0.01
COLLAPSED = 0.1  # of the entropy at the start
RATIO_ERROR = 0.01  # nats per token
NO_SIGNAL = 0.5  # of the groups
AT_THE_LIMIT = 0.9  # of the completions
COMPLETIONS = 64  # before their ends are checked
FAR_BELOW = 10.0  # times more completions than a rollout has
MEASURED = 20  # rollouts before the noise scale is believed

QUEUES = ("kls", "entropies", "without_signal", "at_limit", "times_noise")  # that a checkpoint stores


class TrainingWarning(UserWarning):
    """A training run shows the signs of a mistake; the text names the likely cause and what to do."""


@dataclass(frozen=True)
class Finding:
    """One warning.

    Attributes:
        cause: "negative_kl", "entropy", "ratio", "zero_variance", "length", "noise" or "not_finite".
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
    zero_variance   in more than half of the groups, all rewards are the same, ``window`` rollouts in a row
    length          more than nine in ten of the last completions hit the length limit
    noise           the gradient noise scale is ten times the completions of a rollout, ``window`` rollouts in a row
    not_finite      a loss or gradient is NaN or infinite
    =============== ===============================================================================================

    A cause is reported once, and again only after it went away. Checks that don't apply to an algorithm are left out;
    the first three also for one whose rollouts are not samples of its policy, which says ``samples_from_policy =
    False``. That of the noise needs a :class:`NoiseScale` before this callback, and 20 rollouts. Logs
    ``health/entropy`` (nats per token, minus the mean log-probability of the sampled tokens) and
    ``health/ratio_error`` (mean absolute difference of the log-probabilities, at the rollouts where it is measured).

    Args:
        window: rollouts that a check looks at.
        every: rollouts between two measurements of the ratio; the first rollout has one.

    Attributes:
        findings: a :class:`Finding` for each warning so far.

    Raises:
        ConfigError: ``window`` is below 2 or ``every`` below 1.
        ModelError: (by training) after an update, weights are NaN or infinite: training can't recover.
    """

    def __init__(self, window: int = 5, every: int = 10, verbose: int = 0) -> None:
        super().__init__(verbose)
        if window < 2 or every < 1:
            raise ConfigError(f"window is {window} and every is {every}, expected at least 2 and at least 1.")
        self.window, self.every = window, every
        self.findings: list[Finding] = []
        self._active: set[str] = set()
        self._rollouts, self._played = 0, False
        self._kls: deque[float] = deque(maxlen=window)
        self._entropies: deque[float] = deque(maxlen=window)
        self._without_signal: deque[float] = deque(maxlen=window)
        self._times_noise: deque[float] = deque(maxlen=window)  # noise scale over completions of a rollout
        self._first_entropy: float | None = None
        self._at_limit: deque[bool] = deque(maxlen=4 * COMPLETIONS)

    def get_state(self) -> dict[str, Any]:
        """What a checkpoint stores, as JSON has it."""
        return {
            "findings": [asdict(finding) for finding in self.findings],
            "active": sorted(self._active),
            "rollouts": self._rollouts,
            "first_entropy": self._first_entropy,
            **{name: list(getattr(self, f"_{name}")) for name in QUEUES},
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue from :meth:`get_state`."""
        self.findings = [Finding(**finding) for finding in state["findings"]]
        self._active, self._rollouts = set(state["active"]), state["rollouts"]
        self._first_entropy = state["first_entropy"]
        for name in QUEUES:
            kept = getattr(self, f"_{name}")
            kept.clear()
            kept.extend(state[name])

    def _on_rollout_start(self) -> None:
        self._check_finite()  # what the update before has logged
        self._check_noise()
        self._played = False

    def _on_step(self) -> bool:
        dones = self.locals.get("dones", ())
        self._played |= len(dones) > 0
        for info in ended_infos(self.locals):
            reason = info.get("finish_reason")
            if reason is not None:
                self._at_limit.append(reason in ("length", "full"))
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
        entropy = -float(buffer.log_probs.mean())  # of sampled tokens: its mean is the entropy
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
            "the same completion each time and no longer explores. That is right if the reward is as high as it can "
            "be. Otherwise lower the learning rate, raise ent_coef or kl_coef, or continue from an earlier checkpoint.",
        )

    def _check_ratio(self, buffer: Any) -> None:
        error = ratio_error(self.model.policy, buffer)
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
        scores, scored = buffer.scores, buffer.scored  # (groups, k)
        groups = comparable(scored).any(1)
        if not groups.any():
            return  # hardly a reward that didn't abstain
        self._without_signal.append(float(without_signal(scores, scored)[groups].mean()))
        most = len(self._without_signal) == self.window and min(self._without_signal) > NO_SIGNAL
        self._tell(
            "zero_variance",
            most,
            f"In {np.mean(self._without_signal):.0%} of the groups of the last {self.window} rollouts all rewards are "
            f"the same, and such groups have no gradient (mean reward {scores[scored].mean():.3g}). Likely causes: a "
            "reward with few distinct values; prompts that are too hard (reward near its lowest) or solved (near its "
            "highest); a temperature so low that all completions of a prompt are alike. Take a finer reward or other "
            "prompts, raise group_size or the temperature.",
        )

    def _check_ends(self) -> None:
        space: Any = self.model.observation_space
        # Where no completion may end sooner, the length limit is how they end.
        if getattr(space, "min_new_tokens", 0) >= getattr(space, "max_new_tokens", np.inf):
            return
        share = float(np.mean(self._at_limit)) if self._at_limit else 0.0
        self._tell(
            "length",
            len(self._at_limit) >= COMPLETIONS and share > AT_THE_LIMIT,
            f"{share:.0%} of the last {len(self._at_limit)} completions hit the length limit. Likely causes: "
            "max_new_tokens is too small for the task, or for a partner's replies; the model was never trained to end, "
            "or longer completions get a higher reward. Raise max_new_tokens, warm start on references, or penalize "
            'it: textgym.wrappers.transform_reward(env, "missing_eos_penalty=0.5").',
        )

    def _check_noise(self) -> None:
        logged: Mapping[str, Any] = self.logger.name_to_value
        if "train/noise_scale" not in logged:
            return
        scale, rollout = float(logged["train/noise_scale"]), float(logged["train/rollout_completions"])
        self._times_noise.append(scale / rollout)
        self._tell(
            "noise",
            self._rollouts >= MEASURED and len(self._times_noise) == self.window and min(self._times_noise) > FAR_BELOW,
            f"A gradient would need about {scale:,.0f} completions to have as much signal as noise (the gradient noise "
            f"scale), and a rollout has {rollout:,.0f}: updates mostly follow noise. Raise prompts_per_rollout, or "
            "n_envs and n_steps (more rows cost little), or lower the learning rate, which averages over more updates. "
            "A baseline that explains more of the reward lowers the noise: a larger group_size, a value function.",
        )

    def _check_finite(self) -> None:
        numbers: Mapping[str, Any] = self.logger.name_to_value
        logged = {n: float(v) for n, v in numbers.items() if n.startswith("train/") and isinstance(v, Real)}
        # Explained variance is NaN where all returns are equal, which is harmless.
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
            self.findings.append(Finding(cause, self.model.num_timesteps, message))
            warnings.warn(message, TrainingWarning, stacklevel=2)
