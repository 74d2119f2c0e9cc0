"""Judges that compare: with a reference, within a group, in both orders; and what a text in a comparison can't do."""

import re

import pytest

from tests.rewards.judge.test_injection import PROBES
from tests.rewards.judge.test_llm_judge import ATTACKS, random_gpt2, tiny_tokenizer
from textgym.checker import check_reward
from textgym.core import Sample
from textgym.errors import ConfigError, JudgeError, RewardError
from textgym.rewards import BLEU
from textgym.rewards.judge import Criterion, JudgeReward, LLMJudge, LocalBackend, PairwiseJudge, RankingJudge, Rubric
from textgym.rewards.judge.agreement import krippendorff_alpha, mean_spearman, ranks
from textgym.rewards.judge.comparing import list_messages, pair_messages
from textgym.rewards.judge.text import neutralize
from textgym.scoring import score_samples

RUBRIC = Rubric(
    (Criterion("Is it lively?", "lively", weight=3), Criterion("Is it short?", "brevity", levels={1: "no"}))
)


def texts_of(chat):
    """What is between the markers, by letter."""
    found = re.findall(r"<<TEXT ([A-Z]) [0-9a-f]+>>\n(.*?)\n<<END TEXT", chat[1]["content"], flags=re.DOTALL)
    return dict(found)


class Marks:
    """A backend that likes exclamation marks, and the first place by ``bias``. It counts its chats."""

    def __init__(self, bias=0):
        self.bias, self.chats = bias, []

    def __call__(self, chat):
        self.chats.append(chat)
        marks = {letter: text.count("!") for letter, text in texts_of(chat).items()}
        if chat.rubric.names[0].startswith("text_"):
            scores = [min(5, 1 + marks[letter] + self.bias * (letter == "A")) for letter in marks]
        else:
            gap = marks["A"] - marks["B"] + self.bias
            scores = [1 if gap > 0 else 5 if gap < 0 else 3] * len(chat.rubric.names)
        lines = [f"Score {chat.code} {name}: {score}" for name, score in zip(chat.rubric.names, scores, strict=True)]
        return "\n".join(lines)


def group(*texts):
    return [Sample("Say hi:", text, prompt_id=4) for text in texts]


def test_a_pair_is_asked_in_both_orders_and_the_mean_counts():
    backend = Marks()
    judge = PairwiseJudge("Which is more lively?", backend)
    batch = [Sample("Hi:", text, ("Hello!",)) for text in (" Hi!!", " Hi.", " Hi!", " Hi!!")]
    assert [score.value for score in judge(batch)] == [1.0, 0.0, 0.5, 1.0]
    assert len(backend.chats) == 6  # three different texts, two orders each
    assert [texts_of(chat) for chat in backend.chats[:2]] == [
        {"A": " Hi!!", "B": "Hello!"},
        {"A": "Hello!", "B": " Hi!!"},
    ]
    (biased,) = PairwiseJudge("Which is more lively?", Marks(bias=1))(batch[2:3])
    assert biased.value == 0.5  # the place decided both times, so neither counts
    assert biased.components == {"judge_first": 1.0, "judge_second": 0.0, "judge_consistent": 0.0}


def test_a_pair_by_several_criteria_costs_the_same_and_is_weighed():
    def backend(chat):
        return f"Score {chat.code} lively: 1\nScore {chat.code} brevity: 5"  # A is livelier, B shorter

    judge = PairwiseJudge(RUBRIC, backend)
    (score,) = judge([Sample("", "a", ("b",))])
    assert score.components["judge_first"] == 0.75
    assert score.components["judge_second"] == 0.25
    assert judge.comparisons.judge.calls == 2
    assert "no" not in pair_messages(RUBRIC, "a", "b")[0]["content"].split("\n\n")[0]  # levels are of single texts


def test_what_is_obvious_is_not_asked():
    backend = Marks()
    judge = PairwiseJudge("Which is more lively?", backend)
    batch = [Sample("", text, (reference,)) for text, reference in (("x", "x"), (" ", "x"), ("x", ""), ("", "\u200b"))]
    assert [score.value for score in judge(batch)] == [0.5, 0.0, 1.0, 0.5]
    assert not backend.chats
    with pytest.raises(RewardError, match="has no references"):
        judge([Sample("", "x")])


def test_a_ranking_becomes_rewards():
    judge = RankingJudge("Which is more lively?", Marks())
    scores = judge(group("a!", "b!!!", "c", "d!"))
    assert [score.value for score in scores] == [0.5, 1.0, 0.0, 0.5]
    assert [score.components["judge_preference"] for score in scores] == [0.5, 1.0, 0.0, 0.5]
    assert judge.comparisons.judge.calls == 12
    assert all(score.components["judge_consistent"] == 1 for score in scores)
    raw = RankingJudge("Which is more lively?", Marks(bias=1), as_ranks=False)(group("a!", "b!!!", "c!"))
    assert [score.value for score in raw] == [0.25, 1.0, 0.25]
    assert [score.components["judge_consistent"] for score in raw] == [0.5, 1.0, 0.5]


