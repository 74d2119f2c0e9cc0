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
        ConfigError: another vector environment.
    """
    if isinstance(vector, SingleEnvs):
        for row, written in zip(rows.tolist(), tokens, strict=True):
            for token in written.tolist():
                vector._observations[row] = vector.envs[row].step(token)[0]
        return vector._batch()
    if not isinstance(vector, TextGenerationVectorEnv):
        raise ConfigError(
            f"Episodes of a {type(vector).__name__} can't begin in the middle: it has no write(rows, tokens), as "
            "textgym's own environments have."
        )
    return vector.write(rows.tolist(), tokens)
