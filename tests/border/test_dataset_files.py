"""Datasets of others: every damage is a DatasetError with the path; what can be read is read."""

import json

import datasets
import pytest

from textgym.errors import DatasetError
from textgym.tasks import Copy, Summarization, Translation
from textgym.tasks.dataset import load_rows
from textgym.tasks.source import only_split

GOOD_LINE = b'{"text": "a"}\n'
DAMAGED = {
    "latin1.csv": "text\ncafé\n".encode("latin-1"),
    "utf16.csv": "a,b\nx,y\n".encode("utf-16"),
    "open_quote.csv": b'text\n"open\nx\n',
    "ragged.csv": b"a,b\n1,2\n1,2,3\n",
    "bytes.csv": bytes(range(256)) * 20,
    "empty.csv": b"",
    "header.csv": b"text\n",
    "empty.txt": b"",
    "latin1.txt": "café\n".encode("latin-1"),
    "empty.json": b"",
    "scalar.json": b"5",
    "text.json": b'"text"',
    "deep.json": b"[" * 5000 + b"]" * 5000,
    "cut.json": b'[{"text": "a"}, {"te',
    "empty.jsonl": b"",
    "null.jsonl": b"null\n",
    "line30.jsonl": GOOD_LINE * 29 + b'{"text": "a\n' + GOOD_LINE,
    "cut.jsonl": GOOD_LINE + b'{"text": "a',
    "mixed.jsonl": GOOD_LINE + b'{"text": {"a": 1}}\n',
    "number.jsonl": b'{"text": 5}\n',
    "missing.jsonl": b'{"text": null}\n',
    "other.jsonl": b'{"other": "a"}\n',
    "empty.parquet": b"",
    "magic.parquet": b"PAR1" + bytes(40) + b"PAR1",
    "cut.parquet": b"PAR1\x15\x04",
    "unknown.en": b"a\n",
    "unknown": b"a\n",
}


