"""What a prompt, a turn, a sample, a score, a reward and a task are. Read this file first.

A *task* is a sequence of prompts; a *reward* scores finished completions. ``scoring.py`` calls a reward and checks what
it returns. ``mdp.py`` joins a task, a reward and a tokenizer to a Markov decision process, which ``env.py`` and
``vector.py`` play: one prompt per episode, one token per step. Everything else in the package is a task, a reward, or a
way to run an environment.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from textgym.errors import ConfigError

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

    One with the attribute ``scope = "group"`` compares completions of one prompt, see
    :func:`textgym.scoring.scores_groups`; one with ``background = n`` may be asked while episodes go on, see
    :func:`textgym.scoring.background_of`.
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
