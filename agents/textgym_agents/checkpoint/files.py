"""Writing and reading checkpoints."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor

from textgym.border import reading
from textgym.errors import ConfigError
from textgym_agents.checkpoint import parts
from textgym_agents.checkpoint.parts import arguments_of, empty_caches
from textgym_agents.checkpoint.plain_state import pack, unpack
from textgym_agents.storage import beside, replacing_folder

FORMAT = 2
STATE, TENSORS, SUMS = "state.json", "tensors.safetensors", "SHA256SUMS"
WHAT_TO_DO = "A checkpoint that isn't as it was saved is not used: put a copy of it back, or begin again."


def save_checkpoint(
    algorithm: BaseAlgorithm,
    folder: str | Path,
    *,
    callbacks: Mapping[str, BaseCallback] | None = None,
    more: Mapping[str, Any] | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> None:
    """Write everything that training needs to continue. Call it between an update and the next rollout.

    The folder is complete at any time: a new checkpoint is written beside it and takes its place when it is whole.
    Key-value caches are emptied, because a run that continues from here begins with empty ones.

    Args:
        algorithm: one that ``learn`` has been called on.
        folder: what is there is replaced.
        callbacks: those whose state goes along, by name.
        more: further plain values, which :func:`load_checkpoint` returns.
        arguments: of the algorithm, from :func:`arguments_of`, if they have been changed since it was made.

    Raises:
        ConfigError: the environment or the KL controller has no ``get_state``, or the folder holds something else.
        StorageError: the disk is full. The checkpoint before stays.

    >>> import tempfile, textgym_agents
    >>> options = dict(env="textgym/Copy-v1", n_envs=4, n_steps=8, batch_size=16)
    >>> ppo = textgym_agents.make("ppo", **options, seed=0).learn(32)
    >>> again = textgym_agents.make("ppo", **options)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_checkpoint(ppo, f"{folder}/checkpoint")
    ...     _ = load_checkpoint(again, f"{folder}/checkpoint")
    >>> actions = [one.learn(32, reset_num_timesteps=False).rollout_buffer.actions for one in (ppo, again)]
    >>> again.num_timesteps, bool((actions[0] == actions[1]).all())
    (64, True)
    """
    policy: Any = algorithm.policy
    empty_caches(algorithm)
    tensors: dict[str, Tensor] = {}
    for part, weights in parts.weights(policy).items():
        tensors |= {f"{part}/{name}": tensor for name, tensor in weights.items()}
    state = {
        "format": FORMAT,
        "algorithm": type(algorithm).__name__,
        "num_timesteps": algorithm.num_timesteps,
        "arguments": dict(arguments_of(algorithm) if arguments is None else arguments),
        "parts": {name: parts.pack_part(part, name, tensors) for name, part in parts.stateful(algorithm).items()},
        "callbacks": {
            name: parts.pack_part(one, f"callback/{name}", tensors) for name, one in (callbacks or {}).items()
        },
        "optimizers": {
            name: pack(optimizer.state_dict(), f"optimizer/{name}", tensors)
            for name, optimizer in parts.optimizers(algorithm).items()
        },
        "random": pack(parts.random_state(algorithm), "random", tensors),
        "more": pack(dict(more or {}), "more", tensors),
    }
    _write(Path(folder), state, tensors)


def load_checkpoint(
    algorithm: BaseAlgorithm, folder: str | Path, *, callbacks: Mapping[str, BaseCallback] | None = None
) -> dict[str, Any]:
    """Put a checkpoint's state into an algorithm that was just made with the same arguments.

    Then ``algorithm.learn(further, reset_num_timesteps=False)`` continues. SB3's schedules follow the share of the
    steps that ``learn`` is called for, so that ``further`` is what was left of the whole. Sets the global random states
    of torch, numpy and Python, which SB3 uses.

    Args:
        algorithm: whose state is replaced.
        folder: as for :func:`save_checkpoint`.
        callbacks: those to restore, under the names that they were saved with.

    Returns:
        What was given to :func:`save_checkpoint` as ``more``.

    Raises:
        ConfigError: there is no checkpoint, it isn't as it was saved, or the algorithm, its model or its environment
            was made with other arguments. Then the algorithm may have changed in part, and must be made again.
    """
    with reading("checkpoint", folder, ConfigError, WHAT_TO_DO):
        return _restore(algorithm, folder, dict(callbacks or {}))


def _restore(algorithm: BaseAlgorithm, folder: str | Path, callbacks: dict[str, BaseCallback]) -> dict[str, Any]:
    state, tensors = read_checkpoint(folder)
    if state["algorithm"] != type(algorithm).__name__:
        raise ConfigError(f"{folder} is a checkpoint of {state['algorithm']}, this is {type(algorithm).__name__}.")
    parts.check_arguments(state["arguments"], arguments_of(algorithm), folder)
    parts.load_weights(algorithm.policy, tensors, folder)
    stateful, optimizers = parts.stateful(algorithm), parts.optimizers(algorithm)
    known = {name: saved for name, saved in state["callbacks"].items() if name in callbacks}
    for what, saved, here in (
        ("parts", state["parts"], stateful),
        ("optimizers", state["optimizers"], optimizers),
        ("callbacks", known, callbacks),
    ):
        if saved.keys() != here.keys():
            raise ConfigError(f"{folder} has the {what} {', '.join(saved)}; here there are {', '.join(here)}.")
    for name, optimizer in optimizers.items():
        try:
            optimizer.load_state_dict(unpack(state["optimizers"][name], tensors))
        except ValueError as error:
            raise ConfigError(f"The optimizer of {folder} trains other weights: {error}.") from None
    for name, part in {**stateful, **callbacks}.items():
        parts.unpack_part(part, {**state["parts"], **known}[name], tensors)
    parts.set_random_state(algorithm, state["random"], tensors)
    empty_caches(algorithm)
    more: dict[str, Any] = unpack(state["more"], tensors)
    return more


def read_checkpoint(folder: str | Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """``state.json`` and ``tensors.safetensors`` of a checkpoint.

    Raises:
        ConfigError: there is none, one of another format, or one that isn't as it was saved.
    """
    state, whole = read_state(folder), find_checkpoint(folder)
    assert whole is not None
    _check_sum(whole, TENSORS)
    with reading("checkpoint", whole, ConfigError, WHAT_TO_DO):
        return state, load_file(whole / TENSORS)


def read_state(folder: str | Path) -> dict[str, Any]:
    """``state.json`` of a checkpoint alone.

    Raises:
        ConfigError: there is none, one of another format, or one that isn't as it was saved.
    """
    whole = find_checkpoint(folder)
    if whole is None:
        raise ConfigError(f"There is no checkpoint in {str(folder)!r}: no {STATE}.")
    _check_sum(whole, STATE)
    with reading("checkpoint", whole, ConfigError, WHAT_TO_DO):
        state: dict[str, Any] = json.loads((whole / STATE).read_text(encoding="utf-8"))
        if state.get("format") != FORMAT:
            raise ConfigError(f"{whole} has the format {state.get('format')!r}, this version reads {FORMAT}.")
        tokens = state["num_timesteps"]
        if type(tokens) is not int or tokens < 0:
            raise ConfigError(f"{whole / STATE} has num_timesteps={tokens!r}, expected a count. {WHAT_TO_DO}")
        return state


def find_checkpoint(folder: str | Path) -> Path | None:
    """Where the newest whole checkpoint is: the folder, or the one before if its replacement was cut short."""
    folder = Path(folder)
    return next((one for one in (folder, beside(folder)[1]) if (one / STATE).is_file()), None)


def _write(folder: Path, state: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    with replacing_folder(folder, "a checkpoint", (STATE, TENSORS, SUMS)) as new:
        save_file(_separate(tensors), new / TENSORS)
        (new / STATE).write_text(json.dumps(state, allow_nan=False) + "\n", encoding="utf-8")
        # In the format of the tool sha256sum, whose option --check reads it.
        lines = [f"{_sum(new / name)}  {name}\n" for name in (STATE, TENSORS)]
        (new / SUMS).write_text("".join(lines), encoding="ascii")


def _sum(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_sum(folder: Path, name: str) -> None:
    """Raises ConfigError for a file that isn't as it was saved."""
    with reading("checkpoint", folder, ConfigError, WHAT_TO_DO):
        lines = (folder / SUMS).read_text(encoding="ascii").splitlines()
        expected = {line[66:]: line[:64] for line in lines}.get(name)
        actual = _sum(folder / name)
    if actual != expected:
        raise ConfigError(
            f"{folder / name} has changed since it was saved: its SHA-256 is {actual[:16]}..., and {SUMS} has "
            f"{str(expected)[:16]}... {WHAT_TO_DO}"
        )


def _separate(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """On the CPU, each in memory of its own, as safetensors wants them."""
    separate: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        address = tensor.untyped_storage().data_ptr()
        separate[name] = tensor.clone() if address in seen else tensor
        seen.add(address)
    return separate
