"""How much is measured, and one measurement of it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from textgym.errors import ConfigError
from textgym_agents.report.timing import Result
from textgym_agents.speed.models import Subject, subject
from textgym_agents.speed.rollouts import Shape


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    models: tuple[str, ...] = ("gpt2", "llama", "t5")  # or what ``textgym_agents.models.load`` can load
    lengths: tuple[int, ...] = (32, 128, 512)  # new tokens of a completion
    batches: tuple[int, ...] = (16, 32)  # episodes at once in rollouts
    repeats: int = 7  # of each timing, after one that isn't counted
    threads: int = 1  # of torch
    quick: bool = False  # fewer sizes and models, for a first look
    full: bool = False  # also the sizes at which slow models take long
    device: str = "cpu"
    dtype: str = "float32"

    def __post_init__(self) -> None:
        for name in ("lengths", "batches"):
            if min(getattr(self, name)) < 2:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected numbers of at least 2.")

    @cached_property
    def subjects(self) -> list[Subject]:
        """The models, each made once."""
        return [subject(name, self.device, self.dtype) for name in self.models]

    @property
    def causal(self) -> list[Subject]:
        """The decoder-only ones."""
        return [one for one in self.subjects if not one.seq2seq]

    def rollout_shapes(self, one: Subject) -> list[Shape]:
        """Sizes of the rollouts of a model, the long ones left out unless all is asked for."""
        shapes = [Shape(rows, length) for rows in self.batches for length in self.lengths]
        most = 10**9 if self.full else one.turn_tokens
        return [shape for shape in shapes if shape.rows * shape.new_tokens <= most] or shapes[:1]


def quick(plan: Plan) -> Plan:
    """A few minutes' worth of the plan: a small model, short completions, three repeats."""
    models = tuple(name for name in plan.models if name != "llama") or plan.models
    lengths = tuple(length for length in plan.lengths if length <= 128) or plan.lengths
    few = {"batches": plan.batches[:1], "repeats": min(plan.repeats, 3)}
    return replace(plan, quick=True, models=models, lengths=lengths, **few)  # type: ignore[arg-type]


class Job(NamedTuple):
    """One measurement: the row of the table that it belongs to, what it is, and the function that does it."""

    row: str
    what: str
    run: Callable[[], list[Result]]