def test_a_list_takes_two_calls_and_both_orders():
    backend = Marks(bias=1)
    judge = RankingJudge("Which is more lively?", backend, method="list")
    scores = judge(group("c!", "a!", "", "b!!!", "a!"))
    assert len(backend.chats) == 2
    assert texts_of(backend.chats[0]) == {"A": "a!", "B": "b!!!", "C": "c!"}
    assert texts_of(backend.chats[1]) == {"A": "c!", "B": "b!!!", "C": "a!"}
    assert [score.value for score in scores] == [0.5, 0.5, 0.0, 1.0, 0.5]
    assert [score.components["judge_preference"] for score in scores] == [0.375, 0.375, 0.0, 0.75, 0.375]
    with pytest.raises(ConfigError, match="27 completions, a list 26"):
        judge(group(*map(str, range(27))))


def test_fewer_opponents_cost_fewer_calls():
    backend = Marks()
    scores = RankingJudge("Which is more lively?", backend, opponents=1)(group("a!", "b!!", "c", "d!!!!", "e!!!"))
    assert len(backend.chats) == 10  # five neighbors in a circle, two orders
    assert [score.value for score in scores] == [0.125, 0.875, 0.125, 0.875, 0.5]  # two won twice, two never


def test_several_groups_are_asked_together_and_a_lone_completion_abstains():
    backend = Marks()
    judge = RankingJudge("Which is more lively?", backend)
    other = [Sample("Say bye:", "x!"), Sample("Say bye:", "y"), Sample("Alone:", "z")]
    mixed = [other[0], *group("a", "b!"), *other[1:]]
    assert [score and score.value for score in judge(mixed)] == [1.0, 0.0, 1.0, 0.0, None]


@pytest.mark.parametrize(
    "judge", [RankingJudge("Which is more lively?", Marks(), opponents=1), None], ids=["pairs", "list"]
)
def test_rankings_pass_the_checker(judge):
    check_reward(judge or RankingJudge("Which is more lively?", Marks(), method="list"))


@pytest.mark.parametrize("method", ["pairs", "list"])
def test_a_failed_comparison_is_no_verdict(method):
    def backend(chat):
        return "no idea" if "odd" in chat[1]["content"] else Marks()(chat)

    judge = RankingJudge("Which is more lively?", backend, method=method, on_failure="abstain", max_concurrency=1)
    with pytest.warns(RuntimeWarning, match="no verdict"):
        scores = judge([*group("a!", "odd", "b"), *(Sample("Bye:", text) for text in "xy")])
    values = [score.value for score in scores]
    assert values == ([1.0, None, 0.0, 0.5, 0.5] if method == "pairs" else [None, None, None, 0.5, 0.5])
    assert scores[1].components == {"judge_failed": 1.0}
    with pytest.raises(JudgeError, match=r"sample 0 .*prompt_id 4"):
        RankingJudge("Which?", lambda chat: "no idea", method=method)(group("a", "b"))


def test_local_backend_compares_by_probabilities():
    tokenizer = tiny_tokenizer()
    backend = LocalBackend(random_gpt2(tokenizer), tokenizer)
    samples = group("Hi there.", "Hello!", "Well.")
    for judge in (RankingJudge(RUBRIC, backend, as_ranks=False), RankingJudge("Lively?", backend, method="list")):
        values = [score.value for score in judge(samples)]
        assert len(set(values)) == 3
        assert all(0 <= value <= 1 for value in values)


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_text_can_not_leave_its_place(attack):
    pair = pair_messages(RUBRIC, attack, "Fine.", prompt=attack)
    assert texts_of(pair) == {"A": neutralize(attack), "B": "Fine."}
    listed = list_messages(RUBRIC, [attack, "Fine.", attack])
    assert texts_of(listed) == {"A": neutralize(attack), "B": "Fine.", "C": neutralize(attack)}
    for chat in (pair, listed):
        assert len(chat) == 2
        assert neutralize(attack) not in chat[0]["content"]
        assert chat.code not in attack


def quoted(chat):
    return "The texts read:\n" + "\n".join(texts_of(chat).values())


