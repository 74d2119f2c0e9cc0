"""QuestionAnswering: answer a question about a story.

A prompt, one of its references, and what a completion scores with the default reward (token F1):

    Question: Where did Leo find the key?
    Story: On Friday, Mia saw that her key was gone. She looked in every room. She asked Leo for help. Leo went out and
    found it on the bus. Mia was very happy.
    Answer:

    " on the bus"                                           1.00 (a reference)
    " Leo found it on the bus."                             0.57: more than what was asked
    " at the station"                                       0.00

With ``language="zh"``, where F1 is that of characters:

    问题：何勇是什么时候来敲门的？
    故事：星期三，刘敏在河边散步。她看见地上有一只棕色的狗。它又湿又冷。刘敏把它放进包里，带回了家。第二天，何勇来敲门。
    狗是他的，他高兴得哭了。
    回答：

    " 第二天"                                               1.00 (the reference)
    " 星期三"                                               0.00
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from textgym.arguments import choice
from textgym.core import Prompt
from textgym.tasks.base import CHINESE, ENGLISH, LANGUAGES, WorldTask
from textgym.tasks.dataset import Columns, Row
from textgym.tasks.prompts import fill
from textgym.tokenizer import BUILTIN_MEDIUM
from textgym.world import Draw, Rendered, chinese_question_grammar, question_grammar
from textgym.world.questions import ANY, KINDS


class QuestionAnswering(WorldTask):
    """Answer a question about a story.

    ## Description
    The prompt is a question and a story of 4 to 8 sentences about two people; the completion should be a few words of
    the story that answer it, as in SQuAD. Questions ask who, what, where or when. One to two answers are the
    references. ``metadata["kind"]`` says what is asked. With ``language="zh"`` all of it is Chinese.

    ## Observation Space
    | Part | Shape | Unit | Content |
    |---|---|---|---|
    | prompt | 128 | tokens | question, story, ``Answer:``, padded on the left; of a longer one the beginning is kept |
    | completion | 16 | tokens | what was generated so far, from column 128 on |

    In Chinese they have 352 and 32 tokens.

    ## Action Space
    ``Discrete(V)``: the next token, V the size of the tokenizer.

    ## Rewards
    0 at every step but the last. Then the reward of the completion: by default the F1 of its words and the best
    reference's, without articles and punctuation; of characters where the references are Chinese.

    ## Episode End
    The end token, or 16 tokens, or 32 of Chinese.

    ## Arguments
    | Argument | Default | Meaning |
    |---|---|---|
    | split | "train" | "train" (1,000,000 prompts), "validation" or "test" (1,000 each), or a split of the dataset |
    | kind | "any" | what is asked: "who", "what", "where", "when" or "any" |
    | language | "en" | "en", or "zh": prompts and references are Chinese |
    | dataset | None | path, hub name, or loaded dataset; None is the small world |
    | columns | prompt: {question}\\nStory: {context}, references: answers.text | the dataset's columns |
    | template | "Question: {prompt}\\nAnswer:" | what surrounds question and story |
    | seed | 0 | of the small world |
    | load_kwargs | None | a dict of arguments for ``datasets.load_dataset`` |

    The columns are those of SQuAD and XQuAD, whose texts are longer: give ``max_prompt_tokens``. A row without an
    answer gets an empty reference, as in SQuAD 2.0. With ``language="zh"`` the template is Chinese, with "故事："
    in place of "Story:".

    ## Blind Spots
    Token F1 has no order: an answer with its words shuffled is as good as the right one, and part of an answer, or an
    answer among other words of the story, gets part of the reward. A right answer in other words gets nothing.

    ## Version History
    - v0: first version.

    >>> prompt = QuestionAnswering(kind="who")[0]
    >>> prompt.text.startswith("Question: Who"), prompt.references[0] in prompt.text, prompt.metadata["kind"]
    (True, True, 'who')
    >>> QuestionAnswering(kind="who", language="zh")[1].text.partition("\\n")[0]
    '问题：谁来看比赛？'
    """

    name = "QuestionAnswering"
    default_model = BUILTIN_MEDIUM
    max_prompt_tokens = 128
    max_new_tokens = 16
    metrics = ("token_f1", "exact_match", "rougeL")
    default_reward = "token_f1"

    template = "Question: {prompt}\nAnswer:"
    chinese_template = "问题：{prompt}\n回答："
    chinese_tokens = 352, 32
    columns: ClassVar[Mapping[str, str]] = {"prompt": "{question}\nStory: {context}", "references": "answers.text"}
    variants: ClassVar[Mapping[str, tuple[Any, ...]]] = {"kind": (ANY, *KINDS), "language": LANGUAGES}
    taught = ({}, {"language": CHINESE})
    grammar = staticmethod(question_grammar)

    def __init__(
        self,
        split: str = "train",
        *,
        kind: str = ANY,
        language: str = ENGLISH,
        dataset: Any = None,
        columns: Columns | None = None,
        template: str | None = None,
        seed: int = 0,
        load_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.kind = choice("kind", kind, (ANY, *KINDS))
        template = self._set_language(language, template)
        if language == CHINESE and dataset is not None and (columns is None or isinstance(columns, Mapping)):
            columns = {"prompt": "{question}\n故事：{context}", **(columns or {})}
        super().__init__(split, dataset=dataset, columns=columns, template=template, seed=seed, load_kwargs=load_kwargs)

    def drawn_by(self) -> Callable[[Draw], Rendered]:
        grammar = chinese_question_grammar if self.language == CHINESE else question_grammar
        return partial(grammar, kind=self.kind)

    def from_rows(self, rows: Sequence[Row], template: str) -> list[Prompt]:
        return [Prompt(fill(template, row.prompt), row.references or ("",)) for row in rows]
