"""Tools that the policy may use: a turn that calls one is answered by it, any other turn is the answer.

Sum: 12 times 7, plus 1.        the prompt
CALL calculator: 12 * 7 + 1     a turn of the policy
85                              the tool's reply
85                              a turn without a call: the answer, which ends the conversation
"""

import ast
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from textgym.core import Prompt
from textgym.dialogue import Dialogue, Reply
from textgym.errors import ConfigError, did_you_mean

Tool = Callable[[str, Prompt], str]

_CALL = re.compile(r"\s*CALL\b\s*(\w*)\s*(:?)(.*)", re.S)
_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
LONGEST = 200  # characters of a sum


class ToolUse:
    """Answers ``CALL name: argument`` by the tool of that name. A turn without a call is the final answer.

    An unknown tool, a malformed call and a tool's own failure are replies that say so: nothing crashes, and the turn is
    spent.

    Args:
        tools: name -> function of the argument and the prompt. None: ``calculator`` and ``look_up``.
        correct: the reward of an answer that is one of the prompt's references, spaces around it aside.

    Raises:
        ConfigError: a tool can't be called, or its name is no word.

    >>> from textgym import Turn
    >>> task = Prompt("Sum: 12 times 7.", ("84",))
    >>> ask = lambda text: ToolUse()([Dialogue(task, (Turn("policy", text),))])[0]
    >>> ask(" CALL calculator: 12 * 7").text, ask("CALL oracle: 1").text
    ('84', "Error: no tool is called 'oracle'. Valid names: calculator, look_up.")
    >>> ask(" 84")
    Reply(text='', reward=1.0, done=True, info={})
    """

    def __init__(self, tools: Mapping[str, Tool] | None = None, correct: float = 1.0) -> None:
        self.tools: dict[str, Tool] = {"calculator": calculator, "look_up": look_up} if tools is None else dict(tools)
        for name, tool in self.tools.items():
            if not callable(tool) or not name.isidentifier():
                raise ConfigError(f"The tool {name!r} is {tool!r}, expected a name of one word and a function.")
        self.correct = correct

    def __call__(self, dialogues: Sequence[Dialogue], /) -> list[Reply]:
        return [self._reply(dialogue) for dialogue in dialogues]

    def _reply(self, dialogue: Dialogue) -> Reply:
        said = dialogue.said[-1]
        call = _CALL.fullmatch(said)
        if call is None:
            right = said.strip() in {text.strip() for text in dialogue.prompt.references}
            return Reply(reward=self.correct * right, done=True)
        name, colon, argument = call.groups()
        if not name or not colon:
            return Reply("Error: a call is CALL name: argument.")
        if name not in self.tools:
            return Reply(f"Error: no tool is called {name!r}. {did_you_mean(name, self.tools)}")
        try:
            return Reply(str(self.tools[name](argument.strip(), dialogue.prompt)))
        except Exception as error:
            return Reply(f"Error: {error}")

    def __repr__(self) -> str:
        return f"ToolUse({sorted(self.tools)})"


def calculator(argument: str, prompt: Prompt) -> str:
    """The value of a sum with + - * / and parentheses, exact; a fraction that is no decimal is rounded to 6 places.

    Raises:
        ValueError: it is no sum, is too long, or divides by zero.

    >>> calculator("(1 + 2) * 0.1", Prompt("")), calculator("1 / 3", Prompt(""))
    ('0.3', '0.333333')
    """
    if len(argument) > LONGEST:
        raise ValueError(f"the sum has {len(argument)} characters, at most {LONGEST} are taken.")
    try:
        value = _value(ast.parse(argument, mode="eval").body, argument)
    except ZeroDivisionError:
        raise ValueError("division by zero.") from None
    except (SyntaxError, RecursionError, MemoryError, ValueError):
        raise ValueError(f"{argument!r} is no sum of numbers with + - * / and parentheses.") from None
    if value.denominator == 1:
        return str(value.numerator)
    return f"{float(round(value, 6)):.6f}".rstrip("0").rstrip(".")


def _value(node: ast.AST, source: str) -> Fraction:
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return Fraction(_OPERATORS[type(node.op)](_value(node.left, source), _value(node.right, source)))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        value = _value(node.operand, source)
        return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        text = ast.get_source_segment(source, node) or ""
        return Fraction(text if re.fullmatch(r"[\d.]+", text) else "no number")
    raise ValueError


def look_up(argument: str, prompt: Prompt) -> str:
    """The record of a name in ``prompt.metadata["records"]``, a dict of texts; upper and lower case are alike.

    Raises:
        ValueError: there is none of that name.

    >>> look_up("Red Fox", Prompt("", metadata={"records": {"red fox": "type: pub | price: cheap"}}))
    'type: pub | price: cheap'
    """
    records = {name.lower(): text for name, text in prompt.metadata.get("records", {}).items()}
    if argument.lower() not in records:
        raise ValueError(f"there is no record of {argument!r}.")
    return str(records[argument.lower()])
