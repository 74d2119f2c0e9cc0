"""The folder of a training run: one process at a time, whole files, and a resumed run that is equal or says why not."""

import errno
import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from tests.agents.runs.runs_in_folders import assert_equal_runs, numbers, seal, settings
from tests.agents.saved_model import save_tiny_model
from textgym.errors import ConfigError, StorageError, TextGymError
from textgym_agents.cli.app import app
from textgym_agents.runs import train as training
from textgym_agents.runs.config import TrainConfig, default_folder
from textgym_agents.storage import locked


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


@pytest.fixture(scope="module")
def finished(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    training.train(settings(tiny), folder, progress=False)
    return folder


@pytest.fixture
def run(finished, tmp_path):
    """A copy of a finished run."""
    return shutil.copytree(finished, tmp_path / "run")


def edit(path, change):
    content = json.loads(path.read_text())
    changed = change(content)
    path.write_text(json.dumps(changed if isinstance(changed, list) else content))


def contents(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "lock"}


def test_a_second_process_is_refused_and_changes_nothing(tiny, run):
    before = contents(run)
    with locked(run):
        for command in (
            ["--resume", run],
            ["--resume", run, "--timesteps", 999],
            ["Copy", "--out", run, "--overwrite", "--model", tiny],
        ):
            result = CliRunner().invoke(app, ["train", *map(str, command)])
            assert result.exit_code == 1
            assert f"is working in '{run}': process {os.getpid()}." in result.stderr
    assert contents(run) == before


@pytest.mark.parametrize(
    "wrong", [{"task": "textgym/Nothing-v0"}, {"env_kwargs": {"reward": "blue"}}, {"stop_metric": "nothing"}]
)
def test_a_start_that_fails_leaves_no_folder(wrong, tiny, tmp_path):
    out = tmp_path / "runs" / "new"
    with pytest.raises(Exception, match=r"Nothing|blue|nothing"):
        training.train(settings(tiny, **wrong), out, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_a_start_that_fails_leaves_the_earlier_run_and_other_files(tiny, run, tmp_path):
    before = contents(run)
    with pytest.raises(TextGymError):
        training.train(settings(tiny, env_kwargs={"reward": "blue"}), run, overwrite=True, progress=False)
    assert contents(run) == before
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match="not empty"):
        training.train(settings(tiny), tmp_path / "thesis", progress=False)
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("lost", ["checkpoint", "checkpoint/state.json"])
def test_rollouts_without_a_checkpoint_are_not_erased(lost, run):
    shutil.rmtree(run / lost) if (run / lost).is_dir() else (run / lost).unlink()
    before = numbers(run)
    with pytest.raises(ConfigError, match="has rollouts and no checkpoint"):
        training.resume(run, progress=False)
    assert numbers(run) == before


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("seed", 5, "seed: 0 in the checkpoint, 5 in config.json"),
        ("env_kwargs", {"reward": "bleu"}, "env_kwargs: {'max_new_tokens': 8"),
        ("n_envs", 2, "n_envs: 4 in the checkpoint, 2"),
    ],
)
def test_an_edited_configuration_is_refused(name, value, message, run):
    edit(run / "config.json", lambda content: content["config"].update({name: value}))
    with pytest.raises(ConfigError) as error:
        training.resume(run, progress=False)
    assert message in str(error.value).replace("'max_prompt_tokens': 24, 'max_new_tokens': 8", "'max_new_tokens': 8")


def flip(path):
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["state.json", "tensors.safetensors"])
def test_a_rotten_checkpoint_is_refused(name, run):
    flip(run / "checkpoint" / name)
    with pytest.raises(ConfigError, match=rf"{name} has changed since it was saved: its SHA-256 is .* put a copy"):
        training.resume(run, progress=False)


