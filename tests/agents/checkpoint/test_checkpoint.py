"""A run that stops and goes on gives the same numbers as one that was not stopped."""

import itertools
import json
import os
import random
import sys
import time
from collections import deque
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.utils import LinearSchedule
from typer.testing import CliRunner

import textgym_agents
from tests.agents import four_tokens
from tests.agents.saved_model import save_tiny_model
from tests.agents.tiny_models import tiny_model
from tests.processes import started_python
from textgym.errors import ConfigError
from textgym.vector import TextGenerationVectorEnv
from textgym.wrappers import WhitenReward
from textgym_agents import AdaptiveKL
from textgym_agents.algorithms import ALGORITHMS
from textgym_agents.algorithms.bc import warm_start
from textgym_agents.checkpoint import (
    CheckpointCallback,
    files,
    find_checkpoint,
    load_checkpoint,
    plain_state,
    read_state,
    save_checkpoint,
)
from textgym_agents.cli.app import app
from textgym_agents.envs.sync_vector import SingleEnvs
from textgym_agents.runs import config as run_config
from textgym_agents.runs import train as training

TOTAL, ROWS = 120, 4


@pytest.fixture(autouse=True)
def one_thread():
    """Sums in another order round differently."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make(name, seed, seq2seq=False, rows=ROWS, **overrides):
    """One of the table, on episodes of four tokens."""
    row = ALGORITHMS[name]
    kl = {} if row.kl_coef is None else {"kl_coef": 0.05}
    if name == "bc":  # needs references
        env, model = textgym_agents.make_vec_env("textgym/Copy-v0", rows), tiny_model("gpt2", positions=96)
    else:
        env, model = four_tokens.make_env(rows, seq2seq=seq2seq), four_tokens.make_model(seq2seq)
    return textgym_agents.make(name, env, model, seed=seed, **{**kl, **row.small, **overrides})


class Record(BaseCallback):
    """All that a run does: the actions of every step, and the scalars of every update."""

    def __init__(self):
        super().__init__()
        self.actions, self.scalars = [], []

    def _on_step(self):
        if "actions" in self.locals:
            self.actions.append((self.num_timesteps, np.array(self.locals["actions"]).reshape(-1).tolist()))
        return True

    def _on_rollout_end(self):
        self.note()

    def _on_training_end(self):
        self.note()

    def note(self):
        scalars = {k: float(v) for k, v in self.logger.name_to_value.items() if k.startswith(("train/", "kl/"))}
        self.scalars.append((self.model.num_timesteps, scalars))


class Keep(CheckpointCallback):
    """Saves each checkpoint in a folder of its own."""

    def save(self):
        root = self.folder
        self.folder = root / str(self.model.num_timesteps)
        super().save()
        self.folder = root


def weights(algorithm):
    return {name: tensor.clone() for name, tensor in algorithm.policy.state_dict().items()}


def assert_same_weights(one, other):
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def stir():
    """Leave every global generator somewhere else."""
    random.seed(99)
    np.random.seed(99)  # noqa: NPY002
    torch.manual_seed(99)


def assert_goes_on(build, folder, prepare=lambda algorithm: None, places=(0, -2)):
    """Runs made by ``build(seed)`` from some of the checkpoints of a whole run, in other random states, equal it."""
    whole, saved = build(1), Record()
    prepare(whole)
    whole.learn(TOTAL, callback=CallbackList([Keep(folder, 30), saved]))
    starts = sorted(int(path.name) for path in folder.iterdir())
    for start in {starts[place] for place in places if len(starts) > 1} or starts:  # the last one is at the end
        stir()
        again, record = build(2), Record()
        more = load_checkpoint(again, folder / str(start))
        assert again.num_timesteps == start
        keep = Keep(folder.with_name("again"), 30, resumed=more)
        again.learn(max(0, TOTAL - start), callback=CallbackList([keep, record]), reset_num_timesteps=False)
        assert record.actions == [step for step in saved.actions if step[0] > start]
        later = [update for update in saved.scalars if update[0] > start]
        assert record.scalars == later or not later
        assert again.num_timesteps == whole.num_timesteps
        assert_same_weights(weights(again), weights(whole))
    return starts, saved


@pytest.mark.parametrize("name", list(ALGORITHMS))
def test_every_algorithm_goes_on_exactly(name, tmp_path):
    before = weights(make(name, 1))
    starts, saved = assert_goes_on(lambda seed: make(name, seed), tmp_path / "whole")
    if starts[-1]:  # baselines train nothing
        assert len(starts) > 3 or name == "ilql"  # one long rollout: its log
        assert any(scalars for _, scalars in saved.scalars) or name == "ars"  # which logs none of its own
        again = make(name, 2)
        load_checkpoint(again, tmp_path / "whole" / str(starts[-1]))
        assert any(not torch.equal(before[key], tensor) for key, tensor in weights(again).items())


class Growing:
    """A KL controller of one's own. How it grows is no plain value, so that only its state can be stored."""

    def __init__(self, coef):
        self.coef = coef
        self.grow = lambda value: 1.5 * value

    def update(self, kl, num_episodes):
        self.coef = self.grow(self.coef)

    def get_state(self):
        return {"coef": self.coef}

    def set_state(self, state):
        self.coef = state["coef"]


