"""How fast the library is: each part against the usual way to do the same thing, in the same process, taking turns.

Nothing is learnt here: weights and prompts are random. Timings are medians, and the ratio is that of the medians.
"""

import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from rich.console import Console
from rich.table import Table
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import DictRolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import obs_as_tensor
from tokenizers import Tokenizer, models
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from textgym.core import Prompt
from textgym.registration import env_id
from textgym.vector import TextGenerationVectorEnv
from textgym_agents.buffers import EpisodeRolloutBuffer
from textgym_agents.policies.causal import CausalLMPolicy
from textgym_agents.provenance import versions
from textgym_agents.vec_env import TextVecEnv

ROWS, PROMPT, NEW = 16, 32, 128  # texts at once, tokens of a prompt, tokens of a completion
VOCABULARY = 5000

Work = Callable[[], int]  # does something once and says how much it was


@dataclass(frozen=True)
class Timing:
    """Something timed against the usual way.

    Attributes:
        what: is timed, and how much work one repeat is.
        unit: of the speeds.
        ours, usual: speeds of all repeats, more is better.
        usual_name: what the usual way is.
        note: what the reader must know.
    """

    what: str
    unit: str
    ours: tuple[float, ...]
    usual: tuple[float, ...]
    usual_name: str
    note: str = ""

    @property
    def ratio(self) -> float:
        """How many times faster, by the medians."""
        return float(np.median(self.ours) / np.median(self.usual))


def measure(repeats: int = 5, threads: int = 1) -> list[Timing]:
    """All timings. Takes two minutes or so; the usual way to update is slow.

    Args:
        repeats: of each timing, after one that isn't counted.
        threads: of torch.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        rollouts = [time_rollout(repeats), time_rollout(repeats, ragged=True)]
        return [time_update(repeats), *rollouts, time_environments(repeats)]
    finally:
        torch.set_num_threads(before)


def time_update(repeats: int = 5, rows: int = ROWS, new_tokens: int = NEW) -> Timing:
    """One epoch of PPO on whole episodes, against SB3's own buffer, which gives every token its whole prefix."""
    ppo = _ppo(rows, new_tokens)
    stock = DictRolloutBuffer(new_tokens, ppo.observation_space, ppo.action_space, "cpu", n_envs=rows)  # type: ignore[arg-type]
    ours = ppo.rollout_buffer
    _fill(ppo, [ours, stock])

    def update(buffer: Any, tokens: int) -> Work:
        def run() -> int:
            ppo.rollout_buffer = buffer
            ppo.train()
            return tokens

        return run

    tokens = rows * new_tokens
    speeds = _alternate(update(ours, tokens), update(_FirstMinibatches(stock, 1), ppo.batch_size), repeats)
    return Timing(
        f"PPO update, {rows} texts of {PROMPT} + {new_tokens} tokens",
        "tokens/s",
        *speeds,
        usual_name="DictRolloutBuffer",
        note=f"SB3's own buffer gives every token its whole prefix. One epoch, minibatches of {ppo.batch_size} tokens; "
        f"the usual way timed on 1 of its {tokens // ppo.batch_size} minibatches.",
    )


def time_rollout(repeats: int = 5, rows: int = ROWS, new_tokens: int = NEW, *, ragged: bool = False) -> Timing:
    """SB3's unmodified ``collect_rollouts``, environment included, against ``model.generate`` alone.

    With ``ragged``, texts end at random: about one token in 80 is the end token.
    """
    allowed = tuple(range(1, 81)) if ragged else None
    ppo = _ppo(rows, new_tokens, allowed)
    policy: Any = ppo.policy
    _, callback = ppo._setup_learn(10**9, _Nothing())
    callback.on_training_start(locals(), globals())
    prompts = torch.as_tensor(ppo.env.reset()["input_ids"][:, :PROMPT])  # type: ignore[union-attr, call-overload]
    options: dict[str, Any] = {"min_new_tokens": new_tokens}
    if allowed is not None:
        options = {"suppress_tokens": [i for i in range(VOCABULARY) if i not in allowed]}

    def collect() -> int:
        ppo.collect_rollouts(ppo.env, callback, ppo.rollout_buffer, new_tokens)  # type: ignore[arg-type]
        return rows * new_tokens

    def generate() -> int:
        written = policy.lm.generate(
            prompts,
            attention_mask=torch.ones_like(prompts),
            do_sample=True,
            top_k=0,
            max_new_tokens=new_tokens,
            pad_token_id=0,
            eos_token_id=1,
            **options,
        )[:, PROMPT:]
        return int((written != 0).sum())  # what follows an end token is padding

    speeds = _alternate(collect, generate, repeats)
    note = (
        "Texts end at random. generate waits for the longest of a batch; only tokens of texts count."
        if ragged
        else "Equal lengths are the best case for generate. textgym also steps the environment, computes values and "
        "fills the buffer."
    )
    length = f"up to {new_tokens}" if ragged else str(new_tokens)
    what = f"rollout, {rows} texts of {PROMPT} + {length} tokens"
    return Timing(what, "tokens/s", *speeds, usual_name="model.generate", note=note)


def time_environments(repeats: int = 5, num_envs: int = 32, steps: int = 300) -> Timing:
    """The vector environment against Gymnasium's SyncVectorEnv of single ones, rewards off, random tokens."""
    native = gym.make_vec(env_id("DataToText"), num_envs, vectorization_mode="vector_entry_point", reward=None)
    sync = gym.make_vec(env_id("DataToText"), num_envs, vectorization_mode="sync", reward=None)
    tokens = int(native.single_action_space.n)  # type: ignore[attr-defined]
    actions = np.random.default_rng(0).integers(tokens, size=(steps, num_envs))

    def play(env: Any) -> Work:
        def run() -> int:
            env.reset(seed=0)
            for row in actions:
                env.step(row)
            return steps * num_envs

        return run

    speeds = _alternate(play(native), play(sync), repeats)
    what = f"vector environment, {num_envs} rows, no reward"
    return Timing(what, "steps/s", *speeds, usual_name="SyncVectorEnv", note="Random tokens, DataToText.")


