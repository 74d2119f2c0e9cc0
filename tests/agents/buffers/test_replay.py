"""Replay of whole episodes: what is stored, what is drawn, and the targets, against plain computations."""

import pickle
from copy import deepcopy
from itertools import pairwise

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import DictReplayBuffer

from tests.agents.algorithms.test_dqn import states_of as flat_states
from tests.agents.four_tokens import TALKS, make_env, make_model
from textgym.errors import ConfigError
from textgym_agents import make_vec_env
from textgym_agents.buffers.replay import EpisodeReplayBuffer
from textgym_agents.buffers.replay_episodes import Span
from textgym_agents.envs.candidates import candidates

K = 3


def four_tokens(rows=4, seq2seq=False, **options):
    env = candidates(make_env(rows, seq2seq=seq2seq, **options), make_model(seq2seq), K)
    env.seed(5)
    return env


def replay(env, size=1000, **options):
    return EpisodeReplayBuffer(
        size, env.observation_space, env.action_space, "cpu", env.num_envs, **{"seed": 0, **options}
    )


def play(env, buffer, steps, obs=None, seed=0):
    """As SB3 collects. Returns the last observation and every finished episode as (prompt, tokens, reward)."""
    rng, ended = np.random.default_rng(seed), []
    obs = env.reset() if obs is None else obs
    for _ in range(steps):
        actions = rng.integers(0, K, env.num_envs)
        new_obs, rewards, dones, infos = env.step(actions)
        following = {key: value.copy() for key, value in new_obs.items()}
        for row in np.flatnonzero(dones):
            last = infos[row]["terminal_observation"]
            for key in following:
                following[key][row] = last[key]
            ended.append((live(last, "input_ids"), live(last, "decoder_input_ids"), float(rewards[row])))
        buffer.add(obs, following, actions, rewards, dones, infos)
        obs = new_obs
    return obs, ended


def live(obs, name):
    return tuple(obs[name][obs[name.replace("input_ids", "attention_mask")] != 0].tolist()) if name in obs else ()


def kept(episode):
    whole = (*episode.context.tolist(), *episode.tokens.tolist())
    if episode.prompt is None:
        return whole, (), float(episode.rewards[-1])
    return tuple(episode.prompt.tolist()), whole, float(episode.rewards[-1])


@pytest.mark.parametrize("seq2seq", [False, True])
def test_each_finished_episode_is_kept_once(seq2seq):
    env = four_tokens(seq2seq=seq2seq)
    buffer = replay(env)
    _, ended = play(env, buffer, 30)
    assert [kept(episode) for episode in buffer.episodes.values()] == ended
    assert len(ended) > 20
    assert buffer.size() == sum(len(episode.actions) for episode in buffer.episodes.values())
    assert all((episode.rewards[:-1] == 0).all() for episode in buffer.episodes.values())


def test_the_oldest_episodes_make_room():
    env = four_tokens()
    buffer = replay(env, size=20)
    _, ended = play(env, buffer, 40)
    held = [kept(episode) for episode in buffer.episodes.values()]
    assert held == ended[-len(held) :]
    assert 20 - 3 < buffer.size() <= 20
    assert buffer.full
    assert {len(buffer.sample(7).actions) for _ in range(50)} == {7}


def test_an_episode_that_was_interrupted_is_forgotten():
    env = four_tokens(rows=1, min_new_tokens=3)
    buffer = replay(env)
    play(env, buffer, 2)  # two tokens of three
    _, ended = play(env, buffer, 3, seed=1)  # which resets
    assert [kept(episode) for episode in buffer.episodes.values()] == ended
    assert len(ended) == 1


def test_learning_may_go_on_where_it_stopped():
    env = four_tokens(rows=1, min_new_tokens=3)
    buffer = replay(env)
    obs, _ = play(env, buffer, 2)
    _, ended = play(env, buffer, 1, obs)
    assert [kept(episode) for episode in buffer.episodes.values()] == ended
    assert len(ended) == 1


EPISODE = {"tokens": [1, 2, 3, 1, 2], "rewards": [1.0, 0.0, 2.0, 0.0, 4.0]}


class Best:
    """A policy whose target network holds the tokens of the episode best, but at some states."""

    def __init__(self, otherwise):
        self.otherwise = otherwise

    def best_candidates(self, batch):
        states = [len(s.context) - 2 + i for s in batch.sequences for i in range(len(s.actions))]
        return torch.tensor([0 if state in self.otherwise else 1 for state in states])


