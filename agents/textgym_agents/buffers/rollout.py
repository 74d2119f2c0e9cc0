"""Rollout storage that keeps each token once and hands out whole completions.

Stable-Baselines3's own buffer stores the whole observation, prompt and all, for every token, and its minibatches mix
single steps of many episodes, so that every token costs a forward pass over its whole prefix. Here a minibatch is a set
of completions, and one teacher-forced pass serves all their tokens.

A rollout's end cuts completions, and what such a one is worth is not known yet. It stays, with the values and
log-probabilities of the steps so far, until the rollout in which it ends, and is learned from there, once and whole: no
return is a value head's guess. PPO's ratio weights the steps that an earlier policy took.

In a conversation a step is a token of the policy's, and a completion is all its turns. A partner's tokens lie between
two steps: the model reads them, and they have no log-probability, value, entropy, KL or gradient.

| Symbol | Shape | Meaning |
|---|---|---|
| `actions`, `rewards`, `values`, ... | (steps, rows) | while a rollout is collected, as in SB3's RolloutBuffer |
| the same, `advantages`, `returns` | (tokens, 1) | afterwards: of the completions that ended, one after another |
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.type_aliases import RolloutBufferSamples
from torch import Tensor

from textgym.errors import ConfigError, ResetNeededError
from textgym_agents.buffers.batches import EpisodeBatch, ReferencePolicy, RolloutPolicy, Segment, runs
from textgym_agents.buffers.late import LateSource
from textgym_agents.buffers.masks import MaskTable
from textgym_agents.buffers.row_tokens import RowTokens
from textgym_agents.buffers.steps import (
    STEP_ARRAYS,
    Piece,
    TokenIds,
    insertions,
    nothing_to_learn,
    pack_pieces,
    unpack_pieces,
)
from textgym_agents.models.packing import TokenSequence
from textgym_agents.objectives.kl import KLController, as_controller, estimator, k3
from textgym_agents.objectives.returns import generalized_advantages

REFERENCE_TOKENS = 4096  # of one pass of the reference model


def rollout_steps(env: Any) -> int:
    """Steps of a rollout, where nobody says how many: as many as the longest completion has, the space says, or 64."""
    return int(getattr(getattr(env, "observation_space", None), "max_new_tokens", 64))


class EpisodeRolloutBuffer(RolloutBuffer):
    """A rollout buffer of whole completions. Pass it as ``rollout_buffer_class`` to PPO, A2C or TRPO.

    What ``get`` hands out are the completions that ended in the last rollout, with the steps that they had in rollouts
    before it. The rewards have the KL penalty in them. Completions whose reward abstained are dropped: they are in no
    advantage, no whitening and no statistic of the value head. Where none is left, a piece of one is handed out whose
    update changes nothing, with a warning.

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

    mask_numbers: NDArray[np.int32]

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
        self.policy: RolloutPolicy | None = None
        self._abstained_rows: Callable[[], NDArray[np.bool_]] | None = None
        self._late: LateSource | None = None
        instead = "; use SB3's DictRolloutBuffer, with kl_coef=0"
        self.row_tokens = RowTokens(observation_space, type(self).__name__, instead)
        self.seq2seq, self.prefix = self.row_tokens.seq2seq, self.row_tokens.prefix
        self.rng = np.random.default_rng(np.random.SeedSequence(torch.initial_seed() if seed is None else seed))
        self.stats: dict[str, float] = {}
        self._open: dict[int, Piece] = {}  # by row: what a rollout's end has cut
        self._warned = False
        self._stores_masks = False  # what each step chose among
        self.masks = MaskTable(int(action_space.n))  # type: ignore[attr-defined]
        super().__init__(buffer_size, observation_space, action_space, device, gae_lambda, gamma, n_envs)

    def bind(
        self,
        policy: RolloutPolicy,
        abstained_rows: Callable[[], NDArray[np.bool_]] | None = None,
        late: LateSource | None = None,
    ) -> None:
        """Take the masks of rollouts from a policy, and measure the KL to its reference model, if it has one.

        SB3 gives a rollout buffer rewards and no infos. ``abstained_rows`` says, after each step, in which rows (rows,)
        the reward of the last finished episode abstained, and ``late`` which rewards are still to come: the buffer
        waits for them before it computes advantages.
        """
        self.reference = self.policy = policy
        self._abstained_rows = abstained_rows or self._abstained_rows
        self._late = late or self._late

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
        numbers = [piece.steps["mask_numbers"].copy() for piece in self._open.values()]
        masks = self.masks.copy()
        masks.only(numbers)
        return {
            "rng": self.rng,
            "stats": self.stats,
            "kl": None if controller is None else controller.get_state(),
            "open": pack_pieces(self._open, mask_numbers=numbers),
            "masks": masks.all(),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue from :meth:`get_state`."""
        self.rng, self.stats = state["rng"], state["stats"]
        if self.kl_controller is not None:
            self.kl_controller.set_state(state["kl"])
        self._open = unpack_pieces(state["open"])
        self.masks = MaskTable.of(state["masks"])

    def reset(self) -> None:
        """Forget the last rollout, but not the completions that it has cut. SB3 calls this."""
        if self.pos and not self._segments:  # it was broken off: what these completions went on with isn't known
            self._open = {}
        shape = (self.buffer_size, self.n_envs)
        for name, dtype in STEP_ARRAYS.items():
            setattr(self, name, np.zeros(shape, dtype=dtype))
        self.episode_starts = np.zeros(shape, dtype=np.float32)
        self.abstained = np.zeros(shape, dtype=np.bool_)  # counts where a completion ends
        self.tickets = np.full(shape, -1, dtype=np.int64)  # of rewards that are still to come
        # (step, row) -> context, prompt for an encoder, tokens generated before
        self.contexts: dict[tuple[int, int], tuple[TokenIds, TokenIds | None, int]] = {}
        self.replies: dict[tuple[int, int], TokenIds] = {}  # (step, row) -> what a partner wrote before it
        self.row_tokens.forget()
        self._pending: list[tuple[Tensor, Tensor]] = []
        self._pending_masks: list[tuple[int, Tensor]] = []
        self.masks.only(piece.steps["mask_numbers"] for piece in self._open.values())
        self._segments: list[Segment] = []
        self.idle = False
        self.epochs = self.minibatch_episodes = 0
        self.pos, self.full = 0, False
        if self._late is not None:
            self._late.begin(self.buffer_size)

    @property
    def nbytes_per_token(self) -> float:
        """Bytes held for each stored token, contexts and prompts included."""
        held = {id(a): a.nbytes for a in vars(self).values() if isinstance(a, np.ndarray)}
        pieces: list[Piece | Segment] = [*self._open.values(), *self._segments]
        arrays: list[Any] = [a for start in self.contexts.values() for a in start[:2]] + list(self.replies.values())
        arrays += [a for piece in pieces for a in (piece.context, piece.prompt, *(i.tokens for i in piece.inserted))]
        held |= {id(a): a.nbytes for a in arrays if a is not None}
        held |= {id(a): a.nbytes for piece in self._open.values() for a in piece.steps.values()}
        tokens = self.actions.size + sum(map(len, self._open.values()))
        return (sum(held.values()) + self.masks.nbytes) / tokens

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
        starts = np.asarray(episode_start, dtype=bool)
        begins = starts | (self.pos == 0)
        for row, reply in self.row_tokens.follow(obs, ~begins, self.actions[self.pos - 1]).items():
            self.replies[self.pos, row] = reply
        for row in np.flatnonzero(begins).tolist():
            self.contexts[self.pos, row] = self.row_tokens.beginning(obs, row, bool(starts[row]))
        self.actions[self.pos] = np.asarray(action).reshape(self.n_envs)
        self.rewards[self.pos] = reward
        self.episode_starts[self.pos] = starts
        if self._abstained_rows is not None:
            self.abstained[self.pos] = self._abstained_rows()
        if self._late is not None:
            self.tickets[self.pos] = self._late.tickets()
        # What an accelerator computed comes over in one piece at the end: fetching it now would wait for it.
        self._pending.append((value.detach().reshape(-1), log_prob.detach().reshape(-1)))
        self._stores_masks = self.policy is not None and self.policy.sampled_masks is not None
        if self.policy is not None and self.policy.sampled_masks is not None:
            self._pending_masks.append((self.pos, self.policy.sampled_masks))
        self.pos += 1
        self.full = self.pos == self.buffer_size
        if self.full or self._pending[0][0].device.type == "cpu":
            self._fetch()

    def _fetch(self) -> None:
        """Move pending values, log-probabilities and masks into the arrays."""
        if self._pending:
            steps = slice(self.pos - len(self._pending), self.pos)
            for array, tensors in zip((self.values, self.log_probs), zip(*self._pending, strict=True), strict=True):
                array[steps] = torch.stack(tensors).float().cpu().numpy()
            self._pending.clear()
        for step, words in self._pending_masks:
            self.mask_numbers[step] = self._numbers(words.cpu().numpy())
        self._pending_masks.clear()

    def _numbers(self, words: NDArray[np.int64]) -> NDArray[np.int32]:
        """(n,) of masks in the table, which is as wide as the policy's."""
        if words.shape[1] != self.masks.words:
            self.masks = MaskTable(64 * words.shape[1])
        return self.masks.numbers(words)

    def segments(self) -> list[Segment]:
        """Where each completion is in the arrays; none before the rollout is complete."""
        return self._segments

    def compute_returns_and_advantage(self, last_values: Tensor, dones: NDArray[Any]) -> None:
        """Keep the completions that have ended, subtract the KL from their rewards, and compute GAE as SB3 does.

        The first call after a rollout does so; ``last_values`` are of no use, since no return is bootstrapped.
        """
        if self._segments:
            return
        self._fetch()
        self._arrive()
        ended, dropped = self._cut(np.asarray(dones, dtype=bool))
        self.idle = not ended
        if self.idle:
            self._warn(len(dropped))
        self._keep(ended or [next(iter([*self._open.values(), *dropped])).new_steps()])
        self.returns, self.advantages = self.values.copy(), np.zeros_like(self.values)
        if not self.idle:
            if self.kl_controller is not None:
                self._apply_kl()
            lengths = np.array([len(segment) for segment in self._segments])
            self._follow_returns(lengths)
            flat = (self.rewards[:, 0], self.values[:, 0], lengths)
            self.advantages[:, 0] = generalized_advantages(*flat, self.gamma, self.gae_lambda)
            self.returns += self.advantages
        self._advance(self.buffer_size * self.n_envs)

    def _arrive(self) -> None:
        """Wait for the rewards that are still to come, and put them where they belong."""
        if self._late is None:
            return
        rewards = self._late.arrive()
        for step, row in zip(*np.nonzero(self.tickets >= 0), strict=True):
            reward = rewards[int(self.tickets[step, row])]
            self.abstained[step, row] = reward is None
            self.rewards[step, row] += 0.0 if reward is None else reward
        self.tickets[:] = -1

    def _follow_returns(self, lengths: NDArray[np.int64]) -> None:
        """Move the policy's value head with the returns, and the values that it gave in this rollout with it."""
        head = getattr(self.policy, "value_net", None)
        if head is None or not hasattr(head, "follow"):
            return
        returns = generalized_advantages(self.rewards[:, 0], np.zeros_like(self.values[:, 0]), lengths, self.gamma, 1.0)
        still_open = [piece.steps["values"] for piece in self._open.values()]
        moved = head.follow(returns, np.concatenate([self.values[:, 0], *still_open]))
        self.values, *parts = np.split(moved, np.cumsum([len(self.values), *map(len, still_open)])[:-1])
        self.values = self.values[:, None]
        self.returns = self.values.copy()
        for piece, values in zip(self._open.values(), parts, strict=True):
            piece.steps["values"][:] = values

    def _cut(self, dones: NDArray[np.bool_]) -> tuple[list[Piece], list[Piece]]:
        """The completions that have ended, in order of row and step; those that haven't stay for the next rollout.

        In two lists: those that have a reward, and those whose reward abstained.
        """
        before, self._open = self._open, {}
        arrays = {name: getattr(self, name) for name in STEP_ARRAYS}
        begins: dict[int, list[int]] = {row: [] for row in range(self.n_envs)}
        for step, row in self.contexts:
            begins[row].append(step)
        ended: tuple[list[Piece], list[Piece]] = [], []
        for row, starts in begins.items():
            for start, stop in zip(starts, [*starts[1:], self.pos], strict=True):
                steps = {name: array[start:stop, row].copy() for name, array in arrays.items()}
                inserted = insertions(self.replies, row, start, stop)
                piece = Piece(*self.contexts[start, row], steps, inserted=inserted)
                # What was kept of a completion that never went on, since the environment was reset, is dropped.
                if start == 0 and not self.episode_starts[0, row] and row in before:
                    piece = before[row].followed_by(piece)
                if stop < self.pos or dones[row]:
                    ended[int(self.abstained[stop - 1, row])].append(piece)
                else:
                    self._open[row] = piece
        return ended

    def _keep(self, pieces: list[Piece]) -> None:
        """Put these completions into the arrays, in place of the rollout's steps."""
        for name in STEP_ARRAYS:
            setattr(self, name, np.concatenate([piece.steps[name] for piece in pieces])[:, None])
        stops = np.cumsum([len(piece) for piece in pieces]).tolist()
        self._segments = [
            Segment(stop - len(piece), stop, *piece.beginning, piece.carried, piece.inserted)
            for stop, piece in zip(stops, pieces, strict=True)
        ]
        self.episode_starts = np.zeros(self.actions.shape, dtype=np.float32)
        self.episode_starts[[segment.start for segment in self._segments]] = 1
        self.contexts, self.replies = {}, {}
        self.row_tokens.forget()

    def _warn(self, dropped: int) -> None:
        if not self._warned:
            self._warned = True
            longest = getattr(self.observation_space, "max_new_tokens", None)
            warnings.warn(nothing_to_learn(dropped, self.buffer_size, longest), stacklevel=2)

    def _apply_kl(self) -> None:
        assert self.kl_controller is not None
        log_ratio = self._log_ratio()
        self.rewards -= np.float32(self.kl_controller.coef) * self._estimate(log_ratio)
        self._report_kl(log_ratio)

    def _log_ratio(self) -> NDArray[np.float32]:
        """(tokens, 1) log-probabilities under the policy minus those under the reference model."""
        if self.reference is None:
            raise ConfigError(
                "EpisodeRolloutBuffer has a KL coefficient and no reference model. Build the algorithm with "
                "textgym_agents.make(..., kl_coef=...), or make the policy with policy_kwargs=dict(reference=True) and "
                "call algorithm.rollout_buffer.bind(algorithm.policy) before learn()."
            )
        log_ratio = np.zeros_like(self.log_probs)
        for chunk in runs(self.segments(), REFERENCE_TOKENS):
            at = self._index(chunk)
            reference = self.reference.reference_log_probs(self._batch(chunk), self._long(self.actions[at, 0]))
            log_ratio[at, 0] = self.log_probs[at, 0] - reference.cpu().numpy()
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

    def _advance(self, num_tokens: int) -> None:
        """Tell a controller that follows a schedule how many tokens the rollout had."""
        if self.kl_controller is not None and hasattr(self.kl_controller, "advance"):
            self.kl_controller.advance(num_tokens)

    def get(self, batch_size: int | None = None) -> Iterator[RolloutBufferSamples]:  # type: ignore[override]
        """Minibatches of whole completions, in random order, about ``batch_size`` tokens each.

        None, or as many as a rollout has: all in one, also where steps of earlier rollouts make it more.
        """
        if not self._segments:
            raise ResetNeededError(f"The rollout buffer holds {self.pos} of {self.buffer_size} steps: fill it first.")
        most = self.actions.size
        if batch_size is not None and batch_size < self.buffer_size * self.n_envs:
            most = batch_size
        for chunk in self._minibatches(self._segments, most):
            at = self._index(chunk)
            flat = (self.values, self.log_probs, self.advantages, self.returns)
            # SB3 annotates the observations as a tensor; it only hands them to the policy's evaluate_actions.
            yield RolloutBufferSamples(
                self._batch(chunk),  # type: ignore[arg-type]
                self._long(self.actions[at, 0]),
                *(self.to_torch(a[at, 0]) for a in flat),
            )

    def peek(self, num_tokens: int = 256) -> tuple[EpisodeBatch, Tensor, Tensor, Tensor]:
        """Some of what is stored: a batch of completions spread over all, their actions and log-probabilities.

        Moves no random stream. About ``num_tokens`` actions, at least one completion. The last tensor, (actions,), is
        True where the action is one of the last rollout, whose policy is that of now.
        """
        segments = self._segments
        mean = sum(map(len, segments)) / len(segments)
        count = min(len(segments), max(1, round(num_tokens / mean)))
        chosen = [segments[i * len(segments) // count] for i in range(count)]
        at = self._index(chosen)
        new = torch.as_tensor(np.concatenate([np.arange(len(s)) >= s.carried for s in chosen]), device=self.device)
        return self._batch(chosen), self._long(self.actions[at, 0]), self.to_torch(self.log_probs[at, 0]), new

    def _minibatches(self, segments: list[Segment], max_tokens: int) -> Iterator[list[Segment]]:
        """One epoch over the segments, in random order, counted for whoever watches the updates."""
        self.epochs += 1
        shuffled = [segments[i] for i in self.rng.permutation(len(segments))]
        for chunk in runs(shuffled, max_tokens) if shuffled else ():
            self.minibatch_episodes = len(chunk)
            yield chunk

    @staticmethod
    def _index(segments: list[Segment]) -> NDArray[np.int64]:
        """(tokens,) where the segments' actions are, in order."""
        return np.concatenate([np.arange(s.start, s.stop) for s in segments])

    def _batch(self, segments: list[Segment]) -> EpisodeBatch:
        sequences = [
            TokenSequence(s.context, self.actions[s.start : s.stop, 0], s.prompt, s.inserted) for s in segments
        ]
        generated = torch.as_tensor(np.concatenate([s.tokens_of_turn for s in segments]), device=self.device)
        masks = self.masks.masks(self.mask_numbers[self._index(segments), 0])
        words = None if masks is None else torch.as_tensor(masks, device=self.device)
        return EpisodeBatch(sequences, generated, words, idle=self.idle, stored=self._stores_masks)

    def _long(self, actions: TokenIds) -> Tensor:
        return torch.as_tensor(actions.astype(np.int64), device=self.device)
