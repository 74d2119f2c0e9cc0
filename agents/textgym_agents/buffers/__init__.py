"""Storage of episodes: for rollouts, replay, a log, and demonstrations."""
