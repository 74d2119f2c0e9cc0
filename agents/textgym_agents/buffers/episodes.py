"""Storage of a rollout of whole episodes, in groups of completions of one prompt.

| Symbol | Shape | Meaning |
|---|---|---|
| `actions`, `rewards`, `values`, `log_probs`, ... | (tokens, 1) | of all episodes, one after another |
| `lengths` | (episodes,) | tokens of each episode |
| `scores` | (groups, k) | the environment's return of each of k completions of one prompt |
| `scored` | (groups, k) | False where the reward abstained: there is no return, and minibatches leave the episode out |
| `episode_returns` | (groups, k) | the same minus the KL penalty, where that is part of the reward |
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from torch import Tensor

from textgym.errors import ConfigError, ResetNeededError
from textgym.rules import TokenRules
from textgym_agents.buffers.batches import EpisodeBatch, ReferencePolicy, Segment
from textgym_agents.buffers.rollout import EpisodeRolloutBuffer
from textgym_agents.buffers.row_tokens import RowTokens
from textgym_agents.buffers.steps import TokenIds
from textgym_agents.models.packing import Insertion
from textgym_agents.objectives.advantages import LossReduction, token_weights
from textgym_agents.objectives.arrays import Floats, Ints
from textgym_agents.objectives.kl import KLController


class Episode(NamedTuple):
    """One episode.

    Attributes:
        context: the tokens before its first action: the prompt, or what the decoder starts with.
        prompt: what the encoder reads, None for a decoder-only model.
        actions, rewards, values, log_probs: (tokens,).
        masks: (tokens, words) what the policy chose among, where it left tokens out.
        abstained: whether the reward abstained, so that the rewards mean nothing and the episode teaches nothing.
        inserted: what a partner wrote between the actions.
    """

    context: TokenIds
    prompt: TokenIds | None
    actions: Ints
    rewards: Floats
    values: Floats
    log_probs: Floats
    masks: NDArray[np.int64] | None = None
    abstained: bool = False
    inserted: tuple[Insertion, ...] = ()


def given_episode(rules: TokenRules, prompt_ids: Ints, actions: Sequence[int] | Ints, reward: float = 0.0) -> Episode:
    """An episode that wasn't played: a prompt's tokens, the tokens of a completion, and its reward at the last one.

    Its values and log-probabilities are zeros.
    """
    read = prompt_ids.astype(np.int32)
    start = np.array([rules.decoder_start_token_id], dtype=np.int32)
    context, prompt = (start, read) if rules.form == "seq2seq" else (read, None)
    zeros = np.zeros(len(actions), dtype=np.float32)
    rewards = zeros.copy()
    rewards[-1] = reward
    return Episode(context, prompt, np.array(actions, dtype=np.int32), rewards, zeros, zeros)


@dataclass(frozen=True, slots=True)
class EpisodeSamples:
    """A minibatch of whole episodes.

    Attributes:
        observations: what ``evaluate_actions`` takes.
        actions: (tokens,) of all episodes, one after another, as are the rest.
        old_values, old_log_prob: (tokens,) of the rollout, as in SB3's RolloutBufferSamples.
        advantages: (tokens,) those of :meth:`EpisodeStore.set_advantages`; NaN where it wasn't called.
        reference_log_prob: (tokens,) under the reference model; without one, the old ones.
        weights: (tokens,) of each token's loss in that of the minibatch, see ``loss_reduction``.
        rewards: (tokens,) minus the KL penalty, where that is part of the reward. In NumPy, as returns are.
        lengths: (episodes,) tokens of each.
    """

    observations: EpisodeBatch
    actions: Tensor
    old_values: Tensor
    old_log_prob: Tensor
    advantages: Tensor
    reference_log_prob: Tensor
    weights: Tensor
    rewards: Floats
    lengths: Ints


class EpisodeStore(EpisodeRolloutBuffer):
    """An ``EpisodeRolloutBuffer`` that is filled with whole episodes at once, however many tokens they have.

    Args:
        buffer_size, n_envs, gamma, gae_lambda: as SB3 gives them; not used, since episodes are whole.
        kl_coef, kl_estimator, reference, seed: as for ``EpisodeRolloutBuffer``.
        kl_in_loss: measure the KL only, for a term of the loss; False: subtract it from the rewards.
        loss_reduction: how a minibatch's loss is averaged, see
            :func:`textgym_agents.objectives.advantages.token_weights`.
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        device: torch.device | str = "auto",
        gae_lambda: float = 1,
        gamma: float = 1,
        n_envs: int = 1,
        *,
        kl_coef: float | KLController | None = None,
        kl_estimator: str = "k1",
        reference: ReferencePolicy | None = None,
        seed: int | None = None,
        kl_in_loss: bool = False,
        loss_reduction: LossReduction = "sum",
    ) -> None:
        options: dict[str, Any] = {
            "kl_coef": kl_coef,
            "kl_estimator": kl_estimator,
            "reference": reference,
            "seed": seed,
        }
        super().__init__(0, observation_space, action_space, device, gae_lambda, gamma, 1, **options)
        token_weights(np.ones(1, dtype=np.int64), loss_reduction)  # raises if there is no such reduction
        self.kl_in_loss, self.loss_reduction = kl_in_loss, loss_reduction
        width = int(observation_space[f"{self.prefix}input_ids"].shape[0])  # type: ignore[index]
        self.max_new_tokens = int(getattr(observation_space, "max_new_tokens", width))

    def add(self, *args: Any, **kwargs: Any) -> None:
        raise ConfigError(
            "EpisodeStore takes whole episodes, by fill(). PPO and others of SB3 need an EpisodeRolloutBuffer."
        )

    def beginning(self, obs: dict[str, NDArray[Any]], row: int) -> tuple[TokenIds, TokenIds | None]:
        """Context and prompt of the episode that a row of the observations begins."""
        context, prompt, _ = self.row_tokens.beginning(obs, row, True)
        return context, prompt

    def fill(self, episodes: Sequence[Episode], group_size: int = 1) -> None:
        """Replace the contents: groups one after another. Measures the KL to the reference model, if there is one.

        Raises:
            ConfigError: no episodes, or not a multiple of ``group_size``.
        """
        if not episodes or len(episodes) % group_size:
            raise ConfigError(f"{len(episodes)} episodes are no groups of {group_size}.")
        self.lengths = np.array([len(episode.actions) for episode in episodes])
        self.buffer_size = int(self.lengths.sum())
        self.reset()
        self.advantages = np.full((self.buffer_size, 1), np.nan, dtype=np.float32)
        for name in ("actions", "rewards", "values", "log_probs"):
            getattr(self, name)[:, 0] = np.concatenate([getattr(episode, name) for episode in episodes])
        masks = [episode.masks for episode in episodes if episode.masks is not None]
        self._stores_masks = len(masks) == len(episodes)
        if self._stores_masks:
            self.mask_numbers[:, 0] = self._numbers(np.concatenate(masks))
        stops = self.lengths.cumsum()
        starts = stops - self.lengths
        self.episode_starts[starts] = 1
        self._segments = [
            Segment(int(start), int(stop), episode.context, episode.prompt, inserted=episode.inserted)
            for start, stop, episode in zip(starts, stops, episodes, strict=True)
        ]
        self.pos, self.full = self.buffer_size, True
        self.group_size, self._starts = group_size, starts
        self.scored = ~np.array([episode.abstained for episode in episodes]).reshape(-1, group_size)
        self.reference_log_probs = self.log_probs
        self.kl_coef = 0.0
        self.scores = self._sums()
        if self.kl_controller is not None:
            self._apply_kl()
        self.episode_returns = self._sums()

    def _sums(self) -> Floats:
        """(groups, k) the sum of each episode's rewards."""
        return np.add.reduceat(self.rewards[:, 0].astype(np.float64), self._starts).reshape(-1, self.group_size)

    def _apply_kl(self) -> None:
        assert self.kl_controller is not None
        self.kl_coef = self.kl_controller.coef  # of this rollout; the controller moves on
        log_ratio = self._log_ratio()
        self.reference_log_probs = self.log_probs - log_ratio
        if not self.kl_in_loss:
            self.rewards -= np.float32(self.kl_coef) * self._estimate(log_ratio)
        self._report_kl(log_ratio)
        self._advance(log_ratio.size)

    def set_advantages(self, advantages: Floats) -> None:
        """One per token, (tokens,), or one per episode, (groups, k), for all its tokens."""
        if advantages.shape == self.scores.shape:
            advantages = np.repeat(advantages.reshape(-1), self.lengths)
        if advantages.shape != (self.buffer_size,):
            raise ConfigError(
                f"Advantages have shape {advantages.shape}, expected {self.scores.shape} for episodes or "
                f"({self.buffer_size},) for tokens."
            )
        self.advantages[:, 0] = advantages

    def get(  # type: ignore[override]
        self, batch_size: int | None = None, keep: NDArray[np.bool_] | None = None
    ) -> Iterator[EpisodeSamples]:
        """Minibatches of whole episodes, in random order, without those whose reward abstained.

        Args:
            batch_size: about how many tokens each has; None: all in one.
            keep: (episodes,) which of the others to use. None: all.
        """
        if not self.full:
            raise ResetNeededError("The store is empty: fill it first.")
        used = self.scored.reshape(-1) if keep is None else self.scored.reshape(-1) & keep
        segments = [self._segments[i] for i in np.flatnonzero(used)]
        for chunk in self._minibatches(segments, batch_size or self.buffer_size):
            at = self._index(chunk)
            lengths = np.array([len(segment) for segment in chunk])
            weights = token_weights(lengths, self.loss_reduction, self.max_new_tokens)
            yield EpisodeSamples(
                self._batch(chunk),
                self._long(self.actions[at, 0]),
                self.to_torch(self.values[at, 0]),
                self.to_torch(self.log_probs[at, 0]),
                self.to_torch(self.advantages[at, 0]),
                self.to_torch(self.reference_log_probs[at, 0]),
                self.to_torch(weights.astype(np.float32)),
                self.rewards[at, 0],
                lengths,
            )


