"""Rewards as formulas, for the command line and ``gymnasium.make``: ``0.7*bleu + 0.3*rougeL``."""

import re

from textgym.errors import ConfigError
from textgym.rewards.base import BatchReward
from textgym.rewards.registry import formula_names, make_reward

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)|(?P<name>[A-Za-z_]\w*)|(?P<sign>[+*]))"
)


def parse_reward(text: str) -> BatchReward:
    """The reward that a formula of numbers, names, ``+`` and ``*`` describes. Case doesn't matter in names.

    Names: those of ``textgym.rewards.REWARDS`` that need no arguments, each with its default settings.

    Raises:
        ConfigError: an unknown name, a misplaced or unknown character, or no name. The message names the place.

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
            raise _error(text, match.start(match.lastgroup or 0), f"{token!r} is where {expected} is expected")
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
        raise ConfigError(f"The reward {text!r} is the number {result}. Name a reward: {', '.join(formula_names())}.")
    return result


def _named(text: str, name: str) -> BatchReward:
    try:
        return make_reward(name)
    except ConfigError as error:
        raise ConfigError(str(error) if text.strip() == name else f"{error} The formula is {text!r}.") from None


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
