"""DataToText: describe the facts of a table in a sentence or two.

A prompt, one of its references, and what a completion scores with the default reward (sentence BLEU):

    Data: name: The Red Fox | type: pub | food: soup | price: cheap
    Text:

    " The Red Fox is a cheap pub that serves soup."         1.00 (a reference)
    " The Red Fox is a pub."                                lower: it leaves facts out
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from textgym.core import Prompt
from textgym.tasks.base import WorldTask
from textgym.tasks.dataset import Row
from textgym.tasks.prompts import fill
from textgym.world import record_grammar

_SLOT = re.compile(r"(\w[\w ]*)\[([^\[\]]*)\]")  # the slots of a meaning representation: name[The Eagle]


class DataToText(WorldTask):
    """Describe a table.

    ## Description
    The prompt is a table in one line: a place to eat, a person, a thing on sale or an event, with 3 to 6 facts. The
    completion should say all of them, and nothing else, in one or two sentences. The world's tables have three
    references each. ``metadata["keywords"]`` holds the values of the table; in the built-in data each occurs verbatim
    in every reference.

    ## Observation Space
    | Part | Shape | Unit | Content |
    |---|---|---|---|
    | prompt | 64 | tokens | ``Data: <table>\\nText:``, padded on the left |
    | completion | 40 | tokens | what was generated so far, from column 64 on |

    ## Action Space
    ``Discrete(V)``: the next token, V the size of the tokenizer.

    ## Rewards
    0 at every step but the last. Then the reward of the completion: sentence BLEU against the references by default.

    ## Episode End
    The end token, or 40 tokens.

    ## Arguments
    | Argument | Default | Meaning |
    |---|---|---|
    | split | "train" | "train" (1,000,000 prompts), "validation" or "test" (1,000 each), or a split of the dataset |
    | dataset | None | path, hub name, or loaded dataset; None is the small world |
    | columns | prompt: meaning_representation, references: human_reference | the dataset's columns |
    | template | "Data: {prompt}\\nText:" | what surrounds the table |
    | seed | 0 | of the small world |
    | load_kwargs | None | a dict of arguments for ``datasets.load_dataset`` |

    Rows of a dataset with the same prompt are merged. Keywords are read from meaning representations of the form
    ``name[The Eagle], food[French]``, without the slots that are "yes" or "no"; other prompts have none.

    ## Version History
    - v0: first version.

    >>> prompt = DataToText()[0]
    >>> prompt.text.startswith("Data: ") and prompt.text.endswith("Text:"), len(prompt.references)
    (True, 3)
    """

    name = "DataToText"
    max_prompt_tokens = 64
    max_new_tokens = 40
    metrics = ("bleu", "rougeL", "chrf", "coverage")
    default_reward = "bleu"

    template = "Data: {prompt}\nText:"
    columns: ClassVar[Mapping[str, str]] = {"prompt": "meaning_representation", "references": "human_reference"}
    grammar = staticmethod(record_grammar)

    def from_rows(self, rows: Sequence[Row], template: str) -> list[Prompt]:
        return [Prompt(fill(template, row.prompt), row.references, _metadata(row.prompt)) for row in rows]


def keywords(meaning: str) -> tuple[str, ...]:
    """The values of a meaning representation that a text about it must mention.

    >>> keywords("name[The Eagle], food[French], familyFriendly[yes]")
    ('The Eagle', 'French')
    """
    return tuple(value for _, value in _SLOT.findall(meaning) if value and value.lower() not in ("yes", "no"))


def _metadata(meaning: str) -> dict[str, Any]:
    values = keywords(meaning)
    return {"keywords": values} if values else {}
