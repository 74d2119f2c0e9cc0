"""Stories and poems: references in the environment, what breaks a reward, and datasets."""

import sys
from itertools import pairwise
from pathlib import Path

import datasets
import gymnasium
import numpy as np
import pytest

from textgym.core import Sample
from textgym.errors import ConfigError, DatasetError
from textgym.rewards import parse_reward
from textgym.scoring import score_samples
from textgym.tasks import TASKS, Story, Verse

TANG = Path(__file__).parents[3] / "shared" / "data" / "tang_quatrains"


def mean_reward(id, number=6, **arguments):
    """The mean return of first references, a token a step."""
    env = gymnasium.make(id, split="test", **arguments).unwrapped
    returns = []
    for index in range(number):
        env.reset(options={"prompt_id": index})
        total, over = 0.0, False
        tokens = iter(env.encode_completion(f" {env.task[index].references[0]}"))
        while not over:
            _, reward, terminated, truncated, info = env.step(next(tokens))
            total, over = total + float(reward), terminated or truncated
        assert info["finish_reason"] == "eos"
        returns.append(total)
    return np.mean(returns)


@pytest.mark.parametrize("poem", Verse.variants["poem"])
def test_references_of_verse_get_the_most_without_the_dictionaries(poem, monkeypatch):
    for module in ("pronouncing", "pypinyin"):
        monkeypatch.setitem(sys.modules, module, None)
    assert mean_reward("textgym/Verse-v0", poem=poem) == pytest.approx(1)


def test_references_of_stories_get_the_most():
    assert mean_reward("textgym/Story-v0") > 0.9


def score(prompt, completion, reward):
    sample = Sample(prompt.text, completion, prompt.references, (), "eos", prompt.metadata)
    return score_samples(parse_reward(reward), [sample])[0].value


def test_a_story_out_of_order_cut_or_strung_together_gets_less():
    prompt = Story("test")[1]
    story = prompt.references[0]
    sentences = story.split(". ")
    assert score(prompt, f" {story}", Story.default_reward) > 0.9
    events = " ".join(f"{' '.join(event)}." for event in prompt.metadata["events"])
    for worse, most in (
        (". ".join(sentences[::-1]), 0.3),
        (sentences[0], 0.2),
        (f"{story} {story} {story}", 0.6),
        (events, 0.05),
        (Story("test")[2].references[0], 0.5),
    ):
        assert score(prompt, f" {worse}", Story.default_reward) < most, worse


def test_a_poem_without_rhyme_meter_theme_or_sense_gets_less():
    prompt = Verse("test", poem="quatrain")[0]
    poem = prompt.references[0]
    lines = poem.split("\n")
    assert score(prompt, f" {poem}", Verse.default_reward) == 1
    for worse, most in (
        (poem.replace("\n", " "), 0.5),
        ("\n".join([lines[0], lines[2], lines[3], lines[1]]), 0.8),
        ("\n".join(lines[:2]), 0.8),
        ("\n".join(" ".join(line.split()[::-1]) for line in lines), 0.3),
        (Verse("test", poem="quatrain")[1].references[0], 0.5),
        (f"{', '.join(prompt.metadata['keywords'])}", 0.2),
    ):
        assert score(prompt, f" {worse}", Verse.default_reward) < most, worse


def test_forms_tell_their_prompts_apart():
    assert Verse(poem="couplet")[0].text.endswith("\nForm: couplet\nVerse:")
    quatrains = [Verse(poem="quatrain")[index] for index in range(60)]
    asked = {(prompt.metadata["rhyme_scheme"], prompt.metadata["meter"]) for prompt in quatrains}
    assert asked == {(scheme, meter) for scheme in ("AABB", "ABAB") for meter in ("iambic tetrameter", "common")}
    for prompt in quatrains:
        said = prompt.text.split("\n")[1]
        assert prompt.metadata["rhyme_scheme"] in said
        assert prompt.metadata["meter"] in said
    assert Verse(poem="jueju")[0].text.startswith("主题：")
    assert Verse(poem="jueju")[0].text.endswith("\n体裁：五言绝句\n诗：")


def test_stories_of_a_dataset():
    rows = [
        {"prompt": "A lost key", "story": "Mia lost her key. Leo found it.", "events": ["Mia key", "Leo find"]},
        {"prompt": "A lost key", "story": "Leo found Mia's key.", "events": ["Mia key", "Leo find"]},
    ]
    task = Story(dataset=datasets.Dataset.from_list(rows))
    assert len(task) == 1
    assert task[0].text == "Plot: A lost key\nStory:"
    assert len(task[0].references) == 2
    assert task[0].metadata == {"events": (("Mia", "key"), ("Leo", "find"))}
    assert score(task[0], f" {rows[0]['story']}", "events") == 1
    without = [{key: row[key] for key in ("prompt", "story")} for row in rows]
    assert Story(dataset=datasets.Dataset.from_list(without))[0].metadata == {}
    with pytest.raises(ConfigError, match=r"suits the small world's prompts alone.*reward='rougeL\*no_repeats'"):
        gymnasium.make("textgym/Story-v0", dataset=datasets.Dataset.from_list(without))
    for wrong in ("Mia key", [" "], ["Mia", ""]):
        with pytest.raises(DatasetError, match=r"has the events .* expected a list of texts"):
            Story(dataset=datasets.Dataset.from_list([{**rows[0], "events": wrong}]))


def test_poems_of_a_dataset_have_the_form_that_is_named():
    rows = [{"title": "Rain", "text": "The rain came down\nall over town."}]
    loaded = datasets.Dataset.from_list(rows)
    task = Verse(dataset=loaded)
    assert task[0].text == "Theme: Rain\nForm: couplet\nVerse:"
    assert task[0].metadata == {"rhyme_scheme": "AA", "lines": 2}
    assert Verse(dataset=loaded, poem="quatrain")[0].text == "Theme: Rain\nForm: quatrain\nVerse:"
    assert Verse(dataset=loaded, poem="jueju")[0].text == "主题：Rain\n诗："
    assert score(task[0], rows[0]["text"], "rhyme") == 1
    with pytest.raises(ConfigError, match=r"suits the small world's prompts alone.*0.5\*meter"):
        gymnasium.make("textgym/Verse-v0", dataset=loaded)


@pytest.mark.skipif(not TANG.is_dir(), reason="without ../shared/data")
def test_tang_quatrains_score_well_by_the_rules_that_datasets_get():
    env = gymnasium.make(
        "textgym/Verse-v0", dataset=str(TANG), split="test", poem="jueju", reward=TASKS["Verse"].needs_world
    ).unwrapped
    prompts = [env.task[index] for index in range(100)]
    assert all(prompt.text.startswith("主题：") and prompt.text.endswith("诗：") for prompt in prompts)
    assert all(len(env.encode_completion(f" {prompt.references[0]}")) <= 104 for prompt in prompts)
    scores = [score(prompt, f" {prompt.references[0]}", TASKS["Verse"].needs_world) for prompt in prompts]
    others = [score(a, f" {b.references[0][::-1]}", TASKS["Verse"].needs_world) for a, b in pairwise(prompts)]
    assert np.mean(scores) > 0.85
    assert np.mean(others) < np.mean(scores) - 0.1