class Recorder:
    """Turns the steps of rows that end at different times into episodes.

    Args:
        store: gives an observation's context and prompt.
        episodes: how many there will be.
    """

    def __init__(self, store: EpisodeStore, episodes: int) -> None:
        self.store = store
        self.beginnings: list[Any] = [None] * episodes
        self.spans: list[tuple[int, int, int]] = [(0, 0, 0)] * episodes  # row, first step, the step after the last
        self.actions: list[Ints] = []
        self.rewards: list[Floats] = []
        self.tensors: list[tuple[Tensor, Tensor]] = []  # values and log-probabilities, wherever they were computed
        self.masks: list[Tensor] = []  # what the policy chose among, where it left tokens out
        self.abstained: NDArray[np.bool_] = np.zeros(episodes, dtype=np.bool_)
        self.inserted: list[list[Insertion]] = [[] for _ in range(episodes)]
        self._tokens = RowTokens(store.observation_space, "An algorithm that learns from whole episodes")
        self._playing: dict[int, int] = {}  # the episode of each row

    def begin(self, obs: dict[str, NDArray[Any]], row: int, episode: int) -> None:
        """A row's observation is the first one of an episode."""
        self.beginnings[episode] = self.store.beginning(obs, row)
        self._playing[row] = episode
        self._tokens.follow(obs, np.zeros(len(obs["input_ids"]), dtype=np.bool_), np.zeros(0, dtype=np.int64))
        self.spans[episode] = (row, len(self.actions), 0)

    def add(
        self, actions: Ints, rewards: Floats, values: Tensor, log_probs: Tensor, masks: Tensor | None = None
    ) -> None:
        """One step of all rows, those that wait included."""
        if masks is not None:
            self.masks.append(masks)
        self.actions.append(actions)
        self.rewards.append(rewards)
        self.tensors.append((values.reshape(-1), log_probs.reshape(-1)))

    def follow(self, obs: dict[str, NDArray[Any]], continues: NDArray[np.bool_]) -> None:
        """The observations after a step, and (rows,) which episodes continue.

        Raises:
            ConfigError: one of those isn't the observation before it, one token more, and what a partner wrote.
        """
        for row, reply in self._tokens.follow(obs, continues, self.actions[-1]).items():
            episode = self._playing[row]
            self.inserted[episode].append(Insertion(len(self.actions) - self.spans[episode][1], reply))

    def end(self, episode: int, abstained: bool = False) -> None:
        """The step that was just added was the last one of an episode, whose reward may have abstained."""
        self.abstained[episode] = abstained
        row, start, _ = self.spans[episode]
        self.spans[episode] = (row, start, len(self.actions))

    def set_reward(self, episode: int, reward: float | None) -> None:
        """The reward of an episode's last step, which came late. None: it abstained."""
        self.abstained[episode] = reward is None
        row, _, stop = self.spans[episode]
        self.rewards[stop - 1][row] += 0.0 if reward is None else reward

    def episodes(self) -> list[Episode]:
        """All episodes, in their order."""
        values, log_probs = (torch.stack(t).float().cpu().numpy() for t in zip(*self.tensors, strict=True))
        arrays = [np.stack(self.actions), np.stack(self.rewards), values, log_probs]
        if self.masks:
            arrays.append(torch.stack(self.masks).cpu().numpy())
        episodes = [
            Episode(*beginning, *(array[start:stop, row] for array in arrays))
            for beginning, (row, start, stop) in zip(self.beginnings, self.spans, strict=True)
        ]
        further = zip(episodes, self.abstained, self.inserted, strict=True)
        return [one._replace(abstained=bool(of), inserted=tuple(said)) for one, of, said in further]
