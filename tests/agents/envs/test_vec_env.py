"""The bridge from Gymnasium's vector environments to SB3's."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnvWrapper, VecMonitor

import textgym
from tests.agents.tiny_models import tiny_model
from textgym.errors import ConfigError
from textgym_agents import TextVecEnv, make, make_vec_env
from textgym_agents.envs.sync_vector import SingleEnvs

SMALL = {"max_prompt_tokens": 12, "max_new_tokens": 6}
PARTNER = "tests.conversations.test_contract:guessing"


def test_a_step_resets_finished_rows_and_keeps_their_last_observation():
    env = make_vec_env("textgym/Copy-v0", 3, seed=1, **SMALL)
    env.reset()
    end = env.observation_space.eos_token_ids[0]
    env.step(np.array([20, 21, 22]))
    obs, rewards, dones, infos = env.step(np.array([20, end, 22]))
    assert dones.tolist() == [False, True, False]
    assert rewards.dtype == np.float32
    assert infos[0] == infos[2] == {}
    info = infos[1]
    assert info["finish_reason"] == "eos"
    assert info["num_tokens"] == info["episode"]["l"] == 2
    assert info["episode"]["r"] == pytest.approx(float(rewards[1]), abs=1e-5)
    assert set(info["reward_components"]) == {"chrf"}
    assert all(isinstance(v, float) for v in info["reward_components"].values())
    last = info["terminal_observation"]
    assert last["input_ids"][12:14].tolist() == [21, end]
    assert obs["attention_mask"][1, 12:].sum() == 0  # the row plays its next prompt
    assert obs["attention_mask"][0, 12:].sum() == 2
    assert info["TimeLimit.truncated"] is False


def test_length_as_truncation_reaches_sb3():
    env = make_vec_env("textgym/Copy-v0", 2, length_is_truncation=True, **SMALL)
    env.reset()
    for _ in range(6):
        _, _, dones, infos = env.step(np.array([20, 20]))
    assert dones.all()
    assert all(info["TimeLimit.truncated"] for info in infos)


def test_the_same_seed_plays_the_same_prompts():
    first, second, other = (make_vec_env("textgym/Copy-v0", 4, seed=s, **SMALL).reset() for s in (7, 7, 8))
    assert np.array_equal(first["input_ids"], second["input_ids"])
    assert not np.array_equal(first["input_ids"], other["input_ids"])


def test_monitor_and_attributes():
    env = make_vec_env("textgym/Copy-v0", 2, **SMALL)
    assert env.env_is_wrapped(Monitor) == [True, True]
    assert env.env_is_wrapped(VecMonitor) == [False, False]
    assert env.get_attr("num_envs") == [2, 2]
    env.reset()
    assert len(env.env_method("action_masks", indices=0)) == 1
    assert VecMonitor(env).reset()["input_ids"].shape[0] == 2


def test_wrong_autoreset_mode():
    env = gym.make_vec("textgym/Copy-v0", num_envs=2, vectorization_mode="vector_entry_point")
    with pytest.raises(ConfigError, match="expected SAME_STEP"):
        TextVecEnv(env)
    with pytest.raises(ConfigError, match="env is a"):
        make_vec_env(gym.make("CartPole-v1"))


def test_the_environment_that_a_model_needs():
    env = make_vec_env("textgym/Copy-v0", 2, model="textgym/small-seq2seq", **SMALL)
    assert "decoder_input_ids" in env.observation_space.spaces
    assert make_vec_env(env, model="textgym/small-seq2seq") is env
    with pytest.raises(ConfigError, match="The model is a decoder-only model, the environment was made for the other"):
        make_vec_env(env, model="textgym/small")


def test_arguments_for_an_environment_that_is_already_made_are_refused():
    env = make_vec_env("textgym/Copy-v0", 2, **SMALL)
    with pytest.raises(ConfigError, match="max_new_tokens: only with an id; this environment is already made"):
        make_vec_env(env, max_new_tokens=3)


def test_observations_that_the_next_step_overwrites_are_refused():
    """SB3 stores an observation after the step that follows it."""
    with pytest.raises(ConfigError, match="Leave copy=True"):
        make_vec_env("textgym/Copy-v0", 2, copy=False, **SMALL)
    env = make_vec_env("textgym/Copy-v0", 2, **SMALL)
    kept = [env.reset()] + [env.step(np.array([20, 21]))[0] for _ in range(8)]
    generated = [obs["attention_mask"][0, 12:].sum() for obs in kept]
    assert generated == [0, 1, 2, 3, 4, 5, 0, 1, 2]


def test_gymnasiums_sync_vector_env_and_sb3s_own_work_as_well():
    sync = gym.make_vec(
        "textgym/Copy-v0", num_envs=2, vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP}, **SMALL,
    )  # fmt: skip
    dummy = DummyVecEnv([lambda: gym.make("textgym/Copy-v0", **SMALL)] * 2)
    for env in (sync, dummy):
        ppo = make("ppo", env, tiny_model("gpt2"), n_steps=12, batch_size=24, kl_coef=0, seed=0)
        assert ppo.learn(48).num_timesteps == 48
        assert len(ppo.ep_info_buffer) > 0 or env is dummy


def test_a_users_reward_wrapper_reaches_sb3():
    class Shout(textgym.wrappers.RewardWrapper):
        def reward(self, sample, reward):
            return reward + 10

    vector = gym.make_vec(
        "textgym/Copy-v0", num_envs=2, vectorization_mode="vector_entry_point",
        autoreset_mode=AutoresetMode.SAME_STEP, **SMALL,
    )  # fmt: skip
    env = make_vec_env(Shout(vector))
    env.reset()
    for _ in range(6):
        _, rewards, dones, infos = env.step(np.array([20, 21]))
    assert dones.all()
    assert (rewards >= 10).all()
    assert infos[0]["episode"]["r"] >= 10


def test_rows_can_wait_and_begin_given_prompts():
    env = make_vec_env("textgym/Copy-v0", 3, seed=1, **SMALL)
    env.reset()
    end = env.observation_space.eos_token_ids[0]
    with env.rows_wait():
        obs = env.start(np.array([0, 2]), np.array([5, 5]))
        assert np.array_equal(obs["input_ids"][0], obs["input_ids"][2])
        ended, _, dones, infos = env.step(np.array([20, end, 22]))
        assert dones.tolist() == [False, True, False]
        assert infos[1]["finish_reason"] == "eos"
        assert infos[1]["episode"]["l"] == 1
        assert np.array_equal(infos[1]["terminal_observation"]["input_ids"], ended["input_ids"][1])
        for _ in range(2):  # its actions are ignored, even one that would be illegal
            obs, rewards, dones, infos = env.step(np.array([20, -1, 22]))
            assert np.array_equal(obs["input_ids"][1], ended["input_ids"][1])
            assert not dones.any()
            assert rewards[1] == 0
        obs = env.start(np.array([1]), np.array([5]))
        assert obs["attention_mask"][:, 12:].sum(1).tolist() == [3, 0, 3]
        _, _, dones, infos = env.step(np.array([end, 20, end]))
        assert [infos[row]["episode"]["l"] for row in (0, 2)] == [4, 4]
    env.step(np.array([20, 20, 20]))  # the rows that still wait begin
    _, _, dones, infos = env.step(np.array([end, end, end]))
    assert dones.all()
    assert [info["episode"]["l"] for info in infos] == [1, 3, 1]
    assert [info["num_tokens"] for info in infos] == [1, 3, 1]


def test_rows_of_other_vector_environments_cannot_wait():
    mode = {"autoreset_mode": AutoresetMode.SAME_STEP}
    env = TextVecEnv(gym.make_vec("textgym/Copy-v0", 2, vectorization_mode="sync", vector_kwargs=mode, **SMALL))
    with pytest.raises(ConfigError, match="Rows of a SyncVectorEnv can't wait"), env.rows_wait():
        pass


@pytest.mark.parametrize("infos", ["numbers", "none"])
def test_infos_that_callbacks_could_not_read_are_refused(infos):
    with pytest.raises(ConfigError, match=f'infos="{infos}"'):
        make_vec_env("textgym/Copy-v0", 2, infos=infos)
    with pytest.raises(ConfigError, match=f'infos="{infos}"'):
        make_vec_env(gym.make("textgym/Copy-v0", infos=infos))


class Brief(textgym.wrappers.RewardWrapper):
    def __init__(self, env, cost=0.1):
        super().__init__(env)
        self.cost = cost

    def reward(self, sample, reward):
        return reward - self.cost * len(sample.token_ids)


@pytest.mark.parametrize("id", ["textgym/Copy-v0", "vector", "single"])
def test_wrappers_by_the_list_and_around_a_vec_env(id):
    def given():
        if id == "single":
            return gym.make("textgym/Copy-v0", reward=None)
        if id == "vector":
            same = AutoresetMode.SAME_STEP
            return gym.make_vec("textgym/Copy-v0", num_envs=1, autoreset_mode=same, reward=None)
        return id

    options = {"n_envs": 1, **({"reward": None} if given() == id else {})}
    for env, expected in (
        (make_vec_env(given(), **options, wrappers=[Brief, lambda env: Brief(env, 1)]), -1.1),
        (Brief(make_vec_env(given(), **options), cost=0.5), -0.5),
    ):
        env.reset()
        _, rewards, dones, infos = env.step(np.array([env.observation_space.eos_token_ids[0]]))
        assert rewards.tolist() == [pytest.approx(expected)]
        assert dones.all()
        assert infos[0]["untransformed_reward"] == 0


class Dropped(VecEnvWrapper):
    """A wrapper of a user's, which reads what infos have at an episode's end."""

    def reset(self):
        return self.venv.reset()

    def step_wait(self):
        observations, rewards, dones, infos = self.venv.step_wait()
        self.seen = [infos[row] for row in np.flatnonzero(dones)]
        return observations, rewards, dones, infos


def dummy(**options):
    return DummyVecEnv([lambda: gym.make("textgym/DataToText-v0", reward=None, **options)] * 2)


@pytest.mark.parametrize("inside", [dummy, lambda: VecMonitor(make_vec_env("textgym/DataToText-v0", 2, reward=None))])
def test_a_reward_wrapper_around_any_vec_env_and_what_another_wrapper_sees(inside):
    env = Dropped(make_vec_env(inside(), wrappers=[Brief, lambda env: Brief(env, 1)]))
    end = env.get_attr("mdp", 0)[0].rules.eos_token_id
    env.reset()
    env.step(np.array([20, end]))
    _, rewards, dones, infos = env.step(np.array([end, 20]))
    assert rewards.tolist() == [pytest.approx(-2.2), 0]
    assert dones.tolist() == [True, False]
    assert infos[0]["untransformed_reward"] == 0
    (seen,) = env.seen
    prompt = env.get_attr("task", 0)[0][seen["prompt_id"]]
    assert (seen["prompt"], seen["references"], seen["metadata"]) == (prompt.text, prompt.references, prompt.metadata)
    assert seen["metadata"]["keywords"]
    assert env.get_attr("last_sample")[0].completion == seen["completion"]


def test_a_reward_wrapper_says_what_it_can_not_wrap():
    with pytest.raises(ConfigError, match="needs a VecEnv of text environments"):
        Brief(DummyVecEnv([lambda: gym.make("CartPole-v1")]))
    env = Brief(dummy(infos="none"))
    env.reset()
    with pytest.raises(ConfigError, match='Leave infos="all"'):
        env.step(np.array([env.get_attr("mdp", 0)[0].rules.eos_token_id] * 2))
    with pytest.raises(TypeError, match=r"make_vec_env\(id, wrappers=\[CompletionAction\]\)"):
        textgym.wrappers.CompletionAction(dummy())
    with pytest.raises(ConfigError, match="expected a list"):
        make_vec_env("textgym/Copy-v0", 1, wrappers=Brief)


def own_rows(reward):
    return make_vec_env(SingleEnvs([gym.make("textgym/Copy-v0", reward=reward) for _ in range(2)]))


def gymnasium_rows(reward):
    same = {"autoreset_mode": AutoresetMode.SAME_STEP}
    return make_vec_env(
        gym.make_vec("textgym/Copy-v0", 2, vectorization_mode="sync", reward=reward, vector_kwargs=same)
    )


@pytest.mark.parametrize(
    "made", [lambda reward: make_vec_env("textgym/Copy-v0", 2, reward=reward), own_rows, gymnasium_rows]
)
def test_a_reward_that_is_set_scores_every_row_and_rows_have_their_own_texts(made):
    env = Brief(made(None))
    env.set_attr("reward", lambda samples: [0.5] * len(samples))
    env.reset()
    end = env.observation_space.eos_token_ids[0]
    env.step(np.array([20, 21]))
    texts = env.get_attr("completion_so_far")
    assert texts[0] != texts[1] == env.get_attr("completion_so_far", 1)[0]
    _, rewards, _, _ = env.step(np.array([end, end]))
    assert rewards.tolist() == [pytest.approx(0.3)] * 2
    assert [sample.completion for sample in env.get_attr("last_sample")] == texts
    if made is not gymnasium_rows:  # whose get_attr calls what can be called
        assert env.get_attr("reward")[1]([0]) == [0.5]
    with pytest.raises(ConfigError, match="can't be set for rows 0 alone"):
        env.set_attr("reward", None, indices=0)


def test_an_algorithm_with_wrappers_by_the_list():
    ppo = make("ppo", "textgym/Copy-v0", tiny_model("gpt2"), n_envs=2, n_steps=8, wrappers=[Brief], env_kwargs=SMALL)
    assert isinstance(ppo.env.env, Brief)
    assert ppo.env.env.unwrapped.mdp.rules.max_new_tokens == 6


@pytest.mark.parametrize("id", ["textgym/Copy", "textgym/Copy-v0", "textgym/Copy-v1"])
def test_an_id_of_any_version_or_none_is_made_without_a_warning(id, recwarn):
    rewards = [repr(one) for one in make_vec_env(id, n_envs=2).get_attr("reward")]
    assert rewards == ["ChrF()" if id.endswith("-v0") else "BLEU()"] * 2
    assert not recwarn.list


def test_a_partner_with_a_least_length_of_each_turn_is_refused():
    single = gym.make("textgym/Copy-v1", partner=PARTNER, max_turns=2, min_new_tokens=1)
    many = {"n_envs": 2, "partner": PARTNER, "max_turns": 2, "min_new_tokens": 1}
    for made in (lambda: make_vec_env("textgym/Copy-v1", **many), lambda: make_vec_env(SingleEnvs([single]))):
        with pytest.raises(ConfigError, match="a partner and min_new_tokens=1, which counts from the beginning"):
            made()


def conversations(single):
    options = {"partner": PARTNER, "max_turns": 3, "max_prompt_tokens": 12, "max_new_tokens": 48}
    if single:
        return TextVecEnv(SingleEnvs([gym.make("textgym/Copy-v0", **options) for _ in range(4)]))
    return make_vec_env("textgym/Copy-v0", 4, **options)


def test_conversations_are_the_same_in_the_single_and_the_vector_form():
    """Random turns, each against the partner that the given seed makes."""
    envs, generator = [conversations(single) for single in (True, False)], np.random.default_rng(0)
    end = envs[0].observation_space.eos_token_ids[0]
    rows, going_on, ended = np.arange(4), [], []
    for env in envs:
        env.reset()
    for seeds in ([1, 1, 2, 2**62], [5, 6, 7, 8]):
        with envs[0].rows_wait(), envs[1].rows_wait():
            results = [(env.start(rows, np.array([3, 3, 4, 5]), partner_seeds=np.array(seeds)),) for env in envs]
            playing = np.ones(4, dtype=bool)
            while playing.any():
                single, vector = results
                assert all(np.array_equal(single[0][name], vector[0][name]) for name in vector[0])
                actions = np.where(generator.random(4) < 0.3, end, generator.integers(10, 60, size=4))
                results = [env.step(actions) for env in envs]
                (_, *values, infos), (_, *expected, wanted) = results
                assert all(np.array_equal(one, other) for one, other in zip(values, expected, strict=True))
                playing &= ~values[1]
                for row in rows:
                    assert infos[row].keys() == wanted[row].keys()
                    for name in ("turns", "completion", "finish_reason", "num_tokens", "reward_components"):
                        assert infos[row].get(name) == wanted[row].get(name)
                    for info in (infos[row], wanted[row]):
                        (ended if "episode" in info else going_on).append(info)
    assert len(ended) == 16
    assert len(going_on) > 100
    turns = [info["turns"] for info in going_on if info]
    assert len(turns) >= 16
    assert all(said[-1].speaker == "partner" and said[-1].token_ids for said in turns)
    for info in ended:  # rewards of turns are in the return, and lengths are of the policy's tokens
        of_turns = sum(turn.reward for turn in info["turns"])
        assert info["episode"]["r"] == pytest.approx(of_turns + info["reward_components"]["chrf"], abs=1e-5)
        assert info["episode"]["l"] == info["num_tokens"]


def test_rows_that_share_a_seed_meet_the_same_partner():
    for single in (True, False):
        env = conversations(single)
        env.reset()
        end = env.observation_space.eos_token_ids[0]
        with env.rows_wait():
            replies = []
            for seeds in ([9, 9, 9, 9], [1, 2, 3, 4]):
                env.start(np.arange(4), np.full(4, 3), partner_seeds=np.array(seeds))
                infos = env.step(np.full(4, end))[3]
                replies.append({info["turns"][-1].text for info in infos})
            assert len(replies[0]) == 1 < len(replies[1])
