"""Training on a judge behind a server that fails for three requests in ten, in nine ways.

The judge gives at least 0.25, so that a reward of 0 could only come from an outage.
"""

import re
import warnings

import numpy as np
import pytest
from stable_baselines3.common.callbacks import BaseCallback

from tests.agents.four_tokens import make_env, make_model
from tests.rewards.judge.faulty_server import FAULTS, FaultyServer
from textgym.rewards import LLMJudge
from textgym.rewards.judge import OpenAIBackend
from textgym_agents import CircuitBreaker, TextLogger, make
from textgym_agents.callbacks.ended import ended_infos

ROLLOUTS, TOKENS = 300, 24  # of which a rollout has at least so many
ARGUMENTS = {
    "ppo": {"n_steps": 6, "batch_size": 24, "n_epochs": 1},
    "rloo": {"prompts_per_rollout": 6, "group_size": 2},
}


def truth(text):
    """2 for a text without the word "a", to 5 for three of them."""
    return 2 + text.split().count("a")


class Letters(FaultyServer):
    def read(self, content):
        return re.findall(r"<<TEXT \w+>>\n(.*)\n<<END TEXT", content)[0]

    def score(self, what):
        return truth(what)


class Ends(BaseCallback):
    """The completions that ended in training, and what each was paid; None: nothing."""

    def __init__(self):
        super().__init__()
        self.paid, self.rollouts = [], 0

    def _on_rollout_end(self):
        self.rollouts += 1

    def _on_step(self):
        for info in ended_infos(self.locals):
            self.paid.append((info["completion"], info["episode"]["r"] if "episode" in info else None))
        return True


@pytest.mark.slow
@pytest.mark.parametrize("retries", [5, 0], ids=["asked again", "asked once"])
@pytest.mark.parametrize("name", ARGUMENTS)
def test_no_zero_from_an_outage_in_300_rollouts(name, retries, request):
    server = Letters(0.3)
    server.hang = 1.5
    backend = OpenAIBackend("m", server.url, timeout=1, max_retries=retries, first_wait=0.01)
    judge = LLMJudge("How often does it say a?", backend, on_failure="abstain", max_concurrency=8, cache_size=0)
    breaker, ends, log = CircuitBreaker(0.6), Ends(), TextLogger(every=1)
    algorithm = make(name, make_env(4, judge), make_model(), seed=0, kl_coef=0, **ARGUMENTS[name])
    with warnings.catch_warnings(action="ignore"):
        while ends.rollouts < ROLLOUTS:
            algorithm.learn(TOKENS, [breaker, ends, log], reset_num_timesteps=False)
    server.close()
    # Texts without a visible character aren't asked: the judge gives them 0.
    shown = [(text, paid) for text, paid in ends.paid if text.strip()]
    values = np.array([(truth(text) - 1) / 4 for text, _ in shown])
    paid = np.array([np.nan if one is None else one for _, one in shown])
    lost = np.isnan(paid)
    first, last = values[: len(values) // 6], values[-len(values) // 6 :]
    unseen = [one for text, one in ends.paid if not text.strip()]
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(
            f"\n{name}, {retries} retries: {ends.rollouts} rollouts, {len(shown)} texts, "
            f"{len(server.contents)} requests, {sum(server.faults.values())} faults, {int(lost.sum())} texts without a "
            f"reward, mean reward {np.nanmean(paid):.4f}, truth {values.mean():.4f}, "
            f"{first.mean():.3f} in the first sixth, {last.mean():.3f} in the last"
        )
    assert ends.rollouts >= ROLLOUTS
    assert breaker.pauses == 0
    assert set(server.faults) == set(FAULTS)
    assert np.array_equal(paid[~lost], values[~lost])
    assert not (paid[~lost] == 0).any()
    assert set(unseen) <= {0.0}
    assert abs(np.nanmean(paid) - values.mean()) <= 0.01
    assert lost.mean() <= 0.01 if retries else 0.2 < lost.mean() < 0.4
    assert algorithm.policy.value_net.mean.item() > 0.2
    assert last.mean() > first.mean() + 0.1  # it learns all the same
