"""The token arrays behind the observations, one row per environment, for both model forms."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from textgym.rules import EOS, LENGTH, RUNNING, STOP, Codes, Ints, TokenRules

Observation = dict[str, npt.NDArray[np.integer]]


class TokenBuffer:
    """Preallocated observations of ``rows`` environments, with P prompt columns and T columns for new tokens.

    ============== =========== ===================================================================
    Array          Shape       Meaning
    ============== =========== ===================================================================
    input_ids      (rows, P+T) prompt left-padded into the first P columns, then the new tokens
    attention_mask (rows, P+T) 1 where input_ids holds a token
    counts         (rows,)     new tokens so far
    turn_counts    (rows,)     those of the turn that the policy writes: all of them without a partner
    written        (rows,)     those that the policy has written, without a partner's
    ============== =========== ===================================================================

    In the encoder-decoder form ``input_ids`` and ``attention_mask`` are (rows, P), right-padded; the new tokens go
    to ``decoder_input_ids`` and ``decoder_attention_mask`` (rows, 1+T), which begin with the start token.
    """

    def __init__(self, rules: TokenRules, rows: int) -> None:
        self.rules = rules
        prompt, new = rules.max_prompt_tokens, rules.max_new_tokens
        self.arrays: Observation = {}
        self._add("", rows, prompt if rules.form == "seq2seq" else prompt + new)
        if rules.form == "seq2seq":
            self._add("decoder_", rows, 1 + new)
        self._prefix, offset = ("decoder_", 1) if rules.form == "seq2seq" else ("", prompt)
        self._bind()
        # (rows,) the place in the flat arrays of each row's first new token, and of its next one
        self._first = np.arange(rows, dtype=np.int64) * self._ids.shape[1] + offset
        self._next = self._first.copy()
        self._turn = self._first.copy()  # (rows,) the place of the first token of the policy's turn
        self._inserted = np.zeros(rows, dtype=np.int64)  # (rows,) tokens of a partner
        self._takes_turns = False  # whether any row has had a second turn
        self._safe_steps = 0  # no row fills its columns in so many steps, so that most steps needn't look

    def _add(self, prefix: str, rows: int, columns: int) -> None:
        self.arrays[f"{prefix}input_ids"] = np.full((rows, columns), self.rules.pad_token_id, dtype=np.int64)
        self.arrays[f"{prefix}attention_mask"] = np.zeros((rows, columns), dtype=np.int8)

    def _bind(self) -> None:
        self._ids = self.arrays[f"{self._prefix}input_ids"]
        self._mask = self.arrays[f"{self._prefix}attention_mask"]
        self._flat_ids, self._flat_mask = self._ids.reshape(-1), self._mask.reshape(-1)  # views
        pad = self.rules.pad_token_id
        self._empty = [(array, pad if name.endswith("input_ids") else 0) for name, array in self.arrays.items()]

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_flat_ids", "_flat_mask")}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._bind()  # copies of views would no longer be views

    @property
    def counts(self) -> Ints:
        """(rows,) how many new tokens each row has."""
        counts: Ints = self._next - self._first
        return counts

    @property
    def turn_counts(self) -> Ints:
        """(rows,) how many tokens of its present turn each row has."""
        counts: Ints = self._next - self._turn
        return counts

    @property
    def written(self) -> Ints:
        """(rows,) how many of the new tokens of each row are the policy's own."""
        counts: Ints = self._next - self._first - self._inserted
        return counts

    def start(self, row: int, prompt: Ints) -> None:
        """Empty a row and write a prompt of 1 to P token ids into it."""
        for array, nothing in self._empty:
            array[row] = nothing
        width = self.rules.max_prompt_tokens
        where = slice(0, len(prompt)) if self.rules.form == "seq2seq" else slice(width - len(prompt), width)
        self.arrays["input_ids"][row, where] = prompt
        self.arrays["attention_mask"][row, where] = 1
        if self.rules.form == "seq2seq":
            self._ids[row, 0], self._mask[row, 0] = self.rules.decoder_start_token_id, 1
        self._next[row] = self._first[row]
        if self._takes_turns:
            self._turn[row], self._inserted[row] = self._first[row], 0

    def play(self, tokens: Ints, rows: Ints | None = None) -> Codes:
        """Write one new token (rows,) to every row, or to ``rows`` only. Returns the status of each: RUNNING, EOS, ...

        Raises:
            InvalidActionError: a token is outside the vocabulary or masked. Then nothing is written.
        """
        rules = self.rules
        at = self._next if rows is None else self._next[rows]
        codes = rules.codes(tokens)
        if np.count_nonzero(codes):
            rules.check(tokens, at - (self._turn if rows is None else self._turn[rows]), rows)
        self._flat_ids[at] = tokens
        self._flat_mask[at] = 1
        at += 1
        if rows is not None:
            self._next[rows] = at
        self._safe_steps -= 1
        if self._safe_steps <= 0:
            self._end_full_rows(codes, rows)
        if rules.max_turn_tokens is not None:
            counts = at - (self._turn if rows is None else self._turn[rows])
            codes[(counts >= rules.max_turn_tokens) & (codes == RUNNING)] = STOP
        if rules.stop:
            for i in np.flatnonzero(rules.may_stop(tokens)):
                if codes[i] != EOS and rules.stopped(self.turn(i if rows is None else rows[i])):
                    codes[i] = STOP
        return codes

    def take_back(self, rows: Ints | None = None) -> None:
        """Undo the last :meth:`play` of these rows."""
        chosen = slice(None) if rows is None else rows
        self._next[chosen] -= 1
        at = self._next[chosen]
        self._flat_ids[at], self._flat_mask[at] = self.rules.pad_token_id, 0
        self._safe_steps = 0  # the next step looks at every row

    def _end_full_rows(self, codes: Codes, rows: Ints | None) -> None:
        most, counts = self.rules.max_new_tokens, self.counts
        full = counts >= most
        codes[(full if rows is None else full[rows]) & (codes == RUNNING)] = LENGTH
        self._safe_steps = int((most - counts[~full]).min(initial=most))  # a full row plays on only after a start

    def generated(self, row: int | np.integer) -> list[int]:
        """The new tokens of a row."""
        tokens: list[int] = self._flat_ids[self._first[row] : self._next[row]].tolist()
        return tokens

    def turn(self, row: int | np.integer) -> list[int]:
        """The tokens of a row's present turn."""
        tokens: list[int] = self._flat_ids[self._turn[row] : self._next[row]].tolist()
        return tokens

    def insert(self, row: int, tokens: Sequence[int]) -> None:
        """Write a partner's tokens after the row's own, and begin its next turn. There must be columns for them."""
        at = slice(self._next[row], self._next[row] + len(tokens))
        self._flat_ids[at], self._flat_mask[at] = tokens, 1
        self._next[row] += len(tokens)
        self._turn[row] = self._next[row]
        self._inserted[row] += len(tokens)
        self._takes_turns = True
        self._safe_steps = 0  # the next step looks at every row

    def set_turn(self, row: int, before: int, inserted: int) -> None:
        """After :meth:`set_state`: ``before`` new tokens of the row come before its turn, ``inserted`` not its own."""
        self._turn[row], self._inserted[row] = self._first[row] + before, inserted
        self._takes_turns = True

    def get_state(self) -> dict[str, Any]:
        """Copies of the arrays and the counts."""
        return {**self.observations(), "counts": self.counts}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue from the ``get_state`` of a buffer of the same shape."""
        for name, array in self.arrays.items():
            array[...] = state[name]
        self._next = self._first + state["counts"]
        self._turn, self._inserted[:] = self._first.copy(), 0
        self._safe_steps = 0  # the next step looks at every row

    def observation(self, row: int) -> Observation:
        """A copy of one row."""
        return {name: array[row].copy() for name, array in self.arrays.items()}

    def observations(self, copy: bool = True) -> Observation:
        """All rows, copied or as views that the next step overwrites."""
        return {name: array.copy() if copy else array for name, array in self.arrays.items()}
