"""Logs of episodes with their rewards, as JSON lines: what an offline algorithm learns from.

Each line is one episode, and names its prompt by its index in the task or gives the prompt's tokens::

    {"prompt_id": 3, "token_ids": [17, 4, 1], "reward": 0.5}
    {"prompt_ids": [9, 8, 7], "token_ids": [17, 4, 1], "reward": 0.5}
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from textgym.border import reading
from textgym.core import Prompt, Sample, TextMDP
from textgym.errors import DatasetError, InvalidActionError
from textgym_agents.buffers.episodes import Episode, given_episode
from textgym_agents.buffers.steps import TokenIds

KEYS = ("prompt_id", "prompt_ids", "token_ids", "reward")


@dataclass(frozen=True, slots=True)
class LoggedEpisode:
    """One finished episode.

    Attributes:
        token_ids: of the completion, the end token included if there was one.
        reward: of the completion.
        prompt_id: its prompt's index in the task, or None.
        prompt_ids: or the tokens of its prompt, as the model read them.
    """

    token_ids: tuple[int, ...]
    reward: float
    prompt_id: int | None = None
    prompt_ids: tuple[int, ...] | None = None


def logged(samples: Iterable[Sample], rewards: Iterable[float]) -> list[LoggedEpisode]:
    """A log of any policy's episodes: ``samples`` and ``rewards`` of ``evaluate(policy, env, split="train")``.

    Those whose reward is NaN, since it abstained, are left out.

    >>> logged([Sample("2+2=", "4", token_ids=(9, 1), prompt_id=7)], [1.0])
    [LoggedEpisode(token_ids=(9, 1), reward=1.0, prompt_id=7, prompt_ids=None)]
    """
    return [
        LoggedEpisode(s.token_ids, float(r), s.prompt_id)
        for s, r in zip(samples, rewards, strict=True)
        if not math.isnan(r)
    ]


def write_log(path: str | Path, episodes: Iterable[LoggedEpisode]) -> None:
    """Write one line for each episode, in place of what the file held."""
    lines = []
    for one in episodes:
        prompt = {"prompt_id": one.prompt_id} if one.prompt_ids is None else {"prompt_ids": list(one.prompt_ids)}
        lines.append(json.dumps({**prompt, "token_ids": list(one.token_ids), "reward": one.reward}) + "\n")
    Path(path).write_text("".join(lines), encoding="utf-8")


def read_log(source: str | Path | Sequence[LoggedEpisode | Mapping[str, Any]]) -> list[LoggedEpisode]:
    """The episodes of a log: a file, or a list of ``LoggedEpisode`` or of dicts such as a line of the file holds.

    Raises:
        DatasetError: no such file, no episodes, or one that is not as it should be; the message names its line.

    >>> read_log([{"prompt_id": 3, "token_ids": [17, 4, 1], "reward": 1}])
    [LoggedEpisode(token_ids=(17, 4, 1), reward=1.0, prompt_id=3, prompt_ids=None)]
    """
    episodes: list[LoggedEpisode] = []
    if isinstance(source, str | Path):
        with reading("the log", source, DatasetError):
            lines = Path(source).read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines, start=1):
            if line.strip():
                where = f"{source}, line {number}"
                try:
                    episodes.append(_checked(json.loads(line), where))
                except (ValueError, RecursionError) as error:
                    raise DatasetError(f"{where}: no JSON ({error}). Each line is one object.") from None
    elif isinstance(source, Mapping) or not isinstance(source, Iterable):
        raise DatasetError(f"The log is {source!r}, expected a file or a list of episodes.")
    else:
        for number, one in enumerate(source):
            episodes.append(one if isinstance(one, LoggedEpisode) else _checked(one, f"episode {number} of the log"))
    if not episodes:
        raise DatasetError("The log holds no episodes.")
    return episodes


def as_episodes(log: Iterable[LoggedEpisode], mdp: TextMDP) -> list[Episode]:
    """Logged episodes as an ``EpisodeStore`` takes them, each reward at the last token.

    Raises:
        DatasetError: the task has no such prompt, or the environment doesn't allow the completion.
    """
    return [_episode(one, mdp, f"episode {number} of the log") for number, one in enumerate(log)]


def _episode(one: LoggedEpisode, mdp: TextMDP, where: str) -> Episode:
    rules = mdp.rules
    with reading("the tokens of", where, DatasetError):
        actions = np.array(one.token_ids, dtype=np.int64)
    if len(actions) > rules.max_new_tokens:
        raise DatasetError(
            f"{where} has {len(actions)} tokens, the environment allows {rules.max_new_tokens}. Raise max_new_tokens."
        )
    try:
        rules.check(actions, np.arange(len(actions)))
    except InvalidActionError as error:
        raise DatasetError(f"{where} could not have been written in this environment: {error}") from None
    if rules.is_eos[actions[:-1]].any():
        raise DatasetError(
            f"{where} goes on after an end token: {actions.tolist()}. Each completion is an entry of its own."
        )
    return given_episode(rules, _prompt(one, mdp, where), actions, one.reward)


def _prompt(one: LoggedEpisode, mdp: TextMDP, where: str) -> TokenIds:
    """The prompt's tokens."""
    rules = mdp.rules
    if one.prompt_ids is not None:
        with reading("the prompt of", where, DatasetError):
            ids = np.array(one.prompt_ids, dtype=np.int64)
        if not 0 < len(ids) <= rules.max_prompt_tokens or ids.min() < 0 or ids.max() >= rules.vocab_size:
            raise DatasetError(
                f"{where}: prompt_ids {ids.tolist()} make no prompt, expected 1 to {rules.max_prompt_tokens} tokens "
                f"from 0 to {rules.vocab_size - 1}."
            )
        return ids.astype(np.int32)
    assert one.prompt_id is not None
    if not 0 <= one.prompt_id < len(mdp.task):
        raise DatasetError(f"{where}: prompt_id {one.prompt_id} names no prompt, the task has {len(mdp.task)}.")
    prompt: Prompt = mdp.task[one.prompt_id]
    return rules.encode_prompt(prompt.text)[0].astype(np.int32)


