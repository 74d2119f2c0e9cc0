"""Rewards as formulas, for the command line and ``gymnasium.make``: ``0.7*bleu + 0.3*rougeL``."""

import re
from collections.abc import Callable
from typing import Any

from textgym.errors import ConfigError
from textgym.rewards.base import BatchReward
from textgym.rewards.bounds import Clip, Gate, Max, Min
from textgym.rewards.fallback import Fallback
from textgym.rewards.registry import formula_names, make_reward

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)|(?P<name>[A-Za-z_]\w*)|(?P<sign>[-+*/(),=])"
    r"|(?P<text>'[^']*'|\"[^\"]*\"))"
)
_EQUALS = re.compile(r"\s*=")
CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "none": None}
# What makes a reward from others, and what it takes.
FUNCTIONS: dict[str, tuple[Callable[..., BatchReward], str]] = {
    "min": (Min, "rewards, and numbers"),
    "max": (Max, "rewards, and numbers"),
    "clip": (Clip, "a reward and two numbers, the lower one first"),
    "gate": (Gate, "a reward and a number"),
    "fallback": (Fallback, "a reward, and 'raise', 'abstain', 'mean' or a number"),
}
_DEPTH = 50  # of parentheses and signs within each other


def parse_reward(text: str) -> BatchReward:
    """The reward that a formula of numbers, names, ``+ - * /`` and parentheses describes. Case doesn't matter in names.

    Names: those of ``textgym.rewards.REWARDS``, with arguments in parentheses, such as ``length(maximum=20)``: numbers,
    texts in quotes, ``true``, ``false``, ``none`` or rewards. Functions: ``min(...)``, ``max(...)``,
    ``clip(reward, low, high)``, ``gate(reward, at)``, ``fallback(reward, on_failure)``. A
    reward can be divided by a number.

    Raises:
        ConfigError: an unknown name, a misplaced or unknown character, no name, or an argument that a reward doesn't
            take. The message names the place.

    >>> parse_reward("0.7*bleu + 0.3*rougeL")
    0.7 * BLEU() + 0.3 * ROUGE('L')
    >>> parse_reward("sentiment*coverage"), parse_reward("(bleu - chrf/2) * no_repeats")
    (Sentiment() * KeywordCoverage(), (BLEU() - 0.5 * ChrF()) * NoRepeats())
    >>> parse_reward("sentiment * gate(no_repeats, 0.8)"), parse_reward("length(8, unit='words') - 1")
    (Sentiment() * Gate(NoRepeats(), 0.8), Length(target=8, unit='words') - 1)
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
        place = self.place
        self.advance()
        if kind == "number":
            return float(token)
        if self.token != "(":
            return self.named(token, place, [], {})
        positional, named = self.arguments()
        if token.lower() not in FUNCTIONS:
            return self.named(token, place, positional, named)
        made, signature = FUNCTIONS[token.lower()]
        try:
            return made(*positional, **named)
        except (TypeError, ConfigError):
            raise _error(self.text, place, f"{token.lower()} takes {signature}") from None

    def arguments(self) -> tuple[list[Any], dict[str, Any]]:
        """What is in parentheses after a name: values, and then values with names."""
        self.depth += 1
        positional: list[Any] = []
        named: dict[str, Any] = {}
        self.advance()
        while self.token != ")":
            if self.kind == "name" and _EQUALS.match(self.text, self.position):
                name, place = self.token, self.place
                self.advance()
                self.advance()
                if name in named:
                    raise _error(self.text, place, f"{name} is given twice")
                named[name] = self.value()
            elif named:
                raise self.expected("name=value")
            else:
                positional.append(self.value())
            if self.token == ",":
                self.advance()
            elif self.token != ")":
                raise self.expected("',' or ')'")
        self.depth -= 1
        self.advance()
        return positional, named

    def value(self) -> Any:
        """An argument: a text, a constant, a number or a formula. A number without a fraction is an integer."""
        kind, token = self.kind, self.token
        if kind == "text" or (kind == "name" and token.lower() in CONSTANTS):
            self.advance()
            return token[1:-1] if kind == "text" else CONSTANTS[token.lower()]
        value = self.sum()
        return int(value) if isinstance(value, float) and value.is_integer() else value

    def named(self, name: str, place: int, positional: list[Any], named: dict[str, Any]) -> BatchReward:
        """The reward of a name."""
        try:
            return make_reward(name, *positional, **named)
        except ConfigError as error:
            whole = self.text.strip() == name
            raise ConfigError(str(error) if whole else f"{error} The formula is {self.text!r}.") from None


def _error(text: str, position: int, problem: str) -> ConfigError:
    return ConfigError(
        f"Can't read the reward {text!r}: {problem}, at character {position + 1}. "
        "Expected numbers and names joined by + - * / and parentheses, such as '0.7*bleu + 0.3*rougeL'."
    )