class _Nothing(BaseCallback):
    def _on_step(self) -> bool:
        return True


class _FirstMinibatches:
    """A buffer that yields only its first few minibatches."""

    def __init__(self, buffer: Any, count: int) -> None:
        self.buffer, self.count = buffer, count

    def get(self, batch_size: int) -> Iterator[Any]:
        return islice(self.buffer.get(batch_size), self.count)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.buffer, name)


def _alternate(ours: Work, usual: Work, repeats: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Speeds of each repeat, the two taking turns so that a busy moment hits both. One turn each to warm up."""
    speeds: tuple[list[float], list[float]] = ([], [])
    for turn in range(repeats + 1):
        for run, found in zip((ours, usual), speeds, strict=True):
            started = time.perf_counter()
            work = run()
            if turn:
                found.append(work / (time.perf_counter() - started))
    return tuple(speeds[0]), tuple(speeds[1])


def _ppo(rows: int, new_tokens: int, allowed: tuple[int, ...] | None = None) -> PPO:
    """PPO with a random GPT-2 of 4.5 million parameters on random prompts.

    Every text has ``new_tokens`` tokens; with ``allowed`` (tokens, the end token among them) that is only the most.
    """
    rng = np.random.default_rng(0)
    prompts = [Prompt(" ".join(f"w{i}" for i in rng.integers(2, VOCABULARY, PROMPT))) for _ in range(64)]
    env = TextGenerationVectorEnv(
        rows,
        prompts,
        None,
        _tokenizer(),
        autoreset_mode=AutoresetMode.SAME_STEP,
        max_prompt_tokens=PROMPT,
        max_new_tokens=new_tokens,
        min_new_tokens=new_tokens if allowed is None else 0,
        allowed_tokens=allowed,
    )
    config = GPT2Config(
        vocab_size=VOCABULARY,
        n_positions=PROMPT + new_tokens,
        n_embd=256,
        n_layer=4,
        n_head=4,
        bos_token_id=1,
        eos_token_id=1,
        pad_token_id=0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model: Any = GPT2LMHeadModel(config)
    return PPO(
        CausalLMPolicy,
        TextVecEnv(env),
        n_steps=new_tokens,
        batch_size=new_tokens,
        n_epochs=1,
        gamma=1.0,
        learning_rate=1e-5,
        seed=0,
        device="cpu",
        rollout_buffer_class=EpisodeRolloutBuffer,
        policy_kwargs={"model": model},
    )


def _tokenizer() -> Any:
    words = {"[pad]": 0, "[end]": 1, **{f"w{i}": i for i in range(2, VOCABULARY)}}
    raw = Tokenizer(models.WordLevel(words, unk_token="[end]"))
    raw.pre_tokenizer = WhitespaceSplit()
    build: Any = PreTrainedTokenizerFast
    return build(tokenizer_object=raw, pad_token="[pad]", eos_token="[end]", unk_token="[end]")


@torch.no_grad()
def _fill(ppo: PPO, buffers: list[Any]) -> None:
    """The same rollout into all buffers, so that they hold the same tokens, values and log-probabilities."""
    env: Any = ppo.env
    env.seed(0)
    observation = env.reset()
    starts = np.ones(env.num_envs, dtype=bool)
    for buffer in buffers:
        buffer.reset()
    rng = np.random.default_rng(0)
    for _ in range(ppo.n_steps):
        actions, values, log_probs = ppo.policy(obs_as_tensor(observation, ppo.device))
        reward = rng.normal(size=env.num_envs).astype(np.float32)  # some advantage, so that there is a gradient
        for buffer in buffers:
            buffer.add(observation, actions.numpy()[:, None], reward, starts, values, log_probs)
        observation, _, starts, _ = env.step(actions.numpy())
    for buffer in buffers:
        buffer.compute_returns_and_advantage(last_values=torch.zeros(env.num_envs), dones=starts)
    ppo._logger = _quiet_logger()
    ppo._current_progress_remaining = 1.0


def _quiet_logger() -> Any:
    from stable_baselines3.common.logger import Logger

    return Logger(None, [])


def show(console: Console, timings: list[Timing]) -> None:
    """Medians, spread (lowest to highest) and ratios."""
    table = Table("", "the usual way")
    for name in ("textgym", "usual", "ratio"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in timings:
        ours, usual = _spread(one.ours), _spread(one.usual)
        what = f"{one.what} [dim]({one.unit})[/dim]"
        table.add_row(what, one.usual_name, ours, usual, f"[bold]{one.ratio:.2f}x[/bold]", end_section=True)
    console.print(table)
    for one in timings:
        console.print(f"[dim]{one.what}: {one.note}[/dim]", highlight=False)


def _spread(values: tuple[float, ...]) -> str:
    return f"{np.median(values):,.0f}\n[dim]{min(values):,.0f}–{max(values):,.0f}[/dim]"


def write(path: str | Path, timings: list[Timing], threads: int) -> None:
    """All numbers as JSON, with the machine and the versions."""
    content = {
        "timings": [{**asdict(one), "ratio": one.ratio} for one in timings],
        "threads": threads,
        "machine": {"processor": platform.machine(), "cores": os.cpu_count()},
        "versions": versions(),
    }
    Path(path).write_text(json.dumps(content, indent=2) + "\n")
