"""What the built-in tasks share: prompts from the small world, or from the rows of a dataset."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

from textgym.arguments import choice
from textgym.core import Prompt
from textgym.errors import ConfigError
from textgym.metrics import METRICS
from textgym.tasks.dataset import Columns, Row, load_rows, merge_columns
from textgym.tasks.prompts import WorldPrompts, cue_of, fill
from textgym.tokenizer import BUILTIN_MODEL
from textgym.world import Draw, Rendered

ENGLISH, CHINESE = LANGUAGES = ("en", "zh")
OF_DATASETS_TOO = ("language", "languages", "poem")  # variants that choose what a dataset's prompts are like
# The formula of a factor: 1 for one to three sentences, each with a capital first and a stop at its end.
SENTENCES = "pattern('[A-Z][^.!?]{2,120}[.!?]( [A-Z][^.!?]{2,120}[.!?]){0,2}')"


class WorldTask(ABC):
    """Base of the built-in tasks: a :class:`textgym.Task`. A subclass gives its attributes and its grammar.

    Attributes:
        name, max_prompt_tokens, max_new_tokens, truncation_side, stop, metrics: as in :class:`textgym.Task`. Where a
            prompt of a dataset has no references, the metrics are those that need none.
        default_model: the model that acts where the user names none.
        default_reward: the formula of the reward of its id ``-v0``, in names of ``REWARDS``.
        guarded_reward: the formula of its id ``-v1``, which no degenerate text gets much of; None: there is no such id.
        needs_world: a reward for datasets, where that of the newest id suits the small world alone; else empty.
        opt_in: an argument without which there is no environment: the task runs what a policy writes; else empty.
        template: what surrounds the text of a prompt, with one ``{prompt}``.
        chinese_template: what surrounds a prompt with ``language="zh"``, for tasks that have it.
        chinese_tokens: ``max_prompt_tokens`` and ``max_new_tokens`` of these. A character is three tokens of the
            built-in tokenizers.
        columns: role -> column of a dataset. Roles: "prompt", "references", and what ``from_rows`` reads besides.
        optional: roles whose column may be missing, unless the user names it.
        variants: argument -> values that it may have. What holds for a task is tested for each.
        taught: arguments of the variants that the built-in models are trained on, in equal shares. One that is in it
            twice gets twice the share.
        cue: the part of the template after the text. It stays when a long prompt is cut on the right.
        prompts: the prompts of the split.

    Args:
        split: "train", "validation" or "test" of the small world, or a split of the dataset.
        dataset: a path, a name on the hub, parallel text files, or a loaded dataset, see
            :func:`textgym.tasks.dataset.load_rows`. None: the small world.
        columns: of the dataset, in place of the task's own. "references" may have a list of columns.
        template: in place of the task's own.
        seed: of the small world.
        load_kwargs: arguments of ``datasets.load_dataset``.

    Raises:
        ConfigError: no such split of the small world, a template without its place, or an argument for datasets alone.
        DatasetError: the dataset can't be loaded, or has no such split or column.
        SeedError: the seed is no integer, or is negative.

    >>> class Shout(WorldTask):
    ...     name, template, columns = "Shout", "Word: {prompt} Shout:", {"prompt": "text"}
    ...     max_prompt_tokens, max_new_tokens, metrics, default_reward = 16, 8, ("exact_match",), "exact_match"
    ...     @staticmethod
    ...     def grammar(draw):
    ...         word = "".join(draw.pick("aeiouklmn") for _ in range(5))
    ...         return Rendered(word, (word.upper(),))
    >>> Shout("test")[0]
    Prompt(text='Word: euioo Shout:', references=('EUIOO',), metadata={})
    """

    name: str
    max_prompt_tokens: int
    max_new_tokens: int
    truncation_side: Literal["left", "right"] = "right"
    stop: tuple[str, ...] = ()
    metrics: tuple[str, ...]

    default_model: ClassVar[str] = BUILTIN_MODEL
    default_reward: ClassVar[str]
    guarded_reward: ClassVar[str | None] = None
    needs_world: ClassVar[str] = ""
    opt_in: ClassVar[str] = ""
    template: ClassVar[str]
    chinese_template: ClassVar[str] = ""
    chinese_tokens: ClassVar[tuple[int, int]] = (0, 0)
    columns: ClassVar[Columns]
    optional: ClassVar[tuple[str, ...]] = ()
    variants: ClassVar[Mapping[str, tuple[Any, ...]]] = {}
    taught: ClassVar[tuple[Mapping[str, Any], ...]] = ({},)

    def __init__(
        self,
        split: str = "train",
        *,
        dataset: Any = None,
        columns: Columns | None = None,
        template: str | None = None,
        seed: int = 0,
        load_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        template = self.template if template is None else template
        self.cue = cue_of(template)
        self.prompts: Sequence[Prompt]
        if dataset is None:
            self.prompts = WorldPrompts(self.drawn_by(), split, seed, template, columns, load_kwargs)
            return
        self._check_variants()
        optional = tuple(role for role in self.optional if role not in (columns or {}))
        merged = merge_columns(self.columns, columns)
        self.prompts = self.from_rows(self.load(dataset, split, merged, optional, load_kwargs), template)
        if not all(prompt.references for prompt in self.prompts):
            comparing = {name for name, metric in METRICS.items() if metric.compares_with == "references"}
            self.metrics = tuple(name for name in self.metrics if name not in comparing)

    def _set_language(self, language: str, template: str | None) -> str | None:
        """Set the language, and in Chinese the lengths. Returns the template, the Chinese one where none is given."""
        self.language = choice("language", language, LANGUAGES)
        if language != CHINESE:
            return template
        self.max_prompt_tokens, self.max_new_tokens = self.chinese_tokens
        return self.chinese_template if template is None else template

    def _check_variants(self) -> None:
        """Raise ConfigError for a variant of the small world together with a dataset, which has languages alone."""
        for argument in self.variants:
            if argument in OF_DATASETS_TOO:
                continue
            default = inspect.signature(type(self)).parameters[argument].default
            if getattr(self, argument) != default:
                raise ConfigError(
                    f"{argument}={getattr(self, argument)!r} is understood only without dataset=..., whose prompts are "
                    "as they are. Leave one of them out."
                )

    @staticmethod
    @abstractmethod
    def grammar(draw: Draw, /) -> Rendered:
        """One prompt's text, references and metadata, drawn from the small world."""

    def drawn_by(self) -> Callable[[Draw], Rendered]:
        """What draws the prompts of this variant. Default: the grammar."""
        return self.grammar

    def load(
        self,
        dataset: Any,
        split: str,
        columns: Columns,
        optional: tuple[str, ...],
        load_kwargs: Mapping[str, Any] | None,
    ) -> list[Row]:
        """The rows of a dataset, see :func:`textgym.tasks.dataset.load_rows`."""
        return load_rows(dataset, split, columns, optional=optional, load_kwargs=load_kwargs)

    def from_rows(self, rows: Sequence[Row], template: str) -> list[Prompt]:
        """The prompts of a dataset, from its rows, merged by prompt."""
        return [Prompt(fill(template, row.prompt), row.references) for row in rows]

    def training_completions(self, index: int) -> tuple[str, ...]:
        """The completions that the built-in models are trained on for a prompt. Default: its references."""
        return self[index].references

    def is_held_out(self, completion: str) -> bool:
        """Whether another variant or task holds this text out as a prompt, so that no model learns it. Default: no."""
        return False

    def __len__(self) -> int:
        return len(self.prompts)

    def __getitem__(self, index: int, /) -> Prompt:
        return self.prompts[index]
