"""The checks for a user's own code: what is right passes, and each kind of mistake is named."""

import random

import gymnasium
import pytest

import textgym
from tests.env.text_games import ListTask, byte_tokenizer, exact, letters, share
from textgym import Prompt, Sample, Score, TextGenerationEnv
from textgym.checker import check_reward, check_task, check_text_env
from textgym.errors import ConfigError, RewardError
from textgym.wrappers import CompactVocabulary, MaskObservation, RewardWrapper


def changed(**attributes):
    task = letters()
    for name, value in attributes.items():
        setattr(task, name, value)
    return task


class Endless(ListTask):
    def __getitem__(self, index):
        return super().__getitem__(index % len(self))


class Restless(ListTask):
    def __getitem__(self, index):
        prompt = super().__getitem__(index)
        return Prompt(prompt.text + str(random.random()))


class Forgetful(ListTask):
    """Copies lose the prompts' order."""

    def __reduce__(self):
        return Forgetful, (list(self)[::-1],)


def test_good_tasks_pass():
    check_task(letters())
    check_task(letters(1))


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (changed(name=3), "task.name is 3"),
        (changed(name="my task"), "CamelCase"),
        (changed(max_new_tokens=None), "task.max_new_tokens"),
        (changed(max_new_tokens=0), "at least 1"),
        (changed(truncation_side="middle"), "truncation_side"),
        (changed(stop="\n"), "task.stop"),
        (changed(stop=("",)), "non-empty"),
        (changed(metrics=("blue",)), "Did you mean 'bleu'"),
        (changed(stop=("b",)), "stop string 'b'"),
        (ListTask(), "at least one prompt"),
        (ListTask(["text"]), r"expected a textgym.Prompt"),
        (ListTask([Prompt("p", ("r", 3))]), "tuple of strings"),
        (ListTask([Prompt("p", (), {3: 4})]), "string keys"),
        (Endless(letters()), "IndexError"),
        (Restless(letters()), "another prompt each time"),
        (Forgetful(letters()), "has other prompts"),
        (changed(extra=lambda: None), "can't be pickled"),
    ],
)
def test_mistakes_in_tasks(task, words):
    with pytest.raises(ConfigError, match=words):
        check_task(task)


@textgym.reward
def brevity(sample):
    return 1 / (1 + len(sample.completion))


def relative(samples):
    best = max(len(s.completion) for s in samples)
    return [len(s.completion) / max(1, best) for s in samples]


def noisy(samples):
    return [random.random() for _ in samples]


def first_wins(samples):
    return [float(i == 0) for i in range(len(samples))]


def divides(samples):
    return [1 / len(s.completion) for s in samples]


def missing(samples):
    return [float("nan") for _ in samples]


def too_few(samples):
    return [0.0]


def mutating(samples):
    for sample in samples:
        sample.metadata["seen"] = True
    return [0.0 for _ in samples]


def parts(samples):
    return [Score(1.0, {"noise": random.random()}) for _ in samples]


@pytest.mark.parametrize(
    "reward", [brevity, exact, textgym.rewards.BLEU(), 0.5 * textgym.rewards.ChrF() + 0.5 * brevity]
)
def test_good_rewards_pass(reward):
    check_reward(reward)


def test_a_reward_is_checked_on_given_samples():
    check_reward(share, [Sample("p", "ab", ("a",)), Sample("p", "", ("a",))])


@pytest.mark.parametrize(
    ("reward", "words"),
    [
        (relative, "'relative'.*(reverse|one sample at a time)"),
        (noisy, "'noisy'.*called twice"),
        (first_wins, "'first_wins'.*reverse"),
        (missing, "'missing' returned nan"),
        (too_few, "'too_few' returned 1 values"),
        (mutating, "changed the samples"),
        (parts, "'parts'.*called twice"),
        (lambda samples: [0.0 for _ in samples], "can't be pickled"),
    ],
)
def test_mistakes_in_rewards(reward, words):
    with pytest.raises(RewardError, match=words):
        check_reward(reward)


def test_a_reward_that_fails_on_an_empty_completion_is_found():
    with pytest.raises(ZeroDivisionError):
        check_reward(divides, [Sample("p", "ab", ("a",))])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"min_new_tokens": 2},
        {"banned_tokens": [9]},
        {"infos": "numbers"},
        {"infos": "none"},
        {"form": "seq2seq"},
        {"stop": ["zz"]},
        {"length_is_truncation": True},
    ],
)
def test_good_environments_pass(options):
    check_text_env(TextGenerationEnv(letters(), exact, byte_tokenizer(), **options))


def test_good_environments_pass_in_wrappers_that_change_their_spaces():
    env = TextGenerationEnv(letters(), exact, byte_tokenizer(), allowed_tokens=[1, 70, 71], min_new_tokens=1)
    check_text_env(MaskObservation(CompactVocabulary(env)))


def test_a_wrapped_environment_passes():
    check_text_env(gymnasium.wrappers.TransformReward(TextGenerationEnv(letters(), exact), lambda reward: reward))


def test_an_environment_whose_reward_misses_the_task_is_found():
    with pytest.raises(ConfigError, match="does not fit the task"):
        check_text_env(TextGenerationEnv(letters(), inverted, byte_tokenizer()))


def inverted(samples):
    return [float(s.completion not in s.references) for s in samples]


class Drifting(RewardWrapper):
    """Pays more every time."""

    paid = 0

    def reward(self, sample, reward):
        self.paid += 1
        return float(self.paid)


def test_an_environment_that_drifts_is_found():
    with pytest.raises(ConfigError, match="same seed"):
        check_text_env(Drifting(TextGenerationEnv(letters(), exact, byte_tokenizer())))


class Meddling(TextGenerationEnv):
    """Edits its tokenizer."""

    def reset(self, **kwargs):
        self.tokenizer.add_tokens([f"<{len(self.tokenizer)}>"])
        return super().reset(**kwargs)


class Unmasked(TextGenerationEnv):
    """Promises masks that it doesn't keep."""

    def action_masks(self):
        mask = super().action_masks().copy()
        mask[5] = False
        return mask


def test_other_mistakes_in_environments():
    env = Unmasked(letters(), exact, byte_tokenizer())
    with pytest.raises(ConfigError, match=r"step\(5\) is illegal"):
        check_text_env(env)
    with pytest.raises(ConfigError, match="changed its tokenizer"):
        check_text_env(Meddling(letters(), exact, byte_tokenizer()))
    with pytest.raises(ConfigError, match="TextGenerationEnv"):
        check_text_env(gymnasium.make("CartPole-v1"))