def _checked(entry: Any, where: str) -> LoggedEpisode:
    if not isinstance(entry, Mapping):
        raise DatasetError(
            f"{where}: {entry!r} is a {type(entry).__name__}, expected an object with {', '.join(KEYS)}."
        )
    unknown = [key for key in entry if key not in KEYS]
    missing = [key for key in ("token_ids", "reward") if key not in entry]
    if unknown or missing or ("prompt_id" in entry) == ("prompt_ids" in entry):
        raise DatasetError(
            f"{where} has {', '.join(map(str, entry)) or 'nothing'}; expected token_ids, reward, and either prompt_id "
            "(an index of the task) or prompt_ids (tokens)."
        )
    reward = entry["reward"]
    if isinstance(reward, bool) or not isinstance(reward, int | float) or not math.isfinite(reward):
        raise DatasetError(f"{where}: reward is {reward!r}, expected a finite number.")
    prompt_id = entry.get("prompt_id")
    if prompt_id is not None and (isinstance(prompt_id, bool) or not isinstance(prompt_id, int)):
        raise DatasetError(f"{where}: prompt_id is {prompt_id!r}, expected the index of a prompt.")
    if "prompt_id" in entry and prompt_id is None:
        raise DatasetError(f"{where}: prompt_id is null, expected the index of a prompt.")
    token_ids = _tokens(entry["token_ids"], f"{where}: token_ids")
    prompt_ids = _tokens(entry["prompt_ids"], f"{where}: prompt_ids") if "prompt_ids" in entry else None
    return LoggedEpisode(token_ids, float(reward), prompt_id, prompt_ids)


def _tokens(value: Any, where: str) -> tuple[int, ...]:
    whole = isinstance(value, list | tuple) and all(isinstance(v, int) and not isinstance(v, bool) for v in value)
    if not whole or not value:
        raise DatasetError(f"{where} is {value!r}, expected a list of at least one token id.")
    return tuple(value)
