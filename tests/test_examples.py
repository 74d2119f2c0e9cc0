"""Every example runs, and says what it promises."""

import re
from collections.abc import Sequence
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
    "ppo_training.py": "held-out reward on 8 prompts: ",
    "rlaif.py": "seed 0, gold: ",
    "negotiate.py": "generation 2: share ",
    "llm_judge.py": "3 criteria cost 3 calls for 3 texts",
    "twenty_questions.py": "random utterances 0.25",
    "customer_service.py": "a clerk who says what makes sense, at random 0.2",
    "real_data.py": "e2e_nlg: DataToText-v0, 3 prompts, 0.5*rougeL + 0.5*coverage",
    "any_text_game.py": "You are Player 0. You are playing Guess The Number.",
}

# What shortens those that train for longer than the line above needs. PPO's training is README's: its gain is checked
# there.
SHORT = {
    "ppo_training.py": ["--timesteps", "1024", "--num-prompts", "8"],
    "own_dataset.py": ["--timesteps", "128"],
    "rlaif.py": ["--tokens", "1024", "--num-prompts", "8"],
    "swap_algorithm.py": ["--timesteps", "256", "--num-prompts", "4"],
}
SLOW = ("twenty_questions.py", "any_text_game.py")  # conversations, as customer_service.py


def test_every_example_is_listed() -> None:
    assert {path.name for path in (ROOT / "examples").glob("*.py")} == {*EXPECTED}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in EXPECTED]
)
def test_example_runs(name: str, tmp_path: Path) -> None:
    printed = run(name, tmp_path, SHORT.get(name, ()))
    assert any(line.startswith(EXPECTED[name]) for line in printed.splitlines()), printed
    assert not [*tmp_path.iterdir()], "an example leaves files behind"
    if name == "custom_reward_wrapper.py":
        assert printed.count("with their cost 0.860") == printed.count("VectorEnv: rewards [0.86 0.86 0.86]") == 1
        assert "VecEnv: rewards [0.86 0.86 0.86], metadata {'keywords': ('chair'," in printed
    if name == "negotiate.py":  # most demands are refused at first; an equal deal is 0.5
        shares = [float(share) for share in re.findall(r"(?:share|then) ([\d.]+)", printed)]
        assert shares[-1] > shares[0] + 0.05


SGD = ROOT.parent / "shared" / "data" / "sgd"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "arguments", "line", "needs"),
    [
        ("customer_service.py", ["--dataset", str(SGD)], "mean return with 8 customers: ", None),
        ("any_text_game.py", ["--game", "TicTacToe-v0", "--words", "0 1 2 3 4 5 6 7 8", "--against-random"],
         "You are Player 0 in Tic Tac Toe.", "textarena"),
        ("any_text_game.py", ["--tau2", "mock"], "# Mock Domain Policy", "tau2"),
    ],
)  # fmt: skip
def test_example_runs_with_other_arguments(
    name: str, arguments: list[str], line: str, needs: str | None, tmp_path: Path
) -> None:
    if needs:
        pytest.importorskip(needs)
    if str(SGD) in arguments and not SGD.is_dir():
        pytest.skip(f"there is no {SGD}")
    printed = run(name, tmp_path, arguments)
    assert any(one.startswith(line) for one in printed.splitlines()), printed


def run(name: str, folder: Path, arguments: Sequence[str] = ()) -> str:
    """What an example prints when it is run in a folder."""
    offline = {"HF_HUB_OFFLINE": "1", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    done = run_python([ROOT / "examples" / name, *arguments], folder, offline)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
