"""Translation: say an English sentence in German.

A prompt, one of its references, and what a completion scores with the default reward (sentence BLEU):

    English: The boy gave the old woman a red apple.
    German:

    " Der Junge gab der alten Frau einen roten Apfel."      1.00 (a reference)
    " Der Junge gab die alte Frau ein roter Apfel."         lower: the cases are wrong
"""

from collections.abc import Mapping
from typing import ClassVar

from textgym.tasks.base import WorldTask
from textgym.world import translation_grammar


class Translation(WorldTask):
    """Translate from English to German.

    ## Description
    The prompt is an English sentence; the completion should be the German one. Both come from one synchronous grammar
    with genders, cases, adjective endings, separable verbs, the perfect with haben and sein, modal verbs, kein and
    nicht, and German word order: verb second, verb first in questions, verb last in subordinate clauses. A sentence has
    as many references as the grammar has ways to say it: perfect or preterite, time first or later.

    ## Observation Space
    | Part | Shape | Unit | Content |
    |---|---|---|---|
    | prompt | 40 | tokens | ``English: <sentence>\\nGerman:``, padded on the left |
    | completion | 32 | tokens | what was generated so far, from column 40 on |

    ## Action Space
    ``Discrete(V)``: the next token, V the size of the tokenizer.

    ## Rewards
    0 at every step but the last. Then the reward of the completion: sentence BLEU against the references by default.

    ## Episode End
    The end token, or 32 tokens.

    ## Arguments
    | Argument | Default | Meaning |
    |---|---|---|
    | split | "train" | "train" (1,000,000 prompts), "validation" or "test" (1,000 each), or a split of the dataset |
    | dataset | None | path, hub name, or loaded dataset; None is the small world |
    | columns | prompt: translation.en, references: translation.de | the dataset's columns |
    | template | "English: {prompt}\\nGerman:" | what surrounds the sentence |
    | seed | 0 | of the small world |
    | load_kwargs | None | a dict of arguments for ``datasets.load_dataset`` |

    For other languages, map other columns and pass a template that names them.

    ## Version History
    - v0: first version.

    >>> prompt = Translation()[0]
    >>> prompt.text.startswith("English: ") and prompt.text.endswith("German:"), len(prompt.references) > 0
    (True, True)
    """

    name = "Translation"
    max_prompt_tokens = 40
    max_new_tokens = 32
    metrics = ("bleu", "chrf", "exact_match")
    default_reward = "bleu"

    template = "English: {prompt}\nGerman:"
    columns: ClassVar[Mapping[str, str]] = {"prompt": "translation.en", "references": "translation.de"}
    grammar = staticmethod(translation_grammar)
