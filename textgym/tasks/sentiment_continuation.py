"""SentimentContinuation: go on with a review, and make it a happy one.

A prompt, one of its references, and what a completion scores with the default reward (positive and fluent):

    Review: We ate at The Red Fox on Friday. The street was loud. The soup

    " was fresh and delicious, and we will come back soon." high
    " was bland and boring, and we left angry."             low
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from textgym.core import Prompt
from textgym.errors import ConfigError, DatasetError
from textgym.tasks.base import WorldTask
from textgym.tasks.dataset import Row
from textgym.tasks.prompts import WorldPrompts, fill
from textgym.world import Draw, Rendered, render, review_grammar


class SentimentContinuation(WorldTask):
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
    0 at every step but the last. Then the reward of the completion: by default how positive it is, times how fluent it
    is after its prompt, times the share of words that repeat nothing. Fluency is that of ``textgym/small``, which was
    trained on the small world alone: with a dataset, give a ``reward``. In v0 it is how positive it is, whatever it
    says.

    ## Episode End
    The end token, or 24 tokens.

    ## Arguments
    | Argument | Default | Meaning |
    |---|---|---|
    | split | "train" | "train" (1,000,000 prompts), "validation" or "test" (1,000 each), or a split of the dataset |
    | dataset | None | path, hub name, or loaded dataset; None is the small world |
    | columns | prompt: text, label: label | the dataset's columns; the label may be missing |
    | template | "Review: {prompt}" | what comes before the opening |
    | prefix_words | 8 | of a dataset's reviews, so many words are the prompt |
    | positive_label | 1 | the label of a review whose rest is a reference |
    | seed | 0 | of the small world |
    | load_kwargs | None | a dict of arguments for ``datasets.load_dataset`` |

    The first words of a dataset's review are the prompt, the rest is a reference if the review is positive (or has no
    label). Reviews of ``prefix_words`` words or fewer are left out. ``metadata["label"]`` is the review's label.

    ## Blind Spots
    The reward sees neither what the review is about nor whether it follows from its beginning: any cheerful sentence
    that ``textgym/small`` finds probable after the prompt is paid, the same one for every prompt too. It sees no irony,
    and a word outside of VADER's lexicon has no mood.

    ## Version History
    - v1: sentiment times fluency times no_repeats in place of sentiment alone, to which " good" 24 times is better than
      a reference. The prompts are the same.
    - v0: first version.

    >>> prompt = SentimentContinuation()[0]
    >>> prompt.text.startswith("Review: "), len(prompt.references), prompt.metadata["label"]
    (True, 3, 1)
    """

    name = "SentimentContinuation"
    max_prompt_tokens = 40
    max_new_tokens = 24
    truncation_side = "left"
    metrics = ("sentiment", "chrf", "distinct2", "length")
    default_reward = "sentiment"
    guarded_reward = "sentiment*fluency*no_repeats"
    needs_world = "sentiment*no_repeats"

    template = "Review: {prompt}"
    columns: ClassVar[Mapping[str, str]] = {"prompt": "text", "label": "label"}
    optional = ("label",)

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
        load_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        if not isinstance(prefix_words, int) or prefix_words < 1:
            raise ConfigError(f"prefix_words={prefix_words!r}, expected an integer from 1 up.")
        self.prefix_words, self.positive_label = prefix_words, positive_label
        super().__init__(split, dataset=dataset, columns=columns, template=template, seed=seed, load_kwargs=load_kwargs)

    @staticmethod
    def grammar(draw: Draw, /) -> Rendered:
        """An opening without its unhappy continuations, which no prompt should carry."""
        review = review_grammar(draw)
        return Rendered(review.source, review.targets, {"opening": review.metadata["opening"], "label": 1})

    def from_rows(self, rows: Sequence[Row], template: str) -> list[Prompt]:
        """The first words of each review, with the rest of the positive reviews that begin with them as references."""
        merged: dict[str, tuple[dict[str, None], dict[str, Any]]] = {}
        for row in rows:
            words = row.prompt.split()
            if len(words) <= self.prefix_words:
                continue
            metadata = dict(row.extra)
            references, _ = merged.setdefault(" ".join(words[: self.prefix_words]), ({}, metadata))
            if metadata.get("label", self.positive_label) == self.positive_label:
                references[" ".join(words[self.prefix_words :])] = None
        if not merged:
            raise DatasetError(
                f"No review has more than prefix_words={self.prefix_words} words. Pass a smaller number."
            )
        return [Prompt(fill(template, text), tuple(refs), metadata) for text, (refs, metadata) in merged.items()]

    def training_completions(self, index: int) -> tuple[str, ...]:
        """Unhappy continuations too, as many as happy ones, which leaves reinforcement learning something to do."""
        references = self[index].references
        if not isinstance(self.prompts, WorldPrompts):
            return references
        review = render(review_grammar, self.prompts.split, index, self.prompts.seed)
        return references + tuple(review.metadata["negative"])
