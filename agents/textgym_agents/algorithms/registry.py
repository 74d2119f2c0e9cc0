"""The table of algorithms, and how one of a user's own comes into it."""

import re
from collections.abc import Iterable

from textgym.errors import ConfigError, did_you_mean
from textgym_agents.algorithms import (
    ars,
    bc,
    grpo,
    ilql,
    nlpo,
    no_training,
    q_learning,
    reinforce,
    rloo,
    sarsa,
    sb3,
    sb3_contrib,
    scst,
    vineppo,
)
from textgym_agents.algorithms.options import arguments, takes_anything
from textgym_agents.algorithms.row import Algorithm
from textgym_agents.policies.base import LanguageModelPolicy

ALGORITHMS: dict[str, Algorithm] = {
    "ppo": sb3.PPO_ROW,
    "a2c": sb3.A2C_ROW,
    "trpo": sb3_contrib.TRPO_ROW,
    "maskable_ppo": sb3_contrib.MASKABLE_PPO_ROW,
    "nlpo": nlpo.ROW,
    "reinforce": reinforce.ROW,
    "scst": scst.ROW,
    "rloo": rloo.ROW,
    "grpo": grpo.ROW,
    "vineppo": vineppo.ROW,
    "dqn": sb3.DQN_ROW,
    "qrdqn": sb3_contrib.QRDQN_ROW,
    "q_learning": q_learning.ROW,
    "sarsa": sarsa.ROW,
    "ilql": ilql.ROW,
    "bc": bc.ROW,
    "random": no_training.RANDOM,
    "zero_shot": no_training.ZERO_SHOT,
    "greedy": no_training.GREEDY,
    "best_of_n": no_training.BEST_OF_N,
    "ars": ars.ROW,
}

_NAME = re.compile(r"[A-Za-z_]\w*")  # no plus or comma, which the benchmark's lists read


def register_algorithm(name: str, row: Algorithm) -> None:
    """Give an algorithm a name, which ``make``, ``textgym list``, ``train`` and ``benchmark`` then accept.

    Registering an equal row again changes nothing.

    Args:
        name: letters, digits and ``_``, not beginning with a digit.
        row: its class, and whatever of the rest isn't the default. Defaults are best in the class's own signature.

    Raises:
        ConfigError: the name is taken or can't be one, or the row makes no sense.

    >>> import textgym_agents
    >>> from textgym_agents.algorithms.rloo import RLOO
    >>> class Pairs(RLOO):
    ...     pass
    >>> textgym_agents.register_algorithm("pairs", Algorithm(Pairs, "none, an example", {"group_size": 2}))
    >>> textgym_agents.make("pairs", "textgym/Copy-v1", n_envs=4).group_size
    2
    >>> del ALGORITHMS["pairs"]
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigError(
            f"name={name!r} can't name an algorithm, expected letters, digits and '_', not beginning with a digit."
        )
    if not isinstance(row, Algorithm):
        raise ConfigError(f"The algorithm {name!r} got {row!r}, expected a row: textgym_agents.Algorithm(cls, paper).")
    if not callable(row.cls):
        raise ConfigError(f"The class of the algorithm {name!r} is {row.cls!r}, expected a BaseAlgorithm of SB3.")
    if not (isinstance(row.policy, type) and issubclass(row.policy, LanguageModelPolicy)):
        raise ConfigError(f"The policy of the algorithm {name!r} is {row.policy!r}, no LanguageModelPolicy class.")
    if row.wrap_defaults and row.wrap is None:
        raise ConfigError(f"The algorithm {name!r} has wrap_defaults and no wrap that would take them.")
    missing = [needed for needed in ("policy", "env", *row.defaults) if not row.takes(needed)]
    if missing:
        taken = arguments(row.cls)
        raise ConfigError(
            f"The class of the algorithm {name!r} takes no argument {missing[0]!r}. {did_you_mean(missing[0], taken)}"
        )
    if name in ALGORITHMS and ALGORITHMS[name] != row:
        raise ConfigError(f"There is an algorithm {name!r} already. Choose another name.")
    ALGORITHMS[name] = row


def check_settings(algorithm: str, given: Iterable[str]) -> None:
    """Raise ConfigError for an argument that an algorithm of the table doesn't take, naming those that do.

    >>> check_settings("sarsa", ["normalize_advantage"])
    Traceback (most recent call last):
    textgym.errors.ConfigError: 'sarsa' takes no argument 'normalize_advantage'. Those that do: ppo, a2c, ...
    """
    row = ALGORITHMS[algorithm]
    for name in given:
        if not row.takes(name):
            able = [other for other, one in ALGORITHMS.items() if one.takes(name) and not takes_anything(one.cls)]
            advice = f"Those that do: {', '.join(able)}." if able else did_you_mean(name, row.arguments())
            raise ConfigError(f"{algorithm!r} takes no argument {name!r}. {advice}")
