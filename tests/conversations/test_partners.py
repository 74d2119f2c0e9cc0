"""The partners of the package, the check of one's own, and turns as actions."""

import copy
import functools
import pickle

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode

import textgym
from tests.conversations.test_contract import GPT, LENGTHS, PROMPTS, guessing, length, made, rows
from textgym import Dialogue, Prompt, Reply, TextGenerationEnv, Turn
from textgym.checker import check_partner, check_text_env
from textgym.errors import ConfigError, InvalidActionError, PartnerError
from textgym.partners import Agenda, GymPartner, Human, ModelPartner, Scripted, TextArenaGame, ToolUse
from textgym.wrappers import CompletionAction


class Letters(list):
    name, truncation_side, stop, metrics = "Letters", "left", (), ()
    max_prompt_tokens, max_new_tokens = 16, 64


def dialogue(*said, **prompt):
    """The policy's turns, with something of the partner's between them."""
    turns = [Turn("policy", text) for text in said]
    return Dialogue(Prompt("Go:", **prompt), tuple(x for turn in turns for x in (turn, Turn("partner", "-")))[:-1])


def test_a_turn_is_one_action_with_the_same_return():
    tokens, turns = made(stop=("!",)), CompletionAction(made(stop=("!",)))
    for env in (tokens, turns):
        env.reset(seed=3, options={"prompt_id": 0})
    for text in (" b", " c! and more", " d"):
        results = []
        for token in tokens.encode_completion(text):
            results.append(tokens.step(token))
            if tokens.turn_ended:
                break
        expected, got = results[-1], turns.step(text)
        assert got[1] == sum(result[1] for result in results)
        assert got[2:] == expected[2:]
        assert (got[0]["input_ids"] == expected[0]["input_ids"]).all()
    assert got[4]["completion"] == " b\n c\n d"


TEXTS = [" a", " b", " c", " b! and more", "", "!"]


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_turns_of_a_vector_environment_are_those_of_single_ones_and_of_tokens(mode):
    options = {"stop": ("!",), "max_new_tokens": 48}
    turns = CompletionAction(rows(mode, 3, **options))
    singles = [CompletionAction(made(reward=length, **options)) for _ in range(3)]
    tokens = [made(reward=length, **options) for _ in range(3)]
    every = (*singles, *tokens)
    turns.reset(seed=[1, 2, 3])
    for row, env in enumerate(every):
        env.reset(seed=1 + row % 3)
    generator, ends = np.random.default_rng(0), np.zeros(3, dtype=bool)
    reasons = set()
    for _ in range(40):
        texts = [str(generator.choice(TEXTS)) for _ in range(3)]
        if mode == AutoresetMode.DISABLED and ends.any():
            turns.reset(options={"reset_mask": ends})
        resets = ends if mode == AutoresetMode.NEXT_STEP else np.zeros(3, dtype=bool)
        observations, rewards, terminated, truncated, infos = turns.step(texts)
        for row in range(3):
            if ends[row]:
                for env in (singles[row], tokens[row]):
                    env.reset()
            if resets[row]:
                assert (rewards[row], terminated[row], infos["_prompt_id"][row]) == (0, False, True)
                continue
            observation, reward, over, cut, info = singles[row].step(texts[row])
            by_token = token_by_token(tokens[row], texts[row])
            assert (rewards[row], terminated[row], truncated[row]) == (reward, over, cut)
            assert by_token[:3] == (reward, over, cut)
            same_step = over and mode == AutoresetMode.SAME_STEP
            shown = infos["final_obs"][row] if same_step else {name: array[row] for name, array in observations.items()}
            assert (shown["input_ids"] == observation["input_ids"]).all()
            seen = infos["final_info"] if same_step else infos
            assert seen["_turns"][row] == ("turns" in info)
            assert seen["turns"][row] == info["turns"] == by_token[3]["turns"]
            assert seen.get("_completion", np.zeros(3, bool))[row] == over
            assert same_step or infos.get("_final_obs", np.zeros(3, bool))[row] == same_step
            reasons.add(info.get("finish_reason"))
        ends = terminated | truncated
        if mode == AutoresetMode.SAME_STEP:
            for row in np.flatnonzero(ends):
                assert infos["_prompt_id"][row]  # of the next episode
    assert reasons >= {None, "done", "turns"}


