"""A reward that fails pauses training between two rollouts, with a checkpoint, until it answers again."""

import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
import torch
from stable_baselines3.common.vec_env import DummyVecEnv

from tests.agents.four_tokens import PROMPTS, TALKS, make_env, make_model, tokenizer
from tests.agents.runs.runs_in_folders import assert_equal_runs
from tests.agents.saved_model import save_tiny_model
from textgym import TextGenerationEnv
from textgym.core import Score
from textgym.errors import ConfigError, RewardError
from textgym.rewards import GroupReward
from textgym.scoring import score_samples
from textgym_agents import make
from textgym_agents.callbacks import CircuitBreaker, circuit_breaker
from textgym_agents.callbacks.health import TrainingWarning
from textgym_agents.checkpoint import CheckpointCallback, load_checkpoint

ARGUMENTS = {
    "ppo": {"n_steps": 6, "batch_size": 24, "n_epochs": 1},
    "rloo": {"prompts_per_rollout": 4, "group_size": 2},
}


class Server:
    """A reward behind a server that is down from a text on until somebody repairs it."""

    def __init__(self, down_from=40, up_again=None):
        self.down_from, self.up_again, self.asked, self.lost = down_from, up_again, 0, 0

    @property
    def down(self):
        return self.down_from is not None and self.asked > self.down_from and self.asked != self.up_again

    def __call__(self, samples):
        scores = []
        for sample in samples:
            self.asked += 1
            self.lost += self.down
            value = sum(token == 1 for token in sample.token_ids) / 3
            scores.append(Score(None, {}, "connection refused") if self.down else Score(value))
        return scores

    def repaired(self):
        self.down_from = None


class InGroups(GroupReward):
    name = "in_groups"

    def __init__(self, server):
        self.server = server

    def score_group(self, samples):
        return self.server(samples)


def build(name, reward):
    return make(name, make_env(4, reward), make_model(), seed=0, kl_coef=0, **ARGUMENTS[name])


@pytest.fixture
def waits(monkeypatch):
    """Waits that take no time, and what happens in each."""

    class Waits(list):
        def __init__(self):
            super().__init__()
            self.happens = []

        def __call__(self, seconds):
            self.append(seconds)
            self.happens[min(len(self), len(self.happens)) - 1]()

    made = Waits()
    monkeypatch.setattr(circuit_breaker.time, "sleep", made)
    return made


def killed():
    raise KeyboardInterrupt


@pytest.mark.parametrize("name", ARGUMENTS)
def test_a_run_that_is_killed_in_a_pause_goes_on_as_one_that_waited(name, waits, tmp_path):
    def run(folder, happens, resumed=None):
        server, breaker = Server(), CircuitBreaker(window=16)
        algorithm = build(name, server)
        if resumed:
            server.repaired()
            resumed = load_checkpoint(algorithm, folder, callbacks={"breaker": breaker})
        breaker.checkpoint = CheckpointCallback(folder, 10_000, {"breaker": breaker}, resumed=resumed)
        waits.happens = [happens(server)] if happens else []
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                algorithm.learn(
                    240 - algorithm.num_timesteps, [breaker.checkpoint, breaker], reset_num_timesteps=resumed is None
                )
            except KeyboardInterrupt:
                return None
        return algorithm, breaker, [str(one.message) for one in said if one.category is TrainingWarning]

    algorithm, breaker, said = run(tmp_path / "waited", lambda server: server.repaired)
    assert (breaker.pauses, waits) == (1, [10.0])
    assert "of the last 16 completions, at last with: connection refused. A checkpoint is in" in said[0]
    assert "The reward answers again: training goes on after 0 seconds." in said[-1]
    assert run(tmp_path / "killed", lambda server: killed) is None
    again, breaker, said = run(tmp_path / "killed", None, resumed=True)
    assert breaker.pauses == 0  # the first question is answered
    assert 240 <= again.num_timesteps == algorithm.num_timesteps
    weights = zip(algorithm.policy.parameters(), again.policy.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in weights)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ARGUMENTS)
def test_a_conversation_is_scored_again_with_its_turns(name, waits, monkeypatch):
    server, asked, asked_again = Server(), [], []

    def reward(samples):
        asked.extend(samples)
        return server(samples)

    def again(reward, samples):
        asked_again.extend(samples)
        return score_samples(server, samples)

    monkeypatch.setattr(circuit_breaker, "score_samples", again)
    waits.happens = [server.repaired]
    env = make_env(4, **{**TALKS, "reward": reward})
    breaker = CircuitBreaker(window=8)
    make(name, env, make_model(), seed=0, kl_coef=0, **ARGUMENTS[name]).learn(400, breaker)
    assert breaker.pauses == 1
    assert len(asked_again) == 2 * circuit_breaker.PROBES  # before the pause, and at its end

    def of(sample):
        return sample.prompt_id, sample.token_ids, sample.turns, sample.finish_reason

    assert {of(sample) for sample in asked_again} <= {of(sample) for sample in asked}
    assert any(turn.speaker == "partner" for sample in asked_again for turn in sample.turns)


