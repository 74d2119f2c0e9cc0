"""A task, a reward, an algorithm and a policy from outside, one file each: every part of the library finds them."""

import json

import pytest
from typer.testing import CliRunner

from tests.agents.saved_model import save_tiny_model
from tests.processes import run_python
from textgym_agents.cli.app import app

TASK = '''
import textgym
from textgym import Prompt


class Echo:
    """Say a number again."""

    metrics = ("exact_match", "length")

    def __init__(self, split="train"):
        self.first = {"train": 0, "validation": 100, "test": 200}[split]

    def __len__(self):
        return 20

    def __getitem__(self, index):
        return Prompt(f"{self.first + index} =", (f" {self.first + index}",))


sums = [Prompt(f"{a} + 1 =", (str(a + 1),)) for a in range(9)]
textgym.register("mine/Sums-v0", sums, reward="exact_match", max_prompt_tokens=12, max_new_tokens=4)
textgym.register("mine/Echo-v0", Echo, reward="chrf", max_prompt_tokens=12, max_new_tokens=4)
'''

REWARD = """
import textgym


@textgym.reward
def brevity(sample):
    return 1 / (1 + len(sample.token_ids))


textgym.register_reward("brevity", lambda: brevity)
"""

POLICY = '''
from textgym_agents.policies.base import LanguageModelPolicy


class Counting(LanguageModelPolicy):
    """A policy that counts how often it acted."""

    calls = 0

    def forward(self, obs, deterministic=False):
        self.calls += 1
        return super().forward(obs, deterministic)
'''

ALGORITHM = '''
from stable_baselines3 import A2C
from torch.nn.functional import mse_loss

from my_policy import Counting
from textgym_agents import Algorithm, register_algorithm


class ImitateTheGood(A2C):
    """More of what went better than expected."""

    def train(self):
        assert self.policy.calls > 0
        for batch in self.rollout_buffer.get(batch_size=None):
            values, log_prob, _ = self.policy.evaluate_actions(batch.observations, batch.actions)
            good = (batch.advantages > 0).float()
            loss = -(good * log_prob).mean() + 0.5 * mse_loss(values.flatten(), batch.returns)
            self.policy.optimizer.zero_grad()
            loss.backward()
            self.policy.optimizer.step()


defaults = {"n_steps": 4, "gamma": 1.0, "learning_rate": 1e-3, "use_rms_prop": False}
register_algorithm("imitate", Algorithm(ImitateTheGood, "none, a test", defaults, policy=Counting))
'''

