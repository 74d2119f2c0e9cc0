"""Files of others besides datasets and models: logs of episodes, SB3's zip files, evaluate modules, modules by name."""

import zipfile

import pytest

import textgym
from textgym.border import sentence
from textgym.errors import ConfigError, DatasetError, RewardError, TextGymError
from textgym.importable import named
from textgym.rewards import EvaluateReward
from textgym_agents import load, make

ID = "textgym/Copy-v0"
ENTRY = '{"prompt_id": 3, "token_ids": [17, 4, 1], "reward": 1}'
LOGS = {
    "empty": b"",
    "blank": b"\n\n",
    "no JSON": b"{",
    "latin-1": b'{"a": "\xe9"}',
    "deep": b"[" * 100_000,
    "list": b"[]",
    "null": b"null",
    "huge token": b'{"prompt_id": 3, "token_ids": [100000000000000000000], "reward": 1}',
    "token outside": b'{"prompt_id": 3, "token_ids": [-1], "reward": 1}',
    "prompt outside": b'{"prompt_id": 3000000000, "token_ids": [1], "reward": 1}',
    "huge prompt": b'{"prompt_ids": [100000000000000000000], "token_ids": [1], "reward": 1}',
    "NaN": b'{"prompt_id": 3, "token_ids": [1], "reward": NaN}',
    "text": b'{"prompt_id": 3, "token_ids": "1", "reward": 1}',
    "second line": f"{ENTRY}\n{{}}\n".encode(),
}


@pytest.mark.parametrize("damage", LOGS)
def test_damaged_logs(tmp_path, damage):
    path = tmp_path / "log.jsonl"
    path.write_bytes(LOGS[damage])
    with pytest.raises(DatasetError):
        make("ilql", ID, n_envs=1, episodes=str(path)).learn(1)


@pytest.mark.parametrize("log", [5, {}, "nosuch.jsonl", [5], [None], [{}], "/"], ids=str)
def test_what_is_no_log(log):
    with pytest.raises(DatasetError):
        make("ilql", ID, n_envs=1, episodes=log).learn(1)


@pytest.mark.parametrize("damage", ["missing", "empty", "garbage", "zip without files", "folder", "number"])
def test_damaged_zip_files(tmp_path, damage):
    path = tmp_path / "x.zip"
    if damage == "zip without files":
        zipfile.ZipFile(path, "w").close()
    elif damage == "folder":
        path.mkdir()
    elif damage != "missing":
        path.write_bytes({"empty": b"", "garbage": bytes(range(256)), "number": b"5"}[damage])
    with pytest.raises(TextGymError, match=r"x\.zip"):
        load("ppo", path)


class Module:
    name = "theirs"
    features = None

    def __init__(self, result):
        self.result = result

    def compute(self, **inputs):
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


@pytest.mark.parametrize(
    "result", [ValueError("no"), KeyError("a"), RuntimeError("b\nc"), {}, None, [5, 6], {"x": "a"}], ids=str
)
def test_evaluate_modules_that_fail(result):
    with pytest.raises(RewardError, match="theirs"):
        EvaluateReward(Module(result), "x")([textgym.Sample("a", "b", ("c",))])


@pytest.mark.parametrize("source", ["1 / 0", "import nosuch", "def f(:", "raise SystemError", "x = 1"])
def test_modules_that_cannot_be_imported(tmp_path, monkeypatch, source):
    (tmp_path / "broken_module.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match="broken_module"):
        named("broken_module:f")


def test_the_cause_that_says_something_is_in_the_message():
    outer = RuntimeError("An error occurred while generating the dataset")
    outer.__cause__ = ValueError("row 3 is broken\nmore")
    assert sentence(outer) == "row 3 is broken."
    assert sentence(RuntimeError()) == "RuntimeError."
