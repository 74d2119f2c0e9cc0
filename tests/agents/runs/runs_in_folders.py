"""A small training run, and whether two of them are equal."""

import hashlib
import json
from pathlib import Path

import torch
from safetensors.torch import load_file

from textgym_agents.runs.config import TrainConfig

MODELS = ("policy/model.safetensors", "policy/value_head.safetensors", "best/model.safetensors")


def settings(model, **changed):
    """Of a run of a second or two, with checkpoints, evaluations and logs."""
    return TrainConfig(
        **{
            "task": "textgym/Copy-v0",
            "model": str(model),
            "timesteps": 192,
            "n_envs": 4,
            "eval_prompts": 4,
            "eval_every": 96,
            "checkpoint_every": 64,
            "log": ("csv",),
            "env_kwargs": {"max_prompt_tokens": 24, "max_new_tokens": 8},
            "algo_kwargs": {"n_steps": 8, "batch_size": 16, "n_epochs": 1},
            **changed,
        }
    )


def numbers(folder: Path):
    """All that a run wrote, without seconds and speeds."""
    lines = [json.loads(line, parse_constant=None) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    metrics = [{k: v for k, v in line.items() if not (k == "seconds" or k.startswith("time/"))} for line in lines]
    return metrics, (folder / "samples.md").read_text(), (folder / "learning_curve.png").read_bytes()


def assert_equal_runs(one: Path, other: Path):
    """To the last bit, the checkpoint included."""
    for actual, expected in zip(numbers(one), numbers(other), strict=True):
        assert actual == expected
    models = [name for name in MODELS if (other / name).exists()]  # not every policy has a value head
    assert "policy/model.safetensors" in models
    for name in (*models, "checkpoint/tensors.safetensors"):
        actual, expected = load_file(one / name), load_file(other / name)
        assert actual.keys() == expected.keys()
        assert [key for key in actual if not torch.equal(actual[key], expected[key])] == []


def seal(checkpoint: Path):
    """Write the sums of a checkpoint that a test has edited, as whoever edits it on purpose would."""
    names = ("state.json", "tensors.safetensors")
    sums = [f"{hashlib.sha256((checkpoint / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (checkpoint / "SHA256SUMS").write_text("".join(sums))
