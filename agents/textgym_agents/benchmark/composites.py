"""Names such as "bc+ppo": one algorithm trains, another continues from its weights."""

from textgym.errors import ConfigError


def parts(algo: str) -> tuple[str, ...]:
    """The algorithms that train one after the other: two of ``"bc+ppo"``, which continues from bc's weights.

    Raises:
        ConfigError: more than two, or an empty one.

    >>> parts("ppo"), parts("bc+ppo")
    (('ppo',), ('bc', 'ppo'))
    """
    names = tuple(part.strip() for part in algo.split("+"))
    if len(names) > 2 or not all(names):
        raise ConfigError(
            f"The algorithm is {algo!r}, expected a name, or two as in 'bc+ppo': train with the first, continue "
            "with the second."
        )
    return names
