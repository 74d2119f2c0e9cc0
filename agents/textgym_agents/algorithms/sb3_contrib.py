"""sb3-contrib's TRPO, MaskablePPO and QR-DQN, unmodified; without sb3-contrib, what says how to install it.

TRPO: Schulman et al., Trust Region Policy Optimization, 2015, https://arxiv.org/abs/1502.05477
MaskablePPO: Huang and Ontañón, A Closer Look at Invalid Action Masking in Policy Gradient Algorithms, 2020,
https://arxiv.org/abs/2006.14171
QRDQN: Dabney et al., Distributional Reinforcement Learning with Quantile Regression, 2018,
https://arxiv.org/abs/1710.10044

Differences from the papers, beside those of sb3-contrib:

1. TRPO: the value head learns from the model's hidden states without moving them, since the policy shares them.
2. TRPO: the curvature is estimated from a quarter of the episodes (``policy_kwargs={"fisher_share": 1.0}``: from all).
3. TRPO: log-probabilities below -80 count as -80 in the KL.
4. MaskablePPO: an environment's rules (banned tokens, a least length) hold with and without masks.
"""

from typing import Any, NoReturn

from textgym.errors import MissingExtraError
from textgym_agents.algorithms import origins, search
from textgym_agents.algorithms.row import Algorithm, Learning
from textgym_agents.algorithms.sb3 import DQN_DEFAULTS, DQN_SMALL, PPO_DEFAULTS
from textgym_agents.buffers.masked_rollout import MaskedEpisodeRolloutBuffer
from textgym_agents.buffers.replay import EpisodeReplayBuffer
from textgym_agents.envs.candidates import candidates
from textgym_agents.policies.maskable import MaskablePolicy
from textgym_agents.policies.qrdqn import QRDQNPolicy
from textgym_agents.policies.trpo import TRPOPolicy


class _Missing:
    """Takes the place of a class that isn't installed."""

    __module__ = "sb3_contrib"

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise MissingExtraError(f"{self.__name__}, which is sb3-contrib's,", "contrib")

    load = __call__

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type]:
        """A class derived from it can't be made either."""
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

TRPO_ROW = Algorithm(
    TRPO,
    "Schulman et al., Trust Region Policy Optimization, 2015, https://arxiv.org/abs/1502.05477",
    {
        "n_steps": None,
        "batch_size": 256,
        "learning_rate": 1e-2,
        "gamma": 1.0,
        "gae_lambda": 1.0,
        "target_kl": 0.03,
        "cg_max_steps": 3,
        "cg_damping": 10.0,
        "n_critic_updates": 5,
    },
    family="trust region",
    kl_coef=0.01,
    policy=TRPOPolicy,
    small={"n_steps": 5, "batch_size": 8},
    tests=("algorithms/test_trpo.py",),
    learning=Learning(24_000, 0.015, (0.035, 0.032, 0.039)),
    search={**search.ROLLOUTS, "target_kl": search.Range(3e-3, 0.1), "cg_damping": search.Choice((0.1, 1.0, 10.0))},
    origins={
        **origins.ROLLOUTS,
        "target_kl": origins.CHOSEN,
        "cg_max_steps": origins.CHOSEN,
        "cg_damping": origins.CHOSEN,
        "n_critic_updates": origins.CHOSEN,
    },
)
MASKABLE_PPO_ROW = Algorithm(
    MaskablePPO,
    "Huang and Ontañón, A Closer Look at Invalid Action Masking in Policy Gradient Algorithms, 2020, "
    "https://arxiv.org/abs/2006.14171",
    PPO_DEFAULTS,
    family="action masking",
    kl_coef=0.01,
    policy=MaskablePolicy,
    buffer=MaskedEpisodeRolloutBuffer,
    small={"n_steps": 5, "batch_size": 8},
    tests=("algorithms/test_maskable_ppo.py",),
    learning=Learning(24_000, 0.05, (0.098, 0.090, 0.078)),
    search={**search.PPO, "clip_range": search.Choice((0.1, 0.2, 0.3))},
    origins=origins.ROLLOUTS,
)
QRDQN_ROW = Algorithm(
    QRDQN,
    "Dabney et al., Distributional Reinforcement Learning with Quantile Regression, 2018, "
    "https://arxiv.org/abs/1710.10044",
    DQN_DEFAULTS,
    family="value based",
    kl_coef=None,
    policy=QRDQNPolicy,
    buffer=EpisodeReplayBuffer,
    wrap=candidates,
    wrap_defaults={"num_candidates": 8},
    small=DQN_SMALL,
    tests=("algorithms/test_dqn.py",),
    learning=Learning(24_000, 0.005, (0.034, 0.011, 0.018)),
    search=search.REPLAY,
    origins=origins.REPLAY,
)
