"""Rewards that are asked in threads: which, how many at a time, and what comes back."""

import pickle
import threading
import time

import pytest

from textgym.background import Background
from textgym.core import Sample, Score
from textgym.errors import RewardError
from textgym.rewards import BLEU, BatchReward, Fallback, as_reward, reward
from textgym.rewards.judge import JudgeReward, LLMJudge, PairwiseJudge
from textgym.scoring import background_of, score_samples

SAMPLES = [Sample("Say hi:", f"hi {i}", ("hi 3",)) for i in range(4)]


class Slow(BatchReward):
    name = "slow"

    def __init__(self, background=4, fails=0):
        self.background, self.fails, self.threads = background, fails, []

    def __call__(self, samples):
        self.threads.append(threading.current_thread())
        if self.fails:
            self.fails -= 1
            raise RewardError("no reply")
        return [len(sample.completion) / 10 for sample in samples]


@reward
def here(sample):
    assert threading.current_thread() is threading.main_thread()
    return float(sample.completion[-1])


@reward(background=3)
def there(sample):
    assert threading.current_thread() is not threading.main_thread()
    return float(sample.completion[-1])


def test_what_may_wait_is_in_threads_and_the_rest_is_not():
    plain = as_reward(lambda samples: [0.5 for _ in samples])
    assert [background_of(one) for one in (here, there, plain, BLEU(), Slow())] == [0, 3, 0, 0, 4]
    assert pickle.loads(pickle.dumps(there)).background == 3
    slow = Slow()
    for made in (
        slow * here,
        0.5 * slow + here,
        Fallback(slow * here),
        JudgeReward([slow, there]),
        as_reward(slow, "s"),
    ):
        slow.threads.clear()
        assert background_of(made) == 4
        asked = Background().ask(made, SAMPLES)
        first = asked()
        assert threading.main_thread() not in slow.threads
        assert first == asked() == score_samples(made, SAMPLES)
    assert Background().ask(there + here, SAMPLES)()[3].value == 6


def test_a_reward_that_raised_is_asked_again_and_a_fallback_takes_care_of_it():
    asked = Background().ask(Slow(fails=1), SAMPLES)
    with pytest.raises(RewardError, match="no reply"):
        asked()
    assert asked()[0].value == 0.4
    with pytest.warns(RuntimeWarning, match="no reply"):
        scores = Background().ask(Fallback(Slow(fails=3), 9.0), SAMPLES)()
    assert [score.value for score in scores] == [9.0, 9.0, 0.4, 0.4]  # the batch failed, and then each of two alone
    wrong = Background().ask(Fallback(here * Slow(), "abstain"), [Sample("", "no number")])
    with pytest.warns(RuntimeWarning, match="could not convert"):
        assert wrong() == [Score(None)]


def test_a_judge_is_asked_by_several_threads_for_no_more_at_a_time_than_it_takes():
    running, most, lock = 0, 0, threading.Lock()

    def backend(chat):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.002)
        with lock:
            running -= 1
        return f"Score {chat.code}: 3"

    judge = LLMJudge("Is it kind?", backend, max_concurrency=3)
    background = Background()
    batches = [[Sample("Say hi:", f"hi {i} {j}") for i in range(3)] for j in range(4)]
    asked = [background.ask(judge, batch) for batch in batches]
    assert [score.value for scores in asked for score in scores()] == [0.5] * 12
    assert most == 3
    assert background_of(judge) == 3
    assert background_of(PairwiseJudge("Which is kinder?", backend, max_concurrency=2)) == 2
    judge.background = 0
    assert background_of(0.5 * judge) == 0


def test_a_backend_that_answers_many_chats_at_once_gets_one_batch_at_a_time():
    class Local:
        def __call__(self, chat):
            return self.judge_batch([chat])[0]

        def judge_batch(self, chats):
            return [f"Score {chat.code}: 3" for chat in chats]

    assert background_of(LLMJudge("Is it kind?", Local())) == 1
