"""What of an algorithm belongs to a checkpoint, and how it comes back."""

import hashlib
import inspect
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import Tensor, nn

from textgym.border import existing
from textgym.errors import ConfigError
from textgym_agents.checkpoint.plain_state import NotPlain, pack, unpack
from textgym_agents.models.slot_caches import SlotCaches
from textgym_agents.report.provenance import model_hash

LEFT_OUT = {
    *("start_time", "_num_timesteps_at_start"),  # clocks of the process
    *("_total_timesteps", "locals", "globals", "model", "parent", "_logger", "_custom_logger"),  # learn() sets these
    *("policy", "optimizer", "reference", "rollout_buffer", "replay_buffer"),  # saved by other means
    *("env", "venv", "envs", "mdp", "task", "reward", "tokenizer", "observation_space", "action_space", "lr_schedule"),
    *("caches", "init_arguments", "_parameters", "_buffers", "_modules", "_cached_spec"),
}
LONGEST = 1000  # of an argument's text
# The result of training doesn't depend on these.
MAY_DIFFER = {"seed", "verbose", "tensorboard_log", "device", "_init_setup_model"}

# ---------------------------------------------------------------------- weights and optimizers


def weights(policy: Any) -> dict[str, dict[str, Tensor]]:
    """Of the policy, each once, without those that adapters leave as they were loaded; and of its reference model."""
    left_out = set()
    if getattr(policy, "peft_model", None) is not None:
        adapters = set(policy.peft_model.peft_config)  # their names are parts of their weights' names
        base = {name: p for name, p in policy.lm.named_parameters() if not adapters & {*name.split(".")}}
        left_out = {id(p) for p in base.values() if not p.requires_grad}
    by_owner: dict[str, dict[str, Tensor]] = {"policy": {}}
    for name, tensor in policy.state_dict(keep_vars=True).items():
        if id(tensor) not in left_out:
            by_owner["policy"][name] = tensor
            left_out.add(id(tensor))  # tied weights have two names
    copy = getattr(getattr(policy, "reference", None), "copy", None)
    if isinstance(copy, nn.Module):  # a warm start moves it
        by_owner["reference"] = dict(copy.named_parameters())
    return by_owner


def load_weights(policy: Any, tensors: Mapping[str, Tensor], folder: str | Path) -> None:
    for part, here in weights(policy).items():
        saved = {name.removeprefix(f"{part}/"): t for name, t in tensors.items() if name.startswith(f"{part}/")}
        for name in [*here, *saved]:
            shapes = [tuple(where[name].shape) if name in where else None for where in (saved, here)]
            if shapes[0] != shapes[1]:
                said = ["nothing" if shape is None else f"the shape {shape}" for shape in shapes]
                raise ConfigError(
                    f"{folder} has {said[0]} for {name} of the {part}, and here there is {said[1]}. Make the algorithm "
                    "with the same model and policy_kwargs."
                )
        with torch.no_grad():
            for name, tensor in here.items():
                tensor.copy_(saved[name])


def optimizers(algorithm: BaseAlgorithm) -> dict[str, torch.optim.Optimizer]:
    return {
        f"{owner}.{name}": value
        for owner, attributes in (("policy", vars(algorithm.policy)), ("algorithm", vars(algorithm)))
        for name, value in attributes.items()
        if isinstance(value, torch.optim.Optimizer)
    }


# ---------------------------------------------------------------------- everything else


def stateful(algorithm: BaseAlgorithm) -> dict[str, Any]:
    """What has attributes to save, by name."""
    parts: dict[str, Any] = {"algorithm": algorithm, "policy": algorithm.policy}
    buffer, replay_buffer = getattr(algorithm, "rollout_buffer", None), getattr(algorithm, "replay_buffer", None)
    if has_state(buffer):  # others have nothing that outlasts a rollout
        parts["rollout_buffer"] = buffer
    if replay_buffer is not None:
        parts["replay_buffer"] = replay_buffer
    parts |= {f"env/{i}/{type(layer).__name__}": layer for i, layer in enumerate(_layers(algorithm.env))}
    return parts


def _layers(env: Any) -> Iterator[Any]:
    """The environment and what it wraps, from the outside in.

    Raises:
        ConfigError: the innermost one has no ``get_state``.
    """
    if env is None:
        return
    yield env
    attributes = vars(env)
    inner = [attributes[name] for name in ("venv", "env") if name in attributes] or list(attributes.get("envs", ()))
    for one in inner:
        yield from _layers(one)
    if not inner and not has_state(env):
        raise ConfigError(
            f"A {type(env).__name__} has no get_state() and set_state(state), so a run on it can't be saved. textgym's "
            "own environments have them."
        )


def has_state(part: Any) -> bool:
    """Whether a class has the two methods. Those of what a wrapper wraps, which it passes on, don't count."""
    return hasattr(type(part), "get_state") and hasattr(type(part), "set_state")


