"""What the built-in models are taught, and that there is room for it in their tokens."""

import itertools
import json
import math
from dataclasses import asdict, replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import tokenizers
import torch

from textgym.core import Turn
from textgym.errors import ConfigError, TokenizerError
from textgym.tasks import CONVERSATIONS, TASKS, WorldTask
from textgym.tokenizer import builtin_folder, builtin_tokenizer, length_factor
from textgym.world import Rendered
from textgym_agents import make_vec_env, models
from textgym_agents.buffers.logged_turns import play_turns
from textgym_agents.models.random_weights import random_model
from textgym_agents.pretraining import lessons, pretrain
from textgym_agents.pretraining.recipes import RECIPES, Recipe
from textgym_agents.pretraining.unfinished import Unfinished


class Shout(WorldTask):
    name = "Shout"
    max_prompt_tokens, max_new_tokens, metrics, default_reward = 16, 8, ("exact_match",), "exact_match"
    template, columns = "Word: {prompt} Shout:", {"prompt": "text"}

    @staticmethod
    def grammar(draw, /):
        word = "".join(draw.pick("abcdefgh") for _ in range(8))
        return Rendered(word, (word.upper(),))


def test_the_first_models_are_taught_the_five_tasks_that_they_were_published_with():
    for name in ("textgym/small", "textgym/tiny", "textgym/small-seq2seq"):
        assert RECIPES[name].weights == {
            "DataToText": 0.15,
            "Summarization": 0.17,
            "Translation": 0.36,
            "SentimentContinuation": 0.12,
            "Copy": 0.20,
        }


@pytest.mark.parametrize("name", ["textgym/medium", "textgym/medium-seq2seq"])
def test_the_later_models_are_taught_every_task_and_conversation(name):
    for phase in pretrain._phases(RECIPES[name]):
        shares = lessons.shares(phase.weights)
        assert list(shares) == [*TASKS, *CONVERSATIONS]
        assert sum(shares.values()) == pytest.approx(1)
        assert shares["Translation"] > shares["DataToText"] == shares["Recall"]


def test_further_phases_go_on_with_the_model_and_other_texts():
    recipe = Recipe(steps=2, then=({"steps": 3, "weights": {"Shop": 1}, "skills": (1.0,)}, {"steps": 4}))
    first, second, third = pretrain._phases(recipe)
    assert first == recipe
    assert (second.steps, second.weights, second.skills, second.then) == (3, {"Shop": 1}, (1.0,), ())
    assert (third.steps, third.weights, third.skills, third.then) == (4, recipe.weights, recipe.skills, ())
    assert len({first.seed, second.seed, third.seed}) == 3
    assert second.batch_tokens == third.batch_tokens == first.batch_tokens


def test_a_new_task_is_taught_without_a_weight_of_its_own(monkeypatch):
    monkeypatch.setitem(TASKS, "Shout", Shout)
    assert lessons.shares()["Shout"] == lessons.shares()["DataToText"]
    tokenizer = tokenizers.Tokenizer.from_file(str(builtin_folder() / "tokenizer.json"))
    recipe = Recipe(batch_tokens=64, weights={"Copy": 1, "Shout": 1})
    prompts = [
        tokenizer.decode(row.prompt)
        for rows in itertools.islice(pretrain.batches(tokenizer, recipe), 9)
        for row in rows
    ]
    assert any(prompt.startswith("Word: ") for prompt in prompts)
    assert any(prompt.startswith("Words: ") for prompt in prompts)


