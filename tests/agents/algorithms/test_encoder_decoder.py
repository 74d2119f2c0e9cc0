"""Encoder-decoder models everywhere a model can be named: make, load, evaluate, the command."""

import json

import gymnasium
import pytest
import torch
from gymnasium.vector import AutoresetMode
from typer.testing import CliRunner

import textgym_agents
from tests.agents.saved_model import save_tiny_model
from tests.agents.tiny_models import SEQ2SEQ, SMALL, tiny_model
from textgym.errors import ConfigError
from textgym.tokenizer import BUILTIN_SEQ2SEQ
from textgym_agents import make, make_vec_env
from textgym_agents.callbacks import EvaluateCallback
from textgym_agents.cli.app import app
from textgym_agents.evaluation.held_out import evaluate, load_policy

ID = "textgym/Copy-v0"


def small_ppo(model, env=ID, **options):
    if isinstance(env, str):
        options["env_kwargs"] = {**SMALL, **options.get("env_kwargs", {})}
    return make("ppo", env, model, n_envs=4, n_steps=16, batch_size=32, seed=0, **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_model(tmp_path_factory.mktemp("tiny") / "t5", "t5")


@pytest.mark.parametrize("kind", SEQ2SEQ)
def test_it_learns_is_evaluated_and_loads_again(kind, tmp_path):
    ppo = small_ppo(tiny_model(kind), kl_coef=0.1)
    held_out = EvaluateCallback(ID, every=1000, num_prompts=4, env_kwargs=SMALL, best_folder=tmp_path / "best")
    before = [p.detach().clone() for p in ppo.policy.parameters()]
    ppo.learn(128, callback=held_out)
    assert ppo.policy.form.name == "seq2seq"
    assert any(not torch.equal(a, b) for a, b in zip(before, ppo.policy.parameters(), strict=True))
    assert [row["timesteps"] for row in held_out.history] == [0, 128]
    ppo.save(tmp_path / "model.zip")
    loaded = textgym_agents.load("ppo", tmp_path / "model.zip", _env(form="seq2seq", decoder_start_token_id=0))
    completions = [[s.completion for s in evaluate(one, ID, 4, env_kwargs=SMALL).samples] for one in (ppo, loaded)]
    assert completions[0] == completions[1]
    assert loaded.learn(64).num_timesteps >= 64


def _env(**env_kwargs):
    return make_vec_env(ID, 4, **SMALL, **env_kwargs)


def test_the_environment_starts_as_the_models_decoder_does():
    ppo = small_ppo(tiny_model("bart", decoder_start_token_id=7))
    assert (ppo.env.reset()["decoder_input_ids"][:, 0] == 7).all()
    assert ppo.policy.env_kwargs == {"form": "seq2seq", "decoder_start_token_id": 7}
    assert evaluate(ppo, ID, 4, env_kwargs=SMALL).rewards.shape == (4,)


def test_lora_on_an_encoder_decoder_model():
    ppo = small_ppo(tiny_model("t5"), lora=2, kl_coef=0.1)
    before = {name: p.detach().clone() for name, p in ppo.policy.lm.named_parameters()}
    ppo.learn(64)
    moved = {name for name, p in ppo.policy.lm.named_parameters() if not torch.equal(p, before[name])}
    assert {name.split(".")[0] for name in moved} == {"encoder", "decoder"}
    assert all("lora_" in name for name in moved)


def _vector_env(**env_kwargs):
    return gymnasium.make_vec(
        ID,
        num_envs=4,
        vectorization_mode="vector_entry_point",
        autoreset_mode=AutoresetMode.SAME_STEP,
        **SMALL,
        **env_kwargs,
    )


def test_an_environment_that_is_already_made_must_have_the_models_form():
    start = {"form": "seq2seq", "decoder_start_token_id": 3}
    t5, gpt2 = tiny_model("t5", decoder_start_token_id=3), tiny_model("gpt2")
    for build in (_env, _vector_env):
        with pytest.raises(ConfigError, match="form='seq2seq', decoder_start_token_id=3, or give its id"):
            small_ppo(t5, build())
        with pytest.raises(ConfigError, match=r"a decoder-only model.*form='causal', or give its id"):
            small_ppo(gpt2, build(**start))
        assert small_ppo(t5, build(**start)).policy.form.name == "seq2seq"
    with pytest.raises(ConfigError, match="a decoder-only model"):
        small_ppo(gpt2, env_kwargs=start)


def test_an_id_with_a_start_token_of_ones_own():
    ppo = small_ppo(tiny_model("t5"), env_kwargs={"decoder_start_token_id": 9})
    assert (ppo.env.reset()["decoder_input_ids"][:, 0] == 9).all()


def test_the_builtin_model_writes_for_every_task():
    for task in ("Copy", "SentimentContinuation"):
        policy = load_policy(BUILTIN_SEQ2SEQ, f"textgym/{task}-v0")
        result = evaluate(policy, f"textgym/{task}-v0", 16, split="validation")
        assert 0.2 < result.reward < 0.95


# ---------------------------------------------------------------------------- the command


def run(*arguments):
    result = CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "160"})
    assert result.exit_code == 0, result.output
    return result.output


