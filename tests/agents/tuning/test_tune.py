"""A search for settings: its spaces, that it goes on after a kill, what it keeps, and what the command shows."""

import builtins
import json
import zlib
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from textgym.errors import ConfigError, MissingExtraError
from textgym_agents.algorithms import ALGORITHMS
from textgym_agents.algorithms.search import Choice, Range, parse_space
from textgym_agents.cli.app import app
from textgym_agents.tuning import TuneConfig, tune
from textgym_agents.tuning import tune as tune_module
from textgym_agents.tuning.result import Trial
from textgym_agents.tuning.study import suggestion

pytest.importorskip("optuna")

CONFIG = TuneConfig(
    "rloo",
    "textgym/Copy-v0",
    trials=3,
    tokens=16,
    seeds=2,
    model="textgym/tiny",
    search={"learning_rate": "1e-4:1e-2", "group_size": "2,3", "kl_coef": "0,0.1"},
    algo_kwargs={"prompts_per_rollout": 1},
    env_kwargs={"max_new_tokens": 4},
    n_envs=2,
    eval_prompts=2,
)


class Killed(BaseException):
    pass


def quick(config, settings, seed, may_fail):
    """A run without training, whose reward depends on its settings and its seed."""
    reward = (zlib.crc32(str(settings).encode()) % 1000 + seed) / 1000
    return {"reward": reward, "greedy": reward, "kl": None, "tokens": 16, "seconds": 0.0}


@pytest.fixture
def without_training(monkeypatch):
    monkeypatch.setitem(tune_module.__globals__, "_run", quick)
    monkeypatch.setitem(tune_module.__globals__, "_initial", lambda config, split: {"sampled": 0.1, "greedy": 0.2})


def lines(folder):
    found = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "seconds"} for line in found]


@pytest.mark.parametrize("name", [name for name, row in ALGORITHMS.items() if row.family != "baseline"])
def test_every_algorithm_has_values_to_search_with_its_defaults_among_them(name):
    config = TuneConfig(name, "textgym/Copy-v0")
    space = config.space()
    assert "learning_rate" in space
    for argument, one in space.items():
        assert ALGORITHMS[name].takes(argument) or argument == "kl_coef"
        default = config.defaults().get(argument)
        assert default is None or one == one.including(default)
    settings, _ = suggestion(config, 1, [Trial(0, {}, [{"reward": 0.5}], 1)])
    assert settings.keys() == space.keys()
    for argument, value in settings.items():
        one = space[argument]
        assert value in one.values if isinstance(one, Choice) else one.low <= value <= one.high


def test_spaces_as_text():
    assert parse_space("1e-4:1e-2") == Range(1e-4, 1e-2)
    assert parse_space("none, 512, true, token") == Choice((None, 512, True, "token"))
    for text in ("1:", "2:1", "0:1", "a:b", ",", "1:inf"):
        with pytest.raises(ConfigError, match=r"range|values"):
            parse_space(text)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"search": {"n_steps": "1,2"}}, "takes no argument 'n_steps'"),
        ({"search": {"group_size": "2"}, "algo_kwargs": {"group_size": 2}}, "both searched and given"),
        ({"algo": "dqn", "search": {"kl_coef": "0,1"}}, "takes no KL penalty"),
        ({"algo": "zero_shot", "search": {}}, "has no values to search"),
    ],
)
def test_spaces_that_make_no_sense(given, message):
    with pytest.raises(ConfigError, match=message):
        replace(CONFIG, **given).space()
    with pytest.raises(ConfigError, match="'test', which is for results"):
        replace(CONFIG, eval_split="test")
    with pytest.raises(ConfigError, match="trials is 0"):
        replace(CONFIG, trials=0)


def test_a_killed_search_goes_on_as_if_it_had_not_been(tmp_path, without_training):
    whole = tune(CONFIG, tmp_path / "whole")
    assert [trial.number for trial in whole.trials] == [0, 1, 2]
    assert whole.trials[0].settings == {}
    assert whole.best.score == max(trial.score for trial in whole.trials)

    def killed_after(count):
        def listen(run):
            nonlocal count
            count -= 1
            if not count:
                raise Killed

        return listen

    for count in (1, 2, 10):  # within a trial, between two, at the end
        try:
            tune(CONFIG, tmp_path / "killed", listen=killed_after(count))
        except Killed:
            with open(tmp_path / "killed" / "trials.jsonl", "ab") as file:
                file.write(b'{"kind": "run", "tri')  # a line that was never finished
    assert lines(tmp_path / "killed") == lines(tmp_path / "whole")
    again = tune(CONFIG, tmp_path / "killed", listen=killed_after(1))  # nothing is run again
    assert [trial.settings for trial in again.trials] == [trial.settings for trial in whole.trials]
    longer = tune(replace(CONFIG, trials=4), tmp_path / "killed")
    assert len(longer.trials) == 4
    with pytest.raises(ConfigError, match="tokens: 16 there, 32 here"):
        tune(replace(CONFIG, tokens=32), tmp_path / "killed")


