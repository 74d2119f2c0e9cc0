"""An architecture of transformers' own is tried once in a process, other code and other settings each by itself."""

import numpy as np
import pytest
from gymnasium import spaces
from transformers import GPT2LMHeadModel
from transformers.models.gpt2.modeling_gpt2 import GPT2Attention

from tests.agents.tiny_models import tiny_model
from textgym_agents.policies import capabilities
from textgym_agents.policies.base import LanguageModelPolicy

WIDTH = 24


def policy(model, width=WIDTH, **options):
    space = spaces.Dict(
        input_ids=spaces.Box(0, 2047, (width,), np.int64), attention_mask=spaces.Box(0, 1, (width,), np.int8)
    )
    return LanguageModelPolicy(space, spaces.Discrete(2048), lambda _: 1e-3, model=model, **options)


@pytest.fixture
def tried(monkeypatch):
    """The shortcuts that were tried, in a process where none was before."""
    tried = []

    def noting(name):
        trial = getattr(capabilities, name)

        def noted(one):
            tried.append(name)
            return trial(one)

        monkeypatch.setattr(capabilities, name, noted)

    noting("_cache_problem")
    noting("_can_share")
    monkeypatch.setattr(capabilities, "_PASSED", set())
    return tried


def test_an_architecture_that_passed_is_not_tried_again(tried):
    for _ in range(2):
        made = policy(tiny_model("gpt2"))
        assert made.use_cache
        assert made.share_prompts
        assert tried == ["_cache_problem", "_can_share"]


def test_other_settings_are_another_architecture(tried):
    eager = tiny_model("gpt2")
    eager.set_attn_implementation("eager")
    for model, options in (
        (tiny_model("gpt2"), {}),
        (tiny_model("gpt2", n_layer=1), {}),
        (tiny_model("gpt2"), {"width": WIDTH + 1}),
        (tiny_model("gpt2"), {"dtype": "bfloat16"}),
        (tiny_model("gpt2"), {"lora": 2}),
        (eager, {}),
        (tiny_model("llama"), {}),
    ):
        policy(model, **options)
        assert tried == ["_cache_problem", "_can_share"], options
        tried.clear()


def test_a_shortcut_that_was_switched_off_has_not_passed(tried):
    policy(tiny_model("gpt2"), use_cache=False)
    policy(tiny_model("gpt2"), share_prompts=False)
    policy(tiny_model("gpt2"))
    assert tried == ["_can_share", "_cache_problem"]


def test_what_failed_is_tried_and_said_each_time(tried):
    for _ in range(2):
        with pytest.warns(UserWarning, match="No key-value cache"):
            assert not policy(tiny_model("bloom")).use_cache
    assert tried.count("_cache_problem") == 2


class Own(GPT2LMHeadModel):
    """A class of the user's, whose code may change what the cache gives from one object to the next."""


def test_code_of_ones_own_is_tried_each_time(tried):
    own, patched, hooked = Own(tiny_model("gpt2").config), tiny_model("gpt2"), tiny_model("gpt2")
    patched.transformer.forward = patched.transformer.forward
    hooked.transformer.h[0].register_forward_hook(lambda module, inputs, outputs: None)
    for model in (own, patched, hooked):
        tried.clear()
        for _ in range(2):
            policy(model, copy=False)
        assert tried == ["_cache_problem", "_can_share"] * 2


def test_a_layer_that_is_replaced_after_it_passed_is_tried_as_it_is_now(tried, monkeypatch):
    assert policy(tiny_model("gpt2")).use_cache
    forward = GPT2Attention.forward

    def by_length(self, hidden_states, *rest, **options):
        out, *more = forward(self, hidden_states, *rest, **options)
        return out * hidden_states.shape[1], *more

    monkeypatch.setattr(GPT2Attention, "forward", by_length)
    with pytest.warns(UserWarning, match="No key-value cache: GPT2LMHeadModel"):
        assert not policy(tiny_model("gpt2")).use_cache
