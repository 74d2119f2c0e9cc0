"""Summarization: a story in one sentence.

A prompt, one of its references, and what a completion scores with the default reward (ROUGE-2, without repeats):

    Story: On Friday, Mia saw that her key was gone. She looked in every room. She asked Leo for help. Leo went out and
    found it on the bus. Mia was very happy.
    Summary:

    " Mia lost her key, but Leo found it on the bus."       1.00 (a reference)
    " Mia saw that her key was gone."                       lower: the beginning, without the end

With ``language="zh"``, where ROUGE compares characters:

    故事：星期三，孙鹏在教堂后面散步。树下有一只小狗。它饿得动不了。孙鹏把它抱回家，给它喝了牛奶。第二天，张伟来敲门。
    狗是他的，他高兴得哭了。
    总结：

    " 孙鹏在教堂后面捡到的狗是张伟的。"                     1.00 (a reference)
    " 孙鹏在教堂后面散步。"                                 lower: the beginning, without the end
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from textgym.tasks.base import CHINESE, ENGLISH, LANGUAGES, WorldTask
from textgym.tasks.dataset import Columns
from textgym.world import Draw, Rendered, chinese_story_grammar, story_grammar


class Summarization(WorldTask):
    """Tell a story in one sentence.

    ## Description
    The prompt is a story of 4 to 8 sentences about two people: twelve plots, each with three endings. The completion
    should say in one sentence who did what, and how it ended. Every story of the world has two references. With
    ``language="zh"`` all of it is Chinese, in eight plots.

    ## Observation Space
    | Part | Shape | Unit | Content |
    |---|---|---|---|
    | prompt | 128 | tokens | ``Story: <story>\\nSummary:``, padded on the left; of a longer one the beginning is kept |
    | completion | 32 | tokens | what was generated so far, from column 128 on |

    In Chinese they have 312 and 80 tokens.

    ## Action Space
    ``Discrete(V)``: the next token, V the size of the tokenizer.

    ## Rewards
    0 at every step but the last. Then the reward of the completion: by default ROUGE-2 against the references, times
    the share of words that repeat nothing. In v0 it is ROUGE-L.

    ## Episode End
    The end token, or 32 tokens, or 80 of Chinese.

    ## Arguments
    | Argument | Default | Meaning |
    |---|---|---|
    | split | "train" | "train" (1,000,000 prompts), "validation" or "test" (1,000 each), or a split of the dataset |
    | language | "en" | "en", or "zh": prompts and references are Chinese |
    | dataset | None | path, hub name, or loaded dataset; None is the small world |
    | columns | prompt: source, references: target | the dataset's columns |
    | template | "Story: {prompt}\\nSummary:" | what surrounds the story |
    | seed | 0 | of the small world |
    | load_kwargs | None | a dict of arguments for ``datasets.load_dataset`` |

    A source that is a list of sentences is joined by spaces; a target that is a list is several references.

    ## Blind Spots
    ROUGE-2 counts pairs of words: who did what to whom may be swapped where the pairs stay, and a sentence of the
    story that has the right pairs is paid as a summary. A good summary in other words than the reference gets little.

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
    chinese_template = "故事：{prompt}\n总结："
    chinese_tokens = 312, 80
    columns: ClassVar[Mapping[str, str]] = {"prompt": "source", "references": "target"}
    variants: ClassVar[Mapping[str, tuple[Any, ...]]] = {"language": LANGUAGES}
    taught = ({}, {"language": CHINESE})
    grammar = staticmethod(story_grammar)

    def __init__(
        self,
        split: str = "train",
        *,
        language: str = ENGLISH,
        dataset: Any = None,
        columns: Columns | None = None,
        template: str | None = None,
        seed: int = 0,
        load_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        template = self._set_language(language, template)
        super().__init__(split, dataset=dataset, columns=columns, template=template, seed=seed, load_kwargs=load_kwargs)

    def drawn_by(self) -> Callable[[Draw], Rendered]:
        return chinese_story_grammar if self.language == CHINESE else self.grammar
