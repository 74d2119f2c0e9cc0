"""What was accepted without a word, and gave wrong results: each is refused, warned of, or done."""

import warnings

import gymnasium as gym
import numpy as np
import pytest
from datasets import Dataset
from stable_baselines3.common.buffers import DictRolloutBuffer
from stable_baselines3.common.vec_env import DummyVecEnv

import textgym
from textgym.errors import ConfigError, SeedError, TokenizerError
from textgym.rewards import parse_reward
from textgym_agents import evaluate, make, make_vec_env
from textgym_agents.evaluation.held_out import load_policy

ID = "textgym/Copy-v0"


@pytest.mark.parametrize("seed", [0, 7])
def test_the_seed_of_the_task_reaches_the_task(seed):
    expected = gym.make(ID, seed=seed).unwrapped.task[0]
    made = make("zero_shot", ID, n_envs=1, env_kwargs={"seed": seed})
    assert made.env.env.unwrapped.task[0] == expected
    assert make_vec_env(ID, 1, env_kwargs={"seed": seed}, max_new_tokens=3).env.unwrapped.task[0] == expected
    first = gym.make(ID, seed=seed, split="test").unwrapped.task[0]
    policy = load_policy("textgym/small", ID, {"seed": seed, "max_new_tokens": 1})
    evaluation = evaluate(policy, ID, 1, env_kwargs={"seed": seed, "max_new_tokens": 1})
    assert evaluation.samples[0].prompt == first.text
    assert (first == gym.make(ID, split="test").unwrapped.task[0]) == (seed == 0)


def test_a_seed_of_the_task_that_makes_no_sense_is_refused():
    with pytest.raises(SeedError):
        make("ppo", ID, n_envs=1, env_kwargs={"seed": -1})


@pytest.mark.parametrize("references", ["the ref", 5, None, {"a"}, b"ref"])
def test_references_that_are_no_tuple(references):
    with pytest.raises(ConfigError, match=r"references.*tuple of strings"):
        textgym.Prompt("a", references)


def test_a_string_as_references_of_a_sample():
    with pytest.raises(ConfigError, match="tuple of strings"):
        textgym.Sample("a", "b", "the ref")


@pytest.mark.parametrize("text", [5, None, b"a", ["a"]])
def test_a_prompt_is_a_string(text):
    with pytest.raises(ConfigError, match="expected a string"):
        textgym.Prompt(text)


class TwoTurns(gym.Wrapper):
    """After a completion a second turn begins with another prompt."""

    def reset(self, **arguments):
        self.turn = 0
        return self.env.reset(**arguments)

    def step(self, action):
        observation, reward, terminated, truncated, info = self.env.step(action)
        if (terminated or truncated) and self.turn == 0:
            self.turn = 1
            observation, _ = self.env.reset()
            terminated = truncated = False
            info = {}
        return observation, reward, terminated, truncated, info


@pytest.mark.parametrize("algorithm", ["reinforce", "scst", "rloo", "grpo", "q_learning", "sarsa", "ppo", "a2c", "dqn"])
def test_algorithms_refuse_an_environment_of_several_turns(algorithm):
    def one():
        return TwoTurns(gym.make(ID, max_new_tokens=3))

    sizes = {
        "ppo": {"n_steps": 8, "batch_size": 16},
        "a2c": {"n_steps": 8},
        "dqn": {"buffer_size": 100, "train_freq": 8},
    }
    made = make(algorithm, DummyVecEnv([one] * 2), seed=0, **sizes.get(algorithm, {}))
    with pytest.raises(ConfigError, match="by one token"):
        made.learn(64)


@pytest.mark.parametrize("kl_coef", [None, 0.1])
def test_a_buffer_that_would_drop_the_kl_penalty_is_refused(kl_coef):
    options = {"rollout_buffer_class": DictRolloutBuffer, "n_envs": 2, "n_steps": 4, "batch_size": 8}
    with pytest.raises(ConfigError, match="DictRolloutBuffer, which puts no KL penalty into rewards: pass kl_coef=0"):
        make("ppo", ID, kl_coef=kl_coef, **options)
    several_turns = DummyVecEnv([lambda: TwoTurns(gym.make(ID, max_new_tokens=3))] * 2)
    assert make("ppo", several_turns, kl_coef=0, **options).learn(8).num_timesteps == 8


def test_a_reward_whose_field_is_missing_says_so():
    places = Dataset.from_dict({"meaning_representation": ["a b c"], "human_reference": ["A."]})
    env = gym.make("textgym/DataToText-v0", dataset=places, reward=parse_reward("0.5*bleu + 0.5*coverage"))
    env.reset()
    *tokens, last = env.unwrapped.encode_completion(" A.")
    for token in tokens:
        env.step(token)
    with pytest.warns(UserWarning, match=r"'coverage' abstains: prompt 0 has no metadata\['keywords'\]"):
        *_, info = env.step(last)
    assert "coverage" not in info["reward_components"]


def test_truncated_prompts_are_warned_of_once():
    prompts = [textgym.Prompt("a " * (40 if i % 8 == 0 else 4)) for i in range(400)]
    env = textgym.TextGenerationEnv(prompts, max_prompt_tokens=16, max_new_tokens=4)
    with pytest.warns(UserWarning, match=r"50 of 200 prompts \(25%\).*max_prompt_tokens=16.*on the left"):
        env.reset(options={"prompt_id": 0})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env.reset(options={"prompt_id": 8})


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb"])
def test_a_lone_surrogate_is_an_error_of_ours(text):
    env = textgym.TextGenerationEnv([textgym.Prompt(text)], max_prompt_tokens=8, max_new_tokens=4)
    with pytest.raises(TokenizerError, match="prompt"):
        env.reset()
    with pytest.raises(TokenizerError, match="completion"):
        env.encode_completion(text)


def test_a_chat_template_that_raises_is_an_error_of_ours():
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(textgym.tokenizer.builtin_folder())
    for template in ("{{ raise_exception('no') }}", "{% for", "{{ messages[9]['x'] }}", "{{ 1 / 0 }}"):
        tokenizer.chat_template = template
        env = textgym.TextGenerationEnv(
            [textgym.Prompt("a")], tokenizer=tokenizer, chat=True, max_prompt_tokens=8, max_new_tokens=4
        )
        with pytest.raises(TokenizerError, match="chat template"):
            env.reset()


BYTES = [*(chr(c) for c in range(32) if chr(c) not in "\n\t"), "\x7f", *map(chr, range(0x80, 0xA0)), "\u202e", "\u2066"]


def test_no_control_reaches_a_terminal(capsys):
    text = "x".join(BYTES)
    prompts = [textgym.Prompt(text, (text,))]
    env = textgym.TextGenerationEnv(
        prompts, render_mode="human", max_prompt_tokens=400, max_new_tokens=400, reward=lambda s: np.ones(len(s))
    )
    env.reset()
    for token in env.encode_completion(text):
        env.step(token)
    shown = capsys.readouterr().out
    assert shown.count("x") >= 2 * (len(BYTES) - 1)
    assert not set(BYTES) & set(shown)
