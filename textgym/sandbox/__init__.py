"""Programs that nobody trusts, run in child processes that can do nothing but compute."""

from textgym.sandbox.runner import Outcome, check_available, run, same

__all__ = ["Outcome", "check_available", "run", "same"]
