"""What `textgym speed` measures: that its entries do the same work, and that all of it reaches table, JSON and picture.

No test looks at how long something takes.
"""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers
from rich.console import Console
from typer.testing import CliRunner

from textgym.errors import ConfigError
from textgym.rewards import parse_reward
from textgym_agents import speed
from textgym_agents.cli.app import app
from textgym_agents.report.timing import Entry, Result, Series, compare, take_turns
from textgym_agents.speed import (
    chart,
    entries,
    environment_rows,
    judging,
    memory,
    metric_rows,
    model_rows,
    models,
    report,
    turns,
    with_trl,
)
from textgym_agents.speed.handwritten import HandwrittenPPO, pad
from textgym_agents.speed.models import MADE, Subject, new_model, number_tokenizer, subject
from textgym_agents.speed.plan import Plan, quick
from textgym_agents.speed.rollouts import Shape, make_env, make_ppo, random_rollout

VOCABULARY = 150
EQUAL, MIXED = Shape(4, 6, prompt_tokens=5), Shape(4, 24, mean_tokens=9, prompt_tokens=5)


def tiny(kind: str) -> Subject:
    model = new_model(kind, VOCABULARY, hidden=64, layers=2)
    for parameter in model.parameters():  # sharp enough for a difference to show
        parameter.data.mul_(4 if parameter.dim() > 1 else 1)
    return Subject(kind, kind, model, number_tokenizer(VOCABULARY), kind == "t5")


@pytest.fixture
def tiny_models(monkeypatch):
    """The models that ``subject`` makes, made small."""
    small = {kind: tiny(kind).model for kind in MADE}
    for module in (models, model_rows):
        monkeypatch.setattr(module, "new_model", lambda kind, *sizes, **more: small[kind])
    for name, made in MADE.items():
        monkeypatch.setitem(MADE, name, replace(made, vocabulary=VOCABULARY, turn_tokens=32, update_tokens=32))


# ---------------------------------------------------------------------------- turns


def test_entries_take_turns_and_the_first_round_does_not_count():
    said = []

    def one(name: str, work: int) -> Entry:
        return Entry(name, lambda: said.append(name) or work, before=lambda: said.append(f"before {name}"))

    a, b = take_turns([one("a", 3), one("b", 5)], 3)
    runs = [name for name in said if not name.startswith("before")]
    assert sorted(runs[:2]) == ["a", "b"]
    assert runs[2:] == ["a", "b", "b", "a", "a", "b"]  # every other round in the opposite order
    assert said[::2] == [f"before {name}" for name in runs]
    assert (a.name, a.work, b.work) == ("a", (3.0,) * 3, (5.0,) * 3)
    assert len(a.seconds) == len(a.cpu_seconds) == 3


@pytest.mark.parametrize(
    ("value", "target", "better", "met"),
    [
        (1.2, 1.1, "higher", True),
        (1.0, 1.1, "higher", False),
        (1.0, 1.2, "lower", True),
        (1.3, 1.2, "lower", False),
        (1.0, None, "higher", None),
        (None, 1.0, "higher", None),
    ],
)
def test_whether_a_target_is_met(value, target, better, met):
    assert Result("update", "x", value, (), target=target, better=better).met is met


# ---------------------------------------------------------------------------- the hand-written step


@pytest.mark.parametrize("lean", [False, True])
@pytest.mark.parametrize("shape", [EQUAL, MIXED], ids=["equal", "mixed"])
@pytest.mark.parametrize("kind", ["gpt2", "llama", "t5"])
def test_the_hand_written_step_is_the_same_update(kind, shape, lean):
    """After one step of each on the same episodes all gradients and all weights agree: both did all of PPO's work."""
    if lean and kind == "t5":
        pytest.skip("the lean form is for memory, which is measured with a decoder-only model")
    one = tiny(kind)
    ppo, episodes, _ = random_rollout(one, shape)
    tokens = sum(len(episode.actions) for episode in episodes)
    assert tokens == ppo.rollout_buffer.actions.size
    assert tokens > shape.rows * shape.new_tokens * 0.7
    by_hand = HandwrittenPPO(one, lean=lean)
    with torch.no_grad():  # a value head of zeros would hide what values do to the trunk
        by_hand.value_head.weight.normal_(generator=torch.Generator().manual_seed(0))
        ppo.policy.value_net.load_state_dict(by_hand.value_head.state_dict())
    ppo.train()
    by_hand.epoch(pad(episodes, one.seq2seq), len(episodes))
    ours = dict(ppo.policy.lm.named_parameters()) | dict(ppo.policy.value_net.named_parameters())
    usual = dict(by_hand.model.named_parameters()) | dict(by_hand.value_head.named_parameters())
    assert ours.keys() == usual.keys()
    for name, parameter in usual.items():
        assert parameter.grad is not None, name
        largest = float(parameter.grad.abs().max())
        torch.testing.assert_close(ours[name].grad, parameter.grad, rtol=1e-3, atol=1e-4 * largest + 1e-8, msg=name)
        torch.testing.assert_close(ours[name], parameter, rtol=1e-5, atol=1e-7)


