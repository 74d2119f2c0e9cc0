"""Schedules of tokens: their values, their written form, and what they do to SB3's algorithms and to ours."""

import json
import math

import pytest
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import LinearSchedule

from tests.agents.tiny_models import SMALL, tiny_model
from textgym.errors import ConfigError
from textgym_agents import AdaptiveKL, make
from textgym_agents.callbacks.schedules import Schedules
from textgym_agents.objectives.kl import ScheduledKL
from textgym_agents.objectives.schedules import Constant, Cosine, Linear, parse_schedule

ID = "textgym/Copy-v0"


@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        (Constant(0.5), {0: 0.5, 7: 0.5, 10**9: 0.5}),
        (Constant(0.5, warmup=10), {0: 0.0, 5: 0.25, 10: 0.5, 11: 0.5}),
        (Linear(1.0, 0.2, 100), {0: 1.0, 25: 0.8, 50: 0.6, 100: 0.2, 1000: 0.2}),
        (Linear(0.2, 1.0, 100, warmup=20), {0: 0.0, 10: 0.1, 20: 0.2, 60: 0.6, 100: 1.0}),
        (Cosine(1.0, 0.0, 100), {0: 1.0, 25: (1 + math.sqrt(0.5)) / 2, 50: 0.5, 100: 0.0, 101: 0.0}),
        (Cosine(1.0, 0.5, 120, warmup=20), {10: 0.5, 20: 1.0, 70: 0.75, 120: 0.5}),
    ],
)
def test_values(schedule, values):
    assert {tokens: schedule(tokens) for tokens in values} == pytest.approx(values)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3e-4", Constant(3e-4)),
        (" 1 ", Constant(1)),
        ("constant(3e-4, warmup=100)", Constant(3e-4, 100)),
        ("linear(4e-3, 0, 50000)", Linear(4e-3, 0, 50_000)),
        ("Linear(start=4e-3,end=0,tokens=50_000)", Linear(4e-3, 0, 50_000)),
        ("cosine( 4e-3 , 1e-4, 50000, 2000 )", Cosine(4e-3, 1e-4, 50_000, 2_000)),
    ],
)
def test_written_schedules(text, expected):
    assert parse_schedule(text) == expected


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("fast", "is no number"),
        ("", "is no number"),
        ("liner(1, 0, 10)", "Did you mean 'linear'"),
        ("linear(1, 0)", r"doesn't fit linear\(start.*tokens"),
        ("linear(1, 0, 10, end=3)", "doesn't fit"),
        ("linear(1, end=0, 10)", "put it before"),
        ("linear(1, 0, ten)", "'ten' in"),
        ("linear(1, 0, __import__('os'))", "is no number"),
        ("linear(1, 0, 10, warmup=10)", "warmup is 10, expected at least 0 and less than the 10 tokens"),
        ("linear(1, nan, 10)", "finite"),
        ("inf", "finite"),
        ("constant(1, -1)", "at least 0"),
    ],
)
def test_what_is_no_schedule(text, match):
    with pytest.raises(ConfigError, match=match):
        parse_schedule(text)


class Seen(BaseCallback):
    """The learning rate of each update: what the optimizer holds when the next rollout begins."""

    def __init__(self, *names):
        super().__init__()
        self.names, self.rows = names, []

    def _on_training_start(self):
        self.updated = False

    def _on_rollout_start(self):
        if self.updated:
            self.rows.append(self._row())
        self.updated = True

    def _on_training_end(self):
        self.rows.append(self._row())

    def _on_step(self):
        return True

    def _row(self):
        return self.model.policy.optimizer.param_groups[0]["lr"], *(getattr(self.model, n) for n in self.names)


def ppo(seed=0, **options):
    options = {"n_envs": 4, "n_steps": 4, "batch_size": 16, "env_kwargs": SMALL, **options}
    return make("ppo", ID, tiny_model("gpt2"), seed=seed, **options)


def test_a_straight_line_is_that_of_sb3_within_one_call_of_learn():
    theirs, ours = Seen(), Seen()
    ppo(learning_rate=LinearSchedule(1e-3, 0.0, 1.0)).learn(64, theirs)
    ppo().learn(64, [Schedules(learning_rate=Linear(1e-3, 0, 64)), ours])
    assert [row[0] for row in ours.rows] == pytest.approx([7.5e-4, 5e-4, 2.5e-4, 0])
    assert [row[0] for row in ours.rows] == pytest.approx([row[0] for row in theirs.rows])


@pytest.mark.parametrize("resets", [True, False])
def test_schedules_go_on_over_calls_of_learn(resets):
    model, schedules, seen = (
        ppo(),
        Schedules(learning_rate=Linear(1e-3, 0, 64), ent_coef=Linear(0, 1, 64)),
        Seen("ent_coef"),
    )
    for _ in range(2):
        model.learn(32, [schedules, seen], reset_num_timesteps=resets)
    assert model.num_timesteps == (32 if resets else 64)
    assert schedules.tokens == 64
    assert [row[0] for row in seen.rows] == pytest.approx([7.5e-4, 5e-4, 2.5e-4, 0])
    assert seen.rows[-1][1] == 1.0


