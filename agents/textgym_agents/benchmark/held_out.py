"""What a run of a benchmark says of held-out prompts: evaluations of the initial model and of the trained policy."""

import inspect
import math
import tempfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm

from textgym.errors import RewardError
from textgym.registration import split_argument
from textgym.scoring import score_samples
from textgym_agents.benchmark.composites import base
from textgym_agents.benchmark.config import BenchmarkConfig, Key
from textgym_agents.envs.vec_env import make_vec_env
from textgym_agents.evaluation.held_out import Evaluation, evaluate, load_policy
from textgym_agents.evaluation.statistics import of_metric, of_rewards
from textgym_agents.policies.base import LanguageModelPolicy
from textgym_agents.policies.greedy import GreedyPolicy

NUM_SAMPLES = 3
FRONT_PROMPTS = 64  # at most, for KLs and for the points of a front
GOLD = "gold"  # the part of a reward, or the metric, that a proxy is in place of


class HeldOut:
    """The held-out prompts of a run.

    Args:
        config: the benchmark.
        key: the run.
    """

    def __init__(self, config: BenchmarkConfig, key: Key) -> None:
        self.config, self.key = config, key
        self.env_id, self.env_kwargs = base(key.task), config.for_task(key.task)

    @cached_property
    def initial(self) -> LanguageModelPolicy:
        """The model before training."""
        return self._load(self.config.model)

    def _load(self, model: str) -> LanguageModelPolicy:
        taken = inspect.signature(LanguageModelPolicy).parameters
        options = {name: value for name, value in self.config.policy_kwargs.items() if name in taken}
        return load_policy(model, self.env_id, self.env_kwargs, **options)

    def evaluate(self, policy: Any, num_prompts: int | None = None, **options: Any) -> Evaluation:
        """``evaluate`` on these prompts, or on the first of them."""
        return evaluate(
            policy,
            self.env_id,
            num_prompts or self.config.eval_prompts,
            seed=self.key.seed,
            split=self.config.eval_split,
            env_kwargs=self.env_kwargs,
            **options,
        )

    def of_trained(
        self, algorithm: BaseAlgorithm, work: str | Path | None
    ) -> tuple[dict[str, Any], list[dict[str, Any]], float | None]:
        """All evaluations of a trained policy; the first samples; the KL to the initial model, in nats."""
        policy: Any = algorithm.policy
        sampled = self.evaluate(policy)
        found = {"sampled": sampled, "greedy": self.evaluate(policy, deterministic=True)}
        if not getattr(policy, "decodes_plainly", True):
            with tempfile.TemporaryDirectory(dir=work) as folder:
                policy.save_pretrained(Path(folder) / "policy")
                plain = self._load(str(Path(folder) / "policy"))
            found |= {"plain_sampled": self.evaluate(plain), "plain_greedy": self.evaluate(plain, deterministic=True)}
        return {name: self.findings(one) for name, one in found.items()}, shown(sampled), self.point(policy)["kl"]

    def point(self, policy: Any) -> dict[str, Any]:
        """A point of a front: KL to the initial model, reward, gold if there is one, and the metrics."""
        inner = getattr(policy, "policy", policy)
        samples = not isinstance(inner, GreedyPolicy) and getattr(inner, "best_of", 1) == 1
        reference = self.initial if samples else None
        evaluation = self.evaluate(policy, min(FRONT_PROMPTS, self.config.eval_prompts), reference=reference)
        kl = None if evaluation.kl is None else float(evaluation.kl.mean())
        return {"kl": round(kl, 4) if kl is not None and math.isfinite(kl) else None, **self._summary(evaluation)}

    def findings(self, evaluation: Evaluation) -> dict[str, Any]:
        """What a line has of an evaluation."""
        by_name = {"num_tokens": of_rewards([len(sample.token_ids) for sample in evaluation.samples])}
        for name in evaluation.metrics:
            statistics = None if name in by_name else of_metric(name, evaluation.samples)
            if statistics is not None:
                by_name[name] = statistics
        if evaluation.abstained:
            raise RewardError(
                f"The reward abstained for {evaluation.abstained:.0%} of {len(evaluation.samples)} held-out texts. "
                "Runs are compared prompt by prompt, so each needs its reward: let the judge ask again, and --retry."
            )
        rewards = {"reward": rounded(evaluation.rewards.tolist())}
        gold = self._gold(evaluation)
        if gold is not None:
            by_name[GOLD] = of_rewards(gold)
        stored = {name: statistics.to_json() for name, statistics in by_name.items()}
        return {"summary": self._summary(evaluation), "per_prompt": {**rewards, **stored}}

    def score(self, findings: dict[str, Any]) -> float | None:
        """A probe's own score of the mean reward."""
        score = getattr(self._env.task, "score", None)
        return None if score is None else round(float(score(findings["summary"]["reward"])), 6)

    def _summary(self, evaluation: Evaluation) -> dict[str, float]:
        summary = evaluation.summary()
        gold = self._gold(evaluation)
        if gold is not None:
            summary[GOLD] = sum(gold) / len(gold)
        elif GOLD in evaluation.components:
            summary[GOLD] = evaluation.components[GOLD]
        return {name: round(float(value), 6) for name, value in summary.items()}

    def _gold(self, evaluation: Evaluation) -> list[float] | None:
        """What ``config.gold`` gives each completion."""
        if self.config.gold is None:
            return None
        return [score.value or 0.0 for score in score_samples(self._env.reward, evaluation.samples)]

    @cached_property
    def _env(self) -> Any:
        """The environment of the held-out prompts, rewarded by the gold if there is one."""
        split = split_argument(self.env_id, self.config.eval_split)
        gold = {} if self.config.gold is None else {"reward": self.config.gold}
        options = {**split, **self.env_kwargs, **gold}
        made: Any = make_vec_env(self.env_id, 1, model=self.config.model, env_kwargs=options)
        return made.env.unwrapped


def shown(evaluation: Evaluation) -> list[dict[str, Any]]:
    """The first completions, for a report."""
    return [
        {
            "prompt": sample.prompt,
            "reference": sample.references[0] if sample.references else None,
            "text": sample.transcript,
        }
        for sample in evaluation.samples[:NUM_SAMPLES]
    ]


def rounded(values: Sequence[float]) -> list[float]:
    """Numbers with three decimals, or with as many as the largest of them needs for three digits.

    >>> rounded([0.12345, 12.5]), rounded([0.012345, 0.0])
    ([0.123, 12.5], [0.0123, 0.0])
    """
    largest = max((abs(value) for value in values), default=0.0)
    decimals = 3 if largest == 0 else max(3, 2 - math.floor(math.log10(largest)))
    return [round(float(value), decimals) for value in values]
