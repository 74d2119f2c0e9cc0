"""Story: write a short story that tells a plot.

A prompt, one of its references, and what a completion scores with the default reward (the events in order, times
length, no repetition and fluency):

    Plot: Mia her key; look; Leo; Leo find in the park; Mia happy
    Story:

    " On Friday, Mia could not find her key. She looked in every room. She asked Leo for help. Leo went out and found it
    in the park. Mia was very happy."                       0.95 (a reference)
    " Mia her key. Look. Leo. Leo find in the park."        0.00: no sentences
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textgym.core import Prompt
from textgym.errors import DatasetError
from textgym.tasks.base import WorldTask
from textgym.tasks.dataset import Row
from textgym.tasks.prompts import fill
from textgym.tokenizer import BUILTIN_MEDIUM
from textgym.world import plot_grammar, split_of


class Story(WorldTask):
    """Write a short story that tells a plot.

    ## Description
    The prompt is a plot of four to seven events, each a few words: who, what, where. The completion should be a story
    of 20 to 80 words that tells the events one after another, each in a sentence of its own that has the event's words,
    in whatever form: "gave" for "give". There are twelve plots about two people, each with three endings, and two
    stories are the references. ``metadata["events"]`` holds the words of the events.

    ## Observation Space
    | Part | Shape | Unit | Content |
    |---|---|---|---|
    | prompt | 48 | tokens | ``Plot: <events>\\nStory:``, padded on the left |
    | completion | 96 | tokens | what was generated so far, from column 48 on |

    ## Action Space
    ``Discrete(V)``: the next token, V the size of the tokenizer.

    ## Rewards
    0 at every step but the last. Then the reward of the completion: by default the share of events that it tells in
    order, times 1 for 20 to 80 words (less outside), times the share of words that repeat nothing, times how fluent
    ``textgym/small`` finds the story. That model was trained on the small world alone: with a dataset, give a
    ``reward``, such as "rougeL*no_repeats".

    ## Episode End
    The end token, or 96 tokens.

    ## Arguments
    | Argument | Default | Meaning |
    |---|---|---|
    | split | "train" | "train" (1,000,000 prompts), "validation" or "test" (1,000 each), or a split of the dataset |
    | dataset | None | path, hub name, or loaded dataset; None is the small world |
    | columns | prompt: prompt, references: story, events: events | the dataset's columns; events may be missing |
    | template | "Plot: {prompt}\\nStory:" | what surrounds the plot |
    | seed | 0 | of the small world |
    | load_kwargs | None | a dict of arguments for ``datasets.load_dataset`` |

    The events of a dataset are a list of texts for each row, whose words the reward "events" looks for.

    ## Blind Spots
    An event counts if a sentence has its words in any form, so that who does it to whom may be swapped, and what
    happens between the events is only asked to be fluent. Fluency is that of ``textgym/small``, which was trained on
    the stories of one grammar: a good story in a style of its own is paid little.

    ## Version History
    - v0: first version.

    >>> prompt = Story()[0]
    >>> prompt.text.startswith("Plot: ") and prompt.text.endswith("Story:"), len(prompt.references)
    (True, 2)
    """

    name = "Story"
    default_model = BUILTIN_MEDIUM
    max_prompt_tokens = 48
    max_new_tokens = 96
    metrics = ("events", "distinct2", "self_bleu", "novel_ngrams", "repetition", "length")
    # A story of the world scores -3.4 on average and -4.2 at worst; with its sentences shuffled -9, with its words -18.
    default_reward = (
        "events*length(minimum=20, maximum=80, unit='words')*no_repeats*fluency(prompt='Story:', low=-10, high=-4.5)"
    )
    needs_world = "rougeL*no_repeats"

    template = "Plot: {prompt}\nStory:"
    columns: ClassVar[Mapping[str, str]] = {"prompt": "prompt", "references": "story", "events": "events"}
    optional = ("events",)
    grammar = staticmethod(plot_grammar)

    def is_held_out(self, completion: str) -> bool:
        """Whether the story is a prompt of another split of Summarization."""
        return split_of(completion) != "train"

    def from_rows(self, rows: Sequence[Row], template: str) -> list[Prompt]:
        return [Prompt(fill(template, row.prompt), row.references, _events(row)) for row in rows]


def _events(row: Row) -> dict[str, tuple[tuple[str, ...], ...]]:
    """The metadata of a row that has events."""
    events = row.extra.get("events")
    if not events:
        return {}
    if isinstance(events, str) or not all(isinstance(event, str) and event.strip() for event in events):
        raise DatasetError(f"The plot {row.prompt[:60]!r} has the events {events!r}, expected a list of texts.")
    return {"events": tuple(tuple(event.split()) for event in events)}
