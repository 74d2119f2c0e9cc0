"""The built-in classifier of reviews: its labels, what it says of degenerate texts, and how it is made."""

import json
from itertools import islice

from typer.testing import CliRunner

from textgym.core import Sample
from textgym.rewards import ClassifierReward
from textgym.tasks import SentimentContinuation
from textgym.tokenizer import BUILTIN_SENTIMENT, builtin_folder
from textgym_agents.cli.app import app
from textgym_agents.pretraining.classifier import measure
from textgym_agents.pretraining.review_labels import LABELS, NEGATIVE, NEITHER, POSITIVE, labeled


def test_it_tells_happy_from_unhappy_and_pays_little_for_what_is_neither():
    found = measure(builtin_folder(BUILTIN_SENTIMENT), num_prompts=20)
    assert found["accuracy"] > 0.95
    assert found["happy"] > 0.85
    assert found["unhappy"] < 0.05
    assert found["mean degenerate"] < 0.15
    assert max(value for name, value in found.items() if name.startswith("worst")) < found["happy"] - 0.1


def test_it_is_small_and_reads_a_text_with_its_prompt():
    size = sum(path.stat().st_size for path in builtin_folder(BUILTIN_SENTIMENT).iterdir())
    assert size < 1_000_000
    gold = ClassifierReward(BUILTIN_SENTIMENT, "POSITIVE", text="full")
    soup, book = ("Review: We ate at The Red Fox on Friday. The street was loud. The soup",
                  "Review: I read the book The Old Oak in two days. It has ten chapters. The story")  # fmt: skip
    fresh, clever = " was fresh and delicious, and we will come back soon.", " was beautiful and clever, and I love it."
    for own, other, prompt in ((fresh, clever, soup), (clever, fresh, book)):
        fits, misses = gold([Sample(prompt, own), Sample(prompt, other)])
        assert fits > 0.8
        assert misses < fits - 0.2


def test_a_third_of_the_texts_has_each_label_and_none_is_two():
    texts = [*islice(labeled("validation"), 300)]
    assert [one.label for one in texts[:6]] == [POSITIVE, NEGATIVE, NEITHER] * 2
    happy = {(one.prompt, one.completion) for one in texts if one.label != NEITHER}
    assert not happy & {(one.prompt, one.completion) for one in texts if one.label == NEITHER}
    task = SentimentContinuation("validation")
    assert {one.prompt for one in texts} <= {task[i].text for i in range(len(task))}
    assert [*islice(labeled("validation"), 300)] == texts
    assert [*islice(labeled("train"), 3)] != texts[:3]


def test_the_command_makes_one(tmp_path):
    folder = tmp_path / "judge"
    small = ["--steps", "2", "--hidden-size", "8", "--layers", "1", "--eval-prompts", "2"]
    done = CliRunner().invoke(app, ["pretrain", "--model", BUILTIN_SENTIMENT, "--out", str(folder), *small])
    assert done.exit_code == 0, done.output
    assert ClassifierReward(folder, "neither").load_model().config.id2label == dict(enumerate(LABELS))
    assert json.loads((folder / "pretrain.json").read_text())["recipe"]["hidden_size"] == 8
    assert "accuracy" in (folder / "README.md").read_text()
    done = CliRunner().invoke(
        app, ["pretrain", "--model", BUILTIN_SENTIMENT, "--out", str(folder), "--vocabulary", "300"]
    )
    assert done.exit_code == 1
    assert "--vocabulary" in done.output
