"""Q networks made of a language model: its head ranks the candidates of a state, its value head says how good they are.

| Symbol | Shape | Meaning |
|---|---|---|
| `candidates` | (n, k) | the tokens that can be chosen at each state |
| `z` | (n, k) | the model's logits of these tokens |
| `V`, `Q` | (n,), (n, k) | values of states, and of choosing a candidate there |
"""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.distributions import CategoricalDistribution, Distribution
from stable_baselines3.common.type_aliases import Schedule
from torch import Tensor, nn
from torch.nn import functional

from textgym.errors import ConfigError
from textgym_agents import models
from textgym_agents.buffers.batches import EpisodeBatch
from textgym_agents.buffers.replay_episodes import CANDIDATES, CandidateBatch
from textgym_agents.models.sampling import Sampling, draw
from textgym_agents.models.slot_caches import SlotCaches
from textgym_agents.policies.base import LanguageModelPolicy
from textgym_agents.policies.candidates import Proposals
from textgym_agents.policies.exploration import Exploration, check_exploration
from textgym_agents.policies.limits import check_values


class QNetwork(nn.Module):
    """What SB3 calls a Q network: observations in, Q values out, and the weights that training moves.

    Args:
        policy: computes with ``parts``; its own other parts are shared.
        parts: the language model and the value head.
        names: of the weights that training moves. Others, such as those under adapters, are shared with the target
            network, so that SB3's update of the target must not see them.
    """

    def __init__(self, policy: "DQNPolicy", parts: dict[str, nn.Module], names: list[str]) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)
        object.__setattr__(self, "policy", policy)  # not as a part of this one
        self.names = names

    def forward(self, obs: Any) -> Tensor:
        """Of observations with candidates, or of a :class:`CandidateBatch`."""
        policy: Any = self.policy
        q_values: Tensor = policy.network(obs)
        return q_values

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """Those that training moves."""
        known = dict(self.named_parameters())
        return (known[name] for name in self.names)