def test_a_schedule_goes_on_from_its_state():
    first, model = Schedules(learning_rate="linear(1e-3, 0, 64)"), ppo()
    model.learn(32, first)
    state = json.loads(json.dumps(first.get_state()))
    later, seen = Schedules(learning_rate="linear(1e-3, 0, 64)"), Seen()
    later.set_state(state)
    ppo().learn(16, [later, seen])
    assert [row[0] for row in seen.rows] == pytest.approx([2.5e-4])
    assert later.tokens == 48


def test_ctrl_c_loses_no_token():
    class Stop(BaseCallback):
        def _on_step(self):
            if self.n_calls == 6:
                raise KeyboardInterrupt
            return True

    schedules = Schedules(learning_rate=1e-3)
    with pytest.raises(KeyboardInterrupt):
        ppo().learn(64, [schedules, Stop()])
    assert schedules.tokens == 24


def test_clip_ranges_coefficients_and_the_kl_follow():
    model = ppo(kl_coef=0.5, env_kwargs={**SMALL, "max_new_tokens": 4})  # all completions end within a rollout
    model.learn(
        32,
        Schedules(
            clip_range=Linear(0.4, 0.2, 32),
            clip_range_vf=0.3,
            ent_coef=0.02,
            target_kl=5,
            vf_coef=1,
            kl_coef=Linear(1, 0, 32),
        ),
    )
    assert model.clip_range(0.123) == pytest.approx(0.2)
    assert (model.clip_range_vf(0.5), model.ent_coef, model.target_kl, model.vf_coef) == (0.3, 0.02, 5.0, 1.0)
    assert model.rollout_buffer.stats["kl_coef"] == pytest.approx(0.5)  # that of the 16 tokens before the rollout
    assert model.logger.name_to_value["schedule/kl_coef"] == 0.0


@pytest.mark.parametrize("algorithm", ["a2c", "trpo", "grpo", "rloo"])
def test_other_algorithms_follow_too(algorithm):
    options = {} if algorithm in ("a2c", "trpo") else {"prompts_per_rollout": 4, "group_size": 2}
    options |= {} if options else {"n_steps": 8}
    options |= {"batch_size": 32} if algorithm == "trpo" else {}
    model = make(algorithm, ID, tiny_model("gpt2"), n_envs=4, seed=0, env_kwargs=SMALL, **options)
    seen, schedules = Seen(), Schedules(learning_rate=Linear(1e-3, 0, 10_000))
    model.learn(64, [schedules, seen])
    model.learn(64, [schedules, seen])
    assert schedules.tokens >= 128
    assert seen.rows[-1][0] == pytest.approx(1e-3 * (1 - schedules.tokens / 10_000))


def test_the_number_of_tokens_is_what_moves_a_scheduled_controller():
    controller = ScheduledKL(Linear(1.0, 0.0, 64))
    model = ppo(kl_coef=controller, env_kwargs={**SMALL, "max_new_tokens": 4})
    model.learn(16)
    assert (model.rollout_buffer.stats["kl_coef"], controller.coef, controller.tokens) == (1.0, 0.75, 16)
    model.learn(16)
    assert (model.rollout_buffer.stats["kl_coef"], controller.coef, controller.tokens) == (0.75, 0.5, 32)
    with pytest.raises(ConfigError, match="not negative"):
        ScheduledKL(Linear(-1.0, 0.0, 64))


@pytest.mark.parametrize(
    ("options", "schedules", "match"),
    [
        ({}, {"ent_coeff": 0.1}, "PPO has no setting 'ent_coeff' that can change. Did you mean 'ent_coef'"),
        ({}, {"train": 0.1}, "no setting 'train'"),
        ({}, {"policy": 0.1}, "no setting 'policy'"),
        ({}, {"n_steps": 8}, "no setting 'n_steps'"),
        ({}, {"gamma": 0.9}, "no setting 'gamma'"),
        ({"kl_coef": 0}, {"kl_coef": 0.1}, "no KL penalty"),
        ({"kl_coef": AdaptiveKL(0.1, 6)}, {"kl_coef": 0.1}, "AdaptiveKL that moves"),
    ],
)
def test_what_an_algorithm_does_not_have(options, schedules, match):
    with pytest.raises(ConfigError, match=match):
        ppo(**options).learn(16, Schedules(**schedules))


def test_wrong_uses():
    with pytest.raises(ConfigError, match="no schedule"):
        Schedules()
    with pytest.raises(ConfigError, match="is no schedule"):
        Schedules(ent_coef=None)
    with pytest.raises(ConfigError, match=r"Schedules\(learning_rate="):
        ppo(learning_rate=Linear(1e-3, 0, 100)).learn(16)


def test_saving_an_algorithm_keeps_what_was_set(tmp_path):
    model = ppo()
    model.learn(16, Schedules(learning_rate=1e-3, clip_range=0.35))
    model.save(tmp_path / "ppo.zip")
    assert type(model).load(tmp_path / "ppo.zip").clip_range(1.0) == pytest.approx(0.35)
