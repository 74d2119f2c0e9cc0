"""ILQL: implicit Q-learning for texts, from a log of them, without playing any while it learns.

| Symbol | Shape | Meaning |
|---|---|---|
| Q(s, a) | (tokens,) | level(s) + beta log [pi(a|s) / pi_0(a|s)]: a head, ``beta``, policy and initial model |
| V(s) | (tokens,) | the value head: an upper expectile of Q over the log's tokens |
| G | (tokens,) | lambda-returns with V, the targets of Q; for ``td_lambda=0`` r + V(s') |
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor

from textgym.core import text_env
from textgym.errors import ConfigError
from textgym_agents.algorithms.episodic import EpisodicPolicyGradient
from textgym_agents.buffers.episodes import Episode
from textgym_agents.buffers.offline import LoggedText, as_episodes, read_log
from textgym_agents.buffers.rollout import REFERENCE_TOKENS, EpisodeBatch
from textgym_agents.envs.vec_env import TextVecEnv
from textgym_agents.models.packing import Text
from textgym_agents.objectives.returns import check_lambda, lambda_returns
from textgym_agents.policies.ilql import ILQLPolicy, Judgement


class ILQL(EpisodicPolicyGradient):
    """Implicit language Q-learning: dynamic programming within the tokens of a log, and a policy near its author's.

    Snell et al., "Offline RL for Natural Language Generation with Implicit Language Q Learning" (2022),
    https://arxiv.org/abs/2206.11871, after Kostrikov et al. (2021), https://arxiv.org/abs/2110.06169. There a model of
    the log's texts is perturbed by the advantages that another model has learnt: pi ~ pi_0 exp(A / beta). Here the
    language model is that policy, and the advantage is what it says about itself: beta log(pi / pi_0). Any Q can be
    written so. What is trained is thus a language model that plays, saves and loads as it is.

    Without ``episodes``, ``learn`` first logs texts of the policy that it begins with, ``total_timesteps`` tokens of
    them, and learns from those. With ``episodes`` it plays nothing, and those count as all timesteps asked for. In both
    cases pi_0 is the policy that ``learn`` begins with, and ``n_epochs`` says how long the log is learnt from; a
    schedule of the learning rate runs over them. A checkpoint doesn't hold the log.

    Differences from the paper:

    1. One model where the paper has three (pi_0, Q and V with their target copies), see above; its beta is 1 / beta.
    2. There is no target network: targets come from the same weights, from the same pass, and are held still.
    3. Returns are lambda-returns; ``td_lambda=0`` is the paper's r + V(s'), which needs many more epochs to bring what
       a text earned from its last token to its first.
    4. In Q = level + beta log(pi / pi_0), the two parts learn at speeds of their own, as do V: the gradient by the
       policy is divided by beta, that by a head multiplied by ``vf_coef``. They share the squared error's minimum.
    5. The paper's CQL term, the cross-entropy of the log's tokens under softmax(Q), is here that under pi, which is
       the softmax of Q / beta on top of log pi_0: behaviour cloning.

    Args:
        policy: ``ILQLPolicy``.
        env: a ``TextVecEnv`` (see ``make_vec_env``), or an id.
        episodes: a log, see :func:`textgym_agents.buffers.offline.read_log`.
        n_epochs: how often each text of the log is learnt from.
        prompts_per_rollout: prompts that are drawn together when a log is made.
        group_size: completions of each of them.
        batch_size: about how many tokens, of whole texts, make one optimiser step.
        tau: which expectile of Q V is; 0.5 the mean over the log's tokens, near 1 the best of them.
        td_lambda: 0: bootstrap from V of the next token. 1: from what the text earned; V is then not used.
        beta: beta, in units of reward. A smaller one goes farther from the initial model.
        cql_coef: of the log's cross-entropy under the policy.
        vf_coef: how fast the heads learn, compared with the language model.
        kwargs: of ``EpisodicPolicyGradient``: ``learning_rate``, ``max_grad_norm``, ``seed``, ...

    Raises:
        ConfigError: another policy, or a number outside its range.
        DatasetError: a log that can't be read, or a text that the environment would not have let be written.
    """

    samples_from_policy = False  # a log may be anybody's: HealthCheck leaves out what assumes samples
    policy: ILQLPolicy

    def __init__(
        self,
        policy: Any,
        env: Any,
        *,
        episodes: str | Path | Sequence[LoggedText | Mapping[str, Any]] | None = None,
        n_epochs: int = 4,
        prompts_per_rollout: int = 64,
        group_size: int = 1,
        batch_size: int | None = 1024,
        tau: float = 0.7,
        td_lambda: float = 0.95,
        beta: float = 0.1,
        cql_coef: float = 0.0,
        vf_coef: float = 3.0,
        **kwargs: Any,
    ) -> None:
        check_lambda(td_lambda)
        if not 0 < tau < 1:
            raise ConfigError(f"tau is {tau}, expected above 0 and below 1: 0.5 for the mean, 0.7 to 0.9 for more.")
        if not beta > 0 or n_epochs < 1:
            raise ConfigError(f"beta is {beta} and n_epochs {n_epochs}, expected above 0 and at least 1.")
        if not (isinstance(policy, type) and issubclass(policy, ILQLPolicy)):
            name = getattr(policy, "__name__", repr(policy))
            raise ConfigError(f"ILQL got the policy {name}, expected ILQLPolicy.")
        self.episodes = None if episodes is None else read_log(episodes)
        self.n_epochs, self.tau, self.td_lambda = n_epochs, tau, td_lambda
        self.beta, self.cql_coef = beta, cql_coef
        super().__init__(
            policy,
            env,
            prompts_per_rollout=prompts_per_rollout,
            group_size=group_size,
            batch_size=batch_size,
            **kwargs,
        )
        self.vf_coef = vf_coef

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "episodes"]

    # ------------------------------------------------------------------ the log

    def _play_rollout(
        self, env: TextVecEnv, callback: BaseCallback, prompt_ids: NDArray[np.integer]
    ) -> list[Episode] | None:
        """The whole log, which is what SB3 sees as one long rollout."""
        vector = text_env(env)
        if self.episodes is not None:
            return self._given(as_episodes(self.episodes, vector.mdp), callback)
        log: list[Episode] = []
        while True:
            played = super()._play_rollout(env, callback, prompt_ids)
            if played is None:
                return None
            log += played
            if self.num_timesteps >= self._total_timesteps:
                return log
            prompt_ids = np.array([vector.mdp.draw(vector.np_random) for _ in range(self.prompts_per_rollout)])

    def _given(self, episodes: list[Episode], callback: BaseCallback) -> list[Episode] | None:
        """A log from elsewhere, with the log-probabilities that the policy gives it before it learns."""
        tokens = sum(len(episode.actions) for episode in episodes)
        self.num_timesteps = max(self.num_timesteps + tokens, self._total_timesteps)
        dones, infos = np.zeros(0, dtype=np.bool_), []  # type: ignore[var-annotated]  # callbacks look for ended texts
        callback.update_locals(locals())
        if not callback.on_step():
            return None
        return [
            episode._replace(log_probs=log_probs)
            for chunk in _chunks(episodes)
            for episode, log_probs in zip(chunk, self._log_probs(chunk), strict=True)
        ]

    def _log_probs(self, episodes: list[Episode]) -> list[NDArray[np.float32]]:
        """(tokens,) of each text, under the policy as it is."""
        lengths = [len(episode.actions) for episode in episodes]
        actions = torch.as_tensor(np.concatenate([e.actions for e in episodes]), device=self.device)
        generated = torch.as_tensor(np.concatenate([np.arange(n) for n in lengths]), device=self.device)
        batch = EpisodeBatch([Text(e.context, e.actions, e.prompt) for e in episodes], generated)
        with torch.no_grad():
            found = self.policy.evaluate_actions(batch, actions)[1].cpu()
        if not bool(torch.isfinite(found).all()):
            raise ConfigError(
                "The log holds tokens that the policy can't write, because top_k or top_p leave them out. Make it "
                "without them."
            )
        return [part.numpy() for part in found.split(lengths)]

    # ------------------------------------------------------------------ learning

    def train(self) -> None:
        """Down  (G - Q)^2  and the expectile loss  |tau - [Q < V]| (Q - V)^2,  over the log's texts."""
        for epoch in range(self.n_epochs):
            self._current_progress_remaining = 1 - epoch / self.n_epochs
            for batch in self._minibatches(self.rollout_buffer.rewards[:, 0]):  # rewards travel as advantages do
                judged = self.policy.judge(batch.observations, batch.actions)
                log_ratio = judged.log_probs - batch.old_log_prob  # log pi(a|s) - log pi_0(a|s)
                q = (judged.levels + self.beta * log_ratio).detach()
                lengths = np.array([len(text.actions) for text in batch.observations.texts])
                returns = self._returns(batch.advantages, judged, lengths)
                error, surprise = returns - q, q - judged.values.detach()
                side = torch.where(surprise > 0, self.tau, 1 - self.tau)
                policy_loss = -(batch.weights * error * log_ratio).sum()
                cql_loss = -(batch.weights * judged.log_probs).sum()
                value_loss = -(error * judged.levels + side * surprise * judged.values).mean()
                further = self.cql_coef * cql_loss + self.vf_coef * value_loss
                self._descend(batch, policy_loss, judged.entropies, further)
                self._log(
                    q_value=q.mean(),
                    td_loss=error.square().mean(),
                    expectile_loss=(side * surprise.square()).mean(),
                    cql_loss=cql_loss,
                    log_ratio=log_ratio.mean(),
                )
            said = {name: value for name, value in self.logger.name_to_value.items() if name.startswith("train/")}
            self.logger.dump(self.num_timesteps)  # after the only rollout, nobody else would
            for name, value in said.items():  # which callbacks read when training ends
                self.logger.record(name, value)

    def _returns(self, rewards: Tensor, judged: Judgement, lengths: NDArray[np.integer]) -> Tensor:
        """(tokens,) G, from V of this moment, without gradient."""
        values = judged.values.detach().cpu().numpy()
        found = lambda_returns(rewards.cpu().numpy(), values, lengths, self.td_lambda)
        return self.rollout_buffer.to_torch(found.astype(np.float32))


def _chunks(episodes: list[Episode]) -> Iterator[list[Episode]]:
    """Some episodes at a time, of about as many tokens as a reference model takes in one pass."""
    chunk: list[Episode] = []
    for episode in episodes:
        chunk.append(episode)
        if sum(len(e.context) + len(e.actions) for e in chunk) >= REFERENCE_TOKENS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
