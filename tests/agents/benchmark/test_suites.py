"""Suites, algorithms after one another, and reports on many algorithms."""

import gc
import gzip
import json
import os
import re
import sys
import time
import weakref
import xml.etree.ElementTree
from contextlib import closing
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

import textgym_agents.benchmark.text_tasks  # noqa: F401  # registers ids, which a test that does so first would take away
from tests.agents.benchmark.test_benchmark import COPY, DATA, make_run, without_time
from tests.agents.saved_model import save_tiny_model
from textgym.core import Sample
from textgym.errors import ConfigError, MissingExtraError
from textgym.scoring import score_samples
from textgym_agents.algorithms import ALGORITHMS, make
from textgym_agents.algorithms.sb3_contrib import _Missing
from textgym_agents.benchmark import places, report, suites
from textgym_agents.benchmark import run as running
from textgym_agents.benchmark.aggregate import aggregate
from textgym_agents.benchmark.composites import parts
from textgym_agents.benchmark.config import BenchmarkConfig, Key
from textgym_agents.benchmark.held_out import HeldOut, rounded
from textgym_agents.benchmark.launch import launch
from textgym_agents.benchmark.pack import pack
from textgym_agents.benchmark.pictures import groups
from textgym_agents.benchmark.places import BenchmarkError
from textgym_agents.benchmark.run import _curve, run
from textgym_agents.benchmark.signal import signal
from textgym_agents.benchmark.store import ResultStore, failed_line, read_runs
from textgym_agents.cli import benchmark
from textgym_agents.cli.app import app
from textgym_agents.policies.base import LanguageModelPolicy
from textgym_agents.policies.causal import CausalForm

TEXT = suites.SUITES["text"]


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory):
    return save_tiny_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# ---------------------------------------------------------------------------- which algorithms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ppo", ("ppo",)),
        ("ppo, a2c,ppo", ("ppo", "a2c")),
        ("ppo,rloo+ppo", ("ppo", "rloo+ppo")),
        ("all", suites.every_algorithm()),
        ("all,-trpo", tuple(algo for algo in suites.every_algorithm() if algo != "trpo")),
    ],
)
def test_algorithms_by_name(text, expected):
    assert suites.choose(text, "textgym/small") == (expected, ())


def test_all_is_the_whole_table_and_the_warm_starts():
    everything = suites.every_algorithm()
    assert set(ALGORITHMS) < set(everything) or "bc" not in ALGORITHMS
    assert ("bc+ppo" in everything) == ("bc" in ALGORITHMS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ppo,pppo", "Did you mean 'ppo'"),
        ("ppo+pppo", r"(?s)called 'pppo'.*trains with one"),
        ("ppo+", "expected a name, or several"),
        ("ppo++rloo", "expected a name, or several"),
        ("ppo,-ppo", "leaves no algorithm"),
        ("ppo,-a2c", "nothing before it names"),
        ("all,-tpo", "Did you mean"),
    ],
)
def test_names_that_make_no_sense(text, message):
    with pytest.raises(ConfigError, match=message):
        suites.choose(text, "textgym/small")


def test_what_cannot_train_a_form_is_left_out_of_all_and_refused_by_name(monkeypatch):
    class DecoderOnly(LanguageModelPolicy):
        forms: ClassVar = {"causal": CausalForm}

    monkeypatch.setitem(ALGORITHMS, "a2c", replace(ALGORITHMS["a2c"], policy=DecoderOnly))
    names, unable = suites.choose("all", "textgym/small-seq2seq")
    assert "a2c" not in names
    assert "a2c" in unable
    assert "ppo" in names
    assert "a2c" not in suites.choose("all,-a2c", "textgym/small-seq2seq")[0]
    with pytest.raises(ConfigError, match=r"'a2c' can't train encoder-decoder models. Those that can: ppo, "):
        suites.choose("ppo+a2c", "textgym/small-seq2seq")


def test_a_missing_extra_is_said_before_anything_runs(monkeypatch):
    monkeypatch.setitem(ALGORITHMS, "trpo", replace(ALGORITHMS["trpo"], cls=_Missing("TRPO")))
    with pytest.raises(MissingExtraError, match="contrib"):
        suites.choose("trpo", "textgym/small")


# ---------------------------------------------------------------------------- the command


@pytest.fixture
def configured(monkeypatch):
    """Calls the command without running anything; returns its configuration, folder and number of jobs."""
    calls = []
    monkeypatch.setattr(benchmark, "_run", lambda config, out, jobs, *_: calls.append((config, out, jobs)))

    def call(*arguments):
        result = CliRunner().invoke(app, ["benchmark", *map(str, arguments)], env={"COLUMNS": "300"})
        return (*calls.pop(), result.stderr) if result.exit_code == 0 else result.stderr

    return call


def test_a_suite_by_name(configured):
    config, out, jobs, _ = configured("--suite", "text", "--algos", "all", "--seeds", 3)
    everything = (*(algo for algo in suites.every_algorithm() if algo != "maskable_ppo"), *suites.BASELINES)
    assert (config.algos, config.tasks, config.seeds) == (everything, TEXT.tasks, 3)
    assert (config.model, config.front, config.plugins) == ("textgym/tiny", 4, (suites.TEXT_TASKS,))
    assert str(out) == os.path.join("runs", "benchmark-text")
    assert jobs >= 1
    assert config.command() == "textgym benchmark --suite text --algos all --seeds 3"


