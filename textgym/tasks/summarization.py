"""Summarization: a story in one sentence.

A prompt, one of its references, and what a completion scores with the default reward (ROUGE-2, without repeats):

    Story: On Friday, Mia saw that her key was gone. She looked in every room. She asked Leo for help. Leo went out and
    found it on the bus. Mia was very happy.
    Summary:

    " Mia lost her key, but Leo found it on the bus."       1.00 (a reference)
    " Mia saw that her key was gone."                       lower: the beginning, without the end
"""

from collections.abc import Mapping
from typing import ClassVar

from textgym.tasks.base import WorldTask
from textgym.world import story_grammar


class Summarization(WorldTask):
    """Tell a story in one sentence.

    ## Description
    The prompt is a story of 4 to 8 sentences about two people: twelve plots, each with three endings. The completion
    should say in one sentence who did what, and how it ended. Every story of the world has two references.

    ## Observation Space
    | Part | Shape | Unit | Content |
    |---|---|---|---|
    | prompt | 128 | tokens | ``Story: <story>\\nSummary:``, padded on the left; of a longer one the beginning is kept |
    | completion | 32 | tokens | what was generated so far, from column 128 on |

    ## Action Space
    ``Discrete(V)``: the next token, V the size of the tokenizer.

    ## Rewards
    0 at every step but the last. Then the reward of the completion: by default ROUGE-2 against the references, times
    the share of words that repeat nothing. In v0 it is ROUGE-L.

    ## Episode End
    The end token, or 32 tokens.

    ## Arguments
    | Argument | Default | Meaning |
    |---|---|---|
    | split | "train" | "train" (1,000,000 prompts), "validation" or "test" (1,000 each), or a split of the dataset |
    | dataset | None | path, hub name, or loaded dataset; None is the small world |
    | columns | prompt: source, references: target | the dataset's columns |
    | template | "Story: {prompt}\\nSummary:" | what surrounds the story |
    | seed | 0 | of the small world |
    | load_kwargs | None | a dict of arguments for ``datasets.load_dataset`` |

    A source that is a list of sentences is joined by spaces; a target that is a list is several references.

    ## Version History
    - v1: rouge2 times no_repeats in place of ROUGE-L, to which the story's first sentence is worth more than two thirds
      of a reference. The prompts are the same.
    - v0: first version.

    >>> prompt = Summarization()[0]
    >>> prompt.text.startswith("Story: ") and prompt.text.endswith("Summary:"), len(prompt.references)
    (True, 2)
    """

    name = "Summarization"
    max_prompt_tokens = 128
    max_new_tokens = 32
    # A story or an article says first what it is about. A cut prompt loses the cue at its end, not its beginning.
    truncation_side = "right"
    metrics = ("rougeL", "rouge1", "rouge2", "bleu", "length")
    default_reward = "rougeL"
    guarded_reward = "rouge2*no_repeats"

    template = "Story: {prompt}\nSummary:"
    columns: ClassVar[Mapping[str, str]] = {"prompt": "source", "references": "target"}
    grammar = staticmethod(story_grammar)