@pytest.mark.filterwarnings("ignore")
def test_waits_double_and_a_pause_may_end_the_training(waits):
    server, breaker = Server(), CircuitBreaker(window=16, longest_wait=50)
    waits.happens = [*[lambda: None] * 4, server.repaired]
    build("ppo", server).learn(240, breaker)
    assert waits == [10, 20, 40, 50, 50]
    with pytest.raises(RewardError, match=r"paused for 0 seconds, and the reward still fails: connection refused"):
        build("ppo", Server()).learn(240, CircuitBreaker(window=16, give_up=0))


def test_an_outage_that_is_over_before_the_rollout_is_costs_no_pause(waits):
    server = Server(down_from=8, up_again=None)
    breaker = CircuitBreaker(window=4)
    algorithm = build("ppo", server)
    rollout_ended = breaker._on_rollout_end
    breaker._on_rollout_end = lambda: (rollout_ended(), server.asked > 12 and server.repaired())
    with warnings.catch_warnings(action="error", category=TrainingWarning):
        algorithm.learn(96, breaker)
    assert server.lost > 2
    assert (waits, breaker.pauses, breaker.open) == ([], 0, False)


def test_what_abstains_is_no_failure(waits):
    breaker = CircuitBreaker(window=4)
    with pytest.warns(UserWarning, match="abstained for all"):
        build("ppo", lambda samples: [None for _ in samples]).learn(48, breaker)
    assert (len(breaker._failed), breaker.open, waits) == (4, False, [])


@pytest.mark.filterwarnings("ignore")
def test_rewards_that_compare_a_group_and_vectors_of_sb3(waits):
    server = Server(down_from=20)
    breaker = CircuitBreaker(window=8)
    waits.happens = [server.repaired]
    build("rloo", InGroups(server)).learn(100, breaker)
    assert (breaker.pauses, waits) == (1, [10.0])

    def single():
        return TextGenerationEnv(PROMPTS, server, tokenizer(), max_prompt_tokens=2, max_new_tokens=3)

    server = Server(down_from=20)
    waits.happens, breaker = [server.repaired], CircuitBreaker(window=8)
    make("ppo", DummyVecEnv([single, single]), make_model(), seed=0, n_steps=12, batch_size=24).learn(100, breaker)
    assert (breaker.pauses, waits) == (1, [10.0, 10.0])


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"share": 0}, "share is 0"),
        ({"share": 1.5}, "share is 1.5"),
        ({"window": 0}, "window is 0"),
        ({"first_wait": 0}, "first_wait is 0"),
        ({"first_wait": 9, "longest_wait": 1}, "longest_wait is 1"),
        ({"give_up": -1}, "give_up is -1"),
    ],
)
def test_wrong_arguments(wrong, match):
    with pytest.raises(ConfigError, match=match):
        CircuitBreaker(**wrong)


PLUGIN = """
from pathlib import Path
from textgym import rewards
from textgym.core import Score
from textgym_agents.callbacks import CircuitBreaker

CircuitBreaker.__init__.__kwdefaults__["first_wait"] = 0.05

class Server:
    name, asked = "server", 0

    def __call__(self, samples):
        self.asked += len(samples)
        down = (Path(__file__).parent / "down").exists() and self.asked > 40
        return [Score(None, {}, "refused") if down else len(one.completion) / 100 for one in samples]

rewards.register_reward("server", Server)
"""


@pytest.mark.slow
def test_textgym_train_killed_in_a_pause_is_resumed_equal(tmp_path):
    """By ``kill -9``, in a process of its own; the other run waits until the server is up."""
    model, plugin, down = save_tiny_model(tmp_path / "model"), tmp_path / "plugin.py", tmp_path / "down"
    plugin.write_text(PLUGIN)
    command = [sys.executable, "-m", "textgym_agents.cli", "train"]
    options = ["Copy-v0", "--model", str(model), "--import", str(plugin), "--reward", "server", "--timesteps", "1024"]
    options += ["--n-envs", "4", "--max-new-tokens", "8", "--max-prompt-tokens", "24", "--eval-prompts", "4"]
    options += [word for one in ("n_steps=16", "batch_size=32", "n_epochs=1") for word in ("--algo-kwarg", one)]

    def paused(out):
        down.write_text("")
        log = open(tmp_path / f"{out.name}.log", "w+")  # noqa: SIM115
        process = subprocess.Popen(
            [*command, *options, "--out", str(out)], stderr=log, stdout=log, env=dict(os.environ)
        )
        deadline = time.monotonic() + 300
        while "Training pauses after" not in Path(log.name).read_text():
            assert process.poll() is None, Path(log.name).read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return process

    process = paused(tmp_path / "waited")
    down.unlink()
    assert process.wait(300) == 0
    process = paused(tmp_path / "killed")
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    down.unlink()
    subprocess.run([*command, "--resume", str(tmp_path / "killed")], check=True, timeout=300, capture_output=True)
    assert "The reward answers again" in (tmp_path / "waited.log").read_text()
    assert_equal_runs(tmp_path / "killed", tmp_path / "waited")