DAMAGED = [b"", b"\x00\xff\xfe", b"[]", b'{"format": 2', b"null", b'{"format": 2, "more": {}}', b"[" * 100_000]
EDITED = {
    "a method": lambda state: state["parts"]["algorithm"]["attributes"].update(train=1),
    "a class": lambda state: state["parts"]["algorithm"]["attributes"].update(__class__=1),
    "an argument": lambda state: state["parts"]["algorithm"]["attributes"].update(batch_size=1),
    "the environment": lambda state: state["parts"]["algorithm"]["attributes"].update(env=None),
    "a property of the policy": lambda state: state["parts"]["policy"]["attributes"].update(device="cuda"),
    "an unknown kind": lambda state: state["parts"]["algorithm"]["attributes"].update(_n_updates={"$": "os.system"}),
    "fewer than none": lambda state: state.update(num_timesteps=-5),
    "no number": lambda state: state.update(num_timesteps="x"),
    "no parts": lambda state: state.pop("parts"),
    "parts of another kind": lambda state: state.update(parts=[1]),
    "random states of another kind": lambda state: state["random"].update(python=5),
    "an unknown tensor": lambda state: state["random"].update(torch={"$": "tensor", "name": "nothing"}),
    "written": lambda state: state["callbacks"]["record"]["state"].pop("written"),
}


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_state_is_one_sentence(content, run):
    (run / "checkpoint" / "state.json").write_bytes(content)
    for message in ("has changed since it was saved", r"Can't load checkpoint|has the format"):
        with pytest.raises(ConfigError, match=message):
            training.resume(run, progress=False)
        seal(run / "checkpoint")


@pytest.mark.parametrize("change", EDITED.values(), ids=EDITED)
def test_an_edited_state_is_one_sentence_and_sets_only_what_saving_writes(change, run):
    edit(run / "checkpoint" / "state.json", change)
    seal(run / "checkpoint")
    with pytest.raises(ConfigError) as error:
        training.resume(run, progress=False)
    assert "\n" not in str(error.value)
    assert str(run / "checkpoint") in str(error.value) or "A checkpoint" in str(error.value)


@pytest.mark.parametrize("name", ["SHA256SUMS", "tensors.safetensors"])
def test_a_lost_file_is_one_sentence(name, run):
    (run / "checkpoint" / name).unlink()
    with pytest.raises(ConfigError, match="Can't load checkpoint"):
        training.resume(run, progress=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.pop("model_hash"), "model_hash is missing"),
        (lambda content: content["config"].update(seed="x"), "seed is of a wrong kind"),
        (lambda content: content["config"].update(env_kwargs=[]), "env_kwargs is of a wrong kind"),
        (lambda content: content["config"].update(nonsense=1), "no usable config.json"),
        (lambda content: content.update(versions=3), "versions are no object"),
        (lambda content: [], "no usable config.json"),
        (lambda content: content["config"].update(model="/nowhere/at/all"), "isn't there any more"),
    ],
)
def test_a_damaged_configuration_is_one_sentence(change, message, run):
    edit(run / "config.json", change)
    with pytest.raises(ConfigError, match=message):
        training.resume(run, progress=False)


def test_a_file_in_the_place_of_a_folder_is_one_sentence(run):
    shutil.rmtree(run / "best")
    (run / "best").write_text("a note")
    with pytest.raises(ConfigError, match="best' is a file"):
        training.resume(run, progress=False)


def test_lost_metrics_are_one_sentence(run):
    lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    for content, message in ((lines[:2], "has 2 lines, fewer than the"), (None, "is gone: it had")):
        (run / "metrics.jsonl").unlink() if content is None else (run / "metrics.jsonl").write_text("".join(content))
        with pytest.raises(ConfigError, match=message):
            training.resume(run, progress=False)


def test_a_run_is_resumed_from_another_directory(tiny, finished, tmp_path, monkeypatch):
    shutil.copytree(tiny, tmp_path / "mine" / "model")
    (tmp_path / "mine" / "rows.csv").write_text("text\n" + "".join(f"word {i}\n" for i in range(20)))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    options = {"dataset": "rows.csv", "max_new_tokens": 8}
    config = settings("model", timesteps=64, eval_split="train", env_kwargs=options)
    training.train(config, "run", progress=False)
    monkeypatch.chdir(tmp_path / "elsewhere")
    outcome = training.resume("../mine/run", timesteps=96, progress=False)
    assert outcome.timesteps == 96
    (tmp_path / "mine" / "model").rename(tmp_path / "elsewhere" / "moved")
    with pytest.raises(ConfigError, match="isn't there any more"):
        training.resume("../mine/run", progress=False)
    edit(
        tmp_path / "mine" / "run" / "config.json", lambda c: c["config"].update(model=str(tmp_path / "elsewhere/moved"))
    )
    assert training.resume("../mine/run", timesteps=128, progress=False).timesteps == 128