@pytest.mark.parametrize(
    "more",
    [
        [],
        ["--tasks", "text/Exact-v0", "--timesteps", 50, "--seeds", 1],
        ["--timesteps", "text/Table-v0=70", "--eval-prompts", 100, "--algos", "ppo,a2c,rloo,grpo"],
        [
            "--n-envs",
            8,
            "--kl-coef",
            0.5,
            "--algo-kwarg",
            "ppo.n_epochs=2",
            "--algos",
            "ppo,rloo+ppo",
            "--warm-share",
            0.3,
        ],
    ],
)
def test_options_replace_single_values_of_a_suite_and_the_command_says_so(configured, more):
    import shlex

    config, *_ = configured("--suite", "text", *more)
    again, *_ = configured(*shlex.split(config.command())[2:])
    assert again == config
    assert BenchmarkConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_tasks_and_tokens_of_a_suite(configured):
    config, *_ = configured(
        "--suite", "text", "--tasks", "text/Exact-v0,text/Table-v0", "--timesteps", "text/Table-v0=70"
    )
    assert config.tasks == {"text/Exact-v0": TEXT.tasks["text/Exact-v0"], "text/Table-v0": 70}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--suite", "tex"], "Did you mean 'text'?"),
        (["--suite", "text", "--tasks", "Copy"], "--suite text has no task Copy"),
        (["--suite", "text", "--timesteps", "Copy=9"], "names textgym/Copy-v1, which --suite doesn't"),
        (["--algos", "ppo", "--out", "x"], "--suite: textgym benchmark --suite probe"),
        (["--algos", "ppo", "--tasks", "Copy"], "--out"),
        (["--suite", "text", "--algos", "rloo+ppo", "--algo-kwarg", "a2c.n_steps=3"], "is for 'a2c'"),
        (["--suite", "text", "--warm-share", "1"], "warm_share is 1.0"),
    ],
)
def test_errors_of_the_command(configured, arguments, message):
    assert message in configured(*arguments)


def test_kl_for_algorithms_that_take_none_is_an_error_only_if_no_other_does(configured, monkeypatch):
    monkeypatch.setitem(ALGORITHMS, "a2c", replace(ALGORITHMS["a2c"], kl_coef=None))
    arguments = ["--tasks", "Copy", "--kl-coef", 0.1, "--out", "x"]
    assert "none of a2c takes a KL penalty" in configured("--algos", "a2c", *arguments)
    config, *_ = configured("--algos", "a2c,ppo", *arguments)
    assert config.kl_coef == 0.1


def test_a_folder_of_another_warm_share_is_refused(tmp_path):
    config = BenchmarkConfig(("ppo",), {COPY: 100})
    ResultStore(tmp_path, config)
    with pytest.raises(ConfigError, match=r"warm_share: 0.5 there, 0.3 here"):
        ResultStore(tmp_path, replace(config, warm_share=0.3))


# ---------------------------------------------------------------------------- runs


FEW = {"eval_prompts": 4, "n_envs": 4, "seeds": 1, "algo_kwargs": {"learning_rate": 0.01, "ppo.n_steps": 16}}


def tiny(folder, *algos, tokens=64, **more):
    return BenchmarkConfig(algos, {COPY: tokens}, model=folder, **{**FEW, **more})


def test_the_second_part_goes_on_from_the_first_ones_weights(tiny_folder, tmp_path, monkeypatch):
    built = []

    def watched(name, env, model, **kwargs):
        algorithm = make(name, env, model, **kwargs)
        weights = [p.detach().clone() for p in algorithm.policy.lm.parameters()]
        built.append((name, algorithm, weights, kwargs["kl_coef"]))
        return algorithm

    monkeypatch.setattr(running, "make", watched)
    kwargs = {**FEW["algo_kwargs"], "rloo.prompts_per_rollout": 2, "rloo.group_size": 2}
    config = tiny(tiny_folder, "rloo+ppo", tokens=400, warm_share=0.75, kl_coef=0.1, algo_kwargs=kwargs)
    line = run(config, Key("rloo+ppo", COPY, 0), tmp_path)
    (first, rloo, initial, _), (second, ppo, start, kl) = built
    assert (first, second, kl) == ("rloo", "ppo", 0.1)
    assert 300 <= rloo.num_timesteps < 300 + 64
    assert line["timesteps"] == rloo.num_timesteps + ppo.num_timesteps
    assert 400 <= line["timesteps"] < 400 + 64
    for one, other in zip(rloo.policy.lm.parameters(), start, strict=True):
        assert torch.equal(one, other)
    for one, other in zip(ppo.policy.reference.copy.parameters(), start, strict=False):
        assert torch.equal(one, other), "the KL is to what the first part has made"
    assert any(not torch.equal(one, other) for one, other in zip(initial, start, strict=True))
    assert line["curve"]["timesteps"] == sorted(line["curve"]["timesteps"])
    assert line["curve"]["timesteps"][-1] == line["timesteps"]
    assert not [path for path in tmp_path.iterdir() if path.is_dir()], "weights were left behind"


