"""What a learner maximises: advantages, returns, KL penalties and schedules, as pure functions."""
