"""The turns of a logged dialogue: read from a line of a log, written to one, and as an environment would see them.

| Key of a turn | Meaning |
|---|---|
| `speaker` | "policy" or "partner", by turns; the policy begins |
| `token_ids` | exactly its tokens in the observation; a partner's with the template around its text |
| `text` | what was said. Without `token_ids` it is encoded: with the end token, or with the environment's template |
| `reward` | of a turn of the policy's, on its last token; 0 if it isn't there |

A last turn of the partner's is what nobody answered: nothing is learned from it.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from textgym.core import Turn
from textgym.errors import DatasetError, InvalidActionError
from textgym.rules import TokenRules
from textgym.turn_template import TurnTemplate
from textgym_agents.buffers.demonstrations import spoken
from textgym_agents.models.packing import Insertion

KEYS = ("speaker", "text", "token_ids", "reward")
SPEAKERS = ("policy", "partner")


class PlayedTurns(NamedTuple):
    """What became of a dialogue's turns, token by token.

    Attributes:
        actions: the policy's tokens.
        rewards: one for each of them.
        inserted: the partner's tokens between them.
    """

    actions: list[int]
    rewards: list[float]
    inserted: tuple[Insertion, ...]


def token_ids_of(value: Any, where: str, least: int = 1) -> tuple[int, ...]:
    """A list of at least so many integers.

    Raises:
        DatasetError: it is something else.
    """
    whole = isinstance(value, list | tuple) and all(isinstance(v, int) and not isinstance(v, bool) for v in value)
    if not whole or len(value) < least:
        raise DatasetError(f"{where} is {value!r}, expected a list of at least {('no', 'one')[least]} token id.")
    return tuple(value)


def finite(value: Any, where: str) -> float:
    """A finite number.

    Raises:
        DatasetError: it is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise DatasetError(f"{where} is {value!r}, expected a finite number.")
    return float(value)


def read_turns(entries: Any, where: str) -> tuple[Turn, ...]:
    """The turns of a line.

    Raises:
        DatasetError: they are not as they should be. The message says which, and what was expected.

    >>> read_turns([{"speaker": "policy", "text": "Is it red?"}, {"speaker": "partner", "text": "no"}], "line 1")[1]
    Turn(speaker='partner', text='no', token_ids=(), reward=0.0)
    """
    if not isinstance(entries, list | tuple) or not entries:
        raise DatasetError(f"{where}: turns is {str(entries)[:60]!r}, expected a list of at least one turn.")
    turns = tuple(_turn(entry, f"{where}, turn {number}") for number, entry in enumerate(entries, start=1))
    _check_order(turns, where)
    return turns


def _check_order(turns: Sequence[Turn], where: str) -> None:
    if turns[0].speaker != "policy":
        raise DatasetError(
            f"{where}: the partner has the first turn. What comes before the policy's first turn is the prompt."
        )
    for number, (one, following) in enumerate(pairwise(turns), start=2):
        if one.speaker == following.speaker:
            raise DatasetError(f"{where}, turn {number}: the {one.speaker} goes on. Join its texts to one turn.")


def _turn(entry: Any, where: str) -> Turn:
    if not isinstance(entry, Mapping):
        raise DatasetError(f"{where}: {entry!r} is a {type(entry).__name__}, expected an object with speaker and text.")
    speaker, text = entry.get("speaker"), entry.get("text", "")
    unknown = [key for key in entry if key not in KEYS]
    if unknown or not {"text", "token_ids"} & {*entry}:
        raise DatasetError(
            f"{where} has {', '.join(map(str, entry)) or 'nothing'}; expected some of {', '.join(KEYS)}."
        )
    if speaker not in SPEAKERS:
        raise DatasetError(f"{where}: speaker is {speaker!r}, expected 'policy' or 'partner'.")
    if not isinstance(text, str):
        raise DatasetError(f"{where}: text is {text!r}, expected a string.")
    tokens = token_ids_of(entry.get("token_ids", ()), f"{where}: token_ids", least=0)
    reward = finite(entry.get("reward", 0.0), f"{where}: reward")
    if reward and speaker == "partner":
        raise DatasetError(f"{where}: reward is {reward:g} for a turn of the partner's. Give it to the turn before.")
    return Turn(speaker, text, tokens, reward)


