"""Kills, full disks, limits on files and second processes: every folder resumes equal, or says why not in a sentence.

The processes are forks of this one, so that what happens to them falls into their work and not into imports.
"""

import os
import resource
import shutil
import subprocess
import time
from contextlib import contextmanager

import pytest
import torch

from tests.agents.runs.runs_in_folders import assert_equal_runs, settings
from tests.agents.saved_model import save_tiny_model
from textgym.errors import ConfigError, TextGymError
from textgym_agents.checkpoint import find_checkpoint
from textgym_agents.runs import train as training

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")]
# Moments of a kill, sizes of a file and of a disk, for algorithms with rollouts of steps, with a replay buffer and with
# whole episodes.
TRIED = {"ppo": 20, "dqn": 10, "rloo": 10}
ARGUMENTS = {
    "ppo": {"n_steps": 8, "batch_size": 16, "n_epochs": 1},
    "dqn": {"buffer_size": 128, "learning_starts": 32, "train_freq": 4, "batch_size": 16, "num_candidates": 8},
    "rloo": {"prompts_per_rollout": 2, "group_size": 2},
}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Sums in another order round differently."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return save_tiny_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="module", params=TRIED)
def algo(request):
    return request.param


@pytest.fixture(scope="module")
def small(tiny, algo):
    """Makes the settings of a run."""
    return lambda **changed: settings(tiny, algo=algo, algo_kwargs=ARGUMENTS[algo], **changed)


