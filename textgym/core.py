"""The heart of textgym: what a prompt, a sample, a reward and a task are, and the MDP they make. Read this file first.

A *task* is a sequence of prompts; a *reward* scores finished completions. :class:`TextMDP` joins the two with a
tokenizer to a Markov decision process: which prompt an episode starts from, which tokens are legal and which end it,
and what the completion is worth. ``env.py`` and ``vector.py`` play it, one prompt per episode and one token per step.
Everything else in the package is a task, a reward, or a way to run an environment.
"""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, cast, runtime_checkable

import numpy as np

from textgym.errors import ConfigError, PromptIdError, RewardError, TextGymError
from textgym.infos import Metadata
from textgym.rules import REASONS, TextOptions, TokenRules
from textgym.token_buffer import TokenBuffer
from textgym.tokenizer import BuiltinTokenizer, Tokenizer, load_tokenizer, model_of, with_same_tokenizer

SAMPLED_PROMPTS = 200  # that a warning about truncated prompts counts

FinishReason = Literal["eos", "stop", "length", "done", "turns", "full"]


@dataclass(frozen=True, slots=True)
class Prompt:
    """What one episode starts from.

    Attributes:
        text: the prompt, exactly as the model sees it. A completion follows it directly, without a separator.
        references: completions to compare with, without their leading space. May be empty.
        metadata: whatever the task's rewards and metrics need besides (keywords, labels, ids): plain Python values.
    """

    text: str
    references: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise ConfigError(f"A prompt's text is {self.text!r}, expected a string.")
        if isinstance(self.references, str | bytes) or not isinstance(self.references, Sequence):
            raise ConfigError(
                f"A prompt's references are {str(self.references)[:60]!r} ({type(self.references).__name__}), expected "
                "a tuple of strings, such as (reference,)."
            )


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side of a conversation said.

    Attributes:
        speaker: "policy", or "partner" for what the environment wrote.
        text: what was said. Of the policy: without special tokens, and cut before the stop string.
        token_ids: exactly its tokens in the observation. Of a partner they have the template around the
            text, and there are none for its last reply, after which the policy writes nothing.
        reward: what the partner gave for the policy's turn, on the step that ended it; 0 for a partner's own turn.
    """

    speaker: Literal["policy", "partner"]
    text: str
    token_ids: tuple[int, ...] = ()
    reward: float = 0.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One finished completion, as a reward sees it.

    Attributes:
        prompt: the prompt's text, before any truncation.
        completion: the generated text: special tokens left out, cut before the stop string, otherwise as decoded. Of a
            conversation: the policy's turns, one to a line.
        references: the prompt's references.
        token_ids: the generated token ids, the end token included if there was one. A partner's are not among them.
        finish_reason: "eos" (the end token), "stop" (a stop string) or "length" (the token budget ran out). Of a
            conversation: "done" (the partner ended it), "turns" (``max_turns``), "full" (the reply does not fit) or
            "length" (in the middle of a turn).
        metadata: the prompt's metadata.
        prompt_id: the prompt's index in its task.
        noise: a standard normal number that the environment drew for this episode alone, if the task is ``stochastic``;
            otherwise 0.
        group: which completions of the prompt belong together, for a reward that compares them; any number.
        turns: who said what in a conversation; empty without a partner.
    """

    prompt: str
    completion: str
    references: tuple[str, ...] = ()
    token_ids: tuple[int, ...] = ()
    finish_reason: FinishReason = "eos"
    metadata: Mapping[str, Any] = field(default_factory=dict)
    prompt_id: int = -1
    noise: float = 0.0
    group: int = -1
    turns: tuple[Turn, ...] = ()

    @property
    def transcript(self) -> str:
        """The completion; of a conversation the turns of both sides, one to a line.

        >>> print(Sample("Guess:", "a", turns=(Turn("policy", " a"), Turn("partner", "no"))).transcript)
        policy: a
        partner: no
        """
        said = [f"{turn.speaker}: {turn.text.strip()}" for turn in self.turns]
        return "\n".join(said) if said else self.completion

    def __post_init__(self) -> None:
        if isinstance(self.references, str):
            raise ConfigError(
                f"A sample's references are the string {self.references[:60]!r}, expected a tuple of strings, such as "
                "(reference,)."
            )


