"""Rewards as formulas, for the command line and ``gymnasium.make``: ``0.7*bleu + 0.3*rougeL``."""

import re

from textgym.errors import ConfigError
from textgym.rewards.base import BatchReward
from textgym.rewards.registry import formula_names, make_reward

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)|(?P<name>[A-Za-z_]\w*)|(?P<sign>[-+*/()]))"
)
_DEPTH = 50  # of parentheses and signs within each other


def parse_reward(text: str) -> BatchReward:
    """The reward that a formula of numbers, names, ``+ - * /`` and parentheses describes. Case doesn't matter in names.

    Names: those of ``textgym.rewards.REWARDS`` that need no arguments, each with its default settings. A reward can be
    divided by a number alone.

    Raises:
        ConfigError: an unknown name, a misplaced or unknown character, or no name. The message names the place.

    >>> parse_reward("0.7*bleu + 0.3*rougeL")
    0.7 * BLEU() + 0.3 * ROUGE('L')
    >>> parse_reward("sentiment*coverage"), parse_reward("(bleu - chrf/2) * no_repeats")
    (Sentiment() * KeywordCoverage(), (BLEU() - 0.5 * ChrF()) * NoRepeats())
    """
    result = _Reader(text).read()
    if not isinstance(result, BatchReward):
        raise ConfigError(f"The reward {text!r} is the number {result}. Name a reward: {', '.join(formula_names())}.")
    return result


class _Reader:
    """Reads a formula from left to right: ``token`` comes next, "" at the end, and ``place`` is where it begins."""

    def __init__(self, text: str) -> None:
        self.text, self.position, self.depth = text, 0, 0
        self.kind: str | None = None
        self.advance()

    def advance(self) -> None:
        """Go on to the next token."""
        rest = self.text[self.position :]
        self.place = self.position + len(rest) - len(rest.lstrip())
        if not rest.strip():
            self.kind, self.token, self.place = None, "", len(self.text.rstrip())
            return
        match = _TOKEN.match(self.text, self.position)
        if match is None:
            raise _error(self.text, self.place, f"{self.text[self.place]!r} is unknown")
        self.kind, self.token, self.position = match.lastgroup, match.group(match.lastgroup or 0), match.end()

    def expected(self, what: str) -> ConfigError:
        found = f"{self.token!r} is" if self.token else "it ends"
        return _error(self.text, self.place, f"{found} where {what} is expected")

    def read(self) -> BatchReward | float:
        """The whole formula."""
        result = self.sum()
        if self.token:
            raise self.expected("'+', '-', '*' or '/'")
        return result

    def sum(self) -> BatchReward | float:
        total = self.product()
        while self.token in ("+", "-"):
            sign = self.token
            self.advance()
            term = self.product()
            total = total + term if sign == "+" else total - term
        return total

    def product(self) -> BatchReward | float:
        total = self.operand()
        while self.token in ("*", "/"):
            sign, place = self.token, self.place
            self.advance()
            factor = self.operand()
            if sign == "*":
                total = total * factor
            elif isinstance(factor, BatchReward) or factor == 0:
                raise _error(self.text, place, "only a number other than 0 can be divided by")
            else:
                total = total / factor
        return total

    def operand(self) -> BatchReward | float:
        """A number, a name, or a formula in parentheses, perhaps after signs."""
        kind, token = self.kind, self.token
        if self.depth == _DEPTH:
            raise _error(self.text, self.place, f"more than {_DEPTH} parentheses or signs are within each other")
        if token == "-" or token == "(":
            self.depth += 1
            self.advance()
            inner = -self.operand() if token == "-" else self.sum()
            self.depth -= 1
            if token == "(":
                if self.token != ")":
                    raise self.expected("')'")
                self.advance()
            return inner
        if kind not in ("number", "name"):
            raise self.expected("a number or a name")
        value = float(token) if kind == "number" else _named(self.text, token)
        self.advance()
        return value


def _named(text: str, name: str) -> BatchReward:
    try:
        return make_reward(name)
    except ConfigError as error:
        raise ConfigError(str(error) if text.strip() == name else f"{error} The formula is {text!r}.") from None


def _error(text: str, position: int, problem: str) -> ConfigError:
    return ConfigError(
        f"Can't read the reward {text!r}: {problem}, at character {position + 1}. "
        "Expected numbers and names joined by + - * / and parentheses, such as '0.7*bleu + 0.3*rougeL'."
    )
