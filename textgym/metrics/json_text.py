"""Whether a text is JSON, and has the keys asked for."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from textgym.errors import ConfigError, MetricError, TextGymError
from textgym.metrics.base import MeanMetric, MetricSample

LONGEST = 1_000_000  # characters of a text that is read
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


def check_json_keys(keys: object) -> dict[str, str | None]:
    """Keys as a mapping to the names of types, None for any.

    Raises:
        ConfigError: they are no strings, or there is no such type.

    >>> check_json_keys(["name"]), check_json_keys({"price": "number"})
    ({'name': None}, {'price': 'number'})
    """
    if isinstance(keys, str) or not isinstance(keys, Mapping | Sequence):
        raise ConfigError(f"keys={keys!r}: expected a sequence of keys, or a mapping of keys to types.")
    wanted = dict(keys) if isinstance(keys, Mapping) else dict.fromkeys(keys)
    for key, kind in wanted.items():
        if not isinstance(key, str) or not (kind is None or kind in TYPES):
            raise ConfigError(f"keys has {key!r}: {kind!r}, expected a string and one of {', '.join(TYPES)}, or None.")
    return wanted


def json_score(text: str, keys: Mapping[str, str | None] | None = None) -> float:
    """How far a text is the JSON asked for, in [0, 1].

    0 for a text that isn't JSON (RFC 8259) with nothing around it but whitespace, that has a key of an object twice, or
    is nested about 1,000 deep. Otherwise 1; with ``keys``, 0 for what is no object, else the share of keys that are
    there with a value of their type.

    >>> [json_score(text) for text in ('{"a": [1, 2.5]}', "[]", "{'a': 1}", '{"a": 1} Done.', "")]
    [1.0, 1.0, 0.0, 0.0, 0.0]
    >>> json_score('{"name": "Ann", "age": "old"}', {"name": "string", "age": "integer"})
    0.5
    """
    if len(text) > LONGEST:
        return 0.0
    try:
        value = json.loads(text, parse_constant=_refuse, parse_int=_number, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        return 0.0
    if not keys:
        return 1.0
    if not isinstance(value, dict):
        return 0.0
    return sum(key in value and _is(value[key], kind) for key, kind in keys.items()) / len(keys)


def _refuse(name: str) -> Any:
    raise ValueError(name)  # NaN and Infinity, which Python reads and the standard doesn't have


def _number(digits: str) -> int | float:
    return int(digits) if len(digits) < 4000 else float("inf")  # so long that Python refuses it


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def _is(value: object, kind: str | None) -> bool:
    if kind is None:
        return True
    return isinstance(value, TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


class MeanJSON(MeanMetric):
    """The mean share of what was asked for of completions that should be JSON, in [0, 1]; see ``json_score``.

    Without ``keys`` those in ``metadata["json_keys"]`` count, if there are any.

    >>> from textgym.core import Sample
    >>> MeanJSON().compute([Sample("", '{"a": 1}'), Sample("", "a: 1")])
    {'json': 0.5}
    """

    name = "json"

    def __init__(self, keys: object = None) -> None:
        self.keys = None if keys is None else check_json_keys(keys)

    def settings(self, samples: Sequence[MetricSample] = (), /) -> dict[str, object]:
        return {"keys": "metadata" if self.keys is None else "+".join(self.keys)}

    def values(self, samples: Sequence[MetricSample], /) -> list[float]:
        keys = [json_keys_of(sample, self.keys, f"Metric {self.name!r}", MetricError) for sample in samples]
        return [json_score(sample.completion, wanted) for sample, wanted in zip(samples, keys, strict=True)]


def json_keys_of(
    sample: MetricSample, keys: Mapping[str, str | None] | None, user: str, error: type[TextGymError]
) -> Mapping[str, str | None]:
    """The keys that a sample's completion should have: those given, or those in its ``metadata["json_keys"]``.

    Raises:
        error: what is there are no keys. ``user`` opens the message.
    """
    if keys is not None:
        return keys
    try:
        return check_json_keys(sample.metadata.get("json_keys", ()))
    except ConfigError as cause:
        raise error(f"{user} reads metadata['json_keys'] of prompt {sample.prompt_id}: {cause}") from cause
