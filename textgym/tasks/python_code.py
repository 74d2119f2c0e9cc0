"""PythonCode: write the body of a small function, whose tests are run in child processes that can only compute.

A prompt, its reference, and what a completion scores with the default reward (all tests passed):

    # Return the sum of the even numbers.
    # f([3, 4, 8]) == 12
    # f([-2, 7, 5]) == -2
    def f(values):
        return

    " sum(n for n in values if n % 2 == 0)"                 1.00 (the reference)
    " 12"                                                   0.00
    " open('/etc/passwd').read()"                           0.00: it may open no file
"""

import ast
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from textgym.arguments import count, flag
from textgym.core import Prompt
from textgym.errors import DatasetError
from textgym.tasks.base import WorldTask
from textgym.tasks.dataset import Columns, Row
from textgym.tasks.prompts import fill
from textgym.world import Draw, Rendered, function_grammar

Tests = tuple[tuple[tuple[Any, ...], Any], ...]


class PythonCode(WorldTask):
    """Write the body of a small Python function.

    ## Description
    The prompt says what a function of a list of numbers should return, with two examples, and begins the function; the
    completion should be an expression that returns it. A level is the number of steps: one of choosing or changing
    numbers; one and what is made of all; both and what is made of all. ``metadata`` has "before" (the code that the
    completion follows), "function" and "tests": those shown and four more. The built-in models weren't trained on this
    task.

    The environment runs what a policy writes, and refuses without ``run_code=True``. Each program has a child process
    of its own, which can open no file, start no process, send no signal and use no network, and has a second of
    processor time and 256 MiB: see ``textgym.sandbox``. It needs Linux.

    ## Observation Space
    | Part | Shape | Unit | Content |
    |---|---|---|---|
    | prompt | 128 | tokens | what to return, examples, ``def f(values):\\n    return``, padded on the left |
    | completion | 42 | tokens | what was generated so far, from column 128 on |

    ## Action Space
    ``Discrete(V)``: the next token, V the size of the tokenizer.

    ## Rewards
    0 at every step but the last. Then the reward of the completion: by default 1 if the program passes all tests, else
    0. What it prints doesn't count; what its function returns is compared outside of its process.

    ## Episode End
    The end token, or 42 tokens.

    ## Arguments
    | Argument | Default | Meaning |
    |---|---|---|
    | run_code | False | True, or there is no environment |
    | split | "train" | "train" (1,000,000 prompts), "validation" or "test" (1,000 each), or a split of the dataset |
    | level | 2 | steps of a function, from 1 to 3 |
    | dataset | None | path, hub name, or loaded dataset; None is the small world |
    | columns | prompt: text, references: code, tests: test_list | the dataset's columns; also before, function |
    | template | "# {prompt}\\ndef f(values):\\n    return" | what surrounds the task |
    | seed | 0 | of the small world |
    | load_kwargs | None | a dict of arguments for ``datasets.load_dataset`` |

    The columns are those of MBPP, whose completions are whole functions: give a ``template``. Tests are lines
    ``assert f(1, "a") == [2]`` of plain values, in a list or a text; other lines are left out, and rows without any.
    For HumanEval, ``columns={"prompt": "prompt", "before": "prompt", "references": "canonical_solution", "tests":
    "test", "function": "entry_point"}`` with ``template="{prompt}"``.

    ## Blind Spots
    A program is right if it passes its tests: what they don't try may be wrong, and speed, style and length count for
    nothing. A program that passes all tests but one gets as little as one that doesn't run.

    ## Version History
    - v0: first version.

    >>> prompt = PythonCode()[0]
    >>> prompt.text.endswith("def f(values):\\n    return"), len(prompt.metadata["tests"])
    (True, 6)
    """

    name = "PythonCode"
    max_prompt_tokens = 128
    max_new_tokens = 42
    metrics = ("exact_match", "length")
    default_reward = "code_tests(run_code=true)"
    opt_in = "run_code"

    template = "# {prompt}\ndef f(values):\n    return"
    columns: ClassVar[Mapping[str, str]] = {
        "prompt": "text", "references": "code", "tests": "test_list", "before": "before", "function": "function",
    }  # fmt: skip
    optional = ("before", "function")
    variants: ClassVar[Mapping[str, tuple[Any, ...]]] = {"level": (1, 2, 3)}
    grammar = staticmethod(function_grammar)

    def __init__(
        self,
        split: str = "train",
        *,
        run_code: bool = False,
        level: int = 2,
        dataset: Any = None,
        columns: Columns | None = None,
        template: str | None = None,
        seed: int = 0,
        load_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.run_code = flag("run_code", run_code)
        self.level = count("level", level, least=1, most=3)
        super().__init__(split, dataset=dataset, columns=columns, template=template, seed=seed, load_kwargs=load_kwargs)

    def drawn_by(self) -> Callable[[Draw], Rendered]:
        return partial(function_grammar, level=self.level)

    def from_rows(self, rows: Sequence[Row], template: str) -> list[Prompt]:
        prompts = []
        for row in rows:
            called = row.extra.get("function")
            function, tests = stated_tests(row.extra["tests"], called if isinstance(called, str) else None)
            before = row.extra.get("before")
            if tests:
                facts = {"before": before if isinstance(before, str) else "", "function": function, "tests": tests}
                prompts.append(Prompt(fill(template, row.prompt), row.references, facts))
        if not prompts:
            raise DatasetError(
                f"None of {len(rows):,} rows has a test of the form 'assert f(1, 2) == 3' with plain values, such as "
                f"{str(rows[0].extra['tests'])[:80]!r}. Map another column with columns={{'tests': ...}}."
            )
        return prompts


def stated_tests(lines: Any, function: str | None = None) -> tuple[str, Tests]:
    """The function and the tests that ``assert`` lines state, of a text or a list; other lines are left out.

    Nothing is run: calls and results are read as literals. HumanEval calls ``candidate`` what is ``function``.

    >>> stated_tests(["assert add(1, 2) == 3", "assert abs(add(1, 2) - 3) < 1e-6"])
    ('add', (((1, 2), 3),))
    """
    found: dict[str, list[tuple[tuple[Any, ...], Any]]] = {}
    for text in lines if isinstance(lines, list | tuple) else [lines]:
        try:
            tree = ast.parse(str(text))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        for node in ast.walk(tree):
            equation = node.test if isinstance(node, ast.Assert) else None
            if not isinstance(equation, ast.Compare) or not isinstance(equation.ops[0], ast.Eq | ast.Is):
                continue
            call = equation.left
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.keywords:
                continue
            try:
                given = tuple(ast.literal_eval(one) for one in call.args)
                right = ast.literal_eval(equation.comparators[0])
            except (ValueError, TypeError, RecursionError, MemoryError):
                continue
            if _plain([*given, right]):
                found.setdefault(call.func.id, []).append((given, right))
    name = max(found, key=lambda one: len(found[one]), default="")
    return function or name, tuple(found.get(name, ()))


def _plain(value: Any) -> bool:
    """Whether JSON has the value: no sets, bytes or complex numbers."""
    if isinstance(value, list | tuple):
        return all(map(_plain, value))
    if isinstance(value, dict):
        return all(isinstance(key, str | int) for key in value) and all(map(_plain, value.values()))
    return value is None or isinstance(value, str | int | float)
