"""The benchmark's page says what the results file says."""

import pytest

from docs.generator.write import RESULTS, part


@pytest.mark.slow
@pytest.mark.parametrize(("path", "name"), [(path, name) for path, parts in RESULTS.items() for name in parts])
def test_tables_are_those_of_the_results(path, name):
    assert part(path.read_text(encoding="utf-8"), name) == RESULTS[path][name](), "python -m docs.generator.write"
