"""Arithmetic: solve a word problem.

A prompt, its reference, and what a completion scores with the default reward (the answer, in its form):

    Problem: Mia has 5 boxes with 4 apples in each. She gives 2 of them to Leo. How many apples does Mia have now?
    Solution:

    " 5 * 4 = 20. 20 - 2 = 18. #### 18"                     1.00 (the reference)
    " #### 18"                                              1.00: only the answer counts
    " 5 * 4 = 20. 20 - 2 = 18."                             0.00: the form is missing
    " #### 20"                                              0.00

With ``language="zh"``:

    题目：陈静家里有56顶帽子。星期三，林峰拿走了33顶帽子。她又买了2顶帽子。陈静现在有多少顶帽子？
    解答：

    " 56 - 33 = 23. 23 + 2 = 25. #### 25"                   1.00 (the reference)
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from textgym.arguments import count
from textgym.core import Prompt
from textgym.errors import DatasetError
from textgym.metrics.answer import MARKER, has_answer_format
from textgym.tasks.base import CHINESE, ENGLISH, LANGUAGES, WorldTask
from textgym.tasks.dataset import Columns, Row
from textgym.tasks.prompts import fill
from textgym.tokenizer import BUILTIN_MEDIUM
from textgym.world import Draw, Rendered, chinese_problem_grammar, problem_grammar

_ANNOTATION = re.compile(r"<<[^<>]*>>")  # GSM8K's for calculators


class Arithmetic(WorldTask):
    """Solve a word problem.

    ## Description
    The prompt is a problem of one to three steps with whole numbers: someone gets, loses, shares, sells or compares
    things. The completion should work it out and end with ``####`` and the answer, as GSM8K's solutions do. A level is
    the number of steps. The reference has an equation for each. ``metadata["level"]`` is the level. With
    ``language="zh"`` the problem is Chinese.

    ## Observation Space
    | Part | Shape | Unit | Content |
    |---|---|---|---|
    | prompt | 96 | tokens | ``Problem: <problem>\\nSolution:``, padded on the left |
    | completion | 48 | tokens | what was generated so far, from column 96 on |

    A Chinese prompt has 224 tokens.

    ## Action Space
    ``Discrete(V)``: the next token, V the size of the tokenizer.

    ## Rewards
    0 at every step but the last. Then the reward of the completion: by default 1 if its answer is right and it ends
    with ``####`` and that answer, else 0.

    ## Episode End
    The end token, or 48 tokens.

    ## Arguments
    | Argument | Default | Meaning |
    |---|---|---|
    | split | "train" | "train" (1,000,000 prompts), "validation" or "test" (1,000 each), or a split of the dataset |
    | level | 2 | steps of a problem, from 1 to 3 |
    | language | "en" | "en", or "zh": prompts and references are Chinese |
    | dataset | None | path, hub name, or loaded dataset; None is the small world |
    | columns | prompt: question, references: answer | the dataset's columns |
    | template | "Problem: {prompt}\\nSolution:" | what surrounds the problem |
    | seed | 0 | of the small world |
    | load_kwargs | None | a dict of arguments for ``datasets.load_dataset`` |

    A dataset's answers end with ``####`` and a number, or are a number alone. GSM8K's annotations for calculators,
    ``<<48/2=24>>``, are left out. Its problems are longer: give ``max_prompt_tokens`` and ``max_new_tokens``.

    ## Blind Spots
    Only the number after the last ``####`` is looked at: wrong or missing work before a right number is paid in full,
    right work before a wrong number not at all. A guess among the small numbers is right now and then.

    ## Version History
    - v0: first version.

    >>> prompt = Arithmetic(level=1)[0]
    >>> prompt.text.startswith("Problem: ") and prompt.text.endswith("Solution:"), "#### " in prompt.references[0]
    (True, True)
    """

    name = "Arithmetic"
    default_model = BUILTIN_MEDIUM
    max_prompt_tokens = 96
    max_new_tokens = 48
    metrics = ("answer", "length")
    default_reward = "answer*answer_format"

    template = "Problem: {prompt}\nSolution:"
    chinese_template = "题目：{prompt}\n解答："
    chinese_tokens = 224, 48
    columns: ClassVar[Mapping[str, str]] = {"prompt": "question", "references": "answer"}
    variants: ClassVar[Mapping[str, tuple[Any, ...]]] = {"level": (1, 2, 3), "language": LANGUAGES}
    taught = ({}, {"language": CHINESE})
    grammar = staticmethod(problem_grammar)

    def __init__(
        self,
        split: str = "train",
        *,
        level: int = 2,
        language: str = ENGLISH,
        dataset: Any = None,
        columns: Columns | None = None,
        template: str | None = None,
        seed: int = 0,
        load_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.level = count("level", level, least=1, most=3)
        template = self._set_language(language, template)
        super().__init__(split, dataset=dataset, columns=columns, template=template, seed=seed, load_kwargs=load_kwargs)

    def drawn_by(self) -> Callable[[Draw], Rendered]:
        grammar = chinese_problem_grammar if self.language == CHINESE else problem_grammar
        return partial(grammar, level=self.level)

    def from_rows(self, rows: Sequence[Row], template: str) -> list[Prompt]:
        return [
            Prompt(fill(template, row.prompt), tuple(_solution(one, row) for one in row.references)) for row in rows
        ]


def _solution(answer: str, row: Row) -> str:
    """An answer of a dataset as a reference: without annotations, with the marker before its number."""
    solution = _ANNOTATION.sub("", answer).strip()
    if MARKER not in solution:
        solution = f"{MARKER} {solution}"
    if not has_answer_format(solution):
        raise DatasetError(
            f"The answer {answer[-60:]!r} of the question {row.prompt[:60]!r} doesn't end with '{MARKER}' and a "
            "number, as GSM8K's do, and is no number. Map another column with columns={'references': ...}."
        )
    return solution
