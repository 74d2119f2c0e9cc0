"""Minari records an environment's episodes and loads them again; a small network then learns from the data alone.

The data are episodes of a writer who gets half of the letters right. Learning from the best of them, by the return that
Minari keeps, beats the writer: filtered behavior cloning.

python examples/other_libraries/minari_record.py
"""

import argparse
import os
import tempfile
import time

os.environ.setdefault("MINARI_DATASETS_PATH", tempfile.mkdtemp())  # instead of ~/.minari; read when minari is imported

import gymnasium as gym
import letters
import minari
import numpy as np
import torch
from torch import nn

from textgym.wrappers import CompactVocabulary

parser = argparse.ArgumentParser()
parser.add_argument("--episodes", type=int, default=3000)
args = parser.parse_args()
torch.manual_seed(0)
torch.set_num_threads(1)

# record_infos stacks the infos of all steps, which infos="numbers" is for.
env = CompactVocabulary(gym.make(letters.ENV_ID, infos="numbers"))
collector = minari.DataCollector(env, record_infos=True, data_format="hdf5")
random = np.random.default_rng(0)
start = time.time()
for episode in range(args.episodes):
    observation, info = collector.reset(seed=episode)
    reference = env.unwrapped.task[int(info["prompt_id"])].references[0]
    for action in env.encode_completion(reference)[:-1]:
        collector.step(action if random.random() < 0.5 else int(random.integers(8)))
collector.create_dataset("letters/half-right-v0", description="Three letters, half of them right.", eval_env=env)
collector.close()

dataset = minari.load_dataset("letters/half-right-v0")
again = dataset.recover_environment()  # the id, its arguments and the wrapper are kept with the data
assert isinstance(again, CompactVocabulary)
assert again.observation_space == env.observation_space
returns = [float(episode.rewards.sum()) for episode in dataset]
best = [episode for episode, total in zip(dataset, returns, strict=True) if total > 0.99]
ids = torch.as_tensor(np.concatenate([episode.observations["input_ids"][:-1] for episode in best]))
actions = torch.as_tensor(np.concatenate([episode.actions for episode in best]))
print(
    f"{dataset.total_episodes} episodes loaded, mean return {np.mean(returns):.3f}; {len(best)} perfect ones; infos "
    f"{sorted(dataset[0].infos)}"
)

num_tokens = int(again.observation_space["input_ids"].high.max()) + 1
net = nn.Sequential(nn.Embedding(num_tokens, 16), nn.Flatten(), nn.Linear(16 * ids.shape[1], 128), nn.ReLU())
net.append(nn.Linear(128, int(again.action_space.n)))
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)


def act(observations: dict[str, np.ndarray]) -> np.ndarray:
    with torch.no_grad():
        return net(torch.as_tensor(observations["input_ids"])).argmax(1).numpy()


before = letters.evaluate(act)
for _ in range(60):
    for rows in torch.randperm(len(actions)).split(64):
        loss = nn.functional.cross_entropy(net(ids[rows]), actions[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
print(
    f"reward before {before:.3f}, after {len(actions)} tokens of data {letters.evaluate(act):.3f} "
    f"({time.time() - start:.0f} seconds)"
)