FILES = {"my_task.py": TASK, "my_reward.py": REWARD, "my_policy.py": POLICY, "my_algorithm.py": ALGORITHM}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A working directory with the four files and a tiny model."""
    folder = tmp_path_factory.mktemp("mine")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    save_tiny_model(folder / "tiny")
    return folder


def run(folder, *words, code=0, path=()):
    """A command in a process of its own, in a wide terminal; returns what it printed."""
    done = run_python(words, folder, {"COLUMNS": "200"}, path)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def textgym(folder, *words, **options):
    return run(folder, "-m", "textgym_agents.cli", *words, **options)


def test_gym_make_and_formulas_take_them(folder):
    code = (
        "import gymnasium, textgym\n"
        "from textgym.plugins import load_plugins\n"
        "load_plugins(['my_task', 'my_reward.py'])\n"
        "env = gymnasium.make('textgym/DataToText-v0', reward='0.5*brevity + 0.5*chrf').unwrapped\n"
        "print(env.reward)\n"
        "print(gymnasium.make('mine/Echo-v0', split='test', reward='brevity').reset(seed=0)[1]['prompt'])\n"
    )
    printed = run(folder, "-c", code)
    reward, prompt = printed.splitlines()
    assert reward == "0.5 * reward(brevity) + 0.5 * ChrF()"
    assert 200 <= int(prompt.removesuffix(" =")) < 220


def test_list_and_info_show_them(folder):
    printed = textgym(folder, "list", "--import", "my_task.py")
    (row,) = [line for line in printed.splitlines() if "mine/Echo-v0" in line]
    for words in ("Say a number again.", "ChrF()", "20, 20, 20"):
        assert words in row
    (row,) = [line for line in printed.splitlines() if "mine/Sums-v0" in line]
    assert "ExactMatch()" in row
    assert " 9 " in row
    printed = textgym(folder, "list", "--algorithms", "--rewards", "--import", "my_reward", "--import", "my_algorithm")
    assert "brevity" in printed
    assert "my_algorithm.ImitateTheGood" in printed
    printed = textgym(folder, "info", "mine/Echo-v0", "--import", "my_task")
    assert "Say a number again." in printed
    assert "exact_match, length" in printed


def test_train_resume_and_evaluate_take_them(folder):
    names = ["my_task.py", "my_reward", "my_algorithm"]
    imports = [word for name in names for word in ("--import", name)]
    sizes = ["--model", "tiny", "--n-envs", 4, "--eval-prompts", 3]
    what = ["mine/Echo-v0", "--algo", "imitate", "--reward", "0.5*brevity + 0.5*chrf"]
    textgym(folder, "train", *what, *sizes, *imports, "--timesteps", 32, "--out", "out")
    stored = json.loads((folder / "out" / "config.json").read_text())["config"]
    assert stored["plugins"] == [str(folder / "my_task.py"), "my_reward", "my_algorithm"]
    textgym(folder, "train", "--resume", "out", "--timesteps", 64)
    lines = [json.loads(line) for line in (folder / "out" / "metrics.jsonl").read_text().splitlines()]
    held_out = [line for line in lines if line["kind"] == "evaluation"]
    assert held_out[-1]["timesteps"] == 64
    assert {"reward", "exact_match", "length"} <= held_out[-1].keys()
    words = ["evaluate", "mine/Echo-v0", "--model", "out/policy", "--num-prompts", 3, "--reward", "brevity"]
    assert "exact_match" in textgym(folder, *words, *imports)


def test_benchmark_takes_them(folder):
    imports = ["--import", "my_task.py", "--import", "my_reward.py", "--import", "my_algorithm.py"]
    sizes = ["--model", "tiny", "--n-envs", 4, "--eval-prompts", 3, "--timesteps", 16, "--seeds", 1]
    what = ["--algos", "imitate", "--tasks", "mine/Echo-v0,Copy", "--reward", "brevity"]
    textgym(folder, "benchmark", *what, *sizes, *imports, "--out", "results")
    runs = [json.loads(line) for line in (folder / "results" / "results.jsonl").read_text().splitlines()]
    assert [run["task"] for run in runs] == ["mine/Echo-v0", "textgym/Copy-v1"]
    assert "exact_match" in runs[0]["evaluations"]["sampled"]["summary"]
    assert f"--import {folder / 'my_task.py'}" in runs[0]["command"]


def test_an_entry_point_needs_no_option(folder, tmp_path):
    metadata = tmp_path / "mine-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[textgym.plugins]\necho = my_task\n")
    assert "mine/Echo-v0" in textgym(tmp_path, "list", path=(tmp_path, folder))


@pytest.mark.parametrize(
    "words",
    [
        ("info", "mine/Nothing-v0"),
        ("evaluate", "Copy", "--reward", "bravity"),
        ("train", "Copy", "--algo", "imitation"),
        ("benchmark", "--algos", "imitation", "--tasks", "Copy", "--out", "unknown"),
    ],
)
def test_an_unknown_name_is_an_error_that_names_the_option(words):
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: No ")
    assert "--import" in result.stderr


def test_a_module_that_cannot_be_imported_is_one_clean_line(folder):
    printed = textgym(folder, "list", "--import", "nowhere.py", code=1)
    assert printed.startswith("error: Can't import")
    assert "nowhere.py" in printed
    assert "Traceback" not in printed