def test_a_third_part_goes_on_from_the_second_with_another_seed(tiny_folder, monkeypatch):
    built = []

    def watched(name, env, model, **kwargs):
        algorithm = make(name, env, model, **kwargs)
        built.append((algorithm, kwargs["seed"], [p.detach().clone() for p in algorithm.policy.lm.parameters()]))
        return algorithm

    monkeypatch.setattr(running, "make", watched)
    config = tiny(tiny_folder, "bc+dqn+dqn", tokens=1200, warm_share=0.2)
    line = run(config, Key("bc+dqn+dqn", COPY, 3))
    (bc, *_), (second, _, first), (third, _, start) = built
    assert [seed for _, seed, _ in built] == [3, 3, 1003]
    assert all(torch.equal(one, other) for one, other in zip(second.policy.lm.parameters(), start, strict=True))
    assert not all(torch.equal(one, other) for one, other in zip(first, start, strict=True)), "the second part learned"
    assert line["timesteps"] == bc.num_timesteps + second.num_timesteps + third.num_timesteps
    assert 720 <= bc.num_timesteps + second.num_timesteps < 784
    assert 1200 <= line["timesteps"] < 1264


def test_a_run_begins_without_the_weights_of_the_one_before(tiny_folder, monkeypatch):
    alive = []

    def watched(name, env, model, **kwargs):
        assert [one() for one in alive] == [None] * len(alive)
        algorithm = make(name, env, model, **kwargs)
        alive.append(weakref.ref(algorithm))
        return algorithm

    monkeypatch.setattr(running, "make", watched)
    config = tiny(tiny_folder, "rloo", "ppo", algo_kwargs={**FEW["algo_kwargs"], "rloo.prompts_per_rollout": 4})
    gc.disable()
    try:
        for key in config.run_keys():
            run(config, key)
    finally:
        gc.enable()
    assert len(alive) == 2


def test_an_algorithm_that_takes_no_kl_is_not_given_one(tiny_folder, monkeypatch):
    monkeypatch.setitem(ALGORITHMS, "a2c", replace(ALGORITHMS["a2c"], kl_coef=None))
    given, real = [], running.make
    monkeypatch.setattr(running, "make", lambda *a, **k: given.append(k["kl_coef"]) or real(*a, **k))
    run(tiny(tiny_folder, "a2c", kl_coef=0.5), Key("a2c", COPY, 0))
    assert given == [None]


class Idle(ALGORITHMS["ppo"].cls):
    """Learns nothing, as a baseline."""

    def learn(self, total_timesteps, callback=None, **kwargs):
        return self


def test_a_run_without_training(tiny_folder, monkeypatch, tmp_path):
    monkeypatch.setitem(ALGORITHMS, "idle", replace(ALGORITHMS["ppo"], cls=Idle))
    line = run(tiny(tiny_folder, "idle"), Key("idle", COPY, 0))
    assert (line["timesteps"], line["kl"]) == (0, 0.0)
    assert line["curve"] == {"timesteps": [], "reward": []}
    assert line["evaluations"]["sampled"] == line["evaluations"]["before"]
    assert (line["costs"]["tokens_written"], line["costs"]["forward_tokens"]) == (0, 0)
    report.write_report(tmp_path, tiny(tiny_folder, "idle"), [line])


@pytest.mark.parametrize("algo", [name for name in ("bc", "dqn") if name in ALGORITHMS])
def test_a_run_of_what_plays_no_episodes_or_has_a_replay_buffer(tiny_folder, algo):
    line = run(tiny(tiny_folder, algo, tokens=100), Key(algo, COPY, 0))
    assert line["timesteps"] >= 100
    assert bool(line["curve"]["timesteps"]) == (algo == "dqn")


def test_many_rollouts_are_put_together():
    counted = [{"episodes": 2, "text/abstained": 0.5}, {"episodes": 3}]  # one of the two has a reward
    rows = [{"timesteps": i + 1, "reward": float(i % 2), **counted[i % 2]} for i in range(1000)]
    curve = _curve([{"timesteps": 0}, *rows])
    assert len(curve["timesteps"]) == 100
    assert curve["timesteps"][-1] == 1000
    assert set(curve["reward"]) == {0.75}  # weighted by episodes
    assert _curve(rows[:200])["reward"] == [row["reward"] for row in rows[:200]]


@pytest.mark.parametrize(
    ("step", "jobs"),
    [(-1, 0), pytest.param(-1, 1, marks=pytest.mark.slow), pytest.param(1, 1, marks=pytest.mark.slow)],
    ids=["reverse, this process", "reverse", "same order"],
)
def test_a_run_after_others_gives_what_it_gives_alone(step, jobs, tiny_folder, tmp_path):
    kwargs = {**FEW["algo_kwargs"], "rloo.prompts_per_rollout": 4}
    config = tiny(tiny_folder, "rloo", "rloo+ppo", tokens=100, algo_kwargs=kwargs)
    together = launch(ResultStore(tmp_path, config), jobs)  # one process, which does one after the other
    before = [json.dumps(line["evaluations"]["before"]) for line in together]
    assert len(set(before)) == 1
    ordered = replace(config, algos=config.algos[::step])
    for key, line in zip(ordered.run_keys(), together[::step], strict=True):
        alone, line = (json.loads(json.dumps(without_time(one))) for one in (run(ordered, key), line))
        assert alone == line, key


