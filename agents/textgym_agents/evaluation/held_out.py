"""Let a policy complete held-out prompts and score the completions."""

import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from stable_baselines3.common.base_class import BaseAlgorithm

from textgym.conversations import SEEDS
from textgym.core import Sample
from textgym.errors import ConfigError
from textgym.metrics import compute_metrics, installed
from textgym.registration import split_argument
from textgym.scoring import scores_groups
from textgym.vector import TextGenerationVectorEnv
from textgym.wrappers.late import late_reward
from textgym_agents.envs.prompt_queue import PromptQueue
from textgym_agents.envs.sync_vector import SingleEnvs
from textgym_agents.envs.vec_env import RowsThatWait, TextVecEnv, make_vec_env
from textgym_agents.policies.base import LanguageModelPolicy


@dataclass(frozen=True)
class Evaluation:
    """Completions of a policy, one per prompt, with their scores.

    Attributes:
        samples: one per prompt, in the order of their ids.
        rewards: (prompts,) returns, the sums of an episode's rewards; NaN where the reward abstained.
        metrics: corpus metrics by name, and "num_tokens", the mean length.
        components: mean of each part of the reward, of completions whose reward didn't abstain.
        kl: (prompts,) KL to the reference policy in nats, summed over a completion's tokens; None: not measured.
    """

    samples: list[Sample]
    rewards: NDArray[np.float64]
    metrics: dict[str, float]
    components: dict[str, float] = field(default_factory=dict)
    kl: NDArray[np.float64] | None = None

    @property
    def reward(self) -> float:
        """Mean return of the completions that have one; NaN if none has."""
        scored = self.rewards[~np.isnan(self.rewards)]
        return float(scored.mean()) if scored.size else math.nan

    @property
    def abstained(self) -> float:
        """Share of the completions whose reward abstained, from 0 to 1."""
        return float(np.isnan(self.rewards).mean())

    def summary(self) -> dict[str, float]:
        """Reward and metrics as one flat dict, and the share that ``abstained`` where that isn't 0."""
        share = {"abstained": self.abstained} if self.abstained else {}
        return {"reward": self.reward, **share, **self.metrics}


def evaluate(
    policy: Any,
    env: Any,
    num_prompts: int = 200,
    *,
    metrics: Sequence[str] | None = None,
    deterministic: bool = False,
    best_of: int | None = None,
    group_size: int = 4,
    seed: int = 0,
    n_envs: int = 32,
    split: str = "test",
    env_kwargs: Mapping[str, Any] | None = None,
    reference: LanguageModelPolicy | None = None,
    progress: bool = False,
) -> Evaluation:
    """Let ``policy`` complete the first ``num_prompts`` prompts of a split.

    In conversations each prompt has a partner of its own, always the same one, whatever the policy and the seed.

    Args:
        policy: an SB3 algorithm or policy, or anything with ``predict`` that wraps a policy as its ``policy``.
        env: an id, or a TextVecEnv whose environment was made with ``sampling="sequential"``.
        num_prompts: how many; at most the split's size. With the default, 200, the 95 % interval of a mean reward
            between 0 and 1 is about 0.1 wide.
        metrics: names from ``textgym.metrics.METRICS``. Default: those of the task, but for one whose extra is missing.
        deterministic: greedy, the most probable token each time, instead of a sample.
        best_of: sample so many completions of each prompt, each with a random stream of its own, and keep the one with
            the highest return (the first of equals; one whose reward abstained only where all did). The reward then
            selects on the prompts that it is reported for: the result is an upper bound for selection among samples,
            not to be compared with a policy that samples once. With ``deterministic`` there is one completion, since
            all would be the same. None: the policy's own, which is 1 except for the algorithm "best_of_n".
        group_size: for a reward that compares the completions of a prompt: so many are played, the first of which
            counts (with ``best_of``, the best of the first so many). With ``deterministic`` the others are samples.
        seed: of the sampling, whose random stream is not that of training.
        n_envs: rows, episodes played at once, when ``env`` is an id.
        split: of the environment, when ``env`` is an id: "test" for results; "validation" for choices while a policy
            is made, such as when to stop.
        env_kwargs: of the environment, when ``env`` is an id. Default tokenizer, form and start token: those of the
            policy.
        reference: another policy, to which the KL of the sampled distribution is measured: exactly in each state that
            the completions go through, see :func:`divergence`.
        progress: show a bar.

    Raises:
        ConfigError: fewer prompts in the split than asked for, ``best_of`` below 1, ``group_size`` below 2, an
            environment that isn't sequential, or whose observations have another length than those that the policy was
            made for.
    """
    if isinstance(policy, BaseAlgorithm):
        policy = policy.policy
    if isinstance(env, str):
        given = {**split_argument(env, split), **(env_kwargs or {})}
        env = make_vec_env(env, min(n_envs, num_prompts), env_kwargs=_fitting(policy, given))
    task = _sequential(env).task
    if not 0 < num_prompts <= len(task):
        raise ConfigError(
            f"num_prompts is {num_prompts}, the split has {len(task)} prompts: expected 1 to {len(task)}."
        )
    _check_fit(policy, env)
    best_of = _attribute(policy, "best_of", 1) if best_of is None else best_of
    if best_of < 1:
        raise ConfigError(f"best_of is {best_of}, expected at least 1 completion of each prompt.")
    if group_size < 2:
        raise ConfigError(f"group_size is {group_size}, expected 2 or more completions of each prompt.")
    counted = 1 if deterministic else best_of
    grouped = scores_groups(_sequential(env).mdp.reward)
    plays = []
    for number, stream in enumerate(_streams(seed, max(counted, group_size) if grouped else counted)):
        waiting = env.rows_wait() if _can_wait(env) else nullcontext()
        with _attribute(policy, "sampling_from", nullcontext)(stream), waiting:
            greedy = deterministic and number == 0
            plays.append(_play(policy, env, num_prompts, greedy, reference, progress))
    if grouped:
        plays = _compared(env, plays)
    ordered = [max(episodes, key=_rank) for episodes in zip(*plays[:counted], strict=True)]
    samples = [sample for sample, *_ in ordered]
    values = compute_metrics(installed(getattr(task, "metrics", ())) if metrics is None else metrics, samples)
    values["num_tokens"] = float(np.mean([len(s.token_ids) for s in samples]))
    scored = [parts for _, returned, parts, _ in ordered if not math.isnan(returned)]
    names = sorted({name for parts in scored for name in parts})
    components = {n: float(np.mean([parts[n] for parts in scored if n in parts])) for n in names}
    kl = None if reference is None else np.array([kl for *_, kl in ordered])
    return Evaluation(samples, np.array([r for _, r, _, _ in ordered]), values, components, kl)


