"""Several criteria and any scale, from Python, presets and TOML; by a backend that replies, and by LocalBackend."""

import pytest
import torch

from tests.rewards.judge.test_llm_judge import random_gpt2, sample, tiny_tokenizer
from textgym.errors import ConfigError, TokenizerError
from textgym.rewards.judge import Criterion, LLMJudge, LocalBackend, Rubric, load_rubric, parse_rubric, preset_rubric
from textgym.rewards.judge.backends.local import by_criterion
from textgym.rewards.judge.presets import PRESETS

TWO = Rubric((Criterion("Is it kind?", "kindness", weight=3), Criterion("Is it short?", "brevity")))


def test_two_criteria_cost_one_call():
    chats = []

    def backend(chat):
        chats.append(chat)
        return f"Fine.\nScore {chat.code} kindness: 5\nScore {chat.code} brevity: 1"

    judge = LLMJudge(TWO, backend)
    (score,) = judge([sample("You are dear to me, and so on.")])
    assert judge.calls == len(chats) == 1
    assert score.value == (3 * 1.0 + 1 * 0.0) / 4  # the sum of w f over the sum of w
    assert score.components["judge_kindness"] == 5
    assert score.components["judge_brevity"] == 1
    assert "kindness: Is it kind?\nbrevity: Is it short?" in chats[0][0]["content"]


@pytest.mark.parametrize(("lowest", "highest", "reply", "value"), [(0, 10, "7", 0.7), (1, 3, "2", 0.5), (0, 1, "1", 1)])
def test_any_scale(lowest, highest, reply, value):
    rubric = Rubric((Criterion("Is it kind?"),), lowest, highest)
    judge = LLMJudge(rubric, lambda chat: f"Score {chat.code}: {reply}")
    assert judge([sample("Dear.")])[0].value == value
    assert f"from {lowest} (does not meet the criteria) to {highest} (" in judge.messages(sample("Dear."))[0]["content"]


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("template", [None, "{% for m in messages %}{{ m.content }}\n{% endfor %}"])
def test_local_backend_scores_each_criterion_exactly_on_what_they_share(template, batch_size):
    """The expected values equal those of whole passes of single rows, without padding and without a cache."""
    tokenizer = tiny_tokenizer(template)
    model = random_gpt2(tokenizer)
    rubric = Rubric((*TWO.criteria, Criterion("Is it true, or at least plausible?", "truth")), 2, 5)
    judge = LLMJudge(rubric, LocalBackend(model, tokenizer, batch_size=batch_size))
    samples = [sample("word " * n) for n in (30, 1, 12)]
    for text, score in zip(samples, judge(samples), strict=True):
        expected, masses = [], []
        for chat in by_criterion(judge.messages(text)):
            with torch.no_grad():
                p = model(torch.tensor([judge.backend.encode(chat)])).logits[0, -1].double().softmax(-1)
            digits = [sum(p[tokenizer.convert_tokens_to_ids(form)].item() for form in (d, "Ġ" + d)) for d in "2345"]
            masses.append(sum(digits))
            expected.append(sum(d * q for d, q in enumerate(digits, 2)) / sum(digits))
        assert [score.components[f"judge_{name}"] for name in rubric.names] == pytest.approx(expected, abs=1e-4)
        assert score.components["judge_score"] == pytest.approx((3 * expected[0] + expected[1] + expected[2]) / 5)
        assert score.components["judge_label_mass"] == pytest.approx(min(masses), rel=1e-3)
    assert judge.calls == 3
    assert len({score.components["judge_brevity"] for score in judge(samples)}) == 3  # the texts reach the model


def test_local_backend_computes_the_shared_beginning_once():
    tokenizer = tiny_tokenizer()
    model = random_gpt2(tokenizer)
    seen = []
    model.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    judge = LLMJudge(TWO, LocalBackend(model, tokenizer))
    judge([sample("a"), sample("b")])
    (rows, tokens), (more_rows, few) = seen
    assert (rows, more_rows) == (2, 4)
    assert few < tokens / 10


