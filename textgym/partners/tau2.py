"""The domains of tau2-bench as environments of texts, for ``GymPartner``.

Policy, tools and ticket                                the first observation
create_task(user_id='user_1', title='Meeting')          an action: a call
tool: {"task_id": "task_2", "title": "Meeting", ...}    the next observation
done()                                                  the end: 1 where the records are as they should be, else 0
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import gymnasium

from textgym.errors import ConfigError, MissingExtraError, did_you_mean

DONE = "done()"  # the call that ends a simulation


class Tau2Game(gymnasium.Env[str, str]):
    """The tasks of a domain of tau2-bench (Barres et al., 2025), by its own gym class. Needs the extra ``tau2``.

    A seed decides the task: ``tasks[seed % len(tasks)]``. An action is a tool's call, ``name(argument='value')``, or
    what is said to the user; what is said alone, without a user, ends the episode. The reward comes with the end.

    ``solo`` is tau2's mode without a user: the agent gets a ticket, and no language model is asked. With a user,
    tau2 asks the language model ``user_llm``: episodes are then no better repeated than it repeats itself.

    The log of tau2 is switched off; ``loguru.logger.enable("tau2")`` brings it back.

    Args:
        domain: such as "mock", "retail" or "airline".
        tasks: the ids of tasks. None: all of the domain, in solo mode those with a ticket.
        solo: without a user.
        options: of ``tau2.gym.AgentGymEnv``, such as ``max_steps=20`` or ``user_llm="gpt-4.1"``.

    Raises:
        MissingExtraError: tau2 isn't installed.
        ConfigError: there is no such domain, task or option.
    """

    def __init__(self, domain: str, tasks: Sequence[str] | None = None, *, solo: bool = True, **options: Any) -> None:
        try:
            from loguru import logger
            from tau2.gym import AgentGymEnv
            from tau2.registry import registry
        except ImportError as error:
            raise MissingExtraError(f"The domain {domain!r} of tau2-bench", "tau2") from error
        logger.disable("tau2")
        if domain not in registry.get_domains():
            raise ConfigError(f"tau2 has no domain {domain!r}. {did_you_mean(domain, registry.get_domains())}")
        known = {task.id: task for task in registry.get_tasks_loader(domain)()}
        fitting = [name for name, task in known.items() if task.ticket or not solo]
        self.tasks = tuple(fitting if tasks is None else tasks)
        for name in self.tasks:
            if name not in fitting:
                why = "has no ticket, which solo mode needs" if name in known else "is unknown"
                raise ConfigError(f"The task {name!r} of {domain!r} {why}. {did_you_mean(name, fitting)}")
        if not self.tasks:
            raise ConfigError(f"There is no task of {domain!r} to play{' without a user' if solo else ''}.")
        self.domain, self.solo, self.options = domain, solo, options
        self._make: Any = AgentGymEnv
        self._known = known
        self._played: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        super().reset(seed=seed)
        self.close()
        drawn = int(self.np_random.integers(2**31)) if seed is None else seed
        name = self.tasks[drawn % len(self.tasks)]
        try:
            self._played = self._make(self.domain, name, solo_mode=self.solo, **self.options)
        except TypeError as error:
            raise ConfigError(f"tau2's environment takes no such options: {error}") from error
        said, info = self._played.reset(seed=seed)
        parts = [info["policy"].strip(), "Tools:", *map(_described, info["tools"])]
        if self.solo:
            parts.append(f"Ticket: {self._known[name].ticket.strip()}")
        return "\n".join([*parts, said]).strip(), {"task": name}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        if self._played is None:
            return "The simulation is over.", 0.0, True, False, {}
        said, reward, terminated, truncated, _ = self._played.step(action)
        if terminated or truncated:
            self._played = None
        return said, float(reward), terminated, truncated, {}

    def close(self) -> None:
        """End the simulation, whose thread waits for an action otherwise."""
        played, self._played = self._played, None
        if played is not None:
            with suppress(Exception):  # of the evaluation, which nobody asked for
                played.step(DONE)

    def __repr__(self) -> str:
        return f"Tau2Game({self.domain!r})"


def _described(tool: Any) -> str:
    """A tool in one line: how it is called, and the first sentence of what it does."""
    function = tool.openai_schema["function"]
    wanted = function["parameters"].get("required", ())
    names = [name if name in wanted else f"{name}=None" for name in function["parameters"].get("properties", {})]
    return f"{function['name']}({', '.join(names)}): {function['description'].strip().splitlines()[0]}"
