"""Runs on a local Ray cluster."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from tests.agents.benchmark.test_benchmark import COPY, without_time
from tests.agents.saved_model import save_tiny_model
from textgym.errors import ConfigError
from textgym_agents.benchmark.config import BenchmarkConfig
from textgym_agents.benchmark.launch import launch
from textgym_agents.benchmark.store import ResultStore

pytestmark = pytest.mark.slow
ray = pytest.importorskip("ray")


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = save_tiny_model(tmp_path_factory.mktemp("tiny") / "model")
    return BenchmarkConfig(
        ("ppo", "greedy"),
        {COPY: 4000},
        seeds=2,
        model=folder,
        n_envs=4,
        eval_prompts=4,
        algo_kwargs={"ppo.n_steps": 16},
    )


def test_a_killed_worker_is_replaced_and_the_numbers_are_those_of_local_processes(config, tmp_path):
    killed = []

    def kill_one():
        while not killed:
            time.sleep(0.1)
            for pid in running_tasks():
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
                break

    threading.Thread(target=kill_one, daemon=True).start()
    on_ray = launch(ResultStore(tmp_path / "ray", config), 2, ray="local")
    assert killed
    assert not ray.is_initialized()
    local = launch(ResultStore(tmp_path / "local", config), 2)
    assert [line["error"] for line in on_ray] == [None] * 4
    assert [without_time(line) for line in on_ray] == [without_time(line) for line in local]


def running_tasks():
    """Processes of Ray that do a run now."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if "ray::_do" in (folder / "cmdline").read_text(errors="replace"):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def test_a_run_that_raises_is_a_line(config, tmp_path):
    broken = BenchmarkConfig.from_json({**config.to_json(), "model_hash": "0" * 16, "seeds": 1, "algos": ["greedy"]})
    (line,) = launch(ResultStore(tmp_path, broken), 1, ray="local")
    assert line["error"].startswith("ConfigError: The model")
    assert json.loads((tmp_path / "results.jsonl").read_text()) == line


def test_an_address_without_a_cluster(config, tmp_path):
    with pytest.raises(ConfigError, match="--ray auto: "):
        launch(ResultStore(tmp_path, config), None, ray="auto")
