"""Observations for networks of other libraries: with the mask of legal actions, or in a small vocabulary."""

from typing import Any, SupportsFloat

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from textgym.errors import ConfigError, InvalidActionError
from textgym.mdp import text_env
from textgym.rules import TokenRules
from textgym.spaces import TextSpace
from textgym.vector import TextGenerationVectorEnv
from textgym.wrappers.either import EitherWrapper, VectorWrapperBase

Observed = dict[str, npt.NDArray[np.integer]]


class _EnvObservation(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """The single form of the wrappers below, which say what becomes of spaces, observations and actions."""

    takes_late_rewards = True
    _spaces: Any
    _observed: Any
    _tokens: Any

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        gymnasium.Wrapper.__init__(self, env)
        self._rules = text_env(env).mdp.rules
        self.observation_space, self.action_space = self._spaces(env.observation_space, env.action_space)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        observation, info = self.env.reset(seed=seed, options=options)
        return self._observed(observation), info

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(self._tokens(action))
        return self._observed(observation), reward, terminated, truncated, info


class _VectorObservation(VectorWrapperBase):
    """The vector form. Final observations of SAME_STEP are changed as the others are."""

    takes_late_rewards = True
    _spaces: Any
    _observed: Any
    _final: Any
    _tokens: Any

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        base = env.unwrapped
        if not isinstance(base, TextGenerationVectorEnv):
            name = type(self).__name__
            raise ConfigError(
                f"{name} needs a TextGenerationVectorEnv, got {type(base).__name__}. For sync and async vectorization "
                f"wrap each environment: gymnasium.make_vec(..., wrappers=[{name}])."
            )
        VectorWrapperBase.__init__(self, env)
        self._rules = base.mdp.rules
        self.single_observation_space, self.single_action_space = self._spaces(
            env.single_observation_space, env.single_action_space
        )
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)

    @property
    def autoreset_mode(self) -> AutoresetMode:
        """What becomes of rows that end. TorchRL asks the outermost wrapper."""
        mode: AutoresetMode = self.env.unwrapped.autoreset_mode  # type: ignore[attr-defined]
        return mode

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        observations, infos = self.env.reset(seed=seed, options=options)
        return self._observed(observations), infos

    def step(self, actions: Any) -> tuple[Any, npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], dict[str, Any]]:
        observations, rewards, terminated, truncated, infos = self.env.step(self._tokens(actions))
        for row in np.flatnonzero(infos.get("_final_obs", ())):
            infos["final_obs"][row] = self._final(infos["final_obs"][row])
        return self._observed(observations), rewards, terminated, truncated, infos


class MaskObservation(EitherWrapper):
    """Add the legal actions to the observation, (V,) int8 under ``key``: 1 where a token is legal now.

    TorchRL's ``ActionMask``, RLlib's action-masking modules and Tianshou look for them there. The mask beside a
    ``final_obs`` is that of a completion with at least ``min_new_tokens``.

    >>> import textgym
    >>> env = textgym.TextGenerationEnv([textgym.Prompt("Say hi:")], max_prompt_tokens=16, max_new_tokens=4,
    ...     allowed_tokens=[1, 7, 9])
    >>> observation, info = MaskObservation(env).reset(seed=0)
    >>> observation["action_mask"].nonzero()[0].tolist()
    [1, 7, 9]
    """

    env_base = _EnvObservation
    vector_base = _VectorObservation
    _rules: TokenRules

    def __init__(self, env: Any, key: str = "action_mask") -> None:
        self.key = key
        super().__init__(env)

    def _spaces(self, observed: Any, actions: Any) -> tuple[spaces.Dict, spaces.Discrete]:
        if not isinstance(observed, spaces.Dict) or not isinstance(actions, spaces.Discrete):
            raise ConfigError(f"MaskObservation needs observations in a Dict and Discrete actions, got {observed}.")
        if self.key in observed.spaces:
            raise ConfigError(f"The observations have {self.key!r} already. Choose another key.")
        mask: Any = spaces.Box(0, 1, (int(actions.n),), np.int8)
        return spaces.Dict({**observed.spaces, self.key: mask}), actions

    def _observed(self, observation: Observed) -> Observed:
        return {**observation, self.key: np.array(_action_masks(self.env))}

    def _final(self, observation: Observed) -> Observed:
        late, legal = self._rules.late_mask, _action_masks(self.env).shape[-1]
        # A compact vocabulary has no token that is illegal late in a completion.
        return {**observation, self.key: late.astype(np.int8) if len(late) == legal else np.ones(legal, np.int8)}

    def _tokens(self, action: Any) -> Any:
        return action