def test_the_evaluation_before_training_is_made_once(tiny_folder, tmp_path, monkeypatch):
    made = []
    findings = HeldOut.findings
    monkeypatch.setattr(HeldOut, "findings", lambda self, one: made.append(self.key) or findings(self, one))
    config = tiny(tiny_folder, "ppo", "a2c", seeds=2)
    for key in config.run_keys():
        run(config, key, tmp_path)
    assert len(made) == 2 + 2 * 4  # one a seed, and each run's own two
    run(config, config.run_keys()[0])
    assert len(made) == 10 + 3


# The real process for runs, but for the runs themselves and what they import.
WORKER = """
import json, os, pathlib, signal, sys, types
def do(job):
    print('begun', os.getpid())
    sys.stdout.flush()
    algo, task, seed = json.loads(job)['key']
    if algo == 'a2c':
        os.kill(os.getpid(), signal.SIGKILL)
    line = json.loads(pathlib.Path({line!r}).read_text()) | dict(algo=algo, task=task, seed=seed)
    return json.dumps(line)
sys.modules['textgym_agents.benchmark.run'] = run = types.ModuleType('run')
run.do = do
from textgym_agents.benchmark import worker
assert 'torch' not in sys.modules
worker.serve()
"""


@pytest.fixture
def light_workers(tmp_path, monkeypatch):
    line, script = tmp_path / "line.json", tmp_path / "worker.py"
    line.write_text(json.dumps(make_run()))
    script.write_text(WORKER.format(line=str(line)))
    monkeypatch.setattr(places, "WORKER", (sys.executable, str(script)))


