"""The gallery is up to date: cards show what the tasks are now, and every task has a page."""

import dataclasses
import json

import pytest

from docs.generator import gallery, pages
from textgym.registration import built_in_tasks, default_reward, env_id
from textgym.tasks import CONVERSATIONS, OPT_IN, TASKS
from textgym_agents.evaluation import task_card
from textgym_agents.evaluation.task_card import asks_a_model, cards_of, variants_of

FAMILIES = [*TASKS, *OPT_IN]


@pytest.mark.parametrize("name", FAMILIES)
def test_cards_are_up_to_date(name: str) -> None:
    """Runs no model: rewards of one are compared by those who measure. Programs are not run either."""
    again = f"python -m docs.generator.gallery measure {name}"
    cards = cards_of(name)
    assert [dict(card.arguments) for card in cards] in ([], variants_of(name)), again
    for card in cards:
        reward = default_reward(env_id(name))
        assert (card.id, card.reward) == (env_id(name), repr(reward)), again
        runs_programs = bool(getattr(built_in_tasks()[name], "opt_in", ""))
        scored = not asks_a_model(reward) and not runs_programs
        prompts, completions = task_card.examples_of(name, card.arguments, scored=scored)
        for prompt, now, example in zip(prompts, completions, card.examples, strict=True):
            assert (example.prompt, tuple(example.references)) == (prompt.text, tuple(prompt.references)), again
            for kind, (text, value) in now.items():
                assert example.completions[kind][0] == text, again
                assert not scored or example.completions[kind][1] == pytest.approx(value, abs=1e-4), again


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_has_its_page(name: str) -> None:
    page = pages.generated()[f"gallery/{name}.md"]
    for heading in ("Prompts", "Blind spots", "Learning curve"):
        assert f"## {heading}" in page
    for card in cards_of(name):
        assert gallery.blind_spots(built_in_tasks()[name]), f"say under ## Blind Spots what {name}'s reward doesn't see"
        assert card.fixed["references"] >= max(card.fixed.values())
        assert f"{card.fixed['shuffled']:.3f}" in page


def test_a_task_that_is_not_measured_has_a_page(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr(task_card, "CARDS", tmp_path)
    monkeypatch.setattr(gallery, "CURVES", tmp_path)
    page = gallery.page("Copy")
    assert page.count(gallery.NOT_MEASURED) == 2
    assert "docs.generator.gallery measure Copy" in page
    assert "| [Copy](Copy.md) | Repeat a few words. |  |  |" in gallery.index()


def test_a_card_without_a_model_keeps_what_is_known_of_one() -> None:
    (card,) = cards_of("Copy")
    examples = [
        dataclasses.replace(
            one, completions={kind: one.completions[kind] for kind in ("reference", "shuffled", "empty")}
        )
        for one in card.examples
    ]
    bare = dataclasses.replace(card, model="", model_hash=None, decoding={}, examples=examples)
    assert task_card.with_model_of(bare, [card]) == card
    for other in ([], [dataclasses.replace(card, reward="ChrF()")], [dataclasses.replace(card, examples=[])]):
        assert task_card.with_model_of(bare, other) == bare


def test_a_card_is_read_as_it_was_kept(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    (card,) = cards_of("Copy")
    monkeypatch.setattr(task_card, "CARDS", tmp_path / "tasks")
    task_card.store([card, dataclasses.replace(card, arguments={"language": "zh"}, model="", decoding={})])
    again = cards_of("Copy")
    assert again[0] == card
    text = gallery.page("Copy")
    assert '## Prompts, `language="zh"`' in text
    assert "A model is not measured yet." in text


@pytest.mark.parametrize("name", [*CONVERSATIONS, "CustomerService"])
def test_every_conversation_has_a_dialogue(name: str) -> None:
    page = pages.generated()[f"gallery/{name}.md"]
    assert "[reward " in page.partition("## A dialogue")[2]
    assert (len(gallery.returns(name)) > 1) == (name in CONVERSATIONS)


def test_curves_are_kept_and_drawn(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr(gallery, "CURVES", tmp_path / "curves")
    command = "textgym benchmark --algos ppo --tasks Copy --timesteps Copy=200 --seeds 1 --eval-prompts 9"
    run = {"task": "textgym/Copy-v1", "algo": "ppo", "model": "textgym/small", "timesteps": 208, "command": command}
    run |= {"eval_prompts": 9, "evaluations": {"before": {"summary": {"reward": 0.4}}}}
    curve = {"timesteps": [100, 200], "reward": [0.5, 0.7]}
    lines = [{**run, "seed": seed, "curve": curve} for seed in (0, 1)] + [{**run, "task": "text/X-v0", "curve": curve}]
    lines += [{**run, "algo": "zero_shot", "curve": {"timesteps": [], "reward": []}}]
    (tmp_path / "results.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert gallery.keep_curves(tmp_path / "results.jsonl") == [tmp_path / "curves" / "Copy.json"]
    page = gallery.page("Copy")
    assert '<svg class="plot"' in page
    assert "the mean of 2 seeds" in page
    assert (
        "textgym benchmark --algos ppo --tasks Copy --timesteps Copy=200 --seeds 2 --eval-prompts 9 --out runs/curve"
        in page
    )
