"""Tasks of several turns: the stated returns of the best and of the random policy are what is played."""

import copy
import pickle
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as sb3_check_env

from textgym import Dialogue, Reply, TextGenerationEnv, TextGenerationVectorEnv, Turn, registration
from textgym.checker import check_partner, check_task, check_text_env
from textgym.errors import ConfigError, InvalidActionError, SeedError
from textgym.tasks.conversations import CONVERSATIONS, Haggle, Recall, Shop, TwentyQuestions, Wordle3
from textgym.tokenizer import BUILTIN_MODELS, builtin_tokenizer
from textgym.wrappers import CompletionAction
from textgym_agents.buffers.offline import as_episodes, read_log

VARIANTS = [(name, variant) for name, task in CONVERSATIONS.items() for variant in task.variants]
every_task = pytest.mark.parametrize("name", CONVERSATIONS)
every_variant = pytest.mark.parametrize(
    ("name", "variant"), VARIANTS, ids=lambda one: one if isinstance(one, str) else "-".join(map(str, one.values()))
)


def returned(dialogue):
    return sum(turn.reward for turn in dialogue.turns)


def reply(task, prompt, seed, *said):
    """What the partner replies to the last of some turns."""
    turns = [Turn("policy", text) for text in said]
    paired = tuple(x for turn in turns for x in (turn, Turn("partner", "-")))[:-1]
    return task.partner([Dialogue(prompt, paired, seed)])[0]


@every_variant
def test_the_best_and_the_random_policy_have_the_stated_returns(name, variant):
    task, count = CONVERSATIONS[name]("test", **variant), 160
    prompts = [task[i] for i in range(4)]
    for policy, stated in ((None, task.best_return), (task.random_policy(), task.random_return)):
        returns = [returned(task.play(prompts[i % 4], i, policy)) for i in range(count)]
        expected = np.mean([stated(prompt) for prompt in prompts])
        assert np.mean(returns) == pytest.approx(expected, abs=4 * np.std(returns) / np.sqrt(count) + 1e-9)
    assert task.score(task.random_reward()) == task.score(0.0) == 0
    assert task.score(task.best_reward()) == task.score(9.0) == 1
    assert task.score((task.random_reward() + task.best_reward()) / 2) == pytest.approx(0.5)
    assert task.best_reward() > task.random_reward() + 0.05


def games(task, prompt, count):
    """A seed of each of ``count`` different things that the partner may hide: they differ in some first reply."""
    seeds = {}
    for seed in range(5000):
        seen = tuple(reply(task, prompt, seed, text).text for text in task.utterances(prompt))
        seeds.setdefault(seen, seed)
        if len(seeds) == count:
            return list(seeds.values())
    raise AssertionError(f"{len(seeds)} games, expected {count}")


def exhaustive(task, prompt, seeds, said=()):
    """The sum over games of the best return there is, by trying everything after everything that may be heard."""
    best = 0.0
    for text in task.utterances(prompt) if len(said) < task.max_turns else ():
        if text in said:
            continue  # no partner here says another thing when it is asked again
        total, groups = 0.0, {}
        for seed in seeds:
            heard = reply(task, prompt, seed, *said, text)
            total += heard.reward
            if not heard.done:
                groups.setdefault(heard.text, []).append(seed)
        best = max(best, total + sum(exhaustive(task, prompt, group, (*said, text)) for group in groups.values()))
    return best


@pytest.mark.parametrize(
    ("task", "count"),
    [
        (TwentyQuestions("test", things=4, turns=3), 4),
        (Shop("test", records=3, turns=3), 24 * 3),
        (Shop("test", records=2, questions=1), 2 * 2),
        (Haggle("test", highest=6), 6),
        (Wordle3("test", letters=2, turns=3), 8),
    ],
    ids=lambda one: getattr(one, "name", str(one)),
)
def test_trying_everything_finds_no_more_than_the_stated_best_return(task, count):
    prompt = task[1]
    seeds = games(task, prompt, count)
    assert exhaustive(task, prompt, seeds) / count == pytest.approx(task.best_return(prompt), abs=1e-9)
    assert np.mean([returned(task.play(prompt, seed)) for seed in seeds]) == pytest.approx(task.best_return(prompt))