def by_hand(*, cut, policy=None, draw=5, **options):
    """A buffer with one episode of five tokens, and its minibatch of the whole episode."""
    env = four_tokens(rows=1)
    buffer = replay(env, **options)
    if policy is not None:
        buffer.bind(policy)
    space, k = env.observation_space, 3
    width = space["input_ids"].shape[0]
    states = [np.array([10 + i, EPISODE["tokens"][i] if i < 5 else 9, 20 + i]) for i in range(6)]

    def show(i):
        ids = np.zeros((1, max(width, 8)), dtype=np.int64)
        ids[0, : 2 + i] = [7, 8, *EPISODE["tokens"][:i]]
        mask = (np.arange(ids.shape[1]) < 2 + i)[None].astype(np.int8)
        return {"input_ids": ids, "attention_mask": mask, "candidates": states[i][None]}

    for i, (here, following) in enumerate(pairwise(range(6))):
        done = i == 4
        infos = [{"TimeLimit.truncated": cut and done}]
        buffer.add(
            show(here), show(following), np.array([1]), np.array([EPISODE["rewards"][i]]), np.array([done]), infos
        )
    assert k == buffer.action_space.n
    return buffer.sample(draw), states


@pytest.mark.parametrize(
    ("n_steps", "gamma", "rewards", "reached"),
    [
        (1, 1.0, [1, 0, 2, 0, 4], [1, 2, 3, 4, 5]),
        (2, 1.0, [1, 2, 2, 4, 4], [2, 3, 4, 5, 5]),
        (3, 0.5, [1.5, 1, 3, 2, 4], [3, 4, 5, 5, 5]),
        ([], 1.0, [7, 6, 6, 4, 4], [5, 5, 5, 5, 5]),
        ([3], 0.5, [1.5, 1, 2, 2, 4], [3, 3, 3, 5, 5]),
        ([0, 2, 3], 1.0, [1, 0, 2, 4, 4], [2, 2, 3, 5, 5]),
        ([1, 2, 3, 4], 1.0, [1, 0, 2, 0, 4], [1, 2, 3, 4, 5]),
        ("monte_carlo", 1.0, [7, 6, 6, 4, 4], [5, 5, 5, 5, 5]),
        ("monte_carlo", 0.5, [1.75, 1.5, 3, 2, 4], [5, 5, 5, 5, 5]),
    ],
)
@pytest.mark.parametrize("cut", [False, True])
def test_targets_by_hand(n_steps, gamma, rewards, reached, cut):
    how = {"targets": n_steps} if isinstance(n_steps, str) else {"n_steps": n_steps}
    if isinstance(n_steps, list):  # the states at which the episode left the greedy policy
        how = {"targets": "watkins", "policy": Best(n_steps)}
    samples, states = by_hand(**how, gamma=gamma, cut=cut)
    assert samples.observations.returns.tolist() == [7]
    assert samples.rewards.flatten().tolist() == rewards
    assert samples.actions.flatten().tolist() == [1] * 5
    bootstraps = [state < 5 or cut for state in reached]
    assert samples.dones.flatten().tolist() == [float(not b) for b in bootstraps]
    assert samples.discounts.flatten().tolist() == [gamma ** (state - i) for i, state in enumerate(reached)]
    here, following = samples.observations, samples.next_observations
    assert here.candidates.tolist() == [state.tolist() for state in states[:5]]
    assert here.take is None
    # The state that each row means, by the tokens before it.
    prefixes = []
    for episode in following.sequences:
        sequence = [*episode.context.tolist(), *episode.actions.tolist()]
        prefixes += [sequence[: len(episode.context) + i] for i in range(len(episode.actions))]
    for take, state, bootstrap in zip(following.take.tolist(), reached, bootstraps, strict=True):
        assert (take >= 0) == bootstrap
        if bootstrap:
            assert prefixes[take] == [7, 8, *EPISODE["tokens"][:state]]
            assert following.candidates[take].tolist() == states[state].tolist()


def test_a_part_of_an_episode_has_the_targets_of_the_whole():
    for most, rewards in ((None, {0: 3, 1: 2, 2: 2, 3: 4, 4: 4}), (2, {0: 1, 1: 2, 2: 2, 3: 4, 4: 4})):
        seen = {}
        for seed in range(30):
            samples, _ = by_hand(cut=False, policy=Best([3]), targets="watkins", n_steps=most, seed=seed, draw=2)
            first = len(samples.observations.sequences[0].context) - 2
            seen |= {first + i: reward for i, reward in enumerate(samples.rewards.flatten().tolist())}
        assert seen == rewards


