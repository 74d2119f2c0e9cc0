"""Cards of tasks: what completions of several kinds get as a reward, measured once and kept with the package.

A card has what the pages of the gallery and ``textgym info`` show: prompts of the validation split with completions and
their rewards, mean rewards, and the best paid of the texts that say nothing.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from textgym.core import FinishReason, Prompt, Sample
from textgym.mdp import text_env
from textgym.registration import built_in_tasks, default_model, env_id, split_argument
from textgym.rewards.combine import Composite
from textgym.rewards.model_reward import ModelReward
from textgym.scoring import score_samples
from textgym.tasks.degenerate import degenerate_texts
from textgym.tokenizer import ASSETS, BUILTIN_MODEL
from textgym_agents import models
from textgym_agents.envs.vec_env import make_vec_env
from textgym_agents.evaluation.headroom import headroom
from textgym_agents.evaluation.held_out import evaluate, load_policy
from textgym_agents.models.random_weights import untrained
from textgym_agents.policies.base import LanguageModelPolicy
from textgym_agents.report.provenance import model_hash

CARDS = ASSETS / "tasks"
SPLIT = "validation"
SHOWN = 3  # prompts
SHOWN_VARIANTS = ("language", "languages", "poem")  # arguments whose values change what a prompt looks like
BEST_OF = (4, 16)
TEMPERATURES = (0.7,)
TRIES = 20  # to find another order
# What textgym/small was trained on, in its default variant. Elsewhere it writes nothing that is worth measuring.
OF_SMALL = ("DataToText", "Summarization", "Translation", "SentimentContinuation", "Copy")


@dataclass(frozen=True)
class Example:
    """A prompt, and completions of it.

    Attributes:
        prompt: its text.
        references: all of them.
        completions: text and reward by kind: "reference", "shuffled", "empty", and by a model "sampled" and "greedy".
    """

    prompt: str
    references: Sequence[str]
    completions: Mapping[str, tuple[str, float]]


@dataclass(frozen=True)
class TaskCard:
    """What is measured of a task, or of a variant of it.

    Attributes:
        name: of the task.
        arguments: of the variant.
        id: of the environment.
        reward: its default reward, as code.
        prompts: of the validation split that means are over.
        fixed: mean rewards of completions that no model writes: "references", "shuffled", "prompt copied", "empty".
        best_paid: of the texts of :func:`textgym.tasks.degenerate.degenerate_texts` the name of the best paid one, and
            its mean reward.
        examples: the first prompts.
        model: the name of the model that was measured, "" if none was.
        model_hash: of its files.
        decoding: mean rewards by the way to decode: "untrained" (random weights), "sampled", "T=0.7", "greedy",
            "best of 4", "best of 16".
    """

    name: str
    arguments: Mapping[str, Any]
    id: str
    reward: str
    prompts: int
    fixed: Mapping[str, float]
    best_paid: tuple[str, float]
    examples: Sequence[Example]
    model: str = ""
    model_hash: str | None = None
    decoding: Mapping[str, float] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """What the best paid text that says nothing gets of the reward of a reference."""
        return self.best_paid[1] / self.fixed["references"]


def cards_of(name: str) -> list[TaskCard]:
    """The cards of a task: its default, then its variants; none if it isn't measured yet.

    >>> [card.id for card in cards_of("Copy")], cards_of("Nothing")
    (['textgym/Copy-v1'], [])
    """
    path = CARDS / f"{name}.json"
    if not path.is_file():
        return []
    return [_card(one) for one in json.loads(path.read_text(encoding="utf-8"))]


def _card(stored: Mapping[str, Any]) -> TaskCard:
    examples = [
        Example(
            one["prompt"],
            tuple(one["references"]),
            {kind: (said[0], said[1]) for kind, said in one["completions"].items()},
        )
        for one in stored["examples"]
    ]
    return TaskCard(**{**stored, "best_paid": tuple(stored["best_paid"]), "examples": examples})


def store(cards: Sequence[TaskCard]) -> None:
    """Keep the cards of a task with the package, in place of those that it has."""
    CARDS.mkdir(exist_ok=True)
    text = json.dumps([asdict(card) for card in cards], indent=1, ensure_ascii=False)
    (CARDS / f"{cards[0].name}.json").write_text(text + "\n", encoding="utf-8")


def variants_of(name: str) -> list[dict[str, Any]]:
    """The variants of a task that have a card: its default, and each other language or form of a poem that it has.

    >>> variants_of("Summarization")
    [{}, {'language': 'zh'}]
    """
    there = getattr(built_in_tasks()[name], "variants", {})
    return [{}, *({argument: one} for argument in SHOWN_VARIANTS for one in there.get(argument, ())[1:])]


def examples_of(
    name: str, arguments: Mapping[str, Any], *, scored: bool = True
) -> tuple[list[Prompt], list[dict[str, tuple[str, float]]]]:
    """The first prompts of a task as they are now, and completions that no model writes, with their rewards.

    Runs no model but that of the reward, if it has one: see :func:`asks_a_model`. ``scored=False``: rewards are NaN.
    """
    env, prompts = _environment(name, arguments, SHOWN)
    texts = fixed_texts(prompts)
    kinds = {kind: texts[kind] for kind in ("reference", "shuffled", "empty")}
    paid = {kind: _rewards(env, prompts, said) if scored else [math.nan] * SHOWN for kind, said in kinds.items()}
    return prompts, [{kind: (kinds[kind][i], round(paid[kind][i], 4)) for kind in kinds} for i in range(SHOWN)]


def asks_a_model(reward: Any) -> bool:
    """Whether a reward, or a part of it, is a model's.

    >>> from textgym.rewards import parse_reward
    >>> asks_a_model(parse_reward("bleu*no_repeats")), asks_a_model(parse_reward("bleu*fluency"))
    (False, True)
    """
    if isinstance(reward, Composite):
        return any(map(asks_a_model, reward.parts()))
    return isinstance(reward, ModelReward)


def fixed_texts(prompts: Sequence[Prompt]) -> dict[str, list[str]]:
    """Completions of prompts by kind, made without a model.

    >>> fixed_texts([Prompt("Words: a b Copy:", ("a b",))])["prompt copied"]
    [' Words: a b Copy:']
    """
    generator = np.random.default_rng(0)
    return {
        "reference": [f" {prompt.references[0]}" for prompt in prompts],
        "shuffled": [f" {shuffled(prompt.references[0], generator)}" for prompt in prompts],
        "prompt copied": [f" {prompt.text}" for prompt in prompts],
        "empty": [""] * len(prompts),
    }


def shuffled(text: str, generator: np.random.Generator) -> str:
    """The words of a text in another order; its characters, where it has no spaces.

    >>> shuffled("one two three", np.random.default_rng(0)), shuffled("good", np.random.default_rng(0))
    ('three one two', 'ogod')
    """
    words, between = (text.split(), " ") if " " in text.strip() else ([*text.strip()], "")
    drawn = (between.join(words[i] for i in generator.permutation(len(words))) for _ in range(TRIES))
    return next((one for one in drawn if one != text.strip()), text.strip())


def measure(name: str, arguments: Mapping[str, Any], *, prompts: int = 100, model: str | None = None) -> TaskCard:
    """Measure a task. A model takes minutes on a CPU, the rest seconds.

    Args:
        name: of the task.
        arguments: of the variant.
        prompts: how many, the first of the validation split; a quarter of them for the texts that say nothing.
        model: a name or folder; "": none. None: the task's default model, unless it was not trained on this.
    """
    env, chosen = _environment(name, arguments, prompts)
    texts = fixed_texts(chosen)
    fixed = {kind: _mean(_rewards(env, chosen, said)) for kind, said in texts.items()}
    fixed = {"references": fixed.pop("reference"), **fixed}
    few = chosen[: max(prompts // 4, 2)]
    paid = {text: _mean(_rewards(env, few, said)) for text, said in degenerate_texts(few).items()}
    best = max(paid, key=lambda text: paid[text])
    now, completions = examples_of(name, arguments)
    id, own = env_id(name), _arguments(name, arguments)
    if model is None:
        model = default_model(id, own)
        model = "" if model == BUILTIN_MODEL and (arguments or name not in OF_SMALL) else model
    decoding: dict[str, float] = {}
    if model:
        written = _written(model, id, own)
        completions = [{**known, **more} for known, more in zip(completions, written, strict=True)]
        decoding = _decoding(model, id, own, prompts)
    return TaskCard(
        name=name,
        arguments=dict(arguments),
        id=id,
        reward=repr(text_env(env).mdp.reward),
        prompts=prompts,
        fixed=fixed,
        best_paid=(best, paid[best]),
        examples=[Example(one.text, one.references, said) for one, said in zip(now, completions, strict=True)],
        model=model,
        model_hash=model_hash(model) if model else None,
        decoding=decoding,
    )


def with_model_of(card: TaskCard, before: Sequence[TaskCard]) -> TaskCard:
    """A card that no model was measured for, with what an earlier one of the same prompts and reward has of a model."""
    old = next((one for one in before if one.arguments == card.arguments), None)
    if old is None or (old.reward, old.prompts) != (card.reward, card.prompts):
        return card
    if [one.prompt for one in old.examples] != [one.prompt for one in card.examples]:
        return card
    examples = [
        Example(new.prompt, new.references, {**known.completions, **new.completions})
        for new, known in zip(card.examples, old.examples, strict=True)
    ]
    return replace(card, examples=examples, model=old.model, model_hash=old.model_hash, decoding=old.decoding)


def _arguments(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the environment: of the variant, and the one without which a task that runs programs has none."""
    opt_in = getattr(built_in_tasks()[name], "opt_in", "")
    return {**arguments, **({opt_in: True} if opt_in else {})}


