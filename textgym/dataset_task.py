"""Any dataset as a task, registered in one call."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import gymnasium

from textgym.core import Prompt, Reward
from textgym.errors import ConfigError, DatasetError
from textgym.registration import register
from textgym.tasks.dataset import load_rows


class DatasetTask:
    """The prompts of a dataset, a :class:`textgym.Task`.

    Args:
        split: of the dataset; "held_out" is a tenth of the prompts of one that has a single split, "not_held_out" the
            others.
        dataset, load_kwargs, max_rows: see :func:`textgym.tasks.dataset.load_rows`.
        prompt: the column of the prompts, or a text with the names of columns in braces.
        references: their column, or several. None: there are no references.
        metadata: columns that the reward needs, under their own names or as name -> column.
        name: of the task.
        metrics: names of metrics to report on held-out prompts.
        stop: strings that end an episode.
        truncation_side: which end of a prompt that is too long is cut off.
        skip_blank: leave rows out whose prompt is blank, or whose references all are. Otherwise they are an error.

    Raises:
        DatasetError: it can't be loaded, lacks a split or column, or a row holds no text; the message names the row.

    >>> from datasets import Dataset
    >>> sums = Dataset.from_dict({"a": ["1", "2"], "b": ["3", "4"], "sum": ["4", "6"]})
    >>> DatasetTask(dataset=sums, prompt="{a} + {b} =", references="sum")[1]
    Prompt(text='2 + 4 =', references=('6',), metadata={})
    """

    max_prompt_tokens = 256
    max_new_tokens = 64

    def __init__(
        self,
        split: str = "train",
        *,
        dataset: Any,
        prompt: str,
        references: str | Sequence[str] | None = None,
        metadata: Sequence[str] | Mapping[str, str] = (),
        name: str = "Dataset",
        metrics: Sequence[str] = (),
        stop: Sequence[str] = (),
        truncation_side: Literal["left", "right"] = "left",
        skip_blank: bool = False,
        max_rows: int | None = None,
        load_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.name, self.metrics, self.stop, self.truncation_side = name, tuple(metrics), tuple(stop), truncation_side
        columns: dict[str, Any] = {"prompt": prompt, **_named(metadata)}
        if references is not None:
            columns["references"] = references if isinstance(references, str) else list(references)
        rows = load_rows(dataset, split, columns, load_kwargs=load_kwargs, max_rows=max_rows)
        self.prompts: list[Prompt] = []
        blank = []
        for row in rows:
            kept = tuple(text for text in row.references if text.strip())
            if not row.prompt.strip() or (references is not None and not kept):
                blank.append(row)
            else:
                self.prompts.append(Prompt(row.prompt, kept, row.extra))
        if blank and not skip_blank:
            what = (
                f"references {blank[0].references!r}" if blank[0].prompt.strip() else f"the prompt {blank[0].prompt!r}"
            )
            raise DatasetError(
                f"{len(blank)} of {len(rows)} prompts of split {split!r} are blank or have only blank references; the "
                f"first, {blank[0].prompt[:60]!r}, has {what}. skip_blank=True leaves them out."
            )
        if not self.prompts:
            raise DatasetError(f"Every prompt of split {split!r} is blank, or all its references are.")

    def __len__(self) -> int:
        return len(self.prompts)

    def __getitem__(self, index: int, /) -> Prompt:
        return self.prompts[index]


def from_dataset(
    dataset: Any,
    *,
    prompt: str,
    references: str | Sequence[str] | None = None,
    reward: "Reward | str | None",
    id: str | None = None,
    split: str = "train",
    **arguments: Any,
) -> str:
    """Make a dataset a registered task. Returns its id, for ``gymnasium.make(id, split=...)``.

    One split is loaded at once, so that what is wrong with it is said here and names the row.

    Args:
        dataset: a path, a name on the Hugging Face hub, parallel texts, or a loaded dataset.
        prompt: the column of the prompts, or a text with the names of columns in braces, such as
            ``"Story: {story}\\nQuestion: {question}\\nAnswer:"``.
        references: the column of the references, or several.
        reward: a formula such as "rougeL", a function of a batch of samples, or None.
        id: the id; by default ``data/<name of the dataset>-v0``.
        split: the split that an environment has by default.
        **arguments: others of :class:`DatasetTask` (metadata, metrics, stop, truncation_side, skip_blank, max_rows,
            load_kwargs) and of ``TextGenerationEnv`` (max_prompt_tokens, max_new_tokens, chat, ...).
            ``load_kwargs={"revision": "..."}`` pins a dataset of the hub, ``{"streaming": True}`` with ``max_rows``
            reads its first rows alone.

    Raises:
        ConfigError: an argument is unknown, or makes no sense.
        DatasetError: the dataset can't be loaded, lacks a split or column, or a row holds no text.

    >>> from datasets import Dataset
    >>> sums = Dataset.from_dict({"a": ["1", "2"], "b": ["3", "4"], "sum": ["4", "6"]})
    >>> id = from_dataset(sums, id="data/Sums-v0", prompt="{a} + {b} =", references="sum", reward="exact_match",
    ...     max_prompt_tokens=12, max_new_tokens=4)
    >>> gymnasium.make(id).reset(options={"prompt_id": 0})[1]["prompt"]
    '1 + 3 ='
    """
    name = _task_name(dataset, id)
    made = id or f"data/{name}-v0"
    given = {"dataset": str(dataset) if isinstance(dataset, Path) else dataset, "prompt": prompt, "name": name}
    optional = {"references": references, "split": split}
    given |= {key: value for key, value in optional.items() if value not in (None, "train")}
    before = gymnasium.registry.get(made)
    register(made, DatasetTask, reward, **{**given, **arguments})
    try:
        gymnasium.make(made).close()
    except BaseException:
        if before is None:
            del gymnasium.registry[made]
        else:
            gymnasium.registry[made] = before
        raise
    return made


def _named(metadata: Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    """Name -> column of what goes into the prompts' metadata."""
    if isinstance(metadata, str):
        raise DatasetError(f"metadata={metadata!r}, expected a list of columns, such as [{metadata!r}].")
    named = dict(metadata) if isinstance(metadata, Mapping) else {column: column for column in metadata}
    taken = [name for name in ("prompt", "references") if name in named]
    if taken:
        raise DatasetError(
            f"metadata has the name {taken[0]!r}, which a sample has already. Give it another: "
            f"{{'other': {named[taken[0]]!r}}}."
        )
    return named


def _task_name(dataset: Any, id: str | None) -> str:
    """CamelCase, from the id or from the dataset's name."""
    if id is not None:
        return id.rpartition("/")[2].partition("-v")[0]
    if not isinstance(dataset, str | Path):
        raise ConfigError(f"A {type(dataset).__name__} has no name. Give the task an id, such as id='mine/Sums-v0'.")
    words = re.findall(r"[A-Za-z0-9]+", Path(str(dataset).partition(",")[0]).stem)
    return "".join(word[0].upper() + word[1:] for word in words) or "Dataset"