def test_watkins_targets_need_a_policy():
    with pytest.raises(ConfigError, match=r"has \"watkins\" targets and no policy .*replay_buffer.bind"):
        by_hand(cut=False, targets="watkins")
    buffer = replay(four_tokens())
    buffer.bind(Best([]))
    assert pickle.loads(pickle.dumps(buffer)).policy is None


def test_a_minibatch_has_exactly_as_many_tokens_as_asked_for():
    env = four_tokens()
    buffer = replay(env, n_steps=1)
    play(env, buffer, 30)
    stored = [kept(episode)[0] for episode in buffer.episodes.values()]
    for size in (1, 2, 5, 64, 1000):  # more than there are as well
        samples = buffer.sample(size)
        shapes = {name: tuple(getattr(samples, name).shape) for name in ("actions", "rewards", "dones", "discounts")}
        assert set(shapes.values()) == {(size, 1)}
        assert len(samples.observations.candidates) == len(samples.next_observations.take) == size
        row = 0
        for episode in samples.observations.sequences:
            beginning = (*episode.context.tolist(), *episode.actions.tolist())
            assert any(tokens[: len(beginning)] == beginning for tokens in stored)
            for token in episode.actions.tolist():
                assert samples.observations.candidates[row, samples.actions[row]] == token
                row += 1


def test_all_parts_of_a_long_episode_are_drawn():
    seen = set()
    env = four_tokens(rows=1, min_new_tokens=3)
    buffer = replay(env)
    play(env, buffer, 3)
    for _ in range(50):
        (episode,) = buffer.sample(1).observations.sequences
        seen.add(len(episode.context))
    assert seen == {2, 3, 4} or seen == {1, 2, 3}  # a prompt of one or two tokens


def test_what_is_drawn_depends_on_its_own_seed_alone():
    env = four_tokens()
    one, same, other = (replay(env, seed=seed) for seed in (1, 1, 2))
    for buffer in (one, same, other):
        env.seed(5)
        play(env, buffer, 30)
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    actions = [[buffer.sample(16).actions.tolist() for _ in range(3)] for buffer in (one, same, other)]
    assert actions[0] == actions[1] != actions[2]
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_before_an_episode_is_finished_a_minibatch_has_no_gradient():
    samples = replay(four_tokens()).sample(8)
    assert samples.observations.sequences == []
    assert samples.observations.take.tolist() == [-1] * 8
    assert not samples.rewards.any()
    assert samples.dones.all()


@pytest.mark.parametrize("restored", [False, True])
def test_from_every_row_nothing_is_drawn_before_each_row_has_ended_an_episode(restored):
    env = four_tokens(rows=8, **TALKS)
    buffer, eager = replay(env, from_every_row=True), replay(env)
    obs, ended, waited = env.reset(), set(), 0
    rng = np.random.default_rng(0)
    while len(ended) < env.num_envs:
        actions = rng.integers(0, K, env.num_envs)
        new_obs, rewards, dones, infos = env.step(actions)
        for one in (buffer, eager):
            one.add(obs, new_obs, actions, rewards, dones, infos)
        obs, ended = new_obs, ended | set(np.flatnonzero(dones).tolist())
        if restored:
            state, buffer = deepcopy(buffer.get_state()), replay(env, from_every_row=True)
            buffer.set_state(state)
        drawn, drawn_early = buffer.sample(8).observations, eager.sample(8).observations
        assert bool(drawn.sequences) == (drawn.returns.size > 0) == (len(ended) == env.num_envs)
        assert bool(drawn_early.sequences) == (drawn_early.returns.size > 0) == bool(ended)
        waited += 0 < len(ended) < env.num_envs
    assert waited > 0


def test_memory_for_a_token():
    """About a fiftieth of what SB3's buffer holds, with eight candidates."""
    env = candidates(make_vec_env("textgym/SentimentContinuation-v0", 8, seed=0), "textgym/small", 8)
    buffer = replay(env)
    rng, obs = np.random.default_rng(0), env.reset()
    for _ in range(40):
        actions = rng.integers(0, 2, 8)
        new_obs, rewards, dones, infos = env.step(actions)
        buffer.add(obs, new_obs, actions, rewards, dones, infos)
        obs = new_obs
    assert buffer.size() > 50
    theirs = DictReplayBuffer(80, env.observation_space, env.action_space, n_envs=8)
    arrays = [theirs.actions, theirs.rewards, theirs.dones, theirs.timeouts]
    arrays += [*theirs.observations.values(), *theirs.next_observations.values()]
    per_token = sum(array.nbytes for array in arrays) / 80
    print(f"{buffer.nbytes_per_token:.0f} bytes a token, DictReplayBuffer {per_token:.0f}")
    assert buffer.nbytes_per_token < 60
    assert buffer.nbytes_per_token < per_token / 15