def test_minibatches_of_the_hand_written_epoch_hold_each_episode_once():
    one = tiny("gpt2")
    episodes = random_rollout(one, MIXED).episodes
    by_hand, seen = HandwrittenPPO(one), []
    by_hand.step = lambda batch: seen.append(batch)
    by_hand.epoch(pad(episodes), 3)
    assert sum(int(batch.predicts.sum()) for batch in seen) == sum(len(episode.actions) for episode in episodes)
    assert max(len(batch.input_ids) for batch in seen) == 3
    assert all(bool(batch.predicts[:, -1].any()) for batch in seen)  # no column that is padding in every episode


# ---------------------------------------------------------------------------- entries


@pytest.mark.parametrize("kind", ["gpt2", "t5"])
def test_completions_of_equal_length_are_complete(kind):
    one = tiny(kind)
    assert entries.generate(one, EQUAL).run() == EQUAL.rows * EQUAL.new_tokens
    rollout = entries.rollout(one, EQUAL)
    rollout.before()
    assert rollout.run() == EQUAL.rows * EQUAL.new_tokens


def test_completions_end_at_the_mean_length_asked_for():
    """Both by generate and in the environment: about 25 tokens, over more than 100 completions each."""
    one = Subject("gpt2", "", new_model("gpt2", 5000, hidden=64, layers=1), number_tokenizer(5000))
    shape = Shape(32, 64, mean_tokens=25)
    assert 22 < entries.generate(one, shape, batches=5).run() / (32 * 5) < 28
    ppo = make_ppo(one, make_env(one, shape), n_steps=128)
    entries.collect(ppo, entries.begin(ppo))
    lengths = [info["l"] for info in ppo.ep_info_buffer]  # of the last 100 completions
    assert len(lengths) == 100
    assert 20 < np.mean(lengths) < 30
    assert max(lengths) <= 64


def test_both_read_the_same_prompts():
    one = tiny("gpt2")
    env = make_env(one, replace(EQUAL, group=2))
    first = env.reset()["input_ids"][:, : EQUAL.prompt_tokens]
    assert (first[0] == first[1]).all()
    assert (first[1] != first[2]).any()
    assert first.tolist()[::2] == [
        one.tokenizer.encode(p.text) for p in models.prompts(VOCABULARY, EQUAL.prompt_tokens, 2)
    ]


def test_generate_leaves_the_global_random_numbers_alone():
    one = tiny("gpt2")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    entries.generate(one, EQUAL).run()
    assert torch.equal(torch.rand(3), expected)


def test_weights_count_as_changed_and_are_not():
    ppo = make_ppo(one := tiny("gpt2"), make_env(one, EQUAL), n_steps=EQUAL.new_tokens)
    before = {name: (p._version, p.detach().clone()) for name, p in ppo.policy.named_parameters()}
    entries.touch(ppo.policy)
    for name, parameter in ppo.policy.named_parameters():
        assert parameter._version > before[name][0], name
        assert torch.equal(parameter, before[name][1]), name


def test_models_and_sizes_are_what_the_table_says():
    assert [round(subject(name).model.num_parameters() / 1e6, 1) for name in MADE] == [4.7, 28.7, 5.2]
    assert [made.title.split(", ")[1] for made in MADE.values()] == ["4.7 M", "29 M", "5.2 M"]


# ---------------------------------------------------------------------------- rows


def test_all_rows_but_the_slow_ones_in_small(tiny_models, tmp_path):
    plan = Plan(models=("gpt2", "t5"), lengths=(4, 8), batches=(2, 4), repeats=2)
    only = ("rollout", "mixed", "update", "seq2seq", "sb3", "buffer", "turns")
    begun = []
    results = [one for some in speed.run(plan, only, lambda *now: begun.append(now)) for one in some]
    assert [one for one in results if one.note.startswith(speed.FAILED)] == []
    assert list(dict.fromkeys(one.row for one in results)) == list(only)
    by_row = {row: [one for one in results if one.row == row] for row in only}
    assert [one.setting["rows"] for one in by_row["rollout"]] == [2, 2, 4, 4]
    assert len(by_row["update"]) == 3  # two lengths and mixed lengths
    assert all(len(one.repeats) == 2 for one in results if one.row != "buffer")
    assert all(one.value > 0 for one in by_row["buffer"])
    assert [one.target for one in by_row["turns"]] == [0.8, 4.4, 11.6] * 2
    assert all(one.ours > 0 for one in by_row["turns"])
    number = len(speed.jobs(plan, only))
    assert [one[1:] for one in begun] == [(i, number) for i in range(number)]

    content = report.content(results, plan, "textgym speed", 1.0)
    (tmp_path / "speed.json").write_text(json.dumps(content, allow_nan=False))
    stored = json.loads((tmp_path / "speed.json").read_text())
    assert {"torch", "transformers", "stable_baselines3"} <= stored["versions"].keys()
    assert stored["machine"]["threads"] == stored["plan"]["threads"] == 1
    for one, line in zip(results, stored["results"], strict=True):
        assert (line["row"], line["value"], line["met"], line["target"]) == (one.row, one.value, one.met, one.target)
        for raw in line["series"]:
            assert len(raw["work"]) == len(raw["seconds"])
    again, everything = report.read(tmp_path / "speed.json")
    assert again == results
    assert report.as_markdown(again, everything) == report.as_markdown(results, content)
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"holds no results of `textgym speed --json`"):
        report.read(tmp_path / "other.json")
    assert chart.plot(results, tmp_path / "speed.png")
    assert (tmp_path / "speed.png").read_bytes().startswith(b"\x89PNG")
    assert not chart.plot(by_row["buffer"], tmp_path / "none.png")


