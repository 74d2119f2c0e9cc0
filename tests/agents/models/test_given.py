"""Model objects of a user: copied or trained in place, with adapters of peft that are trained and saved as adapters."""

import math
import warnings

import pytest
import torch
from stable_baselines3 import PPO
from transformers import AutoTokenizer

from tests.agents.tiny_models import SMALL, tiny_model
from textgym.errors import ConfigError, ModelError
from textgym.tokenizer import builtin_folder
from textgym_agents import EvaluateCallback, load, make, models

RUN = {"n_envs": 4, "n_steps": 10, "batch_size": 16, "seed": 0, "learning_rate": 0.01, "env_kwargs": SMALL}


def tokenizer():
    return AutoTokenizer.from_pretrained(builtin_folder())


def adapted(kind="gpt2", **options):
    peft = pytest.importorskip("peft")
    options = {"r": 2, "target_modules": "all-linear", "fan_in_fan_out": kind == "gpt2", **options}
    return peft.get_peft_model(tiny_model(kind), peft.LoraConfig(**options))


def moved(before, model):
    return not all(torch.equal(one, other) for one, other in zip(before, model.parameters(), strict=True))


def adapters(model):
    return {name: p.detach().clone() for name, p in model.named_parameters() if "lora_" in name}


@pytest.mark.parametrize("copied", [True, False])
def test_a_model_object_is_copied_or_trained_itself(copied):
    model = tiny_model("gpt2")
    before = [p.detach().clone() for p in model.parameters()]
    ppo = make("ppo", "textgym/Copy-v0", model, copy=copied, **RUN)
    assert (ppo.policy.lm is model) == (not copied)
    ppo.learn(40)
    assert moved(before, ppo.policy.lm)
    assert moved(before, model) == (not copied)


