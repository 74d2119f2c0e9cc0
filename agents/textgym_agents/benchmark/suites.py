"""Benchmarks with a name: which tasks, how many tokens of training, how many held-out prompts.

A suite trains every algorithm with the defaults of its row in the table and the same number of tokens, so that a table
of results shows them without any tuning.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from textgym.errors import ConfigError, did_you_mean
from textgym.registration import env_id
from textgym.tasks.probes import SUITE as PROBES
from textgym.tokenizer import BUILTIN_MEDIUM
from textgym_agents import models
from textgym_agents.algorithms import ALGORITHMS, find
from textgym_agents.benchmark.composites import base, names, own_arguments, parts, variant

ALL = "all"
# Supervised first, then RL, as in RLHF.
COMPOSITES = ("bc+ppo", "bc+rloo")


@dataclass(frozen=True)
class Suite:
    """A benchmark with a name.

    Attributes:
        description: what it is for and what it takes.
        tasks: tokens of training for each environment id.
        settings: attributes of ``BenchmarkConfig`` that differ from their defaults.
        variants: what "all" means besides the rows of the table: decode-only baselines and settings of algorithms; and
            with a minus, rows that it leaves out.
    """

    description: str
    tasks: Mapping[str, int]
    settings: Mapping[str, Any] = field(default_factory=dict)
    variants: tuple[str, ...] = ()


BASELINES = (
    *("zero_shot[temperature=0.7]", "zero_shot[temperature=0.5]", "zero_shot[temperature=0.3]"),
    *("zero_shot[top_p=0.9]", "zero_shot[top_p=0.5]"),
    *("best_of_n[n=16]", "best_of_n[n=64]"),
)
TEXT_TASKS = "textgym_agents.benchmark.text_tasks"

SUITES: dict[str, Suite] = {
    "probe": Suite(
        "Tasks of a few words that each isolate one difficulty, with exact values of the random and the best policy.",
        {variant(env_id(base(task)), own_arguments(task, "task")): tokens for task, tokens in PROBES.items()},
        {"model": "textgym/tiny"},
    ),
    "text": Suite(
        "Small tasks of text, on some of which likelihood points the wrong way or is silent: sentiment both ways and "
        "exact copies; and data to text, all of few words.",
        # Ten times the completions at which signal equals noise: textgym headroom --suite text --signal --tokens 60000.
        # text/Summary-v0, whose prompts are stories, would be a third of the time of the whole.
        {
            "text/Happy-v0": 100_000,
            "text/Unhappy-v0": 90_000,
            "text/Exact-v0": 150_000,
            "text/Table-v0": 130_000,
        },
        {"model": "textgym/tiny", "front": 4, "plugins": (TEXT_TASKS,)},
        (*BASELINES, "-maskable_ppo"),  # PPO, where nothing is masked
    ),
    "goodhart": Suite(
        "Training on a proxy of the reward, a weight for each word, scored by what it is a proxy of at ten points.",
        {"text/Proxy-v0": 100_000},
        {"model": "textgym/tiny", "front": 10, "gold": f"{TEXT_TASKS}:gold", "plugins": (TEXT_TASKS,)},
        (
            *("ppo[kl_coef=0]", *(f"ppo[kl_target={nats}]" for nats in (1, 2, 4, 8))),
            *("rloo[kl_coef=0]", *(f"rloo[kl_target={nats}]" for nats in (1, 2, 4, 8))),
            *BASELINES,
        ),
    ),
    "dialogue": Suite(
        "Conversations whose best and random policies are known: 0 is random utterances, 1 the best policy.",
        {env_id("TwentyQuestions"): 60_000, env_id("Shop"): 60_000},
        {"model": BUILTIN_MEDIUM},
    ),
    "cloned": Suite(
        "The same conversations, for 'bc[skill=0.75]+ppo' and the like: a fifth of the tokens goes into cloning a "
        "player, and what RL adds to that with the others is to be seen.",
        {env_id("TwentyQuestions"): 150_000, env_id("Shop"): 150_000},
        {"model": BUILTIN_MEDIUM, "warm_share": 0.2},
    ),
    "families": Suite(
        "Every built-in task of one turn, some thousand completions of training each: is what RL reaches above what "
        "decoding alone does?",
        {
            env_id(task): tokens
            for task, tokens in {
                **{"DataToText": 150_000, "Summarization": 110_000, "Translation": 170_000},
                **{"SentimentContinuation": 90_000, "Copy": 60_000, "ProgramInduction": 50_000},
                **{"Arithmetic": 130_000, "ConceptsToSentence": 90_000, "QuestionAnswering": 30_000},
                **{"Classification": 20_000, "DialogueReply": 100_000, "Alignment": 100_000},
                **{"Story": 250_000, "Verse": 150_000},
            }.items()
        },
        {"model": BUILTIN_MEDIUM},
        BASELINES,
    ),
}


def find_suite(name: str) -> Suite:
    """A suite by name.

    Raises:
        ConfigError: there is none of that name.

    >>> "textgym/Bandit-v0[arms=8]" in find_suite("probe").tasks
    True
    """
    if name not in SUITES:
        raise ConfigError(f"No suite is called {name!r}. {did_you_mean(name, SUITES)}")
    return SUITES[name]


def every_algorithm() -> tuple[str, ...]:
    """What "all" means: the rows of the table, then the warm starts whose parts are among them.

    >>> "ppo" in every_algorithm()
    True
    """
    warm = [algo for algo in COMPOSITES if all(base(part) in ALGORITHMS for part in parts(algo))]
    return (*ALGORITHMS, *warm)


def choose(
    wanted: str | Sequence[str], model: Any, variants: Sequence[str] = ()
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The algorithms that ``"ppo,a2c"``, ``"all"`` or ``"all,-trpo"`` names, and those of "all" that are left out.

    Args:
        wanted: text, or its parts. A minus leaves one out again; ``"rloo[group_size=8]"`` is a variant of one.
        model: name or folder. Of "all", what can't train such a model is left out.
        variants: what else is in "all", see ``Suite``.

    Raises:
        ConfigError: a name that doesn't exist, or an algorithm named by itself that can't train such a model.

    >>> choose("ppo,a2c,-ppo", "textgym/small")
    (('a2c',), ())
    """
    listed = names(wanted) if isinstance(wanted, str) else [part.strip() for part in wanted if part.strip()]
    form = models.form_of(model)
    chosen: list[str] = []
    unable: list[str] = []
    for name in listed:
        if name == ALL:
            without = [one[1:] for one in variants if one.startswith("-")]
            more = [one for one in variants if not one.startswith("-")]
            everything = [algo for algo in (*every_algorithm(), *more) if algo not in without]
            able = [algo for algo in everything if _trains(algo, form)]
            unable += [algo for algo in everything if algo not in able]
            chosen += able
        elif name.startswith("-"):
            algo = name[1:].strip()
            check_algorithm(algo)
            if algo not in chosen and algo not in unable:
                raise ConfigError(f"--algos: {name!r} leaves out {algo!r}, which nothing before it names.")
            chosen = [one for one in chosen if one != algo]
        else:
            check_algorithm(name, form)
            chosen.append(name)
    if not chosen:
        raise ConfigError(f"--algos {','.join(listed)!r} leaves no algorithm.")
    return tuple(dict.fromkeys(chosen)), tuple(algo for algo in unable if algo not in chosen)


