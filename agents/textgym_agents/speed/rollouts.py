"""PPO around a model, and rollouts of random tokens: what the entries work on.

An update costs the same whatever its tokens are, so it needs no rollout of the model: random actions fill the buffer.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import DictRolloutBuffer, RolloutBuffer
from stable_baselines3.common.logger import Logger

from textgym.vector import TextGenerationVectorEnv
from textgym_agents.buffers.rollout import EpisodeRolloutBuffer
from textgym_agents.envs.vec_env import TextVecEnv
from textgym_agents.policies.base import LanguageModelPolicy
from textgym_agents.speed.end_tokens import end_tokens
from textgym_agents.speed.models import Subject, prompts

PROMPT = 32  # tokens of each prompt
PPO_ARGUMENTS: dict[str, Any] = {"n_epochs": 1, "gamma": 1.0, "gae_lambda": 1.0, "learning_rate": 1e-5}
PPO_ARGUMENTS |= {"ent_coef": 0.01, "vf_coef": 0.5, "clip_range": 0.2, "max_grad_norm": 1.0}
OPTIMIZER: dict[str, Any] = {"eps": 1e-2, "betas": (0.9, 0.99), "weight_decay": 0.0}


@dataclass(frozen=True)
class Shape:
    """How many episodes there are and how long they get."""

    rows: int  # episodes at once
    new_tokens: int  # of each completion; with ``mean_tokens`` the most that it can have
    mean_tokens: float | None = None  # of completions that end at random; None: all have ``new_tokens``
    prompt_tokens: int = PROMPT  # of each prompt
    group: int = 1  # completions of each prompt, side by side

    def __str__(self) -> str:
        length = self.new_tokens if self.mean_tokens is None else f"{self.mean_tokens:g} (at most {self.new_tokens})"
        return f"{self.rows} episodes of {self.prompt_tokens} + {length} tokens"


MIXED = Shape(16, 64, mean_tokens=25)  # completions that end at different times


def make_env(one: Subject, shape: Shape, *, masked: bool = True) -> TextVecEnv:
    """The vector environment for a model, without a reward, in the form that SB3 takes. Prompts come in turn.

    Where all completions are equally long, the end token is masked, or must be avoided if ``masked`` is False.
    """
    equal = shape.mean_tokens is None and masked
    played = [prompt for prompt in prompts(one.vocabulary, shape.prompt_tokens) for _ in range(shape.group)]
    lengths: Any = {"max_prompt_tokens": shape.prompt_tokens, "max_new_tokens": shape.new_tokens}
    lengths["min_new_tokens"] = shape.new_tokens if equal else 0
    lengths["eos_token_ids"] = end_tokens(one, shape.mean_tokens, shape.new_tokens)
    form: Any = {"form": "seq2seq", "decoder_start_token_id": 0} if one.seq2seq else {}
    order: Any = {"sampling": "sequential", "autoreset_mode": AutoresetMode.SAME_STEP}
    return TextVecEnv(TextGenerationVectorEnv(shape.rows, played, None, one.tokenizer, **lengths, **form, **order))


def make_ppo(one: Subject, env: Any, *, n_steps: int, batch_size: int | None = None, **policy_kwargs: Any) -> PPO:
    """SB3's own PPO with a copy of the model as its policy; a minibatch is a whole rollout unless said otherwise."""
    model: Any = one.model
    precision = str(model.dtype).removeprefix("torch.")
    ppo = PPO(
        LanguageModelPolicy,
        env,
        n_steps=n_steps,
        batch_size=batch_size or n_steps * env.num_envs,
        seed=0,
        device=model.device,
        rollout_buffer_class=EpisodeRolloutBuffer,
        policy_kwargs={
            "model": model,
            "dtype": precision,
            "optimizer_kwargs": OPTIMIZER,
            "temperature_lr": 0,
            **policy_kwargs,
        },
        **PPO_ARGUMENTS,
    )
    ppo.set_logger(Logger(None, []))
    return ppo


