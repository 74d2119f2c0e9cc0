"""What a completion gets for which a reward fails: four policies, for any reward, and the reason in info."""

import copy
import pickle
import threading
import warnings

import gymnasium
import pytest

from textgym import TextGenerationEnv, wrappers
from textgym.core import Sample, Score
from textgym.errors import ConfigError, JudgeError, RewardError
from textgym.rewards import (
    BLEU,
    BatchReward,
    EvaluateReward,
    Fallback,
    GroupReward,
    LLMJudge,
    as_reward,
    parse_reward,
    register_reward,
    reward,
)
from textgym.rewards.judge import JudgeReward, PairwiseJudge, RankingJudge
from textgym.scoring import score_samples

SAMPLES = [Sample("", text, ("a b",)) for text in ("1", "2", "oh", "6")]
QUIET = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@reward
def number(sample):
    return float(sample.completion)


def batch(samples):
    return [float(sample.completion) for sample in samples]


class Unlike(GroupReward):
    name = "unlike"

    def score_group(self, samples):
        return [float(sample.completion) - float(samples[0].completion) for sample in samples]


def answer(chat):
    text = chat[1]["content"].split(f"<<TEXT {chat.code}>>\n")[1].splitlines()[0]
    if not text.isdigit():
        raise JudgeError("no reply")
    return f"Score {chat.code}: {min(int(text), 5)}"


class Module:
    """What ``evaluate.load`` returns, as far as the reward reads it."""

    name, features, file_paths, filelocks = "number", None, None, None

    def compute(self, predictions, references):
        return {"number": float(predictions[0])}


FAILING = {
    "function": (number, [1, 2, None, 6]),
    "batch": (batch, [1, 2, None, 6]),
    "judge": (LLMJudge("Is it kind?", answer), [0, 0.25, None, 1]),
    "sum": (number + 0 * BLEU(), [1, 2, None, 6]),
    "no number": (lambda samples: [float("nan") if s.completion == "oh" else 1.0 for s in samples], [1, 1, None, 1]),
    "says so": (
        lambda samples: [Score(None, {}, "ill") if s.completion == "oh" else 1 for s in samples],
        [1, 1, None, 1],
    ),
}


@QUIET
@pytest.mark.parametrize("name", FAILING)
def test_the_others_keep_their_values_and_the_failed_one_gets_what_was_chosen(name):
    failing, values = FAILING[name]
    present = [value for value in values if value is not None]
    for policy, expected in (("abstain", None), ("mean", sum(present) / 3), (-1, -1.0)):
        scores = score_samples(Fallback(failing, policy), SAMPLES)
        assert [score.value for score in scores] == [expected if value is None else value for value in values]
        assert [bool(score.failure) for score in scores] == [False, False, True, False]
    with pytest.raises((RewardError, ValueError, JudgeError)):
        Fallback(failing, "raise")(SAMPLES)


@QUIET
@pytest.mark.parametrize(("policy", "third"), [("abstain", None), ("mean", 1.25 / 3), (0, 0)])
def test_a_judge_takes_the_policies_itself(policy, third):
    scores = LLMJudge("Is it kind?", answer, on_failure=policy, max_concurrency=1)(SAMPLES)
    assert [score.value for score in scores] == [0, 0.25, third, 1]
    assert scores[2].failure == "judge: no reply"


def down(chat):
    raise JudgeError("no reply")


@QUIET
def test_judges_that_compare_and_panels_of_judges_do_so_too():
    pair = [Sample("", "A kind text.", ("Another one.",)), Sample("", "Fine.", ("Another one.",))]
    assert [one.value for one in PairwiseJudge("Which is kinder?", down, on_failure=0.5)(pair)] == [0.5, 0.5]
    ranking = RankingJudge("Which is kinder?", down, on_failure="abstain")(pair)
    panel = JudgeReward([LLMJudge("Is it kind?", down, on_failure="abstain"), number])(SAMPLES[:1])
    assert [one.failure for one in [*ranking, *panel]] == ["judge: no reply"] * 3


