"""The benchmark's page says what the results file says."""

import pytest

from docs.generator.write import RESULTS, part


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for parts in RESULTS.values() for name in parts])
def test_tables_are_those_of_the_results(name):
    ((path, generators),) = RESULTS.items()
    assert part(path.read_text(encoding="utf-8"), name) == generators[name](), "python -m docs.generator.write"
