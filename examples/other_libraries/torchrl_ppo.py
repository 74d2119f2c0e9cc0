"""TorchRL's collector, GAE and ClipPPOLoss. ``categorical_action_encoding`` keeps actions numbers, not one-hot rows.

python examples/other_libraries/torchrl_ppo.py
"""

import argparse
import time

import gymnasium as gym
import letters
import numpy as np
import torch
from tensordict import TensorDict
from tensordict.nn import TensorDictModule
from torch import nn
from torch.distributions import Categorical
from torchrl.collectors import Collector
from torchrl.envs import GymEnv, GymWrapper
from torchrl.envs.utils import check_env_specs
from torchrl.modules import ProbabilisticActor, ValueOperator
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE

from textgym.wrappers import CompactVocabulary

NUM_ENVS, NUM_STEPS, MINIBATCH, EPOCHS = 32, 16, 256, 4


class TokenNet(nn.Module):
    """Embeds each column of ``input_ids``."""

    def __init__(self, columns: int, num_tokens: int, outputs: int, width: int = 16) -> None:
        super().__init__()
        self.embed = nn.Embedding(num_tokens, width)
        self.layers = nn.Sequential(nn.Linear(columns * width, 128), nn.ReLU(), nn.Linear(128, outputs))

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return self.layers(self.embed(input_ids).flatten(-2))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--timesteps", type=int, default=40_960)
    timesteps = parser.parse_args().timesteps
    torch.manual_seed(0)
    torch.set_num_threads(1)

    check_env_specs(GymEnv("textgym/Copy-v1", categorical_action_encoding=True))  # built-in ids work as they are

    envs = CompactVocabulary(gym.make_vec(letters.ENV_ID, num_envs=NUM_ENVS, autoreset_mode="Disabled", infos="none"))
    columns, actions = envs.single_observation_space["input_ids"].shape[0], int(envs.single_action_space.n)
    env = GymWrapper(envs, categorical_action_encoding=True)
    check_env_specs(env)
    env.set_seed(0)

    sizes = columns, int(envs.single_observation_space["input_ids"].high.max()) + 1
    actor = ProbabilisticActor(
        TensorDictModule(TokenNet(*sizes, actions), in_keys=["input_ids"], out_keys=["logits"]),
        in_keys=["logits"],
        spec=env.action_spec,
        distribution_class=Categorical,
        return_log_prob=True,
    )
    critic = ValueOperator(TokenNet(*sizes, 1), in_keys=["input_ids"])
    advantage = GAE(gamma=1.0, lmbda=0.95, value_network=critic, average_gae=True)
    loss_module = ClipPPOLoss(actor, critic, clip_epsilon=0.2, entropy_coeff=0.01, critic_coeff=0.5)
    optimizer = torch.optim.Adam(loss_module.parameters(), lr=2e-3)

    def act(observations: dict[str, np.ndarray]) -> np.ndarray:
        with torch.no_grad():
            return actor(TensorDict({"input_ids": torch.as_tensor(observations["input_ids"])}, 64))["action"].numpy()

    before, start = letters.evaluate(act), time.time()
    frames = {"frames_per_batch": NUM_ENVS * NUM_STEPS, "total_frames": timesteps}
    collector = Collector(env, actor, **frames, auto_register_policy_transforms=True)
    for batch in collector:
        for _ in range(EPOCHS):
            with torch.no_grad():
                advantage(batch)
            flat = batch.reshape(-1)
            for rows in torch.randperm(len(flat)).split(MINIBATCH):
                losses = loss_module(flat[rows])
                loss = losses["loss_objective"] + losses["loss_critic"] + losses["loss_entropy"]
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(loss_module.parameters(), 0.5)
                optimizer.step()
    collector.shutdown()
    print(
        f"reward before {before:.3f}, after {timesteps} steps {letters.evaluate(act):.3f} "
        f"({time.time() - start:.0f} seconds)"
    )


if __name__ == "__main__":
    main()