def turns_as_json(turns: Sequence[Turn]) -> list[dict[str, Any]]:
    """The turns as a line holds them.

    >>> turns_as_json([Turn("policy", "a", (5, 1), 0.5), Turn("partner", "no")])
    [{'speaker': 'policy', 'text': 'a', 'token_ids': [5, 1], 'reward': 0.5}, {'speaker': 'partner', 'text': 'no'}]
    """
    return [
        {
            "speaker": turn.speaker,
            "text": turn.text,
            **({"token_ids": list(turn.token_ids)} if turn.token_ids else {}),
            **({"reward": turn.reward} if turn.reward else {}),
        }
        for turn in turns
    ]


def play_turns(turns: Sequence[Turn], rules: TokenRules, prompt: str, reward: float, where: str) -> PlayedTurns:
    """The turns as an environment with these rules would have seen them.

    Args:
        turns: as :func:`read_turns` returns them.
        rules: of the environment.
        prompt: its text, which the first turn follows.
        reward: of the whole dialogue, beside those of turns. It is on the last token.
        where: for messages.

    Raises:
        DatasetError: the environment doesn't allow them.
    """
    _check_order(turns, where)
    if turns[-1].speaker == "partner":
        turns = turns[:-1]
    said = len(turns) // 2 + 1
    if said > rules.max_turns:
        raise DatasetError(
            f"{where} has {said} turns of the policy, the environment allows {rules.max_turns}. Make it with "
            f"max_turns={said} and a partner; where nothing is played, textgym.partners.Scripted(['Bye.']) will do."
        )
    texts = {turn.speaker for turn in turns if not turn.token_ids}
    template = TurnTemplate(rules) if "partner" in texts or (texts and rules.chat) else None
    actions: list[int] = []
    rewards: list[float] = []
    inserted: list[Insertion] = []
    before, used = prompt, 0
    for number, turn in enumerate(turns, start=1):
        named, tokens = f"{where}, turn {number}", list(turn.token_ids)
        if tokens and not 0 <= min(tokens) <= max(tokens) < rules.vocab_size:
            raise DatasetError(f"{named}: {tokens} are no tokens, expected 0 to {rules.vocab_size - 1}.")
        if turn.speaker == "policy":
            tokens = tokens or _ended(spoken(rules, before, turn.text), rules, template)
            _check_turn(tokens, rules, named, last=number == len(turns))
            actions += tokens
            rewards += [*[0.0] * (len(tokens) - 1), turn.reward]
        else:
            if template is not None and not tokens:
                tokens = template.after(turn.text, bool(rules.is_eos[actions[-1]]))
            if tokens:
                before = rules.tokenizer.decode(tokens)
                inserted.append(Insertion(len(actions), np.array(tokens, dtype=np.int32)))
        used += len(tokens)
    if used > rules.max_new_tokens:
        raise DatasetError(
            f"{where} has {used} tokens of both sides, the environment allows {rules.max_new_tokens}. Raise "
            "max_new_tokens, or leave it out."
        )
    rewards[-1] += reward
    return PlayedTurns(actions, rewards, tuple(inserted))


def _ended(tokens: list[int], rules: TokenRules, template: TurnTemplate | None) -> list[int]:
    """The tokens with the end token of a chat template, where it has one of its own."""
    if template is None or not template.closing or tokens[-1] != rules.eos_token_id:
        return tokens
    closing = rules.tokenizer.encode(template.closing, add_special_tokens=False)
    return [*tokens[:-1], next((token for token in closing if rules.is_eos[token]), rules.eos_token_id)]


def _check_turn(tokens: list[int], rules: TokenRules, where: str, last: bool) -> None:
    """Raise DatasetError unless a policy can have written these tokens as a turn; only the last one may be cut off."""
    actions = np.array(tokens, dtype=np.int64)
    try:
        rules.check(actions, np.arange(len(actions)))
    except InvalidActionError as error:
        raise DatasetError(f"{where} could not have been written in this environment: {error}") from None
    if rules.is_eos[actions[:-1]].any():
        raise DatasetError(f"{where} goes on after an end token: {tokens}. What follows it is another turn.")
    most = rules.max_turn_tokens
    if most is not None and len(tokens) > most:
        raise DatasetError(
            f"{where} has {len(tokens)} tokens, the environment allows max_turn_tokens={most} in a turn."
        )
    ended = rules.is_eos[actions[-1]] or len(tokens) == most or (rules.stop and rules.stopped(tokens))
    if not last and not ended:
        raise DatasetError(
            f"{where} has no end: {tokens}. With an end token or a stop string behind it, a policy that learns it will "
            "let the partner speak."
        )
