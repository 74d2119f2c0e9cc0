"""What decoding alone reaches: the estimate of the best of k, and the table of the command."""

import itertools
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from textgym.tokenizer import BUILTIN_TINY
from textgym_agents.cli.app import app
from textgym_agents.evaluation.headroom import best_of_k, headroom


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_the_best_of_k_is_the_mean_over_all_choices_of_k(k):
    rewards = np.random.default_rng(0).random((5, 3)).round(1)  # with equal ones
    choices = [rewards[list(chosen)].max(0) for chosen in itertools.combinations(range(5), k)]
    np.testing.assert_allclose(best_of_k(rewards, k), np.mean(choices, 0))


def test_more_samples_are_never_worse_and_references_are_perfect():
    found = headroom(BUILTIN_TINY, "textgym/Copy-v0", 8, best_of=(2, 4), temperatures=(0.5,))
    assert list(found) == ["sampled", "T=0.5", "greedy", "best of 2", "best of 4", "references"]
    assert found["sampled"] < found["best of 2"] < found["best of 4"] < found["references"] == 1


def test_the_command_prints_a_table_and_writes_a_file(tmp_path):
    common = ["headroom", "Copy", "--model", BUILTIN_TINY, "--num-prompts", "2", "--samples", "2"]
    done = CliRunner().invoke(app, [*common, "--markdown", "--json", str(tmp_path / "rewards.json")])
    assert done.exit_code == 0, done.output
    assert "| task | sampled | T=0.7 | T=0.5 | greedy | best of 2 | references |" in done.output
    rewards = json.loads((tmp_path / "rewards.json").read_text())["rewards"]["textgym/Copy-v1"]
    assert f"{rewards['greedy']:.3f}" in done.output