@pytest.mark.slow
def test_the_state_does_not_grow_with_the_run(run):
    sizes, lines = [], []
    for timesteps in (1600, 3200):  # SB3 keeps the last 100 episodes
        training.resume(run, timesteps=timesteps, progress=False)
        sizes.append((run / "checkpoint" / "state.json").stat().st_size)
        lines.append(len((run / "metrics.jsonl").read_text().splitlines()))
    assert lines[1] - lines[0] > 50
    assert abs(sizes[1] - sizes[0]) < 500  # numbers of more and of fewer digits


def test_a_run_with_replay_that_ended_at_its_last_checkpoint_is_resumed_equal(tiny, tmp_path, monkeypatch):
    arguments = {"buffer_size": 64, "learning_starts": 32, "train_freq": 4, "batch_size": 8, "num_candidates": 4}
    config = settings(tiny, algo="dqn", timesteps=64, eval_every=32, log=(), algo_kwargs=arguments)
    training.train(config, tmp_path / "whole", progress=False)
    with monkeypatch.context() as patch:
        patch.setattr(training.TextLogger, "_on_training_end", lambda self: 1 / 0)  # after the checkpoint of the end
        with pytest.raises(ZeroDivisionError):
            training.train(config, tmp_path / "ended", progress=False)
    training.resume(tmp_path / "ended", progress=False)
    assert_equal_runs(tmp_path / "ended", tmp_path / "whole")


def test_metrics_are_strict_json(tiny, tmp_path):
    # Returns that are all 0 have no variance that could be explained: SB3 logs NaN.
    config = settings(tiny, timesteps=64, kl_coef=0, eval_every=None, log=())
    config.env_kwargs["reward"] = "exact_match"
    training.train(config, tmp_path / "run", progress=False)
    text = (tmp_path / "run" / "metrics.jsonl").read_text()
    lines = [json.loads(line, parse_constant=pytest.fail) for line in text.splitlines()]
    assert any(line.get("train/explained_variance", 0) is None for line in lines)


@pytest.mark.parametrize(
    "file", ["config.json", "metrics.jsonl", "best", "checkpoint", "policy", "samples.md", "learning_curve.png"]
)
def test_a_full_disk_is_one_sentence_and_the_run_can_be_resumed(file, tiny, finished, tmp_path, monkeypatch):
    """The disk is full at the last time that a run writes this file."""
    out, fsync, calls = tmp_path / "run", os.fsync, []

    def written(descriptor):
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        is_it = path.startswith(f"{out / file}") and not path.startswith(f"{out}/checkpoint.new/t")
        calls.append(is_it)
        if is_it and sum(calls) > {"metrics.jsonl": 1, "checkpoint": 4}.get(file, 0):
            raise OSError(errno.ENOSPC, "No space left on device")
        return fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", written)
        with pytest.raises(
            StorageError, match=rf"^Can't write .* to '{out / file}': no space left on device\. Make room"
        ):
            training.train(settings(tiny), out, progress=False)
    if file in ("config.json", "best"):  # before the first rollout
        assert not out.exists()
        return
    training.resume(out, progress=False)
    assert_equal_runs(out, finished)
    assert not [path for path in out.rglob("*") if path.name.endswith((".new", ".old"))]


def test_default_folders_of_a_sweep_differ_and_hold_no_secret():
    runs = [
        TrainConfig("textgym/Copy-v1", algo_kwargs={"learning_rate": 1e-3}),
        TrainConfig("textgym/Copy-v1", algo_kwargs={"learning_rate": 1e-4}),
        TrainConfig("textgym/Copy-v1", kl_coef=0.1),
        TrainConfig("textgym/Copy-v1", reward_transform="clip=-1:1"),
        TrainConfig("textgym/Copy-v1", env_kwargs={"dataset": "/data/a b.csv", "load_kwargs": {"token": "hf_1"}}),
        TrainConfig("textgym/Copy-v1", env_kwargs={"reward": "bleu" + " + chrf" * 90}),
        TrainConfig("textgym/Copy-v1", env_kwargs={"reward": "bleu" + " + chrf" * 91}),
    ]
    folders = [default_folder(one) for one in runs]
    assert len(set(folders)) == len(runs)
    for folder in folders:
        assert folder.parent == Path("runs")
        assert len(folder.name) < 150
        assert "hf_1" not in folder.name
        assert " " not in folder.name
    longer = TrainConfig("textgym/Copy-v1", timesteps=9, log=["csv"])
    assert default_folder(longer) == default_folder(TrainConfig("textgym/Copy-v1")) == Path("runs/Copy-ppo-0")
