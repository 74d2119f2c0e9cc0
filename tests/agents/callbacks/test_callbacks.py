"""What callbacks log, when they evaluate and stop, and where scalars are written."""

import csv
import importlib.util
import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest
from stable_baselines3.common.logger import Logger

from tests.agents.tiny_models import SMALL, tiny_model
from textgym.errors import ConfigError, MissingExtraError
from textgym_agents import make
from textgym_agents.callbacks import EvaluateCallback, TextLogger, evaluation
from textgym_agents.evaluation.held_out import Evaluation
from textgym_agents.runs.loggers import logger_for

ID = "textgym/Copy-v0"


def ppo(seed=0, **options):
    options = {"n_envs": 4, "n_steps": 4, "batch_size": 16, "env_kwargs": SMALL, **options}
    return make("ppo", ID, tiny_model("gpt2"), seed=seed, **options)


@pytest.fixture
def scores(monkeypatch):
    """Evaluations that give these numbers one after another, and count how many were made."""

    def give(values, name="bleu"):
        made = []

        def evaluate(*args, **kwargs):
            made.append(values[len(made)])
            return Evaluation([], np.array([-1.0 * len(made)]), {name: made[-1]})

        monkeypatch.setattr(evaluation, "evaluate", evaluate)
        return made

    return give


def test_training_stops_when_the_metric_gets_no_better(scores, tmp_path):
    made = scores([0.1, 0.3, 0.2, 0.35, 0.34, 0.36, 0.9])
    model, held_out = ppo(), EvaluateCallback(ID, 16, metric="bleu", patience=2, min_delta=0.1, best_folder=tmp_path)
    saved = []
    model.policy.save_pretrained = lambda folder: saved.append(model.num_timesteps)
    model.learn(160, held_out)
    # 0.3 beats 0.1 by more than min_delta; 0.2 and 0.35 don't beat 0.3 so.
    assert made == [0.1, 0.3, 0.2, 0.35]
    assert held_out.stopped_early
    assert model.num_timesteps == 48 + 4  # one step of the next rollout, which was not learnt from
    assert held_out.best == 0.35
    assert saved == [0, 16, 48]  # any improvement, by the metric and not by the reward, which only fell


def test_patience_counts_evaluations_in_a_row(scores):
    made = scores([0.5, 0.4, 0.6, 0.5, 0.4, 0.3])
    held_out = EvaluateCallback(ID, 16, metric="bleu", patience=3)
    ppo().learn(80, held_out)
    assert len(made) == 6
    assert held_out.stopped_early


def test_an_evaluation_of_which_nothing_is_known_is_neither_best_nor_counted(scores):
    """The judge's server was down during the second and the third one."""
    scores([0.5, math.nan, math.nan, 0.6, 0.5])
    held_out = EvaluateCallback(ID, 16, metric="bleu", patience=2)
    ppo().learn(64, held_out)
    assert (held_out.best, held_out.stopped_early, len(held_out.history)) == (0.6, False, 5)


def test_training_can_go_on_after_an_early_stop(scores):
    made = scores([0.5, 0.4, 0.3, 0.2, 0.1])
    model, held_out = ppo(), EvaluateCallback(ID, 16, patience=1)
    model.learn(64, held_out)
    assert (model.num_timesteps, len(made)) == (20, 2)
    model.learn(32, held_out, reset_num_timesteps=False)
    assert model.num_timesteps == 20 + 16 + 4  # the next evaluation is no better either
    assert len(made) == 3


def test_without_patience_nothing_stops(scores):
    made = scores([0.0] * 10)
    held_out = EvaluateCallback(ID, 16)
    ppo().learn(64, held_out)
    assert len(made) == 5
    assert not held_out.stopped_early


@pytest.mark.parametrize("resets", [True, False])
def test_evaluations_over_several_calls_of_learn(scores, resets):
    scores([0.0] * 10)
    model, held_out = ppo(), EvaluateCallback(ID, 32)
    for _ in range(2):
        model.learn(32, held_out, reset_num_timesteps=resets)
    assert [row["timesteps"] for row in held_out.history] == ([0, 32, 0, 32] if resets else [0, 32, 64])


def test_metrics_that_are_not_there():
    with pytest.raises(ConfigError, match=r"no metric 'rewards'\. Did you mean 'reward'"):
        ppo().learn(16, EvaluateCallback(ID, 16, 4, metric="rewards", env_kwargs=SMALL))


@pytest.mark.parametrize(
    ("wrong", "match"), [({"patience": 0}, "patience is 0"), ({"min_delta": -1}, "min_delta is -1")]
)
def test_wrong_arguments(wrong, match):
    with pytest.raises(ConfigError, match=match):
        EvaluateCallback(ID, 16, **wrong)


def test_any_metric_of_the_evaluation_decides():
    held_out = EvaluateCallback(ID, 64, 4, metric="num_tokens", env_kwargs=SMALL)
    ppo().learn(64, held_out)
    assert held_out.best == max(row["num_tokens"] for row in held_out.history)


