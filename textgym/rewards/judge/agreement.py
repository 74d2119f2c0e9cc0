"""How far judges agree: Krippendorff's alpha, and the rank correlation of each two."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt

Ratings = npt.ArrayLike  # (judges, texts), NaN where a judge has no verdict


def krippendorff_alpha(ratings: Ratings) -> float:
    """Krippendorff's alpha for interval data: 1 for perfect agreement, 0 for that of chance, below 0 for less.

    1 minus the observed over the expected disagreement, squared distances each. Texts with fewer than two verdicts are
    left out. NaN where that leaves no text, or all verdicts are equal, so that there is nothing to agree about.
    Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), https://repository.upenn.edu/asc_papers/43.

    Args:
        ratings: (judges, texts), NaN where a judge has no verdict.

    >>> krippendorff_alpha([[1, 2, 3, 4], [1, 2, 3, 4]])
    1.0
    >>> round(krippendorff_alpha([[1, 2, 3, 4], [4, 3, 2, 1]]), 3)
    -0.75
    """
    table = np.asarray(ratings, dtype=np.float64)
    table = table[:, (~np.isnan(table)).sum(0) > 1]
    counts = (~np.isnan(table)).sum(0)  # (texts,)
    total = int(counts.sum())
    if not total:
        return float("nan")
    # The squared distances of all ordered pairs of n numbers sum to 2 n^2 times their variance.
    observed = float((2 * counts**2 * np.nanvar(table, axis=0) / (counts - 1)).sum()) / total
    expected = 2 * total * float(np.nanvar(table)) / (total - 1)
    return 1 - observed / expected if expected > 0 else float("nan")


def mean_spearman(ratings: Ratings) -> float:
    """The mean over each two judges of Spearman's rank correlation, on the texts that both have judged.

    Pairs with fewer than three such texts, or one that gave them all the same, are left out. NaN where no pair is left.

    Args:
        ratings: (judges, texts), NaN where a judge has no verdict.

    >>> round(mean_spearman([[1, 2, 3, 4], [2, 4, 6, 9], [4, 3, 2, 1]]), 3)
    -0.333
    """
    from scipy.stats import rankdata

    table = np.asarray(ratings, dtype=np.float64)
    correlations = []
    for one, other in combinations(table, 2):
        both = ~(np.isnan(one) | np.isnan(other))
        if both.sum() < 3 or np.ptp(one[both]) == 0 or np.ptp(other[both]) == 0:
            continue
        correlations.append(np.corrcoef(rankdata(one[both]), rankdata(other[both]))[0, 1])
    return float(np.mean(correlations)) if correlations else float("nan")


def ranks(values: Sequence[float]) -> list[float]:
    """Each value's place among the others, from 0 (the lowest) to 1: the share that it exceeds, and half of the equal.

    >>> ranks([0.3, 0.9, 0.3])
    [0.25, 1.0, 0.25]
    """
    from scipy.stats import rankdata

    if len(values) < 2:
        return [0.5] * len(values)
    return [float(place - 1) / (len(values) - 1) for place in rankdata(np.round(values, 9))]
