"""Replay of whole episodes: each token is kept once, and a minibatch is one teacher-forced pass over some of them.

Stable-Baselines3's own buffer keeps two observations, prompt and all, for every token, and draws single tokens, each of
which costs a pass over its whole prefix. Here an episode is kept once, when it has ended, and its tokens are drawn
together.

In a conversation the tokens that are drawn are the policy's. A partner's lie between two of them: they are read, and no
reward, step, discount or value belongs to them. What is bootstrapped from behind a turn is the state after the reply.

| Symbol | Shape | Meaning |
|---|---|---|
| `candidates` | (tokens, k) | the tokens that could be chosen at each state |
| `actions` | (tokens,) | which of them was, 0 to k - 1 |
| `take` | (n,) | the state, among those of a batch, that each row means; -1: none |
"""

from collections.abc import Mapping
from itertools import islice
from typing import Any, Literal, Protocol, get_args

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from torch import Tensor

from textgym.errors import ConfigError, did_you_mean
from textgym_agents.buffers.late import LateSource
from textgym_agents.buffers.replay_episodes import (
    CANDIDATES,
    CandidateBatch,
    OpenEpisode,
    Span,
    StoredEpisode,
    pack_episodes,
    unpack_episodes,
)
from textgym_agents.buffers.steps import TokenIds, not_by_one_token, written_since
from textgym_agents.models.packing import Insertion, TokenSequence
from textgym_agents.objectives.arrays import Bools, Ints
from textgym_agents.objectives.returns import n_step_returns


class QPolicy(Protocol):
    """A policy with a target network, which has a best candidate for each state."""

    def best_candidates(self, obs: CandidateBatch) -> Tensor:
        """(states,) indices of the candidates that its target network would choose."""


Targets = Literal["watkins", "n_step", "monte_carlo"]
MOST_RETURNS = 64  # the newest, which say what scale values have