def drive(log, model, rollouts, steps, ends, replay=True):
    """Call a callback as SB3 would, for a model with a replay buffer or with none.

    Rollouts of some steps of 4 rows each; every ``ends``-th step ends an episode of 3 tokens in row 1.
    """
    model.rollout_buffer, model.replay_buffer = None, object() if replay else None
    log.init_callback(model)
    log.on_training_start({}, {})
    count = 0
    for _ in range(rollouts):
        log.on_rollout_start()
        for _ in range(steps):
            count += 1
            model.num_timesteps += 4
            over = bool(ends) and count % ends == 0
            end = {"episode": {"r": 0.5, "l": 3}, "finish_reason": "eos"}
            log.update_locals(
                {"dones": np.array([False, over, False, False]), "infos": [{}, end if over else {}, {}, {}]}
            )
            assert log.on_step()
        log.on_rollout_end()
    log.on_training_end()


def logged_ppo():
    model = ppo()
    model.set_logger(Logger(None, []))
    return model


@pytest.mark.parametrize(("every", "rows"), [(None, [1024, 2048]), (400, [400, 800, 1200, 1600, 2000, 2048])])
def test_rollouts_of_one_step_are_logged_together(every, rows):
    log = TextLogger(every=every)
    drive(log, logged_ppo(), rollouts=512, steps=1, ends=2)
    assert [row["timesteps"] for row in log.history] == rows
    assert log.history[0]["episodes"] == rows[0] // 8  # a step is 4 tokens, every other one ends an episode
    assert log.history[0]["reward"] == 0.5
    assert log.history[0]["time/update_tokens_per_second"] > 0
    assert "time/rollout_tokens_per_second" not in log.history[0]  # one step has no duration to measure


def test_training_in_which_no_episode_ends_has_no_reward():
    log = TextLogger()
    drive(log, logged_ppo(), rollouts=2, steps=3, ends=0, replay=False)
    assert [row["timesteps"] for row in log.history] == [12, 24]
    assert [row["episodes"] for row in log.history] == [0, 0]
    assert "reward" not in log.history[0]
    assert log.history[1]["time/rollout_tokens_per_second"] > 0


def test_training_that_plays_nothing():
    log, model = TextLogger(), logged_ppo()
    log.init_callback(model)
    log.on_training_start({}, {})
    log.on_training_end()
    assert log.history == []


def test_scalars_go_into_csv_json_and_tensorboard(tmp_path):
    formats = ["csv", "json"] + ["tensorboard"] * (importlib.util.find_spec("tensorboard") is not None)
    for _ in range(2):
        model = ppo()
        logger = logger_for(tmp_path, formats)
        model.set_logger(logger)
        model.learn(48, TextLogger())
        logger.close()
    for name in ("progress.csv", "progress_2.csv"):  # the second run leaves the first one's
        with open(tmp_path / name, newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["time/total_timesteps"] for row in rows] == ["16", "32", "48"]
        assert float(rows[1]["train/loss"]) == float(rows[1]["train/loss"])
    lines = [json.loads(line) for line in (tmp_path / "progress.json").read_text().splitlines()]
    assert [line["time/total_timesteps"] for line in lines] == [16, 32, 48]
    assert len(list(tmp_path.glob("events.out.*"))) == 2 * ("tensorboard" in formats)


def test_unknown_and_missing_formats(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="Did you mean 'wandb'"):
        logger_for(tmp_path, ["wanbd"])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="pip install 'tensorboard>="):
        logger_for(tmp_path, ["tensorboard"])
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(MissingExtraError, match="pip install 'wandb>="):
        logger_for(tmp_path, "wandb")


class FakeRun:
    def __init__(self):
        self.rows, self.defined, self.finished = [], [], False

    def define_metric(self, *args, **kwargs):
        self.defined.append((*args, *kwargs.values()))

    def log(self, row):
        self.rows.append(row)

    def finish(self):
        self.finished = True


def test_what_weights_and_biases_is_sent(tmp_path, monkeypatch):
    class Fake:
        run, given = FakeRun(), {}

        @classmethod
        def init(cls, **given):
            cls.given = given
            return cls.run

    monkeypatch.setitem(sys.modules, "wandb", Fake)
    logger = logger_for(tmp_path, ["wandb"], project="texts", config={"seed": 1})
    logger.record("train/loss", np.float32(0.5))
    logger.record("text", "not a number")
    logger.record("secret", 1.0, exclude="wandb")
    logger.dump(step=32)
    logger.close()
    assert Fake.given == {"project": "texts", "dir": str(tmp_path), "config": {"seed": 1}}
    assert Fake.run.rows == [{"train/loss": 0.5, "tokens": 32}]
    assert ("*", "tokens") in Fake.run.defined
    assert Fake.run.finished


def test_weights_and_biases_offline(tmp_path):
    pytest.importorskip("wandb")
    code = (
        "from textgym_agents.runs.loggers import logger_for\n"
        f"logger = logger_for({str(tmp_path)!r}, ['wandb', 'csv'], project='texts', config={{'seed': 1}})\n"
        "for step in (32, 64, 32):\n"  # the count restarts, as with a second call of learn
        "    logger.record('train/loss', 1 / step)\n"
        "    logger.dump(step)\n"
        "logger.close()\n"
    )
    environment = {
        "WANDB_MODE": "offline",
        "WANDB_SILENT": "true",
        "PYTHONPATH": ":".join(sys.path),
        "HOME": str(tmp_path),
    }
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, **environment})
    runs = list((tmp_path / "wandb").glob("offline-run-*/run-*.wandb"))
    assert len(runs) == 1
    assert b"train/loss" in runs[0].read_bytes()
