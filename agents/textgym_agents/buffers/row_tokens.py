"""The tokens in rows of observations that are no actions: what was there first, and what a partner wrote since."""

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from textgym_agents.buffers.steps import TokenIds, not_by_one_token, written_since

Obs = dict[str, NDArray[Any]]


class RowTokens:
    """Follows the observations of rows, step by step.

    Args:
        space: of the observations.
        name, instead: of whoever follows them, for errors, see :func:`not_by_one_token`.
    """

    def __init__(self, space: spaces.Space[Any], name: str, instead: str = "") -> None:
        self.seq2seq = "decoder_input_ids" in getattr(space, "spaces", {})
        self.prefix = "decoder_" if self.seq2seq else ""
        # The column of the first generated token; None where the space doesn't say.
        self.first_new: int | None = 1 if self.seq2seq else getattr(space, "max_prompt_tokens", None)
        self.name, self.instead = name, instead
        self.forget()

    def forget(self) -> None:
        """What comes next follows nothing that was there before."""
        self._known: dict[bytes, TokenIds] = {}  # completions of one prompt share its array
        self._before: tuple[NDArray[Any], NDArray[np.bool_]] | None = None  # (rows, columns) ids, and which are live
        self._counts: NDArray[np.int64] = np.zeros(0, dtype=np.int64)  # (rows,) of the live ones

    def _live(self, obs: Obs) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        return obs[f"{self.prefix}input_ids"], obs[f"{self.prefix}attention_mask"] != 0

    def beginning(self, obs: Obs, row: int, starts: bool) -> tuple[TokenIds, TokenIds | None, int]:
        """The tokens that a row has now, what an encoder reads, and how many of the former were generated.

        ``starts``: its episode begins. The last of the three is -1 where the space doesn't say.
        """
        ids, live = (array[row] for array in self._live(obs))
        prompt = self._kept(obs["input_ids"][row, obs["attention_mask"][row] != 0]) if self.seq2seq else None
        known = 0 if starts else -1
        generated = known if self.first_new is None else int(np.count_nonzero(live[self.first_new :]))
        return self._kept(ids[live]), prompt, generated

    def _kept(self, tokens: NDArray[Any]) -> TokenIds:
        key = tokens.astype(np.int32).tobytes()
        if key not in self._known:
            self._known[key] = np.frombuffer(key, dtype=np.int32)  # a view: the key and the array are one
        return self._known[key]

    def follow(self, obs: Obs, rows: NDArray[np.bool_], actions: NDArray[np.integer]) -> dict[int, TokenIds]:
        """By row, what a partner wrote behind the last action, where it wrote anything.

        Args:
            obs: the next observations. They are read again with those after them, so they may not change.
            rows: (rows,) which of them continue those before them. The others begin anew.
            actions: (rows,) the tokens that were chosen in between.

        Raises:
            ConfigError: one doesn't continue that before it by the action's token.
        """
        ids, live = self._live(obs)
        counts = live.sum(1)
        replies: dict[int, TokenIds] = {}
        if rows.any():
            for row in np.flatnonzero(rows & (counts != self._counts + 1)).tolist():
                old, was = self._before  # type: ignore[misc]
                reply = written_since((old[row], was[row]), (ids[row], live[row]), int(actions[row]))
                if reply is None:
                    raise not_by_one_token(self.name, self.instead)
                replies[row] = reply
        self._before, self._counts = (ids, live), counts
        return replies
