"""Parts of infos: a prompt's metadata, infos of many rows, and those of ``infos="numbers"``, the same at every step."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from textgym.rules import RUNNING, Ints


class Metadata(Mapping[str, Any]):
    """A prompt's metadata as an info holds it: read like a dict, but no dict.

    Gymnasium's vector environments take a dict in an info apart, key by key, which loses values that are not there or
    not alike in every row. So ``infos["metadata"][row]`` is one row's metadata, as ``info["metadata"]`` is.

    >>> metadata = Metadata({"keywords": ["cat"]})
    >>> metadata, metadata["keywords"], metadata == {"keywords": ["cat"]}, dict(metadata)
    ({'keywords': ['cat']}, ['cat'], True, {'keywords': ['cat']})
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr(dict(self._values))


def add_infos(infos: dict[str, Any], num_envs: int, rows: Sequence[int], new: Sequence[Mapping[str, Any]]) -> None:
    """Add the infos of several rows to those of a vector environment.

    It is what Gymnasium's ``VectorEnv._add_info`` does row by row, in one pass over each key.

    >>> infos = {}
    >>> add_infos(infos, 3, [0, 2], [{"prompt_id": 7}, {"prompt_id": 8}])
    >>> infos["prompt_id"].tolist(), infos["_prompt_id"].tolist()
    ([7, 0, 8], [True, False, True])
    """
    for key in dict.fromkeys(key for info in new for key in info):
        at = [row for row, info in zip(rows, new, strict=True) if key in info]
        values = [info[key] for info in new if key in info]
        if isinstance(values[0], dict) and key != "final_obs":
            add_infos(infos.setdefault(key, {}), num_envs, at, values)
        else:
            if key not in infos:
                kind = type(values[0])
                plain = kind in (bool, int, float) or issubclass(kind, np.number)
                # an empty array of objects holds None everywhere
                infos[key] = np.zeros(num_envs, kind) if plain else np.empty(num_envs, object)
            for row, value in zip(at, values, strict=True):
                infos[key][row] = value
        infos.setdefault(f"_{key}", np.zeros(num_envs, dtype=np.bool_))[at] = True


class InfoNumbers:
    """The numbers of each row's episode, as int64 arrays (rows,).

    =================== ========================================================================
    Key                 Meaning
    =================== ========================================================================
    prompt_id           the prompt's index in its task
    prompt_truncated    tokens of the prompt that were cut off
    finish_code         0 while the episode runs, then 1 (eos), 2 (stop) or 3 (length); of a conversation 3,
                        4 (done), 5 (turns) or 6 (full)
    reward_abstained    1 if the reward abstained, else 0
    num_tokens          tokens of the completion so far; a partner's are not among them
    =================== ========================================================================

    >>> numbers = InfoNumbers(2)
    >>> numbers.start(0, {"prompt_id": 7, "prompt_truncated": 0})
    >>> numbers.end(0, 1, {})
    >>> {name: int(value) for name, value in numbers.of(0, counts=np.array([3, 0])).items() if value}
    {'prompt_id': 7, 'finish_code': 1, 'num_tokens': 3}
    """

    NAMES = ("prompt_id", "prompt_truncated", "finish_code", "reward_abstained")

    def __init__(self, rows: int) -> None:
        self.arrays = {name: np.zeros(rows, dtype=np.int64) for name in self.NAMES}

    def start(self, row: int, info: Mapping[str, Any]) -> None:
        """Begin an episode, given what ``reset`` says of it with ``infos="all"``."""
        given = {"finish_code": RUNNING, **info}
        for name, array in self.arrays.items():
            array[row] = given.get(name, 0)

    def end(self, row: int, code: int, info: Mapping[str, Any]) -> None:
        """End an episode, given what its last step says with ``infos="all"``."""
        self.arrays["finish_code"][row] = code
        self.arrays["reward_abstained"][row] = info.get("reward_abstained", 0)

    def of(self, row: int, counts: Ints) -> dict[str, Any]:
        """The info of one row: numpy scalars. ``counts`` (rows,) are the completions' tokens so far."""
        return {name: array[row] for name, array in {**self.arrays, "num_tokens": counts}.items()}

    def infos(self, counts: Ints) -> dict[str, npt.NDArray[Any]]:
        """The infos of all rows, as Gymnasium's vector environments have them: copies of the arrays, and masks."""
        infos: dict[str, npt.NDArray[Any]] = {}
        for name, array in {**self.arrays, "num_tokens": counts}.items():
            infos[name], infos[f"_{name}"] = array.copy(), np.ones(len(array), dtype=np.bool_)
        return infos

    def get_state(self) -> dict[str, Ints]:
        """Copies of the arrays."""
        return {name: array.copy() for name, array in self.arrays.items()}

    def set_state(self, state: Mapping[str, Ints]) -> None:
        """Continue from :meth:`get_state`."""
        for name, array in self.arrays.items():
            array[...] = state[name]