def token_by_token(env, text):
    """Play a turn by its tokens: the sum of the rewards, and what the last step returned besides."""
    total = 0.0
    for token in env.encode_completion(text):
        _, reward, terminated, truncated, info = env.step(token)
        total += float(reward)
        if env.turn_ended:
            break
    return total, terminated, truncated, info


def test_a_turn_of_rows_is_whole_or_not_at_all():
    failing = {"now": False}

    def moody(dialogues):
        if failing["now"]:
            raise RuntimeError("asleep")
        return guessing(dialogues)

    envs = CompletionAction(rows(num_envs=3, partner=moody))
    envs.reset(seed=0)
    envs.step([" x", " y and a long one", " z"])
    before = envs.unwrapped.get_state()
    for wrong, error in (([" x", "y c d e", " z"], PartnerError), ([" x", None, " z"], InvalidActionError)):
        failing["now"] = error is PartnerError
        with pytest.raises(error):
            envs.step(wrong)
        assert data_equivalence(envs.unwrapped.get_state(), before, exact=True)
    failing["now"] = False
    assert envs.step([" x", "y c d e", " z"])[4]["_turns"].all()
    envs.unwrapped.step(np.full(3, 7))  # no row is held any more
    assert [turns[-1] for turns in envs.unwrapped.completion_so_far] == [GPT.decode([7])[-1]] * 3


def test_the_check_of_a_partner_finds_what_is_not_pure():
    check_partner(guessing, [Dialogue(PROMPTS[0], (Turn("policy", "b"),), seed) for seed in range(4)])
    calls, generator = [], np.random.default_rng(0)

    def counting(dialogues):
        calls.extend(dialogues)
        return [str(len(calls))] * len(dialogues)

    for partner, how in (
        (counting, "called twice"),
        (lambda dialogues: [Reply("x", generator.random()) for _ in dialogues], "called twice"),
        (lambda dialogues: [str(i) for i in range(len(dialogues))], "in reverse order"),
        (lambda dialogues: [str(len(dialogues))] * len(dialogues), "one dialogue at a time"),
        (lambda dialogues: ["x"] * len(dialogues), "can't be pickled"),
    ):
        with pytest.raises(PartnerError, match=how):
            check_partner(partner)
    with pytest.raises(PartnerError, match="at least one"):
        check_partner(guessing, [])


def test_the_check_of_an_environment_takes_one_with_a_partner():
    check_text_env(TextGenerationEnv(Letters(PROMPTS), partner=guessing, max_turns=3))


def polite(messages, seed):
    return f"{messages[-1]['content'].strip()}, please. {seed}"


@pytest.mark.parametrize(
    "partner",
    [Agenda(0.3), ModelPartner(polite, "You ask."), Scripted(["a", "b"]), ToolUse()],
    ids=lambda partner: type(partner).__name__,
)
def test_partners_of_the_package_are_pure(partner):
    """GymPartner with its games below, and the tasks' own in test_tasks.py."""
    said = [("a",), ("a", "4"), ("CALL calculator: 1 +", "leaving date?", "Long Beach, May 3rd, 4"), ("", "", "\x00")]
    turns = [dialogue(*texts, metadata={"goal": GOAL}) for texts in said]
    check_partner(partner, [Dialogue(one.prompt, one.turns, seed) for one in turns for seed in (0, 7)])


def test_a_script():
    partner = Scripted(["a", Reply("b", 0.5)])
    check_partner(partner)
    assert partner([dialogue("x"), dialogue("x", "y"), dialogue("x", "y", "z")]) == [
        Reply("a"),
        Reply("b", 0.5, done=True),
        Reply("b", 0.5, done=True),
    ]
    for lines in ("abc", [], [3]):
        with pytest.raises(ConfigError, match="no script"):
            Scripted(lines)


def test_a_person_replies_until_the_end_of_the_input(monkeypatch, capsys):
    typed = iter(["yes"])
    monkeypatch.setattr("builtins.input", lambda _: next(typed, None) or (_ for _ in ()).throw(EOFError))
    assert Human()([dialogue("\x1b[2Jhi")]) == [Reply("yes")]
    assert Human()([dialogue("hi", "ho")]) == [Reply(done=True)]
    assert capsys.readouterr().out == "Go:\n> ␛[2Jhi\n> ho\n\n"


GOAL = {"leaving_date": "May 3rd", "to": "Long Beach", "travelers": "4"}


