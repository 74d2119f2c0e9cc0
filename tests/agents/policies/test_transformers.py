"""Arguments that transformers renames: no rollout warns, and the cache is used, under the old names and the new."""

import warnings

import pytest
from torch import nn

from tests.agents.tiny_models import tiny_model
from textgym_agents import make
from textgym_agents.models.kv_cache import cache_argument

SMALL = {"max_prompt_tokens": 12, "max_new_tokens": 10}


@pytest.mark.parametrize("kind", ["gpt2", "llama", "qwen2", "gpt_neox", "t5", "bart", "marian"])
def test_a_rollout_and_an_update_raise_no_future_warning(kind):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made = make(
            "ppo", "textgym/DataToText-v0", tiny_model(kind), n_envs=4, n_steps=4, batch_size=16, env_kwargs=SMALL
        )
        made.learn(16)
    assert not [str(w.message) for w in caught if issubclass(w.category, FutureWarning | DeprecationWarning)]
    assert made.policy.use_cache


def test_the_cache_goes_under_the_name_that_the_model_takes():
    class Old(nn.Module):
        def forward(self, input_ids, past_key_values=None, **kwargs): ...

    class New(nn.Module):
        def forward(self, input_ids, cache=None, **kwargs): ...

    assert (cache_argument(Old()), cache_argument(New())) == ("past_key_values", "cache")
