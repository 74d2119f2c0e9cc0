"""What an algorithm maximizes: advantages, returns, KL penalties and schedules, as pure functions."""
