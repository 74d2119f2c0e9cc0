"""Every built-in task has a share in the training of the built-in models, and room for its texts in their tokens."""

import itertools
import json
import math
from functools import partial
from types import SimpleNamespace

import pytest
import tokenizers

from textgym.errors import TokenizerError
from textgym.tasks import TASKS, WorldTask
from textgym.tokenizer import builtin_folder, builtin_tokenizer, length_factor
from textgym.world import Rendered
from textgym_agents import make_vec_env, models
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
    assert pretrain.SHARES == {
        "DataToText": 0.15,
        "Summarization": 0.17,
        "Translation": 0.36,
        "SentimentContinuation": 0.12,
        "Copy": 0.20,
    }
    assert list(pretrain.shares()) == list(
        TASKS
    )  # later ones have none of their own; their order decides which task a random number means
    assert sum(pretrain.shares().values()) == pytest.approx(1)


def test_a_new_task_is_taught_without_a_share_of_its_own(monkeypatch):
    monkeypatch.setitem(TASKS, "Shout", Shout)
    shares = pretrain.shares()
    assert shares["Shout"] == pytest.approx(1 / len(TASKS))
    assert shares["Copy"] == pytest.approx(0.20 * len(pretrain.SHARES) / len(TASKS))
    assert sum(shares.values()) == pytest.approx(1)
    tokenizer = tokenizers.Tokenizer.from_file(str(builtin_folder() / "tokenizer.json"))
    batches = itertools.islice(pretrain.batches(tokenizer, pretrain.Recipe(batch_tokens=64)), 60)
    prompts = [tokenizer.decode(head) for rows in batches for head, _ in rows]
    assert any(prompt.startswith("Word: ") for prompt in prompts)


def test_a_tokenizer_of_few_tokens_multiplies_the_limits_of_tasks():
    small, tiny = (
        tokenizers.Tokenizer.from_file(str(builtin_folder(name) / "tokenizer.json"))
        for name in ("textgym/small", "textgym/tiny")
    )
    assert pretrain.length_factor(small) == length_factor(builtin_tokenizer("textgym/small")) == 1
    assert pretrain.length_factor(tiny) == length_factor(builtin_tokenizer("textgym/tiny")) == 3


def test_the_factor_is_written_beside_a_new_tokenizer_and_stays_with_saved_models(tmp_path, monkeypatch):
    monkeypatch.setattr(pretrain, "train_tokenizer", partial(pretrain.train_tokenizer, texts_per_task=20))
    recipe = pretrain.Recipe(steps=1, batch_tokens=64, vocabulary=260, hidden_size=8, layers=1, heads=1)
    pretrain.pretrain(tmp_path / "made", recipe, progress=False)
    factor = json.loads((tmp_path / "made" / "tokenizer_config.json").read_text())["length_factor"]
    assert factor > 3  # nearly every token is a byte
    models.save(*models.load(tmp_path / "made"), tmp_path / "again")
    for folder in ("made", "again"):
        space = make_vec_env("textgym/Copy-v0", 1, model=tmp_path / folder).observation_space
        assert (space.max_prompt_tokens, space.max_new_tokens) == (math.ceil(24 * factor), math.ceil(16 * factor))
    given = make_vec_env("textgym/Copy-v0", 1, model=tmp_path / "made", env_kwargs={"max_new_tokens": 7})
    assert given.observation_space.max_new_tokens == 7


@pytest.mark.parametrize("factor", ["2", 0.5, True, None, float("inf")])
def test_a_factor_that_makes_no_sense_is_named(factor):
    tokenizer = SimpleNamespace(init_kwargs={"length_factor": factor})
    with pytest.raises(TokenizerError, match=r"length_factor in tokenizer_config.json is .*expected a number"):
        length_factor(tokenizer)