def test_in_place_or_not_the_run_is_the_same():
    runs = [
        make("ppo", "textgym/Copy-v0", tiny_model("gpt2"), copy=copied, **RUN).learn(32) for copied in (True, False)
    ]
    for one, other in zip(*(run.policy.parameters() for run in runs), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("kind", ["gpt2", "t5"])
def test_adapters_are_trained_and_saved_as_adapters(kind, tmp_path):
    model = adapted(kind)
    ppo = make("ppo", "textgym/Copy-v0", model, copy=False, tokenizer=tokenizer(), kl_coef=0.1, **RUN)
    assert ppo.policy.reference.copy is None  # the base model, with the adapters off
    trained = {name for name, p in ppo.policy.named_parameters() if p.requires_grad}
    assert all("lora_" in name or "value_net" in name for name in trained)
    before = adapters(model)
    ppo.learn(80)
    assert any(not torch.equal(before[name], p) for name, p in adapters(model).items())
    assert ppo.rollout_buffer.stats["kl_per_token"] != 0

    ppo.policy.save_pretrained(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert {"adapter_config.json", "adapter_model.safetensors", "value_head.safetensors", "tokenizer.json"} <= names
    assert not {"config.json", "model.safetensors"} & names
    import peft

    again = peft.PeftModel.from_pretrained(tiny_model(kind), tmp_path)
    for name, p in adapters(again).items():
        assert torch.equal(p, adapters(model)[name]), name


def test_a_copy_of_adapters_leaves_the_users_alone():
    model = adapted()
    before = adapters(model)
    make("ppo", "textgym/Copy-v0", model, **RUN).learn(32)
    assert all(torch.equal(before[name], p) for name, p in adapters(model).items())


def test_the_best_adapters_of_a_run_are_saved(tmp_path):
    callback = EvaluateCallback("textgym/Copy-v0", 16, num_prompts=2, best_folder=tmp_path / "best")
    small = {**RUN, "env_kwargs": {}}
    model, own = models.load("textgym/small")
    import peft

    wrapped = peft.get_peft_model(model, peft.LoraConfig(r=1, target_modules=["c_attn"], fan_in_fan_out=True))
    ppo = make("ppo", "textgym/Copy-v0", wrapped, tokenizer=own, **small).learn(32, callback=callback)
    first = (tmp_path / "best" / "adapter_model.safetensors").read_bytes()
    callback.best = -math.inf  # so that better ones take their place
    ppo.learn(32, callback=callback, reset_num_timesteps=False)
    assert (tmp_path / "best" / "adapter_model.safetensors").read_bytes() != first


def test_a_folder_of_adapters_loads_with_its_base(tmp_path):
    models.save(tiny_model("gpt2"), tokenizer(), tmp_path / "base")
    base, own = models.load(tmp_path / "base")
    import peft

    wrapped = peft.get_peft_model(base, peft.LoraConfig(r=2, target_modules=["c_attn"], fan_in_fan_out=True))
    first = make("ppo", "textgym/Copy-v0", wrapped, tokenizer=own, **RUN)
    first.learn(32)
    first.policy.save_pretrained(tmp_path / "adapters")
    assert not models.is_encoder_decoder(tmp_path / "adapters")
    second = make("ppo", "textgym/Copy-v0", tmp_path / "adapters", **RUN)
    assert torch.equal(second.policy.value_net.weight, first.policy.value_net.weight)
    ids = torch.arange(6)[None]
    torch.testing.assert_close(second.policy.lm(ids).logits, first.policy.lm(ids).logits)
    second.learn(32)
    second.policy.save_pretrained(tmp_path / "again")
    assert (tmp_path / "again" / "adapter_model.safetensors").is_file()
    ars = make("ars", "textgym/Copy-v0", tmp_path / "adapters", n_envs=4, seed=0, env_kwargs=SMALL)
    assert not ars.policy.merges_adapters


def test_a_folder_of_adapters_without_a_base_says_so(tmp_path):
    adapted().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="names no base model"):
        models.load(tmp_path)


def test_adapters_that_no_policy_can_use():
    peft = pytest.importorskip("peft")
    with pytest.raises(ConfigError, match="adapters already"):
        make("ppo", "textgym/Copy-v0", adapted(), lora=2, **RUN)
    prompts = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2)
    with pytest.raises(ModelError, match="PROMPT_TUNING"):
        make("ppo", "textgym/Copy-v0", peft.get_peft_model(tiny_model("gpt2"), prompts), **RUN)
    frozen = adapted()
    frozen.requires_grad_(False)
    with pytest.warns(UserWarning, match="is_trainable=True"):
        make("ppo", "textgym/Copy-v0", frozen, **RUN)


def test_the_tokenizer_of_a_model_object(tmp_path):
    own = tokenizer()
    own.add_tokens(["<new>"])
    made = make("ppo", "textgym/Copy-v0", tiny_model("gpt2"), tokenizer=own, **RUN)
    assert made.action_space.n == len(own)
    made.policy.save_pretrained(tmp_path)
    assert len(models.load_tokenizer(tmp_path)) == len(own)
    with pytest.raises(ConfigError, match="given twice"):
        make("ppo", "textgym/Copy-v0", tokenizer=own, **{**RUN, "env_kwargs": {"tokenizer": own}})
    with pytest.raises(ConfigError, match="tokenizer: only with an id"):
        make("ppo", made.env, tiny_model("gpt2"), tokenizer=own, n_steps=8)


def test_loading_what_was_trained_in_place_says_what_the_reference_is(tmp_path):
    made = make("ppo", "textgym/Copy-v0", tiny_model("gpt2"), copy=False, kl_coef=0.1, **RUN)
    made.save(tmp_path / "a.zip")
    with pytest.warns(UserWarning, match="copy=False"):
        assert isinstance(load("ppo", tmp_path / "a.zip"), PPO)
    make("ppo", "textgym/Copy-v0", tiny_model("gpt2"), kl_coef=0.1, **RUN).save(tmp_path / "b.zip")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load("ppo", tmp_path / "b.zip")
