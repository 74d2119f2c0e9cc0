"""Rollout storage that keeps each token once and hands out whole episodes.

Stable-Baselines3's own buffer stores the whole observation, prompt and all, for every token, and its minibatches mix
single steps of many episodes, so that every token costs a forward pass over its whole prefix. Here a minibatch is a set
of *segments* (the part of an episode that lies in this rollout), and one teacher-forced pass serves all their tokens.

| Symbol | Shape | Meaning |
|---|---|---|
| `actions`, `rewards`, `values`, `log_probs`, ... | (steps, rows) | as in SB3's RolloutBuffer |
| `contexts` | one array per segment | the tokens that were there when the segment began, the prompt first |
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.type_aliases import RolloutBufferSamples
from torch import Tensor

from textgym.errors import ConfigError, ResetNeededError
from textgym_agents.kl import KLController, as_controller, k3


class EpisodeBatch(NamedTuple):
    """What ``evaluate_actions`` gets instead of one observation per step.

    Attributes:
        input_ids: (segments, tokens) int64, context and actions, padded on the right.
        attention_mask: (segments, tokens) int64, 1 where live.
        rows: (actions,) the segment of each action, actions in the order of the flat tensors beside this one.
        columns: (actions,) the column whose hidden state predicts the action.
        num_generated: (actions,) how many tokens of the completion came before the action, or -1 where not known.
    """

    input_ids: Tensor
    attention_mask: Tensor
    rows: Tensor
    columns: Tensor
    num_generated: Tensor


class ReferencePolicy(Protocol):
    """What the buffer asks for log-probabilities of the reference model."""

    def reference_log_probs(self, batch: EpisodeBatch, actions: Tensor) -> Tensor:
        """(actions,) log-probabilities under the reference model."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive steps ``[start, stop)`` of one row that belong to one episode."""

    row: int
    start: int
    stop: int
    context: NDArray[np.int64]
    num_generated: int

    def __len__(self) -> int:
        return self.stop - self.start


