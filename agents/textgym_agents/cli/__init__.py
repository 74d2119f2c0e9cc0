"""The ``textgym`` command. This module imports nothing but the standard library until signals are handled."""

from collections.abc import Sequence

from textgym_agents.cli import signals


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command with these arguments, by default those of the process, and end the process."""
    if arguments is None:
        signals.handle(signals.interrupt_or_end)
    try:
        from textgym_agents.cli.app import app

        app(args=None if arguments is None else list(arguments), prog_name="textgym")
    finally:
        if arguments is None:
            signals.handle(signals.end)
