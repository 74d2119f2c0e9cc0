"""The process: :class:`TextMDP` joins a task, a reward and a tokenizer to a Markov decision process.

Which prompt an episode starts from, which tokens are legal and which end it, and what the completion is worth. The
environments of ``env.py`` and ``vector.py`` play it, and :func:`text_env` finds one inside its wrappers.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, cast

import numpy as np

from textgym.core import FinishReason, Prompt, Reward, Sample, Score, Task, Turn, policy_text
from textgym.errors import ConfigError, PromptIdError
from textgym.rules import REASONS, TextOptions, TokenRules
from textgym.scoring import (
    AsksInBackground,
    PendingReward,
    background_of,
    checked_reward,
    final_info,
    score_samples,
    scores_groups,
)
from textgym.token_buffer import TokenBuffer
from textgym.tokenizer import BuiltinTokenizer, Tokenizer, load_tokenizer, model_of, with_same_tokenizer

SAMPLED_PROMPTS = 200  # that a warning about truncated prompts counts


class TextMDP:
    """The Markov decision process that the single and the vector environment play, ``mdp`` in both.

    It owns what surrounds the tokens: it draws a prompt, encodes it as the initial state, and scores finished
    completions. An environment keeps the states themselves in a ``TokenBuffer``.

    Attributes:
        task: the prompts.
        reward: scores finished completions; None: every return is 0.
        tokenizer: encodes prompts and decodes completions.
        default_model: what a policy plays with that is given no model: the built-in model whose tokenizer this is, or
            else the task's own.
        rules: the transitions: which tokens are legal, which end an episode, and how text becomes tokens.
        next_prompt_id: of ``sampling="sequential"``.
        stochastic: whether episodes get a random number for their reward, see :class:`textgym.core.Task`.
        background: where rewards are asked that may be asked in the background. None, unless somebody plays who awaits
            them: each is asked at an episode's end.
    """

    background: AsksInBackground | None = None

    def __init__(
        self,
        task: Task | Sequence[Prompt],
        reward: Reward | None,
        tokenizer: "str | Tokenizer | None",
        options: TextOptions,
    ) -> None:
        if isinstance(task, Mapping) or not hasattr(task, "__getitem__") or not hasattr(task, "__len__"):
            raise ConfigError(f"task={task!r} is no task, expected a sequence of textgym.Prompt.")
        if len(task) == 0:
            raise ConfigError(f"Task {getattr(task, 'name', type(task).__name__)!r} has no prompts.")
        self.task, self.reward = task, checked_reward(reward)
        own = model_of(task, "seq2seq" if options.get("form") == "seq2seq" else "causal")
        self.tokenizer = load_tokenizer(own if tokenizer is None else tokenizer)
        self.rules = TokenRules(self.tokenizer, task, options)
        self.default_model = own
        if tokenizer is not None and isinstance(self.tokenizer, BuiltinTokenizer):
            self.default_model = with_same_tokenizer(self.tokenizer.model, self.rules.form)
        self.next_prompt_id = 0
        self.stochastic = bool(getattr(task, "stochastic", False))
        self._warned_of_cuts = False

    def _warn_of_cuts(self) -> None:
        """Say once how many of the task's prompts are truncated, from a sample of them."""
        self._warned_of_cuts = True
        looked_at = {i * len(self.task) // SAMPLED_PROMPTS for i in range(SAMPLED_PROMPTS)}
        cut = sum(self.rules.encode_prompt(self.task[i].text)[1] > 0 for i in looked_at)
        share = "less than one" if cut == 0 else str(cut)
        warnings.warn(
            f"{share} of {len(looked_at)} prompts ({max(cut, 1) / len(looked_at):.0%}) are longer than "
            f"max_prompt_tokens={self.rules.max_prompt_tokens} and are truncated on the {self.rules.truncation_side}. "
            "Raise max_prompt_tokens if the model has the positions.",
            stacklevel=2,
        )

    def draw(self, generator: np.random.Generator) -> int:
        """The index of the prompt to play next."""
        if self.rules.sampling == "random":
            return int(generator.integers(len(self.task)))
        prompt_id = self.next_prompt_id % len(self.task)
        self.next_prompt_id = prompt_id + 1
        return prompt_id

    def start(self, buffer: TokenBuffer, row: int, prompt_id: object) -> tuple[Prompt, dict[str, Any]]:
        """Begin an episode in a row of the buffer. Returns the prompt and the info of the reset."""
        if (
            isinstance(prompt_id, bool)
            or not isinstance(prompt_id, int | np.integer)
            or not 0 <= prompt_id < len(self.task)
        ):
            raise PromptIdError(f"prompt_id={prompt_id!r} names no prompt, expected 0 to {len(self.task) - 1}.")
        prompt = self.task[int(prompt_id)]
        if not isinstance(prompt, Prompt):
            raise ConfigError(f"Task item {prompt_id} is a {type(prompt).__name__}, expected a textgym.Prompt.")
        ids, cut = self.rules.encode_prompt(prompt.text)
        if cut and not self._warned_of_cuts:
            self._warn_of_cuts()
        buffer.start(row, ids)
        return prompt, {"prompt": prompt.text, "prompt_id": int(prompt_id), "prompt_truncated": cut}

    def finish(
        self,
        prompts: Sequence[Prompt],
        prompt_ids: Sequence[int],
        token_ids: Sequence[Sequence[int]],
        codes: Sequence[int],
        generators: Sequence[np.random.Generator | None],
        turns: Sequence[tuple[Turn, ...]] = (),
    ) -> tuple[list[Sample], list[float], list[dict[str, Any]]]:
        """Score episodes that ended together, in one call of the reward. Returns samples, rewards and final infos.

        ``turns`` are those of conversations, and ``token_ids`` then the policy's own tokens.

        With a ``background``, a reward that may wait has no values yet: infos are those of one that abstains, and
        ``info["reward_pending"]`` is a :class:`PendingReward`. What the reward raises leaves the generators as they
        were.
        """
        before: list[Any] = [None if one is None else one.bit_generator.state for one in generators]
        noise = [0.0 if one is None else float(one.standard_normal()) for one in generators]
        samples = [
            Sample(
                prompt=prompt.text,
                completion=policy_text(said) if said else self.rules.decode_completion(ids),
                references=tuple(prompt.references),
                token_ids=tuple(ids),
                finish_reason=cast(FinishReason, REASONS[code]),
                metadata=prompt.metadata,
                prompt_id=prompt_id,
                noise=drawn,
                turns=said,
            )
            for prompt, prompt_id, ids, code, drawn, said in zip(
                prompts, prompt_ids, token_ids, codes, noise, turns or [()] * len(noise), strict=True
            )
        ]
        reward, asked = self.reward, None
        try:
            if samples and reward is not None and self.background is not None and background_of(reward):
                asked = self.background.ask(reward, samples)
                scores = [Score(None)] * len(samples)
            else:
                scores = self._scores(samples)
        except BaseException:
            for generator, state in zip(generators, before, strict=True):
                if generator is not None:
                    generator.bit_generator.state = state
            raise
        infos = [final_info(sample, score, reward) for sample, score in zip(samples, scores, strict=True)]
        if scores_groups(reward):
            infos = [{**info, "reward_pending": True} for info in infos]
        elif reward is not None and asked is not None:
            pending = [PendingReward(sample, reward, asked, i) for i, sample in enumerate(samples)]
            infos = [{**info, "reward_pending": one} for info, one in zip(infos, pending, strict=True)]
        return samples, [score.value or 0.0 for score in scores], infos

    def finish_groups(self, samples: Sequence[Sample]) -> tuple[list[float | None], list[dict[str, Any]]]:
        """Score all completions of groups whose last one has ended, in one call of a reward that compares them.

        Returns:
            their rewards, None where the reward abstains, and the final infos in place of those that were pending.

        >>> import gymnasium, textgym
        >>> mdp = gymnasium.make("textgym/Copy-v1", reward="self_bleu").unwrapped.mdp
        >>> mdp.finish_groups([Sample("Say hi:", "hi"), Sample("Say hi:", "hello"), Sample("Count:", "one")])[0]
        [1.0, 1.0, None]
        """
        scores = [Score(0.0)] * len(samples) if self.reward is None else score_samples(self.reward, samples)
        infos = [final_info(sample, score, self.reward) for sample, score in zip(samples, scores, strict=True)]
        return [score.value for score in scores], infos

    def _scores(self, samples: Sequence[Sample]) -> list[Score]:
        if self.reward is None:
            return [Score(0.0)] * len(samples)
        if scores_groups(self.reward):  # the others of a group have yet to end
            return [Score(None)] * len(samples)
        return score_samples(self.reward, samples)


class WithReward:
    """What the single and the vector environment have in common: the reward of their ``mdp``, to read and to set."""

    mdp: TextMDP

    @property
    def reward(self) -> Reward | None:
        """What scores completions. A new one scores those that end from now on.

        Raises:
            ConfigError: (when set) it can't be called.
        """
        return self.mdp.reward

    @reward.setter
    def reward(self, reward: Reward | None) -> None:
        self.mdp.reward = checked_reward(reward)


class TextEnv(Protocol):
    """What text environments have in common, single or vector: what :func:`text_env` returns."""

    @property
    def mdp(self) -> TextMDP: ...
    @property
    def np_random(self) -> np.random.Generator: ...


def text_env(env: Any) -> TextEnv:
    """The text environment inside any wrappers: those of Gymnasium, or an SB3 ``VecEnv`` that holds it as ``env``.

    Raises:
        ConfigError: there is none.

    >>> import gymnasium, textgym
    >>> env = textgym.wrappers.CompletionAction(gymnasium.make("textgym/Copy-v1"))
    >>> text_env(env).mdp.task.name
    'Copy'
    """
    inner = env
    while not isinstance(getattr(inner, "mdp", None), TextMDP):
        inner = getattr(inner, "env", None) or getattr(inner, "venv", None)
        if inner is None:
            raise ConfigError(
                f"{type(env).__name__} holds no text environment. Make one with an id of textgym or of "
                "textgym.register, or from TextGenerationEnv or TextGenerationVectorEnv."
            )
    return cast(TextEnv, inner)
