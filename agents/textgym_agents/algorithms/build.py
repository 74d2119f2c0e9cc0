"""Building and loading the algorithms of the table, with the environment and the policy that a model needs."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.vec_env import VecEnv

from textgym.border import reading, sentence
from textgym.errors import ConfigError, TextGymError, did_you_mean
from textgym.wrappers import transform_reward
from textgym_agents import models
from textgym_agents.algorithms.binding import bind_policy
from textgym_agents.algorithms.options import check_arguments
from textgym_agents.algorithms.registry import ALGORITHMS, check_settings
from textgym_agents.algorithms.row import Algorithm
from textgym_agents.buffers.replay import EpisodeReplayBuffer
from textgym_agents.buffers.rollout import EpisodeRolloutBuffer, rollout_steps
from textgym_agents.envs.vec_env import TextVecEnv, make_vec_env
from textgym_agents.objectives.kl import KLController
from textgym_agents.policies.filters import check_filters
from textgym_agents.policies.limits import check_values


def make(
    algorithm: str,
    env: Any,
    model: Any = None,
    *,
    n_envs: int = 32,
    seed: int | None = None,
    kl_coef: float | KLController | None = None,
    lora: int | Mapping[str, Any] | None = None,
    copy: bool = True,
    tokenizer: Any = None,
    env_kwargs: Mapping[str, Any] | None = None,
    policy_kwargs: Mapping[str, Any] | None = None,
    wrappers: Sequence[Callable[[Any], Any]] = (),
    reward_transform: str | Mapping[str, Any] | None = None,
    **overrides: Any,
) -> BaseAlgorithm:
    """Build an algorithm of :data:`ALGORITHMS` with a language model as its policy.

    Args:
        algorithm: its name, "ppo" for instance.
        env: an id, a Gymnasium vector environment or an SB3 VecEnv. With an id, the environment gets the model's own
            tokenizer, and the form and start token that an encoder-decoder model needs, unless ``env_kwargs`` says
            otherwise.
        model: a name, folder, ``.gguf`` file or loaded model, see :class:`textgym_agents.LanguageModelPolicy`. None:
            the task's default model, ``textgym/small`` for most.
        n_envs: rows, when ``env`` is an id.
        seed: of the environments, the policy's sampling and the minibatches.
        kl_coef: coefficient of the KL to the reference model, or a controller such as ``AdaptiveKL``. Default: the
            table's.
        lora: rank, or arguments of ``peft.LoraConfig``.
        copy: of a loaded model, train a copy; False: train the object itself.
        tokenizer: of a loaded model: a tokenizer, its name or folder, for the environment and for saved folders. When
            ``env`` is an id.
        env_kwargs: arguments of the environment, when ``env`` is an id.
        policy_kwargs: further arguments of the policy.
        wrappers: what goes around the environment, the first innermost, such as subclasses of
            ``textgym.wrappers.RewardWrapper``; see :func:`textgym_agents.make_vec_env`. Evaluations have none of them.
        reward_transform: what training adds to the reward, around these, when ``env`` is an id:
            ``"length_penalty=0.01, clip=-1:1"``, see :func:`textgym.wrappers.transform_reward`.
        overrides: arguments of the SB3 class: ``learning_rate``, ``n_steps``, ``tensorboard_log``, ... ``n_steps=None``
            is the environment's ``max_new_tokens``: a rollout as long as the longest completion.

    Raises:
        ConfigError: an unknown algorithm or argument, an algorithm that can't train such a model, or an environment
            whose form is not the model's.
        MissingExtraError: the algorithm is sb3-contrib's, which isn't installed.
        ModelError: the model doesn't fit the environment.

    >>> ppo = make("ppo", "textgym/Copy-v1", n_envs=4, n_steps=8, batch_size=16, seed=0)
    >>> ppo.learn(32).num_timesteps
    32
    """
    row = find(algorithm)
    check_settings(algorithm, overrides)
    _check_values(
        row, overrides, policy_kwargs, n_envs=n_envs, seed=seed, kl_coef=kl_coef, lora=lora, env_kwargs=env_kwargs
    )
    model = models.default_model(env, env_kwargs) if model is None else model
    form = models.form_of(model)
    if form not in row.policy.forms:
        able = [name for name, other in ALGORITHMS.items() if form in other.policy.forms]
        kind = "encoder-decoder" if form == "seq2seq" else "decoder-only"
        raise ConfigError(f"{algorithm!r} can't train {kind} models. Those that can: {', '.join(able)}.")
    if row.kl_coef is None and kl_coef:
        able = [name for name, other in ALGORITHMS.items() if other.kl_coef is not None]
        raise ConfigError(f"{algorithm!r} takes no KL penalty (kl_coef={kl_coef!r}). Those that do: {', '.join(able)}.")
    if tokenizer is not None:
        if env_kwargs and "tokenizer" in env_kwargs:
            raise ConfigError("tokenizer is given twice: as an argument and in env_kwargs. Leave one out.")
        env_kwargs = {**(env_kwargs or {}), "tokenizer": tokenizer}
    vec_env = make_vec_env(env, n_envs, model=model, wrappers=wrappers, env_kwargs=env_kwargs)
    if reward_transform:
        if not isinstance(env, str):
            raise ConfigError(
                f"reward_transform={reward_transform!r} only goes with an id: wrap the environment with "
                "textgym.wrappers.transform_reward."
            )
        vec_env = TextVecEnv(transform_reward(vec_env.env, reward_transform))  # type: ignore[attr-defined]
    if not isinstance(vec_env.action_space, spaces.Discrete):
        raise ConfigError(
            f"The environment's actions are {vec_env.action_space}, expected tokens, Discrete(V). Leave out wrappers "
            "that change actions, such as CompletionAction: what is said at once is learned token by token."
        )
    if row.wrap is not None:
        wrap = {name: overrides.pop(name, default) for name, default in row.wrap_defaults.items()}
        vec_env = row.wrap(vec_env, model, **wrap)
    overrides = {**overrides, **_long_enough(row, overrides, vec_env)}
    options = {**row.defaults, **_fitting_batch(row, overrides, vec_env.num_envs), **overrides}
    kl_coef = row.kl_coef if kl_coef is None else kl_coef
    reference = False
    if row.buffer is not None and issubclass(row.buffer, ReplayBuffer):
        buffer = options["replay_buffer_class"] = options.get("replay_buffer_class") or row.buffer
        if issubclass(buffer, EpisodeReplayBuffer):  # whose n-step returns discount as the algorithm
            settings = row.defaults.get("replay_buffer_kwargs", {}), overrides.get("replay_buffer_kwargs", {})
            talks = {"from_every_row": getattr(vec_env, "partner", None) is not None}
            options["replay_buffer_kwargs"] = {"gamma": options["gamma"], **talks, **settings[0], **settings[1]}
    elif row.buffer is not None:
        buffer = options["rollout_buffer_class"] = options.get("rollout_buffer_class") or row.buffer
        reference = bool(kl_coef)
        if not issubclass(buffer, EpisodeRolloutBuffer):
            check_filters(row.policy, **_filters(policy_kwargs), buffer=buffer)
        if reference and not issubclass(buffer, EpisodeRolloutBuffer):
            raise ConfigError(
                f"rollout_buffer_class is {buffer.__name__}, which puts no KL penalty into rewards: pass kl_coef=0 to "
                "train without one, or a subclass of EpisodeRolloutBuffer."
            )
        if reference:
            options["rollout_buffer_kwargs"] = {"kl_coef": kl_coef, **options.get("rollout_buffer_kwargs", {})}
    try:
        made = row.cls(
            row.policy,
            vec_env,
            policy_kwargs={
                "model": model,
                "lora": lora,
                "reference": reference,
                **_of_object(model, copy, tokenizer),
                **(policy_kwargs or {}),
            },
            seed=seed,
            **options,
        )
    except TextGymError:
        raise
    except (AssertionError, TypeError, ValueError, NotImplementedError, ImportError) as error:  # SB3's and torch's
        raise ConfigError(f"{algorithm!r} can't be made with these arguments: {sentence(error)}") from error
    bind_policy(made)
    return made


def _filters(policy_kwargs: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (policy_kwargs or {}).items() if name in ("top_k", "top_p")}


def _long_enough(row: Algorithm, overrides: Mapping[str, Any], vec_env: VecEnv) -> dict[str, int]:
    """``n_steps`` of the environment's longest completion, where neither the row nor the caller has a number."""
    settings = {**row.settings(), **overrides}
    return {"n_steps": rollout_steps(vec_env)} if settings.get("n_steps", 0) is None else {}


