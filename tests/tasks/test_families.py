"""What holds for every built-in task: determinism, splits, budgets, pickling, and the texts to train on."""

import copy
import inspect
import math
import pickle
import re

import gymnasium
import numpy as np
import pytest

from textgym import registration
from textgym.core import Prompt, Sample, Task
from textgym.errors import ConfigError, SeedError
from textgym.scoring import score_samples
from textgym.tasks import TASKS, SentimentContinuation, taught_variants, training_texts
from textgym.tokenizer import BUILTIN_MODELS, builtin_tokenizer, length_factor
from textgym.world import split_of

NAMES = list(TASKS)
every_task = pytest.mark.parametrize("name", NAMES)
# Each value of each argument that makes another variant of a task.
VARIANTS = [
    (name, {argument: value}) for name in NAMES for argument, values in TASKS[name].variants.items() for value in values
]
every_variant = pytest.mark.parametrize(("name", "arguments"), VARIANTS, ids=str)


def tokens(text):
    """How many tokens a text takes: measured, and at least a generous estimate of a 2,000-token vocabulary's count."""
    # Such a vocabulary, trained on these texts, needs about 1.05 tokens a word.
    estimate = 1.2 * len(re.findall(r"\w+", text)) + len(re.findall(r"[^\w\s]", text))
    tokenizer = builtin_tokenizer()
    return max(estimate, len(tokenizer.encode(text)) if len(tokenizer) > 1000 else 0)


@every_task
def test_a_task_has_what_the_protocol_asks_for(name):
    task = TASKS[name]()
    assert isinstance(task, Task)
    assert task.name == name
    assert task.truncation_side in ("left", "right")
    assert task.stop == ()
    assert all(isinstance(metric, str) for metric in task.metrics)
    assert (len(task), len(TASKS[name]("validation")), len(TASKS[name]("test"))) == (1_000_000, 1_000, 1_000)


@every_task
def test_prompts_are_a_pure_function_of_seed_split_and_index(name):
    task = TASKS[name](seed=4)
    first = [task[index] for index in (999_999, 0, 17)]
    assert first == [TASKS[name](seed=4)[index] for index in (999_999, 0, 17)]
    assert task[-1] == task[len(task) - 1]
    assert task[np.int64(17)] == task[17]
    assert TASKS[name](seed=5)[17].text != task[17].text
    assert TASKS[name]("test", seed=4)[17].text != task[17].text


@every_task
def test_an_index_beyond_the_end_is_an_index_error(name):
    task = TASKS[name]("test")
    for index in (1_000, -1_001):
        with pytest.raises(IndexError, match="1000 prompts"):
            task[index]


@every_task
def test_splits_are_disjoint_even_between_seeds(name):
    train, validation, test = TASKS[name](seed=1), TASKS[name]("validation", seed=2), TASKS[name]("test")
    texts = {train[index].text for index in range(1000)}
    assert not texts & {validation[index].text for index in range(80)}
    assert not texts & {test[index].text for index in range(80)}


@every_task
def test_texts_fit_the_token_budgets(name):
    task = TASKS[name]()
    for index in range(300):
        prompt = task[index]
        assert tokens(prompt.text) <= task.max_prompt_tokens, prompt.text
        for reference in prompt.references:
            # One more for the end token.
            assert tokens(f" {reference}") + 1 <= task.max_new_tokens, reference


@every_task
@pytest.mark.parametrize("model", BUILTIN_MODELS)
def test_texts_of_all_splits_fit_the_budgets_of_every_built_in_tokenizer(name, model):
    tokenizer = builtin_tokenizer(model)
    env = gymnasium.make(f"textgym/{name}-v0", tokenizer=model).unwrapped
    assert env.observation_space.max_prompt_tokens == math.ceil(length_factor(tokenizer) * env.task.max_prompt_tokens)
    for split in ("train", "validation", "test"):
        task = TASKS[name](split)
        for index in range(80):
            prompt = task[index]
            assert len(tokenizer.encode(prompt.text)) <= env.observation_space.max_prompt_tokens, prompt.text
            for reference in prompt.references:
                assert len(env.encode_completion(f" {reference}")) <= env.observation_space.max_new_tokens, reference
                assert tokenizer.decode(tokenizer.encode(reference)) == reference


