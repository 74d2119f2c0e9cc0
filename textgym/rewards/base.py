"""What the built-in rewards share: a name, a readable repr, arithmetic. A user's reward needs none of it."""

import inspect
from collections.abc import Callable, Sequence
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textgym.core import Reward, Sample, Score
from textgym.errors import RewardError
from textgym.scoring import groups_of, reward_name, say_whose

if TYPE_CHECKING:
    from textgym.rewards.combine import Product, WeightedSum

Value = float | Score | None
Ask = Callable[[Reward, Sequence[Sample]], Callable[[], list[Score]]]  # Background.ask
LONGEST = 200  # characters of an argument in a repr


class BatchReward:
    """A reward over a batch of completions that can be added and multiplied.

    Subclasses override ``score`` (one sample) or ``__call__`` (the whole batch, when that is faster), and set ``name``.

    Arithmetic builds one reward from several, with numbers and with any other reward: ``0.7 * BLEU() + 0.3 * mine``,
    ``BLEU() * KeywordCoverage()``, ``1 - BLEU()``. See :class:`textgym.rewards.WeightedSum` for parts that abstain.

    >>> class EndsWell(BatchReward):
    ...     name = "ends_well"
    ...     def score(self, sample):
    ...         return float(sample.completion.endswith("."))
    >>> reward = 0.5 * EndsWell() + 1
    >>> reward([Sample("", "Done."), Sample("", "Not")])
    [Score(value=1.5, components={'ends_well': 1.0}), Score(value=1.0, components={'ends_well': 0.0})]
    """

    name: str = ""
    scope: str = "sample"  # "group": it compares completions of one prompt, see GroupReward
    compares_with: str = ""  # "references" for a reward that fails without them
    background: int = (
        0  # batches that it may be given at a time while episodes go on, see textgym.scoring.background_of
    )
    shown: ClassVar[tuple[str, ...]] = ()  # arguments that the repr gives even when they have their default value
    __array_ufunc__ = None  # so that numpy's numbers leave the arithmetic to this class

    def score(self, sample: Sample, /) -> Value:
        """The value of one sample: a number, a Score, or None to abstain."""
        raise NotImplementedError(f"{type(self).__name__} defines neither score nor __call__. Define one of them.")

    def __call__(self, samples: Sequence[Sample], /) -> list[Value]:
        """One value per sample, in order."""
        check_batch(self, samples)
        values = []
        for sample in samples:
            try:
                values.append(self.score(sample))
            except Exception as error:
                say_whose(error, self, [sample])
                raise
        return values

    def as_evaluate(self, name: str | None = None, *, keep_in_memory: bool = True, **module_kwargs: Any) -> Any:
        """This reward as an ``evaluate.Metric``, made without a download: see ``textgym.rewards.evaluate_module``.

        Args:
            name: the key of the mean in the result; by default the reward's name.
            keep_in_memory: hold what was added in memory, not in a file of the evaluate cache.
            module_kwargs: other arguments of ``evaluate.Metric``, such as ``experiment_id``.
        """
        from textgym.rewards.evaluate_module import RewardModule  # evaluate takes seconds to import

        return RewardModule(self, name, keep_in_memory=keep_in_memory, **module_kwargs)

    def statistics(self) -> dict[str, float]:
        """Numbers about the reward itself rather than one text, such as calls until now: a training run logs them."""
        return {}

    def __repr__(self) -> str:
        """The constructor's call, without most arguments that have their default value, and long ones by their type."""
        parts = []
        for key, parameter in inspect.signature(type(self)).parameters.items():
            value = getattr(self, key, parameter.default)
            if key in self.shown:
                parts.append(_short(value))
            elif repr(value) != repr(parameter.default):  # arrays have no plain equality
                parts.append(f"{key}={_short(value)}")
        return f"{type(self).__name__}({', '.join(parts)})"

    def __add__(self, other: "Reward | float") -> "WeightedSum":
        return _sum(self, other, 1.0, 1.0)

    def __radd__(self, other: "Reward | float") -> "WeightedSum":
        return _sum(other, self, 1.0, 1.0)

    def __sub__(self, other: "Reward | float") -> "WeightedSum":
        return _sum(self, other, 1.0, -1.0)

    def __rsub__(self, other: "Reward | float") -> "WeightedSum":
        return _sum(other, self, 1.0, -1.0)

    def __neg__(self) -> "WeightedSum":
        return _sum(self, 0.0, -1.0, 1.0)

    def __mul__(self, other: "Reward | float") -> "WeightedSum | Product":
        return _product(self, other)

    def __rmul__(self, other: "Reward | float") -> "WeightedSum | Product":
        return _product(other, self)

    def __truediv__(self, other: float) -> "WeightedSum":
        if not isinstance(other, Real):
            return NotImplemented
        if float(other) == 0:
            raise ZeroDivisionError(f"{self!r} can't be divided by zero.")
        return _sum(self, 0.0, 1 / float(other), 1.0)


