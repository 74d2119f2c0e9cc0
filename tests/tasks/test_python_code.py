"""PythonCode: nothing without consent, references pass and others don't, and rows of MBPP's and HumanEval's form."""

import copy
import json
import pickle
import warnings

import datasets
import gymnasium
import pytest
from gymnasium.utils.env_checker import check_env

from textgym import registration
from textgym.checker import check_task, check_text_env
from textgym.core import Sample
from textgym.errors import ConfigError, DatasetError
from textgym.scoring import score_samples
from textgym.tasks import OPT_IN, TASKS, PythonCode
from textgym.tasks.degenerate import degenerate_texts
from textgym.tasks.python_code import stated_tests
from textgym.tokenizer import BUILTIN_MODELS, builtin_tokenizer

ID = "textgym/PythonCode-v0"
LEVELS = PythonCode.variants["level"]


def scored(task, completions):
    """The default reward of a completion for each of the first prompts."""
    samples = [
        Sample(task[i].text, text, task[i].references, metadata=task[i].metadata) for i, text in enumerate(completions)
    ]
    return [score.value for score in score_samples(registration.default_reward(ID), samples)]


@pytest.mark.parametrize("make", [gymnasium.make, gymnasium.make_vec])
def test_there_is_no_environment_without_consent(make):
    for given in ({}, {"run_code": False}, {"reward": "bleu"}):
        with pytest.raises(ConfigError, match=r"runs programs that a policy writes.*gymnasium.make\(.*run_code=True\)"):
            make(ID, **given)
    for wrong in (1, "true", None):
        with pytest.raises(ConfigError, match="run_code"):
            make(ID, run_code=wrong)
    assert make(ID, run_code=True).unwrapped.task.name == "PythonCode"


def test_tasks_that_refuse_are_not_among_the_others_and_name_their_argument():
    assert not {*OPT_IN} & {*TASKS}
    assert all(task.name == name and task.opt_in for name, task in OPT_IN.items())
    assert json.loads(gymnasium.spec(ID).to_json())["kwargs"] == {"task_name": "PythonCode"}


def test_the_environment_passes_the_checkers():
    env = gymnasium.make(ID, run_code=True, split="validation")
    check_task(env.unwrapped.task)
    check_text_env(env, episodes=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)
    twin = pickle.loads(pickle.dumps(env.unwrapped))
    assert twin.task[3] == copy.deepcopy(env.unwrapped.task)[3] == env.unwrapped.task[3]


@pytest.mark.parametrize("level", LEVELS)
def test_references_pass_and_others_do_not(level):
    task = PythonCode(level=level)
    references = [f" {task[i].references[0]}" for i in range(8)]
    assert scored(task, references) == [1] * 8
    assert sum(scored(task, references[1:] + references[:1])) <= 2
    assert scored(task, [f" {task[i].metadata['tests'][0][1]}" for i in range(4)]) == [0] * 4  # the first example alone
    assert PythonCode("test", level=level)[0].text not in {task[i].text for i in range(100)}


def test_no_degenerate_text_comes_near_a_reference():
    task = PythonCode("validation")
    texts = {name: one[0] for name, one in degenerate_texts([task[0], task[1]]).items()}
    samples = [Sample("", text, metadata=task[0].metadata) for text in texts.values()]
    scores = [score.value for score in score_samples(registration.default_reward(ID), samples)]
    assert {name: score for name, score in zip(texts, scores, strict=True) if score} == {}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("model", BUILTIN_MODELS)
def test_texts_fit_the_budgets_and_are_functions_of_the_seed(level, model):
    env, tokenizer = gymnasium.make(ID, run_code=True, level=level, tokenizer=model).unwrapped, builtin_tokenizer(model)
    assert env.task[5] == PythonCode(level=level)[5] != PythonCode(level=level, seed=1)[5]
    for index in range(120):
        prompt = env.task[index]
        assert prompt.text.startswith("# Return ")
        assert prompt.text.endswith("\ndef f(values):\n    return")
        assert len(tokenizer.encode(prompt.text)) <= env.observation_space.max_prompt_tokens, prompt.text
        assert len(env.encode_completion(f" {prompt.references[0]}")) <= env.observation_space.max_new_tokens, prompt
        assert tokenizer.decode(tokenizer.encode(prompt.references[0])) == prompt.references[0]


def test_descriptions_examples_and_code_agree():
    """What the grammar computes is what its code returns: the code is the package's own, and is run here."""
    for level in LEVELS:
        for index in range(150):
            prompt = PythonCode(level=level)[index]
            function = eval(f"lambda values: {prompt.references[0]}")
            tests = prompt.metadata["tests"]
            assert all(function(*given) == right for given, right in tests), prompt
            assert all(f"# f({given[0]}) == {right}\n" in prompt.text for given, right in tests[:2])
            assert tests[0][1] != tests[1][1]


@pytest.mark.parametrize("level", [0, 4, "1", None, True])
def test_levels(level):
    with pytest.raises(ConfigError, match="level="):
        PythonCode(level=level)


MBPP = {
    "text": "Write a function to add.",
    "code": "def add(a, b):\n    return a + b",
    "test_list": ["assert add(1, 2) == 3", "assert add('a', 'b') == 'ab'", "assert abs(add(0.1, 0.2) - 0.3) < 1e-6"],
}
HUMAN_EVAL = {
    "prompt": "def add(a, b):\n    '''Add.'''\n",
    "canonical_solution": "    return a + b\n",
    "test": "def check(candidate):\n    assert candidate(1, 2) == 3\n    assert candidate(2, -2) == 0, 'zero'\n",
    "entry_point": "add",
}


def test_rows_of_mbpp():
    task = PythonCode(dataset=datasets.Dataset.from_list([MBPP]), template="{prompt}\nCode:\n")
    assert task[0].metadata == {"before": "", "function": "add", "tests": (((1, 2), 3), (("a", "b"), "ab"))}
    assert scored(task, [MBPP["code"]]) == [1]
    assert scored(task, ["def add(a, b):\n    return 3"]) == [0]


def test_rows_of_humaneval():
    columns = {"prompt": "prompt", "before": "prompt", "references": "canonical_solution", "tests": "test"}
    columns |= {"function": "entry_point"}
    task = PythonCode(dataset=datasets.Dataset.from_list([HUMAN_EVAL]), columns=columns, template="{prompt}")
    assert task[0].metadata["tests"] == (((1, 2), 3), ((2, -2), 0))
    assert scored(task, [HUMAN_EVAL["canonical_solution"]]) == [1]
    assert scored(task, ["    return 3\n"]) == [0]


def test_rows_without_tests_are_left_out():
    other = {
        **MBPP,
        "text": "Another.",
        "test_list": ["assert sorted(f(1)) == [2]", "print(1)", "assert f(x) == 1", "("],
    }
    assert len(PythonCode(dataset=datasets.Dataset.from_list([MBPP, other]))) == 1
    with pytest.raises(DatasetError, match=r"None of 1 rows has a test of the form 'assert f\(1, 2\) == 3'"):
        PythonCode(dataset=datasets.Dataset.from_list([other]))


@pytest.mark.parametrize(
    "lines",
    [
        "assert f({1, 2}) == 3",
        "assert f(b'x') == 3",
        "assert f(1j) == 3",
        "assert f(__import__('os')) == 3",
        "(" * 9999,
        "\0",
        "",
        3,
    ],
)
def test_what_is_no_test(lines):
    assert stated_tests(lines)[1] == ()
