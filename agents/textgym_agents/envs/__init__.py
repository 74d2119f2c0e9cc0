"""textgym environments as SB3 VecEnvs."""
