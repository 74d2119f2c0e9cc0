"""A language of programs from lists of integers to lists of integers, as DeepCoder's, interpreted and total.

DeepCoder: Balog et al., 2017, https://arxiv.org/abs/1611.01989. A program is a row of steps, ``sort, take 2, add 3``,
each of which makes a list of a list. Every program ends, quickly, on every list: there are no loops, a list never
grows, and numbers stay within ``LARGEST``. So a program is run where it is read, without a sandbox.

======================= ============================================================================
Steps                   What becomes of a list
======================= ============================================================================
sort, reverse           the same numbers in another order
rotate N                the first N numbers come last
unique, evens, odds     without repeated, odd or even numbers
above N, below N        the numbers above or below N
take N, drop N, last N  the first N, all but the first N, the last N
add N, subtract N       each number changed
times N, divide N,      each number changed; division rounds down
mod N, square, negate
sums, diffs             running sums; differences of neighbors, one fewer
sum, min, max, count    one number; of no numbers, sum and count are 0, and min and max are none
======================= ============================================================================
"""

import itertools
import operator
import re
from collections.abc import Callable, Iterable, Sequence

LARGEST = 9_999  # what a number may be, above or below 0: beyond it stays there
MOST_STEPS = 16  # in a program
MOST_NUMBERS = 64  # in a list
EMPTY = "none"  # how an empty list is written

Numbers = tuple[int, ...]
Step = Callable[[Numbers], Numbers]


def bounded(numbers: Iterable[int]) -> Numbers:
    """The numbers, those beyond ``LARGEST`` at it.

    >>> bounded([3, -70_000])
    (3, -9999)
    """
    result = tuple(numbers)
    for number in result:
        if not -LARGEST <= number <= LARGEST:
            return tuple([max(-LARGEST, min(LARGEST, number)) for number in result])
    return result


PLAIN: dict[str, Step] = {
    "sort": lambda numbers: tuple(sorted(numbers)),
    "reverse": lambda numbers: numbers[::-1],
    "unique": lambda numbers: tuple(dict.fromkeys(numbers)),
    "evens": lambda numbers: tuple([number for number in numbers if number % 2 == 0]),
    "odds": lambda numbers: tuple([number for number in numbers if number % 2]),
    "square": lambda numbers: bounded([number * number for number in numbers]),
    "negate": lambda numbers: tuple([-number for number in numbers]),
    "sums": lambda numbers: bounded(itertools.accumulate(numbers)),
    "diffs": lambda numbers: bounded(map(operator.sub, numbers[1:], numbers)),
    "sum": lambda numbers: bounded((sum(numbers),)),
    "min": lambda numbers: (min(numbers),) if numbers else (),
    "max": lambda numbers: (max(numbers),) if numbers else (),
    "count": lambda numbers: (len(numbers),),
}
WITH_NUMBER: dict[str, Callable[[int], Step]] = {
    "rotate": lambda n: lambda numbers: numbers[n % len(numbers) :] + numbers[: n % len(numbers)] if numbers else (),
    "above": lambda n: lambda numbers: tuple([number for number in numbers if number > n]),
    "below": lambda n: lambda numbers: tuple([number for number in numbers if number < n]),
    "take": lambda n: lambda numbers: numbers[:n],
    "drop": lambda n: lambda numbers: numbers[n:],
    "last": lambda n: lambda numbers: numbers[max(0, len(numbers) - n) :],
    "add": lambda n: lambda numbers: bounded([number + n for number in numbers]),
    "subtract": lambda n: lambda numbers: bounded([number - n for number in numbers]),
    "times": lambda n: lambda numbers: bounded([number * n for number in numbers]),
    "divide": lambda n: lambda numbers: tuple([number // n for number in numbers]),
    "mod": lambda n: lambda numbers: tuple([number % n for number in numbers]),
}
_FROM_ONE = ("divide", "mod")
_STEP = re.compile(r"([a-z]+)(?: +([0-9]{1,3}))?")


def parse(program: str) -> list[Step] | None:
    """The steps of a program; None for a text that is none, or has more than ``MOST_STEPS``.

    >>> [step((3, 1, 2)) for step in parse("sort, take 2")]
    [(1, 2, 3), (3, 1)]
    >>> parse("sort of"), parse("take"), parse("divide 0"), parse("")
    (None, None, None, None)
    """
    steps: list[Step] = []
    parts = program.split(",", MOST_STEPS)
    if len(parts) > MOST_STEPS:
        return None
    for part in parts:
        match = _STEP.fullmatch(part.strip())
        if match is None:
            return None
        name, number = match[1], match[2]
        if number is None:
            if name not in PLAIN:
                return None
            steps.append(PLAIN[name])
        else:
            if name not in WITH_NUMBER or (name in _FROM_ONE and not int(number)):
                return None
            steps.append(WITH_NUMBER[name](int(number)))
    return steps


def run(program: str, numbers: Sequence[int]) -> Numbers | None:
    """What a program makes of a list; None for a text that is no program. Nothing that a text says makes it raise.

    >>> run("sort, take 2, add 3", [9, 4, 5]), run("max", []), run("rm -rf", [1])
    ((7, 8), (), None)
    """
    steps = parse(program)
    if steps is None:
        return None
    result = tuple(numbers)
    for step in steps:
        result = step(result)
    return result


def written(numbers: Sequence[int]) -> str:
    """A list as prompts show it.

    >>> written([3, -1]), written([])
    ('3 -1', 'none')
    """
    return " ".join(map(str, numbers)) or EMPTY


def read(text: str) -> Numbers | None:
    """The list that a text shows, None if it shows none, or one of more than ``MOST_NUMBERS``.

    >>> read("3 -1"), read("none"), read("3, 1"), read("")
    ((3, -1), (), None, None)
    """
    if text.strip() == EMPTY:
        return ()
    words = text.split()
    if not 0 < len(words) <= MOST_NUMBERS or not all(re.fullmatch(r"-?[0-9]{1,4}", word) for word in words):
        return None
    return tuple(map(int, words))