def agenda(*said, seed=0, noise=0.0):
    conversation = dialogue(*said, metadata={"goal": GOAL})
    return Agenda(noise)([Dialogue(conversation.prompt, conversation.turns, seed)])[0]


def test_a_customer_informs_when_asked_and_otherwise_from_the_stack():
    assert agenda("Leaving date? And how many travelers?").text == "The leaving date is May 3rd. The travelers is 4."
    seen = {tuple(agenda(*["hm"] * n, seed=seed).text for n in (1, 2, 3, 4)) for seed in range(30)}
    assert len(seen) == 6  # orders of three slots
    assert all(len(set(texts)) == 4 and texts[3] == "That is all." for texts in seen)
    after = {agenda("leaving date?", "hm", "hm", seed=seed).text for seed in range(30)}
    assert "The leaving date is May 3rd." not in after  # it was asked for before
    assert "The to is Long Beach." in after


def test_a_customer_is_served_when_each_value_was_said():
    assert agenda("to long beach, 44 travelers").reward == pytest.approx(1 / 3)
    assert agenda("Long Beach", "Long Beach again").reward == 0
    assert agenda("Long Beach", "May 3rd, 4 people") == Reply("Yes, thank you.", pytest.approx(2 / 3), done=True)
    heard = [agenda("Long Beach", "May 3rd, 4", seed=seed, noise=0.5) for seed in range(400)]
    assert np.mean([reply.done for reply in heard]) == pytest.approx(0.25, abs=0.08)
    assert {reply.text for reply in heard} >= {"Sorry, what?", "Yes, thank you."}
    check_partner(Agenda(0.3), [dialogue("a", "4", metadata={"goal": GOAL})])


def test_goals_and_noise_that_make_no_sense():
    with pytest.raises(PartnerError, match=r"make prompts by Agenda\.prompts"):
        Agenda()([dialogue("hi")])
    for goal in ({}, {"to": ""}, {"to": 3}, "to"):
        with pytest.raises(ConfigError, match="goal"):
            Agenda().prompts([goal])
    for noise in (1, -0.1, "much", True):
        with pytest.raises(ConfigError, match="noise"):
            Agenda(noise)


def test_rewards_of_turns_stay_where_a_reward_compares_completions():
    envs = textgym.TextGenerationVectorEnv(
        2,
        [Prompt("Hi:")],
        textgym.rewards.SelfBLEU(),
        partner=Scripted([Reply("a", 0.25), Reply("b", 0.5)]),
        **LENGTHS,
    )
    groups = textgym.wrappers.GroupedRows(envs, 2)
    groups.reset(seed=0)
    end, rewards = GPT.eos_token_id, []
    for tokens in ([7, 7], [end, end], [8, end], [end, 0]):
        _, reward, terminated, _, infos = groups.step(np.array(tokens))
        rewards.append(reward.tolist())
    assert rewards[:3] == [[0, 0], [0.25, 0.25], [0, 0.5]]
    assert rewards[3][0] == pytest.approx(0.5 + infos["reward_components"]["self_bleu"][0])
    assert rewards[3][1] == pytest.approx(infos["reward_components"]["self_bleu"][1])
    assert terminated.all()


# Models


def test_a_model_says_again_what_it_said_once(tmp_path):
    chats = []

    def model(messages, seed):
        chats.append(messages)
        return f" hm {len(chats)} "

    path = tmp_path / "folder" / "replies.db"
    one = ModelPartner(model, "You are a customer.", cache=path)
    first = one([dialogue("a"), dialogue("b"), dialogue("a"), dialogue("a", "b")])
    assert [reply.text for reply in first] == ["hm 1", "hm 2", "hm 1", "hm 3"]
    assert [message["role"] for message in chats[2]] == ["system", "user", "assistant", "user"]
    assert chats[2][0]["content"].startswith("You are a customer.\n\nThe conversation begins with:\nGo:\n")
    again = ModelPartner(model, "You are a customer.", cache=path)
    assert again([dialogue("a", "b"), dialogue("a")]) == [first[3], first[0]]
    assert len(chats) == 3
    others = [
        ModelPartner(model, "You are a clerk.", cache=path)([dialogue("a")]),
        ModelPartner(model, "You are a customer.", name="another", cache=path)([dialogue("a")]),
        again([Dialogue(Prompt("Go:"), (Turn("policy", "a"),), seed=1)]),
        ModelPartner(model, "You are a customer.")([dialogue("a")]),
    ]
    assert [reply.text for (reply,) in others] == ["hm 4", "hm 5", "hm 6", "hm 7"]


