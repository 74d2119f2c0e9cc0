"""Episodes that begin in the middle: rows of a vector environment with tokens already written."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textgym.errors import ConfigError
from textgym.vector import TextGenerationVectorEnv
from textgym_agents.envs.sync_vector import Obs, SingleEnvs


def write_tokens(vector: Any, rows: NDArray[np.integer], tokens: Sequence[NDArray[np.integer]]) -> Obs:
    """Write tokens into rows whose episodes have just begun. Returns the observations of all rows.

    Args:
        vector: one of textgym's own vector environments, or ``SingleEnvs``.
        rows: some of its rows.
        tokens: for each of them, tokens that don't end its episode.

    Raises:
        ConfigError: another vector environment, or one with a partner.
    """
    if any(getattr(one, "partner", None) is not None for one in (vector, *getattr(vector, "envs", ()))):
        raise ConfigError(
            "Conversations can't begin in the middle, as an algorithm wants them to that plays on from states of a "
            "completion. Take another one, such as 'ppo', 'grpo' or 'rloo', or leave partner out."
        )
    if isinstance(vector, SingleEnvs):
        for row, written in zip(rows.tolist(), tokens, strict=True):
            for token in written.tolist():
                vector._observations[row] = vector.envs[row].step(token)[0]
        return vector._batch()
    if not isinstance(vector, TextGenerationVectorEnv):
        raise ConfigError(
            f"Episodes of a {type(vector).__name__} can't begin in the middle: it has no get_state() and "
            "set_state(state). textgym's own environments have them."
        )
    state = vector.get_state()
    arrays = state["rows"]
    seq2seq = "decoder_input_ids" in arrays
    prefix, first = ("decoder_", 1) if seq2seq else ("", vector.mdp.rules.max_prompt_tokens)
    for row, written in zip(rows.tolist(), tokens, strict=True):
        columns = slice(first, first + len(written))
        arrays[f"{prefix}input_ids"][row, columns] = written
        arrays[f"{prefix}attention_mask"][row, columns] = 1
        arrays["counts"][row] = len(written)
    vector.set_state(state)
    return {name: array for name, array in arrays.items() if name != "counts"}
