"""SCST: REINFORCE whose baseline is the return of the policy's own greedy completion."""

from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import ActorCriticPolicy
from torch.nn.utils import clip_grad_norm_

from textgym_agents.algorithms import origins, search
from textgym_agents.algorithms.episodic import EpisodicPolicyGradient, Means
from textgym_agents.algorithms.options import GroupOptions
from textgym_agents.algorithms.row import Algorithm, Learning
from textgym_agents.buffers.episodes import Episode
from textgym_agents.envs.vec_env import TextVecEnv


class SCST(EpisodicPolicyGradient):
    """Self-critical sequence training: sampled completions are compared with the greedy one of the same prompt.

    Rennie et al., "Self-Critical Sequence Training for Image Captioning" (2017), https://arxiv.org/abs/1612.00563.
    The greedy completion is what the policy would answer in use. Samples that score more become more probable, others
    less.

    Differences from the paper:

    1. ``group_size`` completions may be sampled for each prompt; the paper samples one.
    2. With a KL penalty, a sample's return has it and the greedy completion's has not.
    3. The tokens of greedy completions count as timesteps, since they cost as much.

    Args:
        policy, env: as for ``EpisodicPolicyGradient``.
        prompts_per_rollout: prompts drawn for a rollout, each with one greedy completion.
        group_size: sampled completions of each of them.
        batch_size: about how many tokens, of whole episodes, make one gradient step. None: all of the rollout.
        options: further ones of ``EpisodicPolicyGradient``.

    Attributes:
        greedy_scores: (groups, 1) returns of the greedy completions of the last rollout.
    """

    greedy_scores: NDArray[np.floating]

    groups_compared = False

    def __init__(
        self,
        policy: str | type[ActorCriticPolicy],
        env: Any,
        *,
        prompts_per_rollout: int = 32,
        group_size: int = 1,
        batch_size: int | None = None,
        **options: Unpack[GroupOptions],
    ) -> None:
        super().__init__(
            policy,
            env,
            prompts_per_rollout=prompts_per_rollout,
            group_size=group_size,
            batch_size=batch_size,
            **options,
        )

    def _collect(self, env: TextVecEnv, callback: BaseCallback) -> list[Episode] | None:
        prompt_ids, seeds = self._draw_prompts(env), self._draw_partners(env)
        sampled = self._play(env, callback, np.repeat(prompt_ids, self.group_size), partner_seeds=seeds)
        first = None if seeds is None else seeds[:: self.group_size]
        greedy = None
        if sampled is not None:
            greedy = self._play(env, callback, prompt_ids, deterministic=True, partner_seeds=first)
        if sampled is None or greedy is None:
            return None
        self.greedy_scores = np.array([[episode.rewards.sum(dtype=np.float64)] for episode in greedy])
        known = [not episode.abstained for episode in greedy]
        if any(known):
            self.logger.record("rollout/greedy_reward", float(self.greedy_scores[known].mean()))
        # Where the reward abstained for the greedy completion, samples of its prompt have nothing to compare with.
        return [
            episode._replace(abstained=episode.abstained or not known[number // self.group_size])
            for number, episode in enumerate(sampled)
        ]

    def train(self) -> None:
        """Up the gradient of  1/n sum_i [r(w_i) - r(greedy w)] log p(w_i)."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        advantages = self._credited(
            self.rollout_buffer.episode_returns - self.greedy_scores
        )  # (groups, k) or (tokens,)
        means = Means()
        for batch in self._minibatches(advantages):
            _, log_prob, entropy = self.policy.evaluate_actions(batch.observations, batch.actions)  # (tokens,)
            policy_loss = -(batch.weights * batch.advantages * log_prob).sum()  # over tokens of 1/n (loss_reduction)
            loss = policy_loss - self.ent_coef * (batch.weights * entropy).sum()

            self.policy.optimizer.zero_grad()
            loss.backward()
            grad_norm = clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
            self.policy.optimizer.step()
            means.add(policy_loss=policy_loss, entropy_loss=-entropy.mean(), loss=loss, grad_norm=grad_norm)
        self._log_update(means)


ROW = Algorithm(
    SCST,
    "Rennie et al., Self-Critical Sequence Training for Image Captioning, 2017, https://arxiv.org/abs/1612.00563",
    family="policy gradient",
    kl_coef=0.01,
    small={"prompts_per_rollout": 4},
    tests=("algorithms/test_policy_gradient.py", "algorithms/test_episodic.py"),
    learning=Learning(24_000, 0.025, (0.073, 0.049, 0.054)),
    search=search.EPISODES,
    origins=origins.EPISODES,
)
