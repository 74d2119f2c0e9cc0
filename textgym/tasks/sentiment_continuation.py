"""SentimentContinuation: go on with a review, and make it a happy one.

A prompt, one of its references, and what a completion scores with the default reward (sentiment, from 0 to 1):

    Review: We ate at The Red Fox on Friday. The street was loud. The soup

    " was fresh and delicious, and we will come back soon." high
    " was bland and boring, and we left angry."             low
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from textgym.core import Prompt
from textgym.errors import ConfigError, DatasetError
from textgym.tasks.dataset import Row, load_rows, merge_columns
from textgym.tasks.prompts import WorldPrompts, cue_of, fill
from textgym.world import Draw, Rendered, review_grammar


class SentimentContinuation:
    """Go on with a review, and make it a happy one.

    ## Description
    The prompt is the opening of a review of a place to eat, a hotel, a film, a book or a purchase. It breaks off in the
    middle of a sentence, after a neutral, mixed or complaining remark, and the completion goes on from there. The
    built-in model was trained on as many unhappy continuations as happy ones, so it has something to learn. Three happy
    continuations are the references. ``metadata["opening"]`` is "neutral", "mixed" or "negative";
    ``metadata["label"]`` is the references' label, 1 (positive).

    ## Observation Space
    | Part | Shape | Unit | Content |
    |---|---|---|---|
    | prompt | 40 | tokens | ``Review: <opening>``, padded on the left; of a longer one the end is kept |
    | completion | 24 | tokens | what was generated so far, from column 40 on |

    ## Action Space
    ``Discrete(V)``: the next token, V the size of the tokenizer.

    ## Rewards
    0 at every step but the last. Then the score of the whole text: how positive it is by default.

    ## Episode End
    The end token, or 24 tokens.

    ## Arguments
    | Argument | Default | Meaning |
    |---|---|---|
    | split | "train" | "train" (1,000,000 prompts), "validation" or "test" (1,000 each), or a split of the dataset |
    | dataset | None | path, hub name, or loaded dataset; None is the small world |
    | columns | prompt: text, label: label | the dataset's columns; the label may be missing |
    | template | "Review: {prompt}" | what stands before the opening |
    | prefix_words | 8 | of a dataset's reviews, so many words are the prompt |
    | positive_label | 1 | the label of a review whose rest is a reference |
    | seed | 0 | of the small world |
    | **load_kwargs | | passed to ``datasets.load_dataset`` |

    The first words of a dataset's review are the prompt, the rest is a reference if the review is positive (or has no
    label). Reviews of ``prefix_words`` words or fewer are left out. ``metadata["label"]`` is the review's label.

    ## Version History
    - v0: first version.

    >>> prompt = SentimentContinuation()[0]
    >>> prompt.text.startswith("Review: "), len(prompt.references), prompt.metadata["label"]
    (True, 3, 1)
    """

    name = "SentimentContinuation"
    max_prompt_tokens = 40
    max_new_tokens = 24
    truncation_side: Literal["left", "right"] = "left"
    stop: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ("sentiment", "chrf", "distinct2", "length")

    template: ClassVar[str] = "Review: {prompt}"
    columns: ClassVar[Mapping[str, str]] = {"prompt": "text", "label": "label"}

    def __init__(
        self,
        split: str = "train",
        *,
        dataset: Any = None,
        columns: Mapping[str, str] | None = None,
        template: str | None = None,
        prefix_words: int = 8,
        positive_label: int | str = 1,
        seed: int = 0,
        **load_kwargs: Any,
    ) -> None:
        template = self.template if template is None else template
        self.cue = cue_of(template)
        if not isinstance(prefix_words, int) or prefix_words < 1:
            raise ConfigError(f"prefix_words={prefix_words!r}, expected an integer from 1 up.")
        self.prompts: Sequence[Prompt]
        if dataset is None:
            self.prompts = WorldPrompts(opening, split, seed, template, columns, load_kwargs)
            return
        # A missing label is fine unless the user named its column.
        optional = () if "label" in (columns or {}) else ("label",)
        merged = merge_columns(self.columns, columns)
        rows = load_rows(dataset, split, merged, optional=optional, load_kwargs=load_kwargs)
        self.prompts = _openings(rows, template, prefix_words, positive_label)

    def __len__(self) -> int:
        return len(self.prompts)

    def __getitem__(self, index: int, /) -> Prompt:
        return self.prompts[index]


def opening(draw: Draw) -> Rendered:
    """A review's opening without its unhappy continuations, which no prompt should carry."""
    text = review_grammar(draw)
    return Rendered(text.source, text.targets, {"opening": text.metadata["opening"], "label": 1})


def _openings(rows: Sequence[Row], template: str, prefix_words: int, positive_label: int | str) -> list[Prompt]:
    merged: dict[str, tuple[dict[str, None], dict[str, Any]]] = {}
    for row in rows:
        words = row.prompt.split()
        if len(words) <= prefix_words:
            continue
        metadata = dict(row.extra)
        references, _ = merged.setdefault(" ".join(words[:prefix_words]), ({}, metadata))
        if metadata.get("label", positive_label) == positive_label:
            references[" ".join(words[prefix_words:])] = None
    if not merged:
        raise DatasetError(f"No review has more than prefix_words={prefix_words} words. Pass a smaller number.")
    return [Prompt(fill(template, text), tuple(refs), metadata) for text, (refs, metadata) in merged.items()]
