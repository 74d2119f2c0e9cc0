"""How many completions a task's gradient needs until its signal is as large as its noise, and what that costs."""

from collections.abc import Mapping
from typing import Any

from textgym_agents.algorithms import make
from textgym_agents.callbacks.noise_scale import NoiseScale
from textgym_agents.callbacks.text_logger import TextLogger

TIMES = 10  # the completions of a training, in units of the noise scale


def signal(
    model: str, env_id: str, tokens: int = 20_000, *, seed: int = 0, env_kwargs: Mapping[str, Any] | None = None
) -> dict[str, float]:
    """Measure the gradient noise scale at the initial model, with RLOO's gradient.

    Args:
        model: name or folder.
        env_id: of the environment.
        tokens: to measure with; the weights stay as they are.
        seed: of the sampling.
        env_kwargs: of the environment.

    Returns:
        "completions": until signal equals noise, a lower bound where ``signal_share`` is near 0 or below;
        "signal share": of the squared norm of a rollout's gradient; "tokens each": of a completion; "budget": tokens of
        ten times as many completions. Only "tokens each" where every reward was the same.
    """
    rloo = make("rloo", env_id, model, seed=seed, learning_rate=1e-12, env_kwargs=env_kwargs)
    scale, logger = NoiseScale(window=max(2, tokens)), TextLogger()
    rloo.learn(tokens, callback=[scale, logger])
    rows = [row for row in logger.history if "text/num_tokens" in row]
    length = sum(row["text/num_tokens"] * row["episodes"] for row in rows) / sum(row["episodes"] for row in rows)
    if scale.noise_scale is None or scale.signal_share is None:
        return {"tokens each": length}
    return {
        "completions": scale.noise_scale,
        "signal share": scale.signal_share,
        "tokens each": length,
        "budget": TIMES * scale.noise_scale * length,
    }
