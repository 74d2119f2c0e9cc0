"""Rewards that compare the completions of a prompt: the protocol, composites, environments, the checker."""

import pickle

import gymnasium
import numpy as np
import pytest

import textgym
from textgym.checker import check_reward
from textgym.core import Sample, Score
from textgym.errors import ConfigError, RewardError
from textgym.rewards import BLEU, GroupReward, Min, Novelty, SelfBLEU, as_reward, group_reward, parse_reward
from textgym.scoring import groups_of, score_samples, scores_groups

COLORS = [Sample("Color:", text, ("green",), prompt_id=3) for text in (" a dark red", " a dark red", " green")]


class Rank(GroupReward):
    """The share of the others that are shorter."""

    name = "rank"

    def score_group(self, samples):
        lengths = [len(sample.completion) for sample in samples]
        return [sum(other < length for other in lengths) / (len(lengths) - 1) for length in lengths]


@group_reward
def unlike_others(samples):
    texts = [sample.completion for sample in samples]
    return [float(texts.count(text) == 1) for text in texts]


def test_groups_are_of_one_prompt_and_one_number():
    samples = [*COLORS, Sample("Color:", "blue", prompt_id=4), Sample("Color:", "blue", prompt_id=3, group=1)]
    assert groups_of(samples) == [[0, 1, 2], [3], [4]]


def test_each_group_is_scored_alone_and_a_lone_completion_abstains():
    other = [Sample("Fruit:", "fig"), Sample("Fruit:", "banana")]
    mixed = [other[0], *COLORS, Sample("Alone:", "x"), other[1]]
    assert Rank()(mixed) == [0.0, 0.5, 0.5, 0.0, None, 1.0]
    assert Rank().score(other[0]) is None
    with pytest.raises(RewardError, match="single Sample"):
        Rank()(other[0])


def test_a_wrong_number_of_values_and_an_exception_name_the_reward():
    short = group_reward(lambda samples: [1.0])
    with pytest.raises(RewardError, match="returned 1 values for a group of 3 samples"):
        short(COLORS)
    with pytest.raises(ZeroDivisionError) as caught:
        group_reward(lambda samples: [1 / 0])(COLORS)
    assert "completion ' a dark red', and 2 more" in caught.value.__notes__[0]


def test_composites_with_such_a_part_have_its_scope():
    assert not scores_groups(BLEU())
    for reward in (0.5 * BLEU() + Rank(), BLEU() * Rank(), Min(BLEU(), Rank()), as_reward(Rank(), "r")):
        assert scores_groups(reward), reward
    assert scores_groups(parse_reward("0.5*bleu + 0.5*self_bleu*novelty"))
    product = score_samples(unlike_others * BLEU(), COLORS)
    assert [score.value for score in product] == [0.0, 0.0, 1.0]
    assert product[2].components == {"unlike_others": 1.0, "bleu": 1.0}
    assert score_samples(BLEU() + Rank(), COLORS[2:])[0] == Score(1.0, {"bleu": 1.0})  # the lone one: Rank abstains


def test_decorated_function_is_pickled_by_name():
    assert pickle.loads(pickle.dumps(unlike_others))(COLORS) == [0.0, 0.0, 1.0]
    with pytest.raises(ConfigError, match="@group_reward decorates"):
        group_reward(3)


def test_self_bleu_and_novelty():
    assert SelfBLEU()(COLORS) == [0.5, 0.5, 1.0]
    pair = [Sample("p", "the cat sat on the mat"), Sample("p", "the cat sat on a mat")]
    one, other = (BLEU().score(Sample("", a.completion, (b.completion,))) for a, b in (pair, pair[::-1]))
    assert SelfBLEU()(pair) == [pytest.approx(1 - (one + other) / 2)] * 2
    assert SelfBLEU()([Sample("p", ""), Sample("p", ""), Sample("p", "x")]) == [0.5, 0.5, 1.0]
    assert Novelty()(COLORS) == [0.0, 0.0, 1.0]  # one word is an n-gram of its own
    assert Novelty(1)([Sample("p", "a red red fox"), Sample("p", "a fox"), Sample("p", " .")]) == [0.5, 0.0, 0.0]
    with pytest.raises(ConfigError, match="order=0"):
        Novelty(0)


def test_checker_takes_groups_one_by_one():
    for reward in (SelfBLEU(), Novelty(), Rank(), unlike_others, BLEU() + Rank()):
        check_reward(reward)
    with pytest.raises(RewardError, match="one group at a time"):
        check_reward(Leaking())


class Leaking(GroupReward):
    """Depends on other groups."""

    name = "leaking"

    def __call__(self, samples):
        return [float(len(samples))] * len(samples)


@pytest.mark.parametrize("infos", ["all", "numbers"])
def test_an_environment_leaves_the_group_to_who_plays_it(infos):
    env = gymnasium.make("textgym/Copy-v1", reward=SelfBLEU(), infos=infos).unwrapped
    samples = []
    for completion in ("one", "two"):
        env.reset(seed=0, options={"prompt_id": 5})
        for token in env.encode_completion(completion):
            _, reward, ended, _, info = env.step(token)
        assert ended
        assert reward == 0
        assert info["reward_abstained"] == 1
        assert infos == "numbers" or info["reward_pending"] is True
        samples.append(env.last_sample)
    assert [score.value for score in score_samples(env.reward, samples)] == [1.0, 1.0]


def test_rows_of_a_vector_environment_are_pending_too():
    envs = textgym.TextGenerationVectorEnv(2, [textgym.Prompt("a:")], SelfBLEU(), max_prompt_tokens=4, max_new_tokens=1)
    envs.reset(seed=0)
    _, rewards, terminated, _, infos = envs.step(np.array([5, 6]))
    assert terminated.all()
    assert rewards.tolist() == [0, 0]
    assert infos["reward_pending"].tolist() == infos["reward_abstained"].tolist() == [True, True]
    assert score_samples(envs.reward, envs.last_samples)[0].value is not None
