"""RLlib's PPO on its new API stack, with a module for token ids, and a worker in another process.

python examples/other_libraries/rllib_ppo.py
"""

import argparse
import logging
import time
from typing import Any

import gymnasium as gym
import letters
import numpy as np
import ray
import torch
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.apis import ValueFunctionAPI
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.core.rl_module.torch import TorchRLModule
from ray.tune.registry import register_env
from torch import nn

from textgym.wrappers import CompactVocabulary


class TokenModule(TorchRLModule, ValueFunctionAPI):
    """Embeds each column of ``input_ids``; a head each for actions and values."""

    def setup(self) -> None:
        ids, width = self.observation_space["input_ids"], self.model_config["width"]
        self.embed = nn.Embedding(int(ids.high.max()) + 1, width)
        self.hidden = nn.Sequential(nn.Linear(ids.shape[0] * width, 128), nn.ReLU())
        self.actor, self.critic = nn.Linear(128, int(self.action_space.n)), nn.Linear(128, 1)

    def _features(self, batch: dict[str, Any]) -> torch.Tensor:
        return self.hidden(self.embed(batch[Columns.OBS]["input_ids"].long()).flatten(-2))

    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        features = self._features(batch)
        return {Columns.ACTION_DIST_INPUTS: self.actor(features), Columns.EMBEDDINGS: features}

    def compute_values(self, batch: dict[str, Any], embeddings: torch.Tensor | None = None) -> torch.Tensor:
        return self.critic(self._features(batch) if embeddings is None else embeddings).squeeze(-1)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--timesteps", type=int, default=40_960)
    timesteps = parser.parse_args().timesteps
    # A worker makes the environment: it imports what is before the colon of "letters:letters/Repeat-v0", as it would
    # import textgym for "textgym:textgym/Copy-v1".
    register_env("letters", lambda config: CompactVocabulary(gym.make(letters.ENV_ID, **config)))
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    config = (
        PPOConfig()
        .environment("letters", env_config={"infos": "none"})
        .env_runners(num_env_runners=1, num_envs_per_env_runner=32, rollout_fragment_length=16)
        .rl_module(rl_module_spec=RLModuleSpec(module_class=TokenModule, model_config={"width": 16}))
        .training(
            lr=2e-3,
            gamma=1.0,
            lambda_=0.95,
            clip_param=0.2,
            entropy_coeff=0.01,
            vf_loss_coeff=0.5,
            grad_clip=0.5,
            use_kl_loss=False,
            train_batch_size_per_learner=512,
            minibatch_size=256,
            num_epochs=4,
        )
        .debugging(seed=0)
    )
    algorithm = config.build_algo()

    def act(observations: dict[str, np.ndarray]) -> np.ndarray:
        batch = {Columns.OBS: {"input_ids": torch.as_tensor(observations["input_ids"])}}
        with torch.no_grad():
            logits = algorithm.get_module().forward_inference(batch)[Columns.ACTION_DIST_INPUTS]
        return torch.distributions.Categorical(logits=logits).sample().numpy()

    before, start, steps = letters.evaluate(act), time.time(), 0
    while steps < timesteps:
        steps = algorithm.train()["num_env_steps_sampled_lifetime"]
    print(
        f"reward before {before:.3f}, after {int(steps)} steps {letters.evaluate(act):.3f} "
        f"({time.time() - start:.0f} seconds)"
    )
    algorithm.stop()
    ray.shutdown()


if __name__ == "__main__":
    main()
