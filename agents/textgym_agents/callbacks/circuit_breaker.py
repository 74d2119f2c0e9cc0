"""Pausing a training whose reward fails, until it answers again."""

import time
import warnings
from collections import deque
from collections.abc import Mapping
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnvWrapper

from textgym.core import Sample, Score
from textgym.errors import ConfigError, JudgeError, RewardError
from textgym.mdp import TextMDP, text_env
from textgym.scoring import score_samples
from textgym_agents.buffers.logged_turns import read_turns, turns_as_json
from textgym_agents.callbacks.ended import ended_infos
from textgym_agents.callbacks.health import TrainingWarning
from textgym_agents.checkpoint.callback import CheckpointCallback
from textgym_agents.envs.vec_env import TextVecEnv

PROBES = 4  # completions that are scored again to see whether the reward answers


class CircuitBreaker(BaseCallback):
    """Pause between two rollouts while more than a share of the rewards fail, and go on when the reward answers.

    A reward that fails says so in ``info["reward_failure"]``, as a judge does whose server is down, unless its policy
    is to raise: see :class:`textgym.rewards.Fallback`. What merely abstains is no failure.

    A pause begins with a warning that has the cause, and with a checkpoint, from which the run continues equal if it is
    ended meanwhile. Then the last completions that failed are scored again, after waits that double. When no larger
    share of them fails, training goes on, and the counting begins anew.

    Args:
        share: of the last ``window`` completions; training pauses when more of them have failed. 1: never.
        window: completions. Until so many have ended, those that are missing count as rewards that didn't fail.
        first_wait: seconds before the reward is asked again; each further wait is twice as long.
        longest_wait: the most seconds between two attempts.
        give_up: seconds after which a pause ends the training with an error; None: never.
        checkpoint: what saves the checkpoint, and comes before this callback; None: there is none.

    Attributes:
        pauses: how many there were.
        paused: seconds that they took.

    Raises:
        ConfigError: an argument makes no sense.
        RewardError: (by training) a pause took longer than ``give_up``.

    >>> import textgym_agents
    >>> from textgym.core import Score
    >>> down = [True]
    >>> def judge(samples):
    ...     return [Score(None, {}, "no reply") if down[0] else 1.0 for _ in samples]
    >>> breaker = CircuitBreaker(window=4, first_wait=0.01)
    >>> breaker.before_wait = lambda: down.__setitem__(0, False)  # the server is repaired in the meantime
    >>> ppo = textgym_agents.make("ppo", "textgym/Copy-v1", n_envs=4, n_steps=None, batch_size=64, seed=0,
    ...                           env_kwargs={"reward": judge, "max_new_tokens": 4})
    >>> import warnings
    >>> with warnings.catch_warnings(action="ignore"):
    ...     _ = ppo.learn(64, breaker)
    >>> breaker.pauses
    1
    """

    def __init__(
        self,
        share: float = 0.5,
        window: int = 50,
        *,
        first_wait: float = 10.0,
        longest_wait: float = 300.0,
        give_up: float | None = None,
        checkpoint: CheckpointCallback | None = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(verbose)
        if not 0 < share <= 1 or window < 1:
            raise ConfigError(f"share is {share} and window is {window}, expected more than 0 to 1, and at least 1.")
        if not 0 < first_wait <= longest_wait or (give_up is not None and not give_up >= 0):
            raise ConfigError(
                f"first_wait is {first_wait}, longest_wait is {longest_wait} and give_up is {give_up}, expected "
                "seconds: the first wait above 0 and no longer than the longest one, give_up from 0 on, or None."
            )
        self.share, self.window, self.checkpoint = share, window, checkpoint
        self.first_wait, self.longest_wait, self.give_up = first_wait, longest_wait, give_up
        self.pauses, self.paused = 0, 0.0
        self.cause = ""  # of the last failure
        self._failed: deque[bool] = deque(maxlen=window)
        self._probes: deque[dict[str, Any]] = deque(maxlen=PROBES)
        self._has_episodes = True

    def get_state(self) -> dict[str, Any]:
        """What a checkpoint stores, as JSON has it."""
        return {"failed": list(self._failed), "probes": list(self._probes), "cause": self.cause}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue from :meth:`get_state`."""
        self._failed = deque(state["failed"], self.window)
        self._probes, self.cause = deque(state["probes"], PROBES), state["cause"]

    @property
    def open(self) -> bool:
        """Whether more than the share of the last completions have failed."""
        return sum(self._failed) > self.share * self.window

    def before_wait(self) -> None:
        """What else is to be done before each wait, such as sending a message: nothing, unless a subclass does it."""

    def _on_training_start(self) -> None:
        env = self.training_env
        while isinstance(env, VecEnvWrapper):
            env = env.venv
        self._has_episodes = isinstance(env, TextVecEnv)

    def _on_step(self) -> bool:
        for info in ended_infos(self.locals):
            # In a TextVecEnv, what has neither is a branch or a greedy completion.
            counts = "episode" in info or "reward_abstained" in info or not self._has_episodes
            if "completion" not in info or not counts:
                continue
            failure = info.get("reward_failure", "")
            self._failed.append(bool(failure))
            if failure:
                self.cause = failure
                self._probes.append(self._probe(info))
        return True

    def _on_rollout_start(self) -> None:
        if not self.open:
            return
        if not self._answers():
            self._pause()
        self._failed.clear()
        self._probes.clear()

    def _pause(self) -> None:
        began, wait = time.monotonic(), self.first_wait
        saved = ""
        if self.checkpoint is not None:
            self.checkpoint.save_if_new()
            saved = f" A checkpoint is in {str(self.checkpoint.folder)!r}."
        self.pauses += 1
        self._say(
            f"Training pauses after {self.model.num_timesteps:,} tokens: the reward failed for {sum(self._failed)} of "
            f"the last {self.window} completions, at last with: {self._cause()}{saved} It goes on when it answers."
        )
        while True:
            waited = time.monotonic() - began
            if self.give_up is not None and waited >= self.give_up:
                raise RewardError(
                    f"Training was paused for {waited:,.0f} seconds, and the reward still fails: {self._cause()}{saved}"
                )
            self.before_wait()
            time.sleep(wait)
            wait = min(2 * wait, self.longest_wait)
            if self._answers():
                break
        self.paused += time.monotonic() - began
        self._say(f"The reward answers again: training goes on after {time.monotonic() - began:,.0f} seconds.")

    def _cause(self) -> str:
        return f"{self.cause.rstrip('. ')}."

    def _say(self, message: str) -> None:
        warnings.warn(message, TrainingWarning, stacklevel=3)

    # ------------------------------------------------------------------ asking the reward again

    def _probe(self, info: Mapping[str, Any]) -> dict[str, Any]:
        """A completion, as a checkpoint can store it."""
        prompt_id, completion = int(info["prompt_id"]), str(info["completion"])
        last = [one for one in self.training_env.get_attr("last_sample") if one is not None]
        tokens = [one.token_ids for one in last if (one.prompt_id, one.completion) == (prompt_id, completion)]
        return {
            "prompt_id": prompt_id,
            "completion": completion,
            "finish_reason": str(info["finish_reason"]),
            "token_ids": [int(token) for token in tokens[0]] if tokens else [],
            "turns": turns_as_json(info.get("turns", ())),
        }

    def _answers(self) -> bool:
        """Whether no larger share of the last completions that failed fails again."""
        mdp = self._mdp()
        samples = [_sample(mdp, probe) for probe in self._probes]
        if mdp.reward is None or not samples:
            return True
        try:
            scores = score_samples(mdp.reward, samples)
        except (JudgeError, RewardError) as error:
            scores = [Score(None, {}, str(error))] * len(samples)
        failures = [score.failure for score in scores if score.failure]
        self.cause = failures[-1] if failures else self.cause
        return len(failures) <= self.share * len(samples)

    def _mdp(self) -> TextMDP:
        try:
            return text_env(self.training_env).mdp
        except ConfigError:  # a vector of SB3's own
            mdp: TextMDP = self.training_env.get_attr("mdp", 0)[0]
            return mdp


def _sample(mdp: TextMDP, probe: Mapping[str, Any]) -> Sample:
    prompt = mdp.task[probe["prompt_id"]]
    turns = probe.get("turns")  # older checkpoints have none
    return Sample(
        prompt.text,
        probe["completion"],
        tuple(prompt.references),
        tuple(probe["token_ids"]),
        probe["finish_reason"],
        prompt.metadata,
        probe["prompt_id"],
        turns=read_turns(turns, "a completion that failed") if turns else (),
    )
