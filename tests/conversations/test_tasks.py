"""Tasks of several turns: the stated returns of the best and of the random policy are what is played."""

import pickle

import numpy as np
import pytest

from textgym import Dialogue, Reply, TextGenerationEnv, TextGenerationVectorEnv, Turn
from textgym.checker import check_partner, check_text_env
from textgym.errors import ConfigError, SeedError
from textgym.tasks.conversations import CONVERSATIONS, Haggle, TwentyQuestions
from textgym.tasks.conversations.twenty_questions import TURNS
from textgym.wrappers import CompletionAction

every_task = pytest.mark.parametrize("name", CONVERSATIONS)


def played(task, prompt, seed, policy):
    """The return of a conversation with the partner, without an environment, and what was said."""
    dialogue, total = Dialogue(prompt, (), seed), 0.0
    for _ in range(task.max_turns):
        turns = (*dialogue.turns, Turn("policy", policy(dialogue)))
        (reply,) = task.partner([Dialogue(prompt, turns, seed)])
        dialogue, total = Dialogue(prompt, (*turns, Turn("partner", reply.text)), seed), total + reply.reward
        if reply.done:
            break
    return total, dialogue


@every_task
def test_the_best_and_the_random_policy_have_the_stated_returns(name):
    task, count = CONVERSATIONS[name]("test"), 600
    generator = np.random.default_rng(0)
    prompts = [task[i] for i in range(4)]
    for policy, stated in (
        (task.oracle, task.best_return),
        (lambda dialogue: str(generator.choice(task.utterances(dialogue.prompt))), task.random_return),
    ):
        returns = [played(task, prompts[i % 4], i, policy)[0] for i in range(count)]
        expected = np.mean([stated(prompt) for prompt in prompts])
        assert np.mean(returns) == pytest.approx(expected, abs=4 * np.std(returns) / np.sqrt(count))
    assert task.score(task.random_reward()) == 0
    assert task.score(task.best_reward()) == 1
    assert task.best_reward() > task.random_reward() + 0.1


@every_task
def test_no_first_move_is_better_than_the_oracle_s(name):
    """Each utterance of the policy, then the oracle: no mean over what the partner hides is above the best."""
    task = CONVERSATIONS[name]("validation", seed=1)
    prompt = task[0]

    def first(text):
        return lambda dialogue: text if not dialogue.turns else task.oracle(dialogue)

    means = [np.mean([played(task, prompt, s, first(text))[0] for s in range(200)]) for text in task.utterances(prompt)]
    best = task.best_return(prompt)
    assert max(means) <= best + 0.06
    assert max(means) >= best - 0.06


@every_task
def test_a_task_has_prompts_of_its_split_and_fits_its_budgets(name):
    task = CONVERSATIONS[name]("train")
    assert task[5] == CONVERSATIONS[name]("train")[5] == pickle.loads(pickle.dumps(task))[5]
    assert task[5] != CONVERSATIONS[name]("train", seed=1)[5]
    assert not {task[i].text for i in range(50)} & {CONVERSATIONS[name]("test")[i].text for i in range(50)}
    assert (len(task), len(CONVERSATIONS[name]("test"))) == (1_000_000, 1_000)
    for given, error in ((("nothing",), ConfigError), (("train",), SeedError)):
        with pytest.raises(error):
            CONVERSATIONS[name](*given, seed=-1)
    env = CompletionAction(TextGenerationEnv(task))
    for seed in range(60):
        _, info = env.reset(seed=seed)
        assert info["prompt_truncated"] == 0
        longest, done = max(task.utterances(task[info["prompt_id"]]), key=len), False
        while not done:
            *_, done, _, info = env.step(f" {longest}")
        assert info["finish_reason"] in ("done", "turns")
        assert info["reward_components"] == {"partner": sum(turn.reward for turn in info["turns"])}
    check_text_env(TextGenerationEnv(CONVERSATIONS[name]("test")))
    check_partner(task.partner, [Dialogue(task[0], (Turn("policy", text),), 3) for text in ("red", "7", "")])


def test_the_oracle_plays_by_tokens_in_the_vector_form():
    task = TwentyQuestions("test")
    vector = TextGenerationVectorEnv(8, task, autoreset_mode="Disabled")
    vector.reset(seed=0)
    total = np.zeros(8)
    dialogues, queues = list(vector._conversations.dialogues), [[] for _ in range(8)]
    while not vector.ended.all():
        for row in np.flatnonzero(~vector.ended):
            if not queues[row]:
                queues[row] = vector.encode_completion(f" {task.oracle(vector._conversations.dialogues[row])}")
        _, rewards, *_ = vector.step([queue.pop(0) if queue else 0 for queue in queues])
        total += rewards
    expected = [played(task, one.prompt, one.seed, task.oracle)[0] for one in dialogues]
    assert total == pytest.approx(expected)
    assert total.min() > 0.5


def test_answers_of_twenty_questions():
    task = TwentyQuestions()
    prompt = task[0]
    names = prompt.metadata["things"]
    secret = names[int(Dialogue(prompt, (), 4).generator().integers(8))]
    other = next(name for name in names if name != secret)
    color = secret.split()[0]
    for text, reply in (
        (f" Is it {color}?", Reply("yes")),
        (f" Is it a {secret}?", Reply("yes", 1.0, done=True)),
        (f" {other}", Reply("no")),
        (" purple", Reply("what?")),
        ("", Reply("what?")),
        (f"{color} {color}", Reply("what?")),
    ):
        assert task.partner([Dialogue(prompt, (Turn("policy", text),), 4)]) == [reply]
    late = tuple(turn for _ in range(TURNS - 1) for turn in (Turn("policy", ""), Turn("partner", "what?")))
    assert task.partner([Dialogue(prompt, (*late, Turn("policy", secret)), 4)])[0].reward == pytest.approx(0.5)


def test_offers_of_haggle():
    task = Haggle()
    most = 1 + int(Dialogue(task[0], (), 9).generator().integers(20))
    for text, reply in (
        (f" {most}", Reply("Deal.", most / 20, done=True)),
        (f" {most + 1}", Reply("Too much." if most < 20 else "A price from 1 to 20, please.")),
        (" 0", Reply("A price from 1 to 20, please.")),
        (" a lot", Reply("A price from 1 to 20, please.")),
        (" 9" * 5000, Reply("Deal.", 9 / 20, done=True) if most >= 9 else Reply("Too much.")),
        ("9" * 5000, Reply("A price from 1 to 20, please.")),
    ):
        assert task.partner([Dialogue(task[0], (Turn("policy", text),), 9)]) == [reply]
    # n / (2 (n + 1)) is the limit of ever finer prices, from below one step of 1 / 20 away.
    assert 3 / 8 <= task.best_reward() <= 3 / 8 + 1 / 20
