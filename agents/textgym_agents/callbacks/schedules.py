"""The callback that lets an algorithm's settings follow schedules of tokens, over all calls of ``learn`` together.

SB3's own schedules take the progress of one ``learn`` call, and begin anew with the next.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import ConstantSchedule, FloatSchedule, LinearSchedule

from textgym.errors import ConfigError, did_you_mean
from textgym_agents.objectives.kl import FixedKL
from textgym_agents.objectives.schedules import Constant, Schedule, parse_schedule


class Now:
    """What SB3 calls where it expects a schedule of progress: gives the value that was set last."""

    def __init__(self, value: float) -> None:
        self.value = value

    def __call__(self, _progress_remaining: float) -> float:
        return self.value


SB3_SCHEDULES = (FloatSchedule, ConstantSchedule, LinearSchedule, Now)
# Settings that may be None, and whether they are schedules of progress once they are not.
OPTIONAL = {"clip_range_vf": True, "clip_range_high": True, "target_kl": False}
FIXED = ("gamma", "gae_lambda")  # the buffer has its own copy, so that changing the algorithm's would do nothing


class Schedules(BaseCallback):
    """Let an algorithm's settings follow schedules of tokens. Works with every algorithm, SB3's own included.

    Tokens are counted over all ``learn`` calls that this callback is given to, also where SB3's own count restarts.
    The values of an update are those of the tokens up to the end of its rollout, as with SB3's schedules; the KL
    coefficient of a rollout, which its rewards already need, is that of the tokens before it. Logged as
    ``schedule/<name>``.

    Args:
        schedules: by name. ``learning_rate``; ``kl_coef``, the coefficient of the penalty; or any number or schedule
            that the algorithm has: ``ent_coef``, ``vf_coef``, ``clip_range``, ``target_kl``, ... A string is read by
            :func:`parse_schedule`, a number is constant.

    Attributes:
        tokens: seen so far.

    Raises:
        ConfigError: no schedule; when training starts, a name that the algorithm doesn't have, or ``kl_coef`` without a
            penalty or with a controller that moves by itself. ``gamma`` and ``gae_lambda`` stay as they are.

    >>> Schedules(learning_rate="linear(4e-3, 0, 1000)", ent_coef=0.01).values(500)
    {'learning_rate': 0.002, 'ent_coef': 0.01}
    """

    def __init__(self, verbose: int = 0, **schedules: Schedule | float | str) -> None:
        super().__init__(verbose)
        if not schedules:
            raise ConfigError("Schedules got no schedule. Name one: Schedules(learning_rate=Linear(4e-3, 0, 50_000)).")
        self.schedules = {name: _as_schedule(name, schedule) for name, schedule in schedules.items()}
        self.tokens = 0

    def values(self, tokens: int) -> dict[str, float]:
        """All settings after so many tokens."""
        return {name: schedule(tokens) for name, schedule in self.schedules.items()}

    def get_state(self) -> dict[str, Any]:
        """What a checkpoint stores, as JSON has it."""
        return {"tokens": self.tokens}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue from :meth:`get_state`."""
        self.tokens = int(state["tokens"])

    def _on_training_start(self) -> None:
        self.tokens = max(self.tokens, self.model.num_timesteps)  # a model that continues without a state of ours
        self._offset = self.tokens - self.model.num_timesteps
        self._set = {name: self._setter(name) for name in self.schedules}
        self._apply()

    def _on_rollout_start(self) -> None:
        self._apply()

    def _on_step(self) -> bool:
        self.tokens = self._offset + self.model.num_timesteps  # at once: Ctrl-C may come at any step
        return True

    def _on_rollout_end(self) -> None:
        self._apply()

    def _on_training_end(self) -> None:
        self.tokens = self._offset + self.model.num_timesteps

    def _apply(self) -> None:
        self.tokens = self._offset + self.model.num_timesteps
        for name, value in self.values(self.tokens).items():
            self._set[name](value)
            self.logger.record(f"schedule/{name}", value)

    def _setter(self, name: str) -> Callable[[float], None]:
        """What gives the algorithm a new value."""
        if name == "kl_coef":
            controller = self._kl_controller()
            return lambda value: setattr(controller, "coef", value)
        names = _settings(self.model)
        if name not in names:
            kind = type(self.model).__name__
            raise ConfigError(
                f"{kind} has no setting {name!r} that can change. {did_you_mean(name, [*names, 'kl_coef'])}"
            )
        held, takes_progress = names[name]
        if not takes_progress:
            return lambda value: setattr(self.model, held, value)
        now = Now(0.0)
        setattr(self.model, held, now)
        return lambda value: setattr(now, "value", value)

    def _kl_controller(self) -> FixedKL:
        controller = getattr(getattr(self.model, "rollout_buffer", None), "kl_controller", None)
        if controller is None:
            raise ConfigError(
                "There is a schedule for kl_coef, and no KL penalty. Begin with one: "
                "textgym_agents.make(..., kl_coef=0.01)."
            )
        if not isinstance(controller, FixedKL):
            raise ConfigError(
                f"There is a schedule for kl_coef, and a {type(controller).__name__} that moves the coefficient, too. "
                "Give kl_coef as a number, or leave the schedule out."
            )
        return controller


def _as_schedule(name: str, given: Any) -> Schedule:
    if isinstance(given, str):
        return parse_schedule(given)
    if isinstance(given, int | float) and not isinstance(given, bool):
        return Constant(given)
    if not callable(given):
        raise ConfigError(f"{name}={given!r} is no schedule. Expected a number, a string or a function of tokens.")
    return given  # type: ignore[no-any-return]


def _settings(model: Any) -> dict[str, tuple[str, bool]]:
    """The attribute that holds each setting that can change, and whether SB3 calls it with its progress."""
    own = [name for cls in type(model).__mro__ if "__init__" in vars(cls) for name in _parameters(cls)]
    settings = {"learning_rate": ("lr_schedule", True)}
    for name, value in vars(model).items():
        if isinstance(value, SB3_SCHEDULES) and name != "lr_schedule":
            settings[name.removesuffix("_schedule")] = name, True
        elif name in OPTIONAL and value is None:
            settings[name] = name, OPTIONAL[name]
        elif name in own and name not in FIXED and (isinstance(value, float) or name.endswith("_coef")):
            settings.setdefault(name, (name, False))
    return settings


def _parameters(cls: Any) -> list[str]:
    return list(inspect.signature(cls.__init__).parameters)