class Episode(NamedTuple):
    """One episode of a rollout: (tokens,) of the prompt, the rest (tokens,) of the completion."""

    prompt: NDArray[np.int64]
    actions: NDArray[np.int64]
    old_log_probs: NDArray[np.float32]
    advantages: NDArray[np.float32]
    returns: NDArray[np.float32]


class Filled(NamedTuple):
    """PPO with a rollout in its buffer, the episodes for others to learn from, and a buffer of SB3's own with them."""

    ppo: PPO
    episodes: list[Episode]
    stock: DictRolloutBuffer | None


def random_rollout(one: Subject, shape: Shape, batch_size: int | None = None, *, stock: bool = False) -> Filled:
    """Make PPO, and fill its buffer with random tokens and rewards, so that no gradient vanishes.

    Where completions are equally long, no end token occurs and none is masked: the hand-written step has no masks.
    With ``stock`` a buffer of SB3's own is filled as well; it holds every token's whole prefix.
    """
    env: Any = make_env(one, shape, masked=False)
    ppo = make_ppo(one, env, n_steps=shape.new_tokens, batch_size=batch_size)
    options: Any = {"gae_lambda": ppo.gae_lambda, "gamma": ppo.gamma, "n_envs": env.num_envs}
    plain = RolloutBuffer(ppo.n_steps, spaces.Box(0, 1, (1,)), spaces.Box(0, 1, (1,)), "cpu", **options)
    spaces_of: Any = (ppo.observation_space, ppo.action_space, ppo.device)
    own = DictRolloutBuffer(ppo.n_steps, *spaces_of, **options) if stock else None
    buffers: list[Any] = [ppo.rollout_buffer, *([] if own is None else [own])]
    tokens = np.arange(one.vocabulary)
    if shape.mean_tokens is None:
        tokens = tokens[tokens != one.tokenizer.eos_token_id]
    rng = np.random.default_rng(0)
    env.seed(0)
    observation, starts = env.reset(), np.ones(env.num_envs, dtype=bool)
    begun: dict[tuple[int, int], NDArray[np.int64]] = {}  # the prompt of the episode that begins at (row, step)
    for step in range(ppo.n_steps):
        for row in np.flatnonzero(starts).tolist():
            begun[row, step] = observation["input_ids"][row][observation["attention_mask"][row] == 1]
        actions = tokens[rng.integers(len(tokens), size=env.num_envs)]
        rewards = rng.normal(size=env.num_envs).astype(np.float32)
        values = torch.as_tensor(rng.normal(size=(env.num_envs, 1)).astype(np.float32))
        log_probs = torch.as_tensor(rng.normal(-math.log(len(tokens)), 0.1, env.num_envs).astype(np.float32))
        for buffer in buffers:
            buffer.add(observation, actions[:, None], rewards, starts, values, log_probs)
        plain.add(np.zeros((env.num_envs, 1)), actions[:, None], rewards, starts, values, log_probs)
        observation, _, starts, _ = env.step(actions)
    for buffer in [*buffers, plain]:
        buffer.compute_returns_and_advantage(last_values=torch.zeros(env.num_envs, 1), dones=starts)
    return Filled(ppo, _episodes(plain, begun, starts), own)


def _episodes(
    plain: RolloutBuffer, begun: dict[tuple[int, int], NDArray[np.int64]], ended: NDArray[np.bool_]
) -> list[Episode]:
    """Those that aren't cut by the rollout's end, at which ``ended`` (rows,) says where one ended."""
    columns: list[Any] = [plain.actions[..., 0].astype(np.int64), plain.log_probs, plain.advantages, plain.returns]
    episodes = []
    for row, start in sorted(begun):
        stop = min((step for other, step in begun if other == row and step > start), default=len(plain.actions))
        if stop == len(plain.actions) and not ended[row]:
            continue
        episodes.append(Episode(begun[row, start], *(column[start:stop, row] for column in columns)))
    return episodes