def test_the_table_shows_medians_ratios_and_targets():
    fast, slow = Series("textgym", (10.0,) * 3, (1.0, 2.0, 1.0)), Series("generate", (10.0,) * 3, (2.0, 2.0, 2.0))
    results = [
        compare(fast, slow, row="rollout", what="rollout, gpt2", target=1.1),
        Result("scoring", "share of bleu", 0.07, (0.07, 0.08), target=0.05, better="lower", shown="share"),
        Result("trl", "update", None, (), note="TRL is not installed: pip install trl"),
    ]
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    report.show(console, results)
    text = console.export_text()
    for words in ("2.00x", "1.50–2.00", "≥ 1.10x", "met", "7.0 %", "≤ 5.0 %", "missed", "pip install trl"):
        assert words in text, words


def test_scoring_is_a_share_of_the_rollout():
    (result,) = environment_rows.score_share(Plan(repeats=1), "bleu", "x", rows=2, n_steps=12)
    assert 0 <= result.value < 1
    assert result.usual > result.ours >= 0


@pytest.mark.parametrize("formula", metric_rows.FORMULAS)
def test_rewards_score_texts_as_the_tools_do(formula):
    (result,) = metric_rows.score_time(Plan(repeats=1), formula, "x", prompts=2)
    assert result.value > 0
    assert result.setting == {"texts": 6}
    assert all(series.work == (6.0,) for series in result.series)
    assert bool(result.usual) is (metric_rows.tool_of(formula) is not None)


@pytest.mark.parametrize("formula", ["bleu", "chrf", "ter", "rouge1", "rougeL", "gleu", "meteor"])
def test_the_tools_of_the_field_give_the_same_numbers(formula):
    _, tool = metric_rows.tool_of(formula)
    for sample in metric_rows.texts(4):
        given = tool(sample.completion, sample.references)
        number = given[formula].fmeasure if formula.startswith("rouge") else getattr(given, "score", given)
        number = number / 100 if formula in ("bleu", "chrf", "ter") else number
        expected = max(0, 1 - number) if formula == "ter" else number
        assert parse_reward(formula)([sample])[0] == pytest.approx(expected, abs=1e-6)


def test_environments_take_their_steps():
    vector, sync = environment_rows.prompts_in_memory(3)
    for env in (vector, sync, *environment_rows.built_in(2)):
        entry = environment_rows.steps(env, "x", 4)
        entry.before()
        assert entry.run() == 4 * env.num_envs


def test_rollouts_with_a_judge_take_turns_with_those_without(tiny_models):
    (result,) = judging.judge_time(Plan(repeats=2), "background", "x", MIXED, least=0, wait=0)
    assert len(result.repeats) == 2
    assert result.target == 1.15
    texts = int(re.search(r"24 steps; (\d+) texts end", result.note)[1])
    assert 4 <= texts <= 4 * 24
    entry = judging.rollout(models.subject("llama"), MIXED, 24, judge := judging.waiting_judge(0))
    assert entry.run() == 4 * 24
    assert judge.calls > 0


def test_conversations_have_turns_and_completions_of_the_length_asked_for():
    one = Subject("gpt2", "", new_model("gpt2", 5000, hidden=64, layers=1), number_tokenizer(5000))
    shape = Shape(32, 4 * turns.TURNS * turns.TURN, mean_tokens=turns.TURNS * turns.TURN)
    ppo = make_ppo(one, turns.conversation_env(one, shape), n_steps=192)
    callback = entries.begin(ppo)
    for _ in range(2):
        entries.collect(ppo, callback)
    lengths = [info["l"] for info in ppo.ep_info_buffer]  # of the last 100 episodes, the policy's tokens alone
    assert 54 < np.mean(lengths) < 74
    inserted = [one for segment in ppo.rollout_buffer.segments() for one in segment.inserted]
    assert {len(one.tokens) for one in inserted} == {turns.REPLY}
    assert len(inserted) > 2.5 * len(ppo.rollout_buffer.segments())


