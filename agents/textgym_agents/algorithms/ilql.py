"""ILQL: implicit Q-learning from a log of episodes, without playing any while it learns.

| Symbol | Shape | Meaning |
|---|---|---|
| Q(s, a) | (tokens,) | q_offset(s) + beta log [pi(a|s) / pi_0(a|s)]: a head, ``beta``, policy and initial model |
| V(s) | (tokens,) | the value head: an upper expectile of the target network's Q over the log's tokens |
| G | (tokens,) | lambda-returns with V, the targets of Q; for ``td_lambda=0`` r + V(s') |
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.type_aliases import Schedule
from stable_baselines3.common.vec_env import VecEnv
from torch.nn.utils import clip_grad_norm_

from textgym.errors import ConfigError
from textgym.mdp import text_env
from textgym_agents.algorithms import origins, search
from textgym_agents.algorithms.episodic import EpisodicAlgorithm, Means
from textgym_agents.algorithms.options import UpdateOptions, check_policy
from textgym_agents.algorithms.row import Algorithm, Learning
from textgym_agents.buffers.batches import EpisodeBatch
from textgym_agents.buffers.episodes import Episode
from textgym_agents.buffers.offline import LoggedEpisode, as_episodes, check_source, played_log, read_log
from textgym_agents.buffers.rollout import REFERENCE_TOKENS
from textgym_agents.buffers.steps import tokens_of_turn
from textgym_agents.envs.vec_env import TextVecEnv
from textgym_agents.models.packing import TokenSequence
from textgym_agents.objectives.returns import check_lambda, lambda_returns
from textgym_agents.policies.ilql import ILQLPolicy
from textgym_agents.policies.limits import check_values


class ILQL(EpisodicAlgorithm):
    """Implicit language Q-learning: dynamic programming within the tokens of a log, and a policy near its author's.

    Snell et al., "Offline RL for Natural Language Generation with Implicit Language Q Learning" (2022),
    https://arxiv.org/abs/2206.11871, after Kostrikov et al. (2021), https://arxiv.org/abs/2110.06169. There a model of
    the log's completions is perturbed by the advantages that another model has learned: pi ~ pi_0 exp(A / beta). Here
    the language model is that policy, and the advantage is read off it: beta log(pi / pi_0). Any Q can be written so.
    What is trained is thus a language model that plays, saves and loads as it is.

    Without ``episodes``, ``learn`` first logs episodes of the policy that it begins with, ``total_timesteps``
    tokens of them, and learns from those. With ``episodes`` it plays nothing, and those count as all timesteps
    asked for; with ``skill`` they are 8,000 dialogues of a player of that skill. In all cases pi_0 is the policy
    that ``learn`` begins with. ``n_epochs`` is how often the log is used; a schedule of the learning rate runs over
    these epochs. A checkpoint doesn't hold the log.

    Differences from the paper:

    1. The perturbation is in the weights: the paper adds beta (Q - V) to the log-probabilities of pi_0 while it
       decodes, with two models; here what is decoded has learned that sum, and the paper's beta is 1 / ``beta``.
    2. Returns are lambda-returns; ``td_lambda=0`` is the paper's r + V(s'), which needs many more epochs to bring a
       reward from the last token to the first.
    3. In Q = q_offset + beta log(pi / pi_0), the two parts learn at speeds of their own, as does V: the policy's loss
       is divided by beta, those of the heads are multiplied by ``vf_coef``. They share the squared error's minimum.
    4. The paper's CQL term, the cross-entropy of the log's tokens under softmax(Q), is here that under pi, which is
       the softmax of Q / beta on top of log pi_0: behavior cloning.

    As in the paper, V follows the Q of a target network, whose weights are a running average (``target_update``).

    Args:
        policy: ``ILQLPolicy``.
        env: a ``TextVecEnv`` (see ``make_vec_env``), or an id.
        episodes: a log, see :func:`textgym_agents.buffers.offline.read_log`.
        skill: of a conversation's player, in place of a log: the chance that an utterance is the best policy's, and not
            a random one. See :class:`textgym.tasks.ConversationTask`.
        n_epochs: how often each episode of the log is used.
        prompts_per_rollout: prompts that are drawn together when a log is made.
        group_size: completions of each of them.
        batch_size: about how many tokens, of whole episodes, make one gradient step. None: all of the log.
        tau: which expectile of Q V is; 0.5 the mean over the log's tokens, near 1 the best of them.
        td_lambda: 0: bootstrap from V of the next token. 1: Monte-Carlo returns; V is then not used.
        beta: beta, in units of reward. A smaller one goes farther from the initial model.
        cql_coef: of the log's cross-entropy under the policy; 0 leaves it out.
        target_update: share by which the target network moves towards the weights in each gradient step; 1: no lag.
        vf_coef: coefficient of the heads' losses beside the language model's.
        learning_rate: of the policy's optimizer, a number or a schedule.
        options: further ones of ``EpisodicAlgorithm``: ``max_grad_norm``, ``seed``, ...

    Raises:
        ConfigError: another policy, a number outside its range, or ``skill`` for a task that has no such players.
        DatasetError: a log that can't be read, or a completion that the environment doesn't allow.
    """

    samples_from_policy = False  # a log may be anybody's: HealthCheck leaves out what assumes samples
    policy: ILQLPolicy

    def __init__(
        self,
        policy: Any,
        env: Any,
        *,
        episodes: str | Path | Sequence[LoggedEpisode | Mapping[str, Any]] | None = None,
        skill: float | None = None,
        learning_rate: float | Schedule = 1e-4,
        n_epochs: int = 4,
        prompts_per_rollout: int = 64,
        group_size: int = 1,
        batch_size: int | None = 256,
        tau: float = 0.7,
        td_lambda: float = 0.95,
        beta: float = 0.1,
        cql_coef: float = 0.01,
        target_update: float = 0.05,
        vf_coef: float = 3.0,
        **options: Unpack[UpdateOptions],
    ) -> None:
        check_lambda(td_lambda)
        if not 0 < tau < 1:
            raise ConfigError(f"tau is {tau}, expected above 0 and below 1: 0.5 for the mean, 0.7 to 0.9 for more.")
        if not beta > 0 or n_epochs < 1:
            raise ConfigError(f"beta is {beta} and n_epochs {n_epochs}, expected above 0 and at least 1.")
        check_policy("ILQL", policy, ILQLPolicy)
        self.episodes, self.skill = None if episodes is None else read_log(episodes), skill
        self.n_epochs, self.tau, self.td_lambda = n_epochs, tau, td_lambda
        check_values({"cql_coef": cql_coef, "vf_coef": vf_coef, "target_update": target_update, "skill": skill})
        self.beta, self.cql_coef, self.target_update = beta, cql_coef, target_update
        super().__init__(
            policy,
            env,
            learning_rate=learning_rate,
            prompts_per_rollout=prompts_per_rollout,
            group_size=group_size,
            batch_size=batch_size,
            **options,
        )
        self.vf_coef = vf_coef

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "episodes"]

    # ------------------------------------------------------------------ the log

    def _check_env(self, env: VecEnv) -> None:
        super()._check_env(env)
        check_source(text_env(env).mdp.task, self.episodes, self.skill)

    def _collect(self, env: TextVecEnv, callback: BaseCallback) -> list[Episode] | None:
        """The whole log, which is what SB3 sees as one long rollout."""
        mdp = text_env(env).mdp
        given = self.episodes if self.skill is None else played_log(mdp.task, self.skill)
        if given is not None:
            return self._read(as_episodes(given, mdp), callback)
        log: list[Episode] = []
        while not log or self.num_timesteps < self._total_timesteps:
            played = super()._collect(env, callback)
            if played is None:
                return None
            log += played
        return log

    def _read(self, episodes: list[Episode], callback: BaseCallback) -> list[Episode] | None:
        """A given log, with the log-probabilities of the policy before it learns."""
        tokens = sum(len(episode.actions) for episode in episodes)
        if not self._count(max(tokens, self._total_timesteps - self.num_timesteps), callback):
            return None
        return [
            episode._replace(log_probs=log_probs)
            for chunk in _chunks(episodes)
            for episode, log_probs in zip(chunk, self._log_probs(chunk), strict=True)
        ]

    def _log_probs(self, episodes: list[Episode]) -> list[NDArray[np.float32]]:
        """(tokens,) of each episode, under the policy as it is."""
        lengths = [len(episode.actions) for episode in episodes]
        actions = torch.as_tensor(np.concatenate([e.actions for e in episodes]), device=self.device)
        of_turns = [tokens_of_turn(0, len(e.actions), e.inserted) for e in episodes]
        generated = torch.as_tensor(np.concatenate(of_turns), device=self.device)
        batch = EpisodeBatch([TokenSequence(e.context, e.actions, e.prompt, e.inserted) for e in episodes], generated)
        with torch.no_grad():
            log_probs = self.policy.evaluate_actions(batch, actions)[1].cpu()
        if not bool(torch.isfinite(log_probs).all()):
            raise ConfigError(
                "The log holds tokens that the policy can't write, because the environment's rules leave them out "
                "(banned_tokens, allowed_tokens, min_new_tokens). Leave these episodes out of the log."
            )
        return [part.numpy() for part in log_probs.split(lengths)]

    # ------------------------------------------------------------------ learning

    def train(self) -> None:
        """Down  (G - Q)^2  and the expectile loss  |tau - [Q < V]| (Q - V)^2,  over the log's tokens."""
        store = self.rollout_buffer
        self.policy.set_training_mode(True)
        for epoch in range(self.n_epochs):
            self._current_progress_remaining = 1 - epoch / self.n_epochs
            self._update_learning_rate(self.policy.optimizer)
            means = Means()
            for batch in store.get(self.batch_size):
                v, q_offset, log_prob, entropy = self.policy.evaluate_values(
                    batch.observations, batch.actions
                )  # (tokens,)
                log_ratio = log_prob - batch.old_log_prob  # log pi(a|s) - log pi_0(a|s)
                returns = lambda_returns(batch.rewards, v.detach().cpu().numpy(), batch.lengths, self.td_lambda)
                g = store.to_torch(returns.astype(np.float32))
                q = (q_offset + self.beta * log_ratio).detach()
                slow_offset, slow_log_prob = self.policy.target_values(batch.observations, batch.actions)
                slow_q = slow_offset + self.beta * (slow_log_prob - batch.old_log_prob)
                advantage, td_error = slow_q - v, g - q
                expectile_weight = torch.where(advantage > 0, self.tau, 1 - self.tau)

                # (G - Q)^2 / 2, once with the offset held still and divided by beta, once with the policy held still.
                policy_error = (g - q_offset.detach() - self.beta * log_ratio).square() / 2
                policy_loss = (batch.weights * policy_error).sum() / self.beta  # over tokens of 1/n (loss_reduction)
                offset_loss = ((g - q_offset - self.beta * log_ratio.detach()).square() / 2).mean()  # over tokens
                value_loss = (expectile_weight * advantage.square() / 2).mean()  # over tokens
                cql_loss = -(batch.weights * log_prob).sum()
                loss = (
                    policy_loss
                    - self.ent_coef * (batch.weights * entropy).sum()
                    + self.cql_coef * cql_loss
                    + self.vf_coef * (offset_loss + value_loss)
                )

                self.policy.optimizer.zero_grad()
                loss.backward()
                grad_norm = clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
                self.policy.optimizer.step()
                self.policy.update_target(self.target_update)
                means.add(
                    policy_loss=policy_loss,
                    entropy_loss=-entropy.mean(),
                    loss=loss,
                    grad_norm=grad_norm,
                    q_value=q.mean(),
                    td_loss=td_error.square().mean(),
                    expectile_loss=2 * value_loss,
                    cql_loss=cql_loss,
                    log_ratio=log_ratio.mean(),
                )
            self._log_update(means)
            self._dump_epoch()

    def _dump_epoch(self) -> None:
        """Write the epoch's scalars, since SB3 writes them once a rollout and there is only one."""
        logged = {name: value for name, value in self.logger.name_to_value.items() if name.startswith("train/")}
        self.logger.dump(self.num_timesteps)
        for name, value in logged.items():  # callbacks read them when training ends
            self.logger.record(name, value)