@every_task
def test_prompts_and_references_join_with_one_space(name):
    task = TASKS[name]()
    for index in range(200):
        prompt = task[index]
        assert prompt.text[-1] == ":" or prompt.text[-1].isalpha() or prompt.text.endswith(", and"), prompt.text
        assert prompt.references
        assert len(set(prompt.references)) == len(prompt.references)
        assert all(reference == reference.strip() for reference in prompt.references)


@every_task
def test_the_cue_tells_the_families_apart(name):
    cue = TASKS[name].template.split("{prompt}")[0]
    assert TASKS[name]()[0].text.startswith(cue)
    assert not any(TASKS[other]()[0].text.startswith(cue) for other in NAMES if other != name)


@every_task
@pytest.mark.parametrize("clone", [copy.deepcopy, lambda task: pickle.loads(pickle.dumps(task))])
def test_tasks_can_be_copied_and_pickled(name, clone):
    task = TASKS[name]("validation", seed=2, template="<{prompt}")
    twin = clone(task)
    assert [twin[index] for index in range(5)] == [task[index] for index in range(5)]
    assert len(twin) == len(task)


@every_task
def test_a_template_surrounds_the_prompt(name):
    plain, wrapped = TASKS[name](), TASKS[name](template="Now {this}: {prompt} =>")
    cue = TASKS[name].template.split("{prompt}")
    core = plain[3].text.removeprefix(cue[0]).removesuffix(cue[1])
    assert wrapped[3].text == f"Now {{this}}: {core} =>"
    assert wrapped[3].references == plain[3].references


@every_task
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"split": "dev"}, ConfigError, "'dev' is no split.*test, train, validation"),
        ({"split": "trian"}, ConfigError, "Did you mean 'train'"),
        ({"seed": -1}, SeedError, "seed=-1, expected an integer from 0"),
        ({"seed": "1"}, SeedError, "seed='1'"),
        ({"seed": True}, SeedError, "seed=True"),
        ({"template": "Say:"}, ConfigError, "exactly one {prompt}"),
        ({"template": "{prompt}{prompt}"}, ConfigError, "exactly one {prompt}"),
        ({"columns": {"prompt": "x"}}, ConfigError, "columns is understood only together with dataset"),
        ({"load_kwargs": {"token": "secret"}}, ConfigError, "load_kwargs is understood only together with dataset"),
        ({"datset": "x"}, TypeError, "unexpected keyword argument 'datset'"),
    ],
)
def test_arguments_that_make_no_sense(name, arguments, error, message):
    with pytest.raises(error, match=message):
        TASKS[name](**arguments)


def test_keywords_occur_verbatim_in_every_reference():
    task = TASKS["DataToText"]("validation")
    for index in range(500):
        prompt = task[index]
        assert prompt.metadata["keywords"]
        assert len(prompt.references) == 3
        for reference in prompt.references:
            assert all(keyword in reference for keyword in prompt.metadata["keywords"]), prompt


def test_no_prompt_carries_unhappy_continuations():
    for index in range(50):
        prompt = SentimentContinuation()[index]
        assert set(prompt.metadata) == {"opening", "label"}
        assert prompt.metadata["opening"] in ("neutral", "mixed", "negative")


@pytest.mark.parametrize("words", [0, -3, 2.5, "8"])
def test_prefix_words_must_be_a_positive_integer(words):
    with pytest.raises(ConfigError, match=r"prefix_words=.*expected an integer from 1"):
        SentimentContinuation(prefix_words=words)


@every_task
def test_training_texts_are_train_prompts_with_a_completion(name):
    """The variants that are taught take turns: index i is one of the variant number i, modulo their number."""
    tasks = taught_variants(name, seed=6)
    assert all(task.prompts.split == "train" for task in tasks)
    pairs = list(training_texts(name, 50, seed=6))
    assert pairs == list(training_texts(name, 50, seed=6))
    drawn = 0
    for prompt, completion in pairs:
        assert completion.startswith(" ")
        while (task := tasks[drawn % len(tasks)])[drawn].text != prompt:
            assert any(map(task.is_held_out, task[drawn].references))
            drawn += 1
        assert completion[1:] in task.training_completions(drawn)
        assert not task.is_held_out(completion[1:])
        assert set(task[drawn].references) <= set(task.training_completions(drawn))
        drawn += 1
    assert (drawn > 50) == (name in ("Translation", "Story"))


