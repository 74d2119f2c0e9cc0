"""REINFORCE with a baseline: a running mean of returns, one for each prompt, or the value head."""

from typing import Any, Literal, Unpack

import numpy as np
from stable_baselines3.common.policies import ActorCriticPolicy
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_

from textgym.errors import ConfigError, did_you_mean
from textgym_agents.algorithms import origins, search
from textgym_agents.algorithms.episodic import EpisodicPolicyGradient, Means
from textgym_agents.algorithms.options import PolicyGradientOptions
from textgym_agents.algorithms.row import Algorithm, Learning
from textgym_agents.objectives.advantages import mean_of_others
from textgym_agents.objectives.arrays import Floats
from textgym_agents.objectives.prompt_baseline import PromptBaseline
from textgym_agents.objectives.returns import returns_to_go

VARIANCE_BASELINES = ("mean", "prompt", "value", "none")


class REINFORCE(EpisodicPolicyGradient):
    """Policy gradient with reinforcement comparison, or with a lreturns_of_tokens value as its baseline.

    Williams, "Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning" (1992),
    https://doi.org/10.1007/BF00992696: each action's log-probability goes up in proportion to the return from there on
    minus a baseline that doesn't depend on the action.

    Differences from the paper:

    1. One gradient step for a rollout of many episodes, not one for each, with AdamW and a clipped gradient.
    2. The running mean is updated after the step, so that it is independent of the returns it is subtracted from. In
       the first rollout, when there is none, each episode's baseline is the mean of the others.
    3. ``baseline="prompt"`` is :class:`textgym_agents.objectives.prompt_baseline.PromptBaseline`: what is known of the
       prompt from its other completions, in this rollout and in earlier ones, shrunk towards the running mean. It pays
       where returns differ by prompt, and prompts come again: with a ``group_size``, or few of them.
    4. ``baseline="value"`` is the value head on the model's last hidden state, trained towards the returns.

    Args:
        policy, env: as for ``EpisodicPolicyGradient``.
        prompts_per_rollout: prompts drawn for a rollout.
        group_size: completions of each of them.
        batch_size: about how many tokens, of whole episodes, make one gradient step. None: all of the rollout.
        baseline: "mean", "prompt", "value" or "none".
        baseline_decay: of the running means, for each rollout.
        vf_coef: coefficient of the value head's loss.
        credit: "to_go", the return from a token on, or "episode", the whole return.
        options: further ones of ``EpisodicPolicyGradient``.
    """

    def __init__(
        self,
        policy: str | type[ActorCriticPolicy],
        env: Any,
        *,
        prompts_per_rollout: int = 64,
        group_size: int = 1,
        batch_size: int | None = None,
        baseline: Literal["mean", "prompt", "value", "none"] = "mean",
        baseline_decay: float = 0.9,
        vf_coef: float = 0.5,
        credit: Literal["episode", "to_go"] = "to_go",
        **options: Unpack[PolicyGradientOptions],
    ) -> None:
        if baseline not in VARIANCE_BASELINES:
            raise ConfigError(f"baseline is {baseline!r}. {did_you_mean(str(baseline), VARIANCE_BASELINES)}")
        if not 0 <= baseline_decay < 1:
            raise ConfigError(f"baseline_decay is {baseline_decay}, expected at least 0 and less than 1.")
        self.baseline, self.baseline_decay = baseline, baseline_decay
        self.running_mean: float | None = None  # of returns
        self.prompt_baseline = PromptBaseline(baseline_decay)
        super().__init__(
            policy,
            env,
            prompts_per_rollout=prompts_per_rollout,
            group_size=group_size,
            batch_size=batch_size,
            credit=credit,
            **options,
        )
        self.vf_coef = vf_coef

    def train(self) -> None:
        """Up the gradient of  1/n sum_i sum_t (G_it - b) log pi(a_it | s_it),  G_it being the rewards from t on."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        store, means = self.rollout_buffer, Means()
        returns_of_tokens = returns_to_go(store.rewards[:, 0], store.lengths)  # (tokens,)
        if self.credit == "episode":
            returns_of_tokens = store.episode_returns.reshape(-1).repeat(store.lengths)
        advantages = returns_of_tokens - self._baseline()
        for batch in self._minibatches(advantages):
            values, log_prob, entropy = self.policy.evaluate_actions(batch.observations, batch.actions)  # (tokens,)
            policy_loss = -(batch.weights * batch.advantages * log_prob).sum()  # over tokens of 1/n (loss_reduction)
            loss = policy_loss - self.ent_coef * (batch.weights * entropy).sum()
            if self.baseline == "value":
                returns = store.to_torch(returns_to_go(batch.rewards, batch.lengths))
                value_loss = functional.mse_loss(values.flatten(), returns)  # mean over tokens
                loss = loss + self.vf_coef * value_loss
                means.add(value_loss=value_loss)

            self.policy.optimizer.zero_grad()
            loss.backward()
            grad_norm = clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
            self.policy.optimizer.step()
            means.add(policy_loss=policy_loss, entropy_loss=-entropy.mean(), loss=loss, grad_norm=grad_norm)
        self._log_update(means)
        returns = store.episode_returns[store.scored]
        if not returns.size:
            return
        if self.baseline == "prompt":
            self.prompt_baseline.update(self.prompt_ids[store.scored.reshape(-1)], returns)
        mean = float(returns.mean())
        before = mean if self.running_mean is None else self.running_mean
        self.running_mean = self.baseline_decay * before + (1 - self.baseline_decay) * mean

    def _baseline(self) -> Floats | float:
        """The expected return, of each token, (tokens,), or of all."""
        store = self.rollout_buffer
        if self.baseline == "value":
            values: Floats = store.values[:, 0]
            return values
        if self.baseline == "none":
            return 0.0
        scored = store.scored.reshape(-1)
        if self.baseline == "prompt" and scored.any():
            baselines = np.zeros(len(scored))
            returns = store.episode_returns[store.scored]
            baselines[scored] = self.prompt_baseline.baselines(self.prompt_ids[scored], returns)
            self.logger.record("train/baseline", float(baselines[scored].mean()))
            return baselines.repeat(store.lengths)
        if self.running_mean is not None:
            self.logger.record("train/baseline", self.running_mean)
            return self.running_mean
        returns = store.episode_returns.reshape(1, -1)
        others = mean_of_others(returns, scored[None]) if returns.size > 1 else np.zeros_like(returns)
        return others.repeat(store.lengths)


ROW = Algorithm(
    REINFORCE,
    "Williams, Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning, 1992, "
    "https://doi.org/10.1007/BF00992696",
    family="policy gradient",
    kl_coef=0.01,
    small={"prompts_per_rollout": 4},
    tests=("algorithms/test_policy_gradient.py", "algorithms/test_episodic.py"),
    learning=Learning(24_000, 0.03, (0.083, 0.058, 0.081)),
    search=search.EPISODES,
    origins={
        **origins.EPISODES,
        "baseline": origins.CHOSEN,
        "baseline_decay": origins.CHOSEN,
        "vf_coef": origins.SB3,
    },
)
