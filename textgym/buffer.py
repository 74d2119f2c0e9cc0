"""The token arrays behind the observations, one row per environment, for both model forms."""

import numpy as np
import numpy.typing as npt

from textgym.rules import EOS, LENGTH, RUNNING, STOP, Ints, TokenRules

Observation = dict[str, npt.NDArray[np.integer]]


class TokenBuffer:
    """Preallocated observations of ``rows`` environments, with P prompt columns and T columns for new tokens.

    ============== =========== ===================================================================
    Array          Shape       Meaning
    ============== =========== ===================================================================
    input_ids      (rows, P+T) prompt left-padded into the first P columns, then the new tokens
    attention_mask (rows, P+T) 1 where input_ids holds a token
    counts         (rows,)     new tokens so far
    ============== =========== ===================================================================

    In the encoder-decoder form ``input_ids`` and ``attention_mask`` are (rows, P), right-padded; the new tokens go
    to ``decoder_input_ids`` and ``decoder_attention_mask`` (rows, 1+T), which begin with the start token.
    """

    def __init__(self, rules: TokenRules, rows: int) -> None:
        self.rules, self.counts = rules, np.zeros(rows, dtype=np.int64)
        prompt, new = rules.max_prompt_tokens, rules.max_new_tokens
        self.arrays: Observation = {}
        self._add("", rows, prompt if rules.form == "seq2seq" else prompt + new)
        if rules.form == "seq2seq":
            self._add("decoder_", rows, 1 + new)
        self._prefix, self._offset = ("decoder_", 1) if rules.form == "seq2seq" else ("", prompt)
        self._bind()

    def _add(self, prefix: str, rows: int, columns: int) -> None:
        self.arrays[f"{prefix}input_ids"] = np.full((rows, columns), self.rules.pad_token_id, dtype=np.int64)
        self.arrays[f"{prefix}attention_mask"] = np.zeros((rows, columns), dtype=np.int8)

    def _bind(self) -> None:
        self._ids = self.arrays[f"{self._prefix}input_ids"]
        self._mask = self.arrays[f"{self._prefix}attention_mask"]
        self._flat_ids, self._flat_mask = self._ids.reshape(-1), self._mask.reshape(-1)  # views
        self._first = np.arange(len(self.counts)) * self._ids.shape[1] + self._offset  # (rows,) of the first new token

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_flat_ids", "_flat_mask")}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._bind()  # copies of views would no longer be views

    def start(self, row: int, prompt: Ints) -> None:
        """Empty a row and write a prompt of 1 to P token ids into it."""
        for name, array in self.arrays.items():
            array[row] = self.rules.pad_token_id if name.endswith("input_ids") else 0
        width = self.rules.max_prompt_tokens
        where = slice(0, len(prompt)) if self.rules.form == "seq2seq" else slice(width - len(prompt), width)
        self.arrays["input_ids"][row, where] = prompt
        self.arrays["attention_mask"][row, where] = 1
        if self.rules.form == "seq2seq":
            self._ids[row, 0], self._mask[row, 0] = self.rules.decoder_start_token_id, 1
        self.counts[row] = 0

    def play(self, tokens: Ints, rows: Ints | None = None) -> npt.NDArray[np.int8]:
        """Write one new token (rows,) to every row, or to ``rows`` only. Returns how each stands: RUNNING, EOS, ...

        Raises:
            InvalidActionError: a token is outside the vocabulary or masked. Then nothing is written.
        """
        rules = self.rules
        first, counts = (self._first, self.counts) if rows is None else (self._first[rows], self.counts[rows])
        rules.check(tokens, counts, rows)
        at = first + counts
        self._flat_ids[at] = tokens
        self._flat_mask[at] = 1
        counts = counts + 1
        self.counts[slice(None) if rows is None else rows] = counts
        codes = np.where(counts >= rules.max_new_tokens, np.int8(LENGTH), np.int8(RUNNING))
        if rules.stop:
            for i in np.flatnonzero(rules.may_stop(tokens)):
                if rules.stopped(self.generated(i if rows is None else rows[i])):
                    codes[i] = STOP
        codes[rules.is_eos[tokens]] = EOS
        return codes

    def generated(self, row: int | np.integer) -> list[int]:
        """The new tokens of a row."""
        tokens: list[int] = self._ids[row, self._offset : self._offset + self.counts[row]].tolist()
        return tokens

    def observation(self, row: int) -> Observation:
        """A copy of one row."""
        return {name: array[row].copy() for name, array in self.arrays.items()}

    def observations(self, copy: bool = True) -> Observation:
        """All rows, copied or as views that the next step overwrites."""
        return {name: array.copy() if copy else array for name, array in self.arrays.items()}