@pytest.fixture(scope="module")
def whole(small, tmp_path_factory):
    """A run that nothing happened to, and how long it took."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    began = time.monotonic()
    training.train(small(), folder, progress=False)
    return folder, time.monotonic() - began


class Child:
    """A function in a process of its own. How it ended is "ok", the message of an error of ours, or "crashed: ..."."""

    def __init__(self, function, report):
        self.report = report
        self.pid = os.fork()
        if self.pid == 0:
            try:
                function()
                said = "ok"
            except TextGymError as error:
                said = f"{type(error).__name__}: {error}"
            except BaseException as error:
                said = f"crashed: {error!r}"
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            report.write_text(said)
            os._exit(0)

    def wait(self):
        os.waitpid(self.pid, 0)
        return self.report.read_text() if self.report.exists() else "killed"


def resumed_or_why_not(out, whole, counts):
    """Resume what is there, which must end equal to the whole run; or there is nothing, which the message says."""
    try:
        training.resume(out, progress=False)
    except ConfigError as error:
        assert "There is no training run" in str(error)  # noqa: PT017  (both ways are right)
        assert not (out / "metrics.jsonl").exists()
        counts["not begun"] += 1
        return
    assert_equal_runs(out, whole)
    assert not [path for path in out.rglob("*") if path.name.endswith((".new", ".old")) or path.name == "lock"]
    counts["equal"] += 1


def show(what, counts, request):
    """A line of figures, also without ``-s``."""
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n{what}: {', '.join(f'{count} {name}' for name, count in counts.items())}")


def test_kills(algo, small, whole, tmp_path, request):
    """At so many moments of a run, and at each of them again while it is resumed."""
    (reference, seconds), kills = whole, TRIED[algo]
    counts = {"killed": 0, "ended before": 0, "equal": 0, "not begun": 0}
    for number in range(kills):
        out, report = tmp_path / f"run{number}", tmp_path / f"report{number}"
        for function in (
            lambda out=out: training.train(small(), out, progress=False),
            lambda out=out: training.resume(out, progress=False),
        ):
            child = Child(function, report)
            time.sleep(seconds * (number + 0.5) / kills)
            os.kill(child.pid, 9)
            said = child.wait()
            counts["killed" if said == "killed" else "ended before"] += 1
            assert not said.startswith("crashed"), said
            report.unlink(missing_ok=True)
        resumed_or_why_not(out, reference, counts)
        shutil.rmtree(out, ignore_errors=True)
    show(f"{algo}, kill -9", counts, request)
    assert counts["equal"] + counts["not begun"] == kills
    assert counts["equal"] > kills // 2


def test_limits_of_the_size_of_files(algo, small, whole, tmp_path, request):
    """RLIMIT_FSIZE between nothing and the largest file, while a run begins, and while one is resumed."""
    (reference, _), tried = whole, TRIED[algo]
    files = sorted({path.stat().st_size for path in reference.rglob("*") if path.is_file()})
    largest = files[-1]
    # As many below the sizes of its files, where each write fails, as evenly over the whole.
    sizes = [max(1, size - 1) for size in files[:: max(1, len(files) // (tried // 2))]][: tried // 2]
    sizes += [1 + largest * number // (tried - len(sizes) - 1) for number in range(tried - len(sizes))]
    counts = {"refused": 0, "ended": 0, "equal": 0, "not begun": 0}
    half = tmp_path / "half"
    training.train(small(timesteps=96, schedule_timesteps=192), half, progress=False)
    for number, size in enumerate(sizes):
        for begun in (False, True):
            out, report = tmp_path / f"run{number}{begun}", tmp_path / f"report{number}{begun}"
            if begun:
                shutil.copytree(half, out)

            def limited(out=out, size=size, begun=begun):
                resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
                if begun:
                    training.resume(out, timesteps=192, progress=False)
                else:
                    training.train(small(schedule_timesteps=192), out, progress=False)

            said = Child(limited, report).wait()
            refused = said.startswith("StorageError: Can't write ") and "file too large. Make room" in said
            assert refused or said == "ok", f"{size}: {said}"
            counts["refused" if refused else "ended"] += 1
            if begun:
                assert find_checkpoint(out / "checkpoint") is not None
                training.resume(out, timesteps=192, progress=False)
            resumed_or_why_not(out, reference, counts)
    show(f"{algo}, RLIMIT_FSIZE", counts, request)
    assert counts["refused"] > tried


@contextmanager
def small_disk(folder, kibibytes):
    folder.mkdir()
    options = ["mount", "-t", "tmpfs", "-o", f"size={kibibytes}k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(options, capture_output=True, check=False).returncode:
        pytest.skip("a tmpfs can't be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(algo, small, whole, tmp_path, request):
    (reference, _), tried = whole, TRIED[algo]
    needed = sum(path.stat().st_size for path in reference.rglob("*") if path.is_file())
    needed += sum(path.stat().st_size for path in (reference / "checkpoint").iterdir())
    counts = {"full": 0, "ended": 0, "equal": 0, "not begun": 0}
    for number in range(tried):
        disk = tmp_path / f"disk{number}"
        with small_disk(disk, 4 + needed * (number + 1) // tried // 1024):
            said = Child(
                lambda disk=disk: training.train(small(), disk / "run", progress=False), tmp_path / f"r{number}"
            ).wait()
            full = said.startswith("StorageError: Can't write ") and "no space left on device. Make room" in said
            assert full or said == "ok", said
            counts["full" if full else "ended"] += 1
            out = tmp_path / f"run{number}"
            if (disk / "run").exists():
                shutil.copytree(disk / "run", out)
        resumed_or_why_not(out, reference, counts)
        shutil.rmtree(out, ignore_errors=True)
    show(f"{algo}, full disk", counts, request)
    assert counts["full"] > tried // 2


@pytest.mark.parametrize("pair", ["train and train", "train and overwrite", "resume and resume"])
def test_two_processes(pair, algo, small, whole, tmp_path, request):
    """The second one comes at several moments: it is refused, or the first one has ended."""
    reference, seconds = whole
    counts = {"refused": 0, "both ended": 0, "equal": 0, "not begun": 0}
    begin = {
        "train": lambda out: training.train(small(), out, progress=False),
        "overwrite": lambda out: training.train(small(), out, overwrite=True, progress=False),
        "resume": lambda out: training.resume(out, progress=False),
    }
    half = tmp_path / "half"
    for number in range(6):
        out = tmp_path / f"run{number}"
        if pair.startswith("resume"):
            if not half.exists():
                child = Child(lambda: begin["train"](half), tmp_path / "half report")
                while find_checkpoint(half / "checkpoint") is None:
                    time.sleep(0.01)
                os.kill(child.pid, 9)
                child.wait()
            shutil.copytree(half, out)
        said = []
        for which, name in enumerate(pair.split(" and ")):
            said.append(Child(lambda name=name, out=out: begin[name](out), tmp_path / f"report{number}{which}"))
            time.sleep(0 if which else 0.02 + seconds * number / 6)
        said = [child.wait() for child in said]
        refused = [one for one in said if "is working in" in one or "is not empty" in one]
        assert said.count("ok") + len(refused) == 2, said
        assert "ok" in said, said
        counts["refused" if refused else "both ended"] += 1
        resumed_or_why_not(out, reference, counts)
    show(f"{algo}, {pair}", counts, request)
    assert counts["refused"] > 2
    assert counts["equal"] == 6
