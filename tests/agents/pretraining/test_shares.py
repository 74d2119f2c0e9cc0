"""Every built-in task has a share in the training of the built-in models."""

import itertools

import pytest
import tokenizers

from textgym.tasks import TASKS, WorldTask
from textgym.tokenizer import builtin_folder
from textgym.world import Rendered
from textgym_agents.pretraining import pretrain


class Shout(WorldTask):
    name = "Shout"
    max_prompt_tokens, max_new_tokens, metrics, default_reward = 16, 8, ("exact_match",), "exact_match"
    template, columns = "Word: {prompt} Shout:", {"prompt": "text"}

    @staticmethod
    def grammar(draw, /):
        word = "".join(draw.pick("abcdefgh") for _ in range(8))
        return Rendered(word, (word.upper(),))


def test_the_built_in_tasks_have_the_shares_of_the_published_models():
    assert pretrain.shares() == {
        "DataToText": 0.15,
        "Summarization": 0.17,
        "Translation": 0.36,
        "SentimentContinuation": 0.12,
        "Copy": 0.20,
    }
    assert list(pretrain.shares()) == list(TASKS)  # their order decides which task a random number means
    assert sum(pretrain.shares().values()) == pytest.approx(1)


def test_a_new_task_is_taught_without_a_share_of_its_own(monkeypatch):
    monkeypatch.setitem(TASKS, "Shout", Shout)
    shares = pretrain.shares()
    assert shares["Shout"] == pytest.approx(1 / 6)
    assert shares["Copy"] == pytest.approx(0.20 * 5 / 6)
    assert sum(shares.values()) == pytest.approx(1)
    tokenizer = tokenizers.Tokenizer.from_file(str(builtin_folder() / "tokenizer.json"))
    batches = itertools.islice(pretrain.batches(tokenizer, pretrain.Recipe(batch_tokens=64)), 60)
    prompts = [tokenizer.decode(head) for rows in batches for head, _ in rows]
    assert any(prompt.startswith("Word: ") for prompt in prompts)