@torch.no_grad()
def divergence(policy: LanguageModelPolicy, reference: LanguageModelPolicy, obs: Any) -> NDArray[np.float64]:
    """(rows,) KL(policy || reference) in nats of the distributions over the next token.

    With temperatures, masks, top-k and top-p as each of the two has them. Infinite where the policy may take a token
    that the reference can't.

    >>> policy = load_policy("textgym/tiny", "textgym/Copy-v1")
    >>> env = make_vec_env("textgym/Copy-v1", 2, model="textgym/tiny")
    >>> divergence(policy, policy, env.reset()).tolist()
    [0.0, 0.0]
    """
    distributions: list[Any] = [one.get_distribution(one.obs_to_tensor(obs)[0]) for one in (policy, reference)]
    ours, theirs = (one.distribution.logits.double() for one in distributions)  # log-probabilities
    terms = ours.exp() * (ours - theirs.to(ours.device))
    return np.asarray(terms.where(ours > -torch.inf, 0.0).sum(-1).cpu().numpy())


def load_policy(
    model: str | Path, env_id: str, env_kwargs: Mapping[str, Any] | None = None, **policy_kwargs: Any
) -> LanguageModelPolicy:
    """A policy to evaluate with: a model, and the spaces of an environment with its tokenizer and form.

    >>> load_policy("textgym/small", "textgym/Copy-v1").form.name
    'causal'
    """
    env = make_vec_env(env_id, 1, model=model, env_kwargs=env_kwargs)
    return LanguageModelPolicy(env.observation_space, env.action_space, lambda _: 0.0, model=model, **policy_kwargs)


def _attribute(policy: Any, name: str, default: Any) -> Any:
    """An attribute of a policy, or of the one that it wraps."""
    while policy is not None and not hasattr(policy, name):
        policy = getattr(policy, "policy", None)
    return getattr(policy, name, default)


def _language_model(policy: Any) -> Any:
    """The innermost policy, of one that wraps others."""
    while not isinstance(policy, LanguageModelPolicy) and hasattr(policy, "policy"):
        policy = policy.policy
    return policy


