"""Logged dialogues: their files, what an environment would have seen of them, and lines that are wrong."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.agents.four_tokens import LOGGED_TALKS, TALKS, make_env, tokenizer
from tests.conversations.test_contract import chat_env
from textgym import Prompt, TextGenerationEnv, Turn
from textgym.errors import DatasetError
from textgym.partners import Scripted
from textgym_agents.buffers.offline import LoggedEpisode, as_episodes, logged, read_log, write_log

SGD = Path(__file__).parents[4] / "shared" / "data" / "sgd" / "test.parquet"


def played(seq2seq=False, steps=60):
    """The environment's mdp, the samples, returns and last observations of random conversations."""
    env = make_env(4, seq2seq=seq2seq, **TALKS)
    env.seed(5)
    env.reset()
    rng, samples, returns, last = np.random.default_rng(0), [], [], []
    for _ in range(steps):
        _, _, dones, infos = env.step(rng.integers(0, 4, 4))
        for row in np.flatnonzero(dones).tolist():
            samples.append(env.get_attr("last_sample", row)[0])
            returns.append(infos[row]["episode"]["r"])
            last.append(infos[row]["terminal_observation"])
    return env.env.unwrapped.mdp, samples, returns, last


@pytest.mark.parametrize("seq2seq", [False, True])
def test_what_was_played_comes_back_from_its_file(seq2seq, tmp_path):
    mdp, samples, returns, last = played(seq2seq)
    log = logged(samples, returns)
    write_log(tmp_path / "log.jsonl", log)
    assert read_log(tmp_path / "log.jsonl") == log
    line = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[0])
    assert line.keys() == {"prompt_id", "turns", "reward"}
    prefix = "decoder_" if seq2seq else ""
    for episode, sample, total, seen in zip(as_episodes(log, mdp), samples, returns, last, strict=True):
        assert episode.actions.tolist() == list(sample.token_ids)
        assert episode.rewards.sum() == pytest.approx(total, abs=1e-5)
        assert episode.rewards.dtype == np.float32
        ends = np.cumsum([len(turn.token_ids) for turn in sample.turns if turn.speaker == "policy"])
        gains = [turn.reward for turn in sample.turns if turn.speaker == "policy"]
        assert np.cumsum(episode.rewards)[ends[:-1] - 1] == pytest.approx(np.cumsum(gains)[:-1], abs=1e-5)
        tokens = episode.context.tolist()
        for i, action in enumerate(episode.actions.tolist()):
            tokens += [t for one in episode.inserted if one.after == i for t in one.tokens.tolist()] + [action]
        assert tokens == seen[f"{prefix}input_ids"][seen[f"{prefix}attention_mask"] != 0].tolist()
    assert sum(len(sample.turns) > 2 for sample in samples) > 5


def test_texts_become_the_tokens_that_the_environment_would_write():
    mdp, samples, returns, _ = played()
    known = logged(samples, returns)
    as_texts = [
        LoggedEpisode(
            (), one.reward, one.prompt_id, turns=tuple(Turn(t.speaker, t.text, (), t.reward) for t in one.turns)
        )
        for one, sample in zip(known, samples, strict=True)
        if sample.finish_reason != "length"  # whose text doesn't say that it was cut off
    ]
    known = [one for one, sample in zip(known, samples, strict=True) if sample.finish_reason != "length"]
    assert len(known) > 10
    for ours, theirs in zip(as_episodes(as_texts, mdp), as_episodes(known, mdp), strict=True):
        assert ours.actions.tolist() == theirs.actions.tolist()
        assert ours.rewards.tolist() == theirs.rewards.tolist()
        assert [(i.after, i.tokens.tolist()) for i in ours.inserted] == [
            (i.after, i.tokens.tolist()) for i in theirs.inserted
        ]


def test_a_dialogue_of_texts_is_read_with_its_prompt_and_template():
    env = TextGenerationEnv(
        [Prompt("unused")], partner=Scripted(["Bye."]), max_turns=3, turn_template=("\nI: ", "\nYou:"),
        max_prompt_tokens=32, max_new_tokens=64,
    )  # fmt: skip
    line = {
        "prompt": "Which number from 1 to 9?\nYou:",
        "turns": [
            {"speaker": "policy", "text": "5"},
            {"speaker": "partner", "text": "too low"},
            {"speaker": "policy", "text": "7", "reward": 1},
            {"speaker": "partner", "text": "right"},
        ],
    }
    (episode,) = as_episodes(read_log([line]), env.mdp)
    decode = env.tokenizer.decode
    assert decode(episode.context) == line["prompt"]
    assert decode(episode.actions) == " 5<|endoftext|> 7<|endoftext|>"
    assert [decode(one.tokens) for one in episode.inserted] == ["\nI: too low\nYou:"]
    assert (episode.rewards.sum(), episode.rewards[-1]) == (1, 1)


