"""Classification: say which label a text has.

A prompt, its reference, and what a completion scores with the default reward (exact match):

    Text: We ate at The Red Fox on Friday. The street was loud. The soup was fresh and delicious, and we loved it.
    Labels: positive, negative, neutral
    Label:

    " positive"                                             1.00 (the reference)
    " positive, negative"                                   0.00

With ``language="zh"``:

    文本：我星期四买了一本书，叫《银铃铛》。我是在火车上读的。语言让我很生气。
    选项：正面、负面、中性
    标签：

    " 负面"                                                 1.00 (the reference)
    " 中性"                                                 0.00
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from textgym.arguments import choice
from textgym.core import Prompt
from textgym.errors import ConfigError, DatasetError
from textgym.tasks.base import CHINESE, ENGLISH, LANGUAGES, WorldTask
from textgym.tasks.dataset import Columns, Row
from textgym.tasks.prompts import fill
from textgym.tokenizer import BUILTIN_MEDIUM
from textgym.world import Draw, Rendered, chinese_label_grammar, label_grammar
from textgym.world.labels import VARIANTS

LISTED = 30  # labels of a dataset that are shown in prompts


class Classification(WorldTask):
    """Say which label a text has.

    ## Description
    The prompt is a text and the labels to choose from; the completion should be the right one. Variants: "mood", of a
    review (positive, negative, neutral); "topic", what a review is about (five kinds of things); "opinion", topic and
    mood of a review, as in "hotel, negative"; "item", which of four listed things suits what someone wants to buy.
    ``metadata["labels"]`` holds the labels. With ``language="zh"`` texts and labels are Chinese.

    ## Observation Space
    | Part | Shape | Unit | Content |
    |---|---|---|---|
    | prompt | 96 | tokens | text, labels, ``Label:``, padded on the left; of a longer one the beginning is kept |
    | completion | 16 | tokens | what was generated so far, from column 96 on |

    In Chinese they have 256 and 40 tokens.

    ## Action Space
    ``Discrete(V)``: the next token, V the size of the tokenizer.

    ## Rewards
    0 at every step but the last. Then the reward of the completion: by default 1 if it is the label, else 0. Case and
    punctuation don't count. Of m labels that are alike frequent, one and the same for every text gets 1/m.

    ## Episode End
    The end token, or 16 tokens, or 40 of Chinese.

    ## Arguments
    | Argument | Default | Meaning |
    |---|---|---|
    | split | "train" | "train" (1,000,000 prompts), "validation" or "test" (1,000 each), or a split of the dataset |
    | variant | "mood" | "mood", "topic", "opinion" or "item" |
    | language | "en" | "en", or "zh": prompts and references are Chinese |
    | labels | None | the names of a dataset's labels that are numbers, from 0 on; None: "negative", "positive" |
    | dataset | None | path, hub name, or loaded dataset; None is the small world |
    | columns | prompt: text, label: label | the dataset's columns |
    | template | "Text: {prompt}\\nLabel:" | what surrounds text and labels |
    | seed | 0 | of the small world |
    | load_kwargs | None | a dict of arguments for ``datasets.load_dataset`` |

    A dataset's labels are text, or numbers that ``labels`` names. Up to 30 of them are shown in prompts. Texts that
    occur twice have the first one's label. With ``language="zh"`` the template is Chinese, and labels without names are
    "负面" and "正面".

    ## Blind Spots
    The label alone is paid, whatever the confidence, so a policy that always says the most frequent label gets its
    share of the prompts. A label in other words, such as "positive review", gets nothing.

    ## Version History
    - v0: first version.

    >>> prompt = Classification(variant="topic")[0]
    >>> prompt.text.endswith("Labels: restaurant, hotel, film, book, product\\nLabel:"), len(prompt.references)
    (True, 1)
    >>> Classification(language="zh")[0].metadata["labels"]
    ('正面', '负面', '中性')
    """

    name = "Classification"
    default_model = BUILTIN_MEDIUM
    max_prompt_tokens = 96
    max_new_tokens = 16
    metrics = ("exact_match", "macro_f1")
    default_reward = "exact_match"

    template = "Text: {prompt}\nLabel:"
    chinese_template = "文本：{prompt}\n标签："
    chinese_tokens = 256, 40
    columns: ClassVar[Mapping[str, str]] = {"prompt": "text", "label": "label"}
    variants: ClassVar[Mapping[str, tuple[Any, ...]]] = {"variant": tuple(VARIANTS), "language": LANGUAGES}
    taught = tuple({"variant": variant, "language": language} for language in LANGUAGES for variant in VARIANTS)
    grammar = staticmethod(label_grammar)

    def __init__(
        self,
        split: str = "train",
        *,
        variant: str = "mood",
        language: str = ENGLISH,
        labels: Sequence[str] | None = None,
        dataset: Any = None,
        columns: Columns | None = None,
        template: str | None = None,
        seed: int = 0,
        load_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.variant = choice("variant", variant, tuple(VARIANTS))
        template = self._set_language(language, template)
        if labels is None:
            labels = ("负面", "正面") if language == CHINESE else ("negative", "positive")
        if isinstance(labels, str) or not all(isinstance(label, str) and label.strip() for label in labels):
            raise ConfigError(f"labels={labels!r}, expected the names of a dataset's labels, such as ('bad', 'good').")
        self.labels = tuple(labels)
        super().__init__(split, dataset=dataset, columns=columns, template=template, seed=seed, load_kwargs=load_kwargs)

    def drawn_by(self) -> Callable[[Draw], Rendered]:
        grammar = chinese_label_grammar if self.language == CHINESE else label_grammar
        return partial(grammar, variant=self.variant)

    def from_rows(self, rows: Sequence[Row], template: str) -> list[Prompt]:
        found = [self._label(row) for row in rows]
        numbers = all(isinstance(row.extra["label"], int) for row in rows)
        labels = self.labels if numbers else tuple(sorted(set(found)))
        listed = f"\n选项：{'、'.join(labels)}" if self.language == CHINESE else f"\nLabels: {', '.join(labels)}"
        shown = listed if len(labels) <= LISTED else ""
        return [
            Prompt(fill(template, row.prompt + shown), (label,), {"labels": labels})
            for row, label in zip(rows, found, strict=True)
        ]

    def _label(self, row: Row) -> str:
        """The name of a row's label."""
        label = row.extra["label"]
        if isinstance(label, str) and label.strip():
            return label.strip()
        if isinstance(label, bool) or not isinstance(label, int) or not 0 <= label < len(self.labels):
            raise DatasetError(
                f"The text {row.prompt[:60]!r} has the label {label!r}, expected text or a number from 0 to "
                f"{len(self.labels) - 1}, for {', '.join(self.labels)}. Name all labels: labels=(...)."
            )
        return self.labels[label]
