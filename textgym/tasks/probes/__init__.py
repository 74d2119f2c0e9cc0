"""The probes: tasks of a few words that each isolate one difficulty, with known values of the random and best policies.

They are to reinforcement learning on text what bsuite (Osband et al., 2020, https://arxiv.org/abs/1908.03568) is to
control. Each has tags, an argument that makes it harder, and a score from 0,
the policy that takes legal words at random, to 1, the best one. A probe is a file here, with its import and its row in
``PROBES``.
"""

from textgym.tasks.probes.bandit import Bandit
from textgym.tasks.probes.base import Probe, ProbeReward
from textgym.tasks.probes.constraint import Constraint
from textgym.tasks.probes.credit import Credit
from textgym.tasks.probes.deceptive import Deceptive
from textgym.tasks.probes.generalization import Generalization
from textgym.tasks.probes.heterogeneous import Heterogeneous
from textgym.tasks.probes.horizon import Horizon
from textgym.tasks.probes.memory import Memory
from textgym.tasks.probes.noise import Noise
from textgym.tasks.probes.password import Password
from textgym.tasks.probes.proxy import Proxy
from textgym.tasks.probes.reward_scale import RewardScale
from textgym.tasks.probes.sparse import Sparse
from textgym.tasks.probes.stochastic import Stochastic

__all__ = ["PROBES", "SUITE", "Probe", "ProbeReward"]

PROBES: dict[str, type[Probe]] = {
    "Bandit": Bandit,
    "Noise": Noise,
    "RewardScale": RewardScale,
    "Stochastic": Stochastic,
    "Password": Password,
    "Deceptive": Deceptive,
    "Credit": Credit,
    "Horizon": Horizon,
    "Memory": Memory,
    "Sparse": Sparse,
    "Heterogeneous": Heterogeneous,
    "Constraint": Constraint,
    "Generalization": Generalization,
    "Proxy": Proxy,
}

# Variants and tokens of training: so few that what learns fast ends above what learns slowly.
SUITE: dict[str, int] = {
    "Bandit[arms=8]": 1_500,
    "Noise[sigma=3]": 2_000,
    "RewardScale[factor=100]": 2_000,
    "RewardScale[factor=0.01]": 2_000,
    "Stochastic[jackpot=5]": 1_000,
    "Password[length=2]": 3_000,
    "Password[length=3]": 4_000,
    "Deceptive[trap=0.3]": 4_000,
    "Deceptive[trap=0.6]": 4_000,
    "Credit[delay=7]": 5_000,
    "Credit[delay=7,at_end=true]": 5_000,
    "Horizon[length=4]": 5_000,
    "Memory[distance=1]": 3_000,
    "Sparse[length=3]": 4_000,
    "Sparse[length=3,dense=true]": 4_000,
    "Heterogeneous[spread=0]": 2_000,
    "Heterogeneous[spread=10]": 2_000,
    "Constraint[length=4]": 4_000,
    "Generalization[prompts=256]": 4_000,
    "Proxy[flaw=1]": 3_000,
}