GREEDY = {"policy_kwargs": {"exploration": "epsilon_greedy"}, "exploration_fraction": 0.9, "learning_starts": 40}
VARIANTS = {
    "encoder-decoder": ("ppo", {"seq2seq": True}),
    "adapters": ("grpo", {"lora": 2}),
    "adapters, lagged mask": ("nlpo", {"lora": 2}),
    "adapters, target network": ("dqn", {"lora": 2}),
    "adaptive KL": ("rloo", {"kl_coef": lambda: AdaptiveKL(0.1, target=0.01, horizon=20)}),
    "a KL controller of one's own": ("a2c", {"kl_coef": lambda: Growing(0.05)}),
    "schedules": ("ppo", {"learning_rate": LinearSchedule(0.1, 0.0, 0.9), "clip_range": LinearSchedule(0.3, 0.1, 1)}),
    "epsilon-greedy": ("dqn", {**GREEDY, "target_update_interval": 12}),
    "encoder-decoder, replay": ("qrdqn", {"seq2seq": True}),
    "no cache": ("ppo", {"policy_kwargs": {"use_cache": False}}),
    "top-k and top-p": ("maskable_ppo", {"policy_kwargs": {"top_k": 3, "top_p": 0.8}, "learning_rate": 1e-2}),
    "half precision": ("a2c", {"policy_kwargs": {"dtype": "bfloat16"}}),
}


@pytest.mark.parametrize("variant", list(VARIANTS))
def test_what_algorithms_are_made_of_goes_on(variant, tmp_path):
    name, options = VARIANTS[variant]
    assert_goes_on(
        lambda seed: make(name, seed, **{k: v() if k == "kl_coef" else v for k, v in options.items()}),
        tmp_path / "whole",
        places=(-2,),
    )


def test_a_warm_started_reference_model_goes_on(tmp_path):
    env = {"max_prompt_tokens": 12, "max_new_tokens": 10}

    def build(seed):
        small = {"prompts_per_rollout": 4, "group_size": 2}
        return textgym_agents.make(
            "grpo", "textgym/Copy-v0", tiny_model("gpt2"), n_envs=4, seed=seed, env_kwargs=env, **small
        )

    initial = build(1).policy.reference.copy.state_dict()
    assert_goes_on(build, tmp_path / "whole", lambda algorithm: warm_start(algorithm, 50), places=(-2,))
    again = build(2)
    load_checkpoint(again, min(find for find in (tmp_path / "whole").iterdir()))
    moved = again.policy.reference.copy.state_dict()
    assert any(not torch.equal(initial[name], moved[name]) for name in moved)


class Halved(gymnasium.vector.VectorWrapper):
    """Rewards halve with every step, which the wrapper must remember."""

    factor = 1.0

    def step(self, actions):
        observations, rewards, *rest = self.env.step(actions)
        self.factor /= 2
        return observations, rewards * self.factor, *rest

    def get_state(self):
        return {"factor": self.factor}

    def set_state(self, state):
        self.factor = state["factor"]


def plain_attributes(env):
    return gymnasium.wrappers.vector.NormalizeReward(env, gamma=0.5)


def single_environments(_):
    return SingleEnvs([gymnasium.make("textgym/Copy-v0", max_prompt_tokens=12, max_new_tokens=6) for _ in range(4)])


@pytest.mark.parametrize("wrap", [Halved, plain_attributes, WhitenReward, single_environments])
def test_environments_go_on(wrap, tmp_path):
    def build(seed):
        copy = gymnasium.make_vec(
            "textgym/Copy-v0",
            num_envs=4,
            vectorization_mode="vector_entry_point",
            autoreset_mode=gymnasium.vector.AutoresetMode.SAME_STEP,
            max_prompt_tokens=12,
            max_new_tokens=6,
        )
        return textgym_agents.make("ppo", wrap(copy), tiny_model("gpt2"), seed=seed, n_steps=5, batch_size=20)

    assert_goes_on(build, tmp_path / "whole", places=(-2,))