def _fitting_batch(row: Algorithm, overrides: Mapping[str, Any], n_envs: int) -> dict[str, int]:
    """The default minibatch, made smaller where it doesn't divide the tokens of a rollout; nothing where it does.

    Stable-Baselines3 warns of a smaller last minibatch, and one of more tokens than the rollout is the rollout.
    """
    settings = {**row.settings(), **overrides}
    n_steps, size = settings.get("n_steps"), settings.get("batch_size")
    if "batch_size" in overrides or not isinstance(n_steps, int) or not isinstance(size, int):
        return {}
    tokens = n_steps * n_envs
    if tokens <= size:
        return {"batch_size": tokens}
    # Much smaller minibatches would train otherwise: then there is a warning, and one's own batch_size.
    return {"batch_size": next((n for n in range(size, size // 2, -1) if tokens % n == 0), size)}


def _of_object(model: Any, copy: bool, tokenizer: Any) -> dict[str, Any]:
    """Arguments of the policy that only a loaded model has."""
    if isinstance(model, str | Path):
        return {}
    if isinstance(tokenizer, str | Path):
        tokenizer = models.load_tokenizer(tokenizer)
    given = {} if copy else {"copy": False}
    # One that isn't transformers' can't be saved.
    return given if not hasattr(tokenizer, "save_pretrained") else {**given, "tokenizer": tokenizer}


def _check_values(
    row: Algorithm, overrides: Mapping[str, Any], policy_kwargs: Mapping[str, Any] | None, **given: Any
) -> None:
    """Raise ConfigError for an argument whose value makes no sense, or that the policy doesn't take."""
    check_values({**given, "policy_kwargs": policy_kwargs})
    if getattr(row.cls, "__module__", "").partition(".")[0] in ("textgym_agents", "stable_baselines3", "sb3_contrib"):
        check_values(overrides)  # a name of another library's algorithm may mean something else
    check_values(policy_kwargs or {})
    check_arguments(row.policy, policy_kwargs or {})


def find(algorithm: str) -> Algorithm:
    """A row of the table.

    Raises:
        ConfigError: there is no such algorithm.
    """
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise ConfigError(
            f"No algorithm is called {algorithm!r}. {did_you_mean(str(algorithm), ALGORITHMS)} One of your own: "
            "textgym_agents.register_algorithm, and on the command line --import its module."
        )
    return ALGORITHMS[algorithm]


def load(algorithm: str, path: str | Path, env: Any = None, **kwargs: Any) -> BaseAlgorithm:
    """Load what ``make(algorithm, ...).save(path)`` wrote, with its KL penalty measured to the reference model again.

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
    row = find(algorithm)
    with reading("the algorithm from", path, ConfigError, "Expected a zip file that the same algorithm's save wrote."):
        made: BaseAlgorithm = row.cls.load(path, **kwargs)  # type: ignore[attr-defined]
    policy: Any = made.policy
    if made.policy_kwargs.get("copy") is False and getattr(policy.reference, "copy", None) is not None:
        warnings.warn(
            f"{path} was saved with copy=False, so the model in it is the trained one, and the KL is measured to that "
            "from now on.",
            stacklevel=2,
        )
    if env is not None:
        model = made.policy_kwargs.get("model") or models.default_model(made.observation_space)
        vec_env = make_vec_env(env, made.n_envs, model=model)
        if row.wrap is not None:
            given = {"num_candidates": int(made.action_space.n)}  # type: ignore[attr-defined]
            vec_env = row.wrap(vec_env, model, **{**row.wrap_defaults, **given})
        made.set_env(vec_env)
    bind_policy(made)
    return made