def test_no_sentence_is_taught_in_one_direction_and_held_out_in_another():
    taught = {text.strip() for pair in training_texts("Translation", 300) for text in (pair[0].split(": ")[1], pair[1])}
    taught = {text.partition("\n")[0] for text in taught}
    assert {split_of(text) for text in taught} == {"train"}


def test_training_reviews_are_happy_as_often_as_not():
    task = SentimentContinuation()
    pairs = list(training_texts("SentimentContinuation", 1000))
    happy = sum(completion[1:] in task[index].references for index, (_, completion) in enumerate(pairs))
    assert 430 < happy < 570


def test_reviews_of_a_dataset_are_learned_as_they_are(tmp_path):
    path = tmp_path / "reviews.jsonl"
    path.write_text('{"text": "We ate at a place in town and it was good.", "label": 1}\n')
    task = SentimentContinuation(dataset=path)
    assert task.training_completions(0) == task[0].references == ("it was good.",)


def test_training_texts_name_the_closest_task():
    with pytest.raises(ConfigError, match="Did you mean 'Translation'"):
        next(training_texts("translation", 1))


def test_prompts_are_plain_values():
    prompt = TASKS["Copy"]()[0]
    assert isinstance(prompt, Prompt)
    assert prompt.text == f"Words: {prompt.references[0]}\nCopy:"


@every_variant
def test_every_variant_has_prompts_of_its_own_that_fit(name, arguments):
    """Variants are all in the id's range of lengths; their references get the best reward, others and nothing less."""
    task, reward = TASKS[name](**arguments), registration.default_reward(registration.env_id(name))
    train = [task[index] for index in range(50)]
    held_out = [TASKS[name]("test", **arguments)[index] for index in range(8)]
    assert len({prompt.text for prompt in train}) >= 48
    assert not {prompt.text for prompt in train} & {prompt.text for prompt in held_out}
    assert task[7] == TASKS[name](**arguments)[7] == pickle.loads(pickle.dumps(task))[7]
    others = [other for key, other in VARIANTS if key == name and other.keys() == arguments.keys()]
    texts = [[TASKS[name](**other)[index].text for index in range(8)] for other in others]
    assert texts.count([task[index].text for index in range(8)]) == 1
    for prompt in train:
        assert tokens(prompt.text) <= task.max_prompt_tokens, prompt.text
        assert all(tokens(f" {reference}") + 1 <= task.max_new_tokens for reference in prompt.references), prompt

    scored = train[:16]

    def mean(completions):
        pairs = zip(scored, completions, strict=True)
        samples = [Sample(one.text, text, one.references, metadata=one.metadata) for one, text in pairs]
        return np.mean([score.value for score in score_samples(reward, samples)])

    best = mean([f" {prompt.references[0]}" for prompt in scored])
    shuffled = mean([f" {prompt.references[0]}" for prompt in train[1:17]])
    assert best > shuffled > mean([""] * 16) - 1e-9
    assert best > 0.9
    assert shuffled < 0.7 * best


@every_task
def test_arguments_of_a_task_are_none_of_the_environment(name):
    """``gymnasium.make`` takes both: one name would hide the other."""
    assert not {*inspect.signature(TASKS[name]).parameters} & {*registration.VECTOR_ARGUMENTS}


@every_variant
def test_variants_are_arguments_of_the_id(name, arguments):
    env = gymnasium.make(registration.env_id(name), split="test", **arguments)
    assert env.unwrapped.task[3] == TASKS[name]("test", **arguments)[3]


@pytest.mark.parametrize("name", [name for name in NAMES if TASKS[name].variants])
def test_other_variants_are_refused(name):
    for argument in TASKS[name].variants:
        for value in ("nothing like it", 0, 99, None, True):
            with pytest.raises(ConfigError, match=f"{argument}="):
                TASKS[name](**{argument: value})