class EpisodeReplayBuffer(ReplayBuffer):
    """A replay buffer of whole episodes. Pass it as ``replay_buffer_class`` to DQN or QR-DQN.

    A minibatch has exactly ``batch_size`` tokens: whole episodes, drawn with replacement, and a part of the last one.
    When it is full, the oldest episodes make room. Episodes whose reward abstained are not kept. As long as no episode
    has ended, or with ``from_every_row`` none of some row, minibatches teach nothing: their Q values and targets are 0.

    Args:
        buffer_size: most tokens of episodes that have ended.
        observation_space, action_space, device, n_envs: as SB3 gives them.
        optimize_memory_usage: SB3's; must be False, since there is nothing left to save.
        targets: what Q is corrected towards. "n_step": the next ``n_steps`` rewards, and the target network's value of
            the state that follows them (Sutton 1988, https://doi.org/10.1007/BF00115009). "watkins": the rewards up to
            the next token that isn't the target network's best, and its value of the state before that token: right
            whoever wrote the episodes, as with one step, and as fast as whole episodes where these are greedy (Sutton &
            Barto 2018, section 12.10); it needs :meth:`bind`. "monte_carlo": all rewards to the end of the episode,
            without a target network; Q then becomes that of the policies that wrote the episodes, not the optimal one.
        n_steps: of "n_step" targets, 1 if None. With 1 they are right whoever wrote the episodes; with more a reward
            comes to earlier tokens in fewer updates, and the tokens between count as the episode has them. The most
            rewards of "watkins" targets; None: no limit.
        gamma: discount within these sums; the same as the algorithm's.
        from_every_row: draw nothing before each row has ended an episode. The first returns give values their mean and
            their scale, and where winning ends an episode, those that end first are those that were won at once. True
            in conversations that ``textgym_agents.make`` builds an algorithm for.
        seed: of what is drawn. Default: from torch's initial seed, which SB3 sets from its own.

    Raises:
        ConfigError: observations without candidates, or arguments out of range.
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        device: torch.device | str = "auto",
        n_envs: int = 1,
        optimize_memory_usage: bool = False,
        *,
        targets: Targets = "n_step",
        n_steps: int | None = None,
        gamma: float = 1.0,
        from_every_row: bool = False,
        seed: int | None = None,
    ) -> None:
        if not isinstance(observation_space, spaces.Dict) or CANDIDATES not in observation_space.spaces:
            raise ConfigError(
                f"EpisodeReplayBuffer needs observations with candidates, got {observation_space}. Build the algorithm "
                "with textgym_agents.make, or wrap the environment in textgym_agents.envs.candidates.candidates."
            )
        if optimize_memory_usage:
            raise ConfigError("EpisodeReplayBuffer keeps each token once already: leave optimize_memory_usage=False.")
        if targets not in get_args(Targets):
            raise ConfigError(f"targets is {targets!r}. {did_you_mean(str(targets), get_args(Targets))}")
        if (n_steps is not None and n_steps < 1) or not 0 <= gamma <= 1:
            raise ConfigError(f"n_steps is {n_steps} and gamma is {gamma}, expected 1 or more and from 0 to 1.")
        super(ReplayBuffer, self).__init__(buffer_size, observation_space, action_space, device, n_envs)
        self.optimize_memory_usage, self.handle_timeout_termination = False, True
        self.targets, self.n_steps, self.gamma = targets, n_steps, gamma
        self.from_every_row = from_every_row
        self.policy: QPolicy | None = None
        self._late: LateSource | None = None
        self.seq2seq = "decoder_input_ids" in observation_space.spaces
        prefix = "decoder_" if self.seq2seq else ""
        self.keys = (f"{prefix}input_ids", f"{prefix}attention_mask")
        self.rng = np.random.default_rng(np.random.SeedSequence(torch.initial_seed() if seed is None else seed))
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        super().reset()
        self.episodes: dict[int, StoredEpisode] = {}  # by number; the oldest has the smallest
        self.open: list[OpenEpisode | None] = [None] * self.n_envs
        self._next = self._tokens = 0
        self._expected: Mapping[str, NDArray[Any]] | None = None
        self._rows_ended = np.zeros(self.n_envs, dtype=np.bool_)  # an episode at least
        self._ended: list[tuple[int, OpenEpisode]] = []  # since one whose reward is still to come, with their tickets

    def size(self) -> int:
        """Tokens that it can draw: those of episodes that have ended and have their reward."""
        return self._tokens

    @property
    def nbytes_per_token(self) -> float:
        """Bytes held for each of these tokens, prompts included."""
        return sum(episode.nbytes for episode in self.episodes.values()) / max(1, self._tokens)

    # ------------------------------------------------------------------ storing

    def add(  # type: ignore[override]
        self,
        obs: Mapping[str, NDArray[Any]],
        next_obs: Mapping[str, NDArray[Any]],
        action: NDArray[Any],
        reward: NDArray[Any],
        done: NDArray[Any],
        infos: list[dict[str, Any]],
    ) -> None:
        """Store one step of all rows. SB3 calls this."""
        actions, goes_on = action.reshape(-1).tolist(), self._goes_on(obs)
        replies = self._replies(obs, next_obs, actions, ~done.astype(bool))
        tickets = np.full(self.n_envs, -1) if self._late is None else self._late.tickets()
        self._rows_ended |= done.astype(bool)
        for row in range(self.n_envs):
            episode = self.open[row]
            if episode is None or not goes_on[row]:
                episode = self.open[row] = self._begin(obs, row)
            episode.candidates.append(obs[CANDIDATES][row])
            episode.actions.append(actions[row])
            episode.rewards.append(float(reward[row]))
            if row in replies:
                episode.inserted.append(Insertion(len(episode.actions), replies[row]))
            if done[row] and infos[row].get("reward_abstained", False):
                self.open[row] = None  # there is no return to learn from
            elif done[row]:
                if infos[row].get("TimeLimit.truncated", False):
                    episode.candidates.append(next_obs[CANDIDATES][row])
                if tickets[row] >= 0 or self._ended:  # in the order in which they ended
                    self._ended.append((int(tickets[row]), episode))
                else:
                    self._store(episode)
                self.open[row] = None
        self._expected = {key: next_obs[key] for key in self.keys}
        if self._late is not None:
            self._late.begin(taken=1)

    def _arrive(self) -> None:
        """Wait for the rewards that are still to come, and store their episodes. Those whose reward abstained go."""
        rewards = self._late.arrive() if self._late is not None and self._ended else {}
        for ticket, episode in self._ended:
            reward = rewards.get(ticket) if ticket >= 0 else 0.0
            if reward is not None:
                episode.rewards[-1] += float(np.float32(reward))
                self._store(episode)
        self._ended = []

    def _replies(
        self, obs: Mapping[str, NDArray[Any]], next_obs: Mapping[str, NDArray[Any]], actions: list[int], rows: Bools
    ) -> dict[int, TokenIds]:
        """By row, what a partner wrote behind the chosen token, where it wrote anything; of (rows,) that go on."""
        (old_ids, old), (ids, live) = ((one[self.keys[0]], one[self.keys[1]] != 0) for one in (obs, next_obs))
        replies: dict[int, TokenIds] = {}
        for row in np.flatnonzero(rows & (live.sum(1) != old.sum(1) + 1)).tolist():
            token = int(obs[CANDIDATES][row, actions[row]])
            reply = written_since((old_ids[row], old[row]), (ids[row], live[row]), token)
            if reply is None:
                raise not_by_one_token("EpisodeReplayBuffer")
            replies[row] = reply
        return replies

    def _goes_on(self, obs: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_]:
        """(rows,) whether the row shows what its last step led to; not so after a reset in the middle of an episode."""
        if self._expected is None:
            return np.zeros(self.n_envs, dtype=np.bool_)
        same: NDArray[np.bool_] = np.ones(self.n_envs, dtype=np.bool_)
        for key in self.keys:
            same &= (obs[key] == self._expected[key]).all(1)
        return same

    def _begin(self, obs: Mapping[str, NDArray[Any]], row: int) -> OpenEpisode:
        ids, mask = (obs[key][row] for key in self.keys)
        prompt = obs["input_ids"][row, obs["attention_mask"][row] != 0].astype(np.int32) if self.seq2seq else None
        return OpenEpisode(ids[mask != 0].astype(np.int32), prompt)

    def _store(self, episode: OpenEpisode) -> None:
        self.episodes[self._next] = episode.ended(self._action_dtype)
        self._next += 1
        self._tokens += len(episode.actions)
        while self._tokens > self.buffer_size and len(self.episodes) > 1:
            self._tokens -= len(self.episodes.pop(next(iter(self.episodes))).actions)
            self.full = True

    @property
    def _action_dtype(self) -> np.dtype[Any]:
        """The smallest that holds an index of a candidate."""
        return np.min_scalar_type(int(self.action_space.n) - 1)  # type: ignore[attr-defined]

    # ------------------------------------------------------------------ checkpoints

    def get_state(self) -> dict[str, Any]:
        """What it holds and its random generator, for a checkpoint."""
        self._arrive()
        begun = {row: episode for row, episode in enumerate(self.open) if episode is not None}
        return {
            **pack_episodes([*self.episodes.values(), *begun.values()]),
            "numbers": list(self.episodes),
            "open": list(begun),
            "rows_ended": self._rows_ended.copy(),
            "next": self._next,
            "expected": None if self._expected is None else dict(self._expected),
            "rng": self.rng,
            "full": self.full,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Hold what a buffer of the same arguments held whose ``get_state`` returned this."""
        self.reset()
        episodes = unpack_episodes(state)
        for number, episode in zip(state["numbers"], episodes, strict=False):
            self.episodes[number] = episode.ended(self._action_dtype)
            self._tokens += len(episode.actions)
        for row, episode in zip(state["open"], episodes[len(self.episodes) :], strict=True):
            self.open[row] = episode
        self._next, self._expected, self.full = state["next"], state["expected"], state["full"]
        self._rows_ended[:] = state.get("rows_ended", True)  # older checkpoints have none
        self.rng = state["rng"]

    # ------------------------------------------------------------------ drawing

    def sample(self, batch_size: int, env: Any = None) -> ReplayBufferSamples:
        """A minibatch for unmodified DQN and QR-DQN, whose Q networks take :class:`CandidateBatch`.

        Raises:
            ConfigError: the environment is wrapped in VecNormalize.
        """
        if env is not None:
            raise ConfigError("EpisodeReplayBuffer can't be used with VecNormalize: token ids are no quantities.")
        self._arrive()
        if self._late is not None:
            self._late.begin()  # what is drawn is drawn between two rollouts
        spans = self._draw(batch_size)
        if not spans:
            return self._nothing(batch_size)
        here = [self._states(*span) for span in spans]
        following, take, returns, discounts = self._targets(spans)
        to_go = torch.as_tensor(discounts, device=self.device)[:, None]
        return ReplayBufferSamples(
            observations=self._batch(here, None),  # type: ignore[arg-type]
            actions=self._long(np.concatenate([span.episode.actions[span.start : span.stop] for span in spans]))[
                :, None
            ],
            next_observations=self._batch(following, take),  # type: ignore[arg-type]
            dones=torch.as_tensor(take < 0, device=self.device).float()[:, None],
            rewards=torch.as_tensor(returns, device=self.device)[:, None],
            discounts=to_go,
        )

    @property
    def _waits(self) -> bool:
        """Whether it has yet to see how an episode of each row ends."""
        return self.from_every_row and not self._rows_ended.all()

    def _draw(self, batch_size: int) -> list[Span]:
        spans: list[Span] = []
        missing = batch_size if self.episodes and not self._waits else 0
        first = self._next - len(self.episodes)
        while missing:
            episode = self.episodes[int(self.rng.integers(first, self._next))]
            length = min(len(episode.actions), missing)
            start = int(self.rng.integers(0, len(episode.actions) - length + 1))
            spans.append(Span(episode, start, start + length))
            missing -= length
        return spans

    def bind(self, policy: QPolicy, late: LateSource | None = None) -> None:
        """Take the target network of "watkins" targets from a policy. ``late`` says which rewards are still to come."""
        self.policy, self._late = policy, late or self._late

    def __getstate__(self) -> dict[str, Any]:
        self._arrive()
        return {**vars(self), "policy": None, "_late": None}  # pickled, it has none

    def _steps(self, spans: list[Span]) -> list[Ints]:
        """For each span, (tokens,) how many rewards its targets have before the target network's value."""
        left: list[Ints] = [len(episode.actions) - np.arange(start, stop) for episode, start, stop in spans]
        if self.targets == "monte_carlo":
            return left
        if self.targets == "n_step":
            return [np.minimum(self.n_steps or 1, most) for most in left]
        if self.policy is None:
            raise ConfigError(
                'EpisodeReplayBuffer has "watkins" targets and no policy whose best tokens these follow. Build the '
                "algorithm with textgym_agents.make, or call algorithm.replay_buffer.bind(algorithm.policy) before "
                "learn()."
            )
        rest = [span._replace(stop=len(span.episode.actions)) for span in spans]
        best = self.policy.best_candidates(self._batch([self._states(*span) for span in rest], None)).cpu().numpy()
        chosen = np.concatenate([span.episode.actions[span.start :] for span in rest])
        stops = np.cumsum([len(span.episode.actions) - span.start for span in rest])
        steps = []
        for (_, start, stop), most, greedy in zip(spans, left, np.split(best == chosen, stops[:-1]), strict=True):
            at = np.arange(len(greedy))
            # The next state at which the episode left the greedy policy; its end where it never did.
            following = np.minimum.accumulate(np.where(greedy, len(greedy), at)[::-1])[::-1]
            until = np.append(following[1:], len(greedy)) - at
            steps.append(np.minimum(until[: stop - start], most if self.n_steps is None else self.n_steps))
        return steps

    def _targets(
        self, spans: list[Span]
    ) -> tuple[list[tuple[TokenSequence, TokenIds]], NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
        """The states whose values the targets need, which of them is each token's, n-step returns and discounts."""
        following: list[tuple[TokenSequence, TokenIds]] = []
        take, returns, discounts = [], [], []
        known = 0
        for (episode, start, stop), steps in zip(spans, self._steps(spans), strict=True):
            states = len(episode.candidates)
            reached = np.arange(start, stop) + steps  # the state after these rewards
            every = np.ones(len(episode.actions), dtype=np.int64)
            every[start:stop] = steps
            returns.append(n_step_returns(episode.rewards, every, self.gamma)[start:stop])
            discounts.append(self.gamma**steps)
            first, last = int(reached[0]), min(int(reached[-1]) + 1, states)
            take.append(np.where(reached < states, known + reached - first, -1))
            if first < last:
                following.append(self._states(episode, first, last))
                known += last - first
        flat = (np.concatenate(arrays).astype(np.float32) for arrays in (returns, discounts))
        return following, np.concatenate(take), *flat  # type: ignore[return-value]

    @staticmethod
    def _states(episode: StoredEpisode, start: int, stop: int) -> tuple[TokenSequence, TokenIds]:
        """The states before the tokens ``[start, stop)``, and the candidates there."""
        return episode.states(start, stop), episode.candidates[start:stop]

    def _batch(self, states: list[tuple[TokenSequence, TokenIds]], take: NDArray[np.int64] | None) -> CandidateBatch:
        k = int(self.action_space.n)  # type: ignore[attr-defined]
        newest = islice(reversed(self.episodes.values()), 0 if self._waits else MOST_RETURNS)
        candidates = np.concatenate([np.empty((0, k), np.int32), *(c for _, c in states)])
        return CandidateBatch(
            [sequence for sequence, _ in states],
            num_generated=torch.full((len(candidates),), -1, device=self.device),
            candidates=self._long(candidates),
            take=None if take is None else self._long(take),
            returns=np.array([float(one.rewards.sum()) for one in newest]),
        )

    def _nothing(self, batch_size: int) -> ReplayBufferSamples:
        nowhere = self._batch([], np.full(batch_size, -1))
        zeros = torch.zeros(batch_size, 1, device=self.device)
        return ReplayBufferSamples(nowhere, zeros.long(), nowhere, zeros + 1, zeros, zeros)  # type: ignore[arg-type]

    def _long(self, array: NDArray[np.integer]) -> Tensor:
        return torch.as_tensor(array.astype(np.int64), device=self.device)
