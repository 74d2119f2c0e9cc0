"""An ``EpisodeReplayBuffer`` as a few arrays, whatever number of texts it holds."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from textgym_agents.buffers.replay import EpisodeReplayBuffer
from textgym_agents.buffers.replay_episodes import FinishedText, OpenText

PARTS = FinishedText._fields  # context, prompt, candidates, actions, rewards


def replay_state(buffer: EpisodeReplayBuffer) -> dict[str, Any]:
    """Texts that are finished and texts that rows are writing: each part's arrays one after another, and lengths."""
    begun = [text for text in buffer.open if text is not None]
    texts: list[Any] = [*buffer.texts.values(), *begun]
    # -1: there is none, as of prompts where there is no encoder
    found: dict[str, Any] = {
        "lengths": np.array(
            [[-1 if (part := getattr(t, name)) is None else len(part) for name in PARTS] for t in texts], dtype=np.int64
        ).reshape(-1, len(PARTS)),
        "numbers": list(buffer.texts),
        "open": [row for row, text in enumerate(buffer.open) if text is not None],
        "next": buffer._next,
        "expected": None if buffer._expected is None else dict(buffer._expected),
        "rng": buffer.rng,
        "full": buffer.full,
    }
    for name in PARTS:
        arrays = [np.asarray(part) for text in texts if (part := getattr(text, name)) is not None and len(part)]
        # The rewards of a text that is being written are Python's floats.
        wide = np.float64 if name == "rewards" else np.int64
        found[name] = np.concatenate(arrays).astype(wide) if arrays else np.empty(0, wide)
    return found


def set_replay_state(buffer: EpisodeReplayBuffer, state: Mapping[str, Any]) -> None:
    """Fill a buffer of the same arguments with what :func:`replay_state` told."""
    buffer.reset()
    width = int(buffer.action_space.n)  # type: ignore[attr-defined]
    smallest = np.min_scalar_type(width - 1)
    at = dict.fromkeys(PARTS, 0)
    texts: list[dict[str, Any]] = []
    for lengths in state["lengths"].tolist():
        text: dict[str, Any] = {}
        for name, length in zip(PARTS, lengths, strict=True):
            text[name] = None if length < 0 else state[name][at[name] : at[name] + length]
            at[name] += max(length, 0)
        texts.append(text)
    for number, text in zip(state["numbers"], texts, strict=False):
        kinds = {"context": np.int32, "prompt": np.int32, "candidates": np.int32, "actions": smallest}
        arrays: list[Any] = [
            part if (part := text[name]) is None else part.astype(kinds.get(name, np.float32)) for name in PARTS
        ]
        buffer.texts[number] = FinishedText(*arrays)
        buffer._tokens += len(text["actions"])
    for row, text in zip(state["open"], texts[len(buffer.texts) :], strict=True):
        prompt = text["prompt"]
        buffer.open[row] = OpenText(
            text["context"].astype(np.int32),
            prompt if prompt is None else prompt.astype(np.int32),
            list(text["candidates"]),
            text["actions"].tolist(),
            text["rewards"].tolist(),
        )
    buffer._next, buffer._expected, buffer.full = state["next"], state["expected"], state["full"]
    buffer.rng = state["rng"]
