"""Rewards made from others: weighted sums and products."""

import math
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Real
from typing import Any

from textgym.core import Reward, Sample, Score
from textgym.errors import ConfigError, did_you_mean
from textgym.rewards.base import Ask, BatchReward, Value, check_batch
from textgym.rewards.functions import as_reward
from textgym.scoring import background_of, reward_name, score_samples, scores_groups


def is_operand(value: object) -> bool:
    """Whether ``value`` can take part in a reward's arithmetic: a number or a reward."""
    return isinstance(value, Real) or callable(value)


class Composite(BatchReward):
    """A reward computed from the values of others, its leaves.

    Each leaf object is called once per batch, however often it occurs. The components of a score are the values of
    the leaves, unweighted, by name; a name that occurs again gets a number ("bleu", "bleu_2"). A leaf's own components
    follow under its name: "judge_clarity". The ``failure`` of a leaf is one of the score, also where there is a value.
    """

    @abstractmethod
    def parts(self) -> "tuple[BatchReward, ...]":
        """The rewards directly below."""

    @property
    def scope(self) -> str:  # type: ignore[override]
        """ "group" if one of the leaves compares completions of one prompt."""
        return "group" if any(scores_groups(leaf) for leaf in self.leaves()) else "sample"

    @property
    def background(self) -> int:  # type: ignore[override]
        """The most batches at a time of any leaf. Only the leaves that may be asked in the background are."""
        return max(background_of(leaf) for leaf in self.leaves())

    def statistics(self) -> dict[str, float]:
        """Those of the leaves, under their names."""
        leaves = self.leaves()
        return statistics_of(unique_names(reward_name(leaf) for leaf in leaves), leaves)

    @abstractmethod
    def value_of(self, values: Mapping[int, float | None], /) -> float | None:
        """The value for one sample, from the values of the leaves by their ``id``; None to abstain."""

    def leaves(self) -> list[BatchReward]:
        """Every reward at the bottom, each object once, from left to right."""
        leaves: dict[int, BatchReward] = {}
        for part in self.parts():
            for leaf in part.leaves() if isinstance(part, Composite) else [part]:
                leaves.setdefault(id(leaf), leaf)
        return list(leaves.values())

    def __call__(self, samples: Sequence[Sample], /) -> list[Value]:
        check_batch(self, samples)
        return self._joined(samples, [score_samples(leaf, samples) for leaf in self.leaves()])

    def begin_scoring(self, samples: Sequence[Sample], ask: Ask) -> Callable[[], list[Value]]:
        """Begin to score a batch: each leaf as it may be asked. Returns what waits for the values."""
        asked = [ask(leaf, samples) for leaf in self.leaves()]
        return lambda: self._joined(samples, [wait() for wait in asked])

    def _joined(self, samples: Sequence[Sample], columns: Sequence[Sequence[Score]]) -> list[Value]:
        """The values of a batch, from the scores of each leaf."""
        leaves = self.leaves()
        names = unique_names(reward_name(leaf) for leaf in leaves)
        scores: list[Value] = []
        for i in range(len(samples)):
            row = [column[i] for column in columns]
            value = self.value_of({id(leaf): score.value for leaf, score in zip(leaves, row, strict=True)})
            failures = dict.fromkeys(score.failure for score in row if score.failure)
            scores.append(Score(value, _components(leaves, names, row), "; ".join(failures)))
        return scores

    def score(self, sample: Sample, /) -> Value:
        return self([sample])[0]


def _components(leaves: Sequence[BatchReward], names: Sequence[str], row: Sequence[Score]) -> dict[str, float]:
    components = {name: score.value for name, score in zip(names, row, strict=True) if score.value is not None}
    for leaf, name, score in zip(leaves, names, row, strict=True):
        for part, value in score.components.items():
            key = f"{name}_{part.removeprefix(f'{reward_name(leaf)}_')}"
            components[next(k for k in _numbered(key) if k not in components and k not in names)] = value
    return components


def statistics_of(names: Iterable[str], rewards: Iterable[BatchReward]) -> dict[str, float]:
    """The statistics of several rewards, each under its name here in place of its own."""
    found: dict[str, float] = {}
    for name, reward in zip(names, rewards, strict=True):
        own = f"{reward_name(reward)}_"
        found |= {f"{name}_{part.removeprefix(own)}": value for part, value in reward.statistics().items()}
    return found


def unique_names(names: Iterable[str]) -> list[str]:
    """The names, with a number after each that occurred before.

    >>> unique_names(["bleu", "rougeL", "bleu", "bleu"])
    ['bleu', 'rougeL', 'bleu_2', 'bleu_3']
    """
    unique: list[str] = []
    for name in names:
        unique.append(next(candidate for candidate in _numbered(name) if candidate not in unique))
    return unique