@pytest.mark.usefixtures("light_workers")
def test_a_run_that_dies_takes_no_other_with_it_and_processes_are_used_again(tiny_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(places, "RUNS", 2)
    store = ResultStore(tmp_path / "out", tiny(tiny_folder, "a2c", "greedy", "zero_shot", "random", algo_kwargs={}))
    lines = launch(store)
    assert [(line["algo"], (line["error"] or "")[:12]) for line in lines] == [
        ("a2c", "Ended: begun"),
        ("greedy", ""),
        ("zero_shot", ""),
        ("random", ""),
    ]
    logs = [store.folder / "logs" / f"{key.file_name}.log" for key in store.config.run_keys()]
    died, first, second, third = (log.read_text().split()[1] for log in logs)
    assert died != first == second != third


def test_processes_that_cannot_start_are_an_error_that_says_why(tiny_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(places, "WORKER", (sys.executable, "-c", "raise SystemExit('out of order')"))
    with pytest.raises(BenchmarkError, match="out of order"):
        launch(ResultStore(tmp_path, tiny(tiny_folder, "ppo")))


@pytest.mark.usefixtures("light_workers")
def test_an_idle_process_that_was_killed_is_replaced(tiny_folder, tmp_path):
    config = tiny(tiny_folder, "greedy", algo_kwargs={})
    (tmp_path / "work").mkdir()
    job = places.Job(config, config.run_keys()[0], tmp_path / "work", tmp_path / "run.log")
    workers = places.Workers(1, 1, tmp_path / "worker.log")
    with closing(workers):
        for _ in range(2):
            workers.begin(job)
            assert not workers.has_room
            while not (ended := workers.ended()):
                time.sleep(0.01)
            ((_, line),) = ended
            assert line["error"] is None
            (worker,) = workers.idle
            worker.process.kill()
            worker.process.wait()


def test_in_this_process(tiny_folder, tmp_path):
    config = tiny(tiny_folder, "greedy", algo_kwargs={})
    lines = launch(ResultStore(tmp_path, config), jobs=0)
    assert without_time(lines[0]) == json.loads(json.dumps(without_time(run(config, config.run_keys()[0]))))


@pytest.mark.parametrize(("jobs", "ray"), [(-1, None), (None, None), (0, "local")])
def test_numbers_of_runs_at_once_that_make_no_sense(tiny_folder, tmp_path, jobs, ray):
    with pytest.raises(ConfigError, match="expected a whole number of at least"):
        launch(ResultStore(tmp_path, tiny(tiny_folder, "greedy")), jobs, ray=ray)


def test_without_ray_the_command_that_installs_it_is_named(tiny_folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match="pip install 'ray>="):
        launch(ResultStore(tmp_path, tiny(tiny_folder, "greedy")), None, ray="local")


# ---------------------------------------------------------------------------- report


def runs_of(**after):
    """Runs of two seeds on two tasks, whose initial model has 0.5 everywhere; values are rewards after training."""
    lines = []
    for task in (COPY, DATA):
        for algo, reward in after.items():
            for seed in (0, 1):
                values = np.linspace(reward - 0.1, reward + 0.1, 20)
                lines.append(make_run(algo, task, seed, before=np.linspace(0.4, 0.6, 20), after=values))
    return lines


def test_report_on_many_algorithms(tmp_path):
    config = BenchmarkConfig(("ppo", "bc", "rloo", "rloo+ppo"), {COPY: 100, DATA: 200}, seeds=2)
    lines = runs_of(**{"ppo": 0.45, "bc": 0.6, "rloo": 0.7, "rloo+ppo": 0.65})
    for line in lines:
        if line["algo"] == "bc":
            line["curve"] = {"timesteps": [], "reward": []}
    failed = {**lines[0], "algo": "a2c", "error": "ValueError: no", "evaluations": {}}
    report.write_report(tmp_path, config, [*lines, failed])
    text = (tmp_path / "results.md").read_text()
    assert "Best of those that train, sampled: **rloo** with 0.200 [0.200, 0.200]." in text
    assert "| ▲ | rloo | policy gradient | +0.200 [+0.200, +0.200] |" in text
    assert text.index("| ▲ | rloo |") < text.index("| ▼ | ppo |") < text.index("## All tasks")
    assert "P(better than bc)" in text
    assert "fewer than 10 tasks, so no interquartile mean" in text
    assert "| Copy | 6 | 1.000 | 1.000 | tells algorithms apart; seeds agree |" in text
    assert "| a2c | Copy | 0 | ValueError: no |" in text
    stored = json.loads((tmp_path / "results.json").read_text())["aggregates"]
    assert stored["means"]["rloo"] == {"value": 0.2, "low": 0.2, "high": 0.2}
    assert [one["separated"] for one in stored["discrimination"]] == [1.0, 1.0, 1.0]
    assert "seconds" not in (tmp_path / "results.json").read_text()
    for name in re.findall(r"!\[.*?\]\((.*?)\)", text):
        xml.etree.ElementTree.fromstring((tmp_path / name).read_text())
    assert {"overall.svg", "profiles.svg", "curves.svg", "task-Copy.svg"} <= {path.name for path in tmp_path.iterdir()}
    assert [table.title for table in report.tables(config, lines, [])] == ["Copy", "DataToText", "all tasks"]


def test_three_algorithms_keep_the_plain_report(tmp_path):
    config = BenchmarkConfig(("ppo", "bc", "rloo"), {COPY: 100, DATA: 200}, seeds=2)
    report.write_report(tmp_path, config, runs_of(ppo=0.45, bc=0.6, rloo=0.7))
    assert "aggregates" not in json.loads((tmp_path / "results.json").read_text())
    assert (
        "| task | algorithm | measure | before | after | difference | greedy |" in (tmp_path / "results.md").read_text()
    )


def test_lines_are_grouped_by_family_and_none_is_lost():
    names = [*suites.every_algorithm(), *(f"x{i}" for i in range(9))]
    found = groups(names)
    assert sorted(algo for algos in found.values() for algo in algos) == sorted(names)
    assert max(map(len, found.values())) <= 7


def test_parts():
    assert parts("bc + ppo") == ("bc", "ppo")
    assert parts("bc+ppo[learning_rate=1e+3]") == ("bc", "ppo[learning_rate=1e+3]")


def test_variants_of_one_algorithm_are_compared(tiny_folder, tmp_path, configured):
    names = ("rloo", "rloo[learning_rate=0.01]", "ppo[kl_coef=0.5,n_epochs=1]")
    config, *_ = configured("--algos", ",".join(names), "--tasks", "Copy", "--out", "x")
    assert config.algos == names
    assert "'rloo,rloo[learning_rate=0.01],ppo[kl_coef=0.5,n_epochs=1]'" in config.command()
    config = BenchmarkConfig(
        names[:2], {COPY: 64}, seeds=1, model=tiny_folder, n_envs=4, eval_prompts=4,
        env_kwargs={"max_new_tokens": 4, "reward": "chrf"},
    )  # fmt: skip
    lines = [run(config, key) for key in config.run_keys()]
    assert [line["algo"] for line in lines] == list(names[:2])
    assert lines[0]["curve"]["reward"][0] == lines[1]["curve"]["reward"][0]  # the same model acts first
    assert lines[0]["evaluations"]["sampled"] != lines[1]["evaluations"]["sampled"]
    report.write_report(tmp_path, config, lines)
    assert "rloo[learning_rate=0.01]" in (tmp_path / "results.md").read_text()
    console = Console(width=150)
    with console.capture() as shown:
        for table in report.tables(config, lines, aggregate(lines)):
            console.print(table)
    assert "rloo[learning_rate=0.01]" in shown.get()


def test_a_variant_may_have_a_penalty_and_a_rank_of_its_own(tiny_folder, monkeypatch):
    config = BenchmarkConfig(
        ("ppo", "ppo[kl_coef=0.5,lora=2]"), {COPY: 8}, seeds=1, model=tiny_folder, n_envs=4, eval_prompts=2,
        kl_coef=0.1, algo_kwargs={"n_steps": 2, "batch_size": 8},
    )  # fmt: skip
    given = []
    real = running.make
    monkeypatch.setattr(running, "make", lambda *a, **k: given.append((k["kl_coef"], k["lora"])) or real(*a, **k))
    for key in config.run_keys():
        run(config, key)
    assert given == [(0.1, None), (0.5, 2)]


def test_a_variant_may_have_arguments_of_the_policy_which_no_other_part_gets(tiny_folder, monkeypatch):
    small = {"train_freq": 2, "gradient_steps": 1, "batch_size": 8, "buffer_size": 60}
    config = BenchmarkConfig(
        ('bc+dqn[policy_kwargs={"beta":0.2}]', "dqn"), {COPY: 16}, seeds=1, model=tiny_folder, n_envs=4,
        eval_prompts=2, policy_kwargs={"temperature": 0.9}, algo_kwargs={f"dqn.{k}": v for k, v in small.items()},
    )  # fmt: skip
    made, real = [], running.make

    def make(name, *arguments, **options):
        made.append((name, real(name, *arguments, **options)))
        return made[-1][1]

    monkeypatch.setattr(running, "make", make)
    for key in config.run_keys():
        run(config, key)
    assert [name for name, _ in made] == ["bc", "dqn", "dqn"]
    assert [one.policy.beta for name, one in made if name == "dqn"] == [0.2, 0.3]
    assert [one.policy.sampling.temperature for _, one in made] == [0.9] * 3


@pytest.mark.parametrize(
    ("algos", "message"),
    [
        ("rloo[grup_size=8]", "grup_size"),
        ('dqn[policy_kwargs={"bta":0.2}]', "there is no argument 'bta'. Did you mean 'beta'?"),
        ('ppo[policy_kwargs={"beta":0.2}]', "there is no argument 'beta'"),
        ("dqn[policy_kwargs=0.2]", "policy_kwargs is 0.2, expected a dict"),
        ("rloo[group_size]", "expected arguments in brackets"),
        ("rloo[group_size=8", "expected arguments in brackets"),
        ("rloo[kl_coef=-1]", "kl_coef"),
        ("greedy[kl_coef=1]", "takes no KL penalty"),
        ("nosuch[a=1]", "No algorithm is called 'nosuch'"),
    ],
)
def test_variants_that_make_no_sense(configured, algos, message):
    assert message in configured("--algos", algos, "--tasks", "Copy", "--out", "x")


# ---------------------------------------------------------------------------- variants of tasks

SHORT = f"{COPY}[max_new_tokens=3]"


def test_variants_of_a_task_are_tasks(configured):
    import shlex

    words = ("--algos", "greedy", "--tasks", "Copy,Copy[ max_new_tokens = 3 ]", "--out", "x")
    config, *_ = configured(*words, "--timesteps", "Copy=70,Copy[max_new_tokens=3]=30")
    assert config.tasks == {COPY: 70, SHORT: 30}
    again, *_ = configured(*shlex.split(config.command())[2:], "--out", "x")
    assert again == config
    assert configured(*words, "--timesteps", "Copy=70")[0].tasks == {COPY: 70, SHORT: 70}


def test_a_variant_plays_with_its_arguments_and_is_resumed(tiny_folder, tmp_path):
    config = tiny(tiny_folder, "greedy", "ppo", algo_kwargs={"ppo.n_steps": 16})
    config = replace(config, tasks={COPY: 64, SHORT: 64})
    lines = launch(ResultStore(tmp_path, config), jobs=0)
    summaries = {(line["algo"], line["task"]): line["evaluations"]["sampled"]["summary"] for line in lines}
    lengths = {name: summary["num_tokens"] for name, summary in summaries.items()}
    assert lengths["greedy", SHORT] <= 3 < lengths["greedy", COPY]
    assert lengths["ppo", SHORT] <= 3
    events = []
    assert launch(ResultStore(tmp_path, config), listener=lambda event, key, run: events.append(event)) == lines
    assert set(events) == {"skipped"}
    report.write_report(tmp_path, config, lines)
    assert "Copy[max_new_tokens=3]" in (tmp_path / "results.md").read_text()


def test_files_of_two_names_are_two_files():
    names = [Key("ppo", f"{COPY}[{name}]", 0).file_name for name in ("a=1/2", "a=1:2", "a=1_2", "b=" + 300 * "x")]
    assert len(set(names)) == 4
    assert all(len(name) < 200 and "/" not in name and ":" not in name for name in names)


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("Copy[max_new_tokens]", "The task is 'Copy[max_new_tokens]', expected arguments in brackets"),
        ("Copy[nosuch=1]", "unexpected keyword argument 'nosuch'"),
        ("Copy[max_new_tokens=0]", "max_new_tokens"),
        ("Copy[split=test]", "use --eval-split"),
        ("Cop[max_new_tokens=3]", "Did you mean 'Copy'?"),
    ],
)
def test_variants_of_tasks_that_make_no_sense(configured, task, message):
    assert message in configured("--algos", "greedy", "--tasks", task, "--out", "x")


