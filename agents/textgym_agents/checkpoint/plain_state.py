"""State as JSON and tensors: what the two files of a checkpoint hold, and how values go there and come back.

*Plain* values are numbers, texts, None, lists, tuples, sets, deques and dicts of them, numpy arrays, tensors, random
generators, and objects whose attributes are all plain and that can't be called. JSON holds them as they are, arrays and
tensors by a name, and other kinds as ``{"$": kind, ...}``. Nothing that is read is ever run.
"""

import math
import sys
from collections import deque
from collections.abc import Mapping
from enum import Enum
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from textgym.errors import ConfigError

KIND = "$"
DEEPEST = 3  # objects within objects
BIT_GENERATORS = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")


class NotPlain(TypeError):
    """A value that is neither JSON nor a tensor, nor made of such."""


def pack(value: Any, name: str, tensors: dict[str, Tensor], *, arrays: bool = True, depth: int = 0) -> Any:
    """The JSON form of a plain value. Arrays and tensors go into ``tensors``, under names that begin with ``name``.

    Args:
        arrays: False: a value with arrays or tensors in it, other than random states, isn't plain.

    Raises:
        NotPlain: the value isn't; ``tensors`` is as before.

    >>> tensors = {}
    >>> pack({"range": (0.5, float("inf")), "sums": np.zeros(2)}, "reward", tensors)["sums"]
    {'$': 'array', 'name': 'reward.sums'}
    >>> list(tensors)
    ['reward.sums']
    """
    own: dict[str, Tensor] = {}
    packed = _pack(value, name, own, arrays, depth)
    tensors |= own
    return packed


def _pack(value: Any, name: str, tensors: dict[str, Tensor], arrays: bool, depth: int) -> Any:
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return value
    if kind is float:
        return value if math.isfinite(value) else {KIND: "float", "value": repr(value)}
    if kind in (list, tuple, set, deque):
        items = [_pack(item, f"{name}.{i}", tensors, arrays, depth) for i, item in enumerate(value)]
        if kind is list:
            return items
        more = {"maxlen": value.maxlen} if kind is deque else {}
        return {KIND: kind.__name__, "items": items, **more}
    if kind is dict:
        if all(type(key) is str and key != KIND for key in value):
            return {key: _pack(item, f"{name}.{key}", tensors, arrays, depth) for key, item in value.items()}
        pairs = [
            [
                _pack(key, f"{name}.key{i}", tensors, arrays, depth),
                _pack(value[key], f"{name}.{key}", tensors, arrays, depth),
            ]
            for i, key in enumerate(value)
        ]
        return {KIND: "dict", "items": pairs}
    if isinstance(value, np.random.Generator | np.random.RandomState | torch.Generator):
        return _pack_generator(value, name, tensors, depth)
    if isinstance(value, np.generic) and value.dtype.kind in "biuf":
        return {KIND: "scalar", "dtype": value.dtype.name, "value": _pack(value.item(), name, tensors, arrays, depth)}
    if arrays and isinstance(value, Tensor):
        tensors[name] = value.detach()
        return {KIND: "tensor", "name": name}
    if arrays and isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        tensors[name] = torch.tensor(value)
        return {KIND: "array", "name": name}
    return _pack_object(value, name, tensors, arrays, depth)


def _pack_generator(value: Any, name: str, tensors: dict[str, Tensor], depth: int) -> Any:
    if isinstance(value, torch.Generator):
        return {KIND: "torch.Generator", "state": _pack(value.get_state(), name, tensors, True, depth)}
    state = value.bit_generator.state if isinstance(value, np.random.Generator) else value.get_state(legacy=False)
    return {KIND: type(value).__name__, "state": _pack(state, name, tensors, True, depth)}


def _pack_object(value: Any, name: str, tensors: dict[str, Tensor], arrays: bool, depth: int) -> Any:
    attributes = getattr(value, "__dict__", None)
    # A frozen object can't have changed; what can be called is a schedule or a reward, and no state but an argument.
    fixed = getattr(getattr(value, "__dataclass_params__", None), "frozen", False) or isinstance(value, Enum)
    of_python = type(value).__module__.partition(".")[0] in sys.stdlib_module_names  # files, modules, locks
    big = isinstance(value, nn.Module | torch.optim.Optimizer)
    if not attributes or fixed or of_python or big or callable(value) or depth >= DEEPEST:
        raise NotPlain(f"{name} is a {type(value).__name__}")
    state = {
        key: _pack(item, f"{name}.{key}", tensors, arrays, depth + 1)
        for key, item in attributes.items()
        if not callable(item)
    }
    return {KIND: "object", "class": type(value).__name__, "attributes": state}


