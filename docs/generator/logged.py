"""Which scalars each algorithm logs, by letting each learn for a moment."""

from collections.abc import Mapping
from typing import Any

SMALL_TASK = {"max_prompt_tokens": 8, "max_new_tokens": 4}
# Beside the small settings of each row: what makes PPO log all that it can.
SETTINGS: Mapping[str, Mapping[str, Any]] = {name: {"clip_range_vf": 0.2} for name in ("ppo", "maskable_ppo", "nlpo")}


def logged_by(name: str, *, callbacks: bool = False) -> set[str]:
    """The scalars that an algorithm logs; with ``callbacks``, those of the package's callbacks too."""
    from stable_baselines3.common.logger import KVWriter, Logger

    import textgym_agents
    from textgym_agents import EvaluateCallback, HealthCheck, NoiseScale, Schedules, TextLogger

    seen: set[str] = set()

    class Names(KVWriter):
        def write(self, key_values: dict[str, Any], key_excluded: dict[str, Any], step: int = 0) -> None:
            seen.update(key_values)

        def close(self) -> None:
            pass

    settings = {
        **textgym_agents.ALGORITHMS[name].small,
        **SETTINGS.get(name, {}),
        **({"reward_transform": "scale=1"} if callbacks else {}),
    }
    algorithm = textgym_agents.make(name, "textgym/Copy-v1", _tiny_model(), n_envs=4, env_kwargs=SMALL_TASK, **settings)
    algorithm.set_logger(Logger(None, [Names()]))
    evaluation = EvaluateCallback("textgym/Copy-v1", every=32, num_prompts=4, env_kwargs=SMALL_TASK)
    used = [NoiseScale(), HealthCheck(), TextLogger(), evaluation, Schedules(learning_rate=1e-3)]
    algorithm.learn(96, callback=used if callbacks else None, log_interval=1)
    return seen


def _tiny_model() -> Any:
    """A model without training, of the built-in tokenizer: names don't depend on it."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    from textgym.tokenizer import builtin_tokenizer

    tokenizer = builtin_tokenizer()
    tokens = {"bos_token_id": tokenizer.eos_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = GPT2Config(vocab_size=len(tokenizer), n_positions=64, n_embd=16, n_layer=1, n_head=2, **tokens)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return GPT2LMHeadModel(config)


def trained() -> list[str]:
    """The algorithms that learn."""
    from textgym_agents.algorithms import ALGORITHMS

    return [name for name, row in ALGORITHMS.items() if row.family != "baseline"]


def loggers() -> dict[str, list[str]]:
    """Scalar -> the algorithms that log it, in the order of their table. Takes some seconds."""
    algorithms: dict[str, list[str]] = {}
    for name in trained():
        for scalar in logged_by(name):
            algorithms.setdefault(scalar, []).append(name)
    return algorithms


def as_cell(names: list[str]) -> str:
    """How the table of scalars names the algorithms that log one."""
    others = [name for name in trained() if name not in names]
    if len(others) > 5:
        return ", ".join(names)
    return "every algorithm" + (f" but {', '.join(others)}" if others else "")


def named_in(cell: str) -> set[str]:
    """The algorithms that a cell names: the inverse of ``as_cell``. Callbacks are no algorithms."""
    if cell.startswith("every algorithm"):
        return {*trained()} - {*cell.removeprefix("every algorithm").removeprefix(" but ").split(", ")}
    return {*cell.split(", ")} & {*trained()}
