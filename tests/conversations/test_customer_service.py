"""Goals of logged dialogues in their datasets' own forms, for a simulated customer."""

import json
from pathlib import Path

import pytest
from datasets import Dataset

import textgym
from textgym import Reply
from textgym.checker import check_partner, check_task
from textgym.errors import DatasetError
from textgym.tasks.conversations import CustomerService
from textgym.wrappers import CompletionAction

SGD = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "sgd"


def goals(task):
    return [dict(prompt.metadata["goal"]) for prompt in task]


def written(folder, rows):
    path = folder / "dialogues_001.json"
    path.write_text(json.dumps(rows))
    return str(path)


def said(speaker, text, *annotated):
    """An utterance of Taskmaster's, with its segments."""
    segments = [
        {
            "start_index": text.index(part),
            "end_index": text.index(part) + len(part),
            "text": part,
            "annotations": [{"name": name}, {"name": name}],
        }
        for part, name in annotated
    ]
    return {"index": 0, "speaker": speaker, "text": text, **({"segments": segments} if segments else {})}


def test_what_taskmasters_user_was_annotated_with(tmp_path):
    dialogue = [
        said("USER", "A table at Boka, at 7 pm.", ("Boka", "restaurant_reservation.name.restaurant.accept"),
             ("7 pm.", "restaurant_reservation.time.reservation")),
        said("ASSISTANT", "Only at 5.", ("5", "restaurant_reservation.time.reservation.accept")),
        said("USER", "Not at the bar. At 8 then, for 2", ("the bar", "restaurant_reservation.type.seating.reject"),
             ("8", "restaurant_reservation.time.reservation.accept"), ("2", "restaurant_reservation.num.guests")),
    ]  # fmt: skip
    flight = [said("user", "To Lima, please.", ("Lima", "flight_search.destination1"))]
    tickets = [said("user", "Two for Up", ("Two", "num.tickets"), ("Up", "name.movie"))]
    rows = [
        {"conversation_id": f"dlg-{i}", "instruction_id": "x", "utterances": utterances}
        for i, utterances in enumerate([dialogue, [said("USER", "Hello?")], flight, tickets])
    ]
    task = CustomerService(dataset=written(tmp_path, rows))
    assert goals(task) == [
        {"restaurant name": "Boka", "reservation time": "8", "guests num": "2"},
        {"destination1": "Lima"},
        {"tickets num": "Two", "movie name": "Up"},
    ]
    assert task.skipped == 1


def test_the_last_states_of_schema_guided_dialogues_own_files(tmp_path):
    def turn(speaker, service, **slots):
        frame = {"service": service, "slots": [], **({"state": {"slot_values": slots}} if speaker == "USER" else {})}
        return {"speaker": speaker, "utterance": "...", "frames": [frame]}

    rows = [
        {
            "dialogue_id": "1_00000",
            "services": ["Hotels_4", "Buses_1"],
            "turns": [
                turn("USER", "Hotels_4", city=["San Diego", "SD"]),
                turn("SYSTEM", "Hotels_4"),
                turn("USER", "Hotels_4", city=["San Diego"], stay_length=["4"], star_rating=["dontcare"]),
                turn("USER", "Buses_1", leaving_date=["March 8th", "8th"]),
            ],
        },
        {"dialogue_id": "1_00001", "services": ["Buses_1"], "turns": [turn("USER", "Buses_1")]},
    ]
    task = CustomerService(dataset=written(tmp_path, rows))
    assert goals(task) == [{"city": "San Diego", "stay_length": "4"}, {"leaving_date": "March 8th"}]
    assert task.skipped == 1


def test_goals_as_texts_and_dicts():
    services = {"A_1": {"intents": ["Find"], "slots": {"city": "Oakland", "none": None}}, "B_1": {"slots": {}}}
    texts = [json.dumps(services), json.dumps({"riders": 2, "shared": True, "to": " "})]
    task = CustomerService(dataset=Dataset.from_dict({"wish": texts}), columns={"goal": "wish"})
    assert goals(task) == [{"city": "Oakland"}, {"riders": "2", "shared": "True"}]
    assert goals(CustomerService(dataset=Dataset.from_list([{"goal": {"day": "Monday"}}]))) == [{"day": "Monday"}]


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([{"text": "x"}], {}, r"no column 'goal' or 'goal_json' or 'utterances' or 'turns'.*It has: text"),
        ([{"text": "x"}], {"columns": {"prompt": "text"}}, r"expected the column of the goals"),
        ([{"text": "x"}], {"columns": {"goal": "tex"}}, r"no column 'tex'.*Did you mean 'text'"),
        ([{"goal": '{"a": "b"}'}, {"goal": "no JSON"}], {}, r"Row 1 of .* has no goal in column 'goal': 'no JSON'"),
        ([{"goal": '{"a": {"b": "c"}}'}], {}, r"the value of 'a' is a dict"),
        ([{"goal": "3"}], {}, r"Row 0 of"),
        ([{"goal": None}], {}, r"Row 0 of"),
        ([{"utterances": [{"text": "no speaker"}]}], {}, r"Row 0 of"),
        ([{"goal": "{}"}], {}, r"No row of .* has a slot"),
    ],
)
def test_rows_without_a_goal_are_named(rows, options, message):
    with pytest.raises(DatasetError, match=message):
        CustomerService(dataset=Dataset.from_list(rows), **options)


def test_a_customer_of_schema_guided_dialogue_is_served():
    if not SGD.is_dir():
        pytest.skip(f"there is no {SGD}")
    task = CustomerService("test", dataset=str(SGD), max_rows=40)
    check_task(task)
    assert len(task) >= 40
    assert all(goal and all(goal.values()) for goal in goals(task))
    check_partner(task.partner, [textgym.Dialogue(task[i], (textgym.Turn("policy", "hm"),), i) for i in range(8)])
    env = CompletionAction(textgym.TextGenerationEnv(task, max_new_tokens=600))
    returns = []
    for i in range(8):
        env.reset(seed=i, options={"prompt_id": i})
        goal, total, over, heard = task[i].metadata["goal"], 0.0, False, ""
        while not over:  # listens first, and then says everything again
            _, reward, over, _, info = env.step(f" {heard}" if heard.count("is") >= len(goal) else " And?")
            assert isinstance(info["turns"][-1].text, str)
            heard += f"{info['turns'][-1].text} "
            total += reward
        returns.append(total)
        assert total == pytest.approx(1) or info["finish_reason"] in ("turns", "full", "length")
    assert sum(returns) > 4


def test_the_customer_gives_the_reward():
    task = CustomerService(dataset=Dataset.from_list([{"goal": '{"day": "Monday", "to": "Lima"}'}]), noise=0.0)
    env = textgym.TextGenerationEnv(task)
    assert (env.partner, env.mdp.rules.max_turns) == (task.partner, 8)
    turns = (textgym.Turn("policy", " Lima on Monday"),)
    assert env.partner([textgym.Dialogue(task[0], turns)]) == [Reply("Yes, thank you.", 1.0, True)]