def test_local_backend_refuses_a_scale_that_is_not_single_tokens():
    tokenizer = tiny_tokenizer()
    backend = LocalBackend(random_gpt2(tokenizer), tokenizer)
    with pytest.raises(TokenizerError, match=r"no single token for 10.* a scale within 0 to 9"):
        LLMJudge(Rubric((Criterion("Is it kind?"),), 0, 10), backend)([sample("a")])
    judge = LLMJudge(Rubric((Criterion("Is it kind?"),), 0, 9), backend)
    assert 0 < judge([sample("a")])[0].value < 1
    assert judge.messages(sample("a"))[1]["content"].endswith("Answer with one number from 0 to 9 and nothing else.")


def test_presets():
    rubric = preset_rubric(*PRESETS, lowest=0, highest=4)
    assert rubric.names == tuple(PRESETS)
    assert all(list(criterion.levels) == [0, 2, 4] for criterion in rubric.criteria)
    assert list(preset_rubric("fluency", lowest=0, highest=3).criteria[0].levels) == [0, 3]  # no whole middle
    with pytest.raises(ConfigError, match=r"called 'fluentcy'. Did you mean 'fluency'"):
        preset_rubric("fluentcy")
    with pytest.raises(ConfigError, match="0 criteria"):
        preset_rubric()


def test_rubric_from_a_file(tmp_path):
    path = tmp_path / "rubric.toml"
    path.write_text(
        'scale = [0, 10]\n[criteria.facts]\ntext = "All facts?"\nweight = 2\nlevels.0 = "none"\nlevels.10 = "all"\n'
        '[criteria.fluency]\n[criteria.brevity]\npreset = "conciseness"\nweight = 0.5\nlevels = {10 = "six words"}\n'
    )
    rubric = load_rubric(path)
    assert (rubric.lowest, rubric.highest) == (0, 10)
    assert rubric.criteria[0] == Criterion("All facts?", "facts", 2, {0: "none", 10: "all"})
    assert rubric.criteria[1] == preset_rubric("fluency", lowest=0, highest=10).criteria[0]
    text = preset_rubric("conciseness").criteria[0].text
    assert rubric.criteria[2] == Criterion(text, "brevity", 0.5, {10: "six words"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scale = ", "no TOML"),
        ("scale = [1, 5]", "no criteria"),
        ("criteria = 3", "no criteria"),
        ("scale = 5\n[criteria.fluency]", r"scale is 5, expected two whole numbers"),
        ("scale = [5, 1]\n[criteria.fluency]", "scale 5 to 1"),
        ("scala = [1, 5]\n[criteria.fluency]", "Did you mean 'scale'"),
        ("[criteria.fluency]\nwieght = 2", "Did you mean 'weight'"),
        ("[criteria.fluency]\nweight = '2'", "fluency.weight is '2'"),
        ("[criteria.fluency]\nweight = 0", "has weight 0"),
        ("[criteria.fluency]\nlevels.best = 'x'", "levels has 'best'"),
        ("[criteria.fluency]\nlevels = 3", "levels is 3"),
        ("[criteria.fluency]\nlevels.6 = 'x'", "has level 6, the scale is 1 to 5"),
        ("[criteria.fluency]\ntext = 'x'\npreset = 'fluency'", "both text and preset"),
        ("[criteria.mine]\nweight = 2", "No criterion is called 'mine'"),
        ("[criteria.mine]\ntext = 3", "is 3. Expected words"),
        ("[criteria.Fluency]\ntext = 'x'", "lower-case letters"),
        ("[criteria.score]\ntext = 'x'", "score, gated, failed, label_mass are components of a judge"),
    ],
)
def test_a_wrong_rubric_says_what_is_wrong(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_rubric(text)


def test_a_wrong_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml can't be read"):
        load_rubric(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("[criteria.fluency]\nweight = 0")
    with pytest.raises(ConfigError, match=r"bad\.toml: The criterion 'fluency' has weight 0"):
        load_rubric(tmp_path / "bad.toml")
