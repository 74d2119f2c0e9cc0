"""Rewards written as text, for the command line: ``0.7*bleu + 0.3*rougeL``."""

import re
from collections.abc import Callable
from functools import partial

from textgym.errors import ConfigError, did_you_mean
from textgym.rewards.base import BatchReward
from textgym.rewards.bleu import BLEU
from textgym.rewards.chrf import ChrF
from textgym.rewards.exact_match import ExactMatch
from textgym.rewards.keywords import KeywordCoverage
from textgym.rewards.length import Length
from textgym.rewards.rouge import ROUGE
from textgym.rewards.sentiment import Sentiment

REWARD_NAMES: dict[str, Callable[[], BatchReward]] = {
    "bleu": BLEU,
    "rouge1": partial(ROUGE, "1"),
    "rouge2": partial(ROUGE, "2"),
    "rougeL": partial(ROUGE, "L"),
    "rougeLsum": partial(ROUGE, "Lsum"),
    "chrf": ChrF,
    "sentiment": Sentiment,
    "length": Length,
    "coverage": KeywordCoverage,
    "exact_match": ExactMatch,
}

_TOKEN = re.compile(r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z_]\w*)|(?P<sign>[+*]))")


def parse_reward(text: str) -> BatchReward:
    """The reward that a formula of numbers, names, ``+`` and ``*`` describes. Case doesn't matter in names.

    Names: bleu, rouge1, rouge2, rougeL, rougeLsum, chrf, sentiment, length (near that of a reference), coverage,
    exact_match; all with their default settings.

    Raises:
        ConfigError: an unknown name, a misplaced or unknown character, or a formula without a name. It says where.

    >>> parse_reward("0.7*bleu + 0.3*rougeL")
    0.7 * BLEU() + 0.3 * ROUGE('L')
    >>> parse_reward("sentiment*coverage")
    Sentiment() * KeywordCoverage()
    """
    operands: list[list[BatchReward | float]] = [[]]  # terms of factors
    position, expects_operand = 0, True
    stop = len(text.rstrip())
    while position < stop:
        match = _TOKEN.match(text, position)
        if match is None:
            position += len(text[position:]) - len(text[position:].lstrip())
            raise _error(text, position, f"{text[position]!r} is unknown")
        token = match.group(match.lastgroup or 0)
        if (match.lastgroup != "sign") != expects_operand:
            expected = "a number or a name" if expects_operand else "'+' or '*'"
            raise _error(text, match.start(match.lastgroup or 0), f"{token!r} stands where {expected} is expected")
        if match.lastgroup == "number":
            operands[-1].append(float(token))
        elif match.lastgroup == "name":
            operands[-1].append(_named(text, token))
        elif token == "+":
            operands.append([])
        expects_operand = match.lastgroup == "sign"
        position = match.end()
    if expects_operand:
        raise _error(text, stop, "it ends where a number or a name is expected")
    result = _evaluated(operands)
    if not isinstance(result, BatchReward):
        raise ConfigError(f"The reward {text!r} is the number {result}. Name a reward: {', '.join(REWARD_NAMES)}.")
    return result


def _named(text: str, name: str) -> BatchReward:
    lowered = {known.lower(): make for known, make in REWARD_NAMES.items()}
    if name.lower() not in lowered:
        raise ConfigError(f"No reward is called {name!r} (in {text!r}). {did_you_mean(name, REWARD_NAMES)}")
    return lowered[name.lower()]()


def _evaluated(terms: list[list[BatchReward | float]]) -> BatchReward | float:
    total: BatchReward | float | None = None
    for factors in terms:
        product = factors[0]
        for factor in factors[1:]:
            product = product * factor
        total = product if total is None else total + product
    assert total is not None
    return total


def _error(text: str, position: int, problem: str) -> ConfigError:
    return ConfigError(
        f"Can't read the reward {text!r}: {problem}, at character {position + 1}. "
        "Expected numbers and names joined by '+' and '*', such as '0.7*bleu + 0.3*rougeL'."
    )
