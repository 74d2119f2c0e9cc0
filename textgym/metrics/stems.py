"""Porter's stems of English words, by nltk, which the extra ``stemmer`` has. It needs no data."""

from collections.abc import Callable
from functools import lru_cache

from textgym.errors import MissingExtraError


def stem(word: str, feature: str = "A stemmer") -> str:
    """The stem of a word.

    Args:
        word: of English, in lower case.
        feature: what needs it, for the message.

    Raises:
        MissingExtraError: nltk isn't installed.

    >>> stem("running"), stem("flies")
    ('run', 'fli')
    """
    try:
        return _stem(word)
    except ImportError:
        raise MissingExtraError(feature, "stemmer") from None


@lru_cache(maxsize=65536)
def _stem(word: str) -> str:
    return str(_stemmer()(word))


@lru_cache(maxsize=1)
def _stemmer() -> Callable[[str], str]:
    from nltk.stem.porter import PorterStemmer  # type: ignore[import-untyped]

    found: Callable[[str], str] = PorterStemmer().stem
    return found