# ---------------------------------------------------------------------------- what a line holds


def test_a_run_without_its_own_decoder_a_front_and_a_gold(tiny_folder):
    own = {"max_new_tokens": 6, "reward": "chrf"}
    config = tiny(tiny_folder, "nlpo", tokens=192, front=3, gold="2*chrf", env_kwargs=own)
    line = run(replace(config, algo_kwargs={"n_steps": 8, "mask_top_p": 0.5}), Key("nlpo", COPY, 0))
    evaluations = line["evaluations"]
    assert [*evaluations] == ["before", "sampled", "greedy", "plain_sampled", "plain_greedy"]
    assert evaluations["plain_sampled"] != evaluations["sampled"]
    for one in evaluations.values():
        gold = one["per_prompt"]["gold"]["rows"]
        assert one["summary"]["gold"] == pytest.approx(np.mean(gold), abs=1e-5)
        assert np.mean(gold) == pytest.approx(2 * one["summary"]["reward"], abs=1e-5)
        assert one["summary"]["reward"] == pytest.approx(np.mean(one["per_prompt"]["reward"]), abs=1e-3)
    assert [point["timesteps"] for point in line["front"]] == [64, 128, 192]
    assert all(0 < point["kl"] < 20 and "gold" in point and "reward" in point for point in line["front"])
    assert line["kl"] == line["front"][-1]["kl"]
    assert line["score"] is None
    costs = line["costs"]
    assert costs["tokens_written"] == line["timesteps"] == 192
    # Each token is written once, masked once by the lagged copy, and learned from in two epochs.
    assert costs["forward_tokens"] > 192 * (1 + 1 + 2 * 3)
    assert costs["tokens_learned"] > 2 * 192
    assert costs["peak_memory_mb"] > 50
    assert costs["tokens_per_completion"] == pytest.approx(evaluations["sampled"]["summary"]["num_tokens"], abs=1e-3)


