"""What the built-in models are taught: texts of the tasks, and dialogues of the conversations, in endless streams."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from textgym.errors import ConfigError, did_you_mean
from textgym.tasks import CONVERSATIONS, TASKS, training_texts
from textgym.tasks.conversations import ConversationTask

# Shares in the batches of the models that know five tasks. German is learned from Translation alone there, so it needs
# the most.
FIRST_SHARES = {
    "DataToText": 0.15,
    "Summarization": 0.17,
    "Translation": 0.36,
    "SentimentContinuation": 0.12,
    "Copy": 0.20,
}
# The chance that an utterance of a dialogue is the oracle's, and not a random one. Players of all skills are met alike:
# a model of them reads what was replied, and has as much to learn.
SKILLS = (0.0, 0.25, 0.5)


OTHERS = "others"  # the tasks without a weight of their own


class Piece(NamedTuple):
    """A part of a text. ``written``: the model writes it, and an end token after it; it reads the others."""

    text: str
    written: bool


Lesson = tuple[Piece, ...]  # the first piece is a prompt


def shares(weights: Mapping[str, float] | None = None) -> dict[str, float]:
    """The share of each task and conversation in the batches.

    Args:
        weights: of tasks; they need not add up to 1. Those under "others" are all that have none of their own.
            None: all there are, alike.

    Raises:
        ConfigError: there is no such task, or a weight is no positive number.

    >>> shares({"Copy": 1, "Shop": 3})
    {'Copy': 0.25, 'Shop': 0.75}
    >>> everything = shares({"Shop": 2, "others": 1})
    >>> "Arithmetic" in everything, round(everything["Shop"] / everything["Recall"], 6)
    (True, 2.0)
    """
    known = (*TASKS, *CONVERSATIONS)
    weights = {OTHERS: 1.0} if weights is None else weights
    for name, weight in weights.items():
        if name not in (*known, OTHERS):
            raise ConfigError(f"No task is called {name!r}. {did_you_mean(name, (*known, OTHERS))}")
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < float("inf"):
            raise ConfigError(f"The weight of {name} is {weight!r}, expected a positive number.")
    if OTHERS in weights:
        weights = {name: weights.get(name, weights[OTHERS]) for name in known}
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


def lessons(name: str, seed: int = 0, variants: bool = True, skills: Sequence[float] = SKILLS) -> Iterator[Lesson]:
    """Texts of a task's train split, or dialogues of a conversation between players and its partner, without end.

    Args:
        name: of a task or conversation.
        seed: of the texts.
        variants: the task's ``taught`` ones, in place of the task as it is by default alone.
        skills: of the players, see ``ConversationTask.dialogues``. As many dialogues are by the players of each.

    >>> next(lessons("Copy", seed=3))[1].text == next(training_texts("Copy", 1, seed=3))[1]
    True
    >>> [piece.text for piece in next(lessons("Shop"))[1:4]]
    [' look table', '\\ncheap, metal\\nClerk:', ' material']
    """
    while True:
        if name in CONVERSATIONS:
            yield from _dialogues(CONVERSATIONS[name](seed=seed), seed, skills)
        else:
            for prompt, completion in training_texts(name, 10_000, seed=seed, variants=variants):
                yield Piece(prompt, False), Piece(completion, True)
        seed += 1


def _dialogues(task: ConversationTask, seed: int, skills: Sequence[float], number: int = 300) -> Iterator[Lesson]:
    """Dialogues about the first prompts of a task, as many by the players of each skill, in random order."""
    before, after = task.turn_template
    played = [one for skill in skills for one in task.dialogues(number, skill=skill, seed=seed)]
    for index in np.random.default_rng(np.random.SeedSequence(seed)).permutation(len(played)):
        turns = [(turn["speaker"] == "policy", turn["text"]) for turn in played[index]["turns"]]
        turns = turns if turns[-1][0] else turns[:-1]  # nobody reads the last reply
        said = (Piece(text if written else before + text + after, written) for written, text in turns)
        yield Piece(played[index]["prompt"], False), *said
