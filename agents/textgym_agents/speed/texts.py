"""Texts of random tokens, and PPO around a model: what the contestants work on.

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
from textgym_agents.speed.ends import end_tokens
from textgym_agents.speed.models import Subject, prompts

PROMPT = 32  # tokens of each prompt
PPO_ARGUMENTS: dict[str, Any] = {
    "n_epochs": 1,
    "gamma": 1.0,
    "gae_lambda": 1.0,
    "learning_rate": 1e-5,
    "ent_coef": 0.01,
    "vf_coef": 0.5,
    "clip_range": 0.2,
    "max_grad_norm": 1.0,
}
OPTIMIZER: dict[str, Any] = {"eps": 1e-2, "betas": (0.9, 0.99), "weight_decay": 0.0}


@dataclass(frozen=True)
class Shape:
    """How many texts there are and how long they get.

    Attributes:
        rows: texts at once.
        new_tokens: tokens of each completion; with ``mean_tokens`` the most that it can have.
        mean_tokens: mean length of completions that end at random; None: all have ``new_tokens``.
        prompt_tokens: tokens of each prompt.
        group: how many completions there are of each prompt, side by side.
    """

    rows: int
    new_tokens: int
    mean_tokens: float | None = None
    prompt_tokens: int = PROMPT
    group: int = 1

    def __str__(self) -> str:
        length = self.new_tokens if self.mean_tokens is None else f"{self.mean_tokens:g} (at most {self.new_tokens})"
        return f"{self.rows} texts of {self.prompt_tokens} + {length} tokens"


def make_env(subject: Subject, shape: Shape, *, masked: bool = True) -> TextVecEnv:
    """The vector environment, without a reward, in the form that SB3 takes. Prompts come in turn.

    Args:
        subject: whose tokenizer and form it takes.
        shape: of the texts.
        masked: mask the end token where texts are equally long; else who plays must avoid it.
    """
    equal = shape.mean_tokens is None and masked
    played = [prompt for prompt in prompts(subject, shape.prompt_tokens) for _ in range(shape.group)]
    return TextVecEnv(
        TextGenerationVectorEnv(
            shape.rows,
            played,
            None,
            subject.tokenizer,
            autoreset_mode=AutoresetMode.SAME_STEP,
            max_prompt_tokens=shape.prompt_tokens,
            max_new_tokens=shape.new_tokens,
            min_new_tokens=shape.new_tokens if equal else 0,
            eos_token_ids=end_tokens(subject, shape.mean_tokens, shape.new_tokens),
            sampling="sequential",
            form="seq2seq" if subject.seq2seq else "causal",
            decoder_start_token_id=0 if subject.seq2seq else None,
        )
    )


def make_ppo(
    subject: Subject,
    shape: Shape,
    *,
    n_steps: int | None = None,
    batch_size: int | None = None,
    masked: bool = True,
    **policy_kwargs: Any,
) -> PPO:
    """SB3's own PPO with the model as its policy.

    Args:
        subject: the model. The policy makes a copy of its own.
        shape: of the texts.
        n_steps: of a rollout. Default: as many as the longest text has tokens.
        batch_size: tokens of a minibatch. Default: those of a whole rollout.
        masked: see :func:`make_env`.
        policy_kwargs: more arguments of the policy.
    """
    n_steps = n_steps or shape.new_tokens
    model: Any = subject.model
    ppo = PPO(
        LanguageModelPolicy,
        make_env(subject, shape, masked=masked),
        n_steps=n_steps,
        batch_size=batch_size or n_steps * shape.rows,
        seed=0,
        device=model.device,
        rollout_buffer_class=EpisodeRolloutBuffer,
        policy_kwargs={
            "model": model,
            "dtype": str(model.dtype).removeprefix("torch."),
            "optimizer_kwargs": OPTIMIZER,
            **policy_kwargs,
        },
        **PPO_ARGUMENTS,
    )
    ppo.set_logger(Logger(None, []))
    ppo._current_progress_remaining = 1.0
    return ppo


@dataclass(frozen=True)
class Text:
    """One text of a rollout.

    Attributes:
        prompt: (tokens,) of the prompt.
        actions: (tokens,) of the completion.
        old_log_probs, advantages, returns: (tokens,) for PPO's loss.
    """

    prompt: NDArray[np.int64]
    actions: NDArray[np.int64]
    old_log_probs: NDArray[np.float32]
    advantages: NDArray[np.float32]
    returns: NDArray[np.float32]


class Filled(NamedTuple):
    """PPO with random texts in its buffer, the same texts for others to learn from, and in a buffer of SB3's own."""

    ppo: PPO
    texts: list[Text]
    stock: DictRolloutBuffer | None


def random_rollout(subject: Subject, shape: Shape, batch_size: int | None = None, *, stock: bool = False) -> Filled:
    """Make PPO, and fill its buffer with random tokens and rewards, so that there is something to learn everywhere.

    Where texts are equally long, no end token occurs and none is masked: the hand-written step knows no masks.

    Args:
        subject: the model.
        shape: of the texts.
        batch_size: tokens of a minibatch. Default: all.
        stock: fill a buffer of SB3's own as well. It holds every token's whole prefix.
    """
    ppo = make_ppo(subject, shape, batch_size=batch_size, masked=False)
    env: Any = ppo.env
    known: Any = {"gae_lambda": ppo.gae_lambda, "gamma": ppo.gamma, "n_envs": env.num_envs}
    plain = RolloutBuffer(ppo.n_steps, spaces.Box(0, 1, (1,)), spaces.Box(0, 1, (1,)), "cpu", **known)
    given: Any = {"observation_space": ppo.observation_space, "action_space": ppo.action_space, "device": ppo.device}
    own = DictRolloutBuffer(ppo.n_steps, **given, **known) if stock else None
    buffers: list[Any] = [ppo.rollout_buffer, *([own] if own is not None else [])]
    for buffer in buffers:
        buffer.reset()
    tokens = np.arange(subject.vocabulary)
    if shape.mean_tokens is None:
        tokens = tokens[tokens != subject.tokenizer.eos_token_id]
    rng = np.random.default_rng(0)
    env.seed(0)
    observation, starts = env.reset(), np.ones(env.num_envs, dtype=bool)
    prompts: dict[tuple[int, int], NDArray[np.int64]] = {}  # (row, step) of each beginning
    for step in range(ppo.n_steps):
        for row in np.flatnonzero(starts).tolist():
            prompts[row, step] = observation["input_ids"][row][observation["attention_mask"][row] == 1]
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
    return Filled(ppo, _texts(plain, prompts), own)


def _texts(plain: RolloutBuffer, prompts: dict[tuple[int, int], NDArray[np.int64]]) -> list[Text]:
    steps = len(plain.actions)
    beginnings = sorted(prompts)
    found = []
    for (row, start), after in zip(beginnings, [*beginnings[1:], None], strict=True):
        stop = after[1] if after is not None and after[0] == row else steps
        part = (slice(start, stop), row)
        found.append(
            Text(
                prompts[row, start],
                plain.actions[part].reshape(-1).astype(np.int64),
                plain.log_probs[part],
                plain.advantages[part],
                plain.returns[part],
            )
        )
    return found