class DQNPolicy(LanguageModelPolicy):
    """A language model that is a Q network over candidate tokens, for DQN.

    With pi the model's distribution over the candidates of a state and pi_0 that of the initial model::

        Q(s, a) = V(s) + beta * std * log(pi(a|s) / pi_0(a|s))

    where std is the standard deviation of the first returns that differ, so that the scale of rewards doesn't matter.

    This is the dueling form (Wang et al. 2016, https://arxiv.org/abs/1511.06581) with the language model's own head as
    the advantages; Guo et al., Efficient (Soft) Q-Learning for Text Generation with Limited Good Data, 2022
    (https://arxiv.org/abs/2106.07704), read logits as Q values, and Jaques et al., Sequence Tutor, 2017
    (https://arxiv.org/abs/1611.02796), stay near an initial model in this way. Where the values have been learned, pi
    is pi_0 * exp(Q / (beta * std)): the initial model, changed by what choices are worth. Its
    most probable token is the greedy one. V is a linear function of the model's hidden states, which its gradient moves
    too, scaled by ``value_gradient``.

    Training begins with all advantages 0 and the initial model as the policy. pi is what explores and what
    :meth:`save_pretrained` writes.

    Observations must have ``candidates``, which ``CandidateVecEnv`` adds; actions are indices into them. On
    observations without candidates :meth:`predict` finds these itself, with the initial weights, and returns tokens.

    In memory: the model, its copy in the target network, and the initial weights. With ``lora``: the model once, and
    the adapters twice.

    Args:
        beta: Q for one nat of log-probability, in standard deviations of returns. A smaller one lets differences of Q
            move the policy further.
        value_gain: of V's features, which sets how fast V moves, see :class:`ValueHead`. What is bootstrapped from must
            not run ahead of its targets. Whole returns ("monte_carlo" targets of the replay buffer) don't move with V,
            which may follow them as fast as PPO's does, with 100; a ``value_gradient`` of 0.01 then leaves V's gradient
            in the model as large as it was. A V that lags above the returns makes whatever is chosen look bad.
        value_gradient: share of the gradient of V's error that reaches the model. With 0 V is a linear function of what
            the model computes anyway; with 1 the errors of V, which are much larger than differences between
            candidates, take over the model.
        threshold: the target network chooses among candidates that the initial model gives at least this share of the
            best one's probability. The values of others are hardly ever corrected, and the maximum would be one of
            their errors, mostly in favor of going on (Fujimoto et al. 2019, "Benchmarking Batch Deep Reinforcement
            Learning Algorithms", https://arxiv.org/abs/1910.01708, whose tau is 0.3 too). 0: among all.
        exploration: "boltzmann": sample from pi, with the temperature and top-p of the other arguments;
            "epsilon_greedy": the best candidate, except where SB3 draws a random one, with a probability of its
            ``exploration_initial_eps`` to ``exploration_final_eps``.
        reference: not used; the initial weights are always kept, since they say what the candidates are.
        kwargs: those of ``LanguageModelPolicy``.

    Raises:
        ConfigError: observations without candidates, or an argument out of range.
    """

    takes_critics = False
    restricted = False  # only the target network's policy is
    decodes_plainly = False
    proposals: Proposals | None = None
    heads: tuple[str, ...] = ("value_net",)
    q_name = "q_net"

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        *,
        beta: float = 0.3,
        value_gain: float = 10.0,
        value_gradient: float = 0.1,
        threshold: float = 0.3,
        exploration: Exploration = "boltzmann",
        **kwargs: Any,
    ) -> None:
        if not isinstance(observation_space, spaces.Dict) or CANDIDATES not in observation_space.spaces:
            raise ConfigError(
                f"{type(self).__name__} needs observations with candidates, got {observation_space}. Build the "
                "algorithm with textgym_agents.make, or wrap the environment in candidates(vec_env, model)."
            )
        check_exploration(exploration)
        if not beta > 0:
            raise ConfigError(f"beta is {beta}, expected above 0, in standard deviations of returns.")
        tokens = spaces.Discrete(int(observation_space[CANDIDATES].high.max()) + 1)  # type: ignore[attr-defined]
        check_values({"value_gain": value_gain, "value_gradient": value_gradient, "threshold": threshold})
        self.beta, self.exploration = beta, exploration
        self.value_gain, self.value_gradient = value_gain, value_gradient
        self.threshold = threshold
        super().__init__(observation_space, tokens, lr_schedule, **{**kwargs, "reference": True})
        self.action_space = action_space
        self._make_networks(int(action_space.n))  # type: ignore[attr-defined]

    def _make_networks(self, num_candidates: int) -> None:
        assert self.reference is not None
        initial = self._twin({"lm": self.reference.copy or self.lm})
        initial.sampling = Sampling()  # candidates don't depend on how is explored
        initial.caches = SlotCaches(p for p in initial.lm.parameters() if not p.requires_grad)  # adapters are off
        self.proposals = Proposals(initial, num_candidates, self.reference)
        shared = {id(p): p for p in self.parameters() if not p.requires_grad}
        ours: dict[str, nn.Module] = {name: getattr(self, name) for name in ("lm", *self.heads)}
        theirs = copy.deepcopy(ours, shared)
        online = QNetwork(self, ours, [])
        online.names = [name for name, p in online.named_parameters() if p.requires_grad]
        for part in theirs.values():
            part.requires_grad_(False)
        target = self._twin(theirs)
        target.restricted = True
        target.use_cache = False  # SB3 moves its weights' ``data``, which no version counter sees
        object.__setattr__(self, self.q_name, online)  # its parts are the policy's own
        setattr(self, f"{self.q_name}_target", QNetwork(target, theirs, online.names))

    def _twin(self, parts: dict[str, nn.Module]) -> "DQNPolicy":
        """The same policy with other parts."""
        twin = copy.copy(self)
        twin._modules = {**self._modules, **parts}
        twin.head_scale, twin.head_bias = models.head_scale(twin.lm), models.head_bias(twin.lm)
        twin.caches = SlotCaches(twin.lm.parameters())
        twin.reference = None
        return twin

    # ------------------------------------------------------------------ values

    def q_values(self, obs: Any) -> Tensor:
        """(n, k) Q values of the candidates, with gradients."""
        return self._at(obs, self._dueling)

    @torch.no_grad()
    def best_candidates(self, obs: CandidateBatch) -> Tensor:
        """(states,) indices of the candidates that the target network would choose."""
        target: DQNPolicy = getattr(self, f"{self.q_name}_target").policy
        return target.q_values(obs).argmax(-1)

    def network(self, obs: Any) -> Tensor:
        """What SB3's algorithm calls its network."""
        return self.q_values(obs)

    def _dueling(self, hidden: Tensor, advantages: Tensor) -> Tensor:
        value: Tensor = self.value_net(self._features(hidden))
        return value + advantages

    def _features(self, hidden: Tensor) -> Tensor:
        """Hidden states for the heads, with a share of the gradient."""
        hidden = hidden.float()
        return hidden.detach().lerp(hidden, self.value_gradient)

    def _at(self, obs: Any, join: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """``join`` of hidden states and advantages, at the states that ``obs`` means."""
        if not isinstance(obs, EpisodeBatch):
            return join(*self._states(obs, obs[CANDIDATES].long()))
        if not isinstance(obs, CandidateBatch) or obs.candidates is None:
            raise ConfigError("A Q network needs a CandidateBatch, as EpisodeReplayBuffer makes it.")
        if obs.returns is not None and np.unique(obs.returns).size > 1 and not self.value_net.begun:
            self.value_net.follow(obs.returns, obs.returns)  # once, in both networks, which stay comparable so
        if obs.sequences:
            values = join(*self._states(obs, obs.candidates))
        else:
            hidden = self.value_net.weight.new_zeros(0, self.value_net.in_features)
            values = join(hidden, hidden.new_zeros(0, obs.candidates.shape[1]))
        if obs.take is None:
            return values
        return torch.cat([values, values.new_zeros(1, *values.shape[1:])])[obs.take]  # -1 is the last

    def _states(self, obs: Any, candidates: Tensor) -> tuple[Tensor, Tensor]:
        """(n, hidden size) hidden states, and (n, k) advantages."""
        assert self.proposals is not None
        initial: Any = self.proposals.policy
        with torch.no_grad(), self.proposals.weights():
            before = initial._candidate_logits(initial._hidden(obs), candidates)
        hidden = self._hidden(obs)
        now = self._candidate_logits(hidden, candidates)
        log_pi, log_pi_0 = (z - _without_repeats(z, candidates).logsumexp(-1, keepdim=True) for z in (now, before))
        advantages = self.beta * self.value_net.std * (log_pi - log_pi_0)
        if self.restricted:
            probable = (before - before.amax(-1, keepdim=True)).exp() >= self.threshold
            advantages = advantages.masked_fill(~probable, -torch.inf)
        return hidden, advantages

    def _candidate_logits(self, hidden: Tensor, candidates: Tensor) -> Tensor:
        """(n, k) logits of the candidates alone: the rest of the vocabulary costs nothing."""
        head: Any = self.lm.get_output_embeddings()
        if type(head) is not nn.Linear:  # adapters on it, or quantized
            return self._logits(self.lm, hidden).gather(1, candidates)
        rows = functional.embedding(candidates, head.weight)  # (n, k, hidden size)
        logits = torch.einsum("nkd,nd->nk", rows, hidden * self.head_scale).float()
        for bias in (head.bias, self.head_bias):
            if bias is not None:
                logits = logits + bias[candidates].to(logits)
        return logits

    # ------------------------------------------------------------------ choices

    def forward(self, obs: Any, deterministic: bool = False) -> Tensor:  # type: ignore[override]
        """(rows,) indices of candidates, or tokens where the observations have no candidates."""
        return self._predict(obs, deterministic)

    def _predict(self, observation: Any, deterministic: bool = False) -> Tensor:
        assert self.proposals is not None
        given = observation.get(CANDIDATES)
        candidates = self.proposals(observation) if given is None else given.long()
        logits = self._candidate_logits(self._hidden(observation), candidates)
        if deterministic or self.exploration == "epsilon_greedy":
            chosen = logits.argmax(-1)
        else:
            logits = self._explored(logits, candidates)
            chosen = draw(logits.softmax(-1), self._stream(logits.device))
        return candidates.gather(1, chosen[:, None]).squeeze(1) if given is None else chosen

    def get_distribution(self, obs: Any) -> Distribution:
        """The distribution over tokens that :meth:`predict` samples from: only candidates have a probability."""
        assert self.proposals is not None
        given = obs.get(CANDIDATES)
        candidates = self.proposals(obs) if given is None else given.long()
        logits = self._explored(self._candidate_logits(self._hidden(obs), candidates), candidates)
        over_tokens = logits.new_full((len(logits), self.num_actions), -torch.inf)
        # A repeated first candidate has minus infinity: the largest of its logits is its own.
        over_tokens.scatter_reduce_(1, candidates, logits, "amax")
        return CategoricalDistribution(self.num_actions).proba_distribution(over_tokens.log_softmax(-1))

    def _explored(self, logits: Tensor, candidates: Tensor) -> Tensor:
        """(rows, k) logits of candidates, as they are sampled."""
        return self.sampling.filter_(_without_repeats(logits, candidates) / self.sampling.temperature)

    @property
    def cache_nbytes(self) -> int:
        """Memory that the key-value caches take now, in bytes, that of the initial model included."""
        return super().cache_nbytes + (self.proposals.policy.cache_nbytes if self.proposals is not None else 0)

    def _apply(self, fn: Any, recurse: bool = True) -> "DQNPolicy":
        if self.proposals is not None:
            self.proposals.policy.caches.drop()
        return super()._apply(fn, recurse)  # type: ignore[return-value]


def _without_repeats(logits: Tensor, candidates: Tensor) -> Tensor:
    """Minus infinity where the first candidate is repeated because too few tokens are legal."""
    again = candidates == candidates[:, :1]
    again[:, 0] = False
    return logits.masked_fill(again, -torch.inf)
