"""One training run: its configuration, its folder, its loggers, and the loop from start to resumed end."""