@pytest.fixture(autouse=True)
def private_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_an_error_of_ours_with_the_path(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(DAMAGED[name])
    with pytest.raises(DatasetError) as caught:
        Copy(dataset=str(path))
    assert str(path) in str(caught.value)
    assert "generating the dataset" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_row_of_a_broken_line_is_named(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(DAMAGED["line30.jsonl"])
    with pytest.raises(DatasetError, match="line 30 is no JSON"):
        Copy(dataset=str(path))
    path.write_text('{"text": "a"}\n' * 29 + '{"text": \n' + '{"text": "a"}\n')
    with pytest.raises(DatasetError, match=r"line 30 is no JSON: Expecting value"):
        Copy(dataset=str(path))
    path.write_text('{"text": "a"}\n' * 3 + "[5]\n")
    with pytest.raises(DatasetError, match=r"line 4 is no JSON object"):
        Copy(dataset=str(path))


def test_a_parquet_file_without_rows(tmp_path):
    datasets.Dataset.from_dict({"text": []}).to_parquet(tmp_path / "none.parquet")
    with pytest.raises(DatasetError, match=r"none\.parquet"):
        Copy(dataset=str(tmp_path / "none.parquet"))


@pytest.mark.parametrize("name", ["glob[1].csv", "star*.csv", "what?.csv", "[a]{b}.csv", "sp ace.csv", "UPPER.CSV"])
def test_the_name_of_a_file_is_no_pattern(tmp_path, name):
    (tmp_path / name).write_text("text\na\nb\n")
    (tmp_path / "glob1.csv").write_text("text\nwrong\n")
    assert [Copy(dataset=str(tmp_path / name))[i].references for i in range(2)] == [("a",), ("b",)]


@pytest.mark.parametrize(
    "dataset", [5, None, b"x", {"text": ["a"]}, [], ["a"], [1, 2], "", " ", "a\0b", "~nobody/x.csv"]
)
def test_what_is_no_dataset(dataset):
    with pytest.raises(DatasetError):
        load_rows(dataset, "train", {"prompt": "text"})


@pytest.mark.parametrize("columns", ["text", 5, ["text"], {"prompt": 5}, {"prompt": ["a"]}, {"prompt": None}, {5: "a"}])
def test_columns_that_make_no_sense(columns):
    with pytest.raises(DatasetError):
        Translation(dataset=datasets.Dataset.from_dict({"a": ["x"]}), columns=columns)


@pytest.mark.parametrize("load_kwargs", [5, "x", ["token"]])
def test_load_kwargs_that_are_no_dict(load_kwargs, tmp_path):
    (tmp_path / "x.csv").write_text("text\na\n")
    with pytest.raises(DatasetError, match="load_kwargs"):
        load_rows(str(tmp_path / "x.csv"), "train", {"prompt": "text"}, load_kwargs=load_kwargs)


def test_a_hub_name_is_refused_at_once_where_there_is_no_connection(monkeypatch):
    def unknown(*arguments):
        raise OSError("Name or service not known")

    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("textgym.border.socket.getaddrinfo", unknown)
    with pytest.raises(DatasetError, match="no connection to the Hugging Face hub"):
        Copy(dataset="nobody/nothing")
    import huggingface_hub.constants

    assert huggingface_hub.constants.HF_HUB_OFFLINE is False


def test_several_reference_columns():
    rows = {"source": ["One.", "Two."], "s1": ["a", "b"], "s2": ["c", None], "s3": ["a", "d"]}
    task = Summarization(
        dataset=datasets.Dataset.from_dict(rows), columns={"prompt": "source", "references": ["s1", "s2", "s3"]}
    )
    assert [task[i].references for i in range(2)] == [("a", "c"), ("b", "d")]


@pytest.mark.parametrize("as_list", [False, True])
def test_parallel_text_files(tmp_path, as_list):
    files = [tmp_path / "train.en", tmp_path / "train.de"]
    files[0].write_text("A dog.\nA cat, a cow.\n", encoding="utf-8")
    files[1].write_text("Ein Hund.\nEine Katze, eine Kuh.", encoding="utf-8")
    dataset = [str(file) for file in files] if as_list else ",".join(map(str, files))
    task = Translation(dataset=dataset, columns={"prompt": "en", "references": "de"})
    assert [task[i].references for i in range(2)] == [("Ein Hund.",), ("Eine Katze, eine Kuh.",)]
    files[1].write_text("Ein Hund.\n", encoding="utf-8")
    with pytest.raises(DatasetError, match=r"train\.en has 2.*train\.de has 1"):
        Translation(dataset=dataset, columns={"prompt": "en", "references": "de"})
    files[1].write_bytes(b"\xe4\n")
    with pytest.raises(DatasetError, match=r"train\.de.*utf-8"):
        Translation(dataset=dataset, columns={"prompt": "en", "references": "de"})
    files[1].unlink()
    with pytest.raises(DatasetError, match=r"no file.*train\.de"):
        Translation(dataset=dataset, columns={"prompt": "en", "references": "de"})


def test_a_tenth_of_a_dataset_with_one_split_is_held_out(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"text": f"text {i % 40}"}) + "\n" for i in range(80)), encoding="utf-8")

    def texts(split, dataset=str(path)):
        task = Copy(split, dataset=dataset)
        return [task[i].references[0] for i in range(len(task))]

    held_out, others = texts("held_out"), texts("not_held_out")
    assert len(held_out) == 4  # of 40 prompts: rows with one prompt stay together
    assert sorted(held_out + others) == sorted(texts("train"))
    assert held_out == texts("held_out", datasets.Dataset.from_json(str(path)))
    with pytest.raises(DatasetError, match=r"no split 'validation'.*train.*'held_out'"):
        texts("validation")
    assert only_split(str(path)) == "train"


def test_one_prompt_is_too_few_to_hold_some_out():
    with pytest.raises(DatasetError, match="one prompt"):
        Copy("held_out", dataset=datasets.Dataset.from_dict({"text": ["a", "a"]}))


@pytest.mark.parametrize("split", [5, None, ["train"], "", "held_outs", "train[", "train[:x%]", "train+"])
def test_splits_that_are_none(split, tmp_path):
    (tmp_path / "x.csv").write_text("text\na\n")
    with pytest.raises(DatasetError):
        load_rows(str(tmp_path / "x.csv"), split, {"prompt": "text"})
