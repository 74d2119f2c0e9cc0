"""DataToText: describe the facts of a table in a sentence or two.

A prompt, one of its references, and what a completion scores with the default reward (sentence BLEU):

    Data: name: The Red Fox | type: pub | food: soup | price: cheap
    Text:

    " The Red Fox is a cheap pub that serves soup."         1.00 (a reference)
    " The Red Fox is a pub."                                lower: it leaves facts out

With ``language="zh"``, where BLEU compares characters:

    信息：名称：红皇冠 | 类型：茶馆 | 食物：蛋糕 | 地段：老城区
    描述：

    " 红皇冠是老城区的一家茶馆，供应蛋糕。"                 1.00 (a reference)
    " 红皇冠是一家茶馆。"                                   lower: it leaves facts out
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from textgym.core import Prompt
from textgym.tasks.base import CHINESE, ENGLISH, LANGUAGES, WorldTask
from textgym.tasks.dataset import Columns, Row
from textgym.tasks.prompts import fill
from textgym.world import Draw, Rendered, chinese_record_grammar, record_grammar

_SLOT = re.compile(r"(\w[\w ]*)\[([^\[\]]*)\]")  # the slots of a meaning representation: name[The Eagle]


class DataToText(WorldTask):
    """Describe a table.

    ## Description
    The prompt is a table in one line: a place to eat, a person, a thing on sale or an event, with 3 to 6 facts. The
    completion should say all of them, and nothing else, in one or two sentences. The world's tables have three
    references each. ``metadata["keywords"]`` holds the values of the table; in the built-in data each occurs verbatim
    in every reference. With ``language="zh"`` all of it is Chinese, names included.

    ## Observation Space
    | Part | Shape | Unit | Content |
    |---|---|---|---|
    | prompt | 64 | tokens | ``Data: <table>\\nText:``, padded on the left |
    | completion | 40 | tokens | what was generated so far, from column 64 on |

    In Chinese they have 152 and 120 tokens.

    ## Action Space
    ``Discrete(V)``: the next token, V the size of the tokenizer.

    ## Rewards
    0 at every step but the last. Then the reward of the completion: sentence BLEU against the references by default.

    ## Episode End
    The end token, or 40 tokens, or 120 of Chinese.

    ## Arguments
    | Argument | Default | Meaning |
    |---|---|---|
    | split | "train" | "train" (1,000,000 prompts), "validation" or "test" (1,000 each), or a split of the dataset |
    | language | "en" | "en", or "zh": prompts and references are Chinese |
    | dataset | None | path, hub name, or loaded dataset; None is the small world |
    | columns | prompt: meaning_representation, references: human_reference | the dataset's columns |
    | template | "Data: {prompt}\\nText:" | what surrounds the table |
    | seed | 0 | of the small world |
    | load_kwargs | None | a dict of arguments for ``datasets.load_dataset`` |

    Rows of a dataset with the same prompt are merged. Keywords are read from meaning representations of the form
    ``name[The Eagle], food[French]``, without the slots that are "yes" or "no"; other prompts have none.

    ## Blind Spots
    BLEU counts runs of words, so one wrong value, another price in an otherwise right sentence, costs no more than a
    synonym, and a fact that is left out costs less than a clumsy order. It sees neither grammar nor what was made up;
    the metrics coverage and faithfulness do.

    ## Version History
    - v0: first version.

    >>> prompt = DataToText()[0]
    >>> prompt.text.startswith("Data: ") and prompt.text.endswith("Text:"), len(prompt.references)
    (True, 3)
    >>> DataToText("test", language="zh")[0].metadata["keywords"]
    ('杯子', '古董', '棕色', '玻璃', '陈静', '73块钱')
    """

    name = "DataToText"
    max_prompt_tokens = 64
    max_new_tokens = 40
    metrics = ("bleu", "rougeL", "chrf", "coverage")
    default_reward = "bleu"

    template = "Data: {prompt}\nText:"
    chinese_template = "信息：{prompt}\n描述："
    chinese_tokens = 152, 120
    columns: ClassVar[Mapping[str, str]] = {"prompt": "meaning_representation", "references": "human_reference"}
    variants: ClassVar[Mapping[str, tuple[Any, ...]]] = {"language": LANGUAGES}
    taught = ({}, {"language": CHINESE})
    grammar = staticmethod(record_grammar)

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
        return chinese_record_grammar if self.language == CHINESE else self.grammar

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
