"""GroupedRows: rows of a group begin and end together, with the rewards that compare their completions."""

import numpy as np
import pytest

from textgym import Prompt, TextGenerationVectorEnv
from textgym.errors import ConfigError
from textgym.rewards import BLEU, GroupReward, SelfBLEU
from textgym.wrappers import GroupedRows, ScaleReward

PROMPTS = [Prompt(f"{letter}:", metadata={"letter": letter}) for letter in "abcdefgh"]


class Longer(GroupReward):
    """The share of the others that are shorter; none for a single token."""

    name = "longer"

    def score_group(self, samples):
        sizes = [len(sample.token_ids) for sample in samples]
        return [None if size == 1 else sum(one < size for one in sizes) / (len(sizes) - 1) for size in sizes]


def make(rows=6, group_size=3, reward=None, **options):
    options = {"max_prompt_tokens": 4, "max_new_tokens": 4, **options}
    return GroupedRows(TextGenerationVectorEnv(rows, PROMPTS, reward or Longer(), **options), group_size)


def play(envs, lengths):
    """Steps in which row i ends with its lengths[i]th token. Returns what each step returned."""
    end = envs.unwrapped.mdp.rules.eos_token_id
    steps = [envs.step(np.where(np.array(lengths) == t + 1, end, 900)) for t in range(max(lengths))]
    return [step[1:] for step in steps]


def test_a_group_has_one_prompt_and_ends_with_its_last_row():
    envs = make()
    _, infos = envs.reset(seed=3)
    ids = infos["prompt_id"].tolist()
    assert ids == [ids[0]] * 3 + [ids[3]] * 3
    assert ids[0] != ids[3]
    steps = play(envs, [2, 3, 1, 1, 1, 2])
    rewards, terminated, _, infos = zip(*steps, strict=True)
    assert [one.tolist() for one in terminated] == [[False] * 6, [False] * 3 + [True] * 3, [True] * 3 + [False] * 3]
    assert rewards[1].tolist() == [0, 0, 0, 0, 0, 1]
    assert rewards[2].tolist() == [0.5, 1, 0, 0, 0, 0]
    assert infos[0]["reward_pending"].tolist() == [False, False, True, True, True, False]
    assert infos[2]["_completion"].tolist() == [True, True, True, False, False, False]
    assert infos[2]["reward_abstained"].tolist() == [False, False, True, False, False, False]
    assert not infos[2]["reward_pending"].any()
    assert infos[2]["reward_components"]["longer"].tolist()[:2] == [0.5, 1.0]
    assert envs.unwrapped.last_abstained.tolist() == [False, False, True, True, True, False]
    # The second group began anew in the last step, with another draw.
    assert infos[2]["_prompt_id"].tolist() == [True] * 6
    assert len(set(infos[2]["prompt_id"][3:].tolist())) == 1
    _, rewards, terminated, _, infos = envs.step(np.full(6, 900))  # now the first one begins
    assert not terminated.any()
    assert infos["_prompt_id"].tolist() == [True] * 3 + [False] * 3
    assert [len(text) > 0 for text in envs.unwrapped.completion_so_far] == [False] * 3 + [True] * 3


def test_all_groups_may_end_at_once():
    envs = make(4, 2)
    envs.reset(seed=0)
    play(envs, [1, 2, 1, 2])
    observations, rewards, terminated, _, infos = envs.step(np.full(4, 900))
    assert infos["_prompt_id"].all()
    assert rewards.tolist() == [0] * 4
    assert not terminated.any()
    assert observations["attention_mask"][:, 4:].sum() == 0


def test_one_seed_gives_the_same_prompts_and_sequential_ones_come_in_order():
    first, second = make().reset(seed=5)[1], make().reset(seed=5)[1]
    assert first["prompt_id"].tolist() == second["prompt_id"].tolist()
    envs = make(sampling="sequential")
    assert envs.reset(seed=5)[1]["prompt_id"].tolist() == [0, 0, 0, 1, 1, 1]
    play(envs, [1] * 6)
    assert envs.step(np.full(6, 900))[4]["prompt_id"].tolist() == [2, 2, 2, 3, 3, 3]
    given = envs.reset(options={"prompt_id": [6, 6, 6, 5, 5, 5]})[1]
    assert given["prompt_id"].tolist() == [6, 6, 6, 5, 5, 5]


def test_truncation_numbers_and_reward_wrappers():
    envs = make(length_is_truncation=True, infos="numbers")
    envs.reset(seed=0)
    rewards, terminated, truncated, infos = play(envs, [1, 2, 9, 1, 2, 3])[3]
    assert truncated.tolist() == [False, False, True, False, False, False]
    assert terminated.tolist() == [True, True, False, False, False, False]
    assert rewards.tolist() == [0, 0.5, 1, 0, 0, 0]
    assert infos["reward_abstained"].tolist()[:3] == [1, 0, 0]
    inner = TextGenerationVectorEnv(3, PROMPTS, Longer(), max_prompt_tokens=4, max_new_tokens=4)
    envs = GroupedRows(ScaleReward(inner, 4), 3)
    envs.reset(seed=0)
    assert play(envs, [2, 3, 1])[2][0].tolist() == [2, 4, 0]
    envs = ScaleReward(make(3), 4)
    envs.reset(seed=0)
    assert play(envs, [2, 3, 1])[2][0].tolist() == [2, 4, 0]


def test_a_saved_state_goes_on():
    one, two = make(), make()
    one.reset(seed=1)
    play(one, [1, 1, 2, 1, 1, 1])
    for to, of in ((two.unwrapped, one.unwrapped), (two, one)):
        to.set_state(of.get_state())
    for _ in range(6):
        for a, b in zip(one.step(np.full(6, 900))[1:4], two.step(np.full(6, 900))[1:4], strict=True):
            assert a.tolist() == b.tolist()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reward": BLEU()}, "needs a reward that compares completions, got BLEU"),
        ({"rows": 5}, "5 rows are no groups of 3"),
        ({"group_size": 1}, "group_size"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        make(**arguments)


def test_groups_are_reset_as_a_whole():
    envs = make(reward=SelfBLEU())
    with pytest.raises(ConfigError, match="leave reset_mask out"):
        envs.reset(options={"reset_mask": np.ones(6, dtype=bool)})
