"""Any dataset as a registered task, in one call."""

import json
import pickle

import datasets
import gymnasium
import pytest

import textgym
from textgym.errors import ConfigError, DatasetError, TextGymError, UnknownArgumentError
from textgym.tasks.dataset import load_rows

ROWS = [
    {"story": "Mia lost a key.", "question": "Who?", "answers": {"text": ["Mia", "Mia herself"]}, "level": 1},
    {"story": "Leo found it.", "question": "Who?", "answers": {"text": ["Leo"]}, "level": 2},
    {"story": "Leo found it.", "question": "Who?", "answers": {"text": ["the boy"]}, "level": 3},
]
QUESTIONS = {"prompt": "{story} {question}", "references": "answers.text", "reward": "exact_match"}


@pytest.fixture(autouse=True)
def clean_registry():
    before = dict(gymnasium.registry)
    yield
    gymnasium.registry.clear()
    gymnasium.registry.update(before)


@pytest.fixture
def folder(tmp_path):
    for split, rows in (("train", ROWS), ("test", ROWS[:1])):
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def test_a_folder_is_a_task_with_splits_in_one_call(folder):
    id = textgym.from_dataset(folder, **QUESTIONS, id="mine/Questions-v0", metadata=["level"], max_new_tokens=8)
    assert id == "mine/Questions-v0"
    task = gymnasium.make(id).unwrapped.task
    # The same question about two stories is two prompts; the same about one story is one, with all its answers.
    assert [prompt.text for prompt in task] == ["Mia lost a key. Who?", "Leo found it. Who?"]
    assert [prompt.references for prompt in task] == [("Mia", "Mia herself"), ("Leo", "the boy")]
    assert [prompt.metadata for prompt in task] == [{"level": 1}, {"level": 2}]
    assert len(gymnasium.make(id, split="test").unwrapped.task) == 1
    env = textgym.wrappers.CompletionAction(gymnasium.make(id))
    env.reset(options={"prompt_id": 1})
    assert env.step(" Leo")[1] == 1.0


def test_its_environments_are_checked_pickled_and_written_as_json(folder):
    id = textgym.from_dataset(str(folder), **QUESTIONS, id="mine/Questions-v0")
    env = gymnasium.make(id)
    textgym.checker.check_text_env(env.unwrapped)
    assert json.loads(env.spec.to_json())["id"] == id
    assert pickle.loads(pickle.dumps(env.spec)).make().unwrapped.task[1].text == "Leo found it. Who?"
    assert len(gymnasium.make_vec(id, num_envs=2).reset(seed=0)[1]["prompt"]) == 2


def test_a_name_of_its_own(tmp_path):
    (tmp_path / "my stories_2.csv").write_text("a,b\nOnce.,Twice.\n")
    id = textgym.from_dataset(tmp_path / "my stories_2.csv", prompt="a", references="b", reward=None)
    assert id == "data/MyStories2-v0"
    assert gymnasium.make(id).unwrapped.task.name == "MyStories2"
    with pytest.raises(ConfigError, match=r"A Dataset has no name\. Give the task an id"):
        textgym.from_dataset(datasets.Dataset.from_list(ROWS), prompt="story", reward=None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prompt": "{story} {qestion}"}, "no column 'qestion'.*Did you mean 'question'"),
        ({"references": "level"}, r"Row 0 of .* has '1' \(int\) in column 'level', expected text"),
        ({"prompt": "{story} {level}"}, r"Row 0 of .* has '1' \(int\) in column 'level', expected text"),
        ({"metadata": "level"}, r"metadata='level', expected a list of columns, such as \['level'\]"),
        ({"metadata": {"prompt": "level"}}, r"has the name 'prompt'.*\{'other': 'level'\}"),
        ({"max_rows": 0}, "max_rows=0, expected a whole number of at least 1"),
        ({"split": "tset"}, "no split 'tset'.*Did you mean 'test'"),
        ({"load_kwargs": {"streaming": True}}, "streaming=True needs max_rows"),
        ({"max_new_token": 3}, "unexpected keyword argument 'max_new_token'. Did you mean 'max_new_tokens'"),
        ({"reward": "exact_mach"}, "exact_mach.*Did you mean 'exact_match'"),
    ],
)
def test_what_is_wrong_is_said_at_once_and_leaves_no_id(folder, change, message):
    with pytest.raises((TextGymError, UnknownArgumentError), match=f"(?s){message}"):
        textgym.from_dataset(str(folder), **{**QUESTIONS, "id": "mine/Wrong-v0", **change})
    assert "mine/Wrong-v0" not in gymnasium.registry