def _environment(name: str, arguments: Mapping[str, Any], prompts: int) -> tuple[Any, list[Prompt]]:
    """An environment of the validation split, and its first prompts."""
    id = env_id(name)
    env = gymnasium.make(id, **split_argument(id, SPLIT), **_arguments(name, arguments))
    task = text_env(env).mdp.task
    return env, [task[i] for i in range(prompts)]


def _rewards(env: Any, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float]:
    """What the default reward pays for completions, cut after as many tokens as an episode has."""
    mdp = text_env(env).mdp
    assert mdp.reward is not None
    most = mdp.rules.max_new_tokens
    samples = []
    for prompt, completion in zip(prompts, completions, strict=True):
        ids = mdp.tokenizer.encode(completion, add_special_tokens=False)
        said = completion if len(ids) <= most else mdp.tokenizer.decode(ids[:most])
        ended: FinishReason = "eos" if len(ids) < most else "length"
        samples.append(Sample(prompt.text, said, prompt.references, tuple(ids[:most]), ended, prompt.metadata))
    return [score.value or 0.0 for score in score_samples(mdp.reward, samples)]


def _mean(rewards: Sequence[float] | NDArray[np.float64]) -> float:
    return round(float(np.mean(rewards)), 4)


def _written(model: str, id: str, own: Mapping[str, Any]) -> list[dict[str, tuple[str, float]]]:
    """A sampled and a greedy completion of each of the first prompts, with their rewards."""
    policy = load_policy(model, id, own)
    found: list[dict[str, tuple[str, float]]] = [{} for _ in range(SHOWN)]
    for kind in ("sampled", "greedy"):
        played = evaluate(policy, id, SHOWN, metrics=(), deterministic=kind == "greedy", split=SPLIT, env_kwargs=own)
        for known, sample, reward in zip(found, played.samples, played.rewards, strict=True):
            known[kind] = (sample.completion, round(float(reward), 4))
    return found


def _decoding(model: str, id: str, own: Mapping[str, Any], prompts: int) -> dict[str, float]:
    """Mean rewards of a model by the way to decode, that of random weights of its sizes first."""
    env = make_vec_env(id, 1, model=model, env_kwargs=own)
    weights, tokenizer = models.load(model)
    random = LanguageModelPolicy(
        env.observation_space, env.action_space, lambda _: 0.0, model=untrained(weights), tokenizer=tokenizer
    )
    played = evaluate(random, id, prompts, metrics=(), split=SPLIT, env_kwargs=own)
    how: dict[str, Any] = {"best_of": BEST_OF, "temperatures": TEMPERATURES, "split": SPLIT, "env_kwargs": own}
    found = headroom(model, id, prompts, **how)
    found.pop("references", None)
    return {"untrained": _mean(played.rewards), **{kind: round(value, 4) for kind, value in found.items()}}