def _numbered(name: str) -> Iterable[str]:
    yield name
    number = 2
    while True:
        yield f"{name}_{number}"
        number += 1


class WeightedSum(Composite):
    """The sum of weight times value over its terms, plus a constant. What ``0.7 * BLEU() + 0.3 * ROUGE("L")`` makes.

    Sums within sums are written out: ``0.5 * (a + b) + c`` has three terms.

    A term that abstains (None) is left out, and the others keep their weights: ``a + b`` is ``a`` where b abstains.
    With ``renormalize=True`` (or ``.renormalized()``) the others take over its weight in proportion, so that a sum of
    weights 0.7 and 0.3 stays an average. When every term with a weight other than 0 abstains, so does the sum.
    A term of weight 0 is only reported in the components.

    Where a required term abstains, so does the sum. A penalty beside bonuses is required unless ``required`` says
    otherwise: left out, it would let through what it is there to stop, as ``a - b`` and ``a + (1 - b)`` do.

    Args:
        terms: pairs of weight and reward.
        constant: added to every value.
        renormalize: whether present terms take over the weight of those that abstain. Weights must have one sign.
        required: terms by their position. None: those of negative weight, if other terms have a positive one.

    Raises:
        ConfigError: no terms, a weight that is no finite number, ``renormalize`` with weights of both signs, or
            a required term that isn't there.

    >>> from textgym.rewards import ExactMatch, KeywordCoverage
    >>> reward = 0.5 * ExactMatch() + 0.5 * KeywordCoverage()
    >>> reward([Sample("", "A cat.", ("a cat",), metadata={"keywords": ["cat", "mat"]})])
    [Score(value=0.75, components={'exact_match': 1.0, 'coverage': 0.5})]
    >>> no_keywords = Sample("", "A dog.", ("a dog",))
    >>> reward([no_keywords])[0].value, reward.renormalized()([no_keywords])[0].value
    (0.5, 1.0)
    >>> reward.requiring("coverage")([no_keywords])[0].value is None
    True
    """

    def __init__(
        self,
        terms: Iterable[tuple[float, Reward]],
        constant: float = 0.0,
        renormalize: bool = False,
        required: Iterable[int] | None = None,
    ) -> None:
        self.terms = tuple((_number(weight, "weight"), as_reward(reward)) for weight, reward in terms)
        self.constant = _number(constant, "constant")
        self.renormalize = renormalize
        if not self.terms:
            raise ConfigError("A weighted sum needs at least one reward: WeightedSum([(1.0, BLEU())]).")
        if renormalize and min(self._weights()) < 0 < max(self._weights()):
            raise ConfigError(
                f"renormalize=True needs weights of one sign, got {self._weights()}. A bonus can't take over the "
                "weight of a penalty: renormalize the sum of the bonuses and subtract the penalty from it."
            )
        self.chosen = None if required is None else frozenset(required)  # None: nobody has said which are required
        missing = sorted((self.chosen or frozenset()) - set(range(len(self.terms))))
        if missing:
            raise ConfigError(f"required has {missing[0]}, expected positions of terms, 0 to {len(self.terms) - 1}.")

    @property
    def required(self) -> frozenset[int]:
        """The positions of the terms without which there is no sum."""
        if self.chosen is not None:
            return self.chosen
        bonuses = any(weight > 0 for weight in self._weights())
        return frozenset(i for i, weight in enumerate(self._weights()) if weight < 0 and bonuses)

    @classmethod
    def of(cls, *terms: tuple[float, "Reward | float"]) -> "WeightedSum":
        """A sum of weighted operands, rewards or numbers, with sums among them written out."""
        flat: list[tuple[float, Reward]] = []
        constant = 0.0
        for weight, operand in terms:
            if isinstance(operand, Real):
                constant += weight * float(operand)
            elif isinstance(operand, WeightedSum) and not operand.renormalize and operand.chosen is None:
                flat += [(weight * inner, reward) for inner, reward in operand.terms]
                constant += weight * operand.constant
            else:
                assert not isinstance(operand, int | float)
                flat.append((weight, operand))
        return cls(flat, constant)

    def is_scaled_reward(self) -> bool:
        """Whether this is nothing but one reward times a number."""
        return len(self.terms) == 1 and self.constant == 0 and not self.chosen

    def _weights(self) -> list[float]:
        return [weight for weight, _ in self.terms]

    @property
    def name(self) -> str:  # type: ignore[override]
        """The formula, in the names of its parts."""
        return self._formula(_short_name)

    def __repr__(self) -> str:
        text = f"({self._formula(repr)}).renormalized()" if self.renormalize else self._formula(repr)
        if self.chosen is None:
            return text
        names = ", ".join(repr(self._term_names()[i]) for i in sorted(self.chosen))
        return f"{text if self.renormalize else f'({text})'}.requiring({names})"

    def _formula(self, describe: Callable[[BatchReward], str]) -> str:
        text = ""
        for weight, reward in self.terms:
            factor = "" if abs(weight) == 1 else f"{abs(weight):.12g} * "
            sign = "-" if weight < 0 else "+"
            inner = f"({describe(reward)})" if isinstance(reward, WeightedSum) else describe(reward)
            text += f" {sign} {factor}{inner}" if text else f"{sign.strip('+')}{factor}{inner}"
        if self.constant:
            text += f" {'-' if self.constant < 0 else '+'} {abs(self.constant):.12g}"
        return text

    def renormalized(self) -> "WeightedSum":
        """The same sum, in which present terms take over the weight of those that abstain."""
        return WeightedSum(self.terms, self.constant, renormalize=True, required=self.chosen)

    def requiring(self, *names: str) -> "WeightedSum":
        """The same sum, which abstains where one of these terms does. No names: no term is required, penalties neither.

        Args:
            names: of terms, as the components of a score have them: ``(BLEU() + judge).requiring("judge")``.

        Raises:
            ConfigError: no term is called so.
        """
        known = self._term_names()
        for name in names:
            if name not in known:
                raise ConfigError(f"The sum has no term {name!r}. {did_you_mean(name, known)}")
        return WeightedSum(self.terms, self.constant, self.renormalize, [known.index(name) for name in names])

    def _term_names(self) -> list[str]:
        return unique_names(reward_name(reward) for _, reward in self.terms)

    def parts(self) -> tuple[BatchReward, ...]:
        return tuple(reward for _, reward in self.terms)

    def value_of(self, values: Mapping[int, float | None], /) -> float | None:
        each = [(weight, _value(reward, values)) for weight, reward in self.terms]
        present = [(weight, value) for weight, value in each if value is not None]
        if any(each[i][1] is None for i in self.required):
            return None
        weighed = [abs(weight) for weight, _ in present]
        everything = sum(map(abs, self._weights()))
        if not present or (everything > 0 and sum(weighed) == 0):
            return None
        total = sum(weight * value for weight, value in present)
        if self.renormalize and len(present) < len(self.terms) and everything > 0:
            total *= everything / sum(weighed)
        return total + self.constant


