"""The table of algorithms: one row each, with defaults that suit text."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from textgym_agents.algorithms.ars import ARS
from textgym_agents.algorithms.bc import BC
from textgym_agents.algorithms.grpo import GRPO
from textgym_agents.algorithms.ilql import ILQL
from textgym_agents.algorithms.nlpo import NLPO
from textgym_agents.algorithms.no_training import Baseline, BestOfN
from textgym_agents.algorithms.q_learning import QLearning
from textgym_agents.algorithms.reinforce import REINFORCE
from textgym_agents.algorithms.rloo import RLOO
from textgym_agents.algorithms.sarsa import SARSA
from textgym_agents.algorithms.sb3_contrib import QRDQN, TRPO, MaskablePPO
from textgym_agents.algorithms.scst import SCST
from textgym_agents.buffers.episodes import EpisodeStore
from textgym_agents.buffers.masked_rollout import MaskedEpisodeRolloutBuffer
from textgym_agents.buffers.replay import EpisodeReplayBuffer
from textgym_agents.buffers.rollout import EpisodeRolloutBuffer
from textgym_agents.envs.candidates import candidates
from textgym_agents.policies.ars import ARSPolicy
from textgym_agents.policies.base import LanguageModelPolicy
from textgym_agents.policies.dqn import DQNPolicy
from textgym_agents.policies.greedy import GreedyPolicy
from textgym_agents.policies.ilql import ILQLPolicy
from textgym_agents.policies.maskable import MaskablePolicy
from textgym_agents.policies.nlpo import NLPOPolicy
from textgym_agents.policies.q_learning import QLearningPolicy
from textgym_agents.policies.qrdqn import QRDQNPolicy
from textgym_agents.policies.trpo import TRPOPolicy


@dataclass(frozen=True)
class Algorithm:
    """One row of the table.

    Attributes:
        cls: the SB3 class.
        paper: title, year and link.
        defaults: constructor arguments that suit text; anything given to :func:`make` replaces them.
        family: the kind of algorithm that it is, for lists.
        kl_coef: default coefficient of the KL to the reference model; None: it takes no such penalty.
        policy: its policy class, whose ``forms`` are the forms of model that the algorithm can train.
        buffer: its rollout or replay buffer; None: it has none, or its own.
        wrap: what puts a wrapper around the environment: ``wrap(vec_env, model, **wrap_defaults)``.
        wrap_defaults: arguments of ``wrap``, which :func:`make` takes like those of the class.
    """

    cls: Callable[..., BaseAlgorithm]
    paper: str
    defaults: Mapping[str, Any] = field(default_factory=dict)
    family: str = "actor-critic"
    kl_coef: float | None = 0.0
    policy: type[LanguageModelPolicy] = LanguageModelPolicy
    buffer: type[Any] | None = EpisodeRolloutBuffer
    wrap: Callable[..., VecEnv] | None = None
    wrap_defaults: Mapping[str, Any] = field(default_factory=dict)


# gamma is 1 because a text is scored once, at its end: a shorter text should not earn more for being short. gae_lambda
# is 1 because a new value head knows nothing yet. The learning rate goes with the policy's optimiser, whose large eps
# makes Adam's steps follow the size of the gradient; larger models than the built-in ones want a
# smaller one. Simple tasks take four times as much and learn faster; on translations and tables that does harm.
PPO_DEFAULTS: Mapping[str, Any] = {
    "n_steps": 32,
    "batch_size": 256,
    "n_epochs": 1,
    "learning_rate": 1e-3,
    "gamma": 1.0,
    "gae_lambda": 1.0,
    "vf_coef": 0.5,
    "max_grad_norm": 1.0,
}
# Exploration samples from the model itself, so no step is random and learning starts with the first finished texts.
DQN_DEFAULTS: Mapping[str, Any] = {
    "buffer_size": 50_000,
    "learning_starts": 0,
    "batch_size": 256,
    "train_freq": 32,
    "gradient_steps": 8,
    "learning_rate": 1e-3,
    "gamma": 1.0,
    "target_update_interval": 1024,
    "exploration_initial_eps": 0.0,
    "exploration_final_eps": 0.0,
    "max_grad_norm": 1.0,
}
Q_DEFAULTS: Mapping[str, Any] = {
    "prompts_per_rollout": 64,
    "learning_rate": 1e-3,
    "max_grad_norm": 1.0,
    "td_lambda": 0.95,
    "beta": 0.01,
    "vf_coef": 3.0,
}
ALGORITHMS: dict[str, Algorithm] = {
    "ppo": Algorithm(
        PPO,
        "Schulman et al., Proximal Policy Optimization Algorithms, 2017, https://arxiv.org/abs/1707.06347",
        PPO_DEFAULTS,
        kl_coef=0.01,
    ),
    "a2c": Algorithm(
        A2C,
        "Mnih et al., Asynchronous Methods for Deep Reinforcement Learning, 2016, https://arxiv.org/abs/1602.01783",
        {
            "n_steps": 16,
            "learning_rate": 1e-3,
            "gamma": 1.0,
            "gae_lambda": 1.0,
            "vf_coef": 0.5,
            "max_grad_norm": 1.0,
            "use_rms_prop": False,
            "normalize_advantage": True,
        },
        kl_coef=0.01,
    ),
    "trpo": Algorithm(
        TRPO,
        "Schulman et al., Trust Region Policy Optimization, 2015, https://arxiv.org/abs/1502.05477",
        {
            "n_steps": 32,
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
    ),
    "maskable_ppo": Algorithm(
        MaskablePPO,
        "Huang and Ontañón, A Closer Look at Invalid Action Masking in Policy Gradient Algorithms, 2020, "
        "https://arxiv.org/abs/2006.14171",
        PPO_DEFAULTS,
        family="masked",
        kl_coef=0.01,
        policy=MaskablePolicy,
        buffer=MaskedEpisodeRolloutBuffer,
    ),
    "nlpo": Algorithm(
        NLPO,
        "Ramamurthy et al., Is Reinforcement Learning (Not) for Natural Language Processing?, 2022, "
        "https://arxiv.org/abs/2210.01241",
        {**PPO_DEFAULTS, "mask_top_p": 0.9, "refresh_every": 5},
        family="masked",
        kl_coef=0.01,
        policy=NLPOPolicy,
        buffer=MaskedEpisodeRolloutBuffer,
    ),
    "reinforce": Algorithm(
        REINFORCE,
        "Williams, Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning, 1992, "
        "https://doi.org/10.1007/BF00992696",
        {"prompts_per_rollout": 64, "group_size": 1, "learning_rate": 1e-3, "max_grad_norm": 1.0, "baseline": "mean"},
        family="policy gradient",
        kl_coef=0.01,
        buffer=EpisodeStore,
    ),
    "scst": Algorithm(
        SCST,
        "Rennie et al., Self-Critical Sequence Training for Image Captioning, 2017, https://arxiv.org/abs/1612.00563",
        {"prompts_per_rollout": 32, "group_size": 1, "learning_rate": 1e-3, "max_grad_norm": 1.0},
        family="policy gradient",
        kl_coef=0.01,
        buffer=EpisodeStore,
    ),
    "rloo": Algorithm(
        RLOO,
        "Ahmadian et al., Back to Basics: Revisiting REINFORCE-Style Optimization for Learning from Human Feedback in "
        "LLMs, 2024, https://arxiv.org/abs/2402.14740",
        {"prompts_per_rollout": 16, "group_size": 4, "learning_rate": 1e-3, "max_grad_norm": 1.0},
        family="policy gradient",
        kl_coef=0.01,
        buffer=EpisodeStore,
    ),
    "grpo": Algorithm(
        GRPO,
        "Shao et al., DeepSeekMath: Pushing the Limits of Mathematical Reasoning in Open Language Models, 2024, "
        "https://arxiv.org/abs/2402.03300",
        {
            "prompts_per_rollout": 8,
            "group_size": 8,
            "batch_size": 256,
            "n_epochs": 1,
            "learning_rate": 1e-3,
            "max_grad_norm": 1.0,
        },
        family="policy gradient",
        kl_coef=0.1,  # a mean over tokens of k3, while the others' is a sum over the text
        buffer=EpisodeStore,
    ),
    "dqn": Algorithm(
        DQN,
        "Mnih et al., Human-level Control through Deep Reinforcement Learning, 2015, "
        "https://doi.org/10.1038/nature14236",
        DQN_DEFAULTS,
        family="value based",
        kl_coef=None,
        policy=DQNPolicy,
        buffer=EpisodeReplayBuffer,
        wrap=candidates,
        wrap_defaults={"num_candidates": 8},
    ),
    "qrdqn": Algorithm(
        QRDQN,
        "Dabney et al., Distributional Reinforcement Learning with Quantile Regression, 2018, "
        "https://arxiv.org/abs/1710.10044",
        {**DQN_DEFAULTS, "learning_rate": 5e-4},  # sb3-contrib's Adam, whose eps is small
        family="value based",
        kl_coef=None,
        policy=QRDQNPolicy,
        buffer=EpisodeReplayBuffer,
        wrap=candidates,
        wrap_defaults={"num_candidates": 8},
    ),
    "q_learning": Algorithm(
        QLearning,
        "Watkins & Dayan, Q-learning, 1992, https://doi.org/10.1007/BF00992698",
        {**Q_DEFAULTS, "traces": "peng"},
        family="value based",
        kl_coef=0.01,
        policy=QLearningPolicy,
        buffer=EpisodeStore,
    ),
    "sarsa": Algorithm(
        SARSA,
        "Rummery & Niranjan, On-Line Q-Learning Using Connectionist Systems, 1994; Sutton & Barto, Reinforcement "
        "Learning: An Introduction, 2018, http://incompleteideas.net/book/the-book-2nd.html",
        Q_DEFAULTS,
        family="value based",
        kl_coef=0.01,
        policy=QLearningPolicy,
        buffer=EpisodeStore,
    ),
    "ilql": Algorithm(
        ILQL,
        "Snell et al., Offline RL for Natural Language Generation with Implicit Language Q Learning, 2022, "
        "https://arxiv.org/abs/2206.11871",
        {
            "n_epochs": 4,
            "batch_size": 256,
            "prompts_per_rollout": 64,
            "learning_rate": 1e-3,
            "max_grad_norm": 1.0,
            "tau": 0.7,
            "td_lambda": 0.95,
            "beta": 0.1,
            "cql_coef": 0.0,
            "vf_coef": 3.0,
        },
        family="offline",
        kl_coef=None,
        policy=ILQLPolicy,
        buffer=EpisodeStore,
    ),
    "bc": Algorithm(
        BC,
        "Pomerleau, Efficient Training of Artificial Neural Networks for Autonomous Navigation, 1991, "
        "https://doi.org/10.1162/neco.1991.3.1.88",
        {"references_per_rollout": 32, "learning_rate": 1e-3, "max_grad_norm": 1.0},
        family="supervised",
        kl_coef=None,
        buffer=EpisodeStore,
    ),
    "zero_shot": Algorithm(
        Baseline,
        "Radford et al., Language Models are Unsupervised Multitask Learners, 2019, "
        "https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf",
        family="baseline",
        kl_coef=None,
        buffer=None,
    ),
    "greedy": Algorithm(
        Baseline,
        "the likeliest token each time; Holtzman et al., The Curious Case of Neural Text Degeneration, 2020, "
        "https://arxiv.org/abs/1904.09751, on what that does to texts",
        family="baseline",
        kl_coef=None,
        policy=GreedyPolicy,
        buffer=None,
    ),
    "best_of_n": Algorithm(
        BestOfN,
        "Nakano et al., WebGPT: Browser-assisted question-answering with human feedback, 2021, "
        "https://arxiv.org/abs/2112.09332, section 3.2",
        {"n": 4},
        family="baseline",
        kl_coef=None,
        buffer=None,
    ),
    "ars": Algorithm(
        ARS,
        "Mania et al., Simple random search provides a competitive approach to reinforcement learning, 2018, "
        "https://arxiv.org/abs/1803.07055",
        {"n_delta": 8, "n_eval_episodes": 32, "learning_rate": 0.5, "delta_std": 1.0},
        family="black box",
        kl_coef=None,
        policy=ARSPolicy,
        buffer=None,
    ),
}
