"""GRPO, and as its switches Dr. GRPO and DAPO: PPO's clipped loss with a group of completions in place of a critic."""

from typing import Any, Literal

import torch
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import Schedule
from stable_baselines3.common.utils import FloatSchedule

from textgym.errors import ConfigError
from textgym_agents.algorithms.episodic import EpisodicPolicyGradient
from textgym_agents.objectives.advantages import group_normalized


class GRPO(EpisodicPolicyGradient):
    """Group relative policy optimisation: a text's advantage is its return, normalised within its prompt's group.

    Shao et al., "DeepSeekMath" (2024), https://arxiv.org/abs/2402.03300, equations 3 and 4.

    ======== =========================================================================================== ==========
    Variant  Arguments                                                                                   Paper
    ======== =========================================================================================== ==========
    Dr. GRPO ``normalize_std=False, loss_reduction="constant", kl_coef=0``                               2503.20783
    DAPO     ``clip_range_high=0.28, loss_reduction="token", skip_without_signal=True, kl_coef=0``       2503.14476
    ======== =========================================================================================== ==========

    Differences from the papers:

    1. The deviation of a group is that of a sample (k - 1), with 1e-4 added; the paper doesn't say which.
    2. The reference model is the initial one throughout; the paper renews it between its outer iterations.
    3. DAPO draws new prompts until every group has a signal; here groups without one are left out, and the batch is
       smaller. Its penalty for texts that are too long is a matter of the reward.
    4. The mean over texts (or tokens) is taken within each minibatch.

    Args:
        policy, env, learning_rate, prompts_per_rollout, ...: as for ``EpisodicPolicyGradient``.
        n_epochs: how often a rollout is used; once, as in the paper, still takes a step for each minibatch.
        clip_range: the ratio is clipped to 1 - clip_range and 1 + clip_range; a number or a schedule.
        clip_range_high: for the upper end, if it is another. "Clip-higher": unlikely tokens may grow faster.
        normalize_std: divide by the group's standard deviation.
        loss_reduction: "text" (mean over a text's tokens, then over texts), "token" (mean over all tokens) or
            "constant" (sum over tokens, divided by the budget of new tokens).
        kl_in_loss: the KL to the reference model is a term of the loss, by the k3 estimate. False: it is subtracted
            from the rewards, token by token, as for the other algorithms.
    """

    least_group_size = 2

    def __init__(
        self,
        policy: str | type[ActorCriticPolicy],
        env: Any,
        learning_rate: float | Schedule = 1e-3,
        prompts_per_rollout: int = 8,
        group_size: int = 8,
        batch_size: int | None = 256,
        n_epochs: int = 1,
        clip_range: float | Schedule = 0.2,
        clip_range_high: float | Schedule | None = None,
        normalize_std: bool = True,
        loss_reduction: Literal["text", "token", "constant"] = "text",
        kl_in_loss: bool = True,
        ent_coef: float = 0.0,
        max_grad_norm: float = 1.0,
        normalize_advantage: bool = False,
        skip_without_signal: bool = False,
        rollout_buffer_class: type[RolloutBuffer] | None = None,
        rollout_buffer_kwargs: dict[str, Any] | None = None,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: torch.device | str = "auto",
        _init_setup_model: bool = True,
    ) -> None:
        if n_epochs < 1:
            raise ConfigError(f"n_epochs is {n_epochs}, expected at least 1.")
        super().__init__(
            policy,
            env,
            learning_rate,
            prompts_per_rollout,
            group_size,
            batch_size,
            ent_coef,
            max_grad_norm,
            normalize_advantage,
            skip_without_signal,
            rollout_buffer_class,
            {"kl_in_reward": not kl_in_loss, "reduction": loss_reduction, **(rollout_buffer_kwargs or {})},
            stats_window_size,
            tensorboard_log,
            policy_kwargs,
            verbose,
            seed,
            device,
            _init_setup_model=False,
        )
        self.n_epochs, self.clip_range, self.clip_range_high = n_epochs, clip_range, clip_range_high
        self.normalize_std, self.kl_in_loss = normalize_std, kl_in_loss
        if _init_setup_model:
            self._setup_model()

    def _setup_model(self) -> None:
        super()._setup_model()
        self.clip_range = FloatSchedule(self.clip_range)
        if self.clip_range_high is not None:
            self.clip_range_high = FloatSchedule(self.clip_range_high)

    def train(self) -> None:
        """Up the gradient of  mean_i mean_t [min(rho A, clip(rho, 1 - low, 1 + high) A) - beta KL(pi || pi_ref)]."""
        store, low, high = self.rollout_buffer, *self._clip_ranges()
        advantages = group_normalized(store.returns_of_texts, normalize_std=self.normalize_std)  # (groups, k)
        for batch in self._minibatches(advantages, self.n_epochs):
            _, log_prob, entropy = self.policy.evaluate_actions(batch.observations, batch.actions)
            ratio = torch.exp(log_prob - batch.old_log_prob)  # rho
            clipped = ratio.clamp(1 - low, 1 + high)
            objective = torch.min(ratio * batch.advantages, clipped * batch.advantages)
            penalty: Any = 0.0
            if self.kl_in_loss and store.kl_coef:
                log_ratio = log_prob - batch.reference_log_prob
                kl_loss = (batch.weights * (torch.exp(-log_ratio) - 1 + log_ratio)).sum()  # k3
                penalty = store.kl_coef * kl_loss  # beta
                self._log(kl_loss=kl_loss)
            self._descend(batch, -(batch.weights * objective).sum(), entropy, penalty)
            with torch.no_grad():
                log_change = log_prob - batch.old_log_prob
                self._log(
                    approx_kl=(torch.exp(log_change) - 1 - log_change).mean(),  # as PPO's in SB3
                    clip_fraction=(clipped != ratio).float().mean(),
                )

    def _clip_ranges(self) -> tuple[float, float]:
        now: Any = self._current_progress_remaining
        low: Any = self.clip_range
        high: Any = self.clip_range_high or self.clip_range
        self.logger.record("train/clip_range", low(now))
        return low(now), high(now)
