"""Logs of episodes with their rewards, as JSON lines: what an offline algorithm learns from.

Each line is one episode, and names its prompt by its index in the task or gives the prompt's tokens::

    {"prompt_id": 3, "token_ids": [17, 4, 1], "reward": 0.5}
    {"prompt_ids": [9, 8, 7], "token_ids": [17, 4, 1], "reward": 0.5}

or its text. A dialogue has its turns, as tokens or as texts, see :mod:`textgym_agents.buffers.logged_turns`; its reward
is that of the whole beside those of turns, 0 if it isn't there::

    {"prompt": "Which number from 1 to 9?", "turns": [
        {"speaker": "policy", "text": "5"}, {"speaker": "partner", "text": "too low"},
        {"speaker": "policy", "text": "7", "reward": 1.0}, {"speaker": "partner", "text": "right"}]}

on one line.
"""

import json
import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from textgym.border import reading
from textgym.core import Prompt, Sample, Turn
from textgym.errors import ConfigError, DatasetError, InvalidActionError
from textgym.mdp import TextMDP
from textgym.tasks import CONVERSATIONS, ConversationTask
from textgym_agents.buffers.episodes import Episode, given_episode
from textgym_agents.buffers.logged_turns import finite, play_turns, read_turns, token_ids_of, turns_as_json
from textgym_agents.buffers.steps import TokenIds

PROMPTS = ("prompt_id", "prompt_ids", "prompt")  # one of them
KEYS = (*PROMPTS, "token_ids", "turns", "reward")
DIALOGUES = 8000  # of a player, that make a log


@dataclass(frozen=True, slots=True)
class LoggedEpisode:
    """One finished episode.

    Attributes:
        token_ids: of the completion, the end token included if there was one; none where there are turns.
        reward: of the completion; of a dialogue beside the rewards of its turns.
        prompt_id: its prompt's index in the task, or None.
        prompt_ids: or the tokens of its prompt, as the model read them.
        prompt: or its text.
        turns: of a dialogue, who said what. A turn has its tokens, or a text to encode.
    """

    token_ids: tuple[int, ...]
    reward: float
    prompt_id: int | None = None
    prompt_ids: tuple[int, ...] | None = None
    prompt: str | None = None
    turns: tuple[Turn, ...] = ()


def logged(samples: Iterable[Sample], rewards: Iterable[float]) -> list[LoggedEpisode]:
    """A log of any policy's episodes: ``samples`` and ``rewards`` of ``evaluate(policy, env, split="train")``.

    Those whose reward is NaN, since it abstained, are left out.

    >>> logged([Sample("2+2=", "4", token_ids=(9, 1), prompt_id=7)], [1.0])
    [LoggedEpisode(token_ids=(9, 1), reward=1.0, prompt_id=7, prompt_ids=None, prompt=None, turns=())]
    """
    return [_logged(s, float(r)) for s, r in zip(samples, rewards, strict=True) if not math.isnan(r)]


def _logged(sample: Sample, reward: float) -> LoggedEpisode:
    if not sample.turns:
        return LoggedEpisode(sample.token_ids, reward, sample.prompt_id)
    reward -= sum(turn.reward for turn in sample.turns)
    return LoggedEpisode((), reward, sample.prompt_id, turns=sample.turns)


def write_log(path: str | Path, episodes: Iterable[LoggedEpisode]) -> None:
    """Write one line for each episode, in place of what the file held."""
    lines = []
    for one in episodes:
        given = {name: value for name in PROMPTS if (value := getattr(one, name)) is not None}
        written = {"turns": turns_as_json(one.turns)} if one.turns else {"token_ids": list(one.token_ids)}
        lines.append(json.dumps({**given, **written, "reward": one.reward}) + "\n")
    Path(path).write_text("".join(lines), encoding="utf-8")