def _chunks(episodes: list[Episode]) -> Iterator[list[Episode]]:
    """Some episodes at a time, of about as many tokens as a reference model takes in one pass."""
    chunk: list[Episode] = []
    tokens = 0
    for episode in episodes:
        chunk.append(episode)
        tokens += len(episode.context) + len(episode.actions) + sum(len(one.tokens) for one in episode.inserted)
        if tokens >= REFERENCE_TOKENS:
            yield chunk
            chunk, tokens = [], 0
    if chunk:
        yield chunk


ROW = Algorithm(
    ILQL,
    "Snell et al., Offline RL for Natural Language Generation with Implicit Language Q Learning, 2022, "
    "https://arxiv.org/abs/2206.11871",
    family="offline",
    kl_coef=None,
    policy=ILQLPolicy,
    small={"prompts_per_rollout": 4},
    tests=("algorithms/test_ilql.py",),
    learning=Learning(24_000, 0.005, (0.059, 0.025, 0.040)),
    search={
        **search.COMMON,
        "beta": search.Range(0.01, 1.0),
        "tau": search.Choice((0.6, 0.7, 0.8, 0.9)),
        "cql_coef": search.Choice((0.0, 0.01, 0.1)),
        "n_epochs": search.Choice((1, 2, 4)),
    },
    origins={
        **origins.ACTION_VALUES,
        "episodes": origins.CHOSEN,
        "skill": origins.CHOSEN,
        "tau": origins.PAPER,
        "cql_coef": origins.CHOSEN,
        "target_update": origins.CHOSEN,
    },
)
