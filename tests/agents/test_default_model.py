"""A task names the model that plays it where the user names none."""

import gymnasium
import pytest
from typer.testing import CliRunner

import textgym
from textgym import tokenizer
from textgym.errors import ConfigError
from textgym.registration import built_in_tasks, default_model
from textgym.tokenizer import (
    BUILTIN_MEDIUM,
    BUILTIN_MEDIUM_SEQ2SEQ,
    BUILTIN_MODEL,
    BUILTIN_MODELS,
    BUILTIN_SEQ2SEQ,
    model_of,
)
from textgym_agents import LanguageModelPolicy, make, make_vec_env
from textgym_agents.benchmark.config import BenchmarkConfig
from textgym_agents.cli.app import app
from textgym_agents.runs.config import TrainConfig
from textgym_agents.tuning.config import TuneConfig

OWN, PLAIN = "mine/Own-v0", "mine/Plain-v0"
PROMPTS = [textgym.Prompt("Say hi:", ("hi",)), textgym.Prompt("Say ho:", ("ho",))]
SMALL = {"n_envs": 2, "n_steps": 4, "batch_size": 8, "seed": 0}


class Plain(list):
    """Two prompts; its class says nothing about models."""

    name, max_prompt_tokens, max_new_tokens, truncation_side, metrics, stop = "Plain", 12, 4, "left", (), ()
    default_reward = "exact_match"

    def __init__(self):
        super().__init__(PROMPTS)


class Own(Plain):
    """The same with a model of its own."""

    default_model = BUILTIN_MEDIUM


@pytest.fixture(autouse=True)
def medium(tmp_path, monkeypatch):
    """The built-in models, but ``textgym/medium`` is ``textgym/tiny`` under that name: of 512 tokens."""
    for name in BUILTIN_MODELS:
        other = "textgym/tiny" if name == BUILTIN_MEDIUM else name
        (tmp_path / name.removeprefix("textgym/")).symlink_to(tokenizer.builtin_folder(other))
    monkeypatch.setattr(tokenizer, "ASSETS", tmp_path)
    tokenizer.builtin_tokenizer.cache_clear()
    for id, task in ((OWN, Own), (PLAIN, Plain)):
        textgym.register(id, task)
    yield
    tokenizer.builtin_tokenizer.cache_clear()
    for id in (OWN, PLAIN):
        del gymnasium.registry[id]


def test_the_environment_has_the_tokenizer_of_the_tasks_own_model():
    sizes = {id: int(gymnasium.make(id).action_space.n) for id in (OWN, PLAIN)}
    assert sizes == {OWN: 512, PLAIN: 2048}
    assert gymnasium.make_vec(OWN, num_envs=2).single_observation_space.default_model == BUILTIN_MEDIUM
    assert gymnasium.make(OWN, tokenizer=BUILTIN_MODEL).observation_space.default_model == BUILTIN_MODEL


def test_an_id_says_its_model():
    assert (default_model(OWN), default_model(PLAIN)) == (BUILTIN_MEDIUM, BUILTIN_MODEL)
    assert default_model("mine/Nothing-v0") == BUILTIN_MODEL
    assert default_model(OWN, {"form": "seq2seq"}) == BUILTIN_MEDIUM_SEQ2SEQ
    assert gymnasium.make(OWN, form="seq2seq").action_space.n == 4096
    assert default_model(PLAIN, {"form": "seq2seq"}) == BUILTIN_SEQ2SEQ


def test_a_model_without_a_counterpart_has_that_of_the_default_with_its_tokenizer(monkeypatch):
    monkeypatch.delitem(tokenizer.ENCODER_DECODERS, BUILTIN_MEDIUM)
    assert default_model(OWN, {"form": "seq2seq"}) == BUILTIN_SEQ2SEQ
    assert gymnasium.make(OWN, form="seq2seq").action_space.n == 2048


def test_algorithms_and_policies_play_with_it():
    made = make("ppo", OWN, **SMALL)
    assert made.policy_kwargs["model"] == BUILTIN_MEDIUM
    assert made.policy.lm.config.vocab_size == 512
    env = make_vec_env(OWN, 2)  # as one that the user has made
    policy = LanguageModelPolicy(env.observation_space, env.action_space, lambda _: 0.0)
    assert policy.lm.config.vocab_size == 512
    assert make("ppo", PLAIN, **SMALL).policy_kwargs["model"] == BUILTIN_MODEL
    assert make("ppo", OWN, BUILTIN_MODEL, **SMALL).policy.lm.config.vocab_size == 2048


def test_an_encoder_decoder_policy_gets_the_counterpart():
    env = make_vec_env(PLAIN, 2, form="seq2seq")
    policy = LanguageModelPolicy(env.observation_space, env.action_space, lambda _: 0.0)
    assert policy.lm.config.is_encoder_decoder
    made = make("ppo", PLAIN, env_kwargs={"form": "seq2seq"}, **SMALL)
    assert made.policy_kwargs["model"] == BUILTIN_SEQ2SEQ


def test_configurations_record_the_name():
    assert TrainConfig(OWN).model == BUILTIN_MEDIUM
    assert TuneConfig("ppo", OWN).model == BUILTIN_MEDIUM
    assert TrainConfig(OWN, model="gpt2").model == "gpt2"
    config = BenchmarkConfig(("ppo",), {OWN: 64})
    assert config.to_json()["model"] == BUILTIN_MEDIUM
    assert "--model" not in config.command()
    assert "--model textgym/tiny" in BenchmarkConfig(("ppo",), {OWN: 64}, model="textgym/tiny").command()


def test_a_benchmark_has_one_model():
    with pytest.raises(ConfigError, match=r"mine/Own-v0: textgym/medium, mine/Plain-v0: textgym/small.*--model"):
        BenchmarkConfig(("ppo",), {OWN: 64, PLAIN: 64})
    assert BenchmarkConfig(("ppo",), {OWN: 64, PLAIN: 64}, model=BUILTIN_MODEL).model == BUILTIN_MODEL


def test_the_command_line_plays_with_it():
    done = CliRunner().invoke(app, ["evaluate", OWN, "--num-prompts", "2"])
    assert f"{OWN}, {BUILTIN_MEDIUM}, 2 prompts" in done.stdout
    options = ["--num-prompts", "2", "--samples", "2"]
    table = CliRunner().invoke(app, ["headroom", f"{OWN},{PLAIN}", *options, "--markdown"]).stdout
    assert f"| {OWN} | {BUILTIN_MEDIUM} |" in table
    assert f"| {PLAIN} | {BUILTIN_MODEL} |" in table


def test_a_default_model_that_is_no_name_is_an_error():
    class Wrong(Plain):
        default_model = None

    with pytest.raises(ConfigError, match="default_model of Wrong is None, expected the name"):
        textgym.TextGenerationEnv(Wrong())


def test_the_default_models_of_the_built_in_tasks_are_there(monkeypatch):
    monkeypatch.undo()  # the package's own folder
    assert {model_of(task) for task in built_in_tasks().values()} <= set(BUILTIN_MODELS)
    assert all(tokenizer.builtin_folder(name).is_dir() for name in BUILTIN_MODELS)