@every_task
def test_a_task_has_prompts_of_its_split(name):
    task = CONVERSATIONS[name]("train")
    assert task.name == name
    assert task[5] == CONVERSATIONS[name]("train")[5] == pickle.loads(pickle.dumps(task))[5] == copy.deepcopy(task)[5]
    assert task[5] != CONVERSATIONS[name]("train", seed=1)[5]
    assert not {task[i].text for i in range(50)} & {CONVERSATIONS[name]("test")[i].text for i in range(50)}
    assert (len(task), len(CONVERSATIONS[name]("test"))) == (1_000_000, 1_000)
    for given, error in ((("nothing",), ConfigError), (("train",), SeedError)):
        with pytest.raises(error):
            CONVERSATIONS[name](*given, seed=-1)
    check_task(task)
    texts = ("red", "7", "", "look lamp", "sell lamp", "b a t", "\x00" * 999)
    check_partner(task.partner, [Dialogue(task[i], (Turn("policy", text),), 3) for i, text in enumerate(texts)])


@every_task
@pytest.mark.parametrize("model", BUILTIN_MODELS)
def test_conversations_fit_the_budgets_and_every_utterance_is_legal(name, model):
    for variant in CONVERSATIONS[name].variants[1:]:
        task = CONVERSATIONS[name]("test", **variant)
        env = CompletionAction(TextGenerationEnv(task, tokenizer=model))
        for seed, number in ((0, -1), (1, 0), (2, len(task.utterances(task[0])) // 2)):
            _, info = env.reset(seed=seed)
            prompt, done = task[info["prompt_id"]], False
            while not done:
                text = sorted(task.utterances(prompt), key=len)[number]
                *_, done, _, info = env.step(f" {text}")
                assert info["turns"][-2].text == f" {text}"
            assert env.unwrapped.mdp.rules.encode_prompt(prompt.text)[1] == 0
            assert info["finish_reason"] in ("done", "turns")
            assert info["reward_components"] == {"partner": sum(turn.reward for turn in info["turns"])}


@every_task
def test_an_id_is_an_environment_for_gymnasium_and_sb3(name):
    env_id = registration.env_id(name)
    assert gymnasium.make(env_id, split="test").unwrapped.task[0] == CONVERSATIONS[name]("test")[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        every = range(len(builtin_tokenizer(CONVERSATIONS[name].default_model)))  # since the checkers ask for no mask
        check_env(gymnasium.make(env_id, allowed_tokens=every).unwrapped)
        sb3_check_env(gymnasium.make(env_id, allowed_tokens=every).unwrapped, skip_render_check=False)
        check_text_env(gymnasium.make(env_id))


@every_task
def test_vector_forms_agree_and_the_oracle_plays_by_tokens(name):
    env_id = registration.env_id(name)
    vector = gymnasium.make_vec(env_id, num_envs=4, autoreset_mode="Disabled").unwrapped
    singles = [gymnasium.make(env_id).unwrapped for _ in range(4)]
    vector.reset(seed=[5, 6, 7, 8])
    for seed, env in enumerate(singles, start=5):
        env.reset(seed=seed)
    dialogues, queues = list(vector._conversations.dialogues), [[] for _ in singles]
    totals = np.zeros((2, 4))
    while not vector.ended.all():
        running = np.flatnonzero(~vector.ended)
        for row in running:
            if not queues[row]:
                queues[row] = vector.encode_completion(f" {vector.task.oracle(vector._conversations.dialogues[row])}")
        actions = [queue.pop(0) if queue else 0 for queue in queues]
        _, rewards, *_ = vector.step(actions)
        totals[0] += rewards
        totals[1, running] += [singles[row].step(actions[row])[1] for row in running]
    assert (totals[0] == totals[1]).all()
    assert totals[0] == pytest.approx([returned(vector.task.play(one.prompt, one.seed)) for one in dialogues])


@every_task
def test_random_tokens_are_rewarded_at_times(name):
    vector = TextGenerationVectorEnv(150, CONVERSATIONS[name]("test"), autoreset_mode="SameStep")
    vector.reset(seed=0)
    generator, rewarded, ended = np.random.default_rng(0), 0, 0
    while ended < 300:
        _, rewards, terminated, *_ = vector.step(generator.choice(vector.mdp.rules.allowed_tokens, 150))
        rewarded, ended = rewarded + np.count_nonzero(rewards > 0), ended + np.count_nonzero(terminated)
    assert rewarded > 0


@every_task
def test_dialogues_are_a_log_that_is_learned_from(name):
    task = CONVERSATIONS[name]("train")
    env, log = TextGenerationEnv(task), task.dialogues(12)
    episodes = as_episodes(read_log(log), env.mdp)
    returns = [sum(turn.get("reward", 0) for turn in one["turns"]) for one in log]
    assert [episode.rewards.sum() for episode in episodes] == pytest.approx(returns)
    best = task.dialogues(12, skill=1.0)
    assert best == task.dialogues(12, skill=1.0) != task.dialogues(12, skill=1.0, seed=1)
    assert [one["prompt"] for one in best] == [task[i].text for i in range(12)]
    first = Dialogue(task[0])
    assert {one["turns"][0]["text"] for one in best if one["prompt"] == task[0].text} == {f" {task.oracle(first)}"}
    for skill in (-0.1, 1.5, "much", True):
        with pytest.raises(ConfigError, match="skill"):
            task.dialogues(1, skill=skill)


def test_other_tokens_are_legal_where_they_are_allowed():
    env = CompletionAction(gymnasium.make("textgym/TwentyQuestions-v0"))
    env.reset(seed=0)
    with pytest.raises(InvalidActionError, match="allowed_tokens"):
        env.step(" Is it red?")
    free = CompletionAction(gymnasium.make("textgym/TwentyQuestions-v0", allowed_tokens=range(2048), max_turn_tokens=9))
    free.reset(seed=0)
    assert free.step(" Is it red?")[4]["turns"][-1].text in ("yes", "no", "what?")


@pytest.mark.parametrize(
    ("name", "arguments", "match"),
    [
        ("Shop", {"records": 5}, "at most 4 records"),
        ("Shop", {"questions": 4}, "questions=4"),
        ("Shop", {"turns": 0}, "turns=0"),
        ("Recall", {"distance": 2, "distractors": 2}, "distractors=2"),
        ("Wordle3", {"letters": 6}, "from 2 to 5"),
        ("Haggle", {"highest": 1}, "highest=1"),
        ("TwentyQuestions", {"things": 13}, "from 2 to 12"),
        ("TwentyQuestions", {"thing": 4}, "Did you mean 'things'"),
    ],
)
def test_arguments_that_make_no_sense(name, arguments, match):
    with pytest.raises(ConfigError, match=match):
        gymnasium.make(registration.env_id(name), **arguments)


# The partners


def test_answers_of_twenty_questions():
    task = TwentyQuestions()
    prompt = task[0]
    names = prompt.metadata["things"]
    secret = names[int(Dialogue(prompt, (), 4).generator().integers(8))]
    other = next(name for name in names if name != secret)
    color = secret.split()[0]
    for text, said in (
        (f" Is it {color}?", Reply("yes")),
        (f" Is it a {secret}?", Reply("yes", 1.0, done=True)),
        (f" {other}", Reply("no")),
        (f" {other} {secret}", Reply("no")),
        (" purple", Reply("what?")),
        ("", Reply("what?")),
        (f"{color} {color}", Reply("yes")),
    ):
        assert reply(task, prompt, 4, text) == said
    assert reply(task, prompt, 4, *[""] * 5, secret).reward == pytest.approx(0.5)


def test_offers_of_haggle():
    task = Haggle()
    most = 1 + int(Dialogue(task[0], (), 9).generator().integers(20))
    for text, said in (
        (f" {most}", Reply("Deal.", most / 20, done=True)),
        (f" {most + 1}", Reply("Too much." if most < 20 else "A price from 1 to 20, please.")),
        (" 0", Reply("A price from 1 to 20, please.")),
        (" a lot", Reply("A price from 1 to 20, please.")),
        (" 9" * 5000, Reply("Deal.", 9 / 20, done=True) if most >= 9 else Reply("Too much.")),
        ("9" * 5000, Reply("A price from 1 to 20, please.")),
    ):
        assert reply(task, task[0], 9, text) == said
    # n / (2 (n + 1)) is the limit of ever finer prices, from below one step of 1 / 20 away.
    assert 3 / 8 <= task.best_reward() <= 3 / 8 + 1 / 20


def test_a_sale_is_graded_by_its_record():
    task = Shop()
    prompt = task[0]
    names, wishes = prompt.metadata["stock"], prompt.metadata["wishes"]
    records = {name: reply(task, prompt, 2, f" look {name}").text for name in names}
    assert len({*records.values()}) == 4
    wish = ", ".join(reply(task, prompt, 2, f" {one}").text for one in wishes)
    right = next(name for name in names if records[name] == wish)
    wrong = next(name for name in names if name != right)
    sale = {"name": right, "record": wish, "wish": wish}
    for text in (f" sell {right}", f"I SELL you the {right}, and not the {wrong}."):
        assert reply(task, prompt, 2, text) == Reply("Thank you.", 1.0, done=True, info={"sale": sale})
    assert reply(task, prompt, 2, "", "", "sell nothing", f"sell {right}").reward == pytest.approx(0.85)
    sold = reply(task, prompt, 2, f"sell {wrong}")
    assert (sold.text, sold.reward, sold.done) == ("Not that one.", 0, True)
    assert sold.info["sale"]["record"] == records[wrong]
    for text in (f"CALL look_up: {right}", f"LOOKUP {right}", f"{right} look"):
        assert reply(task, prompt, 2, text) == Reply(wish)
    for text, said in (
        ("look zebra", "Error: there is no record of 'zebra'."),
        ("look", "Error: there is no record of ''."),
        ("sell zebra", "Sorry?"),
        ("", "Sorry?"),
    ):
        assert reply(task, prompt, 2, text) == Reply(said)


def test_marks_of_a_guess():
    task = Wordle3()
    prompt = task[0]
    listed = task.utterances(prompt)
    secret = next(text for text in listed if reply(task, prompt, 1, text).done)
    assert reply(task, prompt, 1, f"{secret.replace(' ', '').upper()}!") == Reply("yes yes yes", 1.0, done=True)
    for guess in listed:
        letters, word = guess.split(), secret.split()
        said = reply(task, prompt, 1, guess).text.split()
        assert [mark == "yes" for mark in said] == [one == other for one, other in zip(letters, word, strict=True)]
        for letter in {*letters}:  # as many marks as the word has of the letter
            marked = sum(mark != "no" for one, mark in zip(letters, said, strict=True) if one == letter)
            assert marked == min(letters.count(letter), word.count(letter))
    for text in ("", "b", "xyz", "bbb"):
        assert reply(task, prompt, 1, text) == Reply("what?")
    assert reply(task, prompt, 1, "", "", secret).reward == pytest.approx(0.8)


def test_what_is_said_is_asked_for_after_so_many_turns():
    places = set()
    for seed in range(30):
        task = Recall(distance=4, distractors=2)
        dialogue = task.play(task[0], seed)
        heard = [turn.text for turn in dialogue.turns if turn.speaker == "partner"]
        thing, color = heard[0].removeprefix("The ").rstrip(".").split(" is ")
        assert heard[4:] == [f"Which color is the {thing}?", "yes"]
        others = [text for text in heard[1:4] if text != "Go on."]
        assert len(others) == 2
        assert not [text for text in others if thing in text or color in text]
        places.add(heard.index("Go on."))
        assert [turn.reward for turn in dialogue.turns if turn.speaker == "policy"] == [0, 0, 0, 0, 0, 1]
        wrong = next(one for one in task.utterances(task[0]) if one != color)
        assert reply(task, task[0], seed, *[""] * 5, wrong) == Reply("no", 0.0, done=True)
    assert places == {1, 2, 3}


@pytest.mark.slow
@every_task
def test_100_000_random_steps_and_both_forms_agree(name):
    task, generator = CONVERSATIONS[name](), np.random.default_rng(0)
    vector = TextGenerationVectorEnv(10, task, autoreset_mode="SameStep")
    singles = [TextGenerationEnv(task) for _ in range(10)]
    vector.reset(seed=list(range(10)))
    for seed, env in enumerate(singles):
        env.reset(seed=seed)
    for _ in range(10_000):
        actions = generator.choice(vector.mdp.rules.allowed_tokens, 10)
        observations, rewards, terminated, _, _ = vector.step(actions)
        for row, env in enumerate(singles):
            observation, reward, over, _, _ = env.step(actions[row])
            observation = env.reset()[0] if over else observation
            assert (rewards[row], terminated[row]) == (reward, over)
            assert (observation["input_ids"] == observations["input_ids"][row]).all()