@pytest.mark.parametrize("weights", [{"Copie": 1}, {"Copy": 0}, {"Copy": True}, {"Copy": float("inf")}])
def test_weights_that_make_no_sense_are_named(weights):
    with pytest.raises(ConfigError, match=r"No task is called 'Copie'|The weight of Copy is"):
        lessons.shares(weights)


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_dialogue_has_the_tokens_that_its_environment_would_have(name):
    model = CONVERSATIONS[name].default_model
    rules, end = make_vec_env(f"textgym/{name}", 1).env.unwrapped.mdp.rules, builtin_tokenizer(model).eos_token_id
    before, after = CONVERSATIONS[name].turn_template
    raw = tokenizers.Tokenizer.from_file(str(builtin_folder(model) / "tokenizer.json"))
    for lesson in itertools.islice(lessons.lessons(name), 5):
        row = pretrain._row(raw, lesson, end)
        turns = [
            Turn("policy", piece.text)
            if piece.written
            else Turn("partner", piece.text.removeprefix(before).removesuffix(after))
            for piece in lesson[1:]
        ]
        played = play_turns(turns, rules, lesson[0].text, 0.0, "a lesson")
        whole = list(played.actions)
        for insertion in reversed(played.inserted):
            whole[insertion.after : insertion.after] = insertion.tokens.tolist()
        assert row.rest == whole
        assert [token for token, own in zip(row.rest, row.written, strict=True) if own] == played.actions
        assert row.written[-1]


def test_players_of_all_skills_are_met():
    returns = {
        skill: [
            sum(turn.get("reward", 0) for turn in one["turns"])
            for one in CONVERSATIONS["Recall"](seed=1).dialogues(300, skill=skill, seed=1)
        ]
        for skill in lessons.SKILLS
    }
    assert np.mean(returns[max(lessons.SKILLS)]) > np.mean(returns[min(lessons.SKILLS)]) + 0.1
    best = CONVERSATIONS["Recall"](seed=1)
    alone = itertools.islice(lessons.lessons("Recall", 1, skills=(1.0,)), 20)
    played = {
        tuple(turn["text"] for turn in one["turns"] if turn["speaker"] == "policy")
        for one in best.dialogues(300, skill=1.0, seed=1)
    }
    assert {tuple(piece.text for piece in lesson[1:] if piece.written) for lesson in alone} <= played


def test_what_a_model_writes_and_what_it_reads_have_losses_of_their_own():
    raw = tokenizers.Tokenizer.from_file(str(builtin_folder() / "tokenizer.json"))
    model = random_model("gpt2", raw.get_vocab_size(), 8, 1, 1, seed=0, eos_token_id=1, pad_token_id=0)
    rows = [
        pretrain.Row([5, 6], [7, 1, 8, 9, 1], [True, True, False, False, True]),
        pretrain.Row([5], [6, 1], [True] * 2),
    ]
    written, read = pretrain._causal_losses(model, rows, True)
    each = []
    for row in rows:
        ids = torch.tensor([[*row.prompt, *row.rest]])
        logs = model(input_ids=ids).logits[0, :-1].log_softmax(-1).gather(1, ids[0, 1:, None])[:, 0]
        own = torch.tensor([*[False] * len(row.prompt), *row.written])[1:]
        each.append((-logs[own], -logs[~own]))
    for loss, values in zip((written, read), zip(*each, strict=True), strict=True):
        assert loss.item() == pytest.approx(torch.cat(values).mean().item(), abs=1e-5)


def test_a_tokenizer_of_few_tokens_multiplies_the_limits_of_tasks():
    small, tiny = (
        tokenizers.Tokenizer.from_file(str(builtin_folder(name) / "tokenizer.json"))
        for name in ("textgym/small", "textgym/tiny")
    )
    taught = {"weights": lessons.FIRST_SHARES, "variants": False}
    assert pretrain.length_factor(small, **taught) == length_factor(builtin_tokenizer("textgym/small")) == 1
    assert pretrain.length_factor(tiny, **taught) == length_factor(builtin_tokenizer("textgym/tiny")) == 3


