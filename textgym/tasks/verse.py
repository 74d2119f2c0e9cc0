"""Verse: write a rhyming poem about the words of a theme.

A prompt, one of its references, and what a completion scores with the default reward (rhyme and meter, times the words
of the theme, times phrases):

    Theme: girl, kitten, train
    Form: couplet
    Verse:

    " The girl will sleep behind the train,
    The kitten sleeps in summer rain."                      1.00 (a reference)
    " The girl will sleep behind the train."                0.17: half of the meter, no rhyme, no kitten

With ``poem="jueju"``, a Chinese quatrain:

    主题：杏花、深林、清泉
    体裁：五言绝句
    诗：

    " 杏花春已到，清泉有清音。茅屋春色早，晚风入深林。"     1.00 (a reference)
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from textgym.arguments import choice
from textgym.core import Prompt
from textgym.tasks.base import WorldTask
from textgym.tasks.dataset import Columns, Row
from textgym.tasks.prompts import fill
from textgym.tokenizer import BUILTIN_MEDIUM
from textgym.world import Draw, Rendered, jueju_grammar, verse_grammar

POEMS = ("couplet", "quatrain", "jueju")
SAID = {"couplet": "\nForm: couplet", "quatrain": "\nForm: quatrain", "jueju": ""}  # of a dataset's prompts


class Verse(WorldTask):
    """Write a rhyming poem about the words of a theme.

    ## Description
    The prompt is the words of a theme and a form; the completion should be a poem of that form that has all the words.
    Forms: "couplet", two lines of iambic tetrameter (eight syllables, the even ones stressed) that rhyme; "quatrain",
    four lines that rhyme AABB or ABAB, in iambic tetrameter or in common meter (eight and six syllables in turn);
    "jueju", a Chinese quatrain of five characters a line whose second and fourth lines rhyme (五言绝句), with a Chinese
    prompt. Two poems are the references. The metadata has the words as ``keywords``, and ``rhyme_scheme``,
    ``meter`` and the number of ``lines``.

    ## Observation Space
    | Part | Shape | Unit | Content |
    |---|---|---|---|
    | prompt | 40 | tokens | ``Theme: <words>\\nForm: couplet\\nVerse:``, padded on the left |
    | completion | 40 | tokens | what was generated so far, from column 40 on |

    A quatrain has 56 and 64 tokens, a Chinese one 96 and 104: the built-in tokenizers write a character with three.

    ## Action Space
    ``Discrete(V)``: the next token, V the size of the tokenizer.

    ## Rewards
    0 at every step but the last. Then the reward of the completion: by default half the share of rhymes that the form
    asks for plus half of how well the lines keep the meter, times the share of the theme's words, times the share of
    words, three in a row, that lines of the small world's verse have. Rhymes and syllables are by a table of that
    verse's words. With a dataset, give a ``reward``, such as "(0.5*rhyme + 0.5*meter)*no_repeats", by the dictionaries
    of the extra ``textgym[verse]``.

    ## Episode End
    The end token, or the limit of tokens.

    ## Arguments
    | Argument | Default | Meaning |
    |---|---|---|
    | split | "train" | "train" (1,000,000 prompts), "validation" or "test" (1,000 each), or a split of the dataset |
    | poem | "couplet" | "couplet", "quatrain" or "jueju" |
    | dataset | None | path, hub name, or loaded dataset; None is the small world |
    | columns | prompt: title, references: text | the dataset's columns |
    | template | "Theme: {prompt}\\nVerse:" | what surrounds theme and form; it follows the poem |
    | seed | 0 | of the small world |
    | load_kwargs | None | a dict of arguments for ``datasets.load_dataset`` |

    The poems of a dataset are of the kind that is named; with "jueju" lines may have five characters or seven.

    ## Blind Spots
    Rhyme, meter and words are counted, sense is not: lines put together from phrases of the small world's verse are
    paid in full though they say nothing together. A rhyme or a phrase that its tables don't have gets nothing, however
    good.

    ## Version History
    - v0: first version.

    >>> prompt = Verse()[0]
    >>> prompt.text.endswith("Form: couplet\\nVerse:"), len(prompt.metadata["keywords"]), len(prompt.references)
    (True, 3, 2)
    >>> Verse("test", poem="jueju")[0].references[0].count("，")
    2
    """

    name = "Verse"
    default_model = BUILTIN_MEDIUM
    max_prompt_tokens = 40
    max_new_tokens = 40
    metrics = ("coverage", "distinct2", "self_bleu", "novel_ngrams", "length")
    default_reward = "(0.5*rhyme(lexicon='world') + 0.5*meter(lexicon='world'))*coverage*verse_phrases"
    needs_world = "(0.5*rhyme + 0.5*meter)*no_repeats"

    template = "Theme: {prompt}\nVerse:"
    chinese_template = "主题：{prompt}\n诗："
    columns: ClassVar[Mapping[str, str]] = {"prompt": "title", "references": "text"}
    variants: ClassVar[Mapping[str, tuple[Any, ...]]] = {"poem": POEMS}
    taught = tuple({"poem": poem} for poem in POEMS)
    grammar = staticmethod(verse_grammar)

    def __init__(
        self,
        split: str = "train",
        *,
        poem: str = "couplet",
        dataset: Any = None,
        columns: Columns | None = None,
        template: str | None = None,
        seed: int = 0,
        load_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.poem = choice("poem", poem, POEMS)
        if poem != "couplet":
            self.max_prompt_tokens, self.max_new_tokens = (56, 64) if poem == "quatrain" else (96, 104)
        if poem == "jueju" and template is None:
            template = self.chinese_template
        super().__init__(split, dataset=dataset, columns=columns, template=template, seed=seed, load_kwargs=load_kwargs)

    def drawn_by(self) -> Callable[[Draw], Rendered]:
        return jueju_grammar if self.poem == "jueju" else partial(verse_grammar, form=self.poem)

    def from_rows(self, rows: Sequence[Row], template: str) -> list[Prompt]:
        scheme = {"couplet": "AA", "quatrain": "AABB", "jueju": "XAXA"}[self.poem]
        asked = {"rhyme_scheme": scheme, "lines": len(scheme)}  # the meter is that of the language
        return [Prompt(fill(template, row.prompt + SAID[self.poem]), row.references, asked) for row in rows]
