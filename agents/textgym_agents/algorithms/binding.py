"""How the parts of an algorithm that need its policy get it: buffers with a KL, environments of candidates."""

from typing import Any, Protocol, runtime_checkable

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnvWrapper


@runtime_checkable
class NeedsPolicy(Protocol):
    """A buffer or an environment that asks the policy for something: its reference model, its masks, its candidates."""

    def bind(self, policy: Any) -> None:
        """Take what is needed from the policy; what came from another one is replaced."""


def bind_policy(algorithm: BaseAlgorithm) -> None:
    """Give the policy to the rollout buffer and to each layer of the environment that has a ``bind`` for it.

    ``make`` and ``load`` do so, and so do textgym's own algorithms when SB3 sets them up. With one of SB3's classes by
    hand, call ``algorithm.rollout_buffer.bind(algorithm.policy)``, or ``bind`` of the environment.
    """
    parts: list[Any] = [algorithm.rollout_buffer] if isinstance(algorithm, OnPolicyAlgorithm) else []
    env = algorithm.get_env()
    while env is not None:
        parts.append(env)
        env = env.venv if isinstance(env, VecEnvWrapper) else None
    for part in parts:
        if isinstance(part, NeedsPolicy):
            part.bind(algorithm.policy)
