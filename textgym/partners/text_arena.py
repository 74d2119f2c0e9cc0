"""A game of TextArena as an environment of texts, for ``GymPartner``.

You are Player 0. You are playing Guess The Number. ...     the first observation
[5]                                                         an action; brackets are added where there are none
The target number is higher.                                the next observation: what is new, and nothing else
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium
import numpy as np

from textgym.errors import ConfigError, MissingExtraError, did_you_mean

BROKEN = -1.0  # the reward of an action that the game itself fails at: that of an invalid move


class TextArenaGame(gymnasium.Env[str, str]):
    """One seat of a game of TextArena (Guertler et al., 2025). Needs the extra ``textarena``.

    An observation is what the game and the other players have said since the last action, without the action itself; of
    several boards, the last. The reward is the seat's at the end of the game, and 0 before.

    TextArena draws from Python's and numpy's global random numbers. Here each game has its own: it follows its seed
    whatever else draws, and leaves the global ones as they were.

    A game that fails at an action, as some do, is over: a truncation, with the reward of an invalid move.

    Args:
        game: its id, such as "GuessTheNumber-v0".
        opponent: plays the other seats: from what TextArena shows a player to an action. If it draws, then from
            Python's ``random``, which the seed decides.
        players: how many seats. None: 1, or 2 with an opponent.
        seat: which one is played, from 0.
        options: of the game, such as ``max_turns=5``.

    Raises:
        MissingExtraError: TextArena isn't installed.
        ConfigError: there is no such game, option, seat or number of players, or TextArena can't make it here.

    >>> import functools, textgym
    >>> partner = textgym.partners.GymPartner(functools.partial(TextArenaGame, "GuessTheNumber-v0"))
    >>> partner
    GymPartner(functools.partial(<class 'textgym.partners.text_arena.TextArenaGame'>, 'GuessTheNumber-v0'))
    """

    def __init__(
        self,
        game: str,
        opponent: Callable[[str], str] | None = None,
        *,
        players: int | None = None,
        seat: int = 0,
        **options: Any,
    ) -> None:
        try:
            import textarena
            from textarena.envs.registration import ENV_REGISTRY
        except ImportError as error:
            raise MissingExtraError(f"The game {game!r}", "textarena") from error
        if game not in ENV_REGISTRY:
            hint = did_you_mean(game, ENV_REGISTRY)
            every = "Its games are those of textarena.envs.registration.ENV_REGISTRY."  # hundreds
            raise ConfigError(f"TextArena has no game {game!r}. {hint if hint.startswith('Did') else every}")
        self.players = (1 if opponent is None else 2) if players is None else players
        if not 0 <= seat < self.players or (self.players > 1 and opponent is None):
            raise ConfigError(
                f"seat={seat!r} of players={self.players!r} with opponent={opponent!r} can't be played: seats count "
                "from 0, and an opponent plays the others."
            )
        self.game, self.opponent, self.seat = game, opponent, seat
        self._dice: Any = None
        try:
            self._played = textarena.make(game, **options)
        except Exception as error:  # a few games need a newer Python, a download of words, or a key
            raise ConfigError(
                f"TextArena can't make the game {game!r} with the options {options}: {_what(error)}"
            ) from error
        self._base = self._played  # without wrappers, which say everything again at each observation
        while isinstance(self._base, textarena.Wrapper):
            self._base = self._base.env
        self._over = True

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Begin a game.

        Raises:
            ConfigError: the game can't be begun, such as by another number of players.
        """
        super().reset(seed=seed)
        drawn = int(self.np_random.integers(2**31)) if seed is None else seed
        self._dice = None
        with self._own_dice(drawn):
            try:
                self._played.reset(num_players=self.players, seed=drawn)
            except Exception as error:
                raise ConfigError(
                    f"The game {self.game!r} can't be begun by {self.players}: {_what(error)}. Pass players= and "
                    "opponent= for a game of several."
                ) from error
            self._over = self._play_others()
        return self._heard(), {}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        if self._over:
            return "The game is over.", 0.0, True, False, {}
        with self._own_dice():
            try:
                self._over, _ = self._played.step(action)
            except Exception as error:
                return self._failed(_what(error))
            self._over = self._over or self._play_others()
        state = self._base.state
        if not self._over:
            return self._heard(), 0.0, False, False, {}
        reward = (state.rewards or {}).get(self.seat, 0.0)
        if not isinstance(reward, int | float):  # a few games have the reason there when a move is invalid
            return self._failed(f"the reward {str(reward)[:80]!r}")
        reason = str((state.game_info or {}).get(self.seat, {}).get("reason", ""))
        reward = float(reward)
        return "\n".join(filter(None, (self._heard(), reason))), reward, True, False, {"reason": reason}

    def _failed(self, why: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        self._over = True
        reason = f"The game failed: {why}"
        return reason, BROKEN, False, True, {"reason": reason}

    def _play_others(self) -> bool:
        """Until it is the seat's turn. Returns whether the game is over."""
        over = bool(self._base.state.done)
        while not over and self._base.state.current_player_id != self.seat and self.opponent is not None:
            player, shown = self._played.get_observation()
            text = shown if isinstance(shown, str) else self._said(shown, player)
            over, _ = self._played.step(self.opponent(text))
        return over

    def _heard(self) -> str:
        """What is new for the seat."""
        heard = self._base.state.observations
        new, heard[self.seat] = heard[self.seat], []
        return self._said(new, self.seat)

    def _said(self, messages: list[Any], player: int) -> str:
        # A few games have other things than a number and a kind here.
        boards = [bool(kind) and getattr(kind[0], "name", "") == "GAME_BOARD" for _, _, *kind in messages]
        lines = []
        for i, (speaker, text, *_) in enumerate(messages):
            if speaker == player or (boards[i] and any(boards[i + 1 :])):
                continue
            said = str(text).strip()
            lines.append(f"[Player {speaker}] {said}" if isinstance(speaker, int) and speaker >= 0 else said)
        return "\n".join(lines)

    @contextmanager
    def _own_dice(self, seed: int | None = None) -> Iterator[None]:
        """Within the block the global random numbers are those of this game."""
        outer = random.getstate(), np.random.get_state()  # noqa: NPY002
        try:
            if seed is not None:
                random.seed(seed)
                np.random.seed(seed % 2**32)  # noqa: NPY002
            elif self._dice is not None:
                random.setstate(self._dice[0])
                np.random.set_state(self._dice[1])  # noqa: NPY002
            yield
            self._dice = random.getstate(), np.random.get_state()  # noqa: NPY002
        finally:
            random.setstate(outer[0])
            np.random.set_state(outer[1])  # noqa: NPY002

    def __repr__(self) -> str:
        return f"TextArenaGame({self.game!r})"


def _what(error: Exception) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
