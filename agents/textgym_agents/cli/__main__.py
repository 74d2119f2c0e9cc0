"""``python -m textgym_agents.cli`` is the same as ``textgym``."""

from textgym_agents.cli import main

main()