def test_a_failed_call_leaves_the_task_that_had_the_id(folder):
    textgym.from_dataset(str(folder), **QUESTIONS, id="mine/Questions-v0")
    with pytest.raises(DatasetError):
        textgym.from_dataset(str(folder), **{**QUESTIONS, "prompt": "nothing"}, id="mine/Questions-v0")
    assert len(gymnasium.make("mine/Questions-v0").unwrapped.task) == 2


def test_blank_rows_are_an_error_or_left_out():
    rows = datasets.Dataset.from_dict({"a": ["x", " ", "y", "z"], "b": ["1", "2", "", "3"]})
    ask = {"prompt": "a", "references": "b", "reward": None, "id": "mine/Blank-v0"}
    with pytest.raises(DatasetError, match=r"2 of 4 prompts of split 'train' are blank.*skip_blank=True"):
        textgym.from_dataset(rows, **ask)
    textgym.from_dataset(rows, **ask, skip_blank=True)
    assert [prompt.text for prompt in gymnasium.make("mine/Blank-v0").unwrapped.task] == ["x", "z"]
    with pytest.raises(DatasetError, match="Every prompt of split 'train' is blank"):
        textgym.from_dataset(rows.select([1, 2]), **ask, skip_blank=True)


@pytest.mark.parametrize("streaming", [False, True])
def test_the_first_rows_alone(folder, streaming):
    more = {"load_kwargs": {"streaming": True}} if streaming else {}
    rows = load_rows(str(folder), "train", {"prompt": "story"}, max_rows=1, **more)
    assert [row.prompt for row in rows] == ["Mia lost a key."]
    everything = load_rows(str(folder), "train", {"prompt": "story"}, max_rows=99, **more)
    assert [row.prompt for row in everything] == ["Mia lost a key.", "Leo found it."]


def test_streaming_reads_names_and_folders(folder):
    arguments = {"max_rows": 2, "load_kwargs": {"streaming": True}}
    with pytest.raises(DatasetError, match="is neither"):
        load_rows(str(folder / "train.jsonl"), "train", {"prompt": "story"}, **arguments)
    with pytest.raises(DatasetError, match="is neither"):
        load_rows(datasets.Dataset.from_list(ROWS), "train", {"prompt": "story"}, **arguments)
    with pytest.raises(DatasetError, match="no split 'dev'"):
        load_rows(str(folder), "dev", {"prompt": "story"}, **arguments)


def test_a_column_whose_name_has_braces_is_that_column():
    table = datasets.Dataset.from_dict({"{a}": ["one"], "a": ["two"]})
    assert load_rows(table, "train", {"prompt": "{a}"})[0].prompt == "one"
    assert load_rows(table, "train", {"prompt": "{a}!"})[0].prompt == "two!"


def test_braces_within_values_stay_as_they_are():
    table = datasets.Dataset.from_dict({"a": ["{b} {a}"], "b": ["\\1 {"]})
    assert load_rows(table, "train", {"prompt": "{a}|{b}"})[0].prompt == "{b} {a}|\\1 {"


def test_a_document_of_a_hundred_thousand_words_is_cut_with_a_warning():
    table = datasets.Dataset.from_dict({"text": ["word " * 100_000 + "the end"]})
    id = textgym.from_dataset(table, id="mine/Long-v0", prompt="text", reward=None, max_prompt_tokens=16)
    env = gymnasium.make(id)
    with pytest.warns(UserWarning, match="are truncated on the left"):
        _, info = env.reset()
    assert info["prompt_truncated"] > 99_000
