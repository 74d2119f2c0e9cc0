"""Which scalars each algorithm logs, by letting each learn for a moment."""

from collections.abc import Mapping
from typing import Any

SMALL_TASK = {"max_prompt_tokens": 8, "max_new_tokens": 4}
# Settings with which an update comes soon; an algorithm that isn't here does with its defaults.
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "ppo": {"n_steps": 8, "batch_size": 32, "clip_range_vf": 0.2},
    "a2c": {"n_steps": 8},
    "trpo": {"n_steps": 8, "batch_size": 32},
    "maskable_ppo": {"n_steps": 8, "batch_size": 32, "clip_range_vf": 0.2},
    "nlpo": {"n_steps": 8, "batch_size": 32, "clip_range_vf": 0.2},
    "reinforce": {"prompts_per_rollout": 8},
    "scst": {"prompts_per_rollout": 4},
    "rloo": {"prompts_per_rollout": 4, "group_size": 2},
    "grpo": {"prompts_per_rollout": 4, "group_size": 2},
    "dqn": {"train_freq": 8, "batch_size": 32},
    "qrdqn": {"train_freq": 8, "batch_size": 32},
    "q_learning": {"prompts_per_rollout": 8},
    "sarsa": {"prompts_per_rollout": 8},
    "ilql": {"prompts_per_rollout": 8},
    "bc": {"references_per_rollout": 4},
    "ars": {"n_delta": 1, "n_eval_episodes": 4},
}


def logged_by(name: str, *, callbacks: bool = False) -> set[str]:
    """The scalars that an algorithm logs; with ``callbacks``, those of the package's callbacks too."""
    from stable_baselines3.common.logger import KVWriter, Logger

    import textgym_agents
    from textgym_agents import EvaluateCallback, HealthCheck, Schedules, TextLogger

    seen: set[str] = set()

    class Names(KVWriter):
        def write(self, key_values: dict[str, Any], key_excluded: dict[str, Any], step: int = 0) -> None:
            seen.update(key_values)

        def close(self) -> None:
            pass

    settings = {**SETTINGS.get(name, {}), **({"reward_transform": "scale=1"} if callbacks else {})}
    algorithm = textgym_agents.make(name, "textgym/Copy-v0", n_envs=4, env_kwargs=SMALL_TASK, **settings)
    algorithm.set_logger(Logger(None, [Names()]))
    evaluation = EvaluateCallback("textgym/Copy-v0", every=32, num_prompts=4, env_kwargs=SMALL_TASK)
    used = [HealthCheck(), TextLogger(), evaluation, Schedules(learning_rate=1e-3)] if callbacks else None
    algorithm.learn(96, callback=used, log_interval=1)
    return seen


def trained() -> list[str]:
    """The algorithms that learn."""
    from textgym_agents.algorithms import ALGORITHMS

    return [name for name, row in ALGORITHMS.items() if row.family != "baseline"]


def loggers() -> dict[str, list[str]]:
    """Scalar -> the algorithms that log it, in the order of their table. Takes some twenty seconds."""
    found: dict[str, list[str]] = {}
    for name in trained():
        for scalar in logged_by(name):
            found.setdefault(scalar, []).append(name)
    return found


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
