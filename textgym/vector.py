"""Many prompts at once: the same environment as ``TextGenerationEnv``, batched in numpy."""

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Discrete
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from textgym.arguments import MOST_TOKENS, check_reset_options, check_seed, count
from textgym.border import reading
from textgym.conversations import Exchange, conversations, partner_seed, policy_tokens, reset_options
from textgym.core import Prompt, Reward, Sample, Task
from textgym.dialogue import Partner
from textgym.errors import ConfigError, ResetNeededError, did_you_mean
from textgym.importable import SpecByName
from textgym.infos import InfoNumbers, add_infos
from textgym.mdp import TextMDP, WithReward
from textgym.rendering import frame
from textgym.rows import per_row, reset_mask, seed_generators, seeds_of_rows, spawn_generators, token_ids
from textgym.rules import FULL, LENGTH, RUNNING, Bools, Codes, Ints, TextOptions
from textgym.saved_state import generator_from, generator_state, mdp_state, set_mdp_state
from textgym.spaces import TextSpace
from textgym.token_buffer import Observation, TokenBuffer
from textgym.tokenizer import Tokenizer

Floats = npt.NDArray[np.float64]


class TextGenerationVectorEnv(WithReward, SpecByName, VectorEnv[Observation, Ints, npt.NDArray[Any]]):
    """``num_envs`` text environments that step together; episodes that end together are scored in one call.

    Turns that end together are replied to in one call of the partner.

    One seed gives other prompts here than in ``make_vec``'s modes "sync" and "async", which seed row i with seed + i:
    ``reset(seed=[seed, seed + 1, ...])`` gives the same prompts in all three modes.
    Observations, actions, rewards and ends are those of ``TextGenerationEnv``, row by row, with a leading axis of
    ``num_envs``; infos follow Gymnasium's convention for vector environments (``infos["completion"][i]`` is there where
    ``infos["_completion"][i]``).

    Arguments, besides those of ``TextGenerationEnv``:
        num_envs: number of rows.
        autoreset_mode: what happens to a row whose episode has ended. ``NEXT_STEP``: its next action is ignored and
            resets it. ``SAME_STEP``: it is reset at once; ``infos["final_obs"]`` and ``infos["final_info"]`` keep the
            end. ``DISABLED``: it waits for ``reset(options={"reset_mask": mask})``; until then its actions are ignored.
        copy: False returns observations that the next step overwrites, which saves time and memory.

    ``sampling="sequential"`` shares one counter between the rows, so n rows and steps play each prompt once.

    >>> prompts = [Prompt("a:", ("a",)), Prompt("b:", ("b",))]
    >>> envs = TextGenerationVectorEnv(2, prompts, max_prompt_tokens=8, max_new_tokens=4, sampling="sequential")
    >>> observations, infos = envs.reset(seed=0)
    >>> observations["input_ids"].shape, list(infos["prompt"])
    ((2, 12), ['a:', 'b:'])
    """

    def __init__(
        self,
        num_envs: int,
        task: Task | Sequence[Prompt],
        reward: Reward | None = None,
        tokenizer: "str | Tokenizer | None" = None,
        *,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        copy: bool = True,
        render_mode: str | None = None,
        partner: Partner | str | None = None,
        **options: Unpack[TextOptions],
    ) -> None:
        num_envs = count("num_envs", num_envs, least=1, most=MOST_TOKENS)
        if render_mode not in (None, "ansi"):
            raise ConfigError(f"render_mode={render_mode!r} is unknown to the vector form, expected 'ansi' or None.")
        self.num_envs, self.copy, self.render_mode = int(num_envs), copy, render_mode
        self.mdp = TextMDP(task, reward, tokenizer, options)
        self.task, self.tokenizer = task, self.mdp.tokenizer
        self.metadata = {"render_modes": ["ansi"], "render_fps": 10}
        self.set_autoreset_mode(autoreset_mode)
        self.single_observation_space: TextSpace = TextSpace(self.mdp.rules, self.mdp.default_model)
        self.single_action_space = Discrete(self.mdp.rules.vocab_size)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.last_samples: list[Sample | None] = [None] * self.num_envs  # of each row's last finished episode
        self.last_abstained: Bools = np.zeros(self.num_envs, dtype=np.bool_)  # whether its reward abstained
        self._buffer = TokenBuffer(self.mdp.rules, self.num_envs)
        self._conversations = conversations(self.mdp, partner, self.num_envs)
        self.partner = None if self._conversations is None else self._conversations.partner
        self._prompts: list[Prompt | None] = [None] * self.num_envs
        self._prompt_ids = [-1] * self.num_envs
        self.generators: list[np.random.Generator | None] = [None] * self.num_envs  # of each row
        self._ended: Bools = np.ones(self.num_envs, dtype=np.bool_)
        self._any_ended = True  # saves looking at every row in the common step
        self._held: Bools | None = None
        self.turn_ended: Bools = np.zeros(self.num_envs, dtype=np.bool_)  # whose turn ended with the last step
        self._numbers = InfoNumbers(self.num_envs) if self.mdp.rules.infos == "numbers" else None
        self._started = False

    def set_autoreset_mode(self, mode: str | AutoresetMode) -> None:
        """Choose what happens to rows that end, from the next step on."""
        try:
            self.autoreset_mode = AutoresetMode(mode)
        except ValueError:
            raise ConfigError(
                f"autoreset_mode={mode!r} is unknown. {did_you_mean(str(mode), [mode.value for mode in AutoresetMode])}"
            ) from None
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}

    # Reset

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode in every row, or in the rows of ``options["reset_mask"]`` (num_envs,) bool.

        One seed gives every row a generator of its own (by ``SeedSequence.spawn``); a sequence seeds row by row, as
        ``TextGenerationEnv.reset`` does. ``options["prompt_id"]`` is one index for all rows, or one (or None) per row;
        ``options["partner_seed"]`` likewise.

        Raises:
            SeedError, PromptIdError, ConfigError: a seed, a prompt id or an option makes no sense.
        """
        given = check_reset_options(options, (*reset_options(self._conversations), "reset_mask"))
        rows = np.flatnonzero(reset_mask(given.get("reset_mask"), self.num_envs))
        prompt_ids = per_row("prompt_id", given.get("prompt_id"), self.num_envs)
        seeds = [partner_seed(one) for one in per_row("partner_seed", given.get("partner_seed"), self.num_envs)]
        self._seed(seed, rows)
        infos: dict[str, Any] = {}
        started = [self._start(row, prompt_ids[row], seeds[row]) for row in rows.tolist()]
        add_infos(infos, self.num_envs, rows.tolist(), started)
        self._started = not any(prompt is None for prompt in self._prompts)
        self._any_ended = bool(self._ended.any())
        return self._buffer.observations(self.copy), self._with_numbers(infos)

    def _seed(self, seed: int | Sequence[int | None] | None, rows: Ints) -> None:
        seeds = seeds_of_rows(seed, self.num_envs)
        if seeds is None:
            one = check_seed(seed)
            super().reset(seed=one)
            spawn_generators(self.generators, one, rows.tolist())
            seeds = [one]
        else:
            seed_generators(self.generators, seeds, rows.tolist())
        if any(one is not None for one in seeds):
            self.mdp.next_prompt_id = 0

    def _start(self, row: int, prompt_id: int | None = None, of_partner: int | None = None) -> dict[str, Any]:
        generator = self.generators[row]
        if generator is None:  # after a reset with a list of seeds that has None here
            generator = self.generators[row] = seeding.np_random()[0]
        drawn = self.mdp.draw(generator) if prompt_id is None else prompt_id
        prompt, info = self.mdp.start(self._buffer, row, drawn)
        self._prompts[row] = prompt
        if self._conversations is not None:
            self._conversations.start(row, prompt, generator, of_partner)
        self._prompt_ids[row], self._ended[row] = info["prompt_id"], False
        if self._numbers is not None:
            self._numbers.start(row, info)
        return info if self.mdp.rules.infos == "all" else {}

    def _with_numbers(self, infos: dict[str, Any]) -> dict[str, Any]:
        return infos if self._numbers is None else {**infos, **self._numbers.infos(self._buffer.written)}

    # Step

    def step(self, actions: npt.ArrayLike) -> tuple[Observation, Floats, Bools, Bools, dict[str, Any]]:
        """Write one token (num_envs,) in every row that is running.

        Where the reward or the partner raises, all tokens are taken back: the same step may be tried again.

        Raises:
            ResetNeededError: before the first reset; with DISABLED autoreset also when every row has ended.
            InvalidActionError: an action is no integer, outside the vocabulary, or masked.
            RewardError: the reward returned a wrong number of values or something else than finite numbers.
            PartnerError: the partner raised, or returned something else than a reply for each row.
        """
        if not self._started:
            raise ResetNeededError("No episode is running: call reset() before the first step.")
        tokens = token_ids(actions, self.num_envs)
        infos: dict[str, Any] = {}
        rows = self._running_rows() if self._any_ended or self._held is not None else None
        if rows is None:
            codes = self._buffer.play(tokens)
        else:
            codes = np.zeros(self.num_envs, dtype=np.int8)
            if len(rows):
                codes[rows] = self._buffer.play(tokens[rows], rows)
        ends = np.flatnonzero(codes).tolist() if np.count_nonzero(codes) else []
        exchanges: dict[int, Exchange] = {}
        self.turn_ended = codes != RUNNING
        if ends:
            try:
                exchanges = self._exchanges(ends, codes)
                ends = [row for row in ends if codes[row] != RUNNING]
                scored = self._scored(ends, codes, exchanges)
            except BaseException:
                self._buffer.take_back(rows)
                raise
        if rows is not None:
            self._reset_ended(infos)
        rewards = np.zeros(self.num_envs, dtype=np.float64)
        if exchanges:
            self._commit(exchanges, rewards, infos)
        terminated, truncated = np.zeros(self.num_envs, dtype=np.bool_), np.zeros(self.num_envs, dtype=np.bool_)
        if ends:
            if self.mdp.rules.length_is_truncation:
                truncated = (codes == LENGTH) | (codes == FULL)
            terminated = (codes != RUNNING) & ~truncated
            samples, values, finals = scored
            rewards[ends] += values
            self._finish(ends, codes, samples, finals, infos)
        return self._buffer.observations(self.copy), rewards, terminated, truncated, self._with_numbers(infos)

    def _running_rows(self) -> Ints:
        if self.autoreset_mode == AutoresetMode.DISABLED and self._ended.all():
            raise ResetNeededError("Every row has ended and autoreset is disabled: call reset().")
        return np.flatnonzero(~(self._ended if self._held is None else self._ended | self._held))

    def _reset_ended(self, infos: dict[str, Any]) -> None:
        """NEXT_STEP: this step resets the rows that ended in the last one."""
        if self.autoreset_mode == AutoresetMode.DISABLED:
            return
        rows = np.flatnonzero(self._ended).tolist()
        add_infos(infos, self.num_envs, rows, [self._start(row) for row in rows])
        self._any_ended = False

    def _exchanges(self, rows: list[int], codes: Codes) -> dict[int, Exchange]:
        """What the partner replies to the rows whose turn ends. Sets the codes of those that end or go on after it."""
        if self._conversations is None:
            return {}
        exchanges = self._conversations.answer(rows, codes[rows].tolist(), self._buffer)
        codes[rows] = [exchange.code for exchange in exchanges]
        return dict(zip(rows, exchanges, strict=True))

    def _commit(self, exchanges: dict[int, Exchange], rewards: Floats, infos: dict[str, Any]) -> None:
        """Write the replies, with their rewards, and the infos of rows that go on."""
        for row, exchange in exchanges.items():
            if self._conversations is not None:
                self._conversations.commit(row, exchange, self._buffer)
            rewards[row] = exchange.reward
        going_on = [row for row, exchange in exchanges.items() if exchange.code == RUNNING]
        if going_on and self.mdp.rules.infos == "all":
            add_infos(infos, self.num_envs, going_on, [dict(exchanges[row].info) for row in going_on])

    def _scored(
        self, rows: list[int], codes: Codes, exchanges: dict[int, Exchange]
    ) -> tuple[list[Sample], list[float], list[dict[str, Any]]]:
        turns = [exchanges[row].dialogue.turns for row in rows] if exchanges else []
        samples, rewards, finals = self.mdp.finish(
            [prompt for row in rows if (prompt := self._prompts[row]) is not None],
            [self._prompt_ids[row] for row in rows],
            [policy_tokens(said) for said in turns] or [self._buffer.generated(row) for row in rows],
            codes[rows].tolist(),
            [self.generators[row] if self.mdp.stochastic else None for row in rows],
            turns,
        )
        if exchanges:
            finals = [{**exchanges[row].info, **info} for row, info in zip(rows, finals, strict=True)]
        return samples, rewards, finals

    def _finish(
        self, rows: list[int], codes: Codes, samples: list[Sample], finals: list[dict[str, Any]], infos: dict[str, Any]
    ) -> None:
        self._ended[rows] = True
        self._any_ended = True
        for row, sample in zip(rows, samples, strict=True):
            self.last_samples[row] = sample
        self.last_abstained[rows] = ["reward_abstained" in info for info in finals]
        if self._numbers is not None:
            for row, info in zip(rows, finals, strict=True):
                self._numbers.end(row, int(codes[row]), info)
            counts = self._buffer.written
            finals = [self._numbers.of(row, counts) for row in rows]
        elif self.mdp.rules.infos == "none":
            finals = [{} for _ in rows]
        if self.autoreset_mode == AutoresetMode.SAME_STEP:
            ends = [
                {"final_obs": self._buffer.observation(row), "final_info": info}
                for row, info in zip(rows, finals, strict=True)
            ]
            add_infos(infos, self.num_envs, rows, ends)
            finals = [self._start(row) for row in rows]
            self._any_ended = False
        add_infos(infos, self.num_envs, rows, finals)

    # State

    def get_state(self) -> dict[str, Any]:
        """All that decides what comes next: a dict of plain values and numpy arrays, for :meth:`set_state`.

        The rows' tokens, which of them wait, the random generators (as ``bit_generator.state``), and the
        next prompt of ``sampling="sequential"``. A prompt is named by its index. ``last_samples`` and
        ``last_abstained`` are left out.

        A wrapper with a state of its own, such as a running mean of rewards, defines ``get_state`` and ``set_state``
        in the same way, for that state alone. Whoever saves an environment walks along ``env`` from wrapper to wrapper.

        >>> prompts = [Prompt("a:", ("a",)), Prompt("b:", ("b",)), Prompt("c:", ("c",))]
        >>> one, two = (TextGenerationVectorEnv(2, prompts, max_prompt_tokens=8, max_new_tokens=1) for _ in range(2))
        >>> _ = one.reset(seed=7)
        >>> two.set_state(one.get_state())
        >>> step, same = one.step([5, 6]), two.step([5, 6])
        >>> step[4]["completion"].tolist() == same[4]["completion"].tolist()
        True
        """
        return {
            **mdp_state(self.mdp, self.num_envs),
            "rows": self._buffer.get_state(),
            **({} if self._conversations is None else {"dialogues": self._conversations.get_state()}),
            "prompt_ids": list(self._prompt_ids),
            "ended": self._ended.copy(),
            "autoreset_mode": self.autoreset_mode.value,
            "numbers": None if self._numbers is None else self._numbers.get_state(),
            "np_random": generator_state(self._np_random),
            "generators": [generator_state(generator) for generator in self.generators],
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on exactly where the environment was whose ``get_state`` returned this. Both have the same arguments.

        Raises:
            ConfigError: the state is that of an environment with other rows, columns, tokens or prompts.
        """
        with reading("the saved state of", type(self).__name__, ConfigError, "Give it what get_state returned."):
            if len(state["prompt_ids"]) != self.num_envs:
                raise ConfigError(
                    f"The saved environment has {len(state['prompt_ids'])} rows, this one {self.num_envs}."
                )
            self._prompts = set_mdp_state(self.mdp, state, state["prompt_ids"])
            self._buffer.set_state(state["rows"])
            if self._conversations is not None:
                self._conversations.set_state(state["dialogues"], self._prompts, self._buffer)
            self._prompt_ids = list(state["prompt_ids"])
            self.set_autoreset_mode(state["autoreset_mode"])
            if self._numbers is not None:
                self._numbers.set_state(state["numbers"])
            self._np_random = generator_from(state["np_random"])
            self.generators = [generator_from(one) for one in state["generators"]]
            self._ended = np.array(state["ended"], dtype=np.bool_)
            self._any_ended = bool(self._ended.any())
            self._started = not any(prompt is None for prompt in self._prompts)

    # The rest

    def hold(self, rows: Bools | None) -> None:
        """Until the next call, ignore the actions of these rows (num_envs,) bool; None: of no row but ended ones.

        For whoever plays a turn in each row: rows whose turn has ended wait for the others.
        """
        self._held = None if rows is None else np.array(rows, dtype=np.bool_)

    @property
    def ended(self) -> Bools:
        """(num_envs,) bool: the rows whose episode has ended and that wait for a reset."""
        return self._ended.copy()

    def action_masks(self) -> npt.NDArray[np.int8]:
        """(num_envs, V) int8, 1 where a token is legal now; ``tuple`` of it is a mask for ``action_space.sample``.

        Read-only where all rows agree.
        """
        return self.mdp.rules.mask(self._buffer.turn_counts).view(np.int8)

    def write(self, rows: Sequence[int], tokens: Sequence[npt.NDArray[np.integer]]) -> Observation:
        """Write several tokens into running rows at once, such as the beginnings of completions, with no reward.

        A partner replies to the turns that end, as it does in :meth:`step`. Returns the observations of all rows.

        Raises:
            ConfigError: a token ends an episode.
            InvalidActionError, PartnerError: as of :meth:`step`.
        """
        for place in range(max(map(len, tokens), default=0)):
            at = np.array([row for row, own in zip(rows, tokens, strict=True) if len(own) > place], dtype=np.int64)
            codes = self._buffer.play(np.array([own[place] for own in tokens if len(own) > place], dtype=np.int64), at)
            ends = np.flatnonzero(codes).tolist()
            talk, exchanges = self._conversations, []
            if talk is not None and ends:
                exchanges = talk.answer(at[ends].tolist(), codes[ends].tolist(), self._buffer)
            if len(exchanges) < len(ends) or any(exchange.code != RUNNING for exchange in exchanges):
                raise ConfigError(f"Token {place} of those to write ends an episode: leave it to step().")
            for number, exchange in zip(ends, exchanges, strict=True):
                talk.commit(int(at[number]), exchange, self._buffer)  # type: ignore[union-attr]
        return self._buffer.observations(self.copy)

    def encode_completion(self, text: str) -> list[int]:
        """The actions that write ``text`` and end it."""
        return self.mdp.rules.encode_completion(text)

    @property
    def completion_so_far(self) -> list[str]:
        """The text that the running, or else the last, episode of each row has written."""
        talk, rows = self._conversations, range(self.num_envs)
        if talk is None:
            return [self.mdp.rules.decode_completion(self._buffer.generated(row)) for row in rows]
        return [talk.completion(row, self._buffer, not self._ended[row]) for row in rows]

    def render(self) -> tuple[str, ...] | None:
        """With render_mode "ansi": prompt and text so far of every row."""
        if self.render_mode is None:
            return None
        prompts = [prompt.text if prompt else "" for prompt in self._prompts]
        talk = self._conversations
        texts = self.completion_so_far
        if talk is not None:
            texts = [talk.transcript(row, self._buffer) for row in range(self.num_envs)]
        return tuple(frame(prompt, text, None) for prompt, text in zip(prompts, texts, strict=True))
