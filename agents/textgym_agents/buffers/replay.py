"""Replay of whole texts: each token is kept once, and a minibatch is one teacher-forced pass over some texts.

Stable-Baselines3's own buffer keeps two observations, prompt and all, for every token, and draws single tokens, each of
which costs a pass over its whole prefix. Here a text is kept once, when it is finished, and its tokens are drawn
together.

| Symbol | Shape | Meaning |
|---|---|---|
| `candidates` | (tokens, k) | the tokens that could be chosen at each state |
| `actions` | (tokens,) | which of them was, 0 to k - 1 |
| `take` | (n,) | the state, among those of a batch, that each row means; -1: none |
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from torch import Tensor

from textgym.errors import ConfigError
from textgym_agents.buffers.replay_episodes import (
    CANDIDATES,
    CandidateBatch,
    FinishedText,
    Ints,
    OpenText,
    Piece,
)
from textgym_agents.models.packing import Text
from textgym_agents.objectives.returns import n_step_returns


class EpisodeReplayBuffer(ReplayBuffer):
    """A replay buffer of whole texts. Pass it as ``replay_buffer_class`` to DQN or QR-DQN.

    A minibatch has exactly ``batch_size`` tokens: whole texts, drawn with replacement, and a part of the last one. When
    it is full, the oldest texts make room. As long as no text is finished, minibatches teach nothing: their Q values
    and targets are 0.

    Args:
        buffer_size: most tokens of finished texts.
        observation_space, action_space, device, n_envs: as SB3 gives them.
        optimize_memory_usage: SB3's; must be False, since there is nothing left to save.
        n_steps: rewards summed before the target network's value is added (n-step returns; Sutton 1988,
            https://doi.org/10.1007/BF00115009); None or 0: all, to the end of the text.
        gamma: discount within these sums; the same as the algorithm's.
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
        n_steps: int | None = None,
        gamma: float = 1.0,
        seed: int | None = None,
    ) -> None:
        if not isinstance(observation_space, spaces.Dict) or CANDIDATES not in observation_space.spaces:
            raise ConfigError(
                f"EpisodeReplayBuffer needs observations with candidates, got {observation_space}. Build the algorithm "
                "with textgym_agents.make, or wrap the environment in textgym_agents.envs.candidates.candidates."
            )
        if optimize_memory_usage:
            raise ConfigError("EpisodeReplayBuffer keeps each token once already: leave optimize_memory_usage=False.")
        if (n_steps is not None and n_steps < 0) or not 0 <= gamma <= 1:
            raise ConfigError(
                f"n_steps is {n_steps} and gamma is {gamma}, expected n_steps of 1 or more (None: to the end of the "
                "text) and gamma from 0 to 1."
            )
        super(ReplayBuffer, self).__init__(buffer_size, observation_space, action_space, device, n_envs)
        self.optimize_memory_usage, self.handle_timeout_termination = False, True
        self.n_steps, self.gamma = n_steps or None, gamma
        self.seq2seq = "decoder_input_ids" in observation_space.spaces
        prefix = "decoder_" if self.seq2seq else ""
        self.keys = (f"{prefix}input_ids", f"{prefix}attention_mask")
        self.rng = np.random.default_rng(np.random.SeedSequence(torch.initial_seed() if seed is None else seed))
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        super().reset()
        self.texts: dict[int, FinishedText] = {}  # by number; the oldest has the smallest
        self.open: list[OpenText | None] = [None] * self.n_envs
        self._next = self._tokens = 0
        self._expected: Mapping[str, NDArray[Any]] | None = None

    def size(self) -> int:
        """Tokens of finished texts that it holds."""
        return self._tokens

    @property
    def nbytes_per_token(self) -> float:
        """Bytes held for each token of finished texts, prompts included."""
        return sum(text.nbytes for text in self.texts.values()) / max(1, self._tokens)

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
        for row in range(self.n_envs):
            text = self.open[row]
            if text is None or not goes_on[row]:
                text = self.open[row] = self._begin(obs, row)
            text.candidates.append(obs[CANDIDATES][row])
            text.actions.append(actions[row])
            text.rewards.append(float(reward[row]))
            if done[row]:
                if infos[row].get("TimeLimit.truncated", False):
                    text.candidates.append(next_obs[CANDIDATES][row])
                self._finish(text)
                self.open[row] = None
        self._expected = {key: next_obs[key] for key in self.keys}

    def _goes_on(self, obs: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_]:
        """(rows,) whether the row shows what its last step led to; not so after a reset in the middle of a text."""
        if self._expected is None:
            return np.zeros(self.n_envs, dtype=np.bool_)
        same: NDArray[np.bool_] = np.ones(self.n_envs, dtype=np.bool_)
        for key in self.keys:
            same &= (obs[key] == self._expected[key]).all(1)
        return same

    def _begin(self, obs: Mapping[str, NDArray[Any]], row: int) -> OpenText:
        ids, mask = (obs[key][row] for key in self.keys)
        prompt = obs["input_ids"][row, obs["attention_mask"][row] != 0].astype(np.int32) if self.seq2seq else None
        return OpenText(ids[mask != 0].astype(np.int32), prompt)

    def _finish(self, text: OpenText) -> None:
        smallest = np.min_scalar_type(int(self.action_space.n) - 1)  # type: ignore[attr-defined]
        self.texts[self._next] = FinishedText(
            text.context,
            text.prompt,
            np.stack(text.candidates).astype(np.int32),
            np.array(text.actions, dtype=smallest),
            np.array(text.rewards, dtype=np.float32),
        )
        self._next += 1
        self._tokens += len(text.actions)
        while self._tokens > self.buffer_size and len(self.texts) > 1:
            self._tokens -= len(self.texts.pop(next(iter(self.texts))).actions)
            self.full = True

    # ------------------------------------------------------------------ drawing

    def sample(self, batch_size: int, env: Any = None) -> ReplayBufferSamples:
        """A minibatch for unmodified DQN and QR-DQN, whose Q networks take :class:`CandidateBatch`.

        Raises:
            ConfigError: the environment is normalised by VecNormalize, which texts can't be.
        """
        if env is not None:
            raise ConfigError("EpisodeReplayBuffer can't be used with VecNormalize: token ids are no quantities.")
        pieces = self._draw(batch_size)
        if not pieces:
            return self._nothing(batch_size)
        here = [self._states(piece.text, piece.start, piece.stop) for piece in pieces]
        following, take, returns, discounts = self._targets(pieces)
        to_go = torch.as_tensor(discounts, device=self.device)[:, None]
        return ReplayBufferSamples(
            observations=self._batch(here, None),  # type: ignore[arg-type]
            actions=self._long(np.concatenate([p.text.actions[p.start : p.stop] for p in pieces]))[:, None],
            next_observations=self._batch(following, take),  # type: ignore[arg-type]
            dones=torch.as_tensor(take < 0, device=self.device).float()[:, None],
            rewards=torch.as_tensor(returns, device=self.device)[:, None],
            discounts=to_go,
        )

    def _draw(self, batch_size: int) -> list[Piece]:
        pieces: list[Piece] = []
        missing = batch_size if self.texts else 0
        first = self._next - len(self.texts)
        while missing:
            text = self.texts[int(self.rng.integers(first, self._next))]
            length = min(len(text.actions), missing)
            start = int(self.rng.integers(0, len(text.actions) - length + 1))
            pieces.append(Piece(text, start, start + length))
            missing -= length
        return pieces

    def _targets(
        self, pieces: list[Piece]
    ) -> tuple[list[tuple[Text, Ints]], NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
        """The states whose values the targets need, which of them is each token's, n-step returns and discounts."""
        following: list[tuple[Text, Ints]] = []
        take, returns, discounts = [], [], []
        known = 0
        for text, start, stop in pieces:
            length, states = len(text.actions), len(text.candidates)
            steps = self.n_steps or length
            reached = np.minimum(np.arange(start, stop) + steps, length)  # the state after these rewards
            returns.append(n_step_returns(text.rewards, steps, self.gamma)[start:stop])
            discounts.append(self.gamma ** (reached - np.arange(start, stop)))
            first, last = int(reached[0]), min(int(reached[-1]) + 1, states)
            take.append(np.where(reached < states, known + reached - first, -1))
            if first < last:
                following.append(self._states(text, first, last))
                known += last - first
        flat = (np.concatenate(arrays).astype(np.float32) for arrays in (returns, discounts))
        return following, np.concatenate(take), *flat  # type: ignore[return-value]

    @staticmethod
    def _states(text: FinishedText, start: int, stop: int) -> tuple[Text, Ints]:
        """The states before the tokens ``[start, stop)``; nothing depends on the token after the last one."""
        tokens = text.tokens
        context = np.concatenate([text.context, tokens[:start]])
        chosen = np.concatenate([tokens, tokens[-1:]])[start:stop]
        return Text(context, chosen, text.prompt), text.candidates[start:stop]

    def _batch(self, states: list[tuple[Text, Ints]], take: NDArray[np.int64] | None) -> CandidateBatch:
        k = int(self.action_space.n)  # type: ignore[attr-defined]
        candidates = np.concatenate([np.empty((0, k), np.int32), *(c for _, c in states)])
        return CandidateBatch(
            [text for text, _ in states],
            num_generated=torch.full((len(candidates),), -1, device=self.device),
            candidates=self._long(candidates),
            take=None if take is None else self._long(take),
        )

    def _nothing(self, batch_size: int) -> ReplayBufferSamples:
        nowhere = self._batch([], np.full(batch_size, -1))
        zeros = torch.zeros(batch_size, 1, device=self.device)
        return ReplayBufferSamples(nowhere, zeros.long(), nowhere, zeros + 1, zeros, zeros)  # type: ignore[arg-type]

    def _long(self, array: NDArray[np.integer]) -> Tensor:
        return torch.as_tensor(array.astype(np.int64), device=self.device)
