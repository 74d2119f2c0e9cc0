"""Small Python functions: what they should return, examples, and an expression that returns it."""

from collections.abc import Callable
from typing import NamedTuple

from textgym.world.draw import Draw, Rendered

SHOWN, HIDDEN = 2, 4  # examples in the prompt, and examples that only the reward has
FUNCTION = "f"
SIGNATURE = f"def {FUNCTION}(values):\n    return"

Numbers = list[int]


class Part(NamedTuple):
    """A step of a function: how it is said, how it is written, and what it does."""

    said: str
    code: str
    does: Callable[[int], int]


def _keeps(draw: Draw) -> Part:
    """Which numbers count."""
    k = 2 + draw.below(8)
    return draw.pick(
        (
            Part("the even numbers", "n % 2 == 0", lambda n: n % 2 == 0),
            Part("the odd numbers", "n % 2 == 1", lambda n: n % 2 == 1),
            Part("the positive numbers", "n > 0", lambda n: n > 0),
            Part("the negative numbers", "n < 0", lambda n: n < 0),
            Part(f"the numbers above {k}", f"n > {k}", lambda n: n > k),
            Part(f"the numbers below {k}", f"n < {k}", lambda n: n < k),
            Part(f"the numbers other than {k}", f"n != {k}", lambda n: n != k),
            Part(f"the numbers that {k} divides", f"n % {k} == 0", lambda n: n % k == 0),
        )
    )


def _changes(draw: Draw) -> Part:
    """What becomes of each number. ``said`` comes before the numbers."""
    k = 2 + draw.below(8)
    return draw.pick(
        (
            Part("the squares of", "n * n", lambda n: n * n),
            Part("the negatives of", "-n", lambda n: -n),
            Part("the absolute values of", "abs(n)", abs),
            Part(f"{k} times", f"{k} * n", lambda n: k * n),
            Part(f"{k} more than each of", f"n + {k}", lambda n: n + k),
            Part(f"{k} less than each of", f"n - {k}", lambda n: n - k),
            Part(f"the remainders by {k} of", f"n % {k}", lambda n: n % k),
        )
    )


class Whole(NamedTuple):
    """What is made of all numbers. ``code`` has a place for the inside of a comprehension."""

    said: str
    code: str
    does: Callable[[Numbers], object]


LISTS = (
    Whole("Return a list of {of}.", "[{inside}]", lambda numbers: numbers),
    Whole("Return a sorted list of {of}.", "sorted({inside})", sorted),
)
ONES = (
    Whole("Return the sum of {of}.", "sum({inside})", sum),
    Whole(
        "Return the largest of {of}, or 0 if there are none.", "max(({inside}), default=0)", lambda n: max(n, default=0)
    ),
    Whole(
        "Return the smallest of {of}, or 0 if there are none.",
        "min(({inside}), default=0)",
        lambda n: min(n, default=0),
    ),
)


def function_grammar(draw: Draw, level: int = 2) -> Rendered:
    """What a function of ``level`` steps should return, with examples, and an expression for it.

    ``metadata`` has "before", the code that the expression follows, "function", its name, and "tests": pairs of the
    arguments of a call, and what it should return.
    """
    while True:
        keep = _keeps(draw) if level == 3 or draw.chance(0.5) else None
        change = _changes(draw) if level == 3 or keep is None else None
        whole = draw.pick(LISTS[:1] if level == 1 else ONES if level == 3 else (*LISTS[1:], *ONES))
        inside = f"{change.code if change else 'n'} for n in values{f' if {keep.code}' if keep else ''}"
        of = (f"{change.said} " if change else "") + (keep.said if keep else "the numbers")
        tests = []
        for numbers in [_numbers(draw) for _ in range(SHOWN + HIDDEN)]:
            inner = [n for n in numbers if keep is None or keep.does(n)]
            tests.append(([numbers], whole.does([change.does(n) for n in inner] if change else inner)))
        shown = tests[:SHOWN]
        if (
            any(not right for _, right in shown)
            or shown[0][1] == shown[1][1]
            or all(right == given[0] for given, right in shown)
        ):
            continue
        lines = [whole.said.format(of=of), *(f"# {FUNCTION}({given[0]}) == {right}" for given, right in shown)]
        code = whole.code.format(inside=inside)
        return Rendered(
            "\n".join(lines),
            (code,),
            {
                "before": SIGNATURE,
                "function": FUNCTION,
                "tests": tuple((tuple(given), right) for given, right in tests),
            },
        )


def _numbers(draw: Draw) -> Numbers:
    """Three or four numbers from -9 to 20."""
    return [draw.below(30) - 9 for _ in range(3 + draw.below(2))]