def check_algorithm(algo: str, form: str | None = None) -> None:
    """Raise ConfigError unless all parts of an algorithm exist and train models of this form ("causal", "seq2seq")."""
    for whole in parts(algo):
        part = base(whole)
        try:
            find(part)
        except ConfigError as error:
            if whole == algo:
                raise
            raise ConfigError(f"{error} ({algo!r} trains with one, then continues with the next.)") from None
        if form is not None and form not in ALGORITHMS[part].policy.forms:
            kind = "encoder-decoder" if form == "seq2seq" else "decoder-only"
            able = [name for name, row in ALGORITHMS.items() if form in row.policy.forms]
            raise ConfigError(f"{part!r} can't train {kind} models. Those that can: {', '.join(able)}.")
        if not isinstance(ALGORITHMS[part].cls, type):
            ALGORITHMS[part].cls()  # says what to install


def _trains(algo: str, form: str) -> bool:
    return all(form in find(base(part)).policy.forms for part in parts(algo))


def family(algo: str) -> str:
    """The family of an algorithm, for pictures and lists.

    >>> family("a2c"), family("a2c[n_steps=4]"), family("rloo+ppo")
    ('actor-critic', 'actor-critic', 'warm start + RL')
    """
    if len(parts(algo)) > 1:
        return "warm start + RL"
    return ALGORITHMS[base(algo)].family if base(algo) in ALGORITHMS else "other"
