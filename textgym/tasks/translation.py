"""Translation: say an English sentence in German, or in Chinese.

A prompt, one of its references, and what a completion scores with the default reward (sentence BLEU):

    English: The boy gave the old woman a red apple.
    German:

    " Der Junge gab der alten Frau einen roten Apfel."      1.00 (a reference)
    " Der Junge gab die alte Frau ein roter Apfel."         lower: the cases are wrong

With ``languages="en-zh"``, where BLEU compares characters:

    English: The girl is reading a poem in the library.
    Chinese:

    " 那个女孩正在图书馆里读一首诗。"                       1.00 (a reference)
    " 那个女孩读一首诗在图书馆里。"                         lower: the order is English
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

from textgym.arguments import choice
from textgym.tasks.base import WorldTask
from textgym.tasks.dataset import Columns
from textgym.world import Draw, Rendered, split_of, translation_grammar

NAMES = {"en": "English", "de": "German", "zh": "Chinese"}


class Translation(WorldTask):
    """Translate between English and German or Chinese.

    ## Description
    The prompt is an English sentence; the completion should be the German one. Both come from one synchronous grammar
    with genders, cases, adjective endings, separable verbs, the perfect with haben and sein, modal verbs, kein and
    nicht, and German word order: verb second, verb first in questions, verb last in subordinate clauses. A sentence has
    as many references as the grammar has ways to say it: perfect or preterite, time first or later.

    With ``languages="en-zh"`` the completion should be Chinese: measure words, aspect with 了, 着 and 正在, time and
    place before the verb, conditions and concessions before the main clause. BLEU, chrF and exact match then compare
    characters. The built-in tokenizers write a Chinese character with three tokens, and the built-in models weren't
    trained on any. The other way round, "de-en" and "zh-en", a reference is the English sentence.

    ## Observation Space
    | Part | Shape | Unit | Content |
    |---|---|---|---|
    | prompt | 40 | tokens | ``English: <sentence>\\nGerman:``, padded on the left |
    | completion | 32 | tokens | what was generated so far, from column 40 on |

    Where Chinese is the prompt it has 136 tokens, where it is the completion 128.

    ## Action Space
    ``Discrete(V)``: the next token, V the size of the tokenizer.

    ## Rewards
    0 at every step but the last. Then the reward of the completion: sentence BLEU against the references by default.

    ## Episode End
    The end token, or 32 tokens, or 128 of Chinese.

    ## Arguments
    | Argument | Default | Meaning |
    |---|---|---|
    | split | "train" | "train" (1,000,000 prompts), "validation" or "test" (1,000 each), or a split of the dataset |
    | languages | "en-de" | from which language to which: also "en-zh", "de-en", "zh-en" |
    | dataset | None | path, hub name, or loaded dataset; None is the small world |
    | columns | prompt: translation.en, references: translation.de | the dataset's columns; they follow the languages |
    | template | "English: {prompt}\\nGerman:" | what surrounds the sentence; it follows the languages |
    | seed | 0 | of the small world |
    | load_kwargs | None | a dict of arguments for ``datasets.load_dataset`` |

    For other languages, map other columns and pass a template that names them.

    ## Blind Spots
    There is one reference: a right translation in other words gets little. BLEU counts runs of words, so a missing
    "not" or a wrong case ending costs as much as any other word, and a smooth sentence of another meaning that shares
    its frame with the reference is paid for the frame.

    ## Version History
    - v0: first version.

    >>> prompt = Translation()[0]
    >>> prompt.text.startswith("English: ") and prompt.text.endswith("German:"), len(prompt.references) > 0
    (True, True)
    >>> Translation("test", languages="en-zh")[3].references
    ('我们能捡起两条白裙子。', '我们当时能捡起两条白裙子。')
    """

    name = "Translation"
    max_prompt_tokens = 40
    max_new_tokens = 32
    metrics = ("bleu", "chrf", "exact_match")
    default_reward = "bleu"

    template = "English: {prompt}\nGerman:"
    columns: ClassVar[Mapping[str, str]] = {"prompt": "translation.en", "references": "translation.de"}
    variants: ClassVar[Mapping[str, tuple[Any, ...]]] = {"languages": ("en-de", "en-zh", "de-en", "zh-en")}
    # German is learned from these texts alone, Chinese from other tasks too.
    taught = ({}, {"languages": "en-zh"}, {}, {"languages": "zh-en"}, {"languages": "de-en"})

    def __init__(
        self,
        split: str = "train",
        *,
        languages: str = "en-de",
        dataset: Any = None,
        columns: Columns | None = None,
        template: str | None = None,
        seed: int = 0,
        load_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.languages = choice("languages", languages, self.variants["languages"])
        source, target = languages.split("-")
        # A character is three tokens of the built-in tokenizers.
        self.max_prompt_tokens = 136 if source == "zh" else self.max_prompt_tokens
        self.max_new_tokens = 128 if target == "zh" else self.max_new_tokens
        if languages != "en-de":
            template = f"{NAMES[source]}: {{prompt}}\n{NAMES[target]}:" if template is None else template
            if dataset is not None and (columns is None or isinstance(columns, Mapping)):
                own = {"prompt": f"translation.{source}", "references": f"translation.{target}"}
                columns = {**own, **(columns or {})}
        super().__init__(split, dataset=dataset, columns=columns, template=template, seed=seed, load_kwargs=load_kwargs)

    @staticmethod
    def grammar(draw: Draw, /) -> Rendered:
        return translation_grammar(draw)

    def drawn_by(self) -> Callable[[Draw], Rendered]:
        return self.grammar if self.languages == "en-de" else partial(translation_grammar, languages=self.languages)

    def is_held_out(self, completion: str) -> bool:
        """Whether the other way round it is a prompt of another split."""
        return split_of(completion) != "train"
