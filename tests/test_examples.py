"""Every example runs as it stands, and says what it promises."""

import re
from pathlib import Path

import pytest

from tests.processes import run_python

ROOT = Path(__file__).parent.parent

# Example -> a line that its output must have.
EXPECTED = {
    "random_agent.py": "mean reward of a reference: 1.000",
    "custom_reward_wrapper.py": "  0.8 * BLEU() + 0.2 * reward(one_sentence) = 1.000",
    "custom_task.py": "Counting passes every check",
    "own_dataset.py": "200 rows became 24 prompts: rows with the same prompt are merged",
    "swap_algorithm.py": "Ahmadian et al., Back to Basics",
    "ppo_training.py": "held-out reward on 50 prompts: ",
    "rlaif.py": "seed 0, gold: ",
    "negotiate.py": "generation 2: share ",
    "llm_judge.py": "3 criteria cost 3 calls for 3 texts",
}


def test_every_example_is_listed() -> None:
    assert {path.name for path in (ROOT / "examples").glob("*.py")} == {*EXPECTED}


@pytest.mark.parametrize("name", EXPECTED)
def test_example_runs(name: str, tmp_path: Path) -> None:
    printed = run(name, tmp_path)
    assert any(line.startswith(EXPECTED[name]) for line in printed.splitlines()), printed
    assert not [*tmp_path.iterdir()], "an example leaves files behind"
    if name == "custom_reward_wrapper.py":
        assert printed.count("with their cost 0.860") == printed.count("VectorEnv: rewards [0.86 0.86 0.86]") == 1
        assert "VecEnv: rewards [0.86 0.86 0.86], metadata {'keywords': ('chair'," in printed
    if name == "ppo_training.py":  # its reviews begin near 0.5, half of them happy, and end near 0.9
        before, after = map(float, re.findall(r"([\d.]+) (?:before|after)", printed))
        assert after > before + 0.15
    if name == "negotiate.py":  # most demands are refused at first; an equal deal is 0.5
        shares = [float(share) for share in re.findall(r"(?:share|then) ([\d.]+)", printed)]
        assert shares[-1] > shares[0] + 0.05


def run(name: str, folder: Path) -> str:
    """What an example prints when it is run in a folder."""
    done = run_python([ROOT / "examples" / name], folder, {"HF_HUB_OFFLINE": "1"})
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
