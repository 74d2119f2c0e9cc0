"""Dialogues and preferences of datasets: turns become contexts and replies, transcripts a prompt with two replies."""

from pathlib import Path

import datasets
import gymnasium
import pytest

from textgym.core import Prompt
from textgym.errors import ConfigError, DatasetError
from textgym.tasks import Alignment, DialogueReply

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"

SGD = [
    {"speaker": "USER", "utterance": "I need  a cab.", "acts": ["INFORM_INTENT:intent"]},
    {"speaker": "SYSTEM", "utterance": "Where to?", "acts": ["REQUEST:destination"]},
    {"speaker": "USER", "utterance": "To the station.", "acts": []},
    {"speaker": "SYSTEM", "utterance": "It is on its way.", "acts": []},
]
MTS = "Doctor: How are you? \nPatient: Well.\nAnd you?\n\n Doctor: I am fine, too.\nPatient:"
HH = "\n\nHuman: Hi.\n\nAssistant: Hello.\n\nHuman: How do I tie a knot?\n\nAssistant:"


@pytest.fixture(autouse=True)
def private_cache(tmp_path, monkeypatch):
    """What `datasets` prepares goes away with the test."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))


def rows(*values):
    return datasets.Dataset.from_list([*values])


def prompts(task):
    return [task[index] for index in range(len(task))]


def test_each_turn_of_the_speaker_follows_those_before_it():
    other = [SGD[0], {**SGD[1], "utterance": "What is your destination?"}]
    task = DialogueReply(dataset=rows({"turns": SGD}, {"turns": other}, {"turns": SGD}))
    assert prompts(task) == [
        Prompt(
            "Dialogue: USER: I need a cab.\nSYSTEM:",
            ("Where to?", "What is your destination?"),
            {"acts": ("REQUEST:destination",)},
        ),
        Prompt(
            "Dialogue: USER: I need a cab.\nSYSTEM: Where to?\nUSER: To the station.\nSYSTEM:", ("It is on its way.",)
        ),
    ]
    assert task.training_completions(1) == ("It is on its way.",)
    assert DialogueReply(dataset=rows({"turns": SGD}), context=1)[1].text == "Dialogue: USER: To the station.\nSYSTEM:"


def test_texts_with_a_line_for_each_turn():
    task = DialogueReply(dataset=rows({"dialogue": MTS}), columns={"prompt": "dialogue"}, speaker="Doctor")
    assert prompts(task) == [
        Prompt("Dialogue: Doctor: How are you?\nPatient: Well. And you?\nDoctor:", ("I am fine, too.",))
    ]
    patient = DialogueReply(dataset=rows({"dialogue": MTS}), columns={"prompt": "dialogue"}, speaker="Patient")
    assert [prompt.references for prompt in prompts(patient)] == [("Well. And you?",)]


def test_messages_of_chats_and_pairs_of_context_and_reply():
    chat = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
    task = DialogueReply(dataset=rows({"messages": chat}), columns={"prompt": "messages"}, speaker="assistant")
    assert task[0] == Prompt("Dialogue: user: Hi\nassistant:", ("Hello.",))
    pairs = rows({"turns": "Ann: Hi", "reply": "Hello."}, {"turns": "Ann: Hi", "reply": "Good day."})
    task = DialogueReply(dataset=pairs, speaker="Bob", template="{prompt}")
    assert prompts(task) == [Prompt("Ann: Hi\nBob:", ("Hello.", "Good day."))]
    contexts = rows({"turns": chat[:1], "reply": "Hello."})
    assert DialogueReply(dataset=contexts, speaker="assistant")[0] == Prompt(
        "Dialogue: user: Hi\nassistant:", ("Hello.",)
    )


def test_whole_dialogues_are_held_out():
    talks = [[{"speaker": "USER", "utterance": f"I am {i}."}, *SGD[1:]] for i in range(20)]
    table = datasets.DatasetDict(train=rows(*({"turns": turns} for turns in talks)))
    parts = [
        {prompt.text.split("\n")[0] for prompt in prompts(DialogueReply(part, dataset=table))}
        for part in ("held_out", "not_held_out")
    ]
    assert [len(part) for part in parts] == [2, 18]
    assert not parts[0] & parts[1]


@pytest.mark.parametrize(
    ("value", "arguments", "message"),
    [
        (SGD, {"speaker": "Clerk"}, r"No turn of 1 dialogues is by 'Clerk' .*speakers are: SYSTEM, USER\. Say who"),
        (SGD[1:2], {}, r"No turn of 1 dialogues is by 'SYSTEM' and has another before it"),
        ("no speaker at all", {}, r"The dialogue 'no speaker at all' has no turns, expected lines such as 'Doctor"),
        ("", {}, r"has no turns"),
        ([{"who": "me", "utterance": "Hi"}], {}, r"A turn of a dialogue is .*expected one with 'speaker' and 'utter"),
        ([{"speaker": "me", "utterance": None}], {}, r"A turn of a dialogue is"),
        (3, {}, r"expected text"),
    ],
)
def test_dialogues_that_are_none(value, arguments, message):
    with pytest.raises(DatasetError, match=message):
        DialogueReply(dataset=rows({"turns": value}), **arguments)


@pytest.mark.parametrize("arguments", [{"speaker": ""}, {"speaker": 3}, {"context": 0}, {"context": "8"}])
def test_arguments_that_make_no_sense(arguments):
    with pytest.raises(ConfigError, match=f"{next(iter(arguments))}="):
        DialogueReply(**arguments)


def test_no_prompt_carries_careless_replies_and_half_of_what_is_trained_on_is_bad():
    for task, bad in ((DialogueReply(), None), (Alignment(), "rejected")):
        for index in range(20):
            prompt, taught = task[index], task.training_completions(index)
            assert "careless" not in prompt.metadata
            assert len(taught) == 2 * len(prompt.references)
            assert bad is None or set(taught) == {*prompt.references, *prompt.metadata[bad]}


def test_transcripts_are_a_prompt_with_a_chosen_and_a_rejected_reply():
    table = rows(
        {"chosen": f"{HH} Make a loop.", "rejected": f"{HH} No."},
        {"chosen": f"{HH} Make a bow.", "rejected": f"{HH} Why?"},
        {"chosen": "\n\nHuman: Yes?\n\nAssistant: Yes.", "rejected": "\n\nHuman: Yes?\n\nAssistant: "},
    )
    task = Alignment(dataset=table, template="\n\nHuman: {prompt}\n\nAssistant:")
    assert prompts(task) == [
        Prompt(HH, ("Make a loop.", "Make a bow."), {"rejected": ("No.", "Why?")}),
        Prompt("\n\nHuman: Yes?\n\nAssistant:", ("Yes.",), {"rejected": ("",)}),
    ]
    assert task.training_completions(0) == task[0].references
    assert Alignment(dataset=table)[1].text == "Request: Yes?\nReply:"


def test_prompts_and_replies_may_have_columns_of_their_own():
    table = rows({"prompt": "Hi", "chosen": "Hello.", "rejected": " Go away."})
    columns = {"prompt": "prompt", "references": "chosen"}
    assert Alignment(dataset=table, columns=columns)[0] == Prompt(
        "Request: Hi\nReply:", ("Hello.",), {"rejected": ("Go away.",)}
    )
    plain = table.remove_columns("rejected")
    assert Alignment(dataset=plain, columns=columns)[0].metadata == {}
    with pytest.raises(DatasetError, match=r"The transcript 'Hello\.' has no .*Assistant:', as HH-RLHF's have"):
        Alignment(dataset=table)
    with pytest.raises(DatasetError, match=r"The prompt 'Hi' has '3' \(int\) as its rejected reply, expected text"):
        Alignment(dataset=plain.add_column("rejected", [3]), columns=columns)


@pytest.mark.parametrize(
    ("task", "table", "reward"),
    [
        ("DialogueReply", rows({"turns": SGD}), "rougeL*no_repeats"),
        (
            "Alignment",
            rows({"chosen": f"{HH} A.", "rejected": f"{HH} B."}),
            "classifier(model='my/reward-model', text='full')",
        ),
    ],
)
def test_rules_of_the_small_world_score_no_dataset(task, table, reward):
    with pytest.raises(ConfigError, match="suits the small world's prompts alone") as caught:
        gymnasium.make(f"textgym/{task}-v0", dataset=table)
    assert reward in str(caught.value)
    env = gymnasium.make(f"textgym/{task}-v0", dataset=table, reward=reward)
    assert env.reset(seed=0)[1]["prompt"]


@pytest.mark.parametrize(
    ("folder", "split", "arguments", "speaker"),
    [
        ("sgd", "test", {}, "SYSTEM"),
        ("mts_dialog", "validation", {"columns": {"prompt": "dialogue"}, "speaker": "Doctor"}, "Doctor"),
    ],
)
def test_real_dialogues(folder, split, arguments, speaker):
    if not (SHARED / folder).is_dir():
        pytest.skip(f"the real dataset {folder} is not beside this checkout (looked in {SHARED})")
    found = prompts(DialogueReply(split, dataset=str(SHARED / folder), **arguments))
    assert len(found) > 300
    assert all(prompt.text.endswith(f"\n{speaker}:") for prompt in found)
    assert all(prompt.references and all(prompt.references) for prompt in found)
    assert folder != "sgd" or sum("acts" in prompt.metadata for prompt in found) > 0.9 * len(found)