def test_the_kl_is_that_of_the_distribution_that_is_sampled_from(tiny_folder):
    config = tiny(tiny_folder, "zero_shot", "zero_shot[top_k=1]", "random", "greedy", algo_kwargs={})
    plain, peaked, random, greedy = (run(config, key)["kl"] for key in config.run_keys())
    assert plain == 0
    assert greedy is None  # it doesn't sample
    # Nearly uniform, a random model's log-probabilities are near -log(vocabulary) at each token.
    assert peaked > 10 * random > 0


def test_rewards_are_stored_with_three_digits_of_the_largest():
    assert rounded([0.00012345, 0.0]) == [0.000123, 0.0]
    assert rounded([]) == []
    assert rounded([1234.5678, 0.0004]) == [1234.568, 0.0]


FAILING = """
from textgym_agents import ALGORITHMS, Algorithm, register_algorithm

class Failing(ALGORITHMS["ppo"].cls):
    def learn(self, *args, **kwargs):
        raise ValueError("the weights are <NaN>")

register_algorithm("failing", Algorithm(Failing, "none"))
"""


def test_a_run_that_raises_is_a_line_and_in_the_report(tiny_folder, tmp_path):
    (tmp_path / "failing.py").write_text(FAILING)
    out = tmp_path / "out"
    words = ["benchmark", "--algos", "greedy,failing", "--tasks", "Copy", "--seeds", "1", "--timesteps", "8"]
    words += ["--model", tiny_folder, "--eval-prompts", "2", "--n-envs", "2", "--out", str(out)]
    words += ["--import", str(tmp_path / "failing.py"), "--jobs", "0"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    assert "1 of 2 runs failed" in result.stderr
    greedy, failed = sorted(read_runs(out / "results.jsonl"), key=lambda line: line["error"] is not None)
    assert (greedy["algo"], failed["error"]) == ("greedy", "ValueError: the weights are <NaN>")
    assert failed["config_hash"] != greedy["config_hash"]
    text = (out / "results.md").read_text()
    assert "## Failed runs" in text
    assert "the weights are" in text
    assert "| Copy | greedy | reward |" in text
    assert "ended earlier" in CliRunner().invoke(app, words).stderr
    again = CliRunner().invoke(app, [*words, "--retry"])
    assert again.stderr.count("ended earlier") == 1
    assert len(read_runs(out / "results.jsonl")) == 3
    del ALGORITHMS["failing"]


def test_a_suites_own_task_comes_first_where_a_middle_is_of_two(configured):
    config, *_ = configured("--suite", "text", "--tasks", "Table,text/Happy-v0")
    assert list(config.tasks) == ["text/Happy-v0", "text/Table-v0"]
    config, *_ = configured("--suite", "probe", "--tasks", "Bandit[arms=8]")
    assert list(config.tasks) == ["textgym/Bandit-v0[arms=8]"]


def test_runs_of_an_earlier_file_are_not_done_again(tmp_path):
    from textgym_agents.cli.benchmark import config_of
    from textgym_agents.leaderboard.results import load

    words = ["benchmark", "--algos", "zero_shot,greedy", "--tasks", "Copy", "--eval-prompts", "4", "--seeds"]
    common = ["--model", "textgym/tiny", "--jobs", "0"]
    first, packed = tmp_path / "first", tmp_path / "packed.jsonl.gz"
    made = CliRunner().invoke(app, [*words, "1", *common, "--out", str(first), "--pack", str(packed)])
    assert made.exit_code == 0, made.output
    # One of another configuration, and one that failed: neither counts.
    runs = load(packed).runs
    config = config_of(f"textgym {' '.join(words)} 2 --model textgym/tiny")
    strange = {**runs[0], "seed": 1}
    failed = failed_line(config, Key("greedy", COPY, 1), "too bad")
    pack([*runs, strange, failed], packed)
    again = CliRunner().invoke(
        app, [*words, "2", *common, "--out", str(tmp_path / "second"), "--from", str(packed), "--pack", str(packed)]
    )
    assert again.exit_code == 0, again.output
    assert again.stderr.count("ended earlier") == 2
    joined = {(run["algo"], run["seed"]): run for run in load(packed).runs}
    assert len(joined) == 4
    assert all(run["error"] is None for run in joined.values())
    assert [joined[run["algo"], 0] for run in runs] == runs
    missing = CliRunner().invoke(
        app, [*words, "2", *common, "--out", str(tmp_path / "third"), "--from", "nowhere.jsonl"]
    )
    assert missing.exit_code == 1
    assert "no results in 'nowhere.jsonl'" in missing.stderr


def test_every_suite_is_its_command(configured):
    import shlex

    for name, suite in suites.SUITES.items():
        config, *_ = configured("--suite", name, "--seeds", 1)
        assert config.command() == f"textgym benchmark --suite {name} --algos all --seeds 1"
        key = config.run_keys()[-1]
        alone, *_ = configured(*shlex.split(config.command_of(key))[2:])
        assert alone.hash_of(key) == config.hash_of(key)
        assert {one for one in suite.variants if not one.startswith("-")} <= set(config.algos)
        assert not {one[1:] for one in suite.variants if one.startswith("-")} & set(config.algos)


def test_runs_are_packed_into_one_small_file(tmp_path):
    lines = [*runs_of(ppo=0.4, bc=0.6), failed_line(BenchmarkConfig(("a2c",), {COPY: 1}), Key("a2c", COPY, 0), "x")]
    for line in lines[:-1]:
        line["evaluations"]["sampled"]["per_prompt"]["chrf"] = {"kind": "chrf", "rows": [[1, 2]] * 20}
    for name, order in (("a", lines), ("b", lines)):
        size = pack(order, tmp_path / "deep" / f"{name}.jsonl.gz")
        assert size == (tmp_path / "deep" / f"{name}.jsonl.gz").stat().st_size
    content = (tmp_path / "deep" / "a.jsonl.gz").read_bytes()
    assert content == (tmp_path / "deep" / "b.jsonl.gz").read_bytes()
    packed = [json.loads(line) for line in gzip.decompress(content).splitlines()]
    assert {(one["algo"], one["task"], one["seed"]) for one in packed} == {
        (one["algo"], one["task"], one["seed"]) for one in lines
    }
    assert [one["task"] for one in packed] == sorted(one["task"] for one in packed)
    ppo = next(one for one in packed if one["algo"] == "ppo" and one["seed"] == 1)
    assert [*ppo["evaluations"]["sampled"]["per_prompt"]] == ["reward"]
    assert ppo["samples"] == []


def test_the_proxy_of_a_reward_pays_for_repeating_a_word_and_the_reward_does_not():
    from textgym_agents.benchmark import text_tasks

    once, often, sad = (Sample("", text, (), tuple(range(8))) for text in (" was delicious", " delicious" * 8, " bad"))

    def values(reward, *samples):
        return [score.value for score in score_samples(reward, samples)]

    proxy, gold = values(text_tasks.proxy, once, often, sad), values(text_tasks.gold, once, often)
    assert proxy[1] > 1 > proxy[0] > proxy[2]
    assert gold[1] - gold[0] < (proxy[1] - proxy[0]) / 2
    too_long = Sample("", " delicious" * 24, (), tuple(range(24)))
    assert values(text_tasks.gold, too_long) == [0.0]
    assert values(text_tasks.unhappy, once) == pytest.approx([1 - gold[0]])
    table = {"keywords": ["The Eagle", "French"]}
    both, one = (Sample("", text, (), (1, 2), metadata=table) for text in (" The Eagle is French.", " The Eagle."))
    assert values(text_tasks.AllKeywords(), both, one) == [1.0, 0.0]


def test_a_variant_may_have_a_kl_target(tiny_folder, monkeypatch):
    given, real = [], running.make
    monkeypatch.setattr(running, "make", lambda *a, **k: given.append(k["kl_coef"]) or real(*a, **k))
    config = tiny(tiny_folder, "ppo[kl_target=2]")
    run(config, config.run_keys()[0])
    assert given[0].target == 2
    assert given[0].damping == running.KL_DAMPING
    assert given[0].integral == pytest.approx(running.KL_COEF / 2**0.5, rel=0.1)


def test_signal_and_noise_of_a_task(tiny_folder):
    found = signal(str(tiny_folder), COPY, 600, env_kwargs={"max_new_tokens": 4})
    assert found["completions"] > 0
    assert 1 <= found["tokens each"] <= 4
    assert found["budget"] == pytest.approx(10 * found["completions"] * found["tokens each"])
