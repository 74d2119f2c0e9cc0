"""What Q-learning and SARSA share: the language model as an action-value function.

| Symbol | Shape | Meaning |
|---|---|---|
| Q(s, a) | (tokens,) | V(s) + beta log pi(a|s): the value head, ``beta`` and the language model |
| G | (tokens,) | lambda-returns, the targets of Q |
| delta | (tokens,) | G - Q(s, a): TD errors |
"""

from abc import abstractmethod
from typing import Any, NamedTuple, Unpack

import numpy as np
from stable_baselines3.common.type_aliases import Schedule
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from textgym.errors import ConfigError
from textgym_agents.algorithms.episodic import EpisodicAlgorithm, Means
from textgym_agents.algorithms.options import EpisodicOptions, UpdateOptions, check_policy
from textgym_agents.buffers.episodes import EpisodeSamples
from textgym_agents.objectives.arrays import Bools, Floats
from textgym_agents.objectives.returns import check_lambda
from textgym_agents.policies.exploration import Exploration
from textgym_agents.policies.limits import check_values
from textgym_agents.policies.q_learning import QLearningPolicy


class ActionValues(NamedTuple):
    """Action values of a minibatch's tokens now, all (tokens,): tensors have gradients, arrays have none.

    Attributes:
        values: V(s_t).
        log_probs: log pi(a_t | s_t).
        entropies: of pi(. | s_t), in nats.
        chosen: Q(s_t, a_t).
        best: max_a Q(s_t, a).
        greedy: where a_t is the best one.
    """

    values: Tensor
    log_probs: Tensor
    entropies: Tensor
    chosen: Floats
    best: Floats
    greedy: Bools


class SoftQOptions(EpisodicOptions, total=False):
    """What ``SoftQAlgorithm`` takes."""

    prompts_per_rollout: int
    group_size: int
    batch_size: int | None
    n_epochs: int
    td_lambda: float
    beta: float
    vf_coef: float
    exploration: Exploration
    epsilon: float
    boltzmann_temperature: float


class SoftQAlgorithm(EpisodicAlgorithm):
    """Base of ``QLearning`` and ``SARSA``, which say in ``_returns`` what Q is corrected towards.

    Any Q can be written as ``V(s) + beta log pi(a|s)``, with ``V = beta log sum_a exp(Q(s, a) / beta)``, and then
    ``pi(a|s) = exp(Q(s, a) / beta) / sum``: the language model is Boltzmann exploration at the temperature beta, and
    its most probable token is the greedy action. So a pretrained model begins with a sensible ranking of all tokens,
    and what is trained stays a language model. Logits as action values: Guo et al. (2021),
    https://arxiv.org/abs/2106.07704; one stream for the state and one for the actions: Wang et al. (2015),
    https://arxiv.org/abs/1511.06581.

    Args:
        policy: ``QLearningPolicy``.
        env: a ``TextVecEnv`` (see ``make_vec_env``), or an id.
        prompts_per_rollout: prompts drawn for a rollout.
        group_size: completions of each of them.
        batch_size: about how many tokens, of whole episodes, make one gradient step. None: all of the rollout.
        n_epochs: how often a rollout's episodes are used.
        td_lambda: 0: bootstrap from the next token's value. 1: Monte-Carlo returns, as far as the algorithm may.
        beta: beta, in units of reward. A smaller one makes more of a difference between two rewards.
        vf_coef: coefficient of V's loss beside the language model's.
        exploration, epsilon, boltzmann_temperature: see :class:`QLearningPolicy`.
        learning_rate: of the policy's optimizer, a number or a schedule.
        options: further ones of ``EpisodicAlgorithm``: ``max_grad_norm``, ``seed``, ...

    Raises:
        ConfigError: another policy, or a number outside its range.
    """

    samples_from_policy = False  # exploration may be epsilon-greedy: HealthCheck leaves out what assumes samples
    policy: QLearningPolicy

    def __init__(
        self,
        policy: Any,
        env: Any,
        *,
        learning_rate: float | Schedule = 1e-4,
        prompts_per_rollout: int = 64,
        group_size: int = 1,
        batch_size: int | None = 256,
        n_epochs: int = 1,
        td_lambda: float = 0.95,
        beta: float = 0.01,
        vf_coef: float = 0.3,
        exploration: Exploration = "boltzmann",
        epsilon: float = 0.1,
        boltzmann_temperature: float = 1.0,
        **options: Unpack[UpdateOptions],
    ) -> None:
        check_lambda(td_lambda)
        check_values({"n_epochs": n_epochs, "vf_coef": vf_coef})
        if not beta > 0:
            raise ConfigError(f"beta is {beta}, expected above 0, in units of reward.")
        check_policy(type(self).__name__, policy, QLearningPolicy)
        self.n_epochs, self.td_lambda, self.beta = n_epochs, td_lambda, beta
        explore = {"exploration": exploration, "epsilon": epsilon, "boltzmann_temperature": boltzmann_temperature}
        options["policy_kwargs"] = {**explore, **(options.get("policy_kwargs") or {})}
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

    @abstractmethod
    def _returns(self, batch: EpisodeSamples, q: ActionValues) -> Floats:
        """(tokens,) the targets of Q, which is what tells the subclasses apart."""

    def train(self) -> None:
        """w <- w + alpha sum_t delta_t grad Q(s_t, a_t),  delta_t = G_t - Q(s_t, a_t)."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        store, means = self.rollout_buffer, Means()
        for _ in range(self.n_epochs):
            for batch in store.get(self.batch_size):
                self._step(batch, means)
        self._log_update(means, self.n_epochs)

    def _step(self, batch: EpisodeSamples, means: Means) -> None:
        q = self._action_values(batch)
        td_error = self._returns(batch, q) - q.chosen
        delta = self.rollout_buffer.to_torch(td_error.astype(np.float32))  # held still: a semi-gradient
        # V and beta log pi each go along delta times their own gradient, which for the latter is divided by beta: the
        # language model would hardly move where beta is small. The squared TD error has the same minimum.
        policy_loss = -(batch.weights * delta * q.log_probs).sum()  # over tokens of 1/n (loss_reduction)
        value_loss = -(delta * q.values).mean()  # over tokens
        loss = policy_loss - self.ent_coef * (batch.weights * q.entropies).sum() + self.vf_coef * value_loss

        self.policy.optimizer.zero_grad()
        loss.backward()
        grad_norm = clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
        self.policy.optimizer.step()
        means.add(policy_loss=policy_loss, entropy_loss=-q.entropies.mean(), loss=loss, grad_norm=grad_norm)
        diagnostics = {"q_value": q.chosen, "td_loss": td_error**2, "greedy_share": q.greedy}
        means.add(**{name: self.rollout_buffer.to_torch(array).float().mean() for name, array in diagnostics.items()})

    def _action_values(self, batch: EpisodeSamples) -> ActionValues:
        """Q of a minibatch's tokens under the weights of this moment."""
        tokens = self.policy.token_values(batch.observations, batch.actions)
        values, log_probs, greedy_gap = (tensor.detach().cpu().numpy() for tensor in tokens[:3])
        chosen = values + self.beta * log_probs
        best = chosen + self.beta * greedy_gap
        return ActionValues(tokens.values, tokens.log_probs, tokens.entropies, chosen, best, greedy_gap == 0)
