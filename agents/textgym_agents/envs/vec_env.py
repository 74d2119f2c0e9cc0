"""A Gymnasium vector environment behind Stable-Baselines3's VecEnv interface, without a copy per environment."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv

import textgym  # noqa: F401  (registers the ids)
from textgym.arguments import count
from textgym.border import sentence
from textgym.env import TextGenerationEnv
from textgym.errors import ConfigError
from textgym.registration import spec_of, text_ids
from textgym.tokenizer import BUILTIN_MODEL, BUILTIN_MODELS
from textgym_agents import models
from textgym_agents.envs import reward_vec_env  # noqa: F401  (for RewardWrapper around any VecEnv)
from textgym_agents.envs.late import LateRewards
from textgym_agents.envs.prefixes import write_tokens
from textgym_agents.envs.sync_vector import Obs, SingleEnvs

PER_ROW = (
    "last_samples",
    "last_abstained",
    "completion_so_far",
    "ended",
)  # attributes of a vector environment: one for each row
OF_A_TURN = ("turns", "partner_info")  # what the info of a row has whose turn has ended and whose episode goes on


@runtime_checkable
class RowsThatWait(Protocol):
    """A vector environment whose rows can wait when their episode has ended, as those of textgym's own can."""

    def set_autoreset_mode(self, mode: AutoresetMode) -> None:
        """SAME_STEP: a row that ends is reset at once. DISABLED: it waits."""


