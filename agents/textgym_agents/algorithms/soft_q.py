"""What Q-learning and SARSA share: the language model as an action-value function.

| Symbol | Shape | Meaning |
|---|---|---|
| Q(s, a) | (tokens,) | V(s) + beta log pi(a|s): the value head, ``beta`` and the language model |
| G | (tokens,) | lambda-returns, the targets of Q |
| delta | (tokens,) | G - Q(s, a): TD errors |
"""

from typing import Any, NamedTuple, Unpack

from torch import Tensor

from textgym.errors import ConfigError
from textgym_agents.algorithms.episodic import EpisodicAlgorithm
from textgym_agents.algorithms.options import EpisodicOptions, check_policy
from textgym_agents.buffers.episodes import EpisodeSamples
from textgym_agents.objectives.arrays import Bools, Floats
from textgym_agents.objectives.returns import check_lambda
from textgym_agents.policies.exploration import Exploration
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
    td_lambda: float
    beta: float
    vf_coef: float
    exploration: Exploration
    epsilon: float
    boltzmann_temperature: float


class SoftQAlgorithm(EpisodicAlgorithm):
    """Base of ``QLearning`` and ``SARSA``, which say in ``train`` what Q is corrected towards.

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
        td_lambda: 0: bootstrap from the next token's value. 1: Monte-Carlo returns, as far as the algorithm may.
        beta: beta, in units of reward. A smaller one makes more of a difference between two rewards.
        vf_coef: coefficient of V's loss beside the language model's.
        exploration, epsilon, boltzmann_temperature: see :class:`QLearningPolicy`.
        options: further ones of ``EpisodicAlgorithm``: ``learning_rate``, ``max_grad_norm``, ``seed``, ...

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
        batch_size: int | None = None,
        td_lambda: float = 0.95,
        beta: float = 0.01,
        vf_coef: float = 3.0,
        exploration: Exploration = "boltzmann",
        epsilon: float = 0.1,
        boltzmann_temperature: float = 1.0,
        **options: Unpack[EpisodicOptions],
    ) -> None:
        check_lambda(td_lambda)
        if not beta > 0:
            raise ConfigError(f"beta is {beta}, expected above 0, in units of reward.")
        check_policy(type(self).__name__, policy, QLearningPolicy)
        self.td_lambda, self.beta = td_lambda, beta
        explore = {"exploration": exploration, "epsilon": epsilon, "boltzmann_temperature": boltzmann_temperature}
        options["policy_kwargs"] = {**explore, **(options.get("policy_kwargs") or {})}
        super().__init__(
            policy,
            env,
            prompts_per_rollout=prompts_per_rollout,
            group_size=group_size,
            batch_size=batch_size,
            **options,
        )
        self.vf_coef = vf_coef

    def _action_values(self, batch: EpisodeSamples) -> ActionValues:
        """Q of a minibatch's tokens under the weights of this moment."""
        tokens = self.policy.token_values(batch.observations, batch.actions)
        values, log_probs, greedy_gap = (tensor.detach().cpu().numpy() for tensor in tokens[:3])
        chosen = values + self.beta * log_probs
        best = chosen + self.beta * greedy_gap
        return ActionValues(tokens.values, tokens.log_probs, tokens.entropies, chosen, best, greedy_gap == 0)
