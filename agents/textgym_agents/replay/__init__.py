"""Replay of whole texts, for algorithms that learn from what they did earlier."""

from textgym_agents.replay.buffer import EpisodeReplayBuffer
from textgym_agents.replay.texts import CANDIDATES, CandidateBatch, FinishedText, OpenText, n_step_returns

__all__ = ["CANDIDATES", "CandidateBatch", "EpisodeReplayBuffer", "FinishedText", "OpenText", "n_step_returns"]
