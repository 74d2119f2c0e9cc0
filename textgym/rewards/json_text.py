"""Whether a completion is JSON with the keys asked for.

prompt      "Ann is nine. As JSON with name and age:"
completion  '{"name": "Ann", "age": "nine"}'
reward      JSON(keys={"name": "string", "age": "integer"}): 0.5
"""

from textgym.core import Sample
from textgym.errors import RewardError
from textgym.metrics.json_text import check_json_keys, json_keys_of, json_score
from textgym.rewards.base import BatchReward


class JSON(BatchReward):
    """The share of what was asked for of a completion that should be JSON, in [0, 1].

    0 for a text that isn't JSON (RFC 8259) or has anything but whitespace around it. Otherwise 1; with keys, 0 for what
    is no object, else the share of keys that are there with a value of their type. The text is read, never run; one of
    more than a million characters, or nested about 1,000 deep, scores 0.

    Args:
        keys: the keys that an object has to have, or a mapping from keys to "string", "number", "integer", "boolean",
            "array", "object", "null" or None for any. Without them ``metadata["json_keys"]`` counts, if it is there.

    Raises:
        ConfigError: keys that are no strings, or a type that doesn't exist.
        RewardError: when called with a sample that has such keys in its metadata.

    >>> texts = ['{"name": "Ann", "age": 9}', '{"name": "Ann", "age": "nine"}', "[]", "name: Ann"]
    >>> samples = [Sample("", text) for text in texts]
    >>> JSON()(samples), JSON(keys={"name": "string", "age": "integer"})(samples)
    ([1.0, 1.0, 1.0, 0.0], [1.0, 0.5, 0.0, 0.0])
    """

    name = "json"

    def __init__(self, keys: object = None) -> None:
        self.keys = None if keys is None else check_json_keys(keys)

    def score(self, sample: Sample, /) -> float:
        return json_score(sample.completion, json_keys_of(sample, self.keys, f"Reward {self.name!r}", RewardError))