@QUIET
def test_a_module_of_evaluate_fails_alike():
    failing = EvaluateReward(Module(), "number")
    assert [one.value for one in Fallback(failing, 0)(SAMPLES)] == [1, 2, 0, 6]


@QUIET
def test_a_batch_in_which_all_fail_has_no_mean():
    assert [score.value for score in Fallback(number, "mean")([SAMPLES[2], SAMPLES[2]])] == [None, None]


@QUIET
def test_a_group_that_fails_costs_no_other_group_its_values():
    groups = [Sample("", text, prompt_id=i // 2) for i, text in enumerate(["1", "3", "4", "oh"])]
    assert [score.value for score in Fallback(Unlike(), "abstain")(groups)] == [0, 2, None, None]
    assert Fallback(Unlike()).scope == "group"


def test_what_is_set_up_wrongly_is_an_error_under_every_policy():
    def wrong(samples):
        raise ConfigError("needs a key")

    with pytest.raises(ConfigError, match="needs a key"):
        Fallback(wrong, "abstain")(SAMPLES)


def test_the_first_failure_warns_and_all_are_counted_from_any_thread():
    guarded = Fallback(number, 0.5)
    with pytest.warns(
        RuntimeWarning, match=r"'number' failed for prompt_id -1, completion 'oh': ValueError.* gets 0.5;"
    ):
        guarded(SAMPLES)
    with warnings.catch_warnings(action="error"):
        threads = [threading.Thread(target=guarded, args=(SAMPLES,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert guarded.failures == 5
    again = pickle.loads(pickle.dumps(guarded))
    assert again(SAMPLES) == copy.deepcopy(guarded)(SAMPLES) == guarded(SAMPLES)


@QUIET
def test_products_fail_closed_and_the_reason_goes_through_any_composite():
    failing = Fallback(as_reward(number, "worth"))
    constant = as_reward(lambda samples: [0.5 for _ in samples], "half")
    for whole, values in ((failing * constant, [0.5, None]), (failing + constant, [1.5, 0.5])):
        scores = score_samples(whole, [SAMPLES[0], SAMPLES[2]])
        assert [score.value for score in scores] == values
        assert not scores[0].failure
        assert scores[1].failure.startswith("worth: ValueError: could not convert")
        assert "half" in scores[1].components
    assert repr(0.5 * failing + constant) == "0.5 * Fallback(as_reward(worth), 'abstain') + as_reward(half)"


@QUIET
@pytest.mark.parametrize(("policy", "paid"), [("abstain", 0.0), (0.25, 0.25)])
def test_info_has_the_reason(small_task, policy, paid):
    env = wrappers.CompletionAction(TextGenerationEnv(small_task, Fallback(number, policy), max_new_tokens=8))
    env.reset(seed=0)
    _, value, _, _, info = env.step("oh")
    assert (value, info.get("reward_abstained", False)) == (paid, policy == "abstain")
    assert info["reward_failure"].startswith("number: ValueError")
    env.reset()
    assert "reward_failure" not in env.step("3")[4]


@QUIET
def test_formulas_have_it():
    register_reward("worth", lambda: number)
    assert repr(parse_reward("fallback(worth, 'mean') + 0.5*fallback(worth, -1)")) == (
        "Fallback(reward(number), 'mean') + 0.5 * Fallback(reward(number), -1)"
    )
    env = gymnasium.make("textgym/Copy-v0", reward="fallback(worth, 0.5)")
    assert isinstance(env.unwrapped.reward, BatchReward)


@pytest.mark.parametrize("policy", ["abstein", True, float("nan"), None, ["mean"]])
def test_other_policies_are_refused(policy):
    with pytest.raises(ConfigError, match=r"Fallback got on_failure=.*(Did you mean|Valid names)"):
        Fallback(number, policy)
