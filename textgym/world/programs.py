"""Examples of what a program does to lists, and the program."""

import itertools

from textgym.world.draw import Draw, Rendered
from textgym.world.list_language import PLAIN, WITH_NUMBER, Numbers, Step, parse, written

SHOWN, HIDDEN = 4, 4  # examples in the prompt, and examples that only the reward has
SHORTEST, LONGEST = 3, 5  # numbers in an example's list, each of one digit

_NUMBERS: dict[str, range] = {
    "rotate": range(1, 3), "above": range(1, 8), "below": range(2, 9), "take": range(1, 5), "drop": range(1, 4),
    "last": range(1, 5), "add": range(1, 10), "subtract": range(1, 10), "times": range(2, 10), "divide": range(2, 5),
    "mod": range(2, 7),
}  # fmt: skip
# The lists of examples, every 73rd of all: a draw takes one, and not its numbers one by one.
LISTS: tuple[Numbers, ...] = tuple(
    tuple(map(int, f"{digits:0{LONGEST}d}"[:length]))
    for length in range(SHORTEST, LONGEST + 1)
    for digits in range(length, 10**LONGEST, 73)
)
_WRITTEN = {numbers: written(numbers) for numbers in LISTS}
STEPS: tuple[str, ...] = (*PLAIN, *(f"{name} {number}" for name in WITH_NUMBER for number in _NUMBERS[name]))
_MADE: dict[str, Step] = {text: step for text in STEPS for step in parse(text) or ()}
_NAME = {text: text.partition(" ")[0] for text in STEPS}

# Steps that only order the numbers, before steps that don't look at the order, do nothing; and so for the others.
_ORDERS, _OF_ANY_ORDER = {"sort", "reverse", "rotate"}, {"sort", "sum", "min", "max", "count"}
_KEEPS_COUNT = {*_ORDERS, "square", "negate", "sums", "add", "subtract", "times", "divide", "mod"}
_TO_ONE = {"sum", "min", "max", "count"}
_ADDS = {"add", "subtract"}


def is_shorter(first: str, then: str) -> bool:
    """Whether two steps in a row, by name, are one or none in disguise, whatever the list.

    >>> is_shorter("sort", "sum"), is_shorter("add", "subtract"), is_shorter("sort", "take")
    (True, True, False)
    """
    if first == then or (first in _ADDS and then in _ADDS) or (first in _ORDERS and then in _OF_ANY_ORDER):
        return first not in ("square", "diffs", "sums")
    if first in _TO_ONE:  # a single number has no order
        return then in _ORDERS or then in _TO_ONE or then in ("take", "last", "unique", "sums", "diffs")
    return first in _KEEPS_COUNT and then == "count"


_SHORTER = frozenset((one, two) for one in STEPS for two in STEPS if is_shorter(_NAME[one], _NAME[two]))


def program_grammar(draw: Draw, level: int = 2) -> Rendered:
    """Examples of what a program of ``level`` steps does, and the program; ``metadata["tests"]`` has all examples.

    Each step changes one of the lists shown or more, and what comes out differs between them.
    """
    while True:
        names = draw.picks(STEPS, level)
        if not _SHORTER.isdisjoint(itertools.pairwise(names)):
            continue
        steps = [_MADE[name] for name in names]
        inputs = draw.picks(LISTS, SHOWN)
        outputs = _outputs(steps, inputs)
        if outputs is None:
            continue
        shown = "; ".join([f"{_WRITTEN[one]} -> {written(two)}" for one, two in zip(inputs, outputs, strict=True)])
        hidden = draw.picks(LISTS, HIDDEN)
        if not draw.wants(shown):
            return Rendered(shown, ())
        made = hidden
        for step in steps:
            made = [step(numbers) for numbers in made]
        tests = (*zip(inputs, outputs, strict=True), *zip(hidden, made, strict=True))
        return Rendered(shown, (", ".join(names),), {"tests": tests})


def _outputs(steps: list[Step], inputs: list[Numbers]) -> list[Numbers] | None:
    """What the steps make of the inputs; None where a step changes none of them, or the outputs say too little."""
    lists = inputs
    for step in steps:
        before, lists = lists, [step(numbers) for numbers in lists]
        if lists == before or len(set(lists)) < SHOWN - 1:  # what has become alike stays alike
            return None
    return lists if all(lists) else None
