"""The chats that compare texts: two at a time, or a whole group in one list. What they say is fenced as in ``prompt``.

A comparison is a verdict as any other, on a scale from 1 (the first text is much better) to 5 (the second one is), so
backends, replies and caches need nothing new. Judges prefer places, often the first: each question is asked in both
orders, and what counts is the mean.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from string import ascii_lowercase

from textgym.errors import ConfigError
from textgym.rewards.judge.prompt import DATA, Chat, asked_for, fenced_chat
from textgym.rewards.judge.rubric import Criterion, Rubric

FIRST, SECOND = 1, 5  # the ends of the scale of a comparison
MOST_TEXTS = len(ascii_lowercase)


def pair_messages(
    rubric: Rubric,
    first: str,
    second: str,
    *,
    prompt: str | None = None,
    instruction: str | None = None,
    control_tokens: Iterable[str] = (),
) -> Chat:
    """The chat that asks which of two texts is better: 1 for the first, 5 for the second.

    Args:
        rubric: the criteria with their weights. Its levels and its scale describe single texts and aren't shown.
        first, second: the texts.
        prompt: what both continue.
        instruction: how to answer, as for ``judge_messages``.
        control_tokens: strings to disarm in the texts.

    >>> chat = pair_messages(Rubric((Criterion("Which is kinder?"),)), "Hello.", "You fool.")
    >>> chat.rubric.lowest, chat.rubric.highest, chat[1]["content"].replace(chat.code, "0f3a").splitlines()[:2]
    (1, 5, ['<<TEXT A 0f3a>>', 'Hello.'])
    """
    plain = tuple(replace(criterion, levels={}) for criterion in rubric.criteria)
    compared = Rubric(plain, FIRST, SECOND)
    return fenced_chat(
        compared,
        lambda code: (
            f"You compare two texts by these criteria:\n{compared.describe()}\n\nThe user shows TEXT A and TEXT B "
            f"between marker lines with the code {code}{_with_prompt(prompt)}. {DATA} Their order means nothing. "
            f"Score from {FIRST} (TEXT A is much better) over 3 (they are equally good) to {SECOND} (TEXT B is much "
            "better), in whole numbers."
        ),
        [*_prompt(prompt), ("TEXT A", first), ("TEXT B", second)],
        f"Compare TEXT A with TEXT B. {asked_for(compared) if instruction is None else instruction}",
        control_tokens,
    )


def list_messages(
    rubric: Rubric,
    texts: Sequence[str],
    *,
    prompt: str | None = None,
    instruction: str | None = None,
    control_tokens: Iterable[str] = (),
) -> Chat:
    """The chat that asks for a score of each of several texts beside the others, on the rubric's scale.

    Args:
        rubric: the criteria, all of which each score is for.
        texts: up to 26.
        prompt: what all continue.
        instruction: how to answer, as for ``judge_messages``.
        control_tokens: strings to disarm in the texts.

    Raises:
        ConfigError: more texts.

    >>> list_messages(Rubric((Criterion("Is it kind?"),)), ["Hello.", "You fool."]).rubric.names
    ('text_a', 'text_b')
    """
    if len(texts) > MOST_TEXTS:
        raise ConfigError(f"A list of {len(texts)} texts is too long for a judge, expected {MOST_TEXTS} or fewer.")
    letters = ascii_lowercase[: len(texts)]
    each = Rubric(
        tuple(Criterion(f"how good TEXT {letter.upper()} is", f"text_{letter}") for letter in letters),
        rubric.lowest,
        rubric.highest,
    )
    return fenced_chat(
        each,
        lambda code: (
            f"You compare {len(texts)} texts by these criteria:\n{rubric.describe()}\n\nThe user shows TEXT A to "
            f"TEXT {letters[-1].upper()} between marker lines with the code {code}{_with_prompt(prompt)}. {DATA} Their "
            f"order means nothing. Give each text a score from {rubric.lowest} (does not meet the criteria) to "
            f"{rubric.highest} (fully meets them), in whole numbers, higher for a better text. Equal scores are for "
            "texts that are equally good."
        ),
        [*_prompt(prompt), *((f"TEXT {letter.upper()}", text) for letter, text in zip(letters, texts, strict=True))],
        f"Compare the texts. {asked_for(each) if instruction is None else instruction}",
        control_tokens,
    )


def _prompt(prompt: str | None) -> list[tuple[str, str]]:
    return [] if prompt is None else [("PROMPT", prompt)]


def _with_prompt(prompt: str | None) -> str:
    return "" if prompt is None else ", with the PROMPT that they continue"
