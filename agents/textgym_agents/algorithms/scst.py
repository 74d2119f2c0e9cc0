"""SCST: REINFORCE whose baseline is what the policy earns when it doesn't sample."""

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback

from textgym_agents.algorithms.episodic import EpisodicPolicyGradient
from textgym_agents.buffers.episodes import Episode
from textgym_agents.envs.vec_env import TextVecEnv


class SCST(EpisodicPolicyGradient):
    """Self-critical sequence training: sampled texts are compared with the greedy text of the same prompt.

    Rennie et al., "Self-Critical Sequence Training for Image Captioning" (2017), https://arxiv.org/abs/1612.00563.
    The greedy text is what the policy would answer in use. Texts that score more are made likelier, others less likely.

    Differences from the paper:

    1. ``group_size`` texts are sampled for each prompt; the paper samples one.
    2. With a KL penalty, the sampled text's reward has it and the greedy text's has not.
    3. The tokens of greedy texts count as timesteps, since they cost as much.

    Its other arguments are those of ``EpisodicPolicyGradient``.

    Attributes:
        greedy_scores: (groups, 1) what the greedy texts of the last rollout scored.
    """

    greedy_scores: NDArray[np.floating]

    def _play_rollout(
        self, env: TextVecEnv, callback: BaseCallback, prompt_ids: NDArray[np.integer]
    ) -> list[Episode] | None:
        sampled = super()._play_rollout(env, callback, prompt_ids)
        greedy = None if sampled is None else self._play(env, callback, prompt_ids, deterministic=True)
        if greedy is None:
            return None
        self.greedy_scores = np.array([[episode.rewards.sum(dtype=np.float64)] for episode in greedy])
        self.logger.record("rollout/greedy_reward", float(self.greedy_scores.mean()))
        return sampled

    def train(self) -> None:
        """Up the gradient of  1/n sum_i [r(w_i) - r(greedy w)] log p(w_i)."""
        advantages = self.rollout_buffer.returns_of_texts - self.greedy_scores  # (groups, k)
        for batch in self._minibatches(advantages):
            _, log_prob, entropy = self.policy.evaluate_actions(batch.observations, batch.actions)
            self._descend(batch, -(batch.weights * batch.advantages * log_prob).sum(), entropy)
