"""GRPO, and as its switches Dr. GRPO and DAPO: PPO's clipped loss with a group of completions in place of a critic."""

from typing import Any, Literal, Unpack

import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import Schedule
from stable_baselines3.common.utils import FloatSchedule
from torch.nn.utils import clip_grad_norm_

from textgym_agents.algorithms import origins, search
from textgym_agents.algorithms.episodic import EpisodicPolicyGradient, Means
from textgym_agents.algorithms.options import GroupOptions
from textgym_agents.algorithms.row import Algorithm, Learning
from textgym_agents.objectives.advantages import comparable, group_normalized, group_scale
from textgym_agents.policies.limits import check_values


class GRPO(EpisodicPolicyGradient):
    """Group relative policy optimization: an advantage is a completion's return, normalized within its prompt's group.

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
       smaller. Its penalty for completions that are too long is a matter of the reward.
    4. The mean over episodes (or tokens) is taken within each minibatch.

    Args:
        policy, env: as for ``EpisodicPolicyGradient``.
        prompts_per_rollout: prompts drawn for a rollout.
        group_size: completions of each of them, the paper's G.
        batch_size: about how many tokens, of whole episodes, make one gradient step. None: all of the rollout.
        n_epochs: how often a rollout is used; in the paper once. There is a step for each minibatch.
        clip_range: the ratio is clipped to 1 - clip_range and 1 + clip_range; a number or a schedule.
        clip_range_high: for the upper end, if it is another. "Clip-higher": improbable tokens may grow faster.
        normalize_std: divide by the group's standard deviation.
        loss_reduction: "episode" (mean over an episode's tokens, then over episodes), "token" (mean over all tokens) or
            "constant" (sum over tokens, divided by the budget of new tokens).
        kl_in_loss: the KL to the reference model is a term of the loss, by the k3 estimate. False: it is subtracted
            from the rewards, token by token, as for the other algorithms.
        rollout_buffer_kwargs: of the ``EpisodeStore``, such as ``kl_coef``.
        options: further ones of ``EpisodicPolicyGradient``.
    """

    least_group_size = 2

    def __init__(
        self,
        policy: str | type[ActorCriticPolicy],
        env: Any,
        *,
        prompts_per_rollout: int = 16,
        group_size: int = 8,
        batch_size: int | None = 1024,
        n_epochs: int = 2,
        clip_range: float | Schedule = 0.2,
        clip_range_high: float | Schedule | None = None,
        normalize_std: bool = True,
        loss_reduction: Literal["episode", "token", "constant"] = "episode",
        kl_in_loss: bool = True,
        **options: Unpack[GroupOptions],
    ) -> None:
        check_values({"n_epochs": n_epochs, "clip_range": clip_range})
        self.n_epochs, self.clip_range, self.clip_range_high = n_epochs, clip_range, clip_range_high
        self.normalize_std, self.kl_in_loss = normalize_std, kl_in_loss
        buffer = {"kl_in_loss": kl_in_loss, "loss_reduction": loss_reduction}
        options["rollout_buffer_kwargs"] = {**buffer, **(options.get("rollout_buffer_kwargs") or {})}
        super().__init__(
            policy,
            env,
            prompts_per_rollout=prompts_per_rollout,
            group_size=group_size,
            batch_size=batch_size,
            **options,
        )

    def _setup_model(self) -> None:
        super()._setup_model()
        self.clip_range = FloatSchedule(self.clip_range)
        if self.clip_range_high is not None:
            self.clip_range_high = FloatSchedule(self.clip_range_high)

    def train(self) -> None:
        """Up the gradient of  mean_i mean_t [min(rho A, clip(rho, 1 - low, 1 + high) A) - beta KL(pi || pi_ref)]."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        store, means, (low, high) = self.rollout_buffer, Means(), self._clip_ranges()
        store.scored = comparable(store.scored)  # one completion alone has no group
        returns, scored = store.episode_returns, store.scored  # (groups, k)
        scale = group_scale(returns, scored) if self.normalize_std else 1.0
        advantages = self._credited(group_normalized(returns, scored, normalize_std=self.normalize_std), scale)
        for _ in range(self.n_epochs):
            for batch in self._minibatches(advantages):
                _, log_prob, entropy = self.policy.evaluate_actions(batch.observations, batch.actions)  # (tokens,)
                ratio = torch.exp(log_prob - batch.old_log_prob)  # rho
                clipped = ratio.clamp(1 - low, 1 + high)
                objective = torch.min(ratio * batch.advantages, clipped * batch.advantages)
                policy_loss = -(batch.weights * objective).sum()  # over tokens of 1/(n |o|) (loss_reduction)
                loss = policy_loss - self.ent_coef * (batch.weights * entropy).sum()
                if self.kl_in_loss and store.kl_coef:
                    log_ratio = log_prob - batch.reference_log_prob
                    kl_loss = (batch.weights * (torch.exp(-log_ratio) - 1 + log_ratio)).sum()  # k3, reduced alike
                    loss = loss + store.kl_coef * kl_loss  # beta
                    means.add(kl_loss=kl_loss)

                self.policy.optimizer.zero_grad()
                loss.backward()
                grad_norm = clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
                self.policy.optimizer.step()
                means.add(policy_loss=policy_loss, entropy_loss=-entropy.mean(), loss=loss, grad_norm=grad_norm)
                with torch.no_grad():
                    log_change = log_prob - batch.old_log_prob
                    means.add(
                        approx_kl=(torch.exp(log_change) - 1 - log_change).mean(),  # as PPO's in SB3
                        clip_fraction=(clipped != ratio).float().mean(),
                    )
        self._log_update(means, self.n_epochs)

    def _clip_ranges(self) -> tuple[float, float]:
        now: Any = self._current_progress_remaining
        low: Any = self.clip_range
        high: Any = self.clip_range_high or self.clip_range
        self.logger.record("train/clip_range", low(now))
        return low(now), high(now)


ROW = Algorithm(
    GRPO,
    "Shao et al., DeepSeekMath: Pushing the Limits of Mathematical Reasoning in Open Language Models, 2024, "
    "https://arxiv.org/abs/2402.03300",
    family="policy gradient",
    kl_coef=0.04,  # a mean over tokens of k3, while the others' is a sum over the completion
    small={"prompts_per_rollout": 4, "group_size": 2, "batch_size": 16},
    tests=("algorithms/test_policy_gradient.py", "algorithms/test_episodic.py"),
    learning=Learning(24_000, 0.05, (0.097, 0.081, 0.085)),
    search={**search.EPISODES, "group_size": search.Choice((4, 8, 16)), "n_epochs": search.Choice((1, 2, 4))},
    origins={
        **origins.EPISODES,
        "kl_coef": origins.PAPER,
        "group_size": origins.TRL,
        "batch_size": origins.CHOSEN,
        "n_epochs": origins.PAPER,
        "clip_range": origins.TRL,
        "clip_range_high": origins.PAPER,
        "normalize_std": origins.PAPER,
        "loss_reduction": origins.PAPER,
        "kl_in_loss": origins.PAPER,
    },
)
