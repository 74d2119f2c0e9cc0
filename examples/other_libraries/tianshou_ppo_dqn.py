"""Tianshou's PPO and DQN. Its replay buffers stack infos, so the environment is made with infos="numbers".

python examples/other_libraries/tianshou_ppo_dqn.py
python examples/other_libraries/tianshou_ppo_dqn.py --algorithm dqn
"""

import argparse
import time
from typing import Any

import gymnasium as gym
import letters
import numpy as np
import torch
from tianshou.algorithm import DQN, PPO
from tianshou.algorithm.modelfree.dqn import DiscreteQLearningPolicy
from tianshou.algorithm.modelfree.reinforce import DiscreteActorPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Batch, Collector, VectorReplayBuffer
from tianshou.env import DummyVectorEnv
from tianshou.trainer import OffPolicyTrainerParams, OnPolicyTrainerParams
from tianshou.utils.net.common import ModuleWithVectorOutput
from tianshou.utils.net.discrete import DiscreteActor, DiscreteCritic
from torch import nn

from textgym.wrappers import CompactVocabulary

parser = argparse.ArgumentParser()
parser.add_argument("--algorithm", choices=["ppo", "dqn"], default="ppo")
parser.add_argument("--timesteps", type=int, default=40_960)
args = parser.parse_args()
torch.manual_seed(0)
np.random.seed(0)  # noqa: NPY002 (Tianshou draws from it)
torch.set_num_threads(1)


class TokenNet(ModuleWithVectorOutput):
    """Embeds each column of ``input_ids``."""

    def __init__(self, observation_space: gym.spaces.Dict, width: int = 16) -> None:
        ids = observation_space["input_ids"]
        super().__init__(output_dim=128)
        self.embed = nn.Embedding(int(ids.high.max()) + 1, width)
        self.hidden = nn.Sequential(nn.Linear(ids.shape[0] * width, 128), nn.ReLU())

    def forward(self, obs: Any, state: Any = None, info: Any = None) -> tuple[torch.Tensor, Any]:
        return self.hidden(self.embed(torch.as_tensor(obs.input_ids)).flatten(1)), state


def make_env() -> gym.Env:
    return CompactVocabulary(gym.make(letters.ENV_ID, infos="numbers"))


space, actions = make_env().observation_space, make_env().action_space
optimizer = AdamOptimizerFactory(lr=2e-3 if args.algorithm == "ppo" else 1e-3)
if args.algorithm == "ppo":
    actor, critic = (
        DiscreteActor(preprocess_net=TokenNet(space), action_shape=actions.n, softmax_output=False),
        DiscreteCritic(preprocess_net=TokenNet(space)),
    )
    policy = DiscreteActorPolicy(actor=actor, action_space=actions, observation_space=space)
    algorithm = PPO(policy=policy, critic=critic, optim=optimizer, gamma=1.0, ent_coef=0.01)
    params, plan = OnPolicyTrainerParams, {"update_step_num_repetitions": 4, "collection_step_num_env_steps": 512}
else:
    model = DiscreteActor(preprocess_net=TokenNet(space), action_shape=actions.n, softmax_output=False)
    policy = DiscreteQLearningPolicy(model=model, action_space=actions, observation_space=space, eps_training=0.1)
    algorithm = DQN(policy=policy, optim=optimizer, gamma=1.0, target_update_freq=200)
    params, plan = OffPolicyTrainerParams, {"collection_step_num_env_steps": 32}
    plan["update_step_num_gradient_steps_per_sample"] = 0.1

envs = DummyVectorEnv([make_env] * 32)
buffer = VectorReplayBuffer(40_960 if args.algorithm == "dqn" else 512, 32)
collector = Collector[Any](algorithm, envs, buffer, exploration_noise=True)
collector.reset(gym_reset_kwargs={"seed": 0})


def act(observations: dict[str, np.ndarray]) -> np.ndarray:
    with torch.no_grad():
        return np.asarray(policy(Batch(obs=Batch(observations), info=Batch())).act)


before, start = letters.evaluate(act), time.time()
algorithm.run_training(
    params(
        training_collector=collector,
        max_epochs=1,
        epoch_num_steps=args.timesteps,
        batch_size=256,
        verbose=False,
        show_progress=False,
        **plan,
    )
)
print(
    f"{type(algorithm).__name__}: reward before {before:.3f}, after {args.timesteps} steps "
    f"{letters.evaluate(act):.3f} ({time.time() - start:.0f} seconds)"
)