def test_unusable_arguments():
    env = four_tokens()
    for options, message in [
        ({"n_steps": 0}, "n_steps is 0"),
        ({"targets": "montecarlo"}, "montecarlo.*monte_carlo"),
        ({"gamma": 1.5}, "gamma is 1.5"),
        ({"optimize_memory_usage": True}, "optimize_memory_usage"),
    ]:
        with pytest.raises(ConfigError, match=message):
            replay(env, **options)
    with pytest.raises(ConfigError, match="needs observations with candidates"):
        EpisodeReplayBuffer(10, spaces.Dict({}), env.action_space)
    with pytest.raises(ConfigError, match="VecNormalize"):
        replay(env).sample(8, env=object())


@pytest.mark.parametrize("seq2seq", [False, True])
@pytest.mark.parametrize("size", [1000, 20])
@pytest.mark.parametrize("talks", [{}, TALKS], ids=["one turn", "turns"])
def test_a_restored_buffer_goes_on_as_the_saved_one(seq2seq, size, talks):
    env = four_tokens(seq2seq=seq2seq, **talks)
    saved = replay(env, size=size)
    obs, _ = play(env, saved, 31)
    while talks and not any(episode is not None and episode.inserted for episode in saved.open):
        obs, _ = play(env, saved, 1, obs)  # until one is in the middle of a conversation
    saved.sample(5)
    state = deepcopy(saved.get_state())
    assert state["open"]  # an episode goes on
    assert len(state["insertions"]) > 0 or not talks
    restored = replay(env, size=size, seed=9)
    restored.set_state(deepcopy(state))
    again = restored.get_state()
    for name, value in state.items():
        if isinstance(value, np.ndarray):
            assert np.array_equal(value, again[name]), name
            assert value.dtype == again[name].dtype, name
    assert (saved.size(), saved.full, saved.nbytes_per_token) == (
        restored.size(), restored.full, restored.nbytes_per_token,
    )  # fmt: skip
    pickled = pickle.loads(pickle.dumps(saved))
    rng = np.random.default_rng(1)
    for _ in range(8):
        actions = rng.integers(0, K, env.num_envs)
        new_obs, rewards, dones, infos = env.step(actions)
        for buffer in (saved, restored, pickled):
            buffer.add(obs, new_obs, actions, rewards, dones, infos)
        obs = new_obs
    one, *others = (buffer.sample(16) for buffer in (saved, restored, pickled))
    for other in others:
        for name in ("actions", "rewards", "dones", "discounts"):
            assert np.array_equal(getattr(one, name), getattr(other, name)), name
        assert states_of(one.observations) == states_of(other.observations)
        assert states_of(one.next_observations) == states_of(other.next_observations)


# ---------------------------------------------------------------------------- conversations


class Watched:
    """Keeps the transitions of each episode that a buffer stores, as the environment shows them."""

    def __init__(self, buffer):
        self.store, self.going, self.ended = buffer.add, [[] for _ in range(buffer.n_envs)], []
        buffer.add = self.add

    def add(self, obs, next_obs, actions, rewards, dones, infos):
        for row, steps in enumerate(self.going):
            cut = infos[row].get("TimeLimit.truncated", False)
            steps.append((shown(obs, row), int(actions[row]), float(rewards[row]), shown(next_obs, row)))
            if dones[row]:
                self.ended.append((list(steps), cut, infos[row]))
                steps.clear()
        self.store(obs, next_obs, actions, rewards, dones, infos)


def shown(obs, row):
    """The prompt of an encoder, the tokens of a decoder, and the candidates of a row."""
    one = {name: array[row] for name, array in obs.items()}
    read, written = live(one, "input_ids"), live(one, "decoder_input_ids")
    return (read if written else None, list(written or read), one["candidates"].tolist())


def states_of(batch):
    states = [
        (None if prompt is None else tuple(prompt), so_far, named) for prompt, so_far, named in flat_states(batch)
    ]
    return states if batch.take is None else [states[i] if i >= 0 else None for i in batch.take.tolist()]