def test_a_chat_of_texts_has_the_tokens_of_its_template():
    env = chat_env()
    env.reset(seed=2, options={"prompt_id": 0})
    for text in ("b?", "c?", "a"):
        for token in [*env.tokenizer.encode(text, add_special_tokens=False), env.mdp.rules.eos_token_ids[-1]]:
            env.step(token)
    known = LoggedEpisode((), 0.0, 0, turns=env.last_sample.turns)
    of_texts = tuple(Turn(turn.speaker, turn.text, (), turn.reward) for turn in known.turns)
    theirs, ours = as_episodes([known, LoggedEpisode((), 0.0, 0, turns=of_texts)], env.mdp)
    assert ours.actions.tolist() == theirs.actions.tolist()
    assert ours.rewards.tolist() == theirs.rewards.tolist()
    assert [one.tokens.tolist() for one in ours.inserted] == [one.tokens.tolist() for one in theirs.inserted]
    assert len(ours.inserted) == 2


def test_long_prompts_of_texts_are_cut_with_a_warning():
    env = TextGenerationEnv([Prompt("unused")], max_prompt_tokens=8, max_new_tokens=8)
    with pytest.warns(UserWarning, match="1 of the log's 2 prompts are longer than max_prompt_tokens=8"):
        long, short = as_episodes(read_log([{"prompt": "one two " * n, "turns": [POLICY]} for n in (20, 1)]), env.mdp)
    assert len(long.context) == 8 > len(short.context)


POLICY, PARTNER = {"speaker": "policy", "text": "a"}, {"speaker": "partner", "text": "b"}


@pytest.mark.parametrize(
    ("turns", "message"),
    [
        ([], "turns is .*at least one turn"),
        ("ab", "turns is 'ab'"),
        ([PARTNER, POLICY], "the partner has the first turn.*is the prompt"),
        ([POLICY, POLICY], "turn 2: the policy goes on. Join"),
        ([POLICY, PARTNER, PARTNER], "turn 3: the partner goes on"),
        (["a"], "turn 1: 'a' is a str"),
        ([{"speaker": "policy"}], "turn 1 has speaker; expected some of"),
        ([{**POLICY, "role": 1}], "turn 1 has speaker, text, role"),
        ([{"text": "a"}], "speaker is None, expected 'policy' or 'partner'"),
        ([{**POLICY, "text": 5}], "text is 5, expected a string"),
        ([{**POLICY, "token_ids": [1.5]}], "token_ids is"),
        ([{**POLICY, "reward": float("inf")}], "turn 1: reward is inf"),
        ([POLICY, {**PARTNER, "reward": 1}], "turn 2: reward is 1 for a turn of the partner"),
    ],
)
def test_bad_turns_are_named(turns, message):
    good = {"prompt_id": 0, "turns": [POLICY]}
    with pytest.raises(DatasetError, match=f"episode 1 of the log.*{message}"):
        read_log([good, {"prompt_id": 0, "turns": turns}])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"prompt_id": 0, "turns": [POLICY], "token_ids": [1]}, "expected token_ids or turns"),
        ({"prompt_id": 0, "prompt": "a", "turns": [POLICY]}, "either prompt_id"),
        ({"turns": [POLICY]}, "either prompt_id"),
        ({"prompt": "", "turns": [POLICY]}, "prompt is ''"),
        ({"prompt_id": 0, "turns": [POLICY], "reward": None}, "reward is None"),
    ],
)
def test_bad_lines_with_turns_are_named(line, message):
    with pytest.raises(DatasetError, match=message):
        read_log([line])


