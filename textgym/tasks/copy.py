"""Copy: repeat a few words. The diagnostic task: whatever can't learn this has a bug.

A prompt, its reference, and what a completion scores with the default reward (BLEU):

    Words: lamp river old
    Copy:

    " lamp river old"                                       1.00 (the reference)
    " lamp river"                                           lower: a word is missing
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textgym.core import Prompt
from textgym.tasks.base import WorldTask
from textgym.tasks.dataset import Row
from textgym.tasks.prompts import fill
from textgym.world import words_grammar


class Copy(WorldTask):
    """Repeat a few words.

    ## Description
    The prompt is a row of 3 to 8 different words; the completion should be the same words in the same order, and end.
    It is the smallest task in which order, content and length all count, and the quickest check of an algorithm.

    ## Observation Space
    | Part | Shape | Unit | Content |
    |---|---|---|---|
    | prompt | 24 | tokens | ``Words: <words>\\nCopy:``, padded on the left |
    | completion | 16 | tokens | what was generated so far, from column 24 on |

    ## Action Space
    ``Discrete(V)``: the next token, V the size of the tokenizer.

    ## Rewards
    0 at every step but the last. Then the reward of the completion: BLEU against the reference by default. In v0 it is
    chrF, which pays more for a text that has the words and more.

    ## Episode End
    The end token, or 16 tokens.

    ## Arguments
    | Argument | Default | Meaning |
    |---|---|---|
    | split | "train" | "train" (1,000,000 prompts), "validation" or "test" (1,000 each), or a split of the dataset |
    | dataset | None | path, hub name, or loaded dataset; None is the small world |
    | columns | prompt: text | the dataset's column: a text is its own reference |
    | template | "Words: {prompt}\\nCopy:" | what surrounds the words |
    | seed | 0 | of the small world |
    | load_kwargs | None | a dict of arguments for ``datasets.load_dataset`` |

    ## Blind Spots
    Smoothed BLEU pays for runs of words at any place: the right words and then more of them, or the cue after them,
    still get half. It says nothing about where a text should end but by its length.

    ## Version History
    - v1: BLEU in place of chrF, because chrF weighs recall: writing each word twice was nearly as good as copying. The
      prompts are the same.
    - v0: first version.

    >>> prompt = Copy()[0]
    >>> prompt.text == f"Words: {prompt.references[0]}\\nCopy:"
    True
    """

    name = "Copy"
    max_prompt_tokens = 24
    max_new_tokens = 16
    metrics = ("exact_match", "chrf", "length")
    default_reward = "chrf"
    guarded_reward = "bleu"

    template = "Words: {prompt}\nCopy:"
    columns: ClassVar[Mapping[str, str]] = {"prompt": "text"}
    grammar = staticmethod(words_grammar)

    def from_rows(self, rows: Sequence[Row], template: str) -> list[Prompt]:
        return [Prompt(fill(template, row.prompt), (row.prompt,)) for row in rows]