class TextVecEnv(VecEnv):
    """Wrap a vector environment that resets finished rows within the same step, as SB3 expects.

    Each finished row's info holds ``terminal_observation``, ``TimeLimit.truncated``, the environment's own keys, and
    ``episode`` with the return ``r``, the length ``l`` in tokens and the time ``t``, so no VecMonitor is needed. Where
    the reward abstained there is no return: ``episode`` is left out, so that SB3's means are those of the others, and
    ``reward_abstained`` is True.

    While an algorithm collects a rollout, a reward may come late: one that is asked in the background, or that compares
    the completions of a prompt. The row's info then has ``reward_pending`` instead of ``episode``, and the step that
    waits for it, at the latest the rollout's last one, returns the episode's last info behind those of the rows.

    With a partner, see :mod:`textgym.conversations`, an observation grows by the policy's token and by those of the
    reply. The info of a row whose turn has ended, and whose episode goes on, has ``turns`` and ``partner_info``.

    Attributes:
        abstained: (rows,) in which rows an episode ended with the last step whose reward abstained.
        late: the rewards that are still to come.

    Args:
        env: a ``gymnasium.vector.VectorEnv`` made with ``autoreset_mode=AutoresetMode.SAME_STEP`` and ``copy=True``
            (the default). SB3 stores an observation after the step that follows it, and users keep some for longer, so
            each must be an array of its own.

    Raises:
        ConfigError: another autoreset mode, observations that the next step overwrites, infos other than "all", or a
            partner together with ``min_new_tokens``.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        mode = env.metadata.get("autoreset_mode")
        if mode != AutoresetMode.SAME_STEP:
            raise ConfigError(
                f"TextVecEnv got a vector environment with autoreset mode {mode}, expected SAME_STEP. Make it with "
                'gym.make_vec(id, num_envs=n, vectorization_mode="vector_entry_point", '
                "autoreset_mode=gymnasium.vector.AutoresetMode.SAME_STEP), or call make_vec_env. For "
                "environments of your own: SyncVectorEnv(functions, autoreset_mode=AutoresetMode.SAME_STEP), or "
                "make_vec_env(SingleEnvs(envs))."
            )
        if not getattr(env.unwrapped, "copy", True):
            raise ConfigError(
                "TextVecEnv got a vector environment with copy=False, whose observations change with the next step; "
                "Stable-Baselines3 reads them after it. Leave copy=True."
            )
        mdp = getattr(env.unwrapped, "mdp", None)
        if mdp is not None and mdp.rules.infos != "all":
            raise ConfigError(
                f'TextVecEnv got an environment with infos="{mdp.rules.infos}", and callbacks and logged scalars read '
                'all infos. Leave infos="all".'
            )
        inner: Any = env.unwrapped
        for one in (inner, *(row.unwrapped for row in getattr(inner, "envs", ()))):
            if getattr(one, "partner", None) is not None and one.mdp.rules.min_new_tokens:
                raise ConfigError(
                    f"TextVecEnv got an environment with a partner and min_new_tokens={one.mdp.rules.min_new_tokens}, "
                    "which counts from the beginning of each turn, and an observation doesn't say where that is. Leave "
                    "min_new_tokens out."
                )
        self.env = env
        self.metadata = env.metadata
        self.render_mode = env.render_mode
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)
        self._returns = np.zeros(env.num_envs)
        self._lengths = np.zeros(env.num_envs, dtype=np.int64)
        self._waiting: NDArray[np.bool_] = np.zeros(env.num_envs, dtype=np.bool_)
        self.abstained: NDArray[np.bool_] = np.zeros(env.num_envs, dtype=np.bool_)
        self.late = LateRewards(env)
        self._rows_wait = False
        self._started = time.time()
        self._seed: int | None = None
        self.before_reset: Callable[[], None] | None = None  # may raise

    @property
    def partner(self) -> Any:
        """Who replies in conversations; None: an episode is one turn."""
        vector: Any = self.env.unwrapped
        return getattr(getattr(vector, "envs", (vector,))[0].unwrapped, "partner", None)

    def seed(self, seed: int | None = None) -> list[int | None]:
        """Seed the next reset. The rows' generators are spawned from this one seed by the vector environment."""
        self._seed = seed
        return [seed] * self.num_envs

    def reset(self) -> Obs:
        """Start all rows anew. The seed given to ``seed()`` is used once, as in SB3's own vector environments."""
        if self.before_reset is not None:
            self.before_reset()
        self.late.close()
        self.late.forget()
        options = self._options[0] if any(self._options) else None
        observations, infos = self.env.reset(seed=self._seed, options=options)
        self._seed = None
        self.reset_infos = [{k: v[i] for k, v in infos.items() if not k.startswith("_")} for i in range(self.num_envs)]
        self._reset_options()
        self._returns[:], self._lengths[:], self._waiting[:] = 0, 0, False
        return dict(observations)

    def step_async(self, actions: NDArray[Any]) -> None:
        self._actions = actions

    def step_wait(self) -> tuple[Obs, NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        observations, rewards, terminated, truncated, vector_infos = self.env.step(self._actions)
        dones = terminated | truncated
        self._lengths += ~self._waiting  # the action of a row that waits is ignored
        self._waiting = (self._waiting | dones) & self._rows_wait
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        self.abstained = np.zeros(self.num_envs, dtype=np.bool_)
        self.late.tickets[:] = -1
        for i in np.flatnonzero(dones).tolist():
            cut = bool(truncated[i] and not terminated[i])
            infos[i] = self._final_info(i, vector_infos, cut, observations, float(rewards[i]))
            self.abstained[i] = infos[i].get("reward_abstained", False)
            self._lengths[i] = 0
        for i in np.flatnonzero(vector_infos.get("_turns", ())).tolist():
            if not dones[i]:
                infos[i] = {k: v for k, v in _of_row(vector_infos, i).items() if k in OF_A_TURN}
        self._returns = np.where(dones, 0.0, self._returns + rewards)
        rewards = np.where(self.late.tickets >= 0, 0.0, rewards).astype(np.float32)  # what waits has all of it later
        return dict(observations), rewards, dones, infos + self.late.step_over()

    def get_state(self) -> dict[str, Any]:
        """The episodes so far, for a checkpoint; the environments have their own state."""
        return {"returns": self._returns, "lengths": self._lengths, "waiting": self._waiting}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue from :meth:`get_state`."""
        self._returns[:], self._lengths[:], self._waiting[:] = state["returns"], state["lengths"], state["waiting"]

    @contextmanager
    def rows_wait(self) -> Iterator[None]:
        """Within the block, a row whose episode has ended waits for :meth:`start`; until then its actions are ignored.

        After the block rows begin anew by themselves again, those that still wait with the next step.

        Raises:
            ConfigError: the vector environment isn't one of textgym's own.
        """
        vector = self.env.unwrapped
        if not isinstance(vector, RowsThatWait):
            raise ConfigError(
                f"Rows of a {type(vector).__name__} can't wait. Make the environment with "
                'vectorization_mode="vector_entry_point", or call make_vec_env.'
            )
        vector.set_autoreset_mode(AutoresetMode.DISABLED)
        self._rows_wait = True
        try:
            yield
        finally:
            vector.set_autoreset_mode(AutoresetMode.SAME_STEP)
            self._rows_wait = False

    def start(
        self,
        rows: NDArray[np.integer],
        prompt_ids: NDArray[np.integer],
        tokens: Sequence[NDArray[np.integer]] | None = None,
        partner_seeds: NDArray[np.integer] | None = None,
    ) -> Obs:
        """Begin an episode with a given prompt in each of some rows. Returns the observations of all rows.

        Args:
            rows: which.
            prompt_ids: one for each of them.
            tokens: for each of them, the beginning of a completion that is already written.
            partner_seeds: for each of them, the seed that its partner gets. None: drawn.

        Raises:
            PromptIdError: there is no such prompt.
            ConfigError: ``tokens`` for an environment whose episodes can't begin in the middle, or ``partner_seeds``
                for one without a partner.
        """
        chosen: dict[str, list[int | None]] = {}
        mask = np.zeros(self.num_envs, dtype=np.bool_)
        mask[rows] = True
        for name, given in (("prompt_id", prompt_ids), ("partner_seed", partner_seeds)):
            if given is not None:
                chosen[name] = [None] * self.num_envs
                for row, value in zip(rows.tolist(), given.tolist(), strict=True):
                    chosen[name][row] = value
        observations, _ = self.env.reset(options={**chosen, "reset_mask": mask})
        self._returns[mask], self._lengths[mask], self._waiting[mask] = 0, 0, False
        if tokens is not None and any(map(len, tokens)):
            observations = write_tokens(self.env.unwrapped, rows, tokens)
            self._lengths[rows] = [len(written) for written in tokens]
        return dict(observations)

    def _final_info(
        self, row: int, infos: dict[str, Any], truncated: bool, observations: Obs, reward: float
    ) -> dict[str, Any]:
        final = infos.get("final_info", infos)  # rows that wait keep their end where it is
        info = _of_row({k: v for k, v in final.items() if not isinstance(v, dict)}, row)
        if isinstance(final.get("reward_components", {}), dict):
            parts = _of_row(final.get("reward_components", {}), row)
            info["reward_components"] = {k: float(v) for k, v in parts.items()}
        info["terminal_observation"] = (
            infos["final_obs"][row] if "final_obs" in infos else {k: v[row] for k, v in observations.items()}
        )
        info["TimeLimit.truncated"] = truncated
        sample = self.get_attr("last_sample", row)[0] if "reward_pending" in info else None
        if self.late.take(row, info, sample, float(self._returns[row]), reward, int(self._lengths[row])):
            return info
        if info.pop("reward_abstained", False):
            return {**info, "reward_abstained": True}
        info["episode"] = {
            "r": round(float(self._returns[row]) + reward, 6),
            "l": int(self._lengths[row]),
            "t": round(time.time() - self._started, 6),
        }
        return info

    def close(self) -> None:
        self.env.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """An attribute of the outermost wrapper that has it, or else of the vector environment, once for each row.

        Of ``last_sample``, ``last_abstained``, ``completion_so_far`` and ``ended`` each row gets its own.
        """
        rows = list(self._get_indices(indices))
        base, name = self.env.unwrapped, "last_samples" if attr_name == "last_sample" else attr_name
        if name in PER_ROW and hasattr(base, name):
            values = getattr(base, name)
        elif hasattr(self.env, name) and name != "reward":  # which is a method of a RewardWrapper
            values = [getattr(self.env, name)] * self.num_envs
        elif hasattr(base, "get_attr") and not hasattr(base, name):  # Gymnasium's own vectors of single environments
            values = base.get_attr(attr_name)
        else:
            values = [getattr(base, name)] * self.num_envs
        return [values[row] for row in rows]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute of the vector environment, which all rows share, such as ``reward``.

        Raises:
            ConfigError: for some of the rows only.
        """
        if set(self._get_indices(indices)) != set(range(self.num_envs)):
            raise ConfigError(
                f"{attr_name} can't be set for rows {indices} alone, all rows share it: leave indices out."
            )
        base = self.env.unwrapped
        if hasattr(base, "set_attr"):  # Gymnasium's own vectors of single environments
            base.set_attr(attr_name, [value] * self.num_envs)
        else:
            setattr(base, attr_name, value)

    def env_method(self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any) -> list[Any]:
        """Call a method of the vector environment once; a result with one entry per row is split over the rows."""
        result = getattr(self.env.unwrapped, method_name)(*method_args, **method_kwargs)
        rows = list(self._get_indices(indices))
        per_row = isinstance(result, np.ndarray | Sequence) and len(result) == self.num_envs
        return [result[i] for i in rows] if per_row else [result] * len(rows)

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        """True for Monitor, since every finished row's info has the ``episode`` entry that Monitor would write."""
        wrapped, env = wrapper_class is Monitor, self.env
        while isinstance(env, gym.vector.VectorWrapper):
            wrapped, env = wrapped or isinstance(env, wrapper_class), env.env
        return [wrapped] * len(list(self._get_indices(indices)))


def make_vec_env(
    env: Any,
    n_envs: int = 32,
    *,
    model: Any = None,
    seed: int | None = None,
    wrappers: Sequence[Callable[[Any], Any]] = (),
    env_kwargs: Mapping[str, Any] | None = None,
    **further: Any,
) -> VecEnv:
    """An SB3 VecEnv from an id, an environment, a vector environment or a VecEnv.

    Args:
        env: ``"textgym/Copy-v1"`` (an id whose spec has wrappers gives single environments side by side, which are
            slower), a ``gymnasium.Env`` (one row), a ``gymnasium.vector.VectorEnv`` or an SB3
            ``VecEnv``.
        n_envs: rows, when ``env`` is an id.
        model: a name, folder or loaded model that will act. With an id, the environment gets this model's tokenizer,
            and the form and start token that an encoder-decoder model needs, unless ``env_kwargs`` says otherwise.
            None: the environment's defaults, which suit the task's default model.
        seed: of the first reset.
        wrappers: each takes an environment and returns one, the first is the innermost: subclasses of
            ``textgym.wrappers.RewardWrapper``, functions such as ``lambda env: ClipReward(env, 0, 1)``. They get the
            vector environment, or the single one if ``env`` is that, or a VecEnv of Stable-Baselines3's own.
        env_kwargs: arguments of the environment, when ``env`` is an id; a ``seed`` among them is the task's.
        further: more of them.

    Raises:
        ConfigError: no environment, arguments for one that is already made, or one whose form is not the model's.

    >>> env = make_vec_env("textgym/Copy-v1", n_envs=2, seed=1)
    >>> env.reset()["input_ids"].shape == (2, *env.observation_space["input_ids"].shape)
    True
    >>> make_vec_env("textgym/Copy-v1", model="textgym/small-seq2seq").observation_space["decoder_input_ids"].shape
    (17,)
    """
    env_kwargs = {**(env_kwargs or {}), **further}
    n_envs = count("n_envs", n_envs, least=1)
    for name in ("num_envs", "autoreset_mode", "vectorization_mode"):
        if name in env_kwargs:
            raise ConfigError(f"env_kwargs has {name}, which is set here: rows are n_envs, and reset within a step.")
    if env_kwargs and not isinstance(env, str):
        raise ConfigError(f"{', '.join(env_kwargs)}: only with an id; this environment is already made.")
    needed = {} if model is None else _form(model)
    if isinstance(env, TextVecEnv) and wrappers:
        vec_env = TextVecEnv(_wrapped(env.env, wrappers))
    elif isinstance(env, VecEnv):
        vec_env = _wrapped(env, wrappers)
    elif isinstance(env, VectorEnv):
        vec_env = TextVecEnv(_wrapped(env, wrappers))
    elif isinstance(env, gym.Env) and isinstance(env.unwrapped, TextGenerationEnv):
        vec_env = TextVecEnv(SingleEnvs([_wrapped(env, wrappers)]))
    elif isinstance(env, str):
        made = _made(env, n_envs, {**needed, **_tokenizer(env, model, env_kwargs), **env_kwargs})
        vec_env = TextVecEnv(_wrapped(made, wrappers))
    else:
        raise ConfigError(
            f"env is a {type(env).__name__}, expected an id such as 'textgym/Copy-v1', a text environment, a gymnasium "
            "VectorEnv or an SB3 VecEnv. Several single environments: make_vec_env(SingleEnvs([...]))."
        )
    keys = getattr(vec_env.observation_space, "spaces", {})
    if model is not None and "input_ids" in keys and ("decoder_input_ids" in keys) != bool(needed):
        arguments = ", ".join(f"{name}={value!r}" for name, value in (needed or {"form": "causal"}).items())
        raise ConfigError(
            f"The model is {'an encoder-decoder' if needed else 'a decoder-only'} model, the environment was made for "
            f"the other kind. Make it with {arguments}, or give its id and leave these arguments out."
        )
    if seed is not None:
        vec_env.seed(seed)
    return vec_env


def _of_row(infos: dict[str, Any], row: int) -> dict[str, Any]:
    """Those of Gymnasium's infos that one row has: ``_name`` says in which rows ``name`` is."""
    everywhere = [True] * (row + 1)
    return {k: v[row] for k, v in infos.items() if not k.startswith("_") and infos.get(f"_{k}", everywhere)[row]}


def _wrapped(env: Any, wrappers: Sequence[Callable[[Any], Any]]) -> Any:
    if callable(wrappers) or isinstance(wrappers, str):
        raise ConfigError(f"wrappers is {wrappers!r}, expected a list: wrappers=[{wrappers!r}].")
    for wrapper in wrappers:
        env = wrapper(env)
    return env


def _made(id: str, n_envs: int, env_kwargs: Mapping[str, Any]) -> VectorEnv[Any, Any, Any]:
    """The vector environment of an id, or its single ones side by side where their wrappers leave no other way."""
    spec = spec_of(id)
    if spec.vector_entry_point is not None and not spec.additional_wrappers and spec.max_episode_steps is None:
        same_step, entry = AutoresetMode.SAME_STEP, "vector_entry_point"
        return gym.make_vec(spec, num_envs=n_envs, vectorization_mode=entry, autoreset_mode=same_step, **env_kwargs)
    try:
        return SingleEnvs([gym.make(spec, **env_kwargs) for _ in range(n_envs)])
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        given = ", ".join(env_kwargs)
        raise ConfigError(
            f"{id} can't be made with {given}: {sentence(error)} What is registered must take the arguments of "
            "TextGenerationEnv that algorithms set, such as tokenizer and sampling: give it **kwargs."
        ) from error


def _form(model: Any) -> dict[str, Any]:
    """The arguments of an environment that an encoder-decoder model needs; none for other models."""
    if not models.is_encoder_decoder(model):
        return {}
    start = models.decoder_start_token_id(model)
    return {"form": "seq2seq"} if start is None else {"form": "seq2seq", "decoder_start_token_id": start}


def _tokenizer(id: str, model: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """The tokenizer of a model that is a name or folder, unless one is given or an id not of ours has it by default."""
    if "tokenizer" in given or not isinstance(model, str | Path):
        return {}
    if model == BUILTIN_MODEL and spec_of(id).id not in text_ids():
        return {}
    return {"tokenizer": model if model in BUILTIN_MODELS else models.load_tokenizer(model)}
