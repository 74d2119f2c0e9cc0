"""How often each n-gram occurs in each of a few texts, counted by one sort. Many times faster than with counters."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.integer]
Ints = npt.NDArray[np.int64]


def ngram_counts(symbols: Integers, sizes: Sequence[int], orders: int) -> tuple[Ints, Ints]:
    """Count the n-grams of texts.

    Args:
        symbols: (total,) non-negative integers, one for each character or word, the texts one after the other.
        sizes: how many symbols each text has.
        orders: the longest n-grams.

    Returns:
        counts: (texts, grams) how often each text has each n-gram that occurs, short n-grams first.
        starts: (orders,) where the n-grams of each order begin among them. Shorter where the texts are shorter.

    >>> counts, starts = ngram_counts(np.array([5, 6, 5, 6, 5]), [3, 2], 2)  # 5 6 5 | 6 5
    >>> counts.tolist(), starts.tolist()  # 5, 6, 5 6, 6 5
    ([[2, 1, 1, 1], [1, 1, 0, 1]], [0, 2])
    """
    orders = min(orders, max(sizes))
    if orders == 0:
        return np.zeros((len(sizes), 0), dtype=np.int64), np.zeros(0, dtype=np.int64)
    total, bits = len(symbols), (len(sizes) - 1).bit_length()
    owner = np.repeat(np.arange(len(sizes)), sizes)  # (total,) the text of each symbol
    left = np.repeat(np.cumsum(sizes), sizes) - np.arange(total)  # (total,) symbols from it to the end of its text
    order = np.arange(orders)[:, None]
    codes, bound = _codes(symbols, orders, limit=2**62 // (orders << bits))
    keys = ((codes + order * bound << bits) + owner)[left > order]  # sorts by order, n-gram and text
    keys.sort()
    grams = keys >> bits
    new = np.ones(len(keys), dtype=np.bool_)
    np.not_equal(grams[1:], grams[:-1], out=new[1:])
    different = grams[new]
    cells = (keys & (1 << bits) - 1) * len(different) + np.cumsum(new) - 1
    counts = np.bincount(cells, minlength=len(sizes) * len(different)).reshape(len(sizes), -1)
    return counts, np.searchsorted(different, np.arange(orders) * bound)


def _codes(symbols: Integers, orders: int, limit: int) -> tuple[Ints, int]:
    """(orders, total) a number for the n-gram that begins at each symbol, and a bound that all of them stay below."""
    total, base = len(symbols), int(symbols.max()) + 1
    codes, bound = np.zeros((orders, total), dtype=np.int64), base
    codes[0] = symbols
    highest = bound
    for n in range(1, orders):
        shorter = codes[n - 1, : total - n]
        if bound * base > limit:  # long n-grams of many symbols: the rank of a code replaces it
            shorter, bound = np.unique(shorter, return_inverse=True)[1], total
        np.multiply(shorter, base, out=codes[n, : total - n])
        codes[n, : total - n] += symbols[n:]
        bound *= base
        highest = max(highest, bound)
    return codes, highest


def common_ngrams(counts: Ints, starts: Ints) -> Ints:
    """(texts - 1, orders) how many n-grams the first text shares with each other one; a repeated one counts again.

    >>> common_ngrams(*ngram_counts(np.array([5, 6, 5, 6, 5]), [3, 2], 2)).tolist()
    [[2, 1]]
    """
    common: Ints = np.add.reduceat(np.minimum(counts[0], counts[1:]), starts, axis=1)
    return common


def character_symbols(texts: Sequence[str]) -> Integers:
    """The characters of all texts as integers, small ones where it costs nothing.

    >>> character_symbols(["ab", "b"]).tolist(), character_symbols(["né"]).tolist()
    ([97, 98, 98], [0, 1])
    """
    joined = "".join(texts)
    if joined.isascii():
        return np.frombuffer(joined.encode(), dtype=np.uint8)
    points = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    ranks: Ints = np.unique(points, return_inverse=True)[1]
    return ranks


def word_symbols(texts: Sequence[Sequence[str]]) -> Ints:
    """The words of all texts as integers, in order of first occurrence.

    >>> word_symbols([["a", "b"], ["b", "c"]]).tolist()
    [0, 1, 1, 2]
    """
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(word, len(numbers)) for words in texts for word in words], dtype=np.int64)
