"""The textgym command."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import gymnasium
import pytest
from typer.testing import CliRunner

import textgym
import textgym_agents
from tests.agents.saved_model import save_tiny_model
from tests.processes import started_python
from textgym import Prompt, Score
from textgym.errors import ConfigError
from textgym.rewards import REWARDS, register_reward
from textgym.tasks import CONVERSATIONS
from textgym_agents.benchmark.config import BenchmarkConfig
from textgym_agents.benchmark.suites import SUITES
from textgym_agents.cli import benchmark, options
from textgym_agents.cli.app import app
from textgym_agents.evaluation.held_out import evaluate, load_policy
from textgym_agents.report.provenance import model_hash
from textgym_agents.runs.folder import check_free, clear

COMMANDS = (
    "list",
    "info",
    "play",
    "evaluate",
    "headroom",
    "train",
    "tune",
    "benchmark",
    "leaderboard",
    "pretrain",
    "speed",
)
SMALL = ["--n-envs", "4", "--algo-kwarg", "n_steps=16", "--algo-kwarg", "batch_size=32", "--eval-prompts", "6"]


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory):
    return save_tiny_model(tmp_path_factory.mktemp("tiny") / "model")


def run(*arguments, **kwargs):
    """The command in this process, in a wide terminal."""
    return CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "160"}, **kwargs)


def environment():
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


# ---------------------------------------------------------------------------- help and errors


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_how_to_use_each_command(command):
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"textgym {command}" in result.output


@pytest.mark.parametrize("suite", SUITES)
def test_benchmarks_help_names_every_suite(suite):
    assert re.search(rf"by one name:[^.]*\b{suite}\b", " ".join(run("benchmark", "--help").output.split()))


def test_help_and_list_do_not_wait_for_torch():
    code = (
        "import sys; from typer.testing import CliRunner; from textgym_agents.cli.app import app\n"
        "assert CliRunner().invoke(app, ['list']).exit_code == 0\n"
        "print([name for name in ('torch', 'transformers', 'stable_baselines3') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["info", "DataToTxt"], "No environment is called 'DataToTxt'. Did you mean 'DataToText'?"),
        (["info", "nowhere:mine/Haiku-v0"], "Can't import 'nowhere'"),
        (["info", "Copy", "--split", "tset"], "Did you mean 'test'?"),
        (["info", "Copy", "--env-kwarg", "max_new=3"], "Did you mean 'max_new_tokens'?"),
        (["info", "Copy", "--env-kwarg", "max_new_tokens"], "expected NAME=VALUE"),
        (["info", "Copy", "--env-kwarg", "split=test"], "use --split"),
        (["info", "Copy", "--dataset", "/no/such.jsonl"], "doesn't exist"),
        (["train", "Copy", "--algo", "pppo"], "Did you mean 'ppo'?"),
        (["train", "Copy", "--reward", "0.5*blue"], "Did you mean 'bleu'?"),
        (["train", "Copy", "--algo-kwarg", "n_stps=3"], "Did you mean 'n_steps'?"),
        (["train", "Copy", "--policy-kwarg", "temprature=2"], "Did you mean 'temperature'?"),
        (["train", "Copy", "--model", "./no/such/model"], "There is no model at './no/such/model'"),
        (["evaluate", "Copy", "--metrics", "blue"], "Did you mean 'bleu'?"),
        (["benchmark", "--algos", "ppo", "--tasks", "Cpy", "--out", "x"], "Did you mean 'Copy'?"),
        (
            ["benchmark", "--algos", "ppo", "--tasks", "Copy", "--timesteps", "Translation=9", "--out", "x"],
            "--tasks doesn't",
        ),
        (["benchmark", "--algos", "ppo", "--tasks", "Copy", "--timesteps", "many", "--out", "x"], "TASK=NUMBER"),
        (
            ["benchmark", "--algos", "a2c", "--tasks", "Copy", "--algo-kwarg", "ppo.n_steps=9", "--out", "x"],
            "is for 'ppo'",
        ),
    ],
)
def test_errors_are_one_clean_line(arguments, message):
    result = run(*arguments)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_debug_lets_the_exception_through(monkeypatch):
    assert isinstance(run("--debug", "info", "Nope").exception, ConfigError)
    monkeypatch.setenv("TEXTGYM_DEBUG", "1")
    assert isinstance(run("info", "Nope").exception, ConfigError)


def test_the_real_process_prints_no_traceback():
    command = [sys.executable, "-m", "textgym_agents.cli", "info", "Nope"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: No environment is called 'Nope'.")
    assert done.stderr.count("\n") == 1


def test_version():
    result = run("--version")
    assert result.exit_code == 0
    assert f"gymnasium {gymnasium.__version__}" in result.output


# ---------------------------------------------------------------------------- what there is


def test_list():
    result = run("list")
    ids = [one for one in gymnasium.registry if one.startswith("textgym/")]
    assert ids
    assert all(one in result.output for one in ids)
    narrow = CliRunner().invoke(app, ["list"], env={"COLUMNS": "60"}).output
    assert all(one in narrow for one in ids)  # ids are never cut


def test_list_algorithms_rewards_metrics():
    output = run("list", "--algorithms", "--rewards", "--metrics").output
    for name in (*textgym_agents.ALGORITHMS, *REWARDS, "distinct2"):
        assert name in output


def test_an_environment_registered_from_outside_is_listed(monkeypatch):
    textgym.register(
        "mine/Letters-v0", [Prompt("Write a:", ("a",))], "exact_match", max_prompt_tokens=8, max_new_tokens=3
    )
    try:
        line = next(line for line in run("list").output.splitlines() if "mine/Letters-v0" in line)
        assert "ExactMatch()" in line
        assert "Write a:" in run("info", "mine/Letters-v0").output
        played = CliRunner().invoke(app, ["play", "mine/Letters-v0", "--rounds", "1"], input="a\n")
        assert "Write a:" in played.output
        result = run("evaluate", "mine/Letters-v0", "--model", "textgym/small", "--num-prompts", 1)
        assert "reward" in result.output
    finally:
        del gymnasium.registry["mine/Letters-v0"]


def test_a_short_name_is_the_newest_version_and_an_older_one_has_its_number(recwarn):
    assert "BLEU()" in run("info", "Copy").output
    assert "ChrF()" in run("info", "Copy-v0").output
    assert not [one for one in recwarn.list if "out of date" in str(one.message)]


def test_info_shows_the_card_of_what_is_measured():
    shown = run("info", "Copy").output
    assert "mean rewards, 100 prompts of validation, textgym/" in shown
    assert "0.000 empty:" in shown
    for other in (["Copy-v0"], ["Copy", "--split", "validation"], ["Copy", "--env-kwarg", "max_new_tokens=8"]):
        assert "mean rewards" not in run("info", *other).output


def test_info_shows_examples_with_the_reward_of_a_reference():
    output = run("info", "Copy", "--env-kwarg", "max_new_tokens=64").output
    env = gymnasium.make("textgym/Copy-v1").unwrapped
    assert "Repeat a few words" in output
    assert "(88,)" in output  # 24 + 64
    for number in range(3):
        assert env.task[number].references[0] in output
    assert output.count("reward of the first reference: 1.000") == 3


def test_info_calls_a_completion_cut_only_where_words_are_missing():
    output = run("info", "Password", "--env-kwarg", "length=2").output  # which has no end token
    assert output.count("reward of the first reference: 1.000") == 3
    assert "its end is missing" not in output
    assert "its end is missing" in run("info", "Copy", "--env-kwarg", "max_new_tokens=2").output


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_info_shows_dialogues_and_known_returns_of_a_conversation(name):
    output = run("info", name, "--split", "test").output
    task = CONVERSATIONS[name]("test")
    assert f"{task.random_reward():.3f}, {task.best_reward():.3f}" in output
    assert f"{task.max_turns} at most" in output
    assert "its partner's" in output
    turns = task.play(task[0], seed=0).turns
    cue = task.turn_template[1].strip()
    shown = [line.strip("│ ") for line in output[output.index("prompt 0") : output.index("prompt 1")].splitlines()]
    first = shown.index(f"{cue}{turns[0].text}")
    assert shown[first + 1] == turns[1].text
    assert shown[first + len(turns) - 1] == turns[-1].text
    assert shown[first + len(turns)].endswith(f"{sum(turn.reward for turn in turns):.2f}")


def test_info_of_a_dataset(tmp_path):
    path = tmp_path / "words.jsonl"
    path.write_text('{"text": "salt and pepper"}\n')
    output = run("info", "Copy", "--dataset", path).output
    assert "salt and pepper" in output


@pytest.mark.parametrize("typed", ["", "a\n", "a\nb\nc\nd\n"])
def test_play_ends_when_the_input_does(typed):
    result = run("play", "Copy", "--rounds", 3, "--seed", 1, input=typed)
    assert result.exit_code == 0, result.output
    assert result.output.count("score") == min(3, typed.count("\n"))
    assert result.output == run("play", "Copy", "--rounds", 3, "--seed", 1, input=typed).output


def test_play_counts_no_completion_whose_reward_abstains():
    register_reward("lost", lambda: lambda samples: [Score(None, {}, "no reply") for _ in samples])
    result = run("play", "Copy", "--rounds", 2, "--reward", "lost", input="a\nb\n")
    assert result.output.count("none, the reward abstained") == result.output.count("no reply") == 2
    assert "mean of" not in result.output


def test_play_takes_turns_with_a_partner():
    partner = ["--env-kwarg", "partner=tests.conversations.test_contract:guessing", "--env-kwarg", "max_turns=2"]
    more = [*partner, "--env-kwarg", "max_new_tokens=64", "--rounds", 1, "--seed", 1]
    result = run("play", "Copy", *more, input="a\nb\n")
    assert result.exit_code == 0, result.output
    lines = [line.rstrip() for line in result.output.splitlines()]
    assert lines[2:6] == ["Copy: a", "no", "> b", "try again"]
    assert "  partner  0.300" in lines
    assert "the turns are used up" in result.output


def test_play_asks_again_for_a_turn_whose_words_are_masked():
    typed = "a joke\nprice\nsell it\nlook lamp\nlook\nsell\nsell\n"
    result = run("play", "Shop", "--rounds", 1, "--seed", 1, "--env-kwarg", "questions=3", input=typed)
    assert result.output.count("is masked") == 2
    assert re.search(r"^> price\n(cheap|expensive)$", result.output, re.MULTILINE)


def test_play_gives_full_marks_to_the_reference():
    env = gymnasium.make("textgym/Copy-v1", split="train")
    env.reset(seed=5)
    _, info = env.reset(seed=5)
    reference = env.unwrapped.task[info["prompt_id"]].references[0]
    more = ["--env-kwarg", "max_new_tokens=64", "--reward", "0.5*chrf + 0.5*exact_match"]
    result = run("play", "Copy", "--rounds", 1, "--seed", 5, *more, input=f"{reference}\n")
    assert "mean of 1: 1.000" in result.output
    assert "exact_match" in result.output


# ---------------------------------------------------------------------------- evaluate


def test_evaluate(tiny_folder, tmp_path):
    file = tmp_path / "result.json"
    arguments = ["evaluate", "Copy", "--model", tiny_folder, "--num-prompts", 12, "--seed", 3, "--json", file]
    result = run(*arguments, "--metrics", "chrf,distinct1", "--temperature", 0.7)
    assert result.exit_code == 0, result.output
    stored = json.loads(file.read_text())
    assert list(stored["values"]) == ["reward", "chrf", "distinct1", "num_tokens"]
    low, high = stored["intervals"]["reward"]
    assert low <= stored["values"]["reward"] <= high
    assert stored["intervals"]["distinct1"] is None
    assert [*stored["signatures"]] == ["chrf", "distinct1"]
    assert stored["signatures"]["chrf"].startswith("chrf|nrefs:1|")
    assert len(stored["samples"]) == 12
    assert f"{stored['values']['chrf']:.4f}" in result.output
    again = tmp_path / "again.json"
    run(*arguments[:-1], again, "--metrics", "chrf,distinct1", "--temperature", 0.7)
    assert again.read_text() == file.read_text()


def test_control_characters_of_a_model_do_not_reach_the_terminal():
    assert options.visible("\x1b]0;owned\x07 fine\n") == "␛]0;owned␇ fine\n"


# ---------------------------------------------------------------------------- train


@pytest.fixture(scope="module")
def trained(tiny_folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "copy"
    more = ["--eval-every", 100, "--reward", "0.7*chrf+0.3*rougeL", "--learning-rate", 0.001, "--temperature", 0.9]
    result = run("train", "Copy", "--model", tiny_folder, "--timesteps", 300, "--out", out, *SMALL, *more)
    assert result.exit_code == 0, result.output
    return out, result


def test_train_writes_everything(trained):
    out, result = trained
    assert {path.name for path in out.iterdir()} == {
        *("config.json", "metrics.jsonl", "samples.md", "learning_curve.png", "checkpoint", "policy", "best")
    }
    stored = json.loads((out / "config.json").read_text())
    assert stored["config"]["env_kwargs"] == {"reward": "0.7*chrf+0.3*rougeL"}
    assert stored["config"]["algo_kwargs"] == {"n_steps": 16, "batch_size": 32, "learning_rate": 0.001}
    assert stored["versions"]["gymnasium"] == gymnasium.__version__
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    rollouts = [line for line in lines if line["kind"] == "rollout"]
    held_out = [line for line in lines if line["kind"] == "evaluation"]
    assert [line["timesteps"] for line in rollouts] == [64, 128, 192, 256, 320]
    assert [line["timesteps"] for line in held_out] == [0, 128, 256, 320]
    assert all({"reward", "chrf", "num_tokens"} <= set(line) for line in held_out)
    assert "train/loss" in rollouts[1]
    assert (out / "learning_curve.png").read_bytes().startswith(b"\x89PNG")
    page = (out / "samples.md").read_text()
    assert page.count("### Prompt") == 5
    for label in ("Before", "After 128 tokens", "After 320 tokens"):
        assert len(re.findall(rf"^{label} \(reward [01]\.\d{{3}}\):$", page, re.MULTILINE)) == 5
    assert "before" in result.output
    difference = held_out[-1]["reward"] - held_out[0]["reward"]
    shown = re.escape(f"{difference:+.4f}")
    low, high = map(float, re.search(rf"{shown} \[([-+][\d.]+), ([-+][\d.]+)\]", result.output).groups())
    assert low <= difference + 1e-4
    assert difference <= high + 1e-4


def test_a_trained_policy_loads_again(trained):
    out, _ = trained
    result = run("evaluate", "Copy", "--model", out / "policy", "--num-prompts", 4)
    assert result.exit_code == 0, result.output
    assert "reward" in result.output
    policy = load_policy(out / "policy", "textgym/Copy-v1")
    assert evaluate(policy, "textgym/Copy-v1", 4).rewards.shape == (4,)


def test_an_existing_run_is_replaced_only_when_asked_to(trained, tiny_folder):
    out, _ = trained
    arguments = ["train", "Copy", "--model", tiny_folder, "--timesteps", 10, "--out", out, *SMALL]
    result = run(*arguments)
    assert result.exit_code == 1
    assert "--overwrite" in result.stderr
    assert (out / "best").is_dir()
    foreign = out / "thesis.tex"
    foreign.write_text("years of work")
    assert "thesis.tex" in run(*arguments, "--overwrite").stderr
    foreign.unlink()
    check_free(out, overwrite=True)
    clear(out)
    assert not list(out.iterdir())


def test_interrupted_training_keeps_what_it_has(tiny_folder, tmp_path):
    out = tmp_path / "long"
    arguments = ["train", "Copy", "--model", tiny_folder, "--timesteps", "10000000", "--out", str(out), *SMALL]
    arguments += ["--checkpoint-every", "64"]
    with started_python(["-m", "textgym_agents.cli", *arguments], tmp_path) as (process, errors):
        metrics = out / "metrics.jsonl"
        deadline = time.monotonic() + 120
        while not (metrics.is_file() and metrics.read_text().count('"rollout"') >= 2):  # lines are on disk at once
            assert process.is_alive()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGINT)
        process.join(60)
        stderr = errors.read_text(encoding="utf-8")
    assert process.exitcode == 1
    assert "error: interrupted after" in stderr
    assert "Traceback" not in stderr
    assert "To continue from its last checkpoint: textgym train --resume" in stderr
    for name in ("policy/model.safetensors", "checkpoint/state.json", "learning_curve.png", "samples.md"):
        assert (out / name).stat().st_size > 0, name


def test_pretrain_writes_a_model_with_a_card(tmp_path):
    out = tmp_path / "made"
    sizes = ["--vocabulary", 300, "--hidden-size", 16, "--layers", 1]
    result = run("pretrain", "--out", out, "--steps", 2, *sizes, "--eval-prompts", 2)
    assert result.exit_code == 0, result.output
    card = (out / "README.md").read_text()
    assert card.startswith("---\nlicense: apache-2.0\n")
    for words in ("| DataToText |", "| steps | 2 |", "## Limits", "## Samples"):
        assert words in card
    (out / "README.md").unlink()  # as if it had ended before
    written = (out / "model.safetensors").stat().st_mtime_ns
    assert run("pretrain", "--out", out, "--steps", 2, *sizes, "--eval-prompts", 2).exit_code == 0
    assert (out / "README.md").read_text() == card
    assert (out / "model.safetensors").stat().st_mtime_ns == written


# ---------------------------------------------------------------------------- benchmark


def test_the_hash_of_a_model_changes_with_its_weights_and_not_with_its_card(tmp_path):
    folder = save_tiny_model(tmp_path / "one")
    before = model_hash(folder)
    (tmp_path / "one" / "README.md").write_text("good")
    assert model_hash(folder) == before == model_hash(save_tiny_model(tmp_path / "two"))
    weights = tmp_path / "one" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    assert model_hash(folder) != before
    assert model_hash("gpt2") is None


def test_the_command_in_a_report_gives_the_same_configuration(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(benchmark, "_run", lambda config, out, jobs, *_: calls.append((config, jobs)))
    more = [
        "--reward",
        "0.5*chrf + 0.5*rougeL",
        "--kl-coef",
        "0.1",
        "--temperature",
        "0.8",
        "--env-kwarg",
        'stop=["."]',
    ]
    more += ["--algo-kwarg", "ppo.n_epochs=4", "--jobs", "2", "--eval-prompts", "7"]
    arguments = ["--algos", "ppo,a2c", "--tasks", "Copy,DataToText", "--timesteps", "DataToText=40,Copy=30"]
    result = run("benchmark", *arguments, *more, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    config, jobs = calls[0]
    assert jobs == 2
    assert config == BenchmarkConfig(
        ("ppo", "a2c"),
        {"textgym/Copy-v1": 30, "textgym/DataToText-v0": 40},
        eval_prompts=7,
        kl_coef=0.1,
        env_kwargs={"stop": ["."], "reward": "0.5*chrf + 0.5*rougeL"},
        policy_kwargs={"temperature": 0.8},
        algo_kwargs={"ppo.n_epochs": 4},
        model_hash=model_hash("textgym/small"),
    )
    import shlex

    assert run(*shlex.split(config.command())[1:], "--out", tmp_path).exit_code == 0
    assert calls[1][0] == config
