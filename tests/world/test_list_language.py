"""The list language: every step by hand, texts that are no program, and that all programs end within bounds."""

import random

import pytest

from textgym.world import Draw, program_grammar
from textgym.world.list_language import LARGEST, MOST_NUMBERS, MOST_STEPS, PLAIN, WITH_NUMBER, parse, read, run, written
from textgym.world.programs import LISTS, STEPS, is_shorter

GIVEN = (3, 1, 4, 1, 6)


@pytest.mark.parametrize(
    ("program", "result"),
    [
        ("sort", (1, 1, 3, 4, 6)),
        ("reverse", (6, 1, 4, 1, 3)),
        ("rotate 2", (4, 1, 6, 3, 1)),
        ("rotate 7", (4, 1, 6, 3, 1)),
        ("unique", (3, 1, 4, 6)),
        ("evens", (4, 6)),
        ("odds", (3, 1, 1)),
        ("above 3", (4, 6)),
        ("below 3", (1, 1)),
        ("take 2", (3, 1)),
        ("take 0", ()),
        ("drop 2", (4, 1, 6)),
        ("drop 9", ()),
        ("last 2", (1, 6)),
        ("last 9", GIVEN),
        ("add 3", (6, 4, 7, 4, 9)),
        ("subtract 3", (0, -2, 1, -2, 3)),
        ("times 2", (6, 2, 8, 2, 12)),
        ("divide 2", (1, 0, 2, 0, 3)),
        ("negate, divide 2", (-2, -1, -2, -1, -3)),
        ("mod 3", (0, 1, 1, 1, 0)),
        ("negate, mod 3", (0, 2, 2, 2, 0)),
        ("square", (9, 1, 16, 1, 36)),
        ("negate", (-3, -1, -4, -1, -6)),
        ("sums", (3, 4, 8, 9, 15)),
        ("diffs", (-2, 3, -3, 5)),
        ("sum", (15,)),
        ("min", (1,)),
        ("max", (6,)),
        ("count", (5,)),
        (" Sort", None),
        ("  sort ,take 2\n", (1, 1)),
    ],
)
def test_steps_by_hand(program, result):
    assert run(program, GIVEN) == result


def test_all_steps_are_in_the_table_above():
    from textgym.world import list_language

    steps = list_language.__doc__.partition("Steps ")[2]
    assert all(name in steps for name in (*PLAIN, *WITH_NUMBER))


@pytest.mark.parametrize(
    "text",
    ["", " ", ",", "sort,", "sort take", "take", "take -1", "take 1 2", "take 1000", "take ２", "divide 0", "mod 0",
     "sort 1", "exec", "sort;", "sort\nsort", "__import__('os')", "sort, " * 100_000, "9" * 100_000, "\0"],
)  # fmt: skip
def test_what_is_no_program(text):
    assert parse(text) is None
    assert run(text, GIVEN) is None


def test_every_program_ends_within_bounds_on_every_list():
    drawn = random.Random(0)
    names = (*STEPS, "times 999", "add 999", "take 0", "rotate 999", "square", "sums")
    for _ in range(1500):
        program = ", ".join(drawn.choice(names) for _ in range(drawn.randint(1, MOST_STEPS)))
        numbers = [drawn.randint(-LARGEST, LARGEST) for _ in range(drawn.choice((0, 1, 5, MOST_NUMBERS)))]
        result = run(program, numbers)
        assert result is not None, program
        assert len(result) <= max(1, len(numbers))
        assert all(-LARGEST <= number <= LARGEST for number in result)


def test_lists_are_read_as_they_are_written():
    for numbers in (*LISTS[::100], (), (-9999, 0)):
        assert read(written(numbers)) == numbers
    for text in ("", "3,1", "x", "1.5", "99999", "1 " * 65, "[1]"):
        assert read(text) is None


@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_references_pass_and_random_programs_do_not(level):
    """A policy that guesses any program of the level passes one prompt in fifty or fewer."""
    drawn, passed = random.Random(0), 0
    for index in range(150):
        rendered = program_grammar(Draw.at(0, "train", index), level)
        tests, (program,) = rendered.metadata["tests"], rendered.targets
        assert len(tests) == 8
        assert all(run(program, numbers) == right for numbers, right in tests)
        assert rendered.source.count("->") == 4
        guesses = STEPS if level == 1 else [", ".join(drawn.choices(STEPS, k=level)) for _ in range(20)]
        passed += sum(all(run(guess, numbers) == right for numbers, right in tests) for guess in guesses) / len(guesses)
    assert passed / 150 < 0.02


def test_pairs_of_steps_that_are_called_shorter_are():
    """Each such pair does what one step or none does: of all lists of the prompts, on a hundred."""
    lists = [*LISTS[::41], (5,), ()]
    numbers = {"add": (2, 4), "subtract": (3, 5)}
    for first in (*PLAIN, *WITH_NUMBER):
        for then in (*PLAIN, *WITH_NUMBER):
            if not is_shorter(first, then) or {first, then} & {"times", "divide", "mod"}:
                continue
            ways = ["", *STEPS, "rotate 5", "rotate 4", "drop 6", "drop 4", "drop 5"]
            one, two = (
                name if name in PLAIN else f"{name} {numbers.get(name, (2, 3))[i]}"
                for i, name in enumerate((first, then))
            )
            results = [run(f"{one}, {two}", given) for given in lists]
            if first in ("sum", "min", "max", "count"):
                continue  # of one number, whatever comes then is of one number
            assert any(results == [run(way, given) if way else given for given in lists] for way in ways), (one, two)