def greedy(state):
    """The number of the best candidate of a state, as if a target network had said so."""
    return sum(state[1]) % 2


class Greedy:
    def best_candidates(self, batch):
        return torch.tensor([greedy(state) for state in states_of(batch)])


def conversations(seq2seq=False, **options):
    """A buffer with the episodes of 80 steps of four rows, and what the environment showed of them."""
    env = four_tokens(seq2seq=seq2seq, **TALKS, length_is_truncation=True)
    buffer = replay(env, **options)
    watched = Watched(buffer)
    play(env, buffer, 80)
    assert max(len(episode.inserted) for episode in buffer.episodes.values()) == 2
    return buffer, watched.ended


@pytest.mark.parametrize("seq2seq", [False, True])
def test_what_a_partner_says_lies_between_the_tokens_and_is_none_of_them(seq2seq):
    buffer, ended = conversations(seq2seq)
    assert len(buffer.episodes) == len(ended) > 10
    for episode, (steps, _, info) in zip(buffer.episodes.values(), ended, strict=True):
        assert episode.tokens.tolist() == [
            t for turn in info["turns"] for t in turn.token_ids if turn.speaker == "policy"
        ]
        assert episode.rewards.tolist() == [np.float32(reward) for _, _, reward, _ in steps]
        assert sum(episode.rewards) == pytest.approx(info["episode"]["r"], abs=1e-5)
        for stop in range(1, len(steps) + 1):
            for start in range(stop):
                sequence = episode.states(start, stop)
                batch = buffer._batch([(sequence, episode.candidates[start:stop])], None)
                assert states_of(batch) == [state for state, *_ in steps[start:stop]]


@pytest.mark.parametrize(
    "how",
    [{"n_steps": 1}, {"n_steps": 2, "gamma": 0.5}, {"targets": "monte_carlo"}, {"targets": "watkins", "gamma": 0.5}],
    ids=lambda how: "-".join(map(str, how.values())),
)
def test_targets_count_the_policys_tokens_and_jump_over_the_partners(how):
    buffer, ended = conversations(**how)
    buffer.bind(Greedy())
    gamma, bootstraps, behind_turns = how.get("gamma", 1.0), 0, 0
    for episode, (steps, cut, _) in zip(list(buffer.episodes.values()), ended, strict=True):
        n = len(steps)
        start = n // 3
        span = Span(episode, start, n)
        buffer._draw = lambda _, span=span: [span]
        samples = buffer.sample(n - start)
        following = states_of(samples.next_observations)
        for i in range(start, n):
            last = i  # the step after which the target network's value counts
            if "n_steps" in how:
                last = min(i + how["n_steps"], n) - 1
            while how.get("targets") == "monte_carlo" and last < n - 1:
                last += 1
            while how.get("targets") == "watkins" and last < n - 1 and steps[last + 1][1] == greedy(steps[last + 1][0]):
                last += 1
            total = sum(gamma ** (j - i) * steps[j][2] for j in range(i, last + 1))
            assert samples.rewards[i - start].item() == pytest.approx(total, abs=1e-5)
            assert samples.discounts[i - start].item() == pytest.approx(gamma ** (last + 1 - i))
            ends = last == n - 1 and not cut
            assert samples.dones[i - start].item() == ends
            assert following[i - start] == (None if ends else steps[last][3])
            bootstraps += not ends
            behind_turns += not ends and len(steps[last][3][1]) > len(steps[last][0][1]) + 1
    assert bootstraps > 3
    assert behind_turns > 3 or how.get("targets") == "monte_carlo"


def test_an_observation_that_goes_on_with_another_token_than_the_chosen_one_is_refused():
    env = four_tokens(**TALKS)
    buffer, obs = replay(env), env.reset()
    actions = np.zeros(4, dtype=np.int64)
    new_obs, rewards, _, infos = env.step(actions)
    longer = {name: array.copy() for name, array in new_obs.items()}
    longer["attention_mask"][:, 2:5], longer["input_ids"][:, 2] = 1, (obs["candidates"][:, 0] + 1) % 4
    with pytest.raises(ConfigError, match=r"EpisodeReplayBuffer can't be used with a wrapper that changes"):
        buffer.add(obs, longer, actions, rewards, np.zeros(4, dtype=bool), infos)


def test_an_empty_buffer_has_a_state():
    env = four_tokens()
    restored = replay(env)
    restored.set_state(replay(env).get_state())
    assert restored.size() == 0
