"""What the algorithms of a benchmark are called: "ppo", "bc+ppo" and variants such as "rloo[group_size=8]".

With a plus sign, one algorithm trains and another continues from its weights. In brackets are arguments of one variant.
"""

import json
import re
from typing import Any

from textgym.errors import ConfigError

_OUTSIDE = r"(?![^\[]*\])"  # outside brackets


def names(text: str) -> list[str]:
    """The algorithms of a list joined by commas.

    >>> names("rloo, ppo[n_epochs=4,kl_coef=0.1]")
    ['rloo', 'ppo[n_epochs=4,kl_coef=0.1]']
    """
    return [part.strip() for part in re.split(f",{_OUTSIDE}", text) if part.strip()]


def parts(algo: str) -> tuple[str, ...]:
    """The algorithms that train one after the other: two of ``"bc+ppo"``, which continues from bc's weights.

    Raises:
        ConfigError: more than two, or an empty one.

    >>> parts("ppo"), parts("bc+ppo[n_epochs=4]")
    (('ppo',), ('bc', 'ppo[n_epochs=4]'))
    """
    found = tuple(part.strip() for part in re.split(rf"\+{_OUTSIDE}", algo))
    if len(found) > 2 or not all(found):
        raise ConfigError(
            f"The algorithm is {algo!r}, expected a name, or two as in 'bc+ppo': train with the first, continue "
            "with the second."
        )
    return found


def base(part: str) -> str:
    """The algorithm of which a part of a name is a variant.

    >>> base("rloo[group_size=8]"), base("rloo")
    ('rloo', 'rloo')
    """
    return part.partition("[")[0].strip()


def own_arguments(part: str) -> dict[str, Any]:
    """The arguments in brackets. A value that isn't JSON is taken as text.

    Raises:
        ConfigError: they have another form.

    >>> own_arguments("ppo[n_epochs=4,learning_rate=1e-3]"), own_arguments("ppo")
    ({'n_epochs': 4, 'learning_rate': 0.001}, {})
    """
    _, bracket, rest = part.partition("[")
    if not bracket:
        return {}
    found: dict[str, Any] = {}
    for text in rest.removesuffix("]").split(","):
        name, equals, value = (piece.strip() for piece in text.partition("="))
        if not rest.endswith("]") or not equals or not name or not value or name in found:
            raise ConfigError(
                f"The algorithm is {part!r}, expected arguments in brackets as in 'ppo[n_epochs=4,learning_rate=1e-3]'."
            )
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found
