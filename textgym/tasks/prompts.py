"""The prompts of a task: drawn from the small world on demand, or made from the rows of a dataset."""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, overload

from textgym.core import Prompt
from textgym.errors import ConfigError, SeedError, did_you_mean
from textgym.tasks.dataset import Columns
from textgym.world import Draw, Rendered, render

LENGTHS = {"train": 1_000_000, "validation": 1_000, "test": 1_000}  # prompts in a split of the small world
PLACEHOLDER = "{prompt}"


def fill(template: str, text: str) -> str:
    """The template with the text in place of ``{prompt}``. Other braces stay as they are.

    >>> fill("Copy: {prompt}\\nCopy:", "a {b}")
    'Copy: a {b}\\nCopy:'
    """
    return template.replace(PLACEHOLDER, text)


def cue_of(template: str) -> str:
    """What follows the text in a template. It stays when a long prompt is cut on the right.

    Raises:
        ConfigError: the template hasn't exactly one place for the text.

    >>> cue_of("Story: {prompt}\\nSummary:")
    '\\nSummary:'
    """
    if not isinstance(template, str) or template.count(PLACEHOLDER) != 1:
        raise ConfigError(f"template={template!r}, expected a string with exactly one {PLACEHOLDER}.")
    return template.partition(PLACEHOLDER)[2]


class WorldPrompts(Sequence[Prompt]):
    """The prompts of one split of the small world. Prompt i is a pure function of (grammar, seed, split, i).

    Raises:
        ConfigError: no such split, or arguments that only a dataset understands.
        SeedError: the seed is no integer, or is negative.
    """

    def __init__(
        self,
        grammar: Callable[[Draw], Rendered],
        split: str,
        seed: int,
        template: str,
        columns: Columns | None = None,
        load_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        if not isinstance(split, str) or split not in LENGTHS:
            raise ConfigError(f"split={split!r} is no split of the built-in data. {did_you_mean(str(split), LENGTHS)}")
        if isinstance(seed, bool) or not hasattr(seed, "__index__") or operator.index(seed) < 0:
            raise SeedError(f"seed={seed!r}, expected an integer from 0 up.")
        for name, given in (("columns", columns), ("load_kwargs", load_kwargs)):
            if given:
                raise ConfigError(f"{name} is understood only together with dataset=... Pass both, or neither.")
        cue_of(template)
        self.grammar, self.split, self.seed, self.template = grammar, split, operator.index(seed), template

    def __len__(self) -> int:
        return LENGTHS[self.split]

    def rendered(self, index: int) -> Rendered:
        """What the grammar renders at this index, with everything that the prompt leaves out."""
        position = operator.index(index)
        if not -len(self) <= position < len(self):
            raise IndexError(f"prompt {index} of a split with {len(self)} prompts")
        return render(self.grammar, self.split, position % len(self), self.seed)

    @overload
    def __getitem__(self, index: int) -> Prompt: ...
    @overload
    def __getitem__(self, index: slice) -> list[Prompt]: ...
    def __getitem__(self, index: int | slice) -> Prompt | list[Prompt]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        text = self.rendered(index)
        return Prompt(fill(self.template, text.source), text.targets, text.metadata)