def _fitting(policy: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of an environment that suits a policy, overridden by those given."""
    options: dict[str, Any] = dict(_attribute(policy, "env_kwargs", {}))
    if _attribute(policy, "tokenizer", None) is not None:
        options["tokenizer"] = _attribute(policy, "tokenizer", None)
    return {**options, **given, "sampling": "sequential"}


def _streams(seed: int, count: int) -> list[int]:
    """Seeds of the sampling, the given one first, so that more samples include those of fewer."""
    further = np.random.SeedSequence(abs(seed)).spawn(count - 1)
    return [seed, *(int(child.generate_state(1, np.uint32)[0]) for child in further)]


def _sequential(env: Any) -> TextGenerationVectorEnv | SingleEnvs:
    """The vector environment in a TextVecEnv. Raises ConfigError unless it plays its prompts in their order."""
    inner = getattr(getattr(env, "env", None), "unwrapped", None)
    if not isinstance(inner, TextGenerationVectorEnv | SingleEnvs) or inner.mdp.rules.sampling != "sequential":
        raise ConfigError('evaluate() needs an id, or a TextVecEnv of an environment made with sampling="sequential".')
    return inner


def _check_fit(policy: Any, env: Any) -> None:
    """Raise ConfigError where observations are longer or shorter than those that the policy was made for."""
    made_for = getattr(getattr(policy, "observation_space", None), "spaces", {})
    for name, space in env.observation_space.spaces.items():
        if name in made_for and made_for[name].shape != space.shape:
            raise ConfigError(
                f"The policy was made for {name} of the shape {made_for[name].shape}, this environment's is "
                f"{space.shape}: give evaluate the same max_prompt_tokens and max_new_tokens, in env_kwargs."
            )


_Episode = tuple[Sample, float, Mapping[str, float], float]  # with its return, reward components and KL


def _rank(episode: _Episode) -> float:
    return -math.inf if math.isnan(episode[1]) else episode[1]


def _compared(env: TextVecEnv, plays: Sequence[Sequence[_Episode]]) -> list[list[_Episode]]:
    """The plays of all prompts, with what a reward gives that compares the completions of a prompt."""
    flat = [episode for play in plays for episode in play]
    values, infos = _sequential(env).mdp.finish_groups([sample for sample, *_ in flat])
    scored = []
    for (sample, _, _, kl), value, info in zip(flat, values, infos, strict=True):
        of_turns = sum(turn.reward for turn in sample.turns)
        returned = math.nan if value is None else late_reward(env.env, sample, value) + of_turns
        scored.append((sample, returned, info["reward_components"], kl))
    size = len(plays[0])
    return [scored[start : start + size] for start in range(0, len(scored), size)]


def _play(
    policy: Any,
    env: TextVecEnv,
    num_prompts: int,
    deterministic: bool,
    reference: LanguageModelPolicy | None,
    progress: bool,
) -> list[_Episode]:
    """The episodes of the prompts 0 to ``num_prompts - 1``."""
    vector_env = _sequential(env)
    episodes: dict[int, _Episode] = {}
    kl = np.zeros(env.num_envs)  # of each row's episode until now
    env.seed(0)
    obs: Any = env.reset()
    queue = None
    if _can_wait(env):  # when no prompt is left: what nobody asked for isn't played
        partners = None if env.partner is None else _partners(num_prompts)  # that each prompt meets
        queue = PromptQueue(env, np.arange(num_prompts), partner_seeds=partners)
    bar = iter(track(range(num_prompts), "evaluating", disable=not progress, transient=True))
    pending: dict[int, int] = {}  # prompts by tickets
    env.late.open()
    while len(episodes) < num_prompts:
        if queue is not None:
            queue.advance()
            obs = queue.observations
        actions, _ = policy.predict(obs, deterministic=deterministic)
        if reference is not None:
            kl += divergence(_language_model(policy), reference, obs)
        obs, _, dones, infos = env.step(actions) if queue is None else (obs, *queue.step(actions))
        for row in np.flatnonzero(dones):
            if "completion" not in infos[row]:
                raise ConfigError(
                    "An episode ended without its completion, as a TimeLimit does: leave that wrapper out."
                )
            sample = vector_env.last_samples[row]
            # Rows that cannot wait begin later prompts: leave those out, or short completions would count more.
            if sample is not None and sample.prompt_id < num_prompts and sample.prompt_id not in episodes:
                info = infos[row]
                parts = info.get("reward_components", {})
                returned = _return(info)
                if env.late.tickets[row] >= 0:
                    pending[int(env.late.tickets[row])] = sample.prompt_id
                episodes[sample.prompt_id] = sample, returned, parts, float(kl[row])
                next(bar, None)
            kl[row] = 0.0
    next(bar, None)
    env.late.close()
    env.late.arrive()
    for ticket, info in zip(env.late.take_rewards(), env.late.take_infos(), strict=True):
        if ticket in pending:
            sample, _, _, divergences = episodes[pending[ticket]]
            episodes[sample.prompt_id] = sample, _return(info), info["reward_components"], divergences
    return [episodes[i] for i in sorted(episodes)]


def _can_wait(env: TextVecEnv) -> bool:
    """Whether rows that have ended can wait for the others; where they can't, they play prompts that don't count.

    In conversations they have to, and those that can't are refused, since each prompt is to meet a partner of its own.
    """
    return env.partner is not None or isinstance(env.env.unwrapped, RowsThatWait)


def _partners(count: int) -> NDArray[np.int64]:
    """(count,) the seeds of the partners of the first prompts."""
    children = np.random.SeedSequence(0).spawn(count)
    return np.array([child.generate_state(1, np.uint64)[0] % SEEDS for child in children], dtype=np.int64)


def _return(info: Mapping[str, Any]) -> float:
    """Of the last info of an episode; NaN where the reward abstained or is still to come."""
    return float(info["episode"]["r"]) if "episode" in info else math.nan
