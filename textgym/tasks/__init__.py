"""The tasks: one file per family, and the table of their names.

A task of the package is a file here, with its import and its row in ``TASKS``: its id, its reward (``default_reward``),
its place in the README and its share in the training of the built-in models follow. One from elsewhere is a call of
``textgym.register``.

One rule joins prompts and completions in every family: a prompt ends with a colon or a word, the completion follows it
directly and begins with a space. References are stored without that space, so a training text is
``prompt.text + " " + reference``.
"""

from collections.abc import Iterator

import numpy as np

from textgym.errors import ConfigError, did_you_mean
from textgym.tasks.alignment import Alignment
from textgym.tasks.arithmetic import Arithmetic
from textgym.tasks.base import WorldTask
from textgym.tasks.classification import Classification
from textgym.tasks.concepts_to_sentence import ConceptsToSentence
from textgym.tasks.conversations import CONVERSATIONS, ConversationTask
from textgym.tasks.copy import Copy
from textgym.tasks.data_to_text import DataToText
from textgym.tasks.dialogue_reply import DialogueReply
from textgym.tasks.probes import PROBES
from textgym.tasks.program_induction import ProgramInduction
from textgym.tasks.python_code import PythonCode
from textgym.tasks.question_answering import QuestionAnswering
from textgym.tasks.sentiment_continuation import SentimentContinuation
from textgym.tasks.story import Story
from textgym.tasks.summarization import Summarization
from textgym.tasks.translation import Translation
from textgym.tasks.verse import Verse
from textgym.world import SPLITS, Draw

__all__ = [
    "CONVERSATIONS",
    "OPT_IN",
    "PROBES",
    "TASKS",
    "Alignment",
    "Arithmetic",
    "Classification",
    "ConceptsToSentence",
    "ConversationTask",
    "Copy",
    "DataToText",
    "DialogueReply",
    "ProgramInduction",
    "PythonCode",
    "QuestionAnswering",
    "SentimentContinuation",
    "Story",
    "Summarization",
    "Translation",
    "Verse",
    "WorldTask",
    "taught_variants",
    "training_texts",
]

TASKS: dict[str, type[WorldTask]] = {
    "DataToText": DataToText,
    "Summarization": Summarization,
    "Translation": Translation,
    "SentimentContinuation": SentimentContinuation,
    "Copy": Copy,
    "ProgramInduction": ProgramInduction,
    "Arithmetic": Arithmetic,
    "ConceptsToSentence": ConceptsToSentence,
    "QuestionAnswering": QuestionAnswering,
    "Classification": Classification,
    "DialogueReply": DialogueReply,
    "Alignment": Alignment,
    "Story": Story,
    "Verse": Verse,
}

# Tasks whose environments refuse without an argument that the class names, ``opt_in``.
OPT_IN: dict[str, type[WorldTask]] = {"PythonCode": PythonCode}


def taught_variants(name: str, seed: int = 0) -> list[WorldTask]:
    """The variants of a task that the built-in models are trained on, in the train split, in equal shares.

    Raises:
        ConfigError: no such task.

    >>> [task.max_prompt_tokens for task in taught_variants("QuestionAnswering")]
    [128, 352]
    """
    if name not in TASKS:
        raise ConfigError(f"No task is called {name!r}. {did_you_mean(name, TASKS)}")
    return [TASKS[name](seed=seed, **arguments) for arguments in TASKS[name].taught]


def training_texts(name: str, count: int, seed: int = 0, variants: bool = True) -> Iterator[tuple[str, str]]:
    """Pairs of prompt and completion (with its leading space) from a task's train split, to train a model on.

    The variants in the task's ``taught`` take turns. Each prompt comes with one of its task's ``training_completions``
    at random; a pair whose completion is a held-out prompt of another variant is left out. Without ``variants`` there
    is the task alone as it is by default.

    Raises:
        ConfigError: no such task.

    >>> [(prompt, completion)] = training_texts("Copy", 1)
    >>> prompt == f"Words:{completion}\\nCopy:"
    True
    """
    tasks = taught_variants(name, seed) if variants or name not in TASKS else [TASKS[name](seed=seed)]
    # One stream of its own, beside those of the splits.
    draw = Draw(np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(len(SPLITS),)))))
    left, index = count, 0
    while left > 0:
        task = tasks[index % len(tasks)]
        completion = draw.pick(task.training_completions(index))
        if not task.is_held_out(completion):
            yield task[index].text, f" {completion}"
            left -= 1
        index += 1