def test_the_command_trains_and_evaluates(folder, tmp_path):
    out = tmp_path / "run"
    few = ["--n-envs", 4, "--algo-kwarg", "n_steps=16", "--algo-kwarg", "batch_size=32", "--eval-prompts", 4]
    run("train", "Copy", "--model", folder, "--timesteps", 128, "--out", out, *few)
    assert json.loads((out / "policy" / "config.json").read_text())["is_encoder_decoder"]
    assert "reward" in run("evaluate", "Copy", "--model", out / "policy", "--num-prompts", 4)
    assert evaluate(load_policy(out / "policy", ID), ID, 4).rewards.shape == (4,)


def test_the_command_with_the_builtin_model(tmp_path):
    file = tmp_path / "result.json"
    output = run("evaluate", "Copy", "--model", BUILTIN_SEQ2SEQ, "--num-prompts", 16, "--json", file)
    assert BUILTIN_SEQ2SEQ in output
    assert json.loads(file.read_text())["values"]["reward"] > 0.2


def test_benchmark_runs_an_encoder_decoder_model(folder, tmp_path):
    few = ["--n-envs", 4, "--algo-kwarg", "n_steps=16", "--algo-kwarg", "batch_size=32", "--eval-prompts", 4]
    few += ["--seeds", 1, "--timesteps", 64, "--jobs", 0]
    run("benchmark", "--algos", "ppo", "--tasks", "Copy", "--model", folder, "--out", tmp_path / "results", *few)
    assert "Copy" in (tmp_path / "results" / "results.md").read_text()


@pytest.mark.parametrize("more", [[], pytest.param(["--vocabulary", 300], marks=pytest.mark.slow)])
def test_pretrain_makes_an_encoder_decoder_model_with_a_card(more, tmp_path):
    out = tmp_path / "made"
    sizes = ["--hidden-size", 16, "--layers", 1, "--steps", 2, "--eval-prompts", 2]
    run("pretrain", "--model", BUILTIN_SEQ2SEQ, "--out", out, *sizes, *more)
    card = (out / "README.md").read_text()
    what = "tokenizer of 300 tokens" if more else "the tokenizer of `textgym/small`"
    for words in ("A T5, an encoder-decoder model", what, "| DataToText |", "| kind | seq2seq |", "| steps | 2 |"):
        assert words in card
    assert "| positions |" not in card
    assert json.loads((out / "config.json").read_text())["decoder_start_token_id"] == 0


def test_pretrain_names_its_recipes():
    result = CliRunner().invoke(app, ["pretrain", "--out", "x", "--model", "textgym/small-seq2sec"])
    assert result.exit_code == 1
    assert "Did you mean 'textgym/small-seq2seq'?" in result.stderr
