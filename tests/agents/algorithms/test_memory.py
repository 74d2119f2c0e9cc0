"""Peak memory: no algorithm of PPO's kind needs twice what PPO does."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CHILD = """
import resource, sys
import torch
from textgym_agents import make

torch.set_num_threads(1)
algorithm = make(sys.argv[1], "textgym/DataToText-v0", n_envs=64, n_steps=64, batch_size=1024, seed=0)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
algorithm.learn(2 * 64 * 64)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def grown(name: str) -> int:
    """What a child process's peak memory grew by while it trained."""
    paths = f"{ROOT}:{ROOT / 'agents'}"
    command = [sys.executable, "-c", CHILD, name]
    child = subprocess.run(command, capture_output=True, text=True, check=True, env={"PYTHONPATH": paths})
    return int(child.stdout)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows doesn't say")
def test_trust_region_and_masks_take_less_than_twice_what_ppo_takes():
    """When this was written: PPO 228 MiB, TRPO 369, MaskablePPO 221."""
    ppo = grown("ppo")
    for name in ("trpo", "maskable_ppo"):
        assert grown(name) < 2 * ppo, name
