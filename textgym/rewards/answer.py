"""Whether a worked solution comes to the right answer, and whether it ends as GSM8K's do.

prompt      "Problem: Mia has 5 apples. She buys 3 more. How many apples does Mia have now?\\nSolution:"
completion  " 5 + 3 = 8. #### 8"
reference   "5 + 3 = 8. #### 8"
reward      1.0 for both; " 5 + 3 = 8." has the answer and not its form, " #### 9" the form and not the answer
"""

from typing import Literal

from textgym.core import Sample
from textgym.errors import RewardError
from textgym.metrics.answer import answers_alike, has_answer_format
from textgym.metrics.base import references_of
from textgym.rewards.base import BatchReward


class Answer(BatchReward):
    """1 if the completion's final answer is that of a reference, otherwise 0.

    The final answer is what follows the last ``####``, or else the last number, as the flexible match of GSM8K
    (Cobbe et al., 2021, https://arxiv.org/abs/2110.14168) in EleutherAI's evaluation harness has it; in a text without
    numbers it is the text. How a number is written doesn't count: 1,250 is 1250.00.

    Raises:
        RewardError: when called with a sample without references.

    >>> samples = [Sample("", text, ("5 + 3 = 8. #### 8",)) for text in (" #### 8.0", " so it is 8", " #### 9")]
    >>> Answer()(samples)
    [1.0, 1.0, 0.0]
    """

    name = "answer"
    compares_with: Literal["references"] = "references"

    def score(self, sample: Sample, /) -> float:
        return answers_alike(sample.completion, references_of(sample, f"Reward {self.name!r}", RewardError))


class AnswerFormat(BatchReward):
    """1 if the completion ends with ``####`` and a number, with no other ``####``, otherwise 0.

    >>> AnswerFormat()([Sample("", text) for text in (" 5 + 3 = 8. #### 8", " 8", " #### 7 #### 8", " #### 8 apples")])
    [1.0, 0.0, 0.0, 0.0]
    """

    name = "answer_format"

    def score(self, sample: Sample, /) -> float:
        return float(has_answer_format(sample.completion))