def test_a_model_ends_the_conversation_and_what_it_does_wrong_is_named(tmp_path):
    assert ModelPartner(lambda messages, seed: "Bye. ###DONE### More.", "x")([dialogue("a")]) == [
        Reply("Bye.", done=True)
    ]
    calls = []
    for _ in range(2):  # an empty reply is kept too
        silent = ModelPartner(lambda messages, seed: calls.append(seed) or "", "x", name="y", cache=tmp_path / "a.db")
        assert silent([dialogue("a")]) == [Reply("")]
    assert calls == [0]
    with pytest.raises(PartnerError, match="returned None, expected the model's text"):
        ModelPartner(lambda messages, seed: None, "x")([dialogue("a")])
    (tmp_path / "text.db").write_text("no database, and long enough to be looked at")
    with pytest.raises(PartnerError, match=r"text\.db can't be read or written"):
        ModelPartner(lambda messages, seed: "a", "x", cache=tmp_path / "text.db")([dialogue("a")])
    for arguments in (("x", "y"), (len, 3), (len, "y", "")):
        with pytest.raises(ConfigError, match="expected a function of a chat"):
            ModelPartner(*arguments[:2], **({"end": arguments[2]} if len(arguments) > 2 else {}))


# Tools


@pytest.mark.parametrize(
    ("call", "reply"),
    [
        (" CALL calculator: 12 * 7 + 1", "85"),
        ("CALL calculator: (0.1 + 0.2) / -3", "-0.1"),
        ("CALL calculator: 2 / 3\n", "0.666667"),
        ("CALL calculator: 1 / 0", "Error: division by zero."),
        ("CALL calculator: 9 ** 9 ** 9", "Error: '9 ** 9 ** 9' is no sum"),
        ("CALL calculator: __import__('os')", "Error: \"__import__('os')\" is no sum"),
        ("CALL calculator: 1j + True", "Error: '1j + True' is no sum"),
        ("CALL calculator: 1e999", "Error: '1e999' is no sum"),
        ("CALL calculator: " + "(" * 99 + "1" + ")" * 99, "1"),
        ("CALL calculator: " + "-" * 150 + "1", "1"),
        ("CALL calculator: " + "1+" * 200 + "1", "Error: the sum has 401 characters"),
        ("CALL calculator: \x00", "Error: "),
        ("CALL calculator:", "Error: '' is no sum"),
        ("CALL look_up: the LAMP", "colour: red"),
        ("CALL look_up: a bag", "Error: there is no record of 'a bag'."),
        ("CALL calculater: 1", "Error: no tool is called 'calculater'. Did you mean 'calculator'?"),
        ("CALL", "Error: a call is CALL name: argument."),
        ("CALL calculator 1", "Error: a call is CALL name: argument."),
    ],
)
def test_a_call_is_answered_by_its_tool_and_a_wrong_one_by_what_is_wrong(call, reply):
    (got,) = ToolUse()([dialogue(call, metadata={"records": {"The lamp": "colour: red"}})])
    assert got.text.startswith(reply)
    assert (got.reward, got.done) == (0, False)


def test_a_turn_without_a_call_is_the_answer():
    check_partner(ToolUse())
    right, wrong = (dialogue(text, references=("85", "eighty-five")) for text in (" 85", "84"))
    assert ToolUse(correct=2.0)([right, wrong]) == [Reply("", 2.0, True), Reply("", 0.0, True)]
    assert ToolUse({"shout": lambda text, prompt: text.upper()})([dialogue("CALL shout: hi")])[0].text == "HI"
    for tools in ({"two words": str.upper}, {"shout": "HI"}):
        with pytest.raises(ConfigError, match="a name of one word and a function"):
            ToolUse(tools)


# Environments


class Higher(gymnasium.Env):
    """Guess a number from 0 to 9, which the seed decides."""

    made = 0

    def __init__(self, steady=True):
        Higher.made += 1
        self.steady = steady

    def reset(self, seed=None, options=None):
        super().reset(seed=seed if self.steady else None)
        self.number, self.guesses = int(self.np_random.integers(10)), 0
        return "A number from 0 to 9?", {}

    def step(self, action):
        self.guesses += 1
        if action == str(self.number):
            return "Right.", 1.0, True, False, {}
        return f"{self.guesses} wrong", -0.1, False, self.guesses == 4, {}


