"""How much is measured, and one measurement of it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from textgym.errors import ConfigError
from textgym_agents.speed.measure import Progress, Result
from textgym_agents.speed.models import Subject, subject
from textgym_agents.speed.texts import Shape

MIXED = Shape(16, 64, mean_tokens=25)  # texts that end at different times


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        models: "gpt2", "llama", "t5", or what ``textgym_agents.models.load`` can load.
        lengths: new tokens of a completion.
        batches: texts at once in rollouts.
        repeats: of each timing, after one that isn't counted.
        threads: of torch.
        quick: fewer sizes and models, for a first look.
        full: also the sizes at which slow models take long.
        device, dtype: of the models.
    """

    models: tuple[str, ...] = ("gpt2", "llama", "t5")
    lengths: tuple[int, ...] = (32, 128, 512)
    batches: tuple[int, ...] = (16, 32)
    repeats: int = 7
    threads: int = 1
    quick: bool = False
    full: bool = False
    device: str = "cpu"
    dtype: str = "float32"

    def __post_init__(self) -> None:
        for name in ("models", "lengths", "batches"):
            values = getattr(self, name)
            if not values or any(isinstance(value, int) and value < 2 for value in values):
                raise ConfigError(f"{name} is {values}, expected at least one, and numbers of at least 2.")
        if self.repeats < 1 or self.threads < 1:
            raise ConfigError(f"repeats is {self.repeats} and threads {self.threads}, expected at least 1 of each.")

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
    """A few minutes' worth of the plan: a small model, short texts, three repeats."""
    kept = tuple(name for name in plan.models if name != "llama") or plan.models
    lengths = tuple(length for length in plan.lengths if length <= 128) or plan.lengths
    return replace(
        plan, quick=True, models=kept, lengths=lengths, batches=plan.batches[:1], repeats=min(plan.repeats, 3)
    )


@dataclass(frozen=True)
class Job:
    """One measurement.

    Attributes:
        row: the row of the table that it belongs to.
        what: for the progress line.
        run: measures, and tells of its progress.
    """

    row: str
    what: str
    run: Callable[[Progress], list[Result]] = field(repr=False)


def describe(row: str, what: str, one: Subject, shape: Shape, target: float | None, **more: Any) -> dict[str, Any]:
    """What a line of the table says of a model and the texts, as arguments of ``Result``."""
    setting = {
        "model": one.short,
        "title": one.title,
        "rows": shape.rows,
        "prompt_tokens": shape.prompt_tokens,
        "new_tokens": shape.new_tokens,
        "mean_tokens": shape.mean_tokens,
    }
    return {"row": row, "what": f"{what}, {one.short}, {shape}", "target": target, "setting": setting, **more}
