"""Rollout storage that keeps each token once and hands out whole episodes.

Stable-Baselines3's own buffer stores the whole observation, prompt and all, for every token, and its minibatches mix
single steps of many episodes, so that every token costs a forward pass over its whole prefix. Here a minibatch is a set
of *segments* (the part of an episode that lies in this rollout), and one teacher-forced pass serves all their tokens.

| Symbol | Shape | Meaning |
|---|---|---|
| `actions`, `rewards`, `values`, `log_probs`, ... | (steps, rows) | as in SB3's RolloutBuffer |
| `contexts` | one array per segment | the tokens that were there when the segment began, the prompt first |
| `prompts` | one array per segment | what the encoder reads; None for decoder-only models |
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.type_aliases import RolloutBufferSamples
from torch import Tensor

from textgym.errors import ConfigError, ResetNeededError
from textgym_agents.models.packing import TokenSequence
from textgym_agents.objectives.kl import KLController, as_controller, estimator, k3

REFERENCE_TOKENS = 4096  # of one pass of the reference model
TokenIds = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class EpisodeBatch:
    """What ``evaluate_actions`` gets instead of one observation per step.

    Attributes:
        sequences: pieces of episodes; their actions, one piece after another, are the flat tensors beside this one.
        num_generated: (actions,) how many tokens of the completion came before the action, or -1 where not known.
        masks: (actions, words) the tokens that were legal, 64 to a word, from ``MaskedEpisodeRolloutBuffer``.
        first, every: only the actions ``first``, ``first + every``, ... of the sequences are meant.
    """

    sequences: list[TokenSequence]
    num_generated: Tensor
    masks: Tensor | None = None
    first: int = 0
    every: int = 1

    def __getitem__(self, key: slice) -> "EpisodeBatch":
        """``batch[::n]``, every n-th action, as TRPO takes them to save work."""
        masks = None if self.masks is None else self.masks[key]
        return replace(self, num_generated=self.num_generated[key], masks=masks, every=self.every * (key.step or 1))


class ReferencePolicy(Protocol):
    """What the buffer asks for log-probabilities of the reference model."""

    def reference_log_probs(self, batch: EpisodeBatch, actions: Tensor) -> Tensor:
        """(actions,) log-probabilities under the reference model."""


class RolloutPolicy(ReferencePolicy, Protocol):
    """A policy whose rollouts a buffer stores; ``LanguageModelPolicy`` is one."""

    sampled_masks: Tensor | None
    """(rows, words) the tokens that were legal at the last step, of a policy that masks some."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive steps ``[start, stop)`` of one row that belong to one episode."""

    row: int
    start: int
    stop: int
    context: TokenIds
    prompt: TokenIds | None
    num_generated: int

    def __len__(self) -> int:
        return self.stop - self.start


def not_by_one_token(name: str, instead: str = "") -> ConfigError:
    """The error for an environment of several turns: an observation must be the one before it and one token more."""
    return ConfigError(
        f"An observation doesn't continue the one before it by one token. {name} can't be used with a wrapper that "
        f"changes observations within an episode{instead}."
    )


