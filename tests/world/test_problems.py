"""Word problems: equations that are right, use the problem's numbers, and are as many as the level."""

import re

import pytest

from textgym.world import Draw, problem_grammar
from textgym.world.problems import LARGEST


@pytest.mark.parametrize("level", [1, 2, 3])
def test_solutions_are_right_and_follow_from_the_numbers_of_the_problem(level):
    signs = set()
    for index in range(600):
        problem = problem_grammar(Draw.at(0, "train", index), level)
        (solution,) = problem.targets
        *equations, answer = re.split(r"\. ", solution)
        known = re.findall(r"\d+", problem.source)
        assert len(equations) == level == len(known) - 1 == problem.metadata["level"], problem
        value = None
        for equation in equations:
            left, sign, right, equals, result = equation.split()
            first, second = int(left), int(right)
            computed = {"+": first + second, "-": first - second, "*": first * second, "/": first / second}[sign]
            assert equals == "="
            assert computed == int(result) > 0, problem
            assert value is None or left == value, problem
            assert right in known, problem
            value = result
            signs.add(sign)
        assert left in known or level > 1
        assert answer == f"#### {value}"
        assert int(value) <= 2 * LARGEST
        assert problem.source.endswith("?")
        assert "{" not in problem.source
    assert signs == {"+", "-", "*", "/"}


def test_those_compared_with_are_others_than_those_who_gave_or_took():
    for index in range(300):
        text = problem_grammar(Draw.at(0, "train", index), 3).source
        compared = re.search(r"(\w+) has \d+ (?:times as many as|more than|fewer than) (\w+) now", text)
        if compared:
            assert compared[1] not in text[: compared.start()]
            assert compared[2] in text[: compared.start()]
