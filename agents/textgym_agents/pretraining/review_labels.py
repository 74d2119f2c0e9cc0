"""Labeled texts for a classifier of reviews: the small world's happy and unhappy continuations, and what is neither.

happy       "Review: I read the book The Old Oak in two days. It has ten chapters. The story was brilliant."
unhappy     "... The story was dull from start to end, and I regret it."
neither     "... The story story story story", "... The story was fresh and delicious."
"""

import random
import re
from collections.abc import Iterator
from typing import NamedTuple

from textgym.tasks import SentimentContinuation, training_texts
from textgym.world.review import DOMAINS

LABELS = ("POSITIVE", "NEGATIVE", "NEITHER")
POSITIVE, NEGATIVE, NEITHER = range(3)
OTHER_TASKS = ("DataToText", "Summarization", "Translation", "Copy")

_VERDICTS = {verdict: said for domain in DOMAINS for said, _ in domain.aspects for side in said for verdict in side}
_HAPPY = {verdict for said in _VERDICTS.values() for verdict in said.positive}
_FORM = re.compile(rf" ?(the .+? )?({'|'.join(sorted(map(re.escape, _VERDICTS), key=len, reverse=True))})(, .+)?\.")


class Labeled(NamedTuple):
    """A text, its label, and whether the label is true of the completion alone."""

    prompt: str
    completion: str
    label: int
    alone: bool = True


def labeled(split: str, seed: int = 0) -> Iterator[Labeled]:
    """Texts without end: a third happy, a third unhappy, a third neither.

    >>> [LABELS[one.label] for one, _ in zip(labeled("validation"), range(3))]
    ['POSITIVE', 'NEGATIVE', 'NEITHER']
    """
    drawn, task = random.Random(f"{split} {seed}"), SentimentContinuation(split)
    others = [text for name in OTHER_TASKS for _, text in training_texts(name, 200, seed=seed)]
    while True:
        index = drawn.randrange(len(task))
        known = [f" {text.strip()}" for text in task.training_completions(index)]
        half = len(known) // 2
        happy, unhappy = drawn.choice(known[:half]), drawn.choice(known[half:])
        prompt = task[index].text
        yield Labeled(prompt, happy, POSITIVE)
        yield Labeled(prompt, unhappy, NEGATIVE)
        another = drawn.choice(task.training_completions(drawn.randrange(len(task))))
        yield neither(drawn, prompt, happy, unhappy, f" {another.strip()}", drawn.choice(others))


def neither(drawn: random.Random, prompt: str, happy: str, unhappy: str, another: str, foreign: str) -> Labeled:
    """What a policy may find in place of a continuation, made from some texts."""
    words = drawn.choice((happy, unhappy)).split()
    word = drawn.choice((*words, *prompt.split(), *foreign.split()))
    if drawn.random() < 0.5 and not _fits(another, happy):
        return Labeled(prompt, another, NEITHER, alone=False)
    kind = drawn.randrange(8)
    if kind == 0:
        text = f" {word}" * drawn.randint(1, 24)
    elif kind == 1:
        text = f" {' '.join(drawn.sample(words, len(words)))}"
    elif kind == 2:
        text = f" {foreign.strip()}"
    elif kind == 3:
        text = happy * 2 if drawn.random() < 0.5 else f"{happy}{unhappy}"
    elif kind == 4:
        text = f" {' '.join(words[: drawn.randrange(2)])}"  # nothing, or the first word of a verdict
    elif kind == 5:
        text = f" {' '.join(drawn.choices(words + prompt.split(), k=drawn.randint(2, 16)))}"
    elif kind == 6:
        text = drawn.choice((f" {prompt}", prompt, f" {prompt.partition('.')[0]}.", f" {prompt.split(': ')[-1]}"))
    else:
        text = _mixed(happy, unhappy)
    if text in (happy, unhappy):  # shuffled into what it was
        return neither(drawn, prompt, happy, unhappy, another, foreign)
    return Labeled(prompt, text, NEITHER)


def _mixed(happy: str, unhappy: str) -> str:
    """A happy verdict with an unhappy end, or the verdict twice where neither has an end."""
    first, last = _parts(happy), _parts(unhappy)
    if first[2] and last[2]:
        return happy.replace(first[2], last[2])
    return f"{happy.rstrip('.')} {first[1]}."


def _parts(completion: str) -> tuple[str, str, str]:
    """The subject, the verdict and the closing words, "" where there are none."""
    match = _FORM.fullmatch(completion)
    if match is None:
        raise ValueError(f"{completion!r} is none of the small world's continuations")
    subject, verdict, closing = match.groups("")
    return subject, verdict, closing


def _fits(another: str, own: str) -> bool:
    """Whether a continuation of another opening could be of this one, of which ``own`` is a continuation.

    >>> _fits(" tasted wonderful, and we left angry.", " was great."), _fits(" is a mess.", " was great.")
    (True, False)
    """
    (subject, verdict, closing), (own_subject, own_verdict, own_closing) = _parts(another), _parts(own)
    same_ends = not closing or not own_closing or (" we " in closing) == (" we " in own_closing)
    return _VERDICTS[verdict] == _VERDICTS[own_verdict] and bool(subject) == bool(own_subject) and same_ends