# ---------------------------------------------------------------------------- the folder


@pytest.fixture
def saved(tmp_path):
    ppo = make("ppo", 1).learn(20)
    save_checkpoint(ppo, tmp_path / "checkpoint", more={"note": (1, float("inf"))})
    return ppo, tmp_path / "checkpoint"


def test_files_without_a_pickle(saved):
    ppo, folder = saved
    assert sorted(path.name for path in folder.iterdir()) == ["SHA256SUMS", "state.json", "tensors.safetensors"]
    state = json.loads((folder / "state.json").read_text(), parse_constant=pytest.fail)
    assert state["num_timesteps"] == 20
    tensors = load_file(folder / "tensors.safetensors")
    assert torch.equal(tensors["policy/value_net.weight"], ppo.policy.value_net.weight)
    assert load_checkpoint(make("ppo", 2), folder) == {"note": (1, float("inf"))}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rate": 0.5}, r"learning_rate=0.0001 \(here 0.5\)"),
        ({"n_steps": 6}, r"n_steps=5 \(here 6\)"),
        ({"kl_coef": 0.1}, r"rollout_buffer_kwargs.kl_coef=0.05 \(here 0.1\)"),
        ({"kl_coef": AdaptiveKL(0.05, 6)}, "rollout_buffer_kwargs.kl_coef.target=None .here 6"),
        ({"policy_kwargs": {"temperature": 0.5}}, "policy_kwargs.temperature"),
        ({"lora": 2}, "policy_kwargs.lora"),
        ({"rows": 3}, r"n_envs=4 \(here 3\)"),
        ({"seq2seq": True}, "policy_kwargs.model='GPT2LMHeadModel'"),
    ],
)
def test_other_arguments_are_reported(saved, options, message):
    with pytest.raises(ConfigError, match=message):
        load_checkpoint(make("ppo", 1, **options), saved[1])


def test_a_kl_controller_that_cannot_be_saved_is_an_error(tmp_path):
    class Bare:
        coef = 0.1

        def update(self, kl, num_episodes):
            pass

    ppo = make("ppo", 1, kl_coef=Bare()).learn(20)
    with pytest.raises(ConfigError, match="Bare has no get_state"):
        save_checkpoint(ppo, tmp_path / "checkpoint")


def test_another_algorithm_or_environment_is_reported(saved):
    with pytest.raises(ConfigError, match="a checkpoint of PPO, this is A2C"):
        load_checkpoint(make("a2c", 1), saved[1])
    model = four_tokens.make_model()
    for changed, message in (
        ({"banned_tokens": (1,)}, None),  # no part of the state
        ({"sampling": "sequential"}, "has sampling='random', this one 'sequential'"),
    ):
        env = four_tokens.make_env(ROWS, **changed)
        other = textgym_agents.make("ppo", env, model, kl_coef=0.05, **ALGORITHMS["ppo"].small)
        if message is None:
            load_checkpoint(other, saved[1])
        else:
            with pytest.raises(ConfigError, match=message):
                load_checkpoint(other, saved[1])
    model.resize_token_embeddings(5)
    larger = textgym_agents.make("ppo", four_tokens.make_env(ROWS), model, kl_coef=0.05, **ALGORITHMS["ppo"].small)
    with pytest.raises(ConfigError, match=r"the shape \(4, 16\) for .*, and here there is the shape \(5, 16\)"):
        load_checkpoint(larger, saved[1])
    with pytest.raises(ConfigError, match="no checkpoint"):
        load_checkpoint(other, saved[1] / "nowhere")
    ppo = make("ppo", 1)
    ppo.env.env = gymnasium.make_vec("CartPole-v1", num_envs=2)
    with pytest.raises(ConfigError, match=r"has no get_state\(\) and set_state"):
        save_checkpoint(ppo, saved[1])


@pytest.mark.parametrize("when", ["tensors", "state", "first rename", "second rename"])
def test_a_checkpoint_is_whole_at_any_time(saved, when, monkeypatch):
    """Whatever the moment at which saving ends, the one before or the new one can be loaded."""
    ppo, folder = saved
    ppo.learn(20, reset_num_timesteps=False)

    class Killed(BaseException):
        pass

    def die(*_, **__):
        raise Killed

    renames = []

    def rename(self, target):
        if len(renames) == (when == "second rename"):
            raise Killed
        renames.append(target)
        return Path(os.rename(self, target) or target)

    with monkeypatch.context() as patch:
        if when == "tensors":
            patch.setattr(files, "save_file", die)
        elif when == "state":
            patch.setattr(files.json, "dumps", die)
        else:
            patch.setattr(Path, "rename", rename)
        with pytest.raises(Killed):
            save_checkpoint(ppo, folder)
    again = make("ppo", 2)
    load_checkpoint(again, folder)
    assert again.num_timesteps == 20
    save_checkpoint(ppo, folder)
    load_checkpoint(again, folder)
    assert again.num_timesteps == 40
    assert [path.name for path in folder.parent.iterdir()] == ["checkpoint"]