@pytest.mark.parametrize(
    ("turns", "message"),
    [
        ([Turn("policy", "", (1, 2))] * 1 + [Turn("partner", "b"), Turn("policy", "a")], "turn 1 has no end: .1, 2."),
        ([Turn("policy", "", (0, 1))], "turn 1 goes on after an end token"),
        ([Turn("policy", "", (9,))], "turn 1: .9. are no tokens, expected 0 to 3"),
        ([Turn("policy", "a"), Turn("partner", "", (1, -1)), Turn("policy", "a")], "turn 2: .1, -1. are no tokens"),
        ([Turn("policy", "", (10**30,))], "turn 1: .* are no tokens"),
        (
            [Turn("policy", "a"), Turn("partner", "b")] * 3 + [Turn("policy", "a")],
            "has 4 turns .* allows 3.*max_turns=4",
        ),
        (
            [Turn("policy", "a a a"), Turn("partner", "b b"), Turn("policy", "a")],
            "has 8 tokens of both sides.*allows 6",
        ),
        ([Turn("partner", "b"), Turn("policy", "a")], "the partner has the first turn"),
    ],
)
def test_dialogues_that_do_not_fit_the_environment_are_named(turns, message):
    mdp = make_env(1, **TALKS).env.unwrapped.mdp
    with pytest.raises(DatasetError, match=f"episode 1 of the log.*{message}"):
        as_episodes(
            [LoggedEpisode((), 0.0, 0, turns=LOGGED_TALKS[0]), LoggedEpisode((), 0.0, 0, turns=tuple(turns))], mdp
        )


def test_min_new_tokens_are_those_of_a_turn():
    options = {**TALKS, "reward": None, "max_prompt_tokens": 2, "min_new_tokens": 1}
    mdp = TextGenerationEnv([Prompt("a b")], tokenizer=tokenizer(), **options).mdp
    as_episodes([LoggedEpisode((), 0.0, 0, turns=LOGGED_TALKS[0])], mdp)
    with pytest.raises(DatasetError, match=r"turn 3 could not have been written .*min_new_tokens=1"):
        as_episodes([LoggedEpisode((), 0.0, 0, turns=LOGGED_TALKS[2])], mdp)


def test_a_turn_may_end_with_its_last_token_that_is_allowed():
    mdp = make_env(1, **TALKS, max_turn_tokens=2).env.unwrapped.mdp
    cut = (Turn("policy", "", (1, 2)), Turn("partner", "b"), Turn("policy", "a"))
    (episode,) = as_episodes([LoggedEpisode((), 0.0, 0, turns=cut)], mdp)
    assert (episode.actions.tolist(), episode.inserted[0].after) == ([1, 2, 1, 0], 2)
    with pytest.raises(DatasetError, match="turn 1 has 3 tokens, the environment allows max_turn_tokens=2"):
        as_episodes([LoggedEpisode((), 0.0, 0, turns=(Turn("policy", "a a"),))], mdp)


def test_an_episode_without_tokens_and_turns_is_named():
    with pytest.raises(DatasetError, match="episode 0 of the log has no tokens"):
        as_episodes([LoggedEpisode((), 0.0, 0)], make_env(1).env.unwrapped.mdp)


@pytest.mark.skipif(not SGD.is_file(), reason="needs the dialogues of shared/data")
def test_dialogues_between_people_are_read():
    import pyarrow.parquet

    lines = []
    for row in pyarrow.parquet.read_table(SGD).slice(0, 40).to_pylist():
        said = [(turn["speaker"], turn["utterance"]) for turn in row["turns"]]
        assert [speaker for speaker, _ in said] == ["USER", "SYSTEM"] * (len(said) // 2)
        turns = [{"speaker": "policy" if who == "SYSTEM" else "partner", "text": text} for who, text in said[1:]]
        lines.append({"prompt": f"User: {said[0][1]}\nAssistant:", "turns": turns})
    env = TextGenerationEnv(
        [Prompt("unused")], partner=Scripted(["Bye."]), max_turns=40, max_prompt_tokens=512, max_new_tokens=8192
    )
    episodes = as_episodes(read_log(lines), env.mdp)
    for episode, line in zip(episodes, lines, strict=True):
        tokens = [episode.context]
        for i, action in enumerate(episode.actions):
            tokens += [one.tokens for one in episode.inserted if one.after == i] + [[action]]
        text = env.tokenizer.decode(np.concatenate(tokens)).replace("<|endoftext|>", "")
        expected = line["prompt"] + "".join(
            f" {turn['text']}" if turn["speaker"] == "policy" else f"\nUser: {turn['text']}\nAssistant:"
            for turn in line["turns"]
        )
        assert text == expected
