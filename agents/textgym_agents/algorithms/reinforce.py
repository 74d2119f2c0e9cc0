"""REINFORCE with a baseline: a running mean of returns, or the value head."""

from typing import Any, Literal

import torch
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import Schedule

from textgym.errors import ConfigError, did_you_mean
from textgym_agents.algorithms.episodic import EpisodicPolicyGradient
from textgym_agents.objectives.advantages import Floats, leave_one_out, returns_to_go

BASELINES = ("mean", "value", "none")


class REINFORCE(EpisodicPolicyGradient):
    """Policy gradient with reinforcement comparison, or with a learned value as its baseline.

    Williams, "Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning" (1992),
    https://doi.org/10.1007/BF00992696: each action's log-probability goes up in proportion to what was earned
    afterwards minus a baseline that doesn't depend on the action.

    Differences from the paper:

    1. One step for a rollout of many texts, not one for each, with AdamW and a clipped gradient.
    2. The running mean is updated after the step, so that it is independent of the texts it is subtracted from. In the
       first rollout, when there is none, each text's baseline is the mean of the others.
    3. ``baseline="value"`` is the value head on the model's last hidden state, trained towards the returns.

    Args:
        policy, env, learning_rate, prompts_per_rollout, ...: as for ``EpisodicPolicyGradient``.
        baseline: "mean", "value" or "none".
        baseline_decay: of the running mean, for each rollout.
        vf_coef: coefficient of the value head's loss.
    """

    def __init__(
        self,
        policy: str | type[ActorCriticPolicy],
        env: Any,
        learning_rate: float | Schedule = 1e-3,
        prompts_per_rollout: int = 64,
        group_size: int = 1,
        batch_size: int | None = None,
        baseline: Literal["mean", "value", "none"] = "mean",
        baseline_decay: float = 0.9,
        ent_coef: float = 0.0,
        vf_coef: float = 0.5,
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
        if baseline not in BASELINES:
            raise ConfigError(f"baseline is {baseline!r}. {did_you_mean(str(baseline), BASELINES)}")
        if not 0 <= baseline_decay < 1:
            raise ConfigError(f"baseline_decay is {baseline_decay}, expected at least 0 and less than 1.")
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
            rollout_buffer_kwargs,
            stats_window_size,
            tensorboard_log,
            policy_kwargs,
            verbose,
            seed,
            device,
            _init_setup_model=False,
        )
        self.baseline, self.baseline_decay, self.vf_coef = baseline, baseline_decay, vf_coef
        self.running_mean: float | None = None  # of returns
        if _init_setup_model:
            self._setup_model()

    def train(self) -> None:
        """Up the gradient of  1/n sum_i sum_t (G_it - b) log pi(a_it | s_it),  G_it being the rewards from t on."""
        store = self.rollout_buffer
        returns = returns_to_go(store.rewards[:, 0], store.lengths)  # (tokens,)
        store.returns[:, 0] = returns
        for batch in self._minibatches(returns - self._baseline()):
            values, log_prob, entropy = self.policy.evaluate_actions(batch.observations, batch.actions)
            policy_loss = -(batch.weights * batch.advantages * log_prob).sum()
            if self.baseline == "value":
                value_loss = torch.nn.functional.mse_loss(values.flatten(), batch.returns)
                self._descend(batch, policy_loss, entropy, self.vf_coef * value_loss)
                self._log(value_loss=value_loss)
            else:
                self._descend(batch, policy_loss, entropy)
        mean = float(store.returns_of_texts.mean())
        before = mean if self.running_mean is None else self.running_mean
        self.running_mean = self.baseline_decay * before + (1 - self.baseline_decay) * mean

    def _baseline(self) -> Floats | float:
        """What was to be expected, for each token, (tokens,), or for all."""
        store = self.rollout_buffer
        if self.baseline == "value":
            values: Floats = store.values[:, 0]
            return values
        if self.baseline == "none":
            return 0.0
        if self.running_mean is not None:
            self.logger.record("train/baseline", self.running_mean)
            return self.running_mean
        returns = store.returns_of_texts.reshape(1, -1)
        others = returns - leave_one_out(returns) if returns.size > 1 else returns * 0
        return others.repeat(store.lengths)
