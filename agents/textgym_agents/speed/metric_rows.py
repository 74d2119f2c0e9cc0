"""The row of the table about rewards by metrics: texts a second, against the reference tool where it is installed."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from itertools import count
from typing import Any

import numpy as np

from textgym.core import Reward, Sample
from textgym.metrics.bleu import bleu_words
from textgym.rewards import CIDEr, parse_reward
from textgym.scoring import score_samples
from textgym.tasks import DataToText
from textgym_agents.report.timing import Entry, Result, compare, take_turns
from textgym_agents.speed.plan import Job, Plan

PROMPTS = 80  # of DataToText, with three references each, every one a completion against the other two
FORMULAS = (
    "bleu",
    "rouge1",
    "rougeL",
    "rougeLsum",
    "chrf",
    "gleu",
    "ter",
    "meteor",
    "token_f1",
    "exact_match",
    "cider",
    "parent",
    "faithfulness",
    "coverage",
    "sentiment",
    "distinct2",
    "no_repeats",
    "self_bleu",
    "json",
    "pattern('.*[.]')",
    "rhyme",
    "meter",
    "fluency",
    "embedding('textgym/small')",
    "bertscore('textgym/small')",
)
NEEDED = {"meteor": "nltk", "rhyme": "pronouncing", "meter": "pronouncing"}
NOTE = "Other texts at each turn: references of DataToText, of about 15 words, with a number behind."
Tool = Callable[[str, Sequence[str]], object]


def metrics(plan: Plan) -> Iterator[Job]:
    """Batches of texts scored by each reward."""
    for formula in FORMULAS:
        what = f"{formula} of {3 * PROMPTS} texts"
        yield Job("metrics", what, partial(score_time, plan, formula, what))


def score_time(plan: Plan, formula: str, what: str, prompts: int = PROMPTS) -> list[Result]:
    """Texts a second, and how many times as many as the tool that the field uses."""
    about: dict[str, Any] = {"row": "metrics", "what": what, "note": NOTE, "setting": {"texts": 3 * prompts}}
    needed = NEEDED.get(formula)
    if needed is not None and find_spec(needed) is None:
        return [Result(value=None, repeats=(), **{**about, "note": f"{needed} is not installed: pip install {needed}"})]
    reward: Reward = CIDEr(DataToText("train"), 200) if formula == "cider" else parse_reward(formula)
    entries = [_entry("textgym", lambda samples: score_samples(reward, samples), prompts)]
    tool = tool_of(formula)
    if tool is None:
        (series,) = take_turns(entries, plan.repeats)
        speed = float(np.median(series.speeds))
        return [Result(value=speed, repeats=series.speeds, shown="number", series=(series,), unit="texts/s", **about)]
    name, score = tool
    entries.append(_entry(name, lambda samples: [score(one.completion, one.references) for one in samples], prompts))
    ours, usual = take_turns(entries, plan.repeats)
    return [compare(ours, usual, unit="texts/s", **about)]


def _entry(name: str, score: Callable[[Sequence[Sample]], object], prompts: int) -> Entry:
    """Something that scores a batch, of other completions each time, so that nothing but references is remembered."""
    known, turns = texts(prompts), count()
    batch: list[Sample] = []

    def renew() -> None:
        turn = next(turns)
        batch[:] = [
            Sample(one.prompt, f"{one.completion} {turn}", one.references, metadata=one.metadata) for one in known
        ]

    def run() -> int:
        score(batch)
        return len(batch)

    return Entry(name, run, before=renew)


def texts(prompts: int) -> list[Sample]:
    """Every reference of the first prompts as a completion, against the others of its prompt.

    >>> len(texts(2)), len(texts(2)[0].references)
    (6, 2)
    """
    task, found = DataToText("test"), []
    for i in range(prompts):
        prompt = task[i]
        for j, text in enumerate(prompt.references):
            others = (*prompt.references[:j], *prompt.references[j + 1 :])
            found.append(Sample(prompt.text, f" {text}", others, metadata=prompt.metadata))
    return found


def tool_of(formula: str) -> tuple[str, Tool] | None:
    """The tool that gives the same number, where there is one and it is installed."""
    if formula in ("bleu", "chrf", "ter"):
        import sacrebleu

        made: Any = {"bleu": sacrebleu.BLEU(effective_order=True), "chrf": sacrebleu.CHRF(), "ter": sacrebleu.TER()}
        return "sacrebleu", lambda text, references: made[formula].sentence_score(text, list(references))
    if formula.startswith("rouge") and find_spec("rouge_score"):
        from rouge_score.rouge_scorer import RougeScorer  # type: ignore[import-untyped]

        scorer = RougeScorer([formula])
        return "rouge-score", lambda text, references: scorer.score_multi(references, text)
    if formula in ("gleu", "meteor") and find_spec("nltk"):
        return "nltk", _nltk_gleu if formula == "gleu" else _nltk_meteor
    return None


def _nltk_gleu(text: str, references: Sequence[str]) -> object:
    from nltk.translate.gleu_score import sentence_gleu  # type: ignore[import-untyped]

    return sentence_gleu([bleu_words(one, "13a", False) for one in references], bleu_words(text, "13a", False))


def _nltk_meteor(text: str, references: Sequence[str]) -> object:
    from nltk.translate.meteor_score import meteor_score  # type: ignore[import-untyped]

    words = [bleu_words(one, "13a", False) for one in references]
    return meteor_score(words, bleu_words(text, "13a", False), wordnet=_NoSynonyms())


class _NoSynonyms:
    """A WordNet without a word: nltk's own is a download."""

    def synsets(self, word: str) -> list[Any]:
        return []
