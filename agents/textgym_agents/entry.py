"""What the command ``textgym`` runs. It imports nothing but the standard library until signals are handled."""

from textgym_agents import signals


def main() -> None:
    """Run the command with the arguments of the process, and end the process."""
    signals.handle(signals.interrupt_or_end)
    try:
        from textgym_agents.cli import main as run

        run()
    finally:
        signals.handle(signals.end)


if __name__ == "__main__":
    main()