def read_log(source: str | Path | Sequence[LoggedEpisode | Mapping[str, Any]]) -> list[LoggedEpisode]:
    """The episodes of a log: a file, or a list of ``LoggedEpisode`` or of dicts such as a line of the file holds.

    Raises:
        DatasetError: no such file, no episodes, or one that is not as it should be; the message names its line.

    >>> read_log([{"prompt_id": 3, "token_ids": [17, 4, 1], "reward": 1}])
    [LoggedEpisode(token_ids=(17, 4, 1), reward=1.0, prompt_id=3, prompt_ids=None, prompt=None, turns=())]
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


def check_source(task: Any, episodes: Any, skill: float | None) -> None:
    """Raise ConfigError for both a log and a player, or a player of a task that has none.

    Args:
        task: of the environment.
        episodes: a log, or None.
        skill: of a player whose dialogues are the log, or None.
    """
    if skill is None:
        return
    if episodes is not None:
        raise ConfigError(f"There are episodes and skill={skill}: give a log, or the skill of a player who makes one.")
    if not isinstance(task, ConversationTask):
        name = getattr(task, "name", type(task).__name__)
        raise ConfigError(
            f"skill is {skill}, and the task {name!r} has no players of known skill, which only the conversations have "
            f"whose best policy is computed: {', '.join(sorted(CONVERSATIONS))}. Leave it out, or give episodes=."
        )


def played_log(task: Any, skill: float) -> list[LoggedEpisode]:
    """``DIALOGUES`` dialogues of a ``ConversationTask``'s player who says so often what the best policy would.

    >>> from textgym.tasks.conversations import Haggle
    >>> len(played_log(Haggle(), 0.5)[0].turns) % 2
    0
    """
    return read_log(task.dialogues(DIALOGUES, skill=skill))


def as_episodes(log: Iterable[LoggedEpisode], mdp: TextMDP) -> list[Episode]:
    """Logged episodes as an ``EpisodeStore`` takes them, rewards at the last token, and at that of their turn.

    Prompts that are given as texts are cut as the environment cuts them, with a warning.

    Raises:
        DatasetError: the task has no such prompt, or the environment doesn't allow the completion.
    """
    episodes: list[Episode] = []
    cut = 0
    for one in log:
        episodes.append(_episode(one, mdp, f"episode {len(episodes)} of the log"))
        cut += one.prompt is not None and mdp.rules.encode_prompt(one.prompt)[1] > 0
    if cut:
        warnings.warn(
            f"{cut} of the log's {len(episodes)} prompts are longer than max_prompt_tokens="
            f"{mdp.rules.max_prompt_tokens} and are cut. Raise it if the model has the positions.",
            stacklevel=2,
        )
    return episodes


def _episode(one: LoggedEpisode, mdp: TextMDP, where: str) -> Episode:
    rules = mdp.rules
    prompt, text = _prompt(one, mdp, where)
    if one.turns:
        played = play_turns(one.turns, rules, text, one.reward, where)
        rewards = np.array(played.rewards, dtype=np.float32)
        return given_episode(rules, prompt, played.actions)._replace(rewards=rewards, inserted=played.inserted)
    with reading("the tokens of", where, DatasetError):
        actions = np.array(one.token_ids, dtype=np.int64)
    if not len(actions):
        raise DatasetError(f"{where} has no tokens, expected at least one, or turns.")
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
    return given_episode(rules, prompt, actions, one.reward)


def _prompt(one: LoggedEpisode, mdp: TextMDP, where: str) -> tuple[TokenIds, str]:
    """The prompt's tokens and text."""
    rules = mdp.rules
    if one.prompt_ids is not None:
        with reading("the prompt of", where, DatasetError):
            ids = np.array(one.prompt_ids, dtype=np.int64)
        if not 0 < len(ids) <= rules.max_prompt_tokens or ids.min() < 0 or ids.max() >= rules.vocab_size:
            raise DatasetError(
                f"{where}: prompt_ids {ids.tolist()} make no prompt, expected 1 to {rules.max_prompt_tokens} tokens "
                f"from 0 to {rules.vocab_size - 1}."
            )
        return ids.astype(np.int32), rules.tokenizer.decode(ids.tolist())
    if one.prompt is not None:
        return rules.encode_prompt(one.prompt)[0].astype(np.int32), one.prompt
    assert one.prompt_id is not None
    if not 0 <= one.prompt_id < len(mdp.task):
        raise DatasetError(f"{where}: prompt_id {one.prompt_id} names no prompt, the task has {len(mdp.task)}.")
    prompt: Prompt = mdp.task[one.prompt_id]
    return rules.encode_prompt(prompt.text)[0].astype(np.int32), prompt.text


def _checked(entry: Any, where: str) -> LoggedEpisode:
    if not isinstance(entry, Mapping):
        raise DatasetError(
            f"{where}: {entry!r} is a {type(entry).__name__}, expected an object with {', '.join(KEYS)}."
        )
    unknown = [key for key in entry if key not in KEYS]
    given = [[key for key in keys if key in entry] for keys in (PROMPTS, ("token_ids", "turns"))]
    if unknown or list(map(len, given)) != [1, 1] or not {"reward", "turns"} & {*entry}:
        raise DatasetError(
            f"{where} has {', '.join(map(str, entry)) or 'nothing'}; expected token_ids or turns, reward, and either "
            "prompt_id (an index of the task), prompt_ids (tokens) or prompt (text)."
        )
    reward = finite(entry.get("reward", 0.0), f"{where}: reward")
    prompt = _checked_prompt(given[0][0], entry[given[0][0]], where)
    if "turns" in entry:
        return LoggedEpisode((), reward, **prompt, turns=read_turns(entry["turns"], where))
    return LoggedEpisode(token_ids_of(entry["token_ids"], f"{where}: token_ids"), reward, **prompt)


def _checked_prompt(key: str, value: Any, where: str) -> dict[str, Any]:
    if key == "prompt_ids":
        return {key: token_ids_of(value, f"{where}: prompt_ids")}
    if key == "prompt":
        if not isinstance(value, str) or not value:
            raise DatasetError(f"{where}: prompt is {value!r}, expected a text.")
    elif value is None:
        raise DatasetError(f"{where}: prompt_id is null, expected the index of a prompt.")
    elif isinstance(value, bool) or not isinstance(value, int):
        raise DatasetError(f"{where}: prompt_id is {value!r}, expected the index of a prompt.")
    return {key: value}
