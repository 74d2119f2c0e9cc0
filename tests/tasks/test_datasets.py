"""Tasks on real datasets: every way to load one, the columns, merged rows, and each error."""

import copy
import json
import pickle
from pathlib import Path

import datasets
import pytest

import textgym
from textgym.errors import ConfigError, DatasetError
from textgym.rewards import parse_reward
from textgym.tasks import TASKS, Copy, DataToText, SentimentContinuation, Summarization, Translation
from textgym.tasks.base import OF_DATASETS_TOO
from textgym.tasks.dataset import load_rows

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"

E2E = [
    {
        "meaning_representation": "name[The Eagle], food[French], familyFriendly[yes]",
        "human_reference": "Eat at Eagle.",
    },
    {"meaning_representation": "name[The Mill], food[English]", "human_reference": "The Mill serves English food."},
    {
        "meaning_representation": "name[The Eagle], food[French], familyFriendly[yes]",
        "human_reference": "French Eagle.",
    },
    {"meaning_representation": "name[The Mill], food[English]", "human_reference": "The Mill serves English food."},
]


@pytest.fixture(autouse=True)
def private_cache(tmp_path, monkeypatch):
    """What `datasets` prepares goes away with the test."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))


def save(folder, rows, split="train", ending="parquet"):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{split}.{ending}"
    if ending == "parquet":
        datasets.Dataset.from_list(rows).to_parquet(str(path))
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_rows_with_the_same_prompt_are_merged_in_order(tmp_path):
    save(tmp_path / "e2e", E2E)
    task = DataToText(dataset=str(tmp_path / "e2e"))
    assert len(task) == 2
    assert task[0].text == "Data: name[The Eagle], food[French], familyFriendly[yes]\nText:"
    assert task[0].references == ("Eat at Eagle.", "French Eagle.")
    assert task[0].metadata == {"keywords": ("The Eagle", "French")}
    assert task[1].references == ("The Mill serves English food.",)


def ways_to_load(tmp_path):
    folder = tmp_path / "rows"
    parquet = save(folder / "parquet", E2E)
    save(folder / "parquet", E2E[:1], "test")
    lines = save(folder / "lines", E2E, ending="jsonl")
    loaded = datasets.Dataset.from_list(E2E)
    loaded.save_to_disk(str(folder / "disk"))
    datasets.DatasetDict(train=loaded).save_to_disk(str(folder / "disk_dict"))
    return {
        "folder": {"dataset": str(folder / "parquet")},
        "path object": {"dataset": folder / "parquet"},
        "parquet file": {"dataset": str(parquet)},
        "jsonl file": {"dataset": str(lines)},
        "loader and data_files": {"dataset": "json", "load_kwargs": {"data_files": str(lines)}},
        "saved dataset": {"dataset": str(folder / "disk")},
        "saved dict": {"dataset": str(folder / "disk_dict")},
        "Dataset": {"dataset": loaded},
        "DatasetDict": {"dataset": datasets.DatasetDict(train=loaded)},
    }


def test_every_way_to_load_gives_the_same_prompts(tmp_path):
    expected = [DataToText(dataset=datasets.Dataset.from_list(E2E))[index] for index in range(2)]
    for way, arguments in ways_to_load(tmp_path).items():
        task = DataToText(**arguments)
        assert [task[index] for index in range(len(task))] == expected, way


def test_a_part_of_a_split_can_be_asked_for(tmp_path):
    save(tmp_path / "e2e", E2E)
    save(tmp_path / "e2e", E2E, "test")
    assert len(DataToText("train[:1]", dataset=str(tmp_path / "e2e"))) == 1
    assert len(DataToText("train[:1]+test", dataset=str(tmp_path / "e2e"))) == 2


def test_tasks_on_datasets_can_be_copied_and_pickled():
    task = DataToText(dataset=datasets.Dataset.from_list(E2E))
    for twin in (copy.deepcopy(task), pickle.loads(pickle.dumps(task))):
        assert [twin[index] for index in range(2)] == [task[index] for index in range(2)]


def test_lists_are_joined_as_prompts_and_pooled_as_references():
    rows = [{"source": ["One.", "Two."], "target": ["A.", "B."]}, {"source": ["One.", "Two."], "target": ["B.", "C."]}]
    task = Summarization(dataset=datasets.Dataset.from_list(rows))
    assert task[0].text == "Story: One. Two.\nSummary:"
    assert task[0].references == ("A.", "B.", "C.")
    assert len(task) == 1


@pytest.mark.parametrize("typed", [False, True])
def test_dots_step_into_nested_columns(typed):
    features = datasets.Features({"translation": datasets.Translation(["en", "de"])}) if typed else None
    rows = [{"translation": {"en": "A dog.", "de": "Ein Hund."}}]
    task = Translation(dataset=datasets.Dataset.from_list(rows, features=features))
    assert task[0].text == "English: A dog.\nGerman:"
    assert task[0].references == ("Ein Hund.",)
    turned = Translation(
        dataset=datasets.Dataset.from_list(rows, features=features),
        columns={"prompt": "translation.de", "references": "translation.en"},
        template="German: {prompt}\nEnglish:",
    )
    assert turned[0].text == "German: Ein Hund.\nEnglish:"
    with pytest.raises(DatasetError, match=r"no column 'translation\.fr'.*translation\.en, translation\.de"):
        Translation(
            dataset=datasets.Dataset.from_list(rows, features=features), columns={"references": "translation.fr"}
        )


def test_a_column_may_have_a_dot_in_its_name():
    rows = [{"my.text": "a b", "my": {"deep.er": "c d"}}]
    assert Copy(dataset=datasets.Dataset.from_list(rows), columns={"prompt": "my.text"})[0].references == ("a b",)


def test_copy_takes_a_text_as_its_own_reference():
    task = Copy(dataset=datasets.Dataset.from_list([{"text": "a b c"}]))
    assert task[0].text == "Words: a b c\nCopy:"
    assert task[0].references == ("a b c",)


REVIEWS = [
    {"text": "the film begins well and goes on even better", "label": 1},
    {"text": "the film begins well and then it falls apart", "label": 0},
    {"text": "a bad one that nobody should ever have made", "label": 0},
    {"text": "too short", "label": 1},
]


def test_reviews_are_split_into_opening_and_rest():
    task = SentimentContinuation(dataset=datasets.Dataset.from_list(REVIEWS), prefix_words=4)
    assert len(task) == 2
    assert task[0].text == "Review: the film begins well"
    assert task[0].references == ("and goes on even better",)
    assert task[0].metadata == {"label": 1}
    assert task[1].text == "Review: a bad one that"
    assert task[1].references == ()
    assert task[1].metadata == {"label": 0}


def test_where_a_review_has_no_reference_no_metric_compares_with_references():
    source = {"dataset": datasets.Dataset.from_list(REVIEWS), "prefix_words": 4}
    assert SentimentContinuation(**source).metrics == ("sentiment", "distinct2", "length")
    happy = {**source, "dataset": datasets.Dataset.from_list([row for row in REVIEWS if row["label"] == 1])}
    assert SentimentContinuation(**happy).metrics == SentimentContinuation.metrics


def test_reviews_may_have_no_label_or_another_one():
    plain = datasets.Dataset.from_list([{"text": row["text"]} for row in REVIEWS])
    assert len(SentimentContinuation(dataset=plain, prefix_words=4)[0].references) == 2
    stars = datasets.Dataset.from_list([{"text": row["text"], "stars": "five"} for row in REVIEWS])
    task = SentimentContinuation(dataset=stars, prefix_words=4, columns={"label": "stars"}, positive_label="five")
    assert len(task[0].references) == 2
    with pytest.raises(DatasetError, match=r"no column 'lable', looked for as the label.*It has: text"):
        SentimentContinuation(dataset=plain, columns={"label": "lable"})


def test_reviews_that_are_all_too_short():
    with pytest.raises(DatasetError, match="No review has more than prefix_words=50 words"):
        SentimentContinuation(dataset=datasets.Dataset.from_list(REVIEWS), prefix_words=50)


def test_braces_in_a_dataset_are_left_alone():
    task = Copy(dataset=datasets.Dataset.from_list([{"text": "{prompt} {x} %s \\1"}]))
    assert task[0].text == "Words: {prompt} {x} %s \\1\nCopy:"


@pytest.mark.parametrize(
    "dataset", ["./nowhere", "/nowhere/at/all", "~/nowhere-at-all", "nowhere.jsonl", Path("nowhere")]
)
def test_a_missing_path(dataset):
    with pytest.raises(DatasetError, match=r"doesn't exist \(looked at /"):
        DataToText(dataset=dataset)


def test_a_file_that_is_no_dataset(tmp_path):
    broken = tmp_path / "rows.parquet"
    broken.write_text("no parquet at all")
    with pytest.raises(DatasetError, match=r"Can't load dataset .*rows\.parquet"):
        DataToText(dataset=str(broken))


def test_an_empty_folder(tmp_path):
    with pytest.raises(DatasetError, match="Can't load dataset"):
        DataToText(dataset=str(tmp_path))


def test_secret_arguments_are_not_in_messages(tmp_path):
    with pytest.raises(DatasetError) as caught:
        DataToText(dataset=str(tmp_path), load_kwargs={"token": "hf_secret"})
    assert "with token" in str(caught.value)
    assert "hf_secret" not in str(caught.value)


def test_missing_columns_name_what_there_is():
    table = datasets.Dataset.from_list([{"meaning_representations": "x", "reference": "y"}])
    with pytest.raises(
        DatasetError,
        match=r"no column 'meaning_representation', looked for as the prompt.*"
        r"It has: meaning_representations, reference\. Did you mean 'meaning_representations'\?.*columns=",
    ):
        DataToText(dataset=table)


def test_unknown_roles_name_those_that_there_are():
    with pytest.raises(DatasetError, match=r"the key 'reference', which.*Did you mean 'references'"):
        DataToText(dataset=datasets.Dataset.from_list(E2E), columns={"reference": "human_reference"})
    with pytest.raises(DatasetError, match="columns\\['prompt'\\] is 3"):
        DataToText(dataset=datasets.Dataset.from_list(E2E), columns={"prompt": 3})


def test_an_unknown_split_is_never_replaced(tmp_path):
    save(tmp_path / "e2e", E2E)
    save(tmp_path / "e2e", E2E, "test")
    for dataset in (str(tmp_path / "e2e"), datasets.load_dataset(str(tmp_path / "e2e"))):
        with pytest.raises(DatasetError, match=r"no split 'validation' in .*It has: train, test\."):
            DataToText("validation", dataset=dataset)
    with pytest.raises(DatasetError, match="Did you mean 'test'"):
        DataToText("tests", dataset=str(tmp_path / "e2e"))


def test_an_empty_split():
    table = datasets.Dataset.from_list(E2E).select([])
    with pytest.raises(DatasetError, match="has no rows"):
        DataToText(dataset=table)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"text": "fine"}, {"text": None}], r"Row 1 .*'None' \(NoneType\) in column 'text', expected text"),
        ([{"text": 7}], r"Row 0 .*'7' \(int\) in column 'text'"),
        ([{"text": ["fine", None]}], r"Row 0 .*\(NoneType\)"),
        ([{"text": {"inner": "x"}}], r"no column|expected text"),
    ],
)
def test_values_that_are_no_text(rows, message):
    with pytest.raises(DatasetError, match=message):
        Copy(dataset=datasets.Dataset.from_list(rows))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dataset": 3}, "dataset is a int, expected a path"),
        ({"dataset": [{"text": "x"}]}, "dataset is a list, expected a path"),
        ({"dataset": "json", "load_kwargs": {"trust_remote_code": True}}, "trust_remote_code=True is not supported"),
        ({"dataset": "json", "load_kwargs": {"streaming": True}}, "streaming=True needs max_rows"),
        (
            {"dataset": datasets.Dataset.from_list([{"text": "x"}]), "load_kwargs": {"revision": "main"}},
            "revision can't be used",
        ),
    ],
)
def test_datasets_that_cannot_be_used(arguments, message):
    with pytest.raises(DatasetError, match=message):
        Copy(**arguments)


def test_a_template_needs_a_place_for_the_prompt():
    with pytest.raises(ConfigError, match=r"exactly one \{prompt\}"):
        Copy(dataset=datasets.Dataset.from_list([{"text": "x"}]), template="x")


def test_rows_may_come_without_references():
    rows = load_rows(datasets.Dataset.from_list([{"q": "x", "n": 1}]), "train", {"prompt": "q", "number": "n"})
    assert (rows[0].prompt, rows[0].references, rows[0].extra) == ("x", (), {"number": 1})


REAL = [
    ("DataToText", "e2e_nlg", "test", "Data: name["),
    ("Summarization", "scitldr", "validation", "Story: "),
    ("Translation", "xquad.en-de", "test", "English: "),
    ("SentimentContinuation", "rotten_tomatoes", "validation", "Review: "),
    ("SentimentContinuation", "movie_reviews", "test", "Review: "),
    ("Arithmetic", "gsm8k", "test", "Problem: "),
    ("Classification", "rotten_tomatoes", "test", "Text: "),
    ("QuestionAnswering", "xquad.en", "test", "Question: "),
    ("QuestionAnswering", "xquad.de", "test", "Question: "),
    ("QuestionAnswering", "xquad.zh", "test", "问题："),
]


@pytest.mark.parametrize(("name", "folder", "split", "beginning"), REAL)
def test_real_datasets_in_their_hub_layout(name, folder, split, beginning):
    if not (SHARED / folder).is_dir():
        pytest.skip(f"the real dataset {folder} is not beside this checkout (looked in {SHARED})")
    language = {"language": "zh"} if folder.endswith(".zh") else {}
    task = TASKS[name](split, dataset=str(SHARED / folder), **language)
    prompts = [task[index] for index in range(len(task))]
    assert len(prompts) > 100
    assert len({prompt.text for prompt in prompts}) == len(prompts)
    assert all(prompt.text.startswith(beginning) for prompt in prompts)
    assert any(len(prompt.references) >= 1 for prompt in prompts)
    if name == "QuestionAnswering":  # answers are words of the text, and score as the tokens of their script
        assert all(prompt.references[0] in prompt.text for prompt in prompts)
        if folder.endswith("zh"):
            sample = textgym.Sample("", f"{prompts[0].references[0]}。", prompts[0].references)
            assert textgym.score_samples(parse_reward("token_f1"), [sample])[0].value == 1
    if name == "DataToText":
        assert sum(len(prompt.references) for prompt in prompts) / len(prompts) > 3
        assert all(prompt.metadata["keywords"] for prompt in prompts)


def test_examples_of_programs_are_tests():
    rows = [{"examples": "3 1 2 -> 1 2 3; 9 -> 9", "program": "sort"}, {"examples": "1 -> none"}]
    task = TASKS["ProgramInduction"](dataset=datasets.Dataset.from_list(rows[:1]))
    assert task[0].text == "Examples: 3 1 2 -> 1 2 3; 9 -> 9\nProgram:"
    assert task[0].references == ("sort",)
    assert task[0].metadata["tests"] == (((3, 1, 2), (1, 2, 3)), ((9,), (9,)))
    task = TASKS["ProgramInduction"](dataset=datasets.Dataset.from_list(rows[1:]))
    assert (task[0].references, task[0].metadata["tests"]) == ((), (((1,), ()),))
    for wrong in ("3 1 2", "3 -> x", "3 ->", "-> 3", "", "3 -> 1;"):
        with pytest.raises(DatasetError, match=r"expected pairs such as '3 1 2 -> 1 2; 9 4 -> 4 9'"):
            TASKS["ProgramInduction"](dataset=datasets.Dataset.from_list([{"examples": wrong}]))


def test_solutions_of_gsm8k_lose_their_annotations_and_need_an_answer():
    rows = [
        {"question": "How many?", "answer": "He sold 48/2 = <<48/2=24>>24 clips.\n#### 24"},
        {"question": "How far?", "answer": "1,200"},
    ]
    task = TASKS["Arithmetic"](dataset=datasets.Dataset.from_list(rows))
    assert task[0] == textgym.Prompt("Problem: How many?\nSolution:", ("He sold 48/2 = 24 clips.\n#### 24",))
    assert task[1].references == ("#### 1,200",)
    for wrong in ("a dozen", "#### twelve", "", "#### 3 #### 4"):
        with pytest.raises(DatasetError, match=r"of the question 'How many.'.* doesn't end with '####' and a number"):
            TASKS["Arithmetic"](dataset=datasets.Dataset.from_list([{"question": "How many?", "answer": wrong}]))


@pytest.mark.parametrize("concepts", [["ski", "mountain"], "ski mountain", "ski, mountain"])
def test_concepts_are_listed_and_counted(concepts):
    rows = [{"concepts": concepts, "target": "He skis."}, {"concepts": concepts, "target": "A mountain to ski."}]
    task = TASKS["ConceptsToSentence"](dataset=datasets.Dataset.from_list(rows))
    assert len(task) == 1
    assert task[0].text == "Concepts: ski, mountain\nSentence:"
    assert task[0].references == ("He skis.", "A mountain to ski.")
    assert task[0].metadata == {"keywords": ("ski", "mountain")}


def test_questions_and_stories_are_joined_and_no_answer_is_an_answer():
    rows = [
        {"question": "Who?", "context": "Mia ran.", "answers": {"text": ["Mia", "Mia"]}},
        {"question": "Who?", "context": "Leo ran.", "answers": {"text": ["Leo"]}},
        {"question": "Why?", "context": "Leo ran.", "answers": {"text": []}},
    ]
    task = TASKS["QuestionAnswering"](dataset=datasets.Dataset.from_list(rows))
    assert [task[i].text for i in range(2)] == [
        f"Question: Who?\nStory: {name} ran.\nAnswer:" for name in ("Mia", "Leo")
    ]
    assert [task[i].references for i in range(3)] == [("Mia",), ("Leo",), ("",)]


def test_labels_are_named_and_listed():
    rows = [{"text": "Fine.", "label": 1}, {"text": "Bad.", "label": 0}, {"text": "Fine.", "label": 0}]
    task = TASKS["Classification"](dataset=datasets.Dataset.from_list(rows))
    assert [task[i].text for i in range(2)] == [
        f"Text: {text}\nLabels: negative, positive\nLabel:" for text in ("Fine.", "Bad.")
    ]
    assert [task[i].references for i in range(2)] == [("positive",), ("negative",)]
    assert task[0].metadata == {"labels": ("negative", "positive")}
    rows = [{"text": f"Text {i}.", "kind": f" kind {i % 3}"} for i in range(9)]
    task = TASKS["Classification"](dataset=datasets.Dataset.from_list(rows), columns={"label": "kind"})
    assert task[4].text == "Text: Text 4.\nLabels: kind 0, kind 1, kind 2\nLabel:"
    assert task[4].references == ("kind 1",)
    rows = [{"text": f"Text {i}.", "label": f"kind {i}"} for i in range(31)]
    assert TASKS["Classification"](dataset=datasets.Dataset.from_list(rows))[0].text == "Text: Text 0.\nLabel:"


@pytest.mark.parametrize("label", [2, -1, None, 1.5, "", " ", True])
def test_labels_without_a_name(label):
    with pytest.raises(DatasetError, match=r"'Fine.' has the label .*expected text or a number from 0 to 1, for neg"):
        TASKS["Classification"](dataset=datasets.Dataset.from_list([{"text": "Fine.", "label": label}]))


@pytest.mark.parametrize("labels", ["good", ("good", 3), ("good", " ")])
def test_names_of_labels_that_make_no_sense(labels):
    with pytest.raises(ConfigError, match="expected the names of a dataset's labels"):
        TASKS["Classification"](labels=labels)


@pytest.mark.parametrize("name", [name for name in TASKS if {*TASKS[name].variants} - {*OF_DATASETS_TOO}])
def test_datasets_have_no_variants_but_languages(name):
    for argument, values in TASKS[name].variants.items():
        if argument in OF_DATASETS_TOO:
            continue
        with pytest.raises(ConfigError, match=rf"{argument}=.*is understood only without dataset"):
            TASKS[name](dataset=datasets.Dataset.from_list([{"text": "x"}]), **{argument: values[-1]})