def test_the_test_split_is_looked_at_once_and_with_new_seeds(tmp_path, monkeypatch):
    splits, seeds = [], []
    rewards, trained = tune_module.__globals__["_rewards"], tune_module.__globals__["_trained"]

    def noting(config, policy, split):
        splits.append(split)
        return rewards(config, policy, split)

    def training(config, settings, seed):
        seeds.append(seed)
        return trained(config, settings, seed)

    monkeypatch.setitem(tune_module.__globals__, "_rewards", noting)
    monkeypatch.setitem(tune_module.__globals__, "_trained", training)
    config = replace(CONFIG, trials=2, seeds=1, eval_prompts=1)
    assert tune(config, tmp_path).test is None
    assert set(splits) == {"validation"}
    found = tune(config, tmp_path, test=True)
    looked = splits.count("test")
    assert looked >= 2
    assert set(seeds[2:]) == {1}
    assert tune(config, tmp_path, test=True).test == tune(config, tmp_path).test == found.test
    assert splits.count("test") == looked
    assert "## Test split" in (tmp_path / "results.md").read_text()


def test_failed_and_pruned_trials_are_kept_and_never_best(tmp_path, monkeypatch, without_training):
    def run(config, settings, seed, may_fail):
        number = len(played)
        played.append(seed)
        if number == 5:
            return {"reward": None, "error": "Too much."}
        return {"reward": 1 / (1 + number), "greedy": 0.5, "kl": None, "tokens": 1, "seconds": 0.0}

    played = []
    monkeypatch.setitem(tune_module.__globals__, "_run", run)
    found = tune(replace(CONFIG, trials=12, prune=True), tmp_path)
    assert any(trial.failed for trial in found.trials)
    pruned = [trial for trial in found.trials if len(trial.runs) < 2 and not trial.failed]
    assert pruned
    assert found.best.number == 0
    page = (tmp_path / "results.md").read_text()
    assert "failed | Too much." in page
    assert "(pruned)" in page
    count = len(played)
    assert tune(replace(CONFIG, trials=12, prune=True), tmp_path).trials == found.trials
    assert len(played) == count


def test_defaults_that_fail_end_the_search(tmp_path):
    with pytest.raises(ConfigError, match="group_size"):
        tune(replace(CONFIG, search={"learning_rate": "1e-4:1e-3"}, algo_kwargs={"group_size": 1}), tmp_path)


def test_the_command_compares_with_the_initial_model(tmp_path):
    common = ["tune", "--task", "Copy", "--model", "textgym/tiny", "--trials", "2", "--tokens", "16"]
    common += ["--n-envs", "1", "--eval-prompts", "2", "--env-kwarg", "max_new_tokens=4", "--out", str(tmp_path)]
    common += ["--algo-kwarg", "prompts_per_rollout=1", "--search", "learning_rate=1e-4:1e-3"]
    done = CliRunner().invoke(app, [*common, "--algo", "rloo,bc"], env={"COLUMNS": "160"})
    assert done.exit_code == 1  # before anything has run
    assert "'bc' takes no argument 'prompts_per_rollout'" in done.stderr
    assert not [*tmp_path.iterdir()]
    done = CliRunner().invoke(app, [*common, "--algo", "rloo,reinforce"], env={"COLUMNS": "160"})
    assert done.exit_code == 0, done.output
    for words in ("initial model", "defaults", "best: trial", "best: --algo-kwarg learning_rate="):
        assert done.stdout.count(words) == 2
    best = json.loads((tmp_path / "settings.json").read_text())
    assert {*best} == {"rloo", "reinforce"}
    assert {*best["rloo"]} > {"learning_rate"}
    page = (tmp_path / "rloo" / "results.md").read_text()
    assert "| trial | sampled | greedy | KL | learning_rate |" in page
    assert "Made by `textgym tune --algo rloo --task Copy --trials 2 --tokens 16" in page


def test_without_optuna_the_message_says_what_to_install(tmp_path, monkeypatch):
    real = builtins.__import__

    def no_optuna(name, *rest, **more):
        if name.partition(".")[0] == "optuna":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", no_optuna)
    with pytest.raises(MissingExtraError, match=r"extra 'tune'.*pip install 'optuna"):
        tune(CONFIG, tmp_path)