def test_saving_changes_no_numbers(tmp_path):
    runs = []
    for every in (20, 10_000):
        ppo, record = make("ppo", 1), Record()
        ppo.learn(TOTAL, callback=CallbackList([CheckpointCallback(tmp_path / "checkpoint", every), record]))
        runs.append((record.actions, record.scalars))
    assert runs[0] == runs[1]


def test_a_rollout_that_was_cut_short_is_not_saved(tmp_path):
    class Stop(BaseCallback):
        def _on_step(self):
            return self.num_timesteps < 50

    make("ppo", 1).learn(TOTAL, callback=CallbackList([CheckpointCallback(tmp_path / "checkpoint", 20), Stop()]))
    again = make("ppo", 2)
    load_checkpoint(again, tmp_path / "checkpoint")
    assert again.num_timesteps == 40


def test_plain_values_come_back_as_they_were():
    rng = np.random.default_rng(3)
    value = {
        "tuple": (1, [2.5, float("-inf")], {"$": 1, 2: "two"}),
        "set": {1, 2},
        "deque": deque([{"r": 1.0}], maxlen=3),
        "array": np.arange(6, dtype=np.uint32).reshape(2, 3),
        "scalar": np.float32(0.1),
        "tensor": torch.tensor([1.5, 2.5], dtype=torch.bfloat16),
        "bool": np.array([True, False]),
        "rng": rng,
    }
    tensors = {}
    packed = json.loads(json.dumps(plain_state.pack(value, "it", tensors), allow_nan=False))
    other = np.random.default_rng(4)
    unpacked = plain_state.unpack(packed, tensors, {"rng": other})
    assert unpacked["rng"] is other
    assert other.random() == rng.random()
    assert (unpacked["deque"], unpacked["deque"].maxlen) == (value["deque"], 3)
    assert type(unpacked["scalar"]) is np.float32
    for name in ("tuple", "set", "scalar"):
        assert unpacked[name] == value[name]
    for name in ("array", "bool"):
        assert unpacked[name].dtype == value[name].dtype
        assert (unpacked[name] == value[name]).all()
    assert torch.equal(unpacked["tensor"], value["tensor"])
    for value in (object(), lambda: None, [sys.stdout], torch.nn.Linear(1, 1)):
        with pytest.raises(plain_state.NotPlain):
            plain_state.pack(value, "it", tensors)


# ---------------------------------------------------------------------------- runs in a folder

KILLED = {
    "ppo": ["n_steps=16", "batch_size=32"],
    "grpo": ["prompts_per_rollout=4", "group_size=4"],
    "dqn": ["learning_starts=100", "buffer_size=300", "train_freq=8"],
}


def arguments(algo, out, model, timesteps=800):
    small = [part for pair in KILLED[algo] for part in ("--algo-kwarg", pair)]
    often = ["--checkpoint-every", "200", "--eval-every", "300", "--eval-prompts", "4", "--n-envs", "4"]
    return [
        *("train", "Copy", "--algo", algo, "--model", model, "--timesteps", timesteps, "--out", out),
        *often,
        *small,
    ]


def command(*given):
    result = CliRunner().invoke(app, [str(one) for one in given], env={"COLUMNS": "160"})
    assert result.exit_code == 0, result.output
    return result


