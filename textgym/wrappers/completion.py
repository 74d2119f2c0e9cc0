"""Completion-level actions: one action is a whole completion, one episode one step (a contextual bandit).

In a conversation, one action is a turn of the policy.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, SupportsFloat

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Discrete
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from textgym.errors import ConfigError, InvalidActionError, ResetNeededError
from textgym.mdp import TextMDP
from textgym.spaces import CompletionSpace
from textgym.vector import TextGenerationVectorEnv
from textgym.wrappers.either import EitherWrapper, VectorWrapperBase


class _EnvCompletion(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        mdp = getattr(env.unwrapped, "mdp", None)
        if not isinstance(mdp, TextMDP):
            raise ConfigError(f"CompletionAction needs a text environment, got {env}.")
        gymnasium.Wrapper.__init__(self, env)
        self._mdp = mdp
        self.action_space = _space(mdp, env.action_space)

    def step(self, action: "str | Sequence[int]") -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        base: Any = self.unwrapped
        total, done, result = 0.0, False, None
        with _all_or_nothing(self.unwrapped):
            for token in _tokens(self._mdp, action):
                observation, reward, terminated, truncated, info = self.env.step(token)
                total += float(reward)
                result = (observation, total, terminated, truncated, info)
                done = terminated or truncated
                if done or base.turn_ended:  # what comes after a stop string is not played into the next turn
                    break
        if result is None or not (
            done or base.turn_ended
        ):  # the last token is an end token, so only a foreign inner wrapper can do this
            raise InvalidActionError(f"Completion {action!r} didn't end the episode.")
        return result


class _VectorCompletion(VectorWrapperBase):
    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        base = env.unwrapped
        if not isinstance(base, TextGenerationVectorEnv):
            raise ConfigError(
                f"CompletionAction needs a TextGenerationVectorEnv, got {type(base).__name__}. For sync and async "
                "vectorization wrap each environment: gymnasium.make_vec(..., wrappers=[CompletionAction])."
            )
        VectorWrapperBase.__init__(self, env)
        self.single_action_space = _space(base.mdp, env.single_action_space)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        # Rows end at different tokens and must wait for each other, so this wrapper resets them instead of the env.
        self._base, self._mode, self._started = base, base.autoreset_mode, False
        self.metadata = dict(env.metadata)
        base.set_autoreset_mode(AutoresetMode.DISABLED)

    @property
    def autoreset_mode(self) -> AutoresetMode:
        """What becomes of rows that end. TorchRL asks the outermost wrapper."""
        return self._mode

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self._started = True
        return self.env.reset(seed=seed, options=options)

    def step(self, actions: Any) -> tuple[Any, npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], dict[str, Any]]:
        rewards = np.zeros(self.num_envs, dtype=np.float64)
        terminated, truncated = np.zeros((2, self.num_envs), dtype=np.bool_)
        base, observations = self._base, None
        infos: dict[str, Any] = {}
        over = base.ended  # NEXT_STEP: their step only resets them
        if not (over.all() and self._started and self._mode == AutoresetMode.NEXT_STEP):
            rows = self._checked(actions, over)
            with _all_or_nothing(base), _released(base):
                waiting = over
                for column in range(max(map(len, rows))):
                    # The placeholder of a row that waits is never read.
                    tokens = np.array([row[column] if column < len(row) else 0 for row in rows])
                    observations, reward, ended, cut, info = self.env.step(tokens)
                    rewards, terminated, truncated = rewards + reward, terminated | ended, truncated | cut
                    _merge(infos, info)
                    waiting = waiting | base.turn_ended
                    if waiting.all():
                        break
                    base.hold(waiting)
                if not waiting.all():  # the last token is an end token, so only a foreign inner wrapper can do this
                    raise InvalidActionError(f"The completions of rows {np.flatnonzero(~waiting)} didn't end.")
        if self._mode == AutoresetMode.NEXT_STEP and over.any():
            observations, fresh = self.env.reset(options={"reset_mask": over})
            _merge(infos, fresh)
        ends = terminated | truncated
        if self._mode == AutoresetMode.SAME_STEP and ends.any():
            final = {"final_obs": _split(observations, ends), "final_info": _part(infos, ends)}
            infos = {**final, **{f"_{name}": ends.copy() for name in final}, **_part(infos, ~ends)}
            observations, fresh = self.env.reset(options={"reset_mask": ends})
            _merge(infos, fresh)
        return observations, rewards, terminated, truncated, infos

    def _checked(self, actions: Any, over: npt.NDArray[np.bool_]) -> list[list[int]]:
        """The tokens of each row; none for those whose episode has ended."""
        texts = list(actions)
        if len(texts) != self.num_envs:
            raise InvalidActionError(
                f"{len(texts)} completions for {self.num_envs} environments, expected one for each."
            )
        if over.all():
            raise ResetNeededError("No episode is running: call reset() before the first step and after the end.")
        return [[] if ended else _tokens(self._base.mdp, text) for text, ended in zip(texts, over, strict=True)]


class CompletionAction(EitherWrapper):
    """One step plays a whole episode: the action is the completion, as text or as a sequence of token ids.

    The tokens go through the wrapped environment one by one: returns, infos and errors are those of token-level
    actions. An end token is appended where it lacks one. A vector environment takes one completion per row. After an
    error, such as one that the reward raises, nothing of the completion is written, and the step may be tried again.

    With a partner one step plays a turn, up to its end token or stop string; the observation then has the reply. The
    rows of a vector environment wait for each other at the end of each turn.

    >>> import textgym
    >>> env = textgym.TextGenerationEnv([textgym.Prompt("Say hi:", ("hi",))], max_prompt_tokens=16, max_new_tokens=8,
    ...     reward=lambda samples: [float(s.completion in s.references) for s in samples])
    >>> env = CompletionAction(env)
    >>> observation, info = env.reset(seed=0)
    >>> observation, reward, terminated, truncated, info = env.step("hi")
    >>> reward, terminated, info["num_tokens"]
    (1.0, True, 3)
    """

    env_base = _EnvCompletion
    vector_base = _VectorCompletion


@contextmanager
def _all_or_nothing(base: Any) -> Iterator[None]:
    """A step that fails within the block leaves the text environment as it was before."""
    state = base.get_state()
    try:
        yield
    except BaseException:
        base.set_state(state)
        raise


@contextmanager
def _released(base: TextGenerationVectorEnv) -> Iterator[None]:
    """After the block no row is held."""
    try:
        yield
    finally:
        base.hold(None)


def _space(mdp: TextMDP, actions: object) -> CompletionSpace:
    if actions != Discrete(mdp.rules.vocab_size):
        raise ConfigError(f"CompletionAction plays token ids, and the environment's actions are {actions}.")
    return CompletionSpace(max_length=4 * mdp.rules.max_new_tokens)  # about 4 characters a token


def _tokens(mdp: TextMDP, action: object) -> list[int]:
    if isinstance(action, str):
        return mdp.rules.encode_completion(action)
    if not isinstance(action, Sequence | np.ndarray) or isinstance(action, bytes):
        raise InvalidActionError(
            f"Action {action!r} is a {type(action).__name__}, expected the completion: text or a sequence of token ids."
        )
    tokens = [mdp.rules.token(token) for token in action]
    return tokens if tokens and tokens[-1] in mdp.rules.eos_token_ids else [*tokens, mdp.rules.eos_token_id]


def _merge(infos: dict[str, Any], new: dict[str, Any]) -> None:
    """Add the infos of rows that ended now to those of rows that ended before."""
    for name, value in new.items():
        if name not in infos:
            infos[name] = value
        elif isinstance(value, dict):
            _merge(infos[name], value)
        elif name.startswith("_"):
            infos[name] = infos[name] | value
        else:
            infos[name][new[f"_{name}"]] = value[new[f"_{name}"]]


def _part(infos: dict[str, Any], rows: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """The infos of some rows."""
    part: dict[str, Any] = {}
    for name in (name for name in infos if f"_{name}" in infos):
        mask = infos[f"_{name}"] & rows
        if not mask.any():
            continue
        value = infos[name]
        if isinstance(value, dict):
            part[name] = _part(value, rows)
        else:
            part[name] = value.copy()
            part[name][~mask] = None if value.dtype == object else 0
        part[f"_{name}"] = mask
    return part


def _split(observations: Any, rows: npt.NDArray[np.bool_]) -> npt.NDArray[np.object_]:
    """Each of some rows' observation on its own, as Gymnasium keeps final observations."""
    out = np.full(len(rows), None, dtype=object)
    for row in np.flatnonzero(rows).tolist():
        out[row] = {name: array[row].copy() for name, array in observations.items()}
    return out
