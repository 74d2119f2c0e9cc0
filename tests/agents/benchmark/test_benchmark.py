"""The benchmark: statistics by hand, results that survive kill -9, reports."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from typer.testing import CliRunner

from tests.agents.saved_model import save_tiny_model
from textgym.core import Sample
from textgym.errors import ConfigError
from textgym.metrics import METRICS
from textgym_agents.benchmark import charts, places, report
from textgym_agents.benchmark.aggregate import ALL_TASKS, aggregate
from textgym_agents.benchmark.config import BenchmarkConfig, Key
from textgym_agents.benchmark.launch import launch
from textgym_agents.benchmark.run import run
from textgym_agents.benchmark.store import ResultStore, failed_line, read_runs
from textgym_agents.cli.app import app
from textgym_agents.evaluation.statistics import PromptStatistics, intervals, of_metric
from textgym_agents.report import curves
from textgym_agents.report.numbers import show

COPY, DATA = "textgym/Copy-v1", "textgym/DataToText-v0"

SAMPLES = [
    Sample(
        "", "the cat sat on the mat", ("a cat sat on the mat", "there is a cat"), (1, 2), metadata={"keywords": ["cat"]}
    ),
    Sample("", "a dog ran", ("the dog ran away",), (1, 2, 3), metadata={"keywords": ["dog", "away"]}),
    Sample("", "", ("nothing here",), (), metadata={}),
    Sample("", "what a lovely old house", ("what a lovely house",), (4,), metadata={"keywords": ["house"]}),
]


def make_run(algo="ppo", task=COPY, seed=0, before=(0.2, 0.4), after=(0.3, 0.5), **metrics):
    """A line of results.jsonl with these rewards on the held-out prompts."""
    sides = {
        name: {
            "summary": {"reward": float(np.mean(rewards)), **metrics},
            "per_prompt": {"reward": [float(reward) for reward in rewards]},
        }
        for name, rewards in (("before", before), ("sampled", after), ("greedy", after))
    }
    return {
        "algo": algo,
        "task": task,
        "seed": seed,
        "model": "tiny",
        "timesteps": 100,
        "eval_prompts": len(before),
        "evaluations": sides,
        "score": None,
        "score_greedy": None,
        "front": [],
        "curve": {"timesteps": [50, 100], "reward": [0.25, 0.35 + 0.01 * seed]},
        "kl": None,
        "samples": [{"prompt": "Say | it:", "reference": "so ```it```", "before": "a\nb", "after": "c"}],
        "command": "textgym benchmark",
        "versions": {"python": "3"},
        "costs": {"seconds": 1.0 + seed},
        "error": None,
    }


# ---------------------------------------------------------------------------- statistics


STATISTICS = ("bleu", "chrf", "gleu", "ter", "rougeL", "coverage", "exact_match", "token_f1", "sentiment", "length")


@pytest.mark.parametrize("name", STATISTICS)
def test_statistics_give_the_metric_on_every_resample(name):
    statistics = of_metric(name, SAMPLES)
    restored = PromptStatistics.from_json(json.loads(json.dumps(statistics.to_json())))
    rng = np.random.default_rng(0)
    index = np.vstack([np.arange(4), rng.integers(4, size=(20, 4))])
    for picks, value in zip(index, restored.values(index), strict=True):
        expected = METRICS[name]().compute([SAMPLES[i] for i in picks]).get(name, np.nan)
        np.testing.assert_allclose(value, expected, atol=2e-6)


def test_a_metric_that_is_no_mean_has_no_statistics():
    assert of_metric("distinct1", SAMPLES) is None


def test_intervals_agree_with_the_normal_approximation_and_are_seeded():
    rewards = np.random.default_rng(1).normal(0.5, 0.1, size=400)
    low, high = intervals(rewards, SAMPLES, [])["reward"]
    half = 1.96 * rewards.std() / 20
    assert low == pytest.approx(rewards.mean() - half, abs=0.002)
    assert high == pytest.approx(rewards.mean() + half, abs=0.002)
    assert intervals(rewards, SAMPLES, [])["reward"] == (low, high)


@pytest.mark.parametrize("rewards", [[0.25, 0.25, 0.25], [0.25]])
def test_interval_of_a_constant_is_that_constant(rewards):
    assert intervals(np.array(rewards), SAMPLES, [])["reward"] == (0.25, 0.25)


def test_intervals_cover_metrics_and_leave_out_what_cannot_be_resampled():
    bounds = intervals(np.zeros(4), SAMPLES, ["bleu", "distinct1"])
    assert bounds["distinct1"] is None
    assert bounds["bleu"][0] <= METRICS["bleu"]().compute(SAMPLES)["bleu"] <= bounds["bleu"][1]


# ---------------------------------------------------------------------------- pictures


def test_held_out_dots_stand_at_the_end_of_their_line_and_are_whole(monkeypatch, tmp_path):
    runs = [make_run(seed=0), make_run(seed=1), make_run("greedy", seed=0), make_run("greedy", seed=1)]
    for one, timesteps in zip(runs, (100, 140, 0, 0), strict=True):
        one["timesteps"] = timesteps
        one["curve"] = {"timesteps": [timesteps], "reward": [0.5]}
    panels = {}
    monkeypatch.setattr(charts, "plot_curves", lambda drawn, path: panels.update(drawn))
    charts.draw_curves(tmp_path, runs, aggregate(runs))
    at = {curve.label: curve.held_out[0][0] for curve in panels["Copy"]}
    assert sorted(at) == ["greedy", "ppo"]
    assert 140 <= at["ppo"] < 145  # the longest seed's end, a little aside for the second of them
    assert 0 <= at["greedy"] < 5
    axis = Figure().subplots()
    curves._panel(axis, "Copy", panels["Copy"], dict.fromkeys(at, "black"))
    assert axis.containers
    assert not any(part.get_clip_on() for drawn in axis.containers for part in drawn.get_children())


# ---------------------------------------------------------------------------- aggregation


def test_before_after_and_difference_by_hand():
    runs = [make_run(seed=0), make_run(seed=1, before=(0.0, 0.2), after=(0.3, 0.5))]
    (row,) = aggregate(runs)
    assert (row.algo, row.task, row.measure, row.seeds, row.prompts, row.timesteps) == (
        "ppo",
        COPY,
        "reward",
        2,
        2,
        100,
    )
    assert row.before.value == pytest.approx((0.3 + 0.1) / 2)
    assert row.after.value == pytest.approx(0.4)
    assert row.difference.value == pytest.approx((0.1 + 0.3) / 2)
    # Differences are 0.1 in seed 0 and 0.3 in seed 1 for every prompt: only the draw of seeds moves them.
    assert (row.difference.low, row.difference.high) == pytest.approx((0.1, 0.3))


def test_the_difference_is_paired_by_prompt():
    rewards = np.linspace(0, 1, 20)
    (row,) = aggregate([make_run(before=rewards, after=rewards + 0.1)])
    assert row.after.high - row.after.low > 0.2
    assert (row.difference.low, row.difference.high) == pytest.approx((0.1, 0.1))


def test_prompts_are_resampled():
    # Two prompts with differences 0 and 1: a resample has mean 0 or 1 with probability 1/4 each, else 1/2.
    (row,) = aggregate([make_run(before=(0.0, 0.0), after=(0.0, 1.0))])
    assert (row.difference.low, row.difference.value, row.difference.high) == (0.0, 0.5, 1.0)


def test_over_all_tasks_every_task_counts_the_same():
    runs = [make_run(task=COPY), make_run(task=DATA, before=(0.0, 0.0), after=(0.5, 0.5))]
    rows = aggregate(runs)
    assert [row.task for row in rows] == [COPY, DATA, ALL_TASKS]
    assert rows[-1].difference.value == pytest.approx((0.1 + 0.5) / 2)
    # Both tasks are in every resample, so nothing is left to chance here.
    assert (rows[-1].difference.low, rows[-1].difference.high) == pytest.approx((0.3, 0.3))
    assert rows[-1].timesteps == 200


def test_a_measure_without_statistics_has_no_interval():
    reward, distinct = aggregate([make_run(distinct1=0.5)])
    assert (distinct.measure, distinct.after.value) == ("distinct1", 0.5)
    assert np.isnan(distinct.after.low)
    assert distinct.to_json()["after"] == {"value": 0.5, "low": None, "high": None}
    assert show(distinct.after) == "0.500"
    assert show(reward.difference, sign=True) == "+0.100 [+0.100, +0.100]"


def test_aggregation_does_not_depend_on_the_order_of_runs():
    runs = [make_run(algo, task, seed, before=(0.1 * seed, 0.5)) for algo in "ab" for task in "xy" for seed in range(3)]
    by_name = {(row.algo, row.task): row for row in aggregate(runs)}
    for row in aggregate(runs[::-1]):
        assert row == by_name[row.algo, row.task]


def test_runs_with_different_numbers_of_prompts_are_refused():
    with pytest.raises(ConfigError, match=r"\[2, 3\] prompts"):
        aggregate([make_run(seed=0), make_run(seed=1, before=(0, 0, 0), after=(0, 0, 0))])


# ---------------------------------------------------------------------------- the folder


CONFIG = BenchmarkConfig(("ppo", "a2c"), {COPY: 100}, seeds=2)


def test_a_half_written_last_line_is_cut_off(tmp_path):
    store = ResultStore(tmp_path, CONFIG)
    store.append(make_run())
    whole = store.path.read_bytes()
    store.path.write_bytes(whole + whole[: len(whole) // 2])
    assert [run["seed"] for run in store.runs()] == [0]  # not even read
    assert store.repair() == len(whole) // 2
    store.append(make_run(seed=1))
    assert [run["seed"] for run in read_runs(store.path)] == [0, 1]


def test_a_broken_line_in_the_middle_is_an_error_that_names_it(tmp_path):
    store = ResultStore(tmp_path, CONFIG)
    store.path.write_text('{"half": \n' + json.dumps(make_run()) + "\n")
    with pytest.raises(ConfigError, match=r"Line 1 of .*results.jsonl"):
        store.runs()


def test_another_configuration_in_the_same_folder_is_refused_and_the_difference_shown(tmp_path):
    ResultStore(tmp_path, CONFIG)
    ResultStore(tmp_path, CONFIG)
    with pytest.raises(ConfigError, match=r"seeds: 2 there, 1 here\n") as error:
        ResultStore(tmp_path, BenchmarkConfig(("ppo", "a2c"), {COPY: 100}, seeds=1))
    assert "tasks" not in str(error.value)
    with pytest.raises(ConfigError, match=r"tasks: .*100.* there, .*101.* here\n"):
        ResultStore(tmp_path, BenchmarkConfig(("ppo", "a2c"), {COPY: 101}, seeds=2))


def test_a_benchmark_may_grow_and_what_has_finished_stays(tmp_path):
    store = ResultStore(tmp_path, CONFIG)
    store.append(make_run())
    grown = BenchmarkConfig(("ppo", "rloo", "a2c"), {DATA: 50, COPY: 100}, seeds=3)
    assert [run["algo"] for run in ResultStore(tmp_path, grown).runs()] == ["ppo"]
    key = CONFIG.run_keys()[0]
    assert grown.hash_of(key) == CONFIG.hash_of(key) != replace(CONFIG, n_envs=3).hash_of(key)
    assert grown.hash_of(key) != grown.hash_of(key._replace(seed=1))
    assert grown.command_of(key) == "textgym benchmark --algos ppo --tasks Copy --timesteps Copy=100 --seeds 1"
    with pytest.raises(ConfigError, match="seeds: 3 there, 2 here"):
        ResultStore(tmp_path, CONFIG)


def test_a_failed_run_that_is_tried_again_is_there_once(tmp_path):
    store, key = ResultStore(tmp_path, CONFIG), CONFIG.run_keys()[0]
    store.append(failed_line(CONFIG, key, "ValueError: api_key=abc"))
    (line,) = store.runs()
    assert (line["error"], line["algo"]) == ("ValueError: api_key=***", "ppo")
    store.append(failed_line(CONFIG, key, "MemoryError"))
    assert [line["error"] for line in store.runs()] == ["MemoryError"]
    store.append(make_run())
    store.append(failed_line(CONFIG, key, "too late"))
    assert [line["error"] for line in store.runs()] == [None]


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match=r"thesis.tex"):
        ResultStore(tmp_path, CONFIG)


def test_two_benchmarks_cannot_work_in_one_folder(tmp_path):
    store = ResultStore(tmp_path, CONFIG)
    with store.locked(), pytest.raises(ConfigError, match=f"process {os.getpid()}"), store.locked():
        pass
    with store.locked():
        pass


@pytest.mark.parametrize(
    "wrong", [{"seeds": 0}, {"algos": ()}, {"tasks": {}}, {"tasks": {COPY: 0}}, {"eval_prompts": 0}]
)
def test_configurations_that_make_no_sense(wrong):
    with pytest.raises(ConfigError):
        BenchmarkConfig(**{"algos": ("ppo",), "tasks": {COPY: 1}, **wrong})


def test_arguments_of_one_algorithm_replace_those_of_all():
    config = BenchmarkConfig(("ppo", "a2c"), {COPY: 1}, algo_kwargs={"n_steps": 8, "ppo.n_steps": 4, "ppo.n_epochs": 2})
    assert config.for_algorithm("ppo") == {"n_steps": 4, "n_epochs": 2}
    assert config.for_algorithm("a2c") == {"n_steps": 8}
    assert BenchmarkConfig.from_json(config.to_json()) == config


# ---------------------------------------------------------------------------- processes


FAKE = """
import json, pathlib, sys, time
print(flush=True)
for text in sys.stdin:
    job = json.loads(text)
    algo, task, seed = job["key"]
    if algo == "a2c" and not pathlib.Path({flag!r}).exists():
        pathlib.Path(job["log"]).write_text("the model has diverged")
        raise SystemExit
    time.sleep(0.05)
    line = json.loads(pathlib.Path({line!r}).read_text()) | dict(algo=algo, task=task, seed=seed)
    print(json.dumps(line), flush=True)