def test_a_row_without_trl_says_so(tiny_models, monkeypatch):
    monkeypatch.setattr(with_trl, "installed", lambda: False)
    results = [one for some in speed.run(Plan(repeats=1), ["trl"]) for one in some]
    assert len(results) == 2
    for one in results:
        assert one.value is None
        assert one.met is None
        assert "pip install trl" in one.note


def test_trl_takes_turns_with_textgym():
    pytest.importorskip("trl")
    timed = with_trl.time_trl("RLOO", tiny("gpt2"), replace(EQUAL, group=2), 1)
    for ours, usual in timed.values():
        assert ours.work == usual.work == (24.0,)
        assert ours.seconds[0] > 0
        assert usual.seconds[0] > 0


@pytest.mark.slow
def test_memory_is_measured_in_a_process_of_its_own():
    update = memory.Update(rows=2, new_tokens=4, vocabulary=5000, hidden=64, layers=1)
    measured = memory.measure(update)
    assert measured["before"] > 2**20
    # one step of AdamW holds at least the gradient and two moments of 2 * 5,000 * 64 weights
    assert measured["peak"] > 3 * 2 * 5000 * 64 * 4
    with pytest.raises(ConfigError, match="which is 'none'"):
        memory.in_this_process(replace(update, which="none"))


# ---------------------------------------------------------------------------- plan and command


def test_quick_and_full_plans():
    plan = Plan()
    tokens = [shape.rows * shape.new_tokens for shape in plan.rollout_shapes(subject("llama"))]
    assert max(tokens) <= 2048
    assert len(replace(plan, full=True).rollout_shapes(subject("llama"))) == 6
    few = quick(plan)
    assert (few.models, few.lengths, few.batches, few.repeats) == (("gpt2", "t5"), (32, 128), (16,), 3)
    assert quick(Plan(models=("llama",), repeats=2)).models == ("llama",)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "rolout"], "No row is called 'rolout'. Did you mean 'rollout'?"),
        (["--only", "update", "--lengths", "32,x"], "--lengths '32,x': expected whole numbers"),
        (["--only", "update", "--lengths", "1"], "lengths is (1,), expected numbers of at least 2"),
        (["--only", "update", "--model", "gpt2,./no-such-model"], "no model at './no-such-model'"),
        (["--quick", "--full"], "--quick and --full"),
        (["--json", "/no/such/folder/x.json"], "no folder"),
    ],
)
def test_what_makes_no_sense_is_said_before_anything_is_measured(arguments, message):
    result = CliRunner().invoke(app, ["speed", *arguments], env={"COLUMNS": "200"})
    assert result.exit_code == 1
    assert message in result.output


def test_the_command_writes_numbers_and_picture(tiny_models, tmp_path):
    files = ["--json", str(tmp_path / "speed.json"), "--png", str(tmp_path / "speed.png")]
    sizes = ["--model", "gpt2", "--lengths", "4,8", "--batches", "2", "--repeats", "2"]
    result = CliRunner().invoke(app, ["speed", "--only", "update", *sizes, *files], env={"COLUMNS": "120"})
    assert result.exit_code == 0, result.output
    assert "plain PyTorch" in result.output
    assert f"transformers {transformers.__version__}" in result.output
    assert json.loads((tmp_path / "speed.json").read_text())["results"][0]["row"] == "update"
    assert (tmp_path / "speed.png").stat().st_size > 0


def test_a_row_that_fails_does_not_take_the_others_along(tiny_models, tmp_path, monkeypatch):
    monkeypatch.setattr(with_trl, "installed", lambda: 1 / 0)
    arguments = ["speed", "--only", "trl,buffer", "--lengths", "4", "--json", str(tmp_path / "speed.json")]
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "120"})
    assert result.exit_code == 1
    assert "failed: ZeroDivisionError" in result.output
    stored = json.loads((tmp_path / "speed.json").read_text())["results"]
    assert [line["value"] is None for line in stored] == [True, True, False, False]


def test_ctrl_c_shows_what_there_is(tiny_models, tmp_path, monkeypatch):
    def interrupt() -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(with_trl, "installed", interrupt)
    sizes = ["--model", "gpt2", "--lengths", "4", "--batches", "2", "--repeats", "1"]
    arguments = ["speed", "--only", "update,trl", *sizes, "--json", str(tmp_path / "speed.json")]
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "120"})
    assert result.exit_code == 1
    assert "interrupted" in result.output
    assert len(json.loads((tmp_path / "speed.json").read_text())["results"]) == 2
