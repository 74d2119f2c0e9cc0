"""Degenerate texts earn little from the default rewards of the newest ids, and the first ids are what they were."""

import json

import gymnasium
import pytest

from textgym import registration
from textgym.core import Sample
from textgym.errors import ConfigError
from textgym.rewards import Fluency
from textgym.scoring import score_samples
from textgym.tasks import TASKS
from textgym.tasks.degenerate import degenerate_texts
from textgym.tokenizer import builtin_tokenizer

PROMPTS = 6
MOST = 0.7  # of what a reference earns


def test_the_list_is_long():
    assert len(degenerate_texts([TASKS["Copy"]("validation")[i] for i in range(2)])) >= 40


@pytest.mark.parametrize("name", TASKS)
def test_no_degenerate_text_comes_near_a_reference(name):
    """At most 70 % of the last reference's mean, scored against the others where there are any."""
    task = TASKS[name]("validation")
    reward, tokenizer = registration.default_reward(registration.env_id(name)), builtin_tokenizer()
    prompts = [task[i] for i in range(PROMPTS)]

    def mean(completions, references):
        samples = []
        for prompt, completion, known in zip(prompts, completions, references, strict=True):
            ids = tokenizer.encode(completion)[: task.max_new_tokens]
            finish = "eos" if len(ids) < task.max_new_tokens else "length"
            samples.append(Sample(prompt.text, tokenizer.decode(ids), known, tuple(ids), finish, prompt.metadata))
        return sum(score.value for score in score_samples(reward, samples)) / len(samples)

    held_out = mean(
        [f" {prompt.references[-1]}" for prompt in prompts],
        [prompt.references[:-1] or prompt.references for prompt in prompts],
    )
    known = [prompt.references for prompt in prompts]
    shares = {text: mean(completions, known) / held_out for text, completions in degenerate_texts(prompts).items()}
    assert not {text: share for text, share in shares.items() if share > MOST}


def test_references_of_reviews_are_fluent():
    task = TASKS["SentimentContinuation"]("validation")
    samples = [Sample(task[i].text, f" {task[i].references[0]}") for i in range(40)]
    assert sum(Fluency()(samples)) / 40 > 0.93


def test_the_first_version_is_what_it_was():
    was = {"Copy": "ChrF()", "SentimentContinuation": "Sentiment()", "Summarization": "ROUGE('L')"}
    assert {name for name, task in TASKS.items() if task.guarded_reward} == {*was}
    for name, reward in was.items():
        assert repr(registration.default_reward(f"textgym/{name}-v0")) == reward
        assert registration.task_of(f"textgym/{name}-v1") is registration.task_of(f"textgym/{name}-v0")


def test_the_second_version_is_made_in_every_form():
    env = gymnasium.make("textgym/Copy-v1", max_new_tokens=5)
    assert repr(env.unwrapped.reward) == "BLEU()"
    assert json.loads(env.spec.to_json())["kwargs"] == {"task_name": "Copy", "version": 1, "max_new_tokens": 5}
    assert repr(gymnasium.make(env.spec).unwrapped.reward) == "BLEU()"
    assert repr(gymnasium.make_vec("textgym/Copy-v1", num_envs=2).unwrapped.reward) == "BLEU()"
    assert repr(gymnasium.make("textgym/Copy-v1", reward="chrf").unwrapped.reward) == "ChrF()"


def test_a_model_of_the_small_world_alone_scores_no_dataset(tmp_path):
    path = tmp_path / "reviews.jsonl"
    path.write_text('{"text": "We ate at a place in town and it was good.", "label": 1}\n')
    make = {"id": "textgym/SentimentContinuation-v1", "dataset": str(path)}
    with pytest.raises(ConfigError, match=r"suits the small world's prompts alone.*pass a reward"):
        gymnasium.make(**make)
    assert repr(gymnasium.make(**make, reward="sentiment*no_repeats").unwrapped.reward) == "Sentiment() * NoRepeats()"
    path.write_text('{"concepts": ["dog", "run"], "target": "The dog ran."}\n')
    make["id"] = "textgym/ConceptsToSentence-v0"
    with pytest.raises(ConfigError, match=r"suits the small world's prompts alone.*reward='concepts\*no_repeats'"):
        gymnasium.make(**make)
    assert repr(gymnasium.make(**make, reward="concepts").unwrapped.reward) == "ConceptCoverage()"