def unpack(packed: Any, tensors: Mapping[str, Tensor], current: Any = None) -> Any:
    """The value that :func:`pack` packed.

    Args:
        current: the value in its place now. Generators, arrays, tensors and objects in it are changed in place, so
            that whoever else holds them sees the same; an object is needed there, since none is ever made.

    Raises:
        ConfigError: an object of another class is there, or something that no :func:`pack` wrote.
    """
    if isinstance(packed, list):
        each = current if isinstance(current, list) and len(current) == len(packed) else [None] * len(packed)
        return [unpack(item, tensors, one) for item, one in zip(packed, each, strict=True)]
    if not isinstance(packed, dict):
        return packed
    there: dict[Any, Any] = current if isinstance(current, dict) else {}
    if KIND not in packed:
        return {key: unpack(item, tensors, there.get(key)) for key, item in packed.items()}
    kind = packed[KIND]
    if kind == "float":
        return float(packed["value"])
    if kind == "scalar":
        return np.dtype(packed["dtype"]).type(unpack(packed["value"], tensors))
    if kind in ("tuple", "set", "deque"):
        items = (unpack(item, tensors) for item in packed["items"])
        return deque(items, packed["maxlen"]) if kind == "deque" else tuple(items) if kind == "tuple" else set(items)
    if kind == "dict":
        keys = [unpack(key, tensors) for key, _ in packed["items"]]
        return {
            key: unpack(item, tensors, there.get(key)) for key, (_, item) in zip(keys, packed["items"], strict=True)
        }
    if kind in ("tensor", "array"):
        return _unpack_tensor(tensors[packed["name"]], kind, current)
    if kind in ("Generator", "RandomState", "torch.Generator"):
        return _unpack_generator(kind, unpack(packed["state"], tensors), current)
    if kind == "object":
        return _unpack_object(packed, tensors, current)
    raise ConfigError(f"A checkpoint holds a value of the kind {kind!r}, which this version of textgym can't read.")


def _unpack_tensor(saved: Tensor, kind: str, current: Any) -> Any:
    if kind == "tensor":
        if isinstance(current, Tensor) and current.shape == saved.shape and current.dtype == saved.dtype:
            with torch.no_grad():
                return current.copy_(saved)
        return saved.clone()
    array = saved.numpy()
    same = isinstance(current, np.ndarray) and current.shape == array.shape and current.dtype == array.dtype
    if same and current.flags.writeable:
        current[...] = array
        return current
    return array.copy()


def _unpack_generator(kind: str, state: Any, current: Any) -> Any:
    if kind == "torch.Generator":
        generator = current if isinstance(current, torch.Generator) else torch.Generator()
        return generator.set_state(state)
    if state["bit_generator"] not in BIT_GENERATORS:
        raise ConfigError(f"A checkpoint names the bit generator {state['bit_generator']!r}, which numpy doesn't have.")
    if kind == "RandomState":
        random_state = current if isinstance(current, np.random.RandomState) else np.random.RandomState()
        random_state.set_state(state)
        return random_state
    same = (
        isinstance(current, np.random.Generator)
        and current.bit_generator.state["bit_generator"] == state["bit_generator"]
    )
    restored = current if same else np.random.Generator(getattr(np.random, state["bit_generator"])())
    restored.bit_generator.state = state
    return restored


def _unpack_object(packed: Mapping[str, Any], tensors: Mapping[str, Tensor], current: Any) -> Any:
    if type(current).__name__ != packed["class"]:
        raise ConfigError(f"A checkpoint has a {packed['class']} where there is a {type(current).__name__} now.")
    for name, item in packed["attributes"].items():
        if name not in vars(current) or callable(vars(current)[name]):
            raise ConfigError(f"A checkpoint sets {name!r} of a {packed['class']}, which has no such value.")
        setattr(current, name, unpack(item, tensors, getattr(current, name, None)))
    return current