def test_the_factor_is_written_beside_a_new_tokenizer_and_stays_with_saved_models(tmp_path, monkeypatch):
    monkeypatch.setattr(pretrain, "train_tokenizer", partial(pretrain.train_tokenizer, texts_per_task=20))
    recipe = Recipe(steps=1, batch_tokens=64, vocabulary=260, hidden_size=8, layers=1, heads=1)
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


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_both_optimizers_lower_the_loss_of_tasks_that_share_a_step(optimizer, tmp_path):
    raw = tokenizers.Tokenizer.from_file(str(builtin_folder() / "tokenizer.json"))
    recipe = Recipe(
        steps=30,
        batch_tokens=256,
        tasks_per_step=2,
        optimizer=optimizer,
        weights={"Copy": 1, "Recall": 1},
        hidden_size=16,
    )
    model = pretrain._new_model(raw, recipe, 1.0)
    before = [weight.clone() for weight in model.parameters()]
    unfinished = Unfinished(tmp_path, asdict(recipe))
    pretrain._train(model, pretrain.batches(raw, recipe), recipe, False, unfinished, 0)
    (losses,) = unfinished.losses
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.5
    assert not any(torch.equal(*pair) for pair in zip(before, model.parameters(), strict=True))


@pytest.mark.parametrize("kind", ["causal", "seq2seq"])
def test_a_pretraining_that_was_ended_early_goes_on_to_the_same_model(kind, tmp_path, monkeypatch, capfd):
    recipe = Recipe(
        kind=kind,
        steps=3,
        batch_tokens=64,
        optimizer="muon",
        prompt_weight=0.0,
        tokenizer="textgym/small",
        hidden_size=16,
        layers=1,
        heads=1,
        weights={"Copy": 1},
        then=({"steps": 4},),
    )
    monkeypatch.setattr(pretrain, "Unfinished", partial(Unfinished, every=2))
    whole = pretrain.pretrain(tmp_path / "whole", recipe)
    said = [line.rpartition(", ")[2] for line in capfd.readouterr().err.splitlines()]
    assert said == ["2 of 3 steps", "2 of 4 steps", "4 of 4 steps"]  # where there is no terminal
    assert not (tmp_path / "whole" / "unfinished.pt").exists()
    clip = torch.nn.utils.clip_grad_norm_
    for steps, losses in ((1, [0]), (2, [2]), (3, [3, 2])):  # the first ends before there is a file
        calls = itertools.count()

        def cut(*given, calls=calls, steps=steps):
            if next(calls) == steps:
                raise KeyboardInterrupt
            return clip(*given)

        monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", cut)
        with pytest.raises(KeyboardInterrupt):
            pretrain.pretrain(tmp_path / "parts", recipe, progress=False)
        monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", clip)
        kept = Unfinished(tmp_path / "parts", asdict(recipe)).losses
        assert [len(some) for some in kept] == losses
    with pytest.raises(ConfigError, match=r"was ended early, of other steps, seed\."):
        pretrain.pretrain(tmp_path / "parts", replace(recipe, seed=1, steps=9), progress=False)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "unfinished.pt").write_bytes((tmp_path / "parts" / "unfinished.pt").read_bytes()[:999])
    with pytest.raises(ConfigError, match=r"unfinished\.pt.*Delete it to begin anew\."):
        pretrain.pretrain(tmp_path / "broken", recipe, progress=False)
    result = pretrain.pretrain(tmp_path / "parts", recipe, progress=False)
    assert (result["steps"], result["loss"]) == (whole["steps"], whole["loss"])
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "parts")]
    assert files[0] == files[1]


def test_a_pretraining_is_finished_by_its_own_recipe_alone(tmp_path):
    recipe = Recipe(steps=1, batch_tokens=64, tokenizer="textgym/small", hidden_size=8, layers=1, heads=1)
    assert pretrain.finished(tmp_path, recipe) is None
    result = pretrain.pretrain(tmp_path, recipe, progress=False)
    assert pretrain.finished(tmp_path, recipe) == result
    assert pretrain.finished(tmp_path, replace(recipe, seed=1)) is None


def test_a_recipe_that_makes_no_sense_is_named():
    for given, message in (
        ({"optimizer": "sgd"}, "optimizer is 'sgd'"),
        ({"tasks_per_step": 0}, "tasks_per_step is 0"),
    ):
        with pytest.raises(ConfigError, match=message):
            Recipe(**given)
