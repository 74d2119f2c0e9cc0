"""Stable-Baselines3's own PPO with a features extractor for tokens, and sb3-contrib's MaskablePPO and RecurrentPPO.

No language model and nothing of textgym_agents: ten lines tell SB3's MultiInputPolicy what token ids are.

python examples/other_libraries/sb3_ppo.py
python examples/other_libraries/sb3_ppo.py --algorithm maskable
"""

import argparse
import time

import gymnasium as gym
import letters
import numpy as np
import torch
from sb3_contrib import MaskablePPO, RecurrentPPO
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn

from textgym.wrappers import CompactVocabulary


class TokenExtractor(BaseFeaturesExtractor):
    """Embeds each column. SB3 hands on token ids as floats, so they are made integers again."""

    def __init__(self, observation_space: gym.spaces.Dict, width: int = 16) -> None:
        ids = observation_space["input_ids"]
        super().__init__(observation_space, features_dim=ids.shape[0] * width)
        self.embed = nn.Embedding(int(ids.high.max()) + 1, width)

    def forward(self, observations: dict[str, torch.Tensor]) -> torch.Tensor:
        return self.embed(observations["input_ids"].long()).flatten(1)


def make_env() -> gym.Env:
    # Masked actions are an error. Where min_new_tokens masks the end token, only MaskablePPO can act.
    return CompactVocabulary(gym.make(letters.ENV_ID, min_new_tokens=3 if args.algorithm == "maskable" else 0))


parser = argparse.ArgumentParser()
parser.add_argument("--algorithm", choices=["ppo", "maskable", "recurrent"], default="ppo")
parser.add_argument("--timesteps", type=int, default=40_960)
args = parser.parse_args()
torch.set_num_threads(1)

algorithm, policy = {
    "ppo": (PPO, "MultiInputPolicy"),
    "maskable": (MaskablePPO, "MultiInputPolicy"),  # finds env.action_masks() by itself
    "recurrent": (RecurrentPPO, "MultiInputLstmPolicy"),
}[args.algorithm]
recurrent = {"lstm_hidden_size": 64} if args.algorithm == "recurrent" else {}
model = algorithm(
    policy,
    make_vec_env(make_env, n_envs=32, seed=0),
    n_steps=16,
    batch_size=256,
    n_epochs=4,
    gamma=1.0,
    ent_coef=0.01,
    learning_rate=2e-3,
    policy_kwargs={"features_extractor_class": TokenExtractor, "net_arch": [128], **recurrent},
    seed=0,
)


def mean_reward() -> float:
    memory = {"state": None, "start": np.ones(64, dtype=bool)}  # of RecurrentPPO, from the episode's beginning

    def act(observations: dict[str, np.ndarray]) -> np.ndarray:
        actions, memory["state"] = model.predict(observations, memory["state"], memory["start"])
        memory["start"] = np.zeros(64, dtype=bool)
        return actions

    return letters.evaluate(act)


before, start = mean_reward(), time.time()
model.learn(args.timesteps)
print(
    f"{algorithm.__name__}: reward before {before:.3f}, after {args.timesteps} steps {mean_reward():.3f} "
    f"({time.time() - start:.0f} seconds)"
)