class CompactVocabulary(EitherWrapper):
    """Number the tokens that ``allowed_tokens`` leaves from 0 on, in actions and in observations.

    With k such tokens, action i writes ``tokens[i]``. In ``input_ids``, i is ``tokens[i]``, k for padding and
    k + 1 for every other token of the prompt. So a network needs k outputs and k + 2 embeddings. ``action_masks`` and
    ``encode_completion`` speak of the same k actions. Rewards and infos stay as they are.

    Attributes:
        tokens: (k,) the token ids, in the order of ``allowed_tokens``; without those, all that aren't banned.

    Raises:
        ConfigError: it isn't the innermost wrapper that changes spaces.

    >>> import textgym
    >>> a, b, end = textgym.load_tokenizer().encode(" a b<|endoftext|>")
    >>> env = textgym.TextGenerationEnv([textgym.Prompt(" b a:")], max_prompt_tokens=4, max_new_tokens=2,
    ...     allowed_tokens=[a, b, end])
    >>> env = CompactVocabulary(env)
    >>> observation, info = env.reset(seed=0)
    >>> env.action_space, observation["input_ids"].tolist()
    (Discrete(3), [3, 1, 0, 4, 3, 3])
    >>> env.step(0)[0]["input_ids"].tolist(), env.step(2)[4]["completion"]
    ([3, 1, 0, 4, 0, 3], ' a')
    """

    env_base = _EnvObservation
    vector_base = _VectorObservation
    _rules: TokenRules

    def __init__(self, env: Any) -> None:
        super().__init__(env)

    def _spaces(self, observed: Any, actions: Any) -> tuple[spaces.Dict, spaces.Discrete]:
        rules = self._rules
        if not isinstance(observed, TextSpace) or actions != spaces.Discrete(rules.vocab_size):
            raise ConfigError(
                "CompactVocabulary goes around the text environment itself: put wrappers that change the spaces, such "
                "as MaskObservation, around CompactVocabulary."
            )
        order = range(rules.vocab_size) if rules.allowed_tokens is None else rules.allowed_tokens
        self.tokens = np.array([token for token in order if rules.late_mask[token]], dtype=np.int64)
        k = len(self.tokens)
        self._numbers = np.full(rules.vocab_size, k + 1, dtype=np.int64)  # token id -> its number
        self._numbers[self.tokens] = np.arange(k)
        boxes: dict[str, Any] = dict(observed.spaces)
        for name, box in boxes.items():
            if name.endswith("input_ids"):
                boxes[name] = spaces.Box(0, k + 1, box.shape, np.int64)
        return spaces.Dict(boxes), spaces.Discrete(k)

    def _observed(self, observation: Observed) -> Observed:
        changed = dict(observation)
        for name in changed:
            if name.endswith("input_ids"):
                live = observation[name.replace("input_ids", "attention_mask")] != 0
                changed[name] = np.where(live, self._numbers[observation[name]], len(self.tokens))
        return changed

    _final = _observed

    def _tokens(self, action: Any) -> Any:
        numbers = np.asarray(action)
        if numbers.dtype.kind not in "iu":
            raise InvalidActionError(f"Action {action!r} is no integer, expected 0 to {len(self.tokens) - 1}.")
        outside = (numbers < 0) | (numbers >= len(self.tokens))
        if outside.any():
            # The action of a row that waits for its reset is ignored.
            base: Any = self.env.unwrapped
            wrong = outside & ~base.ended if isinstance(base, TextGenerationVectorEnv) else outside
            if wrong.any():
                raise InvalidActionError(f"Action {numbers[wrong][0]} is none of 0 to {len(self.tokens) - 1}.")
        return self.tokens.take(numbers, mode="clip")

    def action_masks(self) -> npt.NDArray[np.int8]:
        """(k,) or (num_envs, k) int8, 1 where an action is legal now."""
        return _action_masks(self.env)[..., self.tokens]

    def encode_completion(self, text: str) -> list[int]:
        """The actions that write ``text`` and end it.

        Raises:
            InvalidActionError: it takes a token that isn't legal.
        """
        tokens = self._rules.encode_completion(text)
        numbers = [int(number) for number in self._numbers[tokens]]
        for token, number in zip(tokens, numbers, strict=True):
            if number >= len(self.tokens):
                raise InvalidActionError(
                    f"{text!r} can't be written: token {token} ({self._rules.tokenizer.decode([token])!r}) is not one "
                    f"of the {len(self.tokens)} legal tokens."
                )
        return numbers


def _action_masks(env: Any) -> npt.NDArray[np.int8]:
    """The masks of the outermost wrapper that has some, or of the environment."""
    inner = env
    while not hasattr(inner, "action_masks"):
        inner = inner.env
    masks: npt.NDArray[np.int8] = inner.action_masks()
    return masks
