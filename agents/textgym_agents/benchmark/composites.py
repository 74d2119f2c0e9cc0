"""What a benchmark's algorithms and tasks are called: "ppo", "bc+ppo", and variants: "rloo[group_size=8]".

With plus signs, one algorithm trains and the next continues from its weights. In brackets are arguments of one variant,
of an algorithm or of a task's environment: "Copy[max_new_tokens=8]".
"""

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from textgym.errors import ConfigError
from textgym.registration import short_name

_OUTSIDE = r"(?![^\[]*\])"  # outside brackets
_EXAMPLES = {"algorithm": "ppo[n_epochs=4,learning_rate=1e-3]", "task": "Copy[max_new_tokens=8]"}


def names(text: str) -> list[str]:
    """The algorithms or tasks of a list joined by commas.

    >>> names("rloo, ppo[n_epochs=4,kl_coef=0.1]")
    ['rloo', 'ppo[n_epochs=4,kl_coef=0.1]']
    """
    return [part.strip() for part in re.split(f",{_OUTSIDE}", text) if part.strip()]


def parts(algo: str) -> tuple[str, ...]:
    """The algorithms that train one after the other: two of ``"bc+ppo"``, which continues from bc's weights.

    Raises:
        ConfigError: one is empty.

    >>> parts("ppo"), parts("bc+ppo[n_epochs=4]"), parts("bc+dqn+dqn")
    (('ppo',), ('bc', 'ppo[n_epochs=4]'), ('bc', 'dqn', 'dqn'))
    """
    found = tuple(part.strip() for part in re.split(rf"\+{_OUTSIDE}", algo))
    if not all(found):
        raise ConfigError(
            f"The algorithm is {algo!r}, expected a name, or several as in 'bc+ppo': train with the first, continue "
            "with the next."
        )
    return found


def tokens_of_parts(algo: str, budget: int, warm_share: float) -> list[int]:
    """After how many tokens each part of an algorithm ends: the first has its share, the others alike what is left.

    >>> tokens_of_parts("bc+ppo", 1000, 0.5), tokens_of_parts("bc+dqn+dqn", 1000, 0.2), tokens_of_parts("ppo", 9, 0.5)
    ([500, 1000], [200, 600, 1000], [9])
    """
    later = len(parts(algo)) - 1
    first = round(budget * warm_share) if later else budget
    return [first, *(first + (budget - first) * number // later for number in range(1, later + 1))]


def base(part: str) -> str:
    """The algorithm or the id of a task that a name is a variant of.

    >>> base("rloo[group_size=8]"), base("textgym/Copy-v1")
    ('rloo', 'textgym/Copy-v1')
    """
    return part.partition("[")[0].strip()


def own_arguments(part: str, kind: str = "algorithm") -> dict[str, Any]:
    """The arguments in brackets. A value that isn't JSON is taken as text.

    Args:
        part: the name.
        kind: what it names, "algorithm" or "task", for the error.

    Raises:
        ConfigError: they have another form.

    >>> own_arguments("ppo[n_epochs=4,learning_rate=1e-3]"), own_arguments("ppo")
    ({'n_epochs': 4, 'learning_rate': 0.001}, {})
    >>> own_arguments('dqn[policy_kwargs={"beta":0.2,"value_gain":100},batch_size=64]')
    {'policy_kwargs': {'beta': 0.2, 'value_gain': 100}, 'batch_size': 64}
    """
    _, bracket, rest = part.partition("[")
    if not bracket:
        return {}
    found: dict[str, Any] = {}
    for text in re.split(r",(?![^{]*\})", rest.removesuffix("]")):  # outside braces
        name, equals, value = (piece.strip() for piece in text.partition("="))
        if not rest.endswith("]") or not equals or not name or not value or name in found:
            raise ConfigError(f"The {kind} is {part!r}, expected arguments in brackets as in {_EXAMPLES[kind]!r}.")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def variant(name: str, arguments: Mapping[str, Any]) -> str:
    """The name of a variant, always the same for the same arguments in the same order.

    >>> variant("textgym/Copy-v1", own_arguments("Copy[ max_new_tokens = 8 ]")), variant("ppo", {})
    ('textgym/Copy-v1[max_new_tokens=8]', 'ppo')
    """
    written = [f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in arguments.items()]
    return f"{name}[{','.join(written)}]" if written else name


def swept(algo: str, values: Mapping[str, Sequence[Any]]) -> list[str]:
    """The variants of an algorithm with each combination of these values of its arguments.

    >>> swept("rloo[group_size=8]", {"kl_coef": (0.0, 0.1)})
    ['rloo[group_size=8,kl_coef=0.0]', 'rloo[group_size=8,kl_coef=0.1]']
    """
    combinations = [dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values())]
    return [variant(base(algo), {**own_arguments(algo), **one}) for one in combinations]


def short_task(task: str) -> str:
    """A task's name for tables: short where the id is one of textgym's.

    >>> short_task("textgym/Copy-v1[max_new_tokens=8]"), short_task("mine/Haiku-v0")
    ('Copy[max_new_tokens=8]', 'mine/Haiku-v0')
    """
    return short_name(base(task)) + task[len(task.partition("[")[0]) :]
