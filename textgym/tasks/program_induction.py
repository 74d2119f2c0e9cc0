"""ProgramInduction: find the program that examples are of.

A prompt, its reference, and what a completion scores with the default reward (all tests passed):

    Examples: 3 1 2 -> 4 5; 9 0 4 7 -> 3 7; 5 5 8 -> 8 8; 2 6 1 -> 4 5
    Program:

    " sort, take 2, add 3"                                  1.00 (the reference)
    " add 3, sort, take 2"                                  1.00: it does the same
    " sort, take 2"                                         0.00
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from textgym.arguments import count
from textgym.core import Prompt
from textgym.errors import DatasetError
from textgym.tasks.base import WorldTask
from textgym.tasks.dataset import Columns, Row
from textgym.tasks.prompts import fill
from textgym.tokenizer import BUILTIN_MEDIUM
from textgym.world import Draw, Rendered, program_grammar
from textgym.world.list_language import MOST_NUMBERS, Numbers, read


class ProgramInduction(WorldTask):
    """Find the program that examples are of.

    ## Description
    The prompt shows four lists and what a program makes of each; the completion should be such a program, a row of
    steps of a small list language: ``sort``, ``take 2``, ``add 3`` and others, see ``textgym.world.list_language``. Any
    program will do that is right for the lists shown and for four more that aren't. A level is the number of steps of
    the reference. There are 74 steps, so that guessing gets 0.014 at the first level and less at the others.
    ``metadata["tests"]`` holds the pairs of lists, those shown first.

    ## Observation Space
    | Part | Shape | Unit | Content |
    |---|---|---|---|
    | prompt | 128 | tokens | ``Examples: <pairs>\\nProgram:``, padded on the left |
    | completion | 32 | tokens | what was generated so far, from column 128 on |

    ## Action Space
    ``Discrete(V)``: the next token, V the size of the tokenizer.

    ## Rewards
    0 at every step but the last. Then the reward of the completion: by default 1 if it is a program that passes all
    tests, else 0.

    ## Episode End
    The end token, or 32 tokens.

    ## Arguments
    | Argument | Default | Meaning |
    |---|---|---|
    | split | "train" | "train" (1,000,000 prompts), "validation" or "test" (1,000 each), or a split of the dataset |
    | level | 2 | steps of the reference, from 1 to 4 |
    | dataset | None | path, hub name, or loaded dataset; None is the small world |
    | columns | prompt: examples, references: program | the dataset's columns; the program may be missing |
    | template | "Examples: {prompt}\\nProgram:" | what surrounds the examples |
    | seed | 0 | of the small world |
    | load_kwargs | None | a dict of arguments for ``datasets.load_dataset`` |

    A dataset's examples have the form ``3 1 2 -> 1 2; 9 4 -> 4 9``, with ``none`` for an empty list. All are tests.

    ## Blind Spots
    A program is right if it is right for eight lists, so one that fails for others, such as longer ones, is paid in
    full. Length and clarity count for nothing, and a program that is almost right gets as little as no program.

    ## Version History
    - v0: first version.

    >>> prompt = ProgramInduction()[0]
    >>> prompt.text.startswith("Examples: ") and prompt.text.endswith("Program:"), len(prompt.metadata["tests"])
    (True, 8)
    """

    name = "ProgramInduction"
    default_model = BUILTIN_MEDIUM
    max_prompt_tokens = 128
    max_new_tokens = 32
    metrics = ("exact_match", "length")
    default_reward = "program_tests"

    template = "Examples: {prompt}\nProgram:"
    columns: ClassVar[Mapping[str, str]] = {"prompt": "examples", "references": "program"}
    optional = ("references",)
    variants: ClassVar[Mapping[str, tuple[Any, ...]]] = {"level": (1, 2, 3, 4)}
    grammar = staticmethod(program_grammar)

    def __init__(
        self,
        split: str = "train",
        *,
        level: int = 2,
        dataset: Any = None,
        columns: Columns | None = None,
        template: str | None = None,
        seed: int = 0,
        load_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.level = count("level", level, least=1, most=4)
        super().__init__(split, dataset=dataset, columns=columns, template=template, seed=seed, load_kwargs=load_kwargs)

    def drawn_by(self) -> Callable[[Draw], Rendered]:
        return partial(program_grammar, level=self.level)

    def from_rows(self, rows: Sequence[Row], template: str) -> list[Prompt]:
        return [Prompt(fill(template, row.prompt), row.references, {"tests": _tests(row.prompt)}) for row in rows]


def _tests(examples: str) -> tuple[tuple[Numbers, Numbers], ...]:
    """The pairs of lists of a row's examples."""
    tests = []
    for example in examples.split(";"):
        left, _, right = example.partition("->")
        numbers, made = read(left), read(right)
        if numbers is None or made is None:
            raise DatasetError(
                f"The examples {examples[:60]!r} have {example.strip()[:40]!r}, expected pairs such as '3 1 2 -> 1 2; "
                f"9 4 -> 4 9': integers of at most four digits, {MOST_NUMBERS} in a list or fewer."
            )
        tests.append((numbers, made))
    return tuple(tests)
