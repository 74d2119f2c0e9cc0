"""RLOO: REINFORCE whose baseline is the mean of a prompt's other completions."""

from torch.nn.utils import clip_grad_norm_

from textgym_agents.algorithms import origins, search
from textgym_agents.algorithms.episodic import EpisodicPolicyGradient, Means
from textgym_agents.algorithms.row import Algorithm, Learning
from textgym_agents.objectives.advantages import comparable, leave_one_out


class RLOO(EpisodicPolicyGradient):
    """REINFORCE leave-one-out: each of k completions of a prompt is compared with the mean of the others.

    Ahmadian et al., "Back to Basics" (2024), https://arxiv.org/abs/2402.14740, after Kool et al. (2019). A whole
    completion is one action; the baseline is unbiased and needs no value head.

    Differences from the paper:

    1. One gradient step for a rollout unless ``batch_size`` says otherwise. With several, all but the first are
       slightly off-policy, and no ratio corrects for that.
    2. Rewards are neither whitened nor clipped (``normalize_advantage=True`` whitens advantages).

    Its arguments are those of ``EpisodicPolicyGradient``; ``group_size`` is the paper's k.
    """

    least_group_size = 2

    def train(self) -> None:
        """Up the gradient of  1/n sum_i [R(y_i, x) - 1/(k-1) sum_{j != i} R(y_j, x)] log pi(y_i | x)."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        store = self.rollout_buffer
        store.scored = comparable(store.scored)  # one completion alone has no baseline
        advantages = self._credited(leave_one_out(store.episode_returns, store.scored))  # (groups, k) or (tokens,)
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
    RLOO,
    "Ahmadian et al., Back to Basics: Revisiting REINFORCE-Style Optimization for Learning from Human Feedback in "
    "LLMs, 2024, https://arxiv.org/abs/2402.14740",
    family="policy gradient",
    kl_coef=0.01,
    small={"prompts_per_rollout": 4, "group_size": 2},
    tests=("algorithms/test_policy_gradient.py", "algorithms/test_episodic.py"),
    learning=Learning(24_000, 0.04, (0.071, 0.073, 0.084)),
    search={**search.EPISODES, "group_size": search.Choice((2, 4, 8))},
    origins=origins.EPISODES,
)