def higher(partner=None, **options):
    partner = GymPartner(Higher) if partner is None else partner
    given = {**LENGTHS, "max_new_tokens": 128, "max_turns": 9, **options}
    return CompletionAction(TextGenerationEnv(partner.prompts(20), partner=partner, **given))


def test_an_environment_of_texts_is_played_token_by_token():
    env = higher()
    assert env.unwrapped.task[3] == Prompt("A number from 0 to 9?\n", metadata={"env_seed": 3})
    for prompt_id in range(20):
        other = Higher()
        other.reset(seed=prompt_id)
        env.reset(options={"prompt_id": prompt_id})
        for guess in range(10):
            expected, got = other.step(str(guess)), env.step(f" {guess}")
            assert got[4]["turns"][-1].text == expected[0]
            assert got[1] == expected[1]
            assert got[2] == (expected[2] or expected[3])
            if got[2]:
                break


def test_its_state_is_played_again_where_it_is_missed_and_costs_a_step_where_it_is_not():
    env = higher()
    env.reset(options={"prompt_id": 2})
    before = Higher.made
    env.step(" 0")
    env.step(" 1")
    assert Higher.made == before + 1
    others = [copy.deepcopy(env), pickle.loads(pickle.dumps(env)), higher()]
    others[2].unwrapped.set_state(env.unwrapped.get_state())
    expected = env.step(" 2")
    assert Higher.made == before + 2  # that of the third one's prompts
    for other in others:
        got = other.step(" 2")
        assert got[1:] == expected[1:]
    check_partner(GymPartner(Higher), [dialogue(str(n), "0") for n in range(3)])
    few = GymPartner(Higher, keep=1)
    assert few([dialogue("a"), dialogue("b")]) == few([dialogue("a"), dialogue("b")])


def test_environments_that_are_none_of_texts_or_follow_no_seed():
    with pytest.raises(PartnerError, match="observation of type ndarray"):
        GymPartner("CartPole-v1").prompts(1)

    class Fleeting(Higher):
        def step(self, action):
            self.guesses += 1
            return "", 0.0, Higher.made > 3 or self.guesses > 3, False, {}

    Higher.made = 0
    partner = GymPartner(Fleeting)
    assert not partner([dialogue("a")])[0].done
    partner = pickle.loads(pickle.dumps(GymPartner(Higher)))
    partner.make = Fleeting
    Higher.made = 9
    with pytest.raises(PartnerError, match="ended after 1 of 2 turns when it was played again under the seed 0"):
        partner([dialogue("a", "b")])


@pytest.mark.slow
@pytest.mark.parametrize(
    "partner",
    [
        *(guessing, ToolUse(), GymPartner(Higher), Scripted(["no"] * 50)),
        GymPartner(functools.partial(TextArenaGame, "GuessTheNumber-v0")),
    ],
    ids=["function", "tools", "gym", "script", "textarena"],
)
def test_100_000_random_steps_and_both_forms_agree(partner):
    options = {"max_prompt_tokens": 16, "max_new_tokens": 48, "max_turns": 5, "min_new_tokens": 0}
    tokens = [GPT.eos_token_id, *GPT.encode(" CALL calculator: 1 + a b c", add_special_tokens=False)]
    vector = textgym.TextGenerationVectorEnv(10, PROMPTS, None, partner=partner, autoreset_mode="SameStep", **options)
    singles = [TextGenerationEnv(PROMPTS, None, partner=partner, **options) for _ in range(10)]
    vector.reset(seed=list(range(10)))
    for seed, env in enumerate(singles):
        env.reset(seed=seed)
    generator = np.random.default_rng(0)
    for _ in range(10_000):
        actions = generator.choice(tokens, 10)
        observations, rewards, terminated, _, _ = vector.step(actions)
        for row, env in enumerate(singles):
            observation, reward, over, _, _ = env.step(actions[row])
            observation = env.reset()[0] if over else observation
            assert (rewards[row], terminated[row]) == (reward, over)
            assert (observation["input_ids"] == observations["input_ids"][row]).all()
