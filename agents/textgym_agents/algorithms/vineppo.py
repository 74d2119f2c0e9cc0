"""VinePPO: PPO whose values are means over completions that are played on from the states themselves."""

from typing import Any, Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import Schedule
from stable_baselines3.common.utils import FloatSchedule
from torch.nn.utils import clip_grad_norm_

from textgym_agents.algorithms import origins, search
from textgym_agents.algorithms.episodic import EpisodicPolicyGradient, Means
from textgym_agents.algorithms.options import EpisodicOptions
from textgym_agents.algorithms.row import Algorithm, Learning
from textgym_agents.buffers.episodes import Episode
from textgym_agents.envs.vec_env import TextVecEnv
from textgym_agents.objectives.advantages import comparable, mean_of_others, segment_advantages, segment_starts
from textgym_agents.objectives.arrays import Floats
from textgym_agents.policies.limits import check_values


class VinePPO(EpisodicPolicyGradient):
    """PPO with values that are sampled: from states of each completion, further ones branch off, and are scored.

    Kazemnejad et al., "VinePPO: Unlocking RL Potential For LLM Reasoning Through Refined Credit Assignment" (2024),
    https://arxiv.org/abs/2410.01679. The value of a state is the mean return of ``branches`` completions of it, the
    advantage of the tokens between two states is the difference of their values: unbiased, with no value head to learn,
    and of the part of the completion that received it. It pays where tokens are worth less than knowing which of them
    were good.

    Differences from the paper:

    1. States are every ``stride`` tokens; the paper's lie between the steps of a reasoning.
    2. The value of a prompt is the mean return of its other completions in the rollout, which branch from it.
       With ``group_size=1`` it is sampled like the others, as in the paper.
    3. Tokens of branches count as timesteps, since they cost as much.

    Args:
        policy, env: as for ``EpisodicPolicyGradient``. The environment is one of textgym's own, whose episodes can
            begin in the middle.
        prompts_per_rollout: prompts drawn for a rollout.
        group_size: completions of each of them.
        branches: completions played on from each state, the paper's K.
        stride: tokens between two states.
        batch_size: about how many tokens, of whole episodes, make one gradient step. None: all of the rollout.
        n_epochs: how often a rollout is used.
        clip_range: the ratio is clipped to 1 - clip_range and 1 + clip_range; a number or a schedule.
        normalize_advantage: whiten the advantages of a rollout.
        rollout_buffer_kwargs: of the ``EpisodeStore``, such as ``kl_coef``: of the KL to the reference model, which is
            a term of the loss, by the k3 estimate, as in the authors' code.
        options: further ones of ``EpisodicAlgorithm``.

    Attributes:
        state_values: (segments,) values of the states of the last rollout, in the order of its tokens.
    """

    state_values: Floats

    groups_compared = False

    def __init__(
        self,
        policy: str | type[ActorCriticPolicy],
        env: Any,
        *,
        prompts_per_rollout: int = 8,
        group_size: int = 4,
        branches: int = 4,
        stride: int = 8,
        batch_size: int | None = 256,
        n_epochs: int = 2,
        clip_range: float | Schedule = 0.2,
        normalize_advantage: bool = True,
        **options: Unpack[EpisodicOptions],
    ) -> None:
        check_values({"n_epochs": n_epochs, "clip_range": clip_range, "branches": branches, "stride": stride})
        self.branches, self.stride = branches, stride
        self.n_epochs, self.clip_range = n_epochs, clip_range
        buffer = {"loss_reduction": "token", "kl_in_loss": True}
        options["rollout_buffer_kwargs"] = {**buffer, **(options.get("rollout_buffer_kwargs") or {})}
        super().__init__(
            policy,
            env,
            prompts_per_rollout=prompts_per_rollout,
            group_size=group_size,
            batch_size=batch_size,
            normalize_advantage=normalize_advantage,
            **options,
        )

    def _setup_model(self) -> None:
        super()._setup_model()
        self.clip_range = FloatSchedule(self.clip_range)

    def _collect(self, env: TextVecEnv, callback: BaseCallback) -> list[Episode] | None:
        before = self.num_timesteps
        episodes = super()._collect(env, callback)
        if episodes is None:
            return None
        completions = self.num_timesteps - before
        values = self._values(env, callback, episodes)
        if values is None:
            return None
        self.state_values, episodes = values, self._with_values(episodes)
        self.logger.record("rollout/branch_share", 1 - completions / (self.num_timesteps - before))
        return episodes

    def _values(self, env: TextVecEnv, callback: BaseCallback, episodes: list[Episode]) -> Floats | None:
        """(segments,) mean returns of branches from the states at which segments begin.

        Where the reward abstained for all branches of a state, its value is that of the state before. The first state
        of a completion then has none, and the completion is left out.
        """
        returns = np.array([episode.rewards.sum(dtype=np.float64) for episode in episodes])
        first, self._first_known = None, np.ones(len(episodes), dtype=np.bool_)
        if self.group_size > 1:
            groups, scored = (
                array.reshape(-1, self.group_size) for array in (returns, np.array([not e.abstained for e in episodes]))
            )
            first = mean_of_others(groups, scored).reshape(-1)
            self._first_known = comparable(scored).reshape(-1)
        states = [
            (number, int(start))
            for number, starts in enumerate(segment_starts(np.array([len(e.actions) for e in episodes]), self.stride))
            for start in starts
        ]
        played = [(number, start) for number, start in states if start > 0 or first is None]
        of_episode = np.repeat([number for number, _ in played], self.branches).astype(np.int64)
        beginnings = [episodes[number].actions[:start] for number, start in played for _ in range(self.branches)]
        sampled: Floats = np.zeros(0)
        counts = np.zeros(0)
        if played:
            # What a partner has said so far is what it says with the same seed.
            seeds = None if self.partner_seeds is None else self.partner_seeds[of_episode]
            branches = self._play(
                env, callback, self.prompt_ids[of_episode], beginnings=beginnings, partner_seeds=seeds
            )
            if branches is None:
                return None
            scores = np.array([0.0 if b.abstained else b.rewards.sum(dtype=np.float64) for b in branches])
            counts = np.array([not branch.abstained for branch in branches]).reshape(-1, self.branches).sum(1)
            sampled = scores.reshape(-1, self.branches).sum(1) / np.maximum(counts, 1)
        known = {state: v for state, v, n in zip(played, sampled.tolist(), counts.tolist(), strict=True) if n}
        values: list[float] = []
        for number, start in states:
            if (number, start) in known:
                values.append(known[number, start])
            elif start == 0:
                self._first_known[number] &= first is not None
                values.append(0.0 if first is None else float(first[number]))
            else:
                values.append(values[-1])
        return np.array(values)

    def _with_values(self, episodes: list[Episode]) -> list[Episode]:
        """Episodes whose first state has no value count as those whose reward abstained: nothing to compare with."""
        known = zip(episodes, self._first_known.tolist(), strict=True)
        return [episode._replace(abstained=episode.abstained or not has_value) for episode, has_value in known]

    def train(self) -> None:
        """Up the gradient of  mean_t min(rho_t A_t, clip(rho_t) A_t),  A_t = V(state after t) - V(state before t)."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        store, means = self.rollout_buffer, Means()
        clip_range = self.clip_range(self._current_progress_remaining)  # type: ignore[operator]
        self.logger.record("train/clip_range", clip_range)
        rewards: NDArray[np.floating] = store.rewards[:, 0]
        advantages = segment_advantages(rewards, store.lengths, self.state_values, self.stride)  # (tokens,)
        for _ in range(self.n_epochs):
            for batch in self._minibatches(advantages):
                _, log_prob, entropy = self.policy.evaluate_actions(batch.observations, batch.actions)  # (tokens,)
                ratio = torch.exp(log_prob - batch.old_log_prob)  # rho
                clipped = ratio.clamp(1 - clip_range, 1 + clip_range)
                objective = torch.min(ratio * batch.advantages, clipped * batch.advantages)
                policy_loss = -(batch.weights * objective).sum()  # mean over tokens (loss_reduction)
                loss = policy_loss - self.ent_coef * (batch.weights * entropy).sum()
                if store.kl_coef:
                    log_ratio = log_prob - batch.reference_log_prob
                    kl_loss = (batch.weights * (torch.exp(-log_ratio) - 1 + log_ratio)).sum()  # k3, reduced alike
                    loss = loss + store.kl_coef * kl_loss
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


ROW = Algorithm(
    VinePPO,
    "Kazemnejad et al., VinePPO: Unlocking RL Potential For LLM Reasoning Through Refined Credit Assignment, 2024, "
    "https://arxiv.org/abs/2410.01679",
    family="policy gradient",
    kl_coef=0.1,  # as GRPO's: a mean over tokens of k3
    small={"prompts_per_rollout": 2, "group_size": 2, "branches": 2, "stride": 2, "batch_size": 16},
    tests=("algorithms/test_vineppo.py",),
    learning=Learning(24_000, 0.035, (0.089, 0.068, 0.060)),
    search={
        **search.EPISODES,
        "group_size": search.Choice((2, 4, 8)),
        "branches": search.Choice((1, 2, 4, 8)),
        "stride": search.Choice((4, 8, 16)),
        "n_epochs": search.Choice((1, 2, 4)),
    },
    origins={
        **origins.EPISODES,
        "group_size": origins.CHOSEN,
        "batch_size": origins.CHOSEN,
        "branches": origins.CHOSEN,
        "stride": origins.CHOSEN,
        "n_epochs": origins.CHOSEN,
        "clip_range": origins.PAPER,
    },
)