class EpisodeRolloutBuffer(RolloutBuffer):
    """A rollout buffer of whole episodes. Pass it as ``rollout_buffer_class`` to PPO, A2C or TRPO.

    Args:
        buffer_size, observation_space, action_space, device, gae_lambda, gamma, n_envs: as SB3 gives them.
        kl: coefficient of the KL to the reference model, subtracted from each token's reward: a number (fixed), an
            ``AdaptiveKL`` or anything with ``coef`` and ``update``. None or 0: no KL.
        reference: what gives the reference log-probabilities; ``textgym_agents.make`` passes the policy by ``bind``.
        seed: of the order of minibatches. Default: from torch's initial seed, which SB3 sets from its own.

    Raises:
        ConfigError: the observation space is not that of a textgym environment, or ``kl`` without a reference.
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        device: torch.device | str = "auto",
        gae_lambda: float = 1,
        gamma: float = 0.99,
        n_envs: int = 1,
        *,
        kl: float | KLController | None = None,
        reference: ReferencePolicy | None = None,
        seed: int | None = None,
    ) -> None:
        if not isinstance(observation_space, spaces.Dict) or {"input_ids", "attention_mask"} - set(observation_space):
            raise ConfigError(
                f"EpisodeRolloutBuffer needs observations with input_ids and attention_mask, got {observation_space}. "
                "Use it with a textgym environment."
            )
        self.kl = as_controller(kl)
        self.reference = reference
        self.max_prompt_tokens: int | None = getattr(observation_space, "max_prompt_tokens", None)
        self.rng = np.random.default_rng(np.random.SeedSequence(torch.initial_seed() if seed is None else seed))
        self.stats: dict[str, float] = {}
        super().__init__(buffer_size, observation_space, action_space, device, gae_lambda, gamma, n_envs)

    def bind(self, reference: ReferencePolicy) -> None:
        """Use ``reference`` (a policy made with ``reference=True``) for the KL."""
        self.reference = reference

    def reset(self) -> None:
        shape = (self.buffer_size, self.n_envs)
        self.actions = np.zeros(shape, dtype=np.int64)
        for name in ("rewards", "returns", "episode_starts", "values", "log_probs", "advantages"):
            setattr(self, name, np.zeros(shape, dtype=np.float32))
        self.contexts: dict[tuple[int, int], tuple[NDArray[np.int64], int]] = {}  # (step, row) -> tokens, generated
        self.live = np.zeros(self.n_envs, dtype=np.int64)
        self._kl_applied = False
        self._segments: list[Segment] | None = None
        self.pos, self.full = 0, False

    @property
    def nbytes_per_token(self) -> float:
        """Bytes held for each stored token, contexts included."""
        arrays = [self.actions, self.rewards, self.returns, self.episode_starts, self.values, self.log_probs]
        held = sum(a.nbytes for a in [*arrays, self.advantages]) + sum(c.nbytes for c, _ in self.contexts.values())
        return held / self.actions.size

    def add(  # type: ignore[override]
        self,
        obs: dict[str, NDArray[Any]],
        action: NDArray[Any],
        reward: NDArray[Any],
        episode_start: NDArray[Any],
        value: Tensor,
        log_prob: Tensor,
    ) -> None:
        """Store one step of all rows. SB3 calls this."""
        mask = obs["attention_mask"] != 0  # (rows, columns)
        live = mask.sum(1)
        starts = np.asarray(episode_start, dtype=bool)
        begins = starts | (self.pos == 0)
        if not np.array_equal(live[~begins], self.live[~begins] + 1):
            raise ConfigError(
                "An observation doesn't continue the one before it by one token. EpisodeRolloutBuffer can't be used "
                "with a wrapper that changes observations within an episode; use SB3's DictRolloutBuffer."
            )
        self.live = live
        for row in np.flatnonzero(begins):
            tokens = obs["input_ids"][row, mask[row]].astype(np.int64)
            if self.max_prompt_tokens is not None:
                generated = int(mask[row, self.max_prompt_tokens :].sum())
            else:
                generated = 0 if starts[row] else -1
            self.contexts[self.pos, int(row)] = tokens, generated
        self.actions[self.pos] = np.asarray(action).reshape(self.n_envs)
        self.rewards[self.pos] = reward
        self.episode_starts[self.pos] = starts
        self.values[self.pos] = value.detach().cpu().numpy().reshape(self.n_envs)
        self.log_probs[self.pos] = log_prob.detach().cpu().numpy().reshape(self.n_envs)
        self.pos += 1
        self.full = self.pos == self.buffer_size

    def segments(self) -> list[Segment]:
        """The stored steps, cut where episodes begin, in order of row and step."""
        if self._segments is None or not self.full:
            by_row: dict[int, list[int]] = {row: [] for row in range(self.n_envs)}
            for step, row in self.contexts:
                by_row[row].append(step)
            self._segments = [
                Segment(row, start, stop, *self.contexts[start, row])
                for row, begins in by_row.items()
                for start, stop in zip(begins, [*begins[1:], self.pos], strict=True)
            ]
        return self._segments

    def compute_returns_and_advantage(self, last_values: Tensor, dones: NDArray[Any]) -> None:
        """Subtract the KL from the rewards (once), then compute GAE as SB3 does."""
        if self.kl is not None and not self._kl_applied:
            self._apply_kl()
        super().compute_returns_and_advantage(last_values, dones)

    def _apply_kl(self) -> None:
        if self.reference is None:
            raise ConfigError(
                "EpisodeRolloutBuffer has a KL coefficient and no reference model. Build the algorithm with "
                "textgym_agents.make(..., kl=...), or make the policy with policy_kwargs=dict(reference=True) and call "
                "algorithm.rollout_buffer.bind(algorithm.policy) before learn()."
            )
        assert self.kl is not None
        log_ratio = np.zeros_like(self.log_probs)  # (steps, rows)
        # The reference's logits take (tokens, vocabulary) floats: 2**25 of them are 128 MiB.
        max_tokens = max(64, 2**25 // int(self.action_space.n))  # type: ignore[attr-defined]
        for chunk in self._chunks(self.segments(), max_tokens):
            steps, rows = self._index(chunk)
            reference = self.reference.reference_log_probs(self._pack(chunk), self.to_torch(self.actions[steps, rows]))
            log_ratio[steps, rows] = self.log_probs[steps, rows] - reference.cpu().numpy()
        self.rewards -= np.float32(self.kl.coef) * log_ratio
        episodes = len(self.segments())
        per_episode = float(log_ratio.sum()) / episodes
        self.stats = {
            "kl": per_episode,
            "kl_per_token": float(log_ratio.mean()),
            "kl_k3_per_token": float(k3(log_ratio).mean()),
            "kl_coef": self.kl.coef,
        }
        self.kl.update(per_episode, episodes)
        self._kl_applied = True

    def get(self, batch_size: int | None = None) -> Iterator[RolloutBufferSamples]:  # type: ignore[override]
        """Minibatches of whole segments, in random order, about ``batch_size`` tokens each (None: all in one)."""
        if not self.full:
            raise ResetNeededError(f"The rollout buffer holds {self.pos} of {self.buffer_size} steps: fill it first.")
        segments = self.segments()
        shuffled = [segments[i] for i in self.rng.permutation(len(segments))]
        for chunk in self._chunks(shuffled, batch_size or self.actions.size):
            steps, rows = self._index(chunk)
            flat = (self.actions, self.values, self.log_probs, self.advantages, self.returns)
            # SB3 annotates the observations as a tensor; it only hands them to the policy's evaluate_actions.
            yield RolloutBufferSamples(
                self._pack(chunk),  # type: ignore[arg-type]
                *(self.to_torch(a[steps, rows]) for a in flat),
            )

    @staticmethod
    def _chunks(segments: list[Segment], max_tokens: int) -> Iterator[list[Segment]]:
        """Cut into runs of at most ``max_tokens`` actions; a longer segment is a run of its own.

        A last run of less than a quarter is added to the one before: a tiny minibatch has a wild gradient.
        """
        runs: list[list[Segment]] = [[]]
        size = 0
        for segment in segments:
            if runs[-1] and size + len(segment) > max_tokens:
                runs.append([])
                size = 0
            runs[-1].append(segment)
            size += len(segment)
        if len(runs) > 1 and size < max_tokens / 4:
            runs[-2].extend(runs.pop())
        yield from runs

    @staticmethod
    def _index(segments: list[Segment]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(steps, rows) of the segments' actions, flat and in order."""
        steps = np.concatenate([np.arange(s.start, s.stop) for s in segments])
        rows = np.repeat([s.row for s in segments], [len(s) for s in segments])
        return steps, rows

    def _pack(self, segments: list[Segment]) -> EpisodeBatch:
        """One padded row per segment: its context, then its actions but the last, which nothing follows."""
        sizes = [len(s.context) + len(s) - 1 for s in segments]
        ids = np.zeros((len(segments), max(sizes)), dtype=np.int64)
        mask = np.zeros_like(ids)
        for i, s in enumerate(segments):
            ids[i, : len(s.context)] = s.context
            ids[i, len(s.context) : sizes[i]] = self.actions[s.start : s.stop - 1, s.row]
            mask[i, : sizes[i]] = 1
        lengths = [len(s) for s in segments]
        offsets = np.concatenate([np.arange(n) for n in lengths])
        columns = offsets + np.repeat([len(s.context) - 1 for s in segments], lengths)
        known = np.repeat([s.num_generated for s in segments], lengths)
        generated = np.where(known < 0, -1, known + offsets)
        rows = np.repeat(np.arange(len(segments)), lengths)
        return EpisodeBatch(*(torch.as_tensor(a, device=self.device) for a in (ids, mask, rows, columns, generated)))
