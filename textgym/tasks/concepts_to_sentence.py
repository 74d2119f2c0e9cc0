"""ConceptsToSentence: write a sentence that has all of some concepts.

A prompt, one of its references, and what a completion scores with the default reward (coverage times fluency):

    Concepts: apple, boy, garden, eat
    Sentence:

    " The boy ate an apple in the garden."                  1.00 (a reference)
    " The boy ate an apple."                                0.75: the garden is missing
    " apple, boy, garden, eat"                              0.00: no sentence
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from textgym.arguments import count
from textgym.core import Prompt
from textgym.tasks.base import WorldTask
from textgym.tasks.dataset import Columns, Row
from textgym.tasks.prompts import fill
from textgym.tokenizer import BUILTIN_MEDIUM
from textgym.world import Draw, Rendered, concept_grammar


class ConceptsToSentence(WorldTask):
    """Write a sentence that has all of some concepts.

    ## Description
    The prompt is a set of three to five concepts: nouns, a verb and adjectives, in the alphabet's order. The completion
    should be a sentence in which each occurs, in whatever form: "ate" for "eat", "boys" for "boy". A level is the
    number of concepts. Three sentences are the references. ``metadata["keywords"]`` holds the concepts.

    ## Observation Space
    | Part | Shape | Unit | Content |
    |---|---|---|---|
    | prompt | 40 | tokens | ``Concepts: <concepts>\\nSentence:``, padded on the left |
    | completion | 32 | tokens | what was generated so far, from column 40 on |

    ## Action Space
    ``Discrete(V)``: the next token, V the size of the tokenizer.

    ## Rewards
    0 at every step but the last. Then the reward of the completion: by default the share of concepts that it has, times
    how fluent it is to ``textgym/small`` after "English:". That model was trained on the small world alone: with a
    dataset, give a ``reward``, such as "concepts*no_repeats".

    ## Episode End
    The end token, or 32 tokens.

    ## Arguments
    | Argument | Default | Meaning |
    |---|---|---|
    | split | "train" | "train" (1,000,000 prompts), "validation" or "test" (1,000 each), or a split of the dataset |
    | level | 4 | concepts in a prompt, from 3 to 5 |
    | dataset | None | path, hub name, or loaded dataset; None is the small world |
    | columns | prompt: concepts, references: target | the dataset's columns |
    | template | "Concepts: {prompt}\\nSentence:" | what surrounds the concepts |
    | seed | 0 | of the small world |
    | load_kwargs | None | a dict of arguments for ``datasets.load_dataset`` |

    A dataset's concepts are a list of words, or words with spaces or commas between them. Rows with the same concepts
    are merged.

    ## Blind Spots
    Nobody looks at sense: that the cake eats the woman is as good as the reverse, if ``textgym/small`` finds the words
    probable, and that model was trained on the sentences of one grammar, so that a good sentence of another kind is
    paid little. The order and the roles of the concepts don't count.

    ## Version History
    - v0: first version.

    >>> prompt = ConceptsToSentence()[0]
    >>> prompt.text.startswith("Concepts: "), len(prompt.metadata["keywords"]), len(prompt.references)
    (True, 4, 3)
    """

    name = "ConceptsToSentence"
    default_model = BUILTIN_MEDIUM
    max_prompt_tokens = 40
    max_new_tokens = 32
    metrics = ("concepts", "bleu", "rougeL", "length")
    # What follows an English sentence in the model's training is a line break, so an end token is improbable.
    default_reward = "concepts*fluency(prompt='English:', low=-14, high=-11)"
    needs_world = "concepts*no_repeats"

    template = "Concepts: {prompt}\nSentence:"
    columns: ClassVar[Mapping[str, str]] = {"prompt": "concepts", "references": "target"}
    variants: ClassVar[Mapping[str, tuple[Any, ...]]] = {"level": (3, 4, 5)}
    grammar = staticmethod(concept_grammar)

    def __init__(
        self,
        split: str = "train",
        *,
        level: int = 4,
        dataset: Any = None,
        columns: Columns | None = None,
        template: str | None = None,
        seed: int = 0,
        load_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.level = count("level", level, least=3, most=5)
        super().__init__(split, dataset=dataset, columns=columns, template=template, seed=seed, load_kwargs=load_kwargs)

    def drawn_by(self) -> Callable[[Draw], Rendered]:
        return partial(concept_grammar, level=self.level)

    def from_rows(self, rows: Sequence[Row], template: str) -> list[Prompt]:
        concepts = [tuple(row.prompt.replace(",", " ").split()) for row in rows]
        return [
            Prompt(fill(template, ", ".join(words)), row.references, {"keywords": words})
            for words, row in zip(concepts, rows, strict=True)
        ]