"""


def test_failed_runs_are_reported_and_only_they_are_tried_again(tmp_path, monkeypatch):
    flag, line, script = tmp_path / "flag", tmp_path / "line.json", tmp_path / "fake.py"
    line.write_text(json.dumps(make_run()))
    script.write_text(FAKE.format(flag=str(flag), line=str(line)))
    monkeypatch.setattr(places, "WORKER", (sys.executable, str(script)))
    store = ResultStore(tmp_path / "out", CONFIG)
    events = []

    def listener(event, key, run):
        events.append((event, key.algo))

    runs = launch(store, jobs=2, listener=listener)
    assert [(run["algo"], run["error"]) for run in runs] == 2 * [
        ("ppo", None),
        ("a2c", "Ended: the model has diverged"),
    ]
    assert events.count(("failed", "a2c")) == 2
    flag.touch()
    events.clear()
    assert launch(store, jobs=2, listener=listener) == runs
    assert [event for event, _ in events] == ["skipped"] * 4
    events.clear()
    runs = launch(store, jobs=2, listener=listener, retry=True)
    assert [(run["algo"], run["seed"]) for run in runs] == [("ppo", 0), ("a2c", 0), ("ppo", 1), ("a2c", 1)]
    assert events.count(("skipped", "ppo")) == 2
    assert events.count(("finished", "a2c")) == 2
    assert not (store.folder / "work").exists()


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory):
    return save_tiny_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def without_time(line):
    costs = {name: cost for name, cost in line["costs"].items() if name not in ("seconds", "peak_memory_mb")}
    return {**line, "costs": costs}


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks up processes in /proc")
@pytest.mark.usefixtures("one_thread")
def test_killed_and_resumed_gives_what_an_uninterrupted_benchmark_gives(tmp_path, tiny_folder):
    options = ["--algos", "ppo,a2c", "--tasks", "Copy", "--seeds", "1", "--timesteps", "200", "--model", tiny_folder]
    options += [
        "--eval-prompts",
        "6",
        "--n-envs",
        "4",
        "--algo-kwarg",
        "n_steps=16",
        "--algo-kwarg",
        "learning_rate=0.01",
    ]
    out = tmp_path / "out"
    command = [sys.executable, "-m", "textgym_agents.cli", "benchmark", *options, "--out", str(out)]
    path = os.pathsep.join(entry for entry in sys.path if entry)
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    parent = subprocess.Popen(
        command, start_new_session=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    results = out / "results.jsonl"
    deadline = time.monotonic() + 120
    while not (
        results.is_file() and results.read_bytes().endswith(b"\n") and (out / "logs" / "a2c-Copy-0.log").exists()
    ):
        assert parent.poll() is None, "it ended before it was killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    orphans = descendants(parent.pid)  # the process that does the second run
    assert len(orphans) == 1
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    with open(results, "ab") as file:
        file.write(b'{"algo": "a2c", "ta')  # as if it had been killed in the middle of a line
    assert len(read_runs(results)) == 1
    while any(is_alive(orphan) for orphan in orphans):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    log = out / "logs" / "a2c-Copy-0.log"
    assert not log.exists() or "tokens, reward" not in log.read_text(), "the orphan went on working"

    resumed = CliRunner().invoke(app, [*command[3:], "--jobs", "0"])
    assert resumed.exit_code == 0, resumed.output
    assert "ppo Copy seed 0: ended earlier" in resumed.stderr

    config = ResultStore(out, BenchmarkConfig.from_json(json.loads((out / "config.json").read_text()))).config
    lines = read_runs(results)
    assert [(line["algo"], line["seed"]) for line in lines] == [("ppo", 0), ("a2c", 0)]
    uninterrupted = [run(config, key) for key in config.run_keys()]  # in this process, without processes or files
    assert [without_time(line) for line in lines] == json.loads(
        json.dumps([without_time(line) for line in uninterrupted])
    )
    ppo, a2c = (line["evaluations"] for line in lines)
    assert ppo["before"] == a2c["before"]
    assert ppo["sampled"] != ppo["before"], "nothing was learnt, so the comparison proves little"
    for line in lines:
        assert line["timesteps"] == line["curve"]["timesteps"][-1] == 256
        assert len(line["evaluations"]["sampled"]["per_prompt"]["reward"]) == 6
        assert len(line["samples"]) == 3

    fresh = tmp_path / "fresh"
    fresh.mkdir()
    report.write_report(fresh, config, uninterrupted)
    for name in ("results.md", "results.json", "learning_curves.png"):
        assert (fresh / name).read_bytes() == (out / name).read_bytes(), name


def descendants(pid):
    """The pids of a process's children and of theirs."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    try:
        ids = [int(child) for child in children.read_text().split()]
    except OSError:
        return []
    return [*ids, *(below for child in ids for below in descendants(child))]