class Product(Composite):
    """The product of rewards: a gate, or a quality that counts only where another one is there.

    Where a factor abstains (None), so does the product: a gate of which nothing is known stays closed.

    >>> from textgym.rewards import ExactMatch, KeywordCoverage
    >>> reward = ExactMatch() * KeywordCoverage()
    >>> reward([Sample("", "A cat.", ("a cat",), metadata={"keywords": ["cat", "mat"]})])
    [Score(value=0.5, components={'exact_match': 1.0, 'coverage': 0.5})]
    """

    def __init__(self, factors: Iterable[Reward]) -> None:
        self.factors = tuple(as_reward(factor) for factor in factors)
        if not self.factors:
            raise ConfigError("A product needs at least one reward: Product([BLEU(), KeywordCoverage()]).")

    @classmethod
    def of(cls, *factors: Reward) -> "Product":
        """A product of rewards, with products among them written out."""
        flat: list[Reward] = []
        for factor in factors:
            flat += factor.factors if isinstance(factor, Product) else (factor,)
        return cls(flat)

    @property
    def name(self) -> str:  # type: ignore[override]
        """The formula, in the names of its parts."""
        return self._formula(_short_name)

    def __repr__(self) -> str:
        return self._formula(repr)

    def _formula(self, describe: Callable[[BatchReward], str]) -> str:
        return " * ".join(
            f"({describe(factor)})" if isinstance(factor, WeightedSum) else describe(factor) for factor in self.factors
        )

    def parts(self) -> tuple[BatchReward, ...]:
        return self.factors

    def value_of(self, values: Mapping[int, float | None], /) -> float | None:
        present = [value for factor in self.factors if (value := _value(factor, values)) is not None]
        return math.prod(present) if len(present) == len(self.factors) else None


def _value(part: BatchReward, values: Mapping[int, float | None]) -> float | None:
    return part.value_of(values) if isinstance(part, Composite) else values[id(part)]


def _short_name(part: BatchReward) -> str:
    return reward_name(part)


def _number(value: Any, what: str) -> float:
    if not isinstance(value, Real) or not math.isfinite(float(value)):
        raise ConfigError(f"{what}={value!r}: expected a finite number.")
    return float(value)