class GroupReward(BatchReward):
    """A reward that compares the completions of a prompt with each other: it sees all of a group at once.

    Subclasses override ``score_group`` and set ``name``. A completion that is alone in its group has nothing to be
    compared with: the reward abstains. GRPO, RLOO and others that play several completions of each prompt ask when the
    last of a group has ended; ``evaluate(..., group_size=k)`` does so too.

    >>> class Shortest(GroupReward):
    ...     name = "shortest"
    ...     def score_group(self, samples):
    ...         shortest = min(len(sample.completion) for sample in samples)
    ...         return [float(len(sample.completion) == shortest) for sample in samples]
    >>> Shortest()([Sample("Say hi:", "hi"), Sample("Say hi:", "hello"), Sample("Count:", "one")])
    [1.0, 0.0, None]
    """

    scope = "group"

    def score_group(self, samples: Sequence[Sample], /) -> Sequence[Value]:
        """One value for each of two or more completions of one prompt, in order."""
        raise NotImplementedError(f"{type(self).__name__} doesn't define score_group. Define it.")

    def score(self, sample: Sample, /) -> Value:
        return self([sample])[0]

    def __call__(self, samples: Sequence[Sample], /) -> list[Value]:
        check_batch(self, samples)
        values: list[Value] = [None] * len(samples)
        for members in groups_of(samples):
            if len(members) < 2:
                continue
            group = [samples[i] for i in members]
            try:
                scored = self.score_group(group)
            except Exception as error:
                say_whose(error, self, group)
                raise
            if len(scored) != len(group):
                raise RewardError(
                    f"Reward {reward_name(self)!r} returned {len(scored)} values for a group of {len(group)} samples, "
                    "expected one per sample."
                )
            for i, value in zip(members, scored, strict=True):
                values[i] = value
        return values


def _short(value: object) -> str:
    """The repr of an argument; where it is long, of several lines or an address, the object's name, or its type's."""
    text = repr(value)
    if isinstance(value, str) or not (len(text) > LONGEST or "\n" in text or " at 0x" in text):
        return text
    path, name = getattr(value, "name_or_path", ""), getattr(value, "__name__", type(value).__name__)
    return repr(path) if path and not Path(path).is_absolute() else f"<{name}>"


def check_batch(reward: Reward, samples: Any) -> None:
    """Raise RewardError for a single sample in the place of a batch, or a completion that is no text."""
    if isinstance(samples, Sample):
        raise RewardError(
            f"Reward {reward_name(reward)!r} scores a sequence of samples, but got a single Sample. "
            "Call reward([sample])[0] or reward.score(sample)."
        )
    for sample in samples:
        if not isinstance(sample.completion, str):
            raise RewardError(
                f"Reward {reward_name(reward)!r} scores texts, but the completion of prompt {sample.prompt_id} "
                f"({sample.prompt[:60]!r}) is {sample.completion!r}, expected a string."
            )


def _sum(left: Any, right: Any, left_weight: float, right_weight: float) -> "WeightedSum":
    from textgym.rewards.combine import WeightedSum, is_operand  # combine builds on this module

    if not (is_operand(left) and is_operand(right)):
        return NotImplemented  # type: ignore[no-any-return]
    return WeightedSum.of((left_weight, left), (right_weight, right))


def _product(left: Any, right: Any) -> "WeightedSum | Product":
    from textgym.rewards.combine import Product, WeightedSum, is_operand

    if not (is_operand(left) and is_operand(right)):
        return NotImplemented  # type: ignore[no-any-return]
    weight, factors = 1.0, []
    for operand in (left, right):
        if isinstance(operand, Real):
            weight *= float(operand)
        elif isinstance(operand, WeightedSum) and operand.is_scaled_reward():  # (2 * a) * b is 2 * (a * b)
            weight *= operand.terms[0][0]
            factors.append(operand.terms[0][1])
        else:
            factors.append(operand)
    product = Product.of(*factors) if len(factors) > 1 else factors[0]
    return product if weight == 1 and isinstance(product, Product) else WeightedSum.of((weight, product))