def is_alive(pid):
    """Whether a process runs; one that nobody has waited for (state Z) doesn't."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_run_is_a_function_of_its_key(tiny_folder, one_thread):
    config = BenchmarkConfig(
        ("ppo",), {COPY: 64}, model=tiny_folder, eval_prompts=4, n_envs=4, algo_kwargs={"n_steps": 16}, seeds=2,
        env_kwargs={"reward": "chrf"},
    )  # fmt: skip
    first = run(config, Key("ppo", COPY, 0))
    torch.manual_seed(123)
    np.random.seed(123)  # noqa: NPY002  (whatever ran before must not matter)
    assert without_time(run(config, Key("ppo", COPY, 0))) == without_time(first)
    assert run(config, Key("ppo", COPY, 1))["curve"] != first["curve"]


def test_a_model_that_changes_halfway_is_noticed(tiny_folder):
    config = BenchmarkConfig(("ppo",), {COPY: 64}, model=tiny_folder, model_hash="0" * 16)
    with pytest.raises(ConfigError, match="its files have changed"):
        run(config, Key("ppo", COPY, 0))


# ---------------------------------------------------------------------------- report


def test_report_files(tmp_path):
    config = BenchmarkConfig(("ppo", "a2c"), {COPY: 100, DATA: 200}, seeds=2)
    runs = [make_run(key.algo, key.task, key.seed) for key in config.run_keys()]
    rows = report.write_report(tmp_path, config, runs)
    text = (tmp_path / "results.md").read_text()
    assert config.command() in text
    assert "| Copy | ppo | reward | 0.300 [0.200, 0.400] | 0.400 [0.300, 0.500] | +0.100 [+0.100, +0.100] |" in text
    assert "````text\nso ```it```\n````" in text  # a fence longer than the text's own
    stored = json.loads((tmp_path / "results.json").read_text())
    assert stored["rows"] == json.loads(json.dumps([row.to_json() for row in rows]))
    assert "seconds" not in (tmp_path / "results.json").read_text() + text
    assert json.loads((tmp_path / "timings.json").read_text())["seconds"]["a2c Copy seed 1"] == 2.0
    assert (tmp_path / "learning_curves.png").read_bytes().startswith(b"\x89PNG")
    assert [table.title for table in report.terminal_tables(rows)] == ["Copy", "DataToText", ALL_TASKS]
