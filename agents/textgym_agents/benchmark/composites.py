"""Names such as "bc+ppo": one algorithm trains, another goes on from its weights."""

from textgym.errors import ConfigError


def parts(algo: str) -> tuple[str, ...]:
    """The algorithms that train one after the other: two of ``"bc+ppo"``, which goes on from bc's weights.

    Raises:
        ConfigError: more than two, or an empty one.

    >>> parts("ppo"), parts("bc+ppo")
    (('ppo',), ('bc', 'ppo'))
    """
    found = tuple(part.strip() for part in algo.split("+"))
    if len(found) > 2 or not all(found):
        raise ConfigError(
            f"The algorithm is {algo!r}, expected a name, or two as in 'bc+ppo': train with the first, go on with the "
            "second."
        )
    return found
