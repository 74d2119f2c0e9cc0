"""Every logged scalar is explained, beside the algorithms that log it."""

import re

from docs.generator import facts
from docs.generator.logged import as_cell, loggers, named_in, trained


def test_scalars_of_algorithms_are_explained_and_theirs() -> None:
    from docs.generator.logged import logged_by

    logged = loggers()
    table = {one.name: one.by for one in facts.scalars() if named_in(one.by)}
    assert {*logged} == {*table}
    for name, names in logged.items():
        assert table[name] == as_cell(names), f"{name}: python -m docs.generator.write"

    patterns = {one.name: re.compile(re.sub("<[a-z]+>", r"\\w+", one.name)) for one in facts.scalars()}
    seen = logged_by("ppo", callbacks=True)
    assert [name for name in seen if not any(pattern.fullmatch(name) for pattern in patterns.values())] == []
    of_callbacks = {name for name in patterns if name not in table}
    assert [name for name in of_callbacks if not any(patterns[name].fullmatch(one) for one in seen)] == []


def test_cells_name_algorithms() -> None:
    assert as_cell(["ppo", "a2c"]) == "ppo, a2c"
    assert as_cell(trained()) == "every algorithm"
    assert named_in(as_cell(trained()[2:])) == {*trained()[2:]}
    assert named_in("TextLogger") == set()