class EpisodeRolloutBuffer(RolloutBuffer):
    """A rollout buffer of whole episodes. Pass it as ``rollout_buffer_class`` to PPO, A2C or TRPO.

    Args:
        buffer_size, observation_space, action_space, device, gae_lambda, gamma, n_envs: as SB3 gives them.
        kl_coef: coefficient of the KL to the reference model, subtracted from each token's reward: a number (fixed), an
            ``AdaptiveKL`` or anything with ``coef`` and ``update``. None or 0: no KL.
        kl_estimator: "k1" or "k3", what is subtracted and what a controller gets; see
            :func:`textgym_agents.objectives.kl.estimator`.
        reference: gives the reference log-probabilities; ``textgym_agents.make`` passes the policy, by :meth:`bind`.
        seed: of the order of minibatches. Default: from torch's initial seed, which SB3 sets from its own.

    Raises:
        ConfigError: the observation space is not that of a textgym environment, ``kl_coef`` without a reference, or an
            unknown estimator.

    Attributes:
        epochs: how often minibatches have been drawn from this rollout.
        minibatch_episodes: how many episodes are in the last one.
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
        kl_coef: float | KLController | None = None,
        kl_estimator: str = "k1",
        reference: ReferencePolicy | None = None,
        seed: int | None = None,
    ) -> None:
        if not isinstance(observation_space, spaces.Dict) or {"input_ids", "attention_mask"} - set(observation_space):
            raise ConfigError(
                f"EpisodeRolloutBuffer needs observations with input_ids and attention_mask, got {observation_space}. "
                "Use it with a textgym environment."
            )
        self.kl_controller = as_controller(kl_coef)
        self.kl_estimator, self._estimate = kl_estimator, estimator(kl_estimator)
        self.reference = reference
        self.seq2seq = "decoder_input_ids" in observation_space.spaces
        self.prefix = "decoder_" if self.seq2seq else ""
        # The column of the first generated token; None where the space doesn't say.
        self.first_new = 1 if self.seq2seq else getattr(observation_space, "max_prompt_tokens", None)
        self.rng = np.random.default_rng(np.random.SeedSequence(torch.initial_seed() if seed is None else seed))
        self.stats: dict[str, float] = {}
        super().__init__(buffer_size, observation_space, action_space, device, gae_lambda, gamma, n_envs)

    def bind(self, policy: RolloutPolicy) -> None:
        """Measure the KL to the policy's reference model; it must have been made with ``reference=True``."""
        self.reference = policy

    def get_state(self) -> dict[str, Any]:
        """What outlasts a rollout, for a checkpoint.

        Raises:
            ConfigError: the KL controller has no ``get_state``.
        """
        controller = self.kl_controller
        if controller is not None and not hasattr(controller, "get_state"):
            raise ConfigError(
                f"The KL controller {type(controller).__name__} has no get_state() and set_state(state), so a run with "
                "it can't be saved."
            )
        return {"rng": self.rng, "stats": self.stats, "kl": None if controller is None else controller.get_state()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue from :meth:`get_state`."""
        self.rng, self.stats = state["rng"], state["stats"]
        if self.kl_controller is not None:
            self.kl_controller.set_state(state["kl"])

    def reset(self) -> None:
        shape = (self.buffer_size, self.n_envs)
        self.actions = np.zeros(shape, dtype=np.int32)
        for name in ("rewards", "returns", "episode_starts", "values", "log_probs", "advantages"):
            setattr(self, name, np.zeros(shape, dtype=np.float32))
        # (step, row) -> context, prompt for an encoder, tokens generated before
        self.contexts: dict[tuple[int, int], tuple[TokenIds, TokenIds | None, int]] = {}
        self._known: dict[bytes, TokenIds] = {}  # completions of one prompt share its array
        self._pending: list[tuple[Tensor, Tensor]] = []
        self.live = np.zeros(self.n_envs, dtype=np.int64)
        self._kl_applied = False
        self._segments: list[Segment] | None = None
        self.epochs = self.minibatch_episodes = 0
        self.pos, self.full = 0, False

    @property
    def nbytes_per_token(self) -> float:
        """Bytes held for each stored token, contexts and prompts included."""
        arrays = [self.actions, self.rewards, self.returns, self.episode_starts, self.values, self.log_probs]
        held = sum(a.nbytes for a in [*arrays, self.advantages]) + sum(c.nbytes for c in self._known.values())
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
        mask = obs[f"{self.prefix}attention_mask"] != 0  # (rows, columns)
        live = mask.sum(1)
        starts = np.asarray(episode_start, dtype=bool)
        begins = starts | (self.pos == 0)
        if not np.array_equal(live[~begins], self.live[~begins] + 1):
            raise not_by_one_token("EpisodeRolloutBuffer", "; use SB3's DictRolloutBuffer")
        self.live = live
        for row in np.flatnonzero(begins):
            context = self._kept(obs[f"{self.prefix}input_ids"][row, mask[row]])
            prompt = self._kept(obs["input_ids"][row, obs["attention_mask"][row] != 0]) if self.seq2seq else None
            if self.first_new is not None:
                generated = int(mask[row, self.first_new :].sum())
            else:
                generated = 0 if starts[row] else -1
            self.contexts[self.pos, int(row)] = context, prompt, generated
        self.actions[self.pos] = np.asarray(action).reshape(self.n_envs)
        self.rewards[self.pos] = reward
        self.episode_starts[self.pos] = starts
        # What an accelerator computed comes over in one piece at the end: fetching it now would wait for it.
        self._pending.append((value.detach().reshape(-1), log_prob.detach().reshape(-1)))
        self.pos += 1
        self.full = self.pos == self.buffer_size
        if self.full or self._pending[0][0].device.type == "cpu":
            self._fetch()

    def _kept(self, tokens: NDArray[Any]) -> TokenIds:
        key = tokens.astype(np.int32).tobytes()
        if key not in self._known:
            self._known[key] = np.frombuffer(key, dtype=np.int32)  # a view: the key and the array are one
        return self._known[key]

    def _fetch(self) -> None:
        """Move pending values and log-probabilities into the arrays."""
        if self._pending:
            steps = slice(self.pos - len(self._pending), self.pos)
            for array, tensors in zip((self.values, self.log_probs), zip(*self._pending, strict=True), strict=True):
                array[steps] = torch.stack(tensors).float().cpu().numpy()
            self._pending.clear()

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
        self._fetch()
        if self.kl_controller is not None and not self._kl_applied:
            self._apply_kl()
        super().compute_returns_and_advantage(last_values, dones)

    def _apply_kl(self) -> None:
        assert self.kl_controller is not None
        log_ratio = self._log_ratio()
        self.rewards -= np.float32(self.kl_controller.coef) * self._estimate(log_ratio)
        self._report_kl(log_ratio)

    def _log_ratio(self) -> NDArray[np.float32]:
        """(steps, rows) log-probabilities under the policy minus those under the reference model."""
        if self.reference is None:
            raise ConfigError(
                "EpisodeRolloutBuffer has a KL coefficient and no reference model. Build the algorithm with "
                "textgym_agents.make(..., kl_coef=...), or make the policy with policy_kwargs=dict(reference=True) and "
                "call algorithm.rollout_buffer.bind(algorithm.policy) before learn()."
            )
        log_ratio = np.zeros_like(self.log_probs)
        for chunk in self._chunks(self.segments(), REFERENCE_TOKENS):
            steps, rows = self._index(chunk)
            reference = self.reference.reference_log_probs(self._batch(chunk), self._long(self.actions[steps, rows]))
            log_ratio[steps, rows] = self.log_probs[steps, rows] - reference.cpu().numpy()
        return log_ratio

    def _report_kl(self, log_ratio: NDArray[np.float32]) -> None:
        """Into the statistics, and to the controller."""
        assert self.kl_controller is not None
        episodes = len(self.segments())
        self.stats = {
            "kl": float(log_ratio.sum()) / episodes,
            "kl_per_token": float(log_ratio.mean()),
            "kl_k3_per_token": float(k3(log_ratio).mean()),
            "kl_coef": self.kl_controller.coef,
        }
        self.kl_controller.update(float(self._estimate(log_ratio).sum()) / episodes, episodes)
        if hasattr(self.kl_controller, "advance"):
            self.kl_controller.advance(log_ratio.size)
        self._kl_applied = True

    def get(self, batch_size: int | None = None) -> Iterator[RolloutBufferSamples]:  # type: ignore[override]
        """Minibatches of whole segments, in random order, about ``batch_size`` tokens each (None: all in one)."""
        if not self.full:
            raise ResetNeededError(f"The rollout buffer holds {self.pos} of {self.buffer_size} steps: fill it first.")
        for chunk in self._minibatches(self.segments(), batch_size or self.actions.size):
            steps, rows = self._index(chunk)
            flat = (self.values, self.log_probs, self.advantages, self.returns)
            # SB3 annotates the observations as a tensor; it only hands them to the policy's evaluate_actions.
            yield RolloutBufferSamples(
                self._batch(chunk),  # type: ignore[arg-type]
                self._long(self.actions[steps, rows]),
                *(self.to_torch(a[steps, rows]) for a in flat),
            )

    def peek(self, num_tokens: int = 256) -> tuple[EpisodeBatch, Tensor, Tensor]:
        """Some of what is stored, in order: a batch of segments spread over all, its actions, their log-probabilities.

        Moves no random stream. About ``num_tokens`` actions, at least one segment.
        """
        self._fetch()
        segments = self.segments()
        mean = sum(map(len, segments)) / len(segments)
        count = min(len(segments), max(1, round(num_tokens / mean)))
        chosen = [segments[i * len(segments) // count] for i in range(count)]
        at = self._index(chosen)
        return self._batch(chosen), self._long(self.actions[at]), self.to_torch(self.log_probs[at])

    def _minibatches(self, segments: list[Segment], max_tokens: int) -> Iterator[list[Segment]]:
        """One epoch over the segments, in random order, counted for whoever watches the updates."""
        self.epochs += 1
        shuffled = [segments[i] for i in self.rng.permutation(len(segments))]
        for chunk in self._chunks(shuffled, max_tokens) if shuffled else ():
            self.minibatch_episodes = len(chunk)
            yield chunk

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

    def _batch(self, segments: list[Segment]) -> EpisodeBatch:
        sequences = [TokenSequence(s.context, self.actions[s.start : s.stop, s.row], s.prompt) for s in segments]
        lengths = [len(s) for s in segments]
        known = np.repeat([s.num_generated for s in segments], lengths)
        offsets = np.concatenate([np.arange(n) for n in lengths])
        generated = np.where(known < 0, -1, known + offsets)
        return EpisodeBatch(sequences, torch.as_tensor(generated, device=self.device))

    def _long(self, actions: TokenIds) -> Tensor:
        return torch.as_tensor(actions.astype(np.int64), device=self.device)
