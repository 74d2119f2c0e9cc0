"""Files and folders that are there whole or not at all, and the lock of a folder."""

import errno
import os
import shutil
import subprocess
import sys

import pytest

from textgym.errors import ConfigError, StorageError
from textgym_agents.storage import locked, recover, replacing, replacing_folder, write_atomically

MARK = ("config.json",)
SETTINGS = {"PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_file_on_a_full_disk_stays_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "config.json"
    write_atomically(path, "old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"Can't write the settings to .*config.json': no space left"):
        write_atomically(path, "new", "the settings")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["config.json"]


@pytest.mark.parametrize("failing", ["fsync", "rename", None])
def test_a_folder_is_replaced_whole_or_stays_as_it_was(failing, tmp_path, monkeypatch):
    folder = tmp_path / "policy"
    for text in ("first", "second"):
        if failing and text == "second":
            monkeypatch.setattr(os, failing, full)
        try:
            with replacing_folder(folder, "the policy", MARK) as new:
                (new / "config.json").write_text(text)
        except StorageError:
            assert failing
    assert (folder / "config.json").read_text() == ("first" if failing else "second")
    assert names(tmp_path) == ["policy"]


def test_what_a_kill_between_two_renames_has_left_is_undone(tmp_path):
    folder = tmp_path / "policy"
    for left, text in (("policy.old", "old"), ("policy.new", "new")):
        (tmp_path / left).mkdir()
        (tmp_path / left / "config.json").write_text(text)
    recover(folder)
    assert names(tmp_path) == ["policy"]
    assert (folder / "config.json").read_text() == "old"


def test_a_folder_of_something_else_is_not_replaced(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match=r"holds thesis\.tex, something other than the policy"):  # noqa: SIM117
        with replacing_folder(tmp_path, "the policy", MARK):
            pass
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "chapters").mkdir()
    with pytest.raises(ConfigError, match="stays as it is"):  # noqa: SIM117
        with replacing_folder(tmp_path, "the policy", MARK):
            pass
    with pytest.raises(ConfigError, match="is a file"):  # noqa: SIM117
        with replacing_folder(tmp_path / "thesis.tex", "the policy", MARK):
            pass


def test_nothing_is_left_of_what_failed(tmp_path):
    def draw():
        with replacing(tmp_path / "picture", "a picture") as new:
            new.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        draw()
    assert names(tmp_path) == []


def test_a_lock_names_its_holder_and_does_not_outlive_it(tmp_path):
    code = "import sys, time; from textgym_agents.storage import locked\n"
    code += "with locked(sys.argv[1]):\n    print('held', flush=True)\n    time.sleep(60)"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], env={**os.environ, **SETTINGS}, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(ConfigError, match=f"is working in .*: process {process.pid}\\. "), locked(tmp_path):
            pass
    finally:
        process.kill()
        process.communicate()
    with locked(tmp_path):
        shutil.rmtree(tmp_path)  # its holder may take the folder away
    with locked(tmp_path):
        pass