def pack_part(part: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    if has_state(part):
        return {"state": pack(part.get_state(), name, tensors)}
    # Tensors of a policy are among its weights.
    return {"attributes": _plain_attributes(part, name, tensors, arrays=not isinstance(part, nn.Module))}


def _plain_attributes(part: Any, name: str, tensors: dict[str, Tensor], arrays: bool) -> dict[str, Any]:
    arguments = _argument_names(part)
    attributes = {}
    for key, value in vars(part).items():
        if key in LEFT_OUT or (key in arguments and not has_state(value)):
            continue
        try:
            if has_state(value) and not isinstance(value, torch.Generator | np.random.RandomState):
                attributes[key] = {"$": "own", "state": pack(value.get_state(), f"{name}.{key}", tensors)}
            else:
                attributes[key] = pack(value, f"{name}.{key}", tensors, arrays=arrays)
        except NotPlain:
            continue
    return attributes


def unpack_part(part: Any, saved: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    if "state" in saved:
        part.set_state(unpack(saved["state"], tensors))
        return
    for name, packed in saved["attributes"].items():
        current = vars(part).get(name)
        if not _may_restore(part, name):
            raise ConfigError(
                f"A checkpoint sets {name!r} of a {type(part).__name__}, which saving would not write: it was edited."
            )
        if isinstance(packed, dict) and packed.get("$") == "own":
            current.set_state(unpack(packed["state"], tensors))
        else:
            object.__setattr__(part, name, unpack(packed, tensors, current))  # plainly, also where part is a module


def _may_restore(part: Any, name: str) -> bool:
    """Whether saving would write an attribute of this name: no argument, no method, nothing saved elsewhere."""
    current = vars(part).get(name, inspect.getattr_static(type(part), name, None))
    is_code = callable(current) or hasattr(current, "__get__")
    unsaved = not has_state(current) and (is_code or name in _argument_names(part))
    return not (unsaved or name in LEFT_OUT or name.startswith("__"))


def _argument_names(part: Any) -> set[str]:
    classes = [cls for cls in type(part).__mro__ if "__init__" in vars(cls) and cls is not object]
    return {name for cls in classes for name in inspect.signature(vars(cls)["__init__"]).parameters}


def arguments_of(algorithm: BaseAlgorithm) -> dict[str, Any]:
    """What an algorithm was made with, by dotted name: ``policy_kwargs.temperature``. What isn't JSON is its text."""
    names = _argument_names(algorithm) - MAY_DIFFER - LEFT_OUT
    own = {name: value for name, value in vars(algorithm).items() if name in names}
    flat = dict(_flat("", {**own, "n_envs": algorithm.n_envs}))
    model = flat.get("policy_kwargs.model")
    content = model_hash(model) if isinstance(model, str) and existing(model) else None
    return flat if content is None else {**flat, "policy_kwargs.model": f"files with the hash {content}"}  # wherever


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(f"{prefix}.{key}" if prefix else str(key), item)
    elif has_state(value):  # an argument with state: what it was made with, without what changes
        own = {name: item for name, item in vars(value).items() if name in _argument_names(value)}
        fixed = {name: item for name, item in own.items() if name not in value.get_state()}
        yield from _flat(prefix, {"kind": type(value).__name__, **fixed})
    elif value is None or isinstance(value, bool | int | float | str):
        yield prefix, value if value == value and value not in (np.inf, -np.inf) else repr(value)
    else:
        text = type(value).__name__ if isinstance(value, nn.Module) else repr(value)
        if len(text) > LONGEST:  # logged episodes, for instance
            text = f"{type(value).__name__} {hashlib.sha256(text.encode()).hexdigest()[:16]}"
        yield prefix, type(value).__name__ if " at 0x" in text else text  # an address changes with every process


def check_arguments(saved: Mapping[str, Any], here: Mapping[str, Any], folder: str | Path) -> None:
    different = [name for name in {**saved, **here} if saved.get(name) != here.get(name)]
    if different:
        listed = ", ".join(f"{name}={saved.get(name)!r} (here {here.get(name)!r})" for name in different)
        raise ConfigError(f"{folder} was saved by an algorithm with {listed}. Make it with the same arguments.")


def random_state(algorithm: BaseAlgorithm) -> dict[str, Any]:
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(legacy=False),  # noqa: NPY002  (SB3's epsilon-greedy exploration draws from it)
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if algorithm.device.type == "cuda" else [],
        "action_space": algorithm.action_space.np_random,
    }


def set_random_state(algorithm: BaseAlgorithm, packed: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    state = unpack(packed, tensors, {"action_space": algorithm.action_space.np_random})
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if state["cuda"] and algorithm.device.type == "cuda":
        torch.cuda.set_rng_state_all(state["cuda"])


def empty_caches(algorithm: BaseAlgorithm) -> None:
    """Empty the key-value caches of the policy and of every model that it or the environment keeps.

    A cached answer and a computed one differ by rounding, and a resumed run has nothing cached.
    """
    todo: list[tuple[Any, int]] = [(algorithm.policy, 0), *((layer, 0) for layer in _layers(algorithm.env))]
    seen: set[int] = set()
    while todo:
        one, depth = todo.pop()
        attributes = getattr(one, "__dict__", None)
        if attributes is None or id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(attributes.get("caches"), SlotCaches):
            attributes["caches"].empty()
        inner = [*attributes.values(), *attributes.get("_modules", {}).values()] if depth < 3 else []
        todo += [
            (value, depth + 1)
            for value in inner
            if "caches" in getattr(value, "__dict__", ()) or hasattr(value, "policy")
        ]
