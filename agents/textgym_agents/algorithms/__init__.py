"""The table of algorithms, and :func:`make`, which builds any of them with defaults that suit text."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stable_baselines3 import A2C, PPO
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from textgym.errors import ConfigError, did_you_mean
from textgym.tokenizer import BUILTIN_MODEL, BUILTIN_MODELS
from textgym_agents import models
from textgym_agents.algorithms.contrib import TRPO, MaskablePPO
from textgym_agents.algorithms.episode_store import EpisodeStore
from textgym_agents.algorithms.grpo import GRPO
from textgym_agents.algorithms.nlpo import NLPO
from textgym_agents.algorithms.reinforce import REINFORCE
from textgym_agents.algorithms.rloo import RLOO
from textgym_agents.algorithms.scst import SCST
from textgym_agents.buffers import EpisodeRolloutBuffer
from textgym_agents.kl import KLController
from textgym_agents.masked_buffer import MaskedEpisodeRolloutBuffer
from textgym_agents.policies.causal import CausalLMPolicy
from textgym_agents.policies.language_model import LanguageModelPolicy
from textgym_agents.policies.masked import (
    MaskableCausalLMPolicy,
    MaskableSeq2SeqLMPolicy,
    NLPOCausalLMPolicy,
    NLPOSeq2SeqLMPolicy,
)
from textgym_agents.policies.seq2seq import Seq2SeqLMPolicy
from textgym_agents.policies.trust_region import TrustRegionCausalLMPolicy, TrustRegionSeq2SeqLMPolicy
from textgym_agents.vec_env import make_vec_env

Policies = Mapping[str, type[LanguageModelPolicy]]
POLICIES: Policies = {"causal": CausalLMPolicy, "seq2seq": Seq2SeqLMPolicy}


@dataclass(frozen=True)
class Algorithm:
    """One row of the table.

    Attributes:
        cls: the SB3 class.
        paper: title, year and link.
        defaults: constructor arguments that suit text; anything given to :func:`make` replaces them.
        kl: default coefficient of the KL to the reference model.
        policies: the policy for each form of model that the algorithm can train.
        buffer: its rollout buffer.
    """

    cls: Callable[..., OnPolicyAlgorithm]
    paper: str
    defaults: Mapping[str, Any] = field(default_factory=dict)
    kl: float = 0.0
    policies: Policies = field(default_factory=lambda: POLICIES)
    buffer: type[EpisodeRolloutBuffer] = EpisodeRolloutBuffer


# gamma is 1 because a text is scored once, at its end: a shorter text should not earn more for being short. gae_lambda
# is 1 because a new value head knows nothing yet. The learning rate goes with the policy's optimiser, whose large eps
# makes Adam's steps follow the size of the gradient; it suits the built-in model, larger ones want a smaller one.
PPO_DEFAULTS: Mapping[str, Any] = {
    "n_steps": 32,
    "batch_size": 256,
    "n_epochs": 1,
    "learning_rate": 4e-3,
    "gamma": 1.0,
    "gae_lambda": 1.0,
    "vf_coef": 0.5,
    "max_grad_norm": 1.0,
}
ALGORITHMS: dict[str, Algorithm] = {
    "ppo": Algorithm(
        PPO,
        "Schulman et al., Proximal Policy Optimization Algorithms, 2017, https://arxiv.org/abs/1707.06347",
        PPO_DEFAULTS,
        kl=0.01,
    ),
    "a2c": Algorithm(
        A2C,
        "Mnih et al., Asynchronous Methods for Deep Reinforcement Learning, 2016, https://arxiv.org/abs/1602.01783",
        {
            "n_steps": 16,
            "learning_rate": 4e-3,
            "gamma": 1.0,
            "gae_lambda": 1.0,
            "vf_coef": 0.5,
            "max_grad_norm": 1.0,
            "use_rms_prop": False,
            "normalize_advantage": True,
        },
        kl=0.01,
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
            "cg_max_steps": 8,
            "n_critic_updates": 5,
        },
        kl=0.01,
        policies={"causal": TrustRegionCausalLMPolicy, "seq2seq": TrustRegionSeq2SeqLMPolicy},
    ),
    "maskable_ppo": Algorithm(
        MaskablePPO,
        "Huang and Ontañón, A Closer Look at Invalid Action Masking in Policy Gradient Algorithms, 2020, "
        "https://arxiv.org/abs/2006.14171",
        PPO_DEFAULTS,
        kl=0.01,
        policies={"causal": MaskableCausalLMPolicy, "seq2seq": MaskableSeq2SeqLMPolicy},
        buffer=MaskedEpisodeRolloutBuffer,
    ),
    "nlpo": Algorithm(
        NLPO,
        "Ramamurthy et al., Is Reinforcement Learning (Not) for Natural Language Processing?, 2022, "
        "https://arxiv.org/abs/2210.01241",
        {**PPO_DEFAULTS, "mask_top_p": 0.9, "refresh_every": 5},
        kl=0.01,
        policies={"causal": NLPOCausalLMPolicy, "seq2seq": NLPOSeq2SeqLMPolicy},
        buffer=MaskedEpisodeRolloutBuffer,
    ),
    "reinforce": Algorithm(
        REINFORCE,
        "Williams, Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning, 1992, "
        "https://doi.org/10.1007/BF00992696",
        {"prompts_per_rollout": 64, "group_size": 1, "learning_rate": 4e-3, "max_grad_norm": 1.0, "baseline": "mean"},
        kl=0.01,
        buffer=EpisodeStore,
    ),
    "scst": Algorithm(
        SCST,
        "Rennie et al., Self-Critical Sequence Training for Image Captioning, 2017, https://arxiv.org/abs/1612.00563",
        {"prompts_per_rollout": 32, "group_size": 1, "learning_rate": 4e-3, "max_grad_norm": 1.0},
        kl=0.01,
        buffer=EpisodeStore,
    ),
    "rloo": Algorithm(
        RLOO,
        "Ahmadian et al., Back to Basics: Revisiting REINFORCE-Style Optimization for Learning from Human Feedback in "
        "LLMs, 2024, https://arxiv.org/abs/2402.14740",
        {"prompts_per_rollout": 16, "group_size": 4, "learning_rate": 4e-3, "max_grad_norm": 1.0},
        kl=0.01,
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
            "learning_rate": 4e-3,
            "max_grad_norm": 1.0,
        },
        kl=0.1,  # a mean over tokens of k3, while the others' is a sum over the text
        buffer=EpisodeStore,
    ),
}


def make(
    algorithm: str,
    env: Any,
    model: Any = BUILTIN_MODEL,
    *,
    n_envs: int = 32,
    seed: int | None = None,
    kl: float | KLController | None = None,
    lora: int | Mapping[str, Any] | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
    policy_kwargs: Mapping[str, Any] | None = None,
    **overrides: Any,
) -> OnPolicyAlgorithm:
    """Build an algorithm of :data:`ALGORITHMS` with a language model as its policy.

    The policy is the table's: a kind of :class:`Seq2SeqLMPolicy` for an encoder-decoder model, and a kind of
    :class:`CausalLMPolicy` for any other.

    Args:
        algorithm: its name, "ppo" for instance.
        env: an id, a Gymnasium vector environment or an SB3 VecEnv. With an id, the environment gets the model's own
            tokenizer, and the form and start token that an encoder-decoder model needs, unless ``env_kwargs`` says
            otherwise.
        model: a name, folder, ``.gguf`` file or loaded model, see :class:`CausalLMPolicy`.
        n_envs: rows, when ``env`` is an id.
        seed: of the environments, the policy's sampling and the minibatches.
        kl: coefficient of the KL to the initial model, or a controller such as ``AdaptiveKL``. Default: the table's.
        lora: rank, or arguments of ``peft.LoraConfig``.
        env_kwargs: arguments of the environment, when ``env`` is an id.
        policy_kwargs: further arguments of the policy.
        overrides: arguments of the SB3 class: ``learning_rate``, ``n_steps``, ``tensorboard_log``, ...

    Raises:
        ConfigError: an unknown algorithm, one that can't train such a model, or an environment whose form is not the
            model's.
        MissingExtraError: the algorithm is sb3-contrib's, which isn't installed.
        ModelError: the model doesn't fit the environment.

    >>> ppo = make("ppo", "textgym/Copy-v0", n_envs=4, n_steps=8, batch_size=16, seed=0)
    >>> ppo.learn(32).num_timesteps
    32
    """
    if algorithm not in ALGORITHMS:
        raise ConfigError(f"No algorithm is called {algorithm!r}. {did_you_mean(algorithm, ALGORITHMS)}")
    row = ALGORITHMS[algorithm]
    form = policy_class(model).form
    if form not in row.policies:
        able = [name for name, other in ALGORITHMS.items() if form in other.policies]
        kind = "encoder-decoder" if form == "seq2seq" else "decoder-only"
        raise ConfigError(f"{algorithm!r} can't train {kind} models. Those that can: {', '.join(able)}.")
    vec_env = make_env(env, model, n_envs, env_kwargs)
    kl = row.kl if kl is None else kl
    options = {**row.defaults, **overrides}
    options["rollout_buffer_class"] = options.get("rollout_buffer_class") or row.buffer
    uses_kl = issubclass(options["rollout_buffer_class"], EpisodeRolloutBuffer) and kl != 0
    if uses_kl:
        options["rollout_buffer_kwargs"] = {"kl": kl, **options.get("rollout_buffer_kwargs", {})}
    made = row.cls(
        row.policies[form],
        vec_env,
        policy_kwargs={"model": model, "lora": lora, "reference": uses_kl, **(policy_kwargs or {})},
        seed=seed,
        **options,
    )
    if uses_kl:
        made.rollout_buffer.bind(made.policy)  # type: ignore[attr-defined]
    return made


def load(algorithm: str, path: str | Path, env: Any = None, **kwargs: Any) -> OnPolicyAlgorithm:
    """Load what ``make(algorithm, ...).save(path)`` wrote, with its KL penalty bound to the initial model again.

    The file is SB3's zip, which holds a pickle: load only files that you trust. ``policy.save_pretrained`` writes
    safetensors and JSON that need no trust.

    Args:
        algorithm: its name.
        path: the zip file.
        env: as for :func:`make`, with as many rows as when it was saved. None: only to predict.
        kwargs: of SB3's ``load``: ``device``, ``custom_objects``, ...

    Raises:
        ConfigError: an unknown algorithm.
    """
    if algorithm not in ALGORITHMS:
        raise ConfigError(f"No algorithm is called {algorithm!r}. {did_you_mean(algorithm, ALGORITHMS)}")
    made: OnPolicyAlgorithm = ALGORITHMS[algorithm].cls.load(path, **kwargs)  # type: ignore[attr-defined]
    if env is not None:
        made.set_env(make_env(env, made.policy_kwargs.get("model", BUILTIN_MODEL), made.n_envs))
    buffer = made.rollout_buffer
    if isinstance(buffer, EpisodeRolloutBuffer) and buffer.kl is not None:
        buffer.bind(made.policy)  # type: ignore[arg-type]
    return made


def policy_class(model: Any) -> type[LanguageModelPolicy]:
    """The policy that a model needs: a name, folder, ``.gguf`` file or loaded model.

    >>> policy_class("textgym/small-seq2seq").__name__
    'Seq2SeqLMPolicy'
    """
    return Seq2SeqLMPolicy if models.is_encoder_decoder(model) else CausalLMPolicy


def make_env(env: Any, model: Any, n_envs: int = 1, env_kwargs: Mapping[str, Any] | None = None) -> VecEnv:
    """The environment that a model needs, with arguments as for :func:`make`.

    Raises:
        ConfigError: an environment whose form is not the model's, or arguments for one that is already made.

    >>> make_env("textgym/Copy-v0", "textgym/small-seq2seq").observation_space["decoder_input_ids"].shape
    (17,)
    """
    given = dict(env_kwargs or {})
    needed = _form(model)
    if isinstance(env, str):
        if "tokenizer" not in given and isinstance(model, str | Path) and model != BUILTIN_MODEL:
            given["tokenizer"] = model if model in BUILTIN_MODELS else models.load_tokenizer(model)
        vec_env = make_vec_env(env, n_envs, **{**needed, **given})
    elif given:
        raise ConfigError(f"env_kwargs {sorted(given)} only go with an id; this environment is already made.")
    else:
        vec_env = make_vec_env(env)
    keys = getattr(vec_env.observation_space, "spaces", {})
    if "input_ids" in keys and ("decoder_input_ids" in keys) != bool(needed):
        arguments = ", ".join(f"{name}={value!r}" for name, value in (needed or {"form": "causal"}).items())
        raise ConfigError(
            f"The model is {'an encoder-decoder' if needed else 'a decoder-only'} model, the environment was made for "
            f"the other kind. Make it with {arguments}, or give its id and leave these arguments out."
        )
    return vec_env


def _form(model: Any) -> dict[str, Any]:
    """The arguments of an environment that an encoder-decoder model needs; none for other models."""
    if not models.is_encoder_decoder(model):
        return {}
    start = models.decoder_start_token_id(model)
    return {"form": "seq2seq"} if start is None else {"form": "seq2seq", "decoder_start_token_id": start}
