"""What Q-learning and SARSA share: the language model as an action-value function, and a step that corrects it.

| Symbol | Shape | Meaning |
|---|---|---|
| Q(s, a) | (tokens,) | V(s) + beta log pi(a|s): the value head, ``beta`` and the language model |
| G | (tokens,) | lambda-returns, the targets of Q |
| delta | (tokens,) | G - Q(s, a): TD errors |
"""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from textgym.errors import ConfigError
from textgym_agents.algorithms.episodic import EpisodicPolicyGradient
from textgym_agents.buffers.episodes import EpisodeSamples
from textgym_agents.objectives.returns import Bools, Floats, Ints, check_lambda
from textgym_agents.policies.q_learning import QLearningPolicy, TokenValues


class ValuedTexts(NamedTuple):
    """A minibatch of whole texts and what its tokens are worth now; arrays are (tokens,) without gradient.

    Attributes:
        batch: the minibatch.
        tokens: its values and log-probabilities, with gradients.
        lengths: (texts,) tokens of each text.
        rewards: what each token earned, minus its KL penalty.
        chosen: Q(s_t, a_t).
        best: max_a Q(s_t, a).
        greedy: where a_t is the best one.
    """

    batch: EpisodeSamples
    tokens: TokenValues
    lengths: Ints
    rewards: Floats
    chosen: Floats
    best: Floats
    greedy: Bools


class ActionValueLearning(EpisodicPolicyGradient):
    """Base of ``QLearning`` and ``SARSA``, which say in ``train`` what Q should have been.

    Any Q can be written as ``V(s) + beta log pi(a|s)``, with ``V = beta log sum_a exp(Q(s, a) / beta)``, and then
    ``pi(a|s) = exp(Q(s, a) / beta) / sum``: the language model is Boltzmann exploration at the temperature beta, and
    its likeliest token is the greedy action. So a pretrained model begins with a sensible ranking of all tokens, and
    what is trained is a language model still. Logits as action values: Guo et al. (2021),
    https://arxiv.org/abs/2106.07704; one stream for the state and one for the actions: Wang et al. (2015),
    https://arxiv.org/abs/1511.06581.

    Args:
        policy: ``QLearningPolicy``.
        env: a ``TextVecEnv`` (see ``make_vec_env``), or an id.
        prompts_per_rollout: prompts drawn for a rollout.
        group_size: completions of each of them.
        batch_size: about how many tokens, of whole texts, make one optimiser step. None: all of the rollout.
        td_lambda: 0: bootstrap from the next token's value. 1: from what the text earned, as far as the algorithm may.
        beta: beta, in units of reward. A smaller one makes more of a difference between two rewards.
        vf_coef: how fast V learns, compared with the language model.
        exploration, epsilon, boltzmann_temperature: see :class:`QLearningPolicy`.
        policy_kwargs: further arguments of the policy.
        kwargs: of ``EpisodicPolicyGradient``: ``learning_rate``, ``max_grad_norm``, ``seed``, ...

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
        prompts_per_rollout: int = 64,
        group_size: int = 1,
        td_lambda: float = 1.0,
        beta: float = 0.01,
        vf_coef: float = 3.0,
        exploration: Literal["boltzmann", "epsilon_greedy"] = "boltzmann",
        epsilon: float = 0.1,
        boltzmann_temperature: float = 1.0,
        policy_kwargs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        check_lambda(td_lambda)
        if not beta > 0:
            raise ConfigError(f"beta is {beta}, expected above 0, in units of reward.")
        if not (isinstance(policy, type) and issubclass(policy, QLearningPolicy)):
            name = getattr(policy, "__name__", repr(policy))
            raise ConfigError(
                f"{type(self).__name__} got the policy {name}, expected QLearningPolicy or QLearningPolicy."
            )
        self.td_lambda, self.beta = td_lambda, beta
        explore = {"exploration": exploration, "epsilon": epsilon, "boltzmann_temperature": boltzmann_temperature}
        super().__init__(
            policy,
            env,
            prompts_per_rollout=prompts_per_rollout,
            group_size=group_size,
            policy_kwargs={**explore, **(policy_kwargs or {})},
            **kwargs,
        )
        self.vf_coef = vf_coef

    def _valued(self) -> Iterator[ValuedTexts]:
        """The rollout's texts in minibatches, each with what the weights of this moment say about it."""
        for batch in self._minibatches(self.rollout_buffer.rewards[:, 0]):  # rewards travel as advantages do
            tokens = self.policy.token_values(batch.observations, batch.actions)
            values, log_probs, gaps = (t.detach().cpu().numpy() for t in tokens[:3])
            chosen = values + self.beta * log_probs
            lengths = np.array([len(text.actions) for text in batch.observations.texts])
            rewards = batch.advantages.cpu().numpy()
            yield ValuedTexts(batch, tokens, lengths, rewards, chosen, chosen + self.beta * gaps, gaps == 0)

    def _correct(self, texts: ValuedTexts, returns: NDArray[np.floating]) -> None:
        """One optimiser step along  sum_t delta_t grad Q(s_t, a_t),  with V and log pi each at a speed of its own.

        Their gradients are those of the squared TD error with the other one held still, which share its minimum. That
        of beta log pi is divided by beta, or the language model would hardly move where beta is small.
        """
        batch, tokens = texts.batch, texts.tokens
        errors = returns - texts.chosen
        delta = self.rollout_buffer.to_torch(errors.astype(np.float32))
        policy_loss = -(batch.weights * delta * tokens.log_probs).sum()
        value_loss = -(delta * tokens.values).mean()
        self._descend(batch, policy_loss, tokens.entropies, self.vf_coef * value_loss)
        means = {"q_value": texts.chosen, "td_loss": errors**2, "greedy_share": texts.greedy}
        self._log(**{name: self.rollout_buffer.to_torch(array).float().mean() for name, array in means.items()})
