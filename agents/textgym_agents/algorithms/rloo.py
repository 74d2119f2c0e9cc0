"""RLOO: REINFORCE whose baseline is the mean of a prompt's other completions."""

from textgym_agents.algorithms.episodic import EpisodicPolicyGradient
from textgym_agents.objectives.advantages import leave_one_out


class RLOO(EpisodicPolicyGradient):
    """REINFORCE leave-one-out: each of k completions of a prompt is compared with the mean of the others.

    Ahmadian et al., "Back to Basics" (2024), https://arxiv.org/abs/2402.14740, after Kool et al. (2019). A whole text
    is one action; the baseline is unbiased and needs no value head.

    Differences from the paper:

    1. One optimiser step for a rollout unless ``batch_size`` says otherwise. With several, all but the first are
       slightly off-policy, and no ratio corrects for that.
    2. Rewards are neither whitened nor clipped (``normalize_advantage=True`` whitens advantages).

    Its arguments are those of ``EpisodicPolicyGradient``; ``group_size`` is the paper's k.
    """

    least_group_size = 2

    def train(self) -> None:
        """Up the gradient of  1/n sum_i [R(y_i, x) - 1/(k-1) sum_{j != i} R(y_j, x)] log pi(y_i | x)."""
        advantages = leave_one_out(self.rollout_buffer.returns_of_texts)  # (groups, k)
        for batch in self._minibatches(advantages):
            _, log_prob, entropy = self.policy.evaluate_actions(batch.observations, batch.actions)
            self._descend(batch, -(batch.weights * batch.advantages * log_prob).sum(), entropy)
