"""A baseline of its own for each prompt, from few returns of it: a running mean that is shrunk towards that of all."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from textgym_agents.objectives.advantages import mean_of_others
from textgym_agents.objectives.arrays import Floats, Ints

UNKNOWN_SHRINKAGE = 2.0  # before any prompt has come twice


class PromptBaseline:
    """The expected return of a prompt, from its other completions in a rollout and from those of earlier rollouts.

    What is known of a prompt is a mean of k deviations of returns from the running mean of all. The baseline is that
    running mean plus this deviation times k / (k + shrinkage): the best linear estimate if ``shrinkage`` is the
    variance of returns within prompts over that between prompts (James and Stein, "Estimation with Quadratic Loss",
    1961, in its empirical Bayes form). Both variances are estimated from prompts that come again: the covariance of two
    returns of one prompt is the variance between prompts. Where prompts hardly differ, the baseline is the mean of all.

    No return is in its own baseline, so that policy gradients stay unbiased.

    Args:
        decay: of the running mean and the variances, for each rollout; a prompt's own mean forgets as fast with its own
            returns.

    Attributes:
        mean: running mean of all returns; None before the first rollout.
        deviations, counts: (prompts,) of each prompt's earlier returns: their mean deviation, and how many it counts.

    >>> baseline = PromptBaseline()
    >>> ids, returns = np.array([5, 5, 8, 8]), np.array([1.0, 1.0, 0.0, 0.0])
    >>> baseline.update(ids, returns)
    >>> baseline.mean, baseline.shrinkage
    (0.5, 0.0)
    >>> baseline.baselines(np.array([5, 8, 9]), np.array([0.7, 0.7, 0.7])).tolist()
    [1.0, 0.0, 0.5]
    """

    def __init__(self, decay: float = 0.9) -> None:
        self.decay = decay
        self.mean: float | None = None
        self.deviations, self.counts = np.zeros(0), np.zeros(0)
        # Sums over returns, and over those whose prompt has others, of squared deviations and of products with those.
        self._squares, self._returns, self._products, self._pairs = 0.0, 0.0, 0.0, 0.0

    @property
    def shrinkage(self) -> float:
        """Variance within prompts over that between prompts: how many returns the mean of all counts for."""
        if not self._pairs:
            return UNKNOWN_SHRINKAGE
        between = self._products / self._pairs
        return max(self._squares / self._returns - between, 0.0) / between if between > 0 else float("inf")

    def get_state(self) -> dict[str, Any]:
        """What a checkpoint stores."""
        return {**vars(self), "deviations": self.deviations.copy(), "counts": self.counts.copy()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue from :meth:`get_state`."""
        vars(self).update(state)

    def baselines(self, prompt_ids: Ints, returns: Floats) -> Floats:
        """(episodes,) the expected return of each, from all but its own.

        Args:
            prompt_ids: (episodes,).
            returns: (episodes,).
        """
        if self.mean is not None:
            means = np.full(len(returns), self.mean)
        else:
            means = mean_of_others(returns[None])[0] if len(returns) > 1 else np.zeros(1)
        deviation, known = self._known(prompt_ids, returns, means)
        weights = known / np.where(known > 0, known + self.shrinkage, 1.0)
        baselines: Floats = means + weights * deviation
        return baselines

    def update(self, prompt_ids: Ints, returns: Floats) -> None:
        """Take the returns of a rollout, after its update."""
        mean = float(returns.mean())
        before = mean if self.mean is None else self.mean
        own = returns - before
        deviation, known = self._known(prompt_ids, returns, np.full(len(returns), before))
        for name, value in (
            ("_squares", float(own @ own)),
            ("_returns", len(own)),
            ("_products", float((own * deviation)[known > 0].sum())),
            ("_pairs", int((known > 0).sum())),
        ):
            setattr(self, name, self.decay * getattr(self, name) + value)
        prompts, inverse, new = np.unique(prompt_ids, return_inverse=True, return_counts=True)
        count = np.minimum(self.counts[prompts] + new, 1 / (1 - self.decay))
        mean_of_new = np.bincount(inverse, own) / new
        self.deviations[prompts] += (mean_of_new - self.deviations[prompts]) * np.minimum(new / count, 1)
        self.counts[prompts] = count
        self.mean = self.decay * before + (1 - self.decay) * mean

    def _known(self, prompt_ids: Ints, returns: Floats, means: Floats) -> tuple[Floats, Floats]:
        """(episodes,) the mean deviation of a prompt's other returns from ``means``, and how many these are."""
        missing = int(prompt_ids.max()) + 1 - len(self.counts)
        if missing > 0:
            self.deviations, self.counts = (np.pad(one, (0, missing)) for one in (self.deviations, self.counts))
        inverse, here = np.unique(prompt_ids, return_inverse=True, return_counts=True)[1:]
        others = here[inverse] - 1.0
        known: Floats = others + self.counts[prompt_ids]
        total = np.bincount(inverse, returns)[inverse] - returns - others * means
        total += self.counts[prompt_ids] * self.deviations[prompt_ids]
        return total / np.maximum(known, 1), known