@dataclass(frozen=True, slots=True)
class Score:
    """A reward's value for one sample, with its named parts. ``value=None`` means that the reward abstains.

    Attributes:
        value: a finite number, or None.
        components: the parts, by name.
        failure: why the reward, or a part of it, could not do its work, such as a judge whose server is down; empty if
            it could. It goes into ``info["reward_failure"]``. What there is nothing to measure of is no failure.
    """

    value: float | None
    components: Mapping[str, float] = field(default_factory=dict)
    failure: str = field(default="", repr=False, compare=False)


class Reward(Protocol):
    """Any callable that scores a batch of completions: one value (or None, to abstain) per sample, in order.

    One with the attribute ``scope = "group"`` compares completions of one prompt, see :func:`scores_groups`; one with
    ``background = n`` may be asked while episodes go on, see :func:`background_of`.
    """

    def __call__(self, samples: Sequence[Sample], /) -> Sequence[float | Score | None]: ...


@runtime_checkable
class Task(Protocol):
    """A sequence of prompts with the defaults that suit them. A list of prompts with these attributes is enough.

    Attributes:
        name: CamelCase, the middle of the id: ``textgym/<name>-v0``.
        max_prompt_tokens, max_new_tokens: default width of the prompt and budget of new tokens, in tokens of
            ``textgym/small``. A tokenizer with a ``textgym.tokenizer.length_factor`` multiplies both by it.
        truncation_side: which end of a prompt that is too long is cut off, "left" or "right".
        stop: strings that end an episode. They are not part of the completion.
        metrics: names (see ``textgym.metrics.METRICS``) to report on held-out prompts.

    A task may have more:
        default_model: the name of the model that acts, and whose tokenizer is taken, where the user names none. Without
            it, ``textgym/small``. An encoder-decoder policy gets the model's counterpart.
        stochastic: True, and each episode gets a random number of its own, ``Sample.noise``, for rewards that are
            random. It comes from the environment's generator, so a seed gives the same rewards.
        token_options(tokenizer): a dict of arguments that depend on the tokenizer, such as ``allowed_tokens``, for
            those that the environment is not given. They are not multiplied.
        partner, max_turns, max_turn_tokens, turn_template: for a conversation, where the environment is given none.
    """

    # Properties, because a class that merely has the attribute (of a narrower type) then fits too.
    @property
    def name(self) -> str: ...
    @property
    def max_prompt_tokens(self) -> int: ...
    @property
    def max_new_tokens(self) -> int: ...
    @property
    def truncation_side(self) -> Literal["left", "right"]: ...
    @property
    def stop(self) -> tuple[str, ...]: ...
    @property
    def metrics(self) -> tuple[str, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Prompt: ...


def policy_text(turns: Sequence[Turn]) -> str:
    """What the policy said, one turn to a line.

    >>> policy_text([Turn("policy", "Is it red?"), Turn("partner", "no"), Turn("policy", "Is it a cat?")])
    'Is it red?\\nIs it a cat?'
    """
    return "\n".join(turn.text for turn in turns if turn.speaker == "policy")


def reward_name(reward: object) -> str:
    """The name that a reward goes by in messages and in ``info["reward_components"]``."""
    name = getattr(reward, "name", None) or getattr(reward, "__name__", None)
    return str(name or type(reward).__name__)


def scores_groups(reward: object) -> bool:
    """Whether a reward compares the completions of a prompt, so that it needs all of a group at once.

    An environment can't ask it at an episode's end: it gives 0 with ``info["reward_abstained"]`` and
    ``info["reward_pending"]``. Who plays a group scores its samples together when the last of them has ended.

    >>> scores_groups(lambda samples: [0.0 for _ in samples])
    False
    """
    return getattr(reward, "scope", "sample") == "group"


def background_of(reward: object) -> int:
    """How many batches a reward may be given at a time, in threads, while episodes go on; 0: it is asked at their ends.

    It pays for a reward that waits, such as a judge behind a server. Training collects what comes late; an environment
    alone asks every reward at an episode's end.

    >>> background_of(lambda samples: [0.0 for _ in samples])
    0
    """
    return 0 if scores_groups(reward) else max(0, int(getattr(reward, "background", 0)))


def groups_of(samples: Sequence[Sample]) -> list[list[int]]:
    """The positions of the samples that belong together: equal in ``group`` and prompt.

    >>> groups_of([Sample("a:", "x"), Sample("b:", "x"), Sample("a:", "y"), Sample("a:", "z", group=7)])
    [[0, 2], [1], [3]]
    """
    groups: dict[tuple[int, int, str], list[int]] = {}
    for i, sample in enumerate(samples):
        groups.setdefault((sample.group, sample.prompt_id, sample.prompt), []).append(i)
    return list(groups.values())


def score_samples(reward: Reward, samples: Sequence[Sample]) -> list[Score]:
    """Call ``reward`` once on ``samples`` and check what comes back.

    Returns one ``Score`` per sample. A plain number becomes a ``Score`` without components, ``None`` one that abstains.

    Raises:
        RewardError: wrong number of values, NaN, infinity, or not a number. The message names reward and sample.

    >>> score_samples(lambda samples: [len(s.completion) for s in samples], [Sample("Say hi:", "hi")])
    [Score(value=2.0, components={})]
    """
    if not samples:
        return []
    try:
        values = reward(samples)
    except Exception as error:
        say_whose(error, reward, samples)
        raise
    return checked_scores(reward, samples, values)


def checked_scores(reward: object, samples: Sequence[Sample], values: Sequence[float | Score | None]) -> list[Score]:
    """What a reward has returned for a batch, as one ``Score`` per sample.

    Raises:
        RewardError: as :func:`score_samples`.
    """
    name = reward_name(reward)
    try:
        if isinstance(values, Mapping | Set):  # whose keys are no values in order
            raise TypeError
        count = len(values)
    except TypeError:
        raise RewardError(
            f"Reward {name!r} returned {type(values).__name__}, expected a sequence of {len(samples)} numbers, one per "
            "sample. To score one sample at a time, decorate the function with @textgym.reward."
        ) from None
    if count != len(samples):
        raise RewardError(
            f"Reward {name!r} returned {count} values for {len(samples)} samples, expected one per sample."
        )
    return [_checked(name, value, i, samples[i]) for i, value in enumerate(values)]


def say_whose(error: Exception, reward: object, samples: Sequence[Sample]) -> None:
    """Add to an exception of a user's reward which reward it comes from and what was scored, unless it says so."""
    begin = "Raised by the reward"
    if isinstance(error, TextGymError) or any(note.startswith(begin) for note in getattr(error, "__notes__", ())):
        return
    first = f"prompt_id {samples[0].prompt_id}, completion {samples[0].completion[:60]!r}"
    more = f", and {len(samples) - 1} more" if len(samples) > 1 else ""
    error.add_note(f"{begin} {reward_name(reward)!r}, scoring the sample of {first}{more}.")


def _checked(name: str, value: object, index: int, sample: Sample) -> Score:
    score = value if isinstance(value, Score) else Score(value)  # type: ignore[arg-type]
    where = f"sample {index} (prompt_id {sample.prompt_id}, completion {sample.completion[:60]!r})"
    for part, number in (("value", score.value), *score.components.items()):
        if number is None and part == "value":
            continue
        try:
            finite = math.isfinite(number)  # type: ignore[arg-type]
        except (TypeError, OverflowError):  # an integer beyond the largest float
            raise RewardError(
                f"Reward {name!r} returned {number!r} as {part} of {where}, expected a finite number, a Score or None."
            ) from None
        if not finite:
            raise RewardError(f"Reward {name!r} returned {number} as {part} of {where}, expected a finite number.")
    value = None if score.value is None else float(score.value)
    return Score(value, {part: float(number) for part, number in score.components.items()}, score.failure)


@dataclass(frozen=True, slots=True)
class PendingReward:
    """``info["reward_pending"]`` of a completion that is being scored in the background.

    Attributes:
        sample: the completion.
        reward: what scores it.
        scores: waits for the scores of its batch.
        index: its place among them.
    """

    sample: Sample
    reward: Reward
    scores: Callable[[], Sequence[Score]]
    index: int

    def result(self) -> tuple[float | None, dict[str, Any]]:
        """Wait for the reward, None where it abstains, and for the final info in place of the pending one."""
        score = self.scores()[self.index]
        return score.value, final_info(self.sample, score, self.reward)


class AsksInBackground(Protocol):
    """What :class:`textgym.background.Background` does for an environment."""

    def ask(self, reward: Reward, samples: Sequence[Sample], /) -> Callable[[], Sequence[Score]]: ...


def final_info(sample: Sample, score: Score, reward: Reward | None) -> dict[str, Any]:
    """What the last step of an episode says of it."""
    components = dict(score.components)
    if not components and reward is not None and score.value is not None:
        components = {reward_name(reward): score.value}  # a reward without parts is its own only part
    if sample.turns:
        components["partner"] = sum(turn.reward for turn in sample.turns)
    info: dict[str, Any] = {
        "prompt": sample.prompt,
        "prompt_id": sample.prompt_id,
        "metadata": Metadata(sample.metadata),
        "completion": sample.completion,
        "references": sample.references,
        "finish_reason": sample.finish_reason,
        "num_tokens": len(sample.token_ids),
        "reward_components": components,
    }
    if sample.turns:
        info["turns"] = sample.turns
    if score.failure:
        info["reward_failure"] = score.failure
    return info if score.value is not None else {**info, "reward_abstained": True}


def checked_reward(reward: Reward | None) -> Reward | None:
    """The reward, if it can be called, or None.

    Raises:
        ConfigError: it is something else.
    """
    if reward is not None and not callable(reward):
        raise ConfigError(
            f"reward={reward!r} can't be called, expected a function of a batch of samples, or None for no reward. "
            "Rewards by name work with gymnasium.make."
        )
    return reward


class TextMDP:
    """The Markov decision process that the single and the vector environment play, ``mdp`` in both.

    It owns what surrounds the tokens: it draws a prompt, encodes it as the initial state, and scores finished
    completions. An environment keeps the states themselves in a ``TokenBuffer``.

    Attributes:
        task: the prompts.
        reward: scores finished completions; None: every return is 0.
        tokenizer: encodes prompts and decodes completions.
        default_model: what a policy plays with that is given no model: the built-in model whose tokenizer this is, or
            else the task's own.
        rules: the transitions: which tokens are legal, which end an episode, and how text becomes tokens.
        next_prompt_id: of ``sampling="sequential"``.
        stochastic: whether episodes get a random number for their reward, see :class:`Task`.
        background: where rewards are asked that may be asked in the background. None, unless somebody plays who awaits
            them: each is asked at an episode's end.
    """

    background: AsksInBackground | None = None

    def __init__(
        self,
        task: Task | Sequence[Prompt],
        reward: Reward | None,
        tokenizer: "str | Tokenizer | None",
        options: TextOptions,
    ) -> None:
        if isinstance(task, Mapping) or not hasattr(task, "__getitem__") or not hasattr(task, "__len__"):
            raise ConfigError(f"task={task!r} is no task, expected a sequence of textgym.Prompt.")
        if len(task) == 0:
            raise ConfigError(f"Task {getattr(task, 'name', type(task).__name__)!r} has no prompts.")
        self.task, self.reward = task, checked_reward(reward)
        own = model_of(task, "seq2seq" if options.get("form") == "seq2seq" else "causal")
        self.tokenizer = load_tokenizer(own if tokenizer is None else tokenizer)
        self.rules = TokenRules(self.tokenizer, task, options)
        self.default_model = own
        if tokenizer is not None and isinstance(self.tokenizer, BuiltinTokenizer):
            self.default_model = with_same_tokenizer(self.tokenizer.model, self.rules.form)
        self.next_prompt_id = 0
        self.stochastic = bool(getattr(task, "stochastic", False))
        self._warned_of_cuts = False

    def _warn_of_cuts(self) -> None:
        """Say once how many of the task's prompts are truncated, from a sample of them."""
        self._warned_of_cuts = True
        looked_at = {i * len(self.task) // SAMPLED_PROMPTS for i in range(SAMPLED_PROMPTS)}
        cut = sum(self.rules.encode_prompt(self.task[i].text)[1] > 0 for i in looked_at)
        share = "less than one" if cut == 0 else str(cut)
        warnings.warn(
            f"{share} of {len(looked_at)} prompts ({max(cut, 1) / len(looked_at):.0%}) are longer than "
            f"max_prompt_tokens={self.rules.max_prompt_tokens} and are truncated on the {self.rules.truncation_side}. "
            "Raise max_prompt_tokens if the model has the positions.",
            stacklevel=2,
        )

    def draw(self, generator: np.random.Generator) -> int:
        """The index of the prompt to play next."""
        if self.rules.sampling == "random":
            return int(generator.integers(len(self.task)))
        prompt_id = self.next_prompt_id % len(self.task)
        self.next_prompt_id = prompt_id + 1
        return prompt_id

    def start(self, buffer: TokenBuffer, row: int, prompt_id: object) -> tuple[Prompt, dict[str, Any]]:
        """Begin an episode in a row of the buffer. Returns the prompt and the info of the reset."""
        if (
            isinstance(prompt_id, bool)
            or not isinstance(prompt_id, int | np.integer)
            or not 0 <= prompt_id < len(self.task)
        ):
            raise PromptIdError(f"prompt_id={prompt_id!r} names no prompt, expected 0 to {len(self.task) - 1}.")
        prompt = self.task[int(prompt_id)]
        if not isinstance(prompt, Prompt):
            raise ConfigError(f"Task item {prompt_id} is a {type(prompt).__name__}, expected a textgym.Prompt.")
        ids, cut = self.rules.encode_prompt(prompt.text)
        if cut and not self._warned_of_cuts:
            self._warn_of_cuts()
        buffer.start(row, ids)
        return prompt, {"prompt": prompt.text, "prompt_id": int(prompt_id), "prompt_truncated": cut}

    def finish(
        self,
        prompts: Sequence[Prompt],
        prompt_ids: Sequence[int],
        token_ids: Sequence[Sequence[int]],
        codes: Sequence[int],
        generators: Sequence[np.random.Generator | None],
        turns: Sequence[tuple[Turn, ...]] = (),
    ) -> tuple[list[Sample], list[float], list[dict[str, Any]]]:
        """Score episodes that ended together, in one call of the reward. Returns samples, rewards and final infos.

        ``turns`` are those of conversations, and ``token_ids`` then the policy's own tokens.

        With a ``background``, a reward that may wait has no values yet: infos are those of one that abstains, and
        ``info["reward_pending"]`` is a :class:`PendingReward`. What the reward raises leaves the generators as they
        were.
        """
        before: list[Any] = [None if one is None else one.bit_generator.state for one in generators]
        noise = [0.0 if one is None else float(one.standard_normal()) for one in generators]
        samples = [
            Sample(
                prompt=prompt.text,
                completion=policy_text(said) if said else self.rules.decode_completion(ids),
                references=tuple(prompt.references),
                token_ids=tuple(ids),
                finish_reason=cast(FinishReason, REASONS[code]),
                metadata=prompt.metadata,
                prompt_id=prompt_id,
                noise=drawn,
                turns=said,
            )
            for prompt, prompt_id, ids, code, drawn, said in zip(
                prompts, prompt_ids, token_ids, codes, noise, turns or [()] * len(noise), strict=True
            )
        ]
        reward, asked = self.reward, None
        try:
            if samples and reward is not None and self.background is not None and background_of(reward):
                asked = self.background.ask(reward, samples)
                scores = [Score(None)] * len(samples)
            else:
                scores = self._scores(samples)
        except BaseException:
            for generator, state in zip(generators, before, strict=True):
                if generator is not None:
                    generator.bit_generator.state = state
            raise
        infos = [final_info(sample, score, reward) for sample, score in zip(samples, scores, strict=True)]
        if scores_groups(reward):
            infos = [{**info, "reward_pending": True} for info in infos]
        elif reward is not None and asked is not None:
            pending = [PendingReward(sample, reward, asked, i) for i, sample in enumerate(samples)]
            infos = [{**info, "reward_pending": one} for info, one in zip(infos, pending, strict=True)]
        return samples, [score.value or 0.0 for score in scores], infos

    def finish_groups(self, samples: Sequence[Sample]) -> tuple[list[float | None], list[dict[str, Any]]]:
        """Score all completions of groups whose last one has ended, in one call of a reward that compares them.

        Returns:
            their rewards, None where the reward abstains, and the final infos in place of those that were pending.

        >>> import gymnasium, textgym
        >>> mdp = gymnasium.make("textgym/Copy-v1", reward="self_bleu").unwrapped.mdp
        >>> mdp.finish_groups([Sample("Say hi:", "hi"), Sample("Say hi:", "hello"), Sample("Count:", "one")])[0]
        [1.0, 1.0, None]
        """
        scores = [Score(0.0)] * len(samples) if self.reward is None else score_samples(self.reward, samples)
        infos = [final_info(sample, score, self.reward) for sample, score in zip(samples, scores, strict=True)]
        return [score.value for score in scores], infos

    def _scores(self, samples: Sequence[Sample]) -> list[Score]:
        if self.reward is None:
            return [Score(0.0)] * len(samples)
        if scores_groups(self.reward):  # the others of a group have yet to end
            return [Score(None)] * len(samples)
        return score_samples(self.reward, samples)


class WithReward:
    """What the single and the vector environment have in common: the reward of their ``mdp``, to read and to set."""

    mdp: TextMDP

    @property
    def reward(self) -> Reward | None:
        """What scores completions. A new one scores those that end from now on.

        Raises:
            ConfigError: (when set) it can't be called.
        """
        return self.mdp.reward

    @reward.setter
    def reward(self, reward: Reward | None) -> None:
        self.mdp.reward = checked_reward(reward)


class TextEnv(Protocol):
    """What text environments have in common, single or vector: what :func:`text_env` returns."""

    @property
    def mdp(self) -> TextMDP: ...
    @property
    def np_random(self) -> np.random.Generator: ...


def text_env(env: Any) -> TextEnv:
    """The text environment inside any wrappers: those of Gymnasium, or an SB3 ``VecEnv`` that holds it as ``env``.

    Raises:
        ConfigError: there is none.

    >>> import gymnasium, textgym
    >>> env = textgym.wrappers.CompletionAction(gymnasium.make("textgym/Copy-v1"))
    >>> text_env(env).mdp.task.name
    'Copy'
    """
    inner = env
    while not isinstance(getattr(inner, "mdp", None), TextMDP):
        inner = getattr(inner, "env", None) or getattr(inner, "venv", None)
        if inner is None:
            raise ConfigError(
                f"{type(env).__name__} holds no text environment. Make one with an id of textgym or of "
                "textgym.register, or from TextGenerationEnv or TextGenerationVectorEnv."
            )
    return cast(TextEnv, inner)
