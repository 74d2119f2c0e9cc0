"""Fixtures that several test folders share: a tokenizer and a task small enough to play in microseconds."""

import pytest

from textgym import Prompt
from textgym.tokenizer import builtin_tokenizer


class SmallTask(list):
    """Three prompts with references, with a task's attributes."""

    name = "Small"
    max_prompt_tokens, max_new_tokens = 32, 16
    truncation_side = "left"
    stop = ()
    metrics = ("bleu", "exact_match")


@pytest.fixture
def tokenizer():
    """The built-in tokenizer."""
    return builtin_tokenizer()


def pytest_addoption(parser):
    parser.addoption("--no-cache", action="store_true", help="run policies without cached keys and values")


def pytest_configure(config):
    if config.getoption("--no-cache"):
        from textgym_agents.policies.base import LanguageModelPolicy

        LanguageModelPolicy.__init__.__kwdefaults__["use_cache"] = False


@pytest.fixture
def small_task():
    """A task of three prompts in memory."""
    return SmallTask(
        [
            Prompt("Say hi:", ("hi", "hello"), {"mood": "kind"}),
            Prompt("Name a colour:", ("red", "blue", "green")),
            Prompt("Count to three:", ("one two three",)),
        ]
    )


@pytest.fixture(params=["gpt2", "llama", "gpt_neox", "qwen2"])
def model(request):
    """A tiny causal language model of each kind."""
    from tests.agents.tiny_models import tiny_model

    return tiny_model(request.param)


@pytest.fixture(params=["gpt2", "llama", "gpt_neox", "t5", "t5-tied", "bart", "marian"])
def any_model(request):
    """A tiny language model of each kind, encoder-decoder models included."""
    from tests.agents.tiny_models import tiny_model

    return tiny_model(request.param)


@pytest.fixture
def small_env():
    """Arguments that keep Copy's episodes short."""
    return {"max_prompt_tokens": 12, "max_new_tokens": 10}