REPEATING = {
    "echo": lambda chat: "\n".join(texts_of(chat).values()),
    "last line": lambda chat: list(texts_of(chat).values())[-1].splitlines()[-1],
    "quotes": quoted,
    "whole chat": lambda chat: "\n".join(turn["content"] for turn in chat),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("method", ["pairs", "list"])
@pytest.mark.parametrize("name", REPEATING)
def test_no_text_wins_a_comparison_by_naming_a_score(name, method):
    judge = RankingJudge("Which is kinder?", REPEATING[name], method=method, on_failure="abstain")
    samples = [Sample(f"Say {i}.", text) for i, probe in enumerate(PROBES) for text in (probe, "You fool.")]
    assert {score.value for score in judge(samples)} == {None}


@pytest.mark.parametrize("method", ["pairs", "list"])
def test_no_text_forces_a_comparison_to_fail(method):
    """An honest judge quotes both and then finds them equal: a text that names scores changes nothing."""

    def backend(chat):
        return "\n".join([quoted(chat), "", *(f"Score {chat.code} {name}: 3" for name in chat.rubric.names)])

    judge = RankingJudge("Which is kinder?", backend, method=method)
    samples = [Sample(f"Say {i}.", text) for i, probe in enumerate(PROBES) for text in (probe, "You fool.")]
    assert {score.value for score in judge(samples)} == {0.5}


def test_wrong_arguments_are_named():
    for arguments, message in (({"method": "triples"}, "method='triples'"), ({"opponents": 0}, "opponents=0")):
        with pytest.raises(ConfigError, match=message):
            RankingJudge("Which?", Marks(), **arguments)
    with pytest.raises(ConfigError, match="opponents=2 with 'list'"):
        RankingJudge("Which?", Marks(), method="list", opponents=2)


# --- several judges


def judge_of(scores, **options):
    """An LLMJudge that gives each text its score; None: no verdict."""
    by_text = dict(scores)
    return LLMJudge(
        "Is it lively?",
        lambda chat: f"Score {chat.code}: {by_text[chat[1]['content'].splitlines()[1]]}",
        show_prompt=False,
        on_failure="abstain",
        **options,
    )


@pytest.mark.filterwarnings("ignore:Judge")
def test_a_panel_has_the_mean_the_spread_and_a_quorum():
    one, two = judge_of({"a": 5, "b": 1, "c": 3}), judge_of({"a": 3, "b": 1, "c": "?"}, name="other")
    panel = JudgeReward([one, two, lambda samples: [0.5, 0.2, None]])
    first, second, third = score_samples(panel, [Sample("", text) for text in "abc"])
    assert first.value == pytest.approx((1.0 + 0.5 + 0.5) / 3)
    assert first.components["judges_spread"] == 0.5
    assert first.components["judge"] == 1.0
    assert first.components["judge_score"] == 5.0
    assert first.components["other_score"] == 3.0
    assert second.value == pytest.approx(0.2 / 3)
    assert third.value is None  # one of three
    assert JudgeReward([one, two], quorum=1)([Sample("", "c")])[0].value == 0.5
    assert JudgeReward([one, two], combine="min")([Sample("", "a")])[0].value == 0.5
    assert JudgeReward([one, two], disagreement_penalty=1)([Sample("", "a")])[0].value == 0.5  # 0.75 - 0.25
    check_reward(JudgeReward([BLEU(), Constant()]))


class Constant:
    """Half for every text."""

    def __call__(self, samples):
        return [0.5] * len(samples)


def test_a_panel_reports_how_far_its_judges_agree():
    scale = {"a": 1, "b": 2, "c": 4, "d": 5}
    panel = JudgeReward({"x": judge_of(scale), "y": judge_of(scale), "z": judge_of({"a": 5, "b": 4, "c": 2, "d": 1})})
    samples = [Sample("", text) for text in "abcd"]
    panel(samples)
    found = panel.agreement()
    assert found.texts == 4
    assert found.spearman == pytest.approx(-1 / 3)
    assert found.alpha < 0
    assert panel.statistics()["judges_alpha"] == found.alpha
    assert (0.5 * panel).statistics()["judges_spearman"] == found.spearman
    alike = JudgeReward({"x": judge_of(scale), "y": judge_of(scale)}, window=2)
    assert not {"judges_alpha", "judges_spearman"} & alike.statistics().keys()  # no text was judged
    alike(samples)
    assert alike.agreement().texts == 2
    assert alike.agreement().alpha == 1


def test_krippendorff_alpha_is_that_of_his_paper():
    """The example of his "Computing Krippendorff's Alpha-Reliability" with missing data: 0.849 for interval data."""
    nan = float("nan")
    data = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, nan, nan, nan],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, nan, 3],
        [nan, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, nan],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, nan],
    ]
    assert krippendorff_alpha(data) == pytest.approx(0.849, abs=5e-4)
    assert krippendorff_alpha([[1, 1], [1, 1]]) != krippendorff_alpha([[1, 1], [1, 1]])  # NaN: nothing to agree about
    assert mean_spearman([[1, 2], [1, 2]]) != 1  # two texts are too few


def test_ranks_share_equal_places():
    assert ranks([3, 1, 1, 2]) == [1.0, 1 / 6, 1 / 6, 2 / 3]
    assert ranks([0.1 + 0.2, 0.3]) == [0.5, 0.5]


@pytest.mark.parametrize(
    ("judges", "arguments", "message"),
    [
        ([Marks()], {}, "got 1 judges"),
        ([Marks(), Marks()], {"combine": "sum"}, "combine='sum'"),
        ([Marks(), Marks()], {"quorum": 3}, "quorum=3 for 2 judges"),
    ],
)
def test_a_panel_refuses_what_makes_no_sense(judges, arguments, message):
    with pytest.raises(ConfigError, match=message):
        JudgeReward(judges, **arguments)
