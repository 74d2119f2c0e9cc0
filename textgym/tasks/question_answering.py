"""QuestionAnswering: answer a question about a story.

A prompt, one of its references, and what a completion scores with the default reward (token F1):

    Question: Where did Leo find the key?
    Story: On Friday, Mia saw that her key was gone. She looked in every room. She asked Leo for help. Leo went out and
    found it on the bus. Mia was very happy.
    Answer:

    " on the bus"                                           1.00 (a reference)
    " Leo found it on the bus."                             0.57: more than what was asked
    " at the station"                                       0.00
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from textgym.arguments import choice
from textgym.core import Prompt
from textgym.tasks.base import WorldTask
from textgym.tasks.dataset import Columns, Row
from textgym.tasks.prompts import fill
from textgym.world import Draw, Rendered, question_grammar
from textgym.world.questions import ANY, KINDS


class QuestionAnswering(WorldTask):
    """Answer a question about a story.

    ## Description
    The prompt is a question and a story of 4 to 8 sentences about two people; the completion should be a few words of
    the story that answer it, as in SQuAD. Questions ask who, what, where or when. One to two answers are the
    references. ``metadata["kind"]`` says what is asked. The built-in models weren't trained on this task.

    ## Observation Space
    | Part | Shape | Unit | Content |
    |---|---|---|---|
    | prompt | 128 | tokens | question, story, ``Answer:``, padded on the left; of a longer one the beginning is kept |
    | completion | 16 | tokens | what was generated so far, from column 128 on |

    ## Action Space
    ``Discrete(V)``: the next token, V the size of the tokenizer.

    ## Rewards
    0 at every step but the last. Then the reward of the completion: by default the F1 of its words and the best
    reference's, without articles and punctuation; of characters where the references are Chinese.

    ## Episode End
    The end token, or 16 tokens.

    ## Arguments
    | Argument | Default | Meaning |
    |---|---|---|
    | split | "train" | "train" (1,000,000 prompts), "validation" or "test" (1,000 each), or a split of the dataset |
    | kind | "any" | what is asked: "who", "what", "where", "when" or "any" |
    | dataset | None | path, hub name, or loaded dataset; None is the small world |
    | columns | prompt: {question}\\nStory: {context}, references: answers.text | the dataset's columns |
    | template | "Question: {prompt}\\nAnswer:" | what surrounds question and story |
    | seed | 0 | of the small world |
    | load_kwargs | None | a dict of arguments for ``datasets.load_dataset`` |

    The columns are those of SQuAD and XQuAD, whose texts are longer: give ``max_prompt_tokens``. A row without an
    answer gets an empty reference, as in SQuAD 2.0.

    ## Version History
    - v0: first version.

    >>> prompt = QuestionAnswering(kind="who")[0]
    >>> prompt.text.startswith("Question: Who"), prompt.references[0] in prompt.text, prompt.metadata["kind"]
    (True, True, 'who')
    """

    name = "QuestionAnswering"
    max_prompt_tokens = 128
    max_new_tokens = 16
    metrics = ("token_f1", "exact_match", "rougeL")
    default_reward = "token_f1"

    template = "Question: {prompt}\nAnswer:"
    columns: ClassVar[Mapping[str, str]] = {"prompt": "{question}\nStory: {context}", "references": "answers.text"}
    variants: ClassVar[Mapping[str, tuple[Any, ...]]] = {"kind": (ANY, *KINDS)}
    grammar = staticmethod(question_grammar)

    def __init__(
        self,
        split: str = "train",
        *,
        kind: str = ANY,
        dataset: Any = None,
        columns: Columns | None = None,
        template: str | None = None,
        seed: int = 0,
        load_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.kind = choice("kind", kind, (ANY, *KINDS))
        super().__init__(split, dataset=dataset, columns=columns, template=template, seed=seed, load_kwargs=load_kwargs)

    def drawn_by(self) -> Callable[[Draw], Rendered]:
        return partial(question_grammar, kind=self.kind)

    def from_rows(self, rows: Sequence[Row], template: str) -> list[Prompt]:
        return [Prompt(fill(template, row.prompt), row.references or ("",)) for row in rows]
