"""Short sequences of words, to be repeated."""

from textgym.world.draw import Draw, Rendered
from textgym.world.lexicon import WORDS

SHORTEST, LONGEST = 3, 8  # words


def words_grammar(draw: Draw) -> Rendered:
    """Three to eight different words, which are their own target."""
    text = " ".join(draw.sample(WORDS, SHORTEST + draw.below(LONGEST - SHORTEST + 1)))
    return Rendered(text, (text,))
