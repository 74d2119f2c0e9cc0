"""sb3-contrib's algorithms, unmodified; without sb3-contrib, what says how to install it.

TRPO: Schulman et al., Trust Region Policy Optimization, 2015, https://arxiv.org/abs/1502.05477
MaskablePPO: Huang and Ontañón, A Closer Look at Invalid Action Masking in Policy Gradient Algorithms, 2020,
https://arxiv.org/abs/2006.14171
QRDQN: Dabney et al., Distributional Reinforcement Learning with Quantile Regression, 2018,
https://arxiv.org/abs/1710.10044

Differences from the papers, beside those of sb3-contrib:

1. TRPO: the value head learns from the model's hidden states without moving them, since the policy shares them.
2. TRPO: the curvature is estimated from a quarter of the texts (``policy_kwargs={"fisher_share": 1.0}``: from all).
3. TRPO: log-probabilities below -80 count as -80 in the KL.
4. MaskablePPO: an environment's rules (banned tokens, a least length) hold with and without masks.
"""

from typing import Any, NoReturn

from textgym.errors import MissingExtraError


class _Missing:
    """Stands in the table for a class that isn't installed."""

    __module__ = "sb3_contrib"

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise MissingExtraError(f"{self.__name__}, which is sb3-contrib's,", "contrib")

    load = __call__

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type]:
        """A class derived from it is as little there."""
        missing = self

        class Nothing:
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                missing()

            @classmethod
            def load(cls, *args: Any, **kwargs: Any) -> NoReturn:
                missing()

        return (Nothing,)


TRPO: Any
MaskablePPO: Any
QRDQN: Any
ARS: Any
try:
    from sb3_contrib import ARS, QRDQN, TRPO, MaskablePPO
except ImportError:
    TRPO, MaskablePPO, QRDQN, ARS = (_Missing(name) for name in ("TRPO", "MaskablePPO", "QRDQN", "ARS"))