def numbers(folder):
    """All that a run wrote, without seconds and speeds."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    metrics = [{k: v for k, v in line.items() if not (k == "seconds" or k.startswith("time/"))} for line in lines]
    padding = [line.get("time/update_padding") for line in lines]
    return metrics, padding, (folder / "samples.md").read_text(), (folder / "learning_curve.png").read_bytes()


def assert_same_runs(one, other):
    for actual, expected in zip(numbers(one), numbers(other), strict=True):
        assert actual == expected
    for file in ("policy/model.safetensors", "policy/value_head.safetensors", "checkpoint/tensors.safetensors"):
        if (one / file).exists() or (other / file).exists():
            assert_same_weights(load_file(one / file), load_file(other / file))
    assert_same_weights(*(load_file(folder / "best" / "model.safetensors") for folder in (one, other)))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return save_tiny_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.mark.parametrize(
    "algo", ["ppo", *(pytest.param(name, marks=pytest.mark.slow) for name in KILLED if name != "ppo")]
)
def test_a_killed_run_goes_on_as_if_it_had_not_been(algo, tiny, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    words = ["-m", "textgym_agents.cli", *arguments(algo, killed, tiny)]
    with started_python(words, tmp_path) as (process, _):
        checkpoint, metrics, deadline = killed / "checkpoint", killed / "metrics.jsonl", time.monotonic() + 120
        lines = 0
        while not checkpoint.is_dir() or metrics.read_text().count("\n") < lines + 2:
            lines = lines or (metrics.read_text().count("\n") if checkpoint.is_dir() else 0)
            assert process.is_alive(), "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.01)
    command(*arguments(algo, whole, tiny))
    assert json.loads((find_checkpoint(checkpoint) / "state.json").read_text())["num_timesteps"] < 800
    command("train", "--resume", killed)
    assert_same_runs(killed, whole)


def test_a_run_can_be_made_longer(tiny, tmp_path):
    """Its schedules stay at their end, and it equals a run that was begun with that length and those schedules."""
    longer, whole = tmp_path / "longer", tmp_path / "whole"
    command(*arguments("ppo", longer, tiny, 300))
    command("train", "--resume", longer, "--timesteps", 600)
    command(*arguments("ppo", whole, tiny, 600), "--schedule-timesteps", 300)
    assert_same_runs(longer, whole)
    stored = [json.loads((folder / "config.json").read_text())["config"] for folder in (longer, whole)]
    assert stored[0] == stored[1]
    before = numbers(whole)
    command("train", "--resume", whole)  # there is nothing to do
    assert numbers(whole) == before


def test_a_run_goes_on_after_an_exception_in_a_rollout(tiny, tmp_path, monkeypatch):
    """Also where nothing but the beginning was saved yet, and with a warm start."""
    broken, whole = tmp_path / "broken", tmp_path / "whole"
    settings = {"task": "textgym/Copy-v0", "model": tiny, "timesteps": 200, "n_envs": 4, "eval_prompts": 4}
    settings |= {
        "warm_start": 60,
        "checkpoint_every": 100,
        "eval_every": 64,
        "algo_kwargs": {"n_steps": 8, "batch_size": 16},
    }
    config = run_config.TrainConfig(**settings)
    expected = training.train(config, whole, progress=False)
    step = TextGenerationVectorEnv.step
    for last, is_saved in ((50, False), (180, True)):
        calls = itertools.count()

        def failing(self, actions, last=last, calls=calls):
            if next(calls) == last:
                raise MemoryError
            return step(self, actions)

        with monkeypatch.context() as patch:
            patch.setattr(TextGenerationVectorEnv, "step", failing)
            with pytest.raises(MemoryError):
                training.train(config, broken, progress=False, overwrite=True)
        assert (read_state(broken / "checkpoint")["num_timesteps"] > 0) == is_saved
        assert training.resume(broken, progress=False) == expected
        assert_same_runs(broken, whole)


def test_training_ends_when_it_gets_no_better(tiny, tmp_path):
    more = ["--stop-metric", "chrf", "--patience", 1, "--algo-kwarg", "learning_rate=0"]
    result = command(*arguments("ppo", tmp_path / "run", tiny), *more)
    assert "chrf was no better in 1 evaluations" in " ".join(result.output.split())
    lines, *_ = numbers(tmp_path / "run")
    assert lines[-1]["timesteps"] < 800
    assert (tmp_path / "run" / "best" / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["train"], "Say what to train on"),
        (["train", "--resume", "nowhere"], "no training run in 'nowhere'"),
        (["train", "Copy", "--resume", "nowhere"], "leave task out"),
        (["train", "--resume", "nowhere", "--seed", "3", "--timesteps", "9"], "leave seed out"),
        (["train", "Copy", "--patience", "2"], "say with eval_every"),
    ],
)
def test_errors_of_the_command(given, message):
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 1
    assert message in result.stderr


def test_a_run_whose_model_has_changed_does_not_go_on(tmp_path):
    model = save_tiny_model(tmp_path / "model")
    command(*arguments("ppo", tmp_path / "run", model, 64))
    save_tiny_model(tmp_path / "model", "llama")
    result = CliRunner().invoke(app, ["train", "--resume", str(tmp_path / "run")])
    assert "has changed since this run began" in result.stderr
