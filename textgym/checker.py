"""Checks for tasks, rewards and environments of your own: the ones that the built-in environments pass."""

import contextlib
import copy
import io
import pickle
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils.env_checker import check_env, data_equivalence

from textgym.core import Prompt, Reward, Sample, Score, Task, Turn
from textgym.dialogue import Dialogue, Partner, Reply, ask_partner, partner_name
from textgym.env import TextGenerationEnv
from textgym.errors import ConfigError, InvalidActionError, PartnerError, RewardError, TextGymError, did_you_mean
from textgym.scoring import groups_of, reward_name, score_samples, scores_groups

TASK_ATTRIBUTES: dict[str, type | tuple[type, ...]] = {
    "name": str,
    "max_prompt_tokens": int,
    "max_new_tokens": int,
    "truncation_side": str,
    "stop": tuple,
    "metrics": tuple,
}

SAMPLES = (
    Sample("Say hi:", "hi", ("hi", "hello"), (7, 8, 1), "eos", {}, 0),
    Sample("Say hi:", "hello there", ("hi", "hello"), (9, 3, 1), "eos", {}, 0),
    Sample("Describe the cat:", "", ("The cat is black.",), (1,), "eos", {}, 1),
    Sample(
        "Describe the cat:", "The dog is black. " * 20, ("The cat is black.",), tuple(range(2, 40)), "length", {}, 1
    ),
    Sample("Übersetze:", "Ein 😀 Kätzchen, 世界 \ufffd", ("Ein Kätzchen.",), (4, 5, 6), "stop", {}, 2),
    Sample("Count:", "   \n", ("one two three",), (4, 1), "eos", {}, 3),
)


def check_task(task: Task, prompts: int = 20) -> None:
    """Check that a task keeps the contract of :class:`textgym.Task`. Looks at up to ``prompts`` prompts.

    Raises:
        ConfigError: it doesn't. The message has what to change.

    >>> from textgym.tasks import Copy
    >>> check_task(Copy("validation"))
    """
    for name, kind in TASK_ATTRIBUTES.items():
        if not isinstance(getattr(task, name, None), kind):
            kind_name = getattr(kind, "__name__", kind)
            raise ConfigError(f"task.{name} is {getattr(task, name, 'missing')!r}, expected a {kind_name}.")
    _check_attributes(task)
    size = len(task)
    if not isinstance(size, int) or size < 1:
        raise ConfigError(f"len(task) is {size!r}, expected at least one prompt.")
    try:
        task[size]
    except IndexError:
        pass
    else:
        raise ConfigError(f"task[{size}] is beyond the last prompt but raises no IndexError: loops would never end.")
    indices = sorted({round(i) for i in np.linspace(0, size - 1, min(prompts, size))})
    for index in indices:
        _check_prompt(task, index)
    for what, twin in (("copy.deepcopy", copy.deepcopy(task)), ("pickle", _pickled(task, "task"))):
        if len(twin) != size or any(twin[index] != task[index] for index in indices):
            raise ConfigError(
                f"A {what} of the task has other prompts. A prompt must depend on the task's arguments only."
            )


def _check_attributes(task: Task) -> None:
    from textgym.metrics import METRICS

    if not task.name.isidentifier():
        raise ConfigError(f"task.name is {task.name!r}, expected CamelCase letters and digits: it is part of the id.")
    if task.max_prompt_tokens < 1 or task.max_new_tokens < 1:
        raise ConfigError(
            f"max_prompt_tokens={task.max_prompt_tokens} and max_new_tokens={task.max_new_tokens} must be at least 1."
        )
    if task.truncation_side not in ("left", "right"):
        raise ConfigError(f"task.truncation_side is {task.truncation_side!r}, expected 'left' or 'right'.")
    if not all(isinstance(stop, str) and stop for stop in task.stop):
        raise ConfigError(f"task.stop is {task.stop!r}, expected non-empty strings.")
    for name in task.metrics:
        if name not in METRICS:
            raise ConfigError(f"task.metrics names {name!r}, which is no metric. {did_you_mean(str(name), METRICS)}")


def _check_prompt(task: Task, index: int) -> None:
    prompt = task[index]
    where = f"task[{index}]"
    if not isinstance(prompt, Prompt):
        raise ConfigError(f"{where} is a {type(prompt).__name__}, expected a textgym.Prompt.")
    if task[index] != prompt:
        raise ConfigError(f"{where} is another prompt each time. Derive it from the index and a fixed seed.")
    if not isinstance(prompt.text, str):
        raise ConfigError(f"{where}.text is {prompt.text!r}, expected a string.")
    if not isinstance(prompt.references, tuple) or not all(isinstance(text, str) for text in prompt.references):
        raise ConfigError(f"{where}.references is {prompt.references!r}, expected a tuple of strings.")
    if not isinstance(prompt.metadata, Mapping) or not all(isinstance(key, str) for key in prompt.metadata):
        raise ConfigError(f"{where}.metadata is {prompt.metadata!r}, expected a dict with string keys.")
    for stop in task.stop:
        if any(stop in reference for reference in prompt.references):
            raise ConfigError(
                f"A reference of {where} has the stop string {stop!r} in it, so no completion can equal it."
            )


def check_reward(reward: Reward, samples: Sequence[Sample] | None = None) -> None:
    """Check that a reward keeps the contract of :class:`textgym.Reward`, on ``samples`` or on a few built-in ones.

    The built-in samples have references and no metadata; among them are an empty and a very long completion. Give
    samples of your task's kind to a reward that needs metadata. A judge that samples its verdicts fails this check.
    A reward that compares completions of one prompt is checked group by group: two of these samples are of one prompt.

    Raises:
        RewardError: it doesn't. The message has what to change.

    >>> from textgym.rewards import BLEU
    >>> check_reward(BLEU())
    """
    name = reward_name(reward)
    batch = list(SAMPLES if samples is None else samples)
    if not batch:
        raise RewardError("check_reward needs at least one sample.")
    before = copy.deepcopy(batch)
    scores = score_samples(reward, batch)
    if batch != before:
        raise RewardError(f"Reward {name!r} changed the samples it was given. Work on copies.")
    _compare(name, scores, score_samples(reward, batch), "called twice on the same samples")
    _compare(name, scores[::-1], score_samples(reward, batch[::-1]), "given the samples in reverse order")
    groups = groups_of(batch) if scores_groups(reward) else [[i] for i in range(len(batch))]
    alone = [score for group in groups for score in score_samples(reward, [batch[i] for i in group])]
    what = "group" if scores_groups(reward) else "sample"
    where = f"given one {what} at a time: a sample's value must not depend on "
    where += "other groups" if scores_groups(reward) else "its batch"
    _compare(name, [scores[i] for group in groups for i in group], alone, where)
    with_empty = [_with_completion(batch[groups[0][0]], ""), *(batch[i] for i in groups[0][1:])]
    empty = score_samples(reward, with_empty)
    _compare(name, empty, score_samples(reward, with_empty), "called twice on an empty completion")
    _compare(
        name,
        scores,
        score_samples(_pickled(reward, f"reward {name!r}", RewardError), batch),
        "pickled and loaded again",
    )


def _with_completion(sample: Sample, completion: str) -> Sample:
    return replace(sample, completion=completion, token_ids=(), finish_reason="eos")


def _compare(name: str, expected: Sequence[Score], got: Sequence[Score], how: str) -> None:
    for i, (one, other) in enumerate(zip(expected, got, strict=True)):
        values = [(one.value, other.value)]
        values += [(value, other.components.get(part, np.nan)) for part, value in one.components.items()]
        for a, b in values:
            if (a is None) != (b is None) or (a is not None and b is not None and not np.isclose(a, b, 1e-6, 1e-6)):
                raise RewardError(f"Reward {name!r} gives other values when {how}: sample {i} got {a}, then {b}.")


DIALOGUES = (
    Dialogue(Prompt("Say hi:", ("hi",)), (Turn("policy", "hi", (7, 1)),), 5),
    Dialogue(Prompt("Say hi:", ("hi",)), (Turn("policy", "hi", (7, 1)),), 6),
    Dialogue(Prompt("Count:"), (Turn("policy", ""),), 5),
    Dialogue(Prompt("Count:"), (Turn("policy", "😀 " * 200), Turn("partner", "what?"), Turn("policy", " 1\n2")), 7),
)


def check_partner(partner: Partner, dialogues: Sequence[Dialogue] | None = None) -> None:
    """Check that a partner is a pure function, on ``dialogues`` or on a few built-in ones.

    The built-in ones have no metadata; give dialogues of your task's kind to a partner that needs it. A person, and a
    partner that draws from anything but ``Dialogue.seed``, fail this check.

    Raises:
        PartnerError: it isn't. The message has what to change.

    >>> from textgym.partners import Scripted
    >>> check_partner(Scripted(["How are you?", "Bye."]))
    """
    name, batch = partner_name(partner), list(DIALOGUES if dialogues is None else dialogues)
    if not batch:
        raise PartnerError("check_partner needs at least one dialogue.")
    before = copy.deepcopy(batch)
    replies = ask_partner(partner, batch)
    if batch != before:
        raise PartnerError(f"Partner {name!r} changed the dialogues it was given. Work on copies.")
    backwards = ask_partner(partner, batch[::-1])[::-1]
    alone = [ask_partner(partner, [dialogue])[0] for dialogue in batch]
    _same_replies(name, replies, ask_partner(partner, batch), "called twice on the same dialogues")
    _same_replies(name, replies, backwards, "given the dialogues in reverse order")
    _same_replies(name, replies, alone, "given one dialogue at a time: a reply must not depend on the batch")
    again = ask_partner(_pickled(partner, f"partner {name!r}", PartnerError), batch)
    _same_replies(name, replies, again, "pickled and loaded again")


def _same_replies(name: str, expected: Sequence[Reply], got: Sequence[Reply], how: str) -> None:
    for i, (one, other) in enumerate(zip(expected, got, strict=True)):
        if one != other:
            raise PartnerError(
                f"Partner {name!r} gives other replies when {how}: dialogue {i} got {one}, then {other}. A partner "
                "depends on the prompt, the turns and the seed alone: draw from dialogue.generator()."
            )


def _pickled(thing: Any, what: str, kind: type[TextGymError] = ConfigError) -> Any:
    try:
        return pickle.loads(pickle.dumps(thing))
    except Exception as error:
        raise kind(
            f"The {what} can't be pickled, which vector environments in processes need: {error}. Define it at the top "
            "level of a module, and keep lambdas and open files out of its attributes."
        ) from error


def check_text_env(env: gymnasium.Env[Any, Any], episodes: int = 3) -> None:
    """Check a text environment with its task, reward and tokenizer: all that the built-in ones are tested for.

    Runs ``check_task``, ``check_reward`` (on samples of the environment's own prompts) and Gymnasium's ``check_env``
    first, with every warning an error.

    Raises:
        TextGymError: something is wrong. The message has what to change.

    >>> import gymnasium, textgym
    >>> check_text_env(gymnasium.make("textgym/Copy-v1"))
    """
    base = env.unwrapped
    if not isinstance(base, TextGenerationEnv):
        raise ConfigError(f"check_text_env needs a TextGenerationEnv, possibly wrapped, got {env}.")
    check_task(base.task)  # type: ignore[arg-type]
    ids = range(min(episodes, len(base.task)))
    before = _tokenizer_state(base)
    if base.reward is not None:
        check_reward(base.reward, _samples_of(base, ids))
    _check_gymnasium(base)
    for prompt_id in ids:
        _check_same_seed(env, prompt_id)
        _check_masks(env, prompt_id)
        _check_reference(env, prompt_id)
    _check_copies(base)
    if _tokenizer_state(base) != before:
        raise ConfigError("The environment changed its tokenizer. Set special tokens before passing it.")


def _samples_of(env: TextGenerationEnv, ids: Sequence[int]) -> list[Sample]:
    samples = []
    for i in ids:
        prompt = env.task[i]
        for completion in (*prompt.references[:1], prompt.text[:40], ""):
            samples.append(Sample(prompt.text, completion, prompt.references, (), "eos", prompt.metadata, i))
    return samples


def _tokenizer_state(env: TextGenerationEnv) -> tuple[Any, ...]:
    tokenizer: Any = env.tokenizer
    special = [getattr(tokenizer, name, None) for name in ("eos_token_id", "pad_token_id", "bos_token_id")]
    sides = [getattr(tokenizer, name, None) for name in ("padding_side", "truncation_side", "chat_template")]
    return len(tokenizer), special, sides, list(tokenizer.encode(env.task[0].text))


def _check_gymnasium(env: TextGenerationEnv) -> None:
    if env.mdp.rules.masked:
        return  # it samples actions without asking for masks
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):  # it tries every render mode
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*not having a spec.*")
        try:
            check_env(env, skip_render_check=env.spec is None)
        except (AssertionError, UserWarning) as error:
            raise ConfigError(f"Gymnasium's check_env says: {error}") from error


def _play(env: gymnasium.Env[Any, Any], prompt_id: int, seed: int) -> list[Any]:
    """An episode of legal random tokens. Returns everything that the environment returned."""
    generator = np.random.default_rng(seed)
    base: Any = env.unwrapped
    results: list[Any] = [env.reset(seed=seed, options={"prompt_id": prompt_id})]
    done = False
    while not done:
        if len(results) > base.observation_space.max_new_tokens:
            raise ConfigError(f"The episode of prompt {prompt_id} is still running after max_new_tokens steps.")
        result = env.step(generator.choice(np.flatnonzero(env.get_wrapper_attr("action_masks")())))
        if result[0] not in env.observation_space:
            raise ConfigError(
                f"Step {len(results)} of prompt {prompt_id} gave an observation outside observation_space."
            )
        done = result[2] or result[3]
        results.append(result)
    complete = base.mdp.rules.infos == "all"
    if base.last_sample is None or (complete and base.last_sample.completion != results[-1][4]["completion"]):
        raise ConfigError("last_sample is not the sample of the episode that has just ended.")
    return results


def _check_same_seed(env: gymnasium.Env[Any, Any], prompt_id: int) -> None:
    if not data_equivalence(_play(env, prompt_id, seed=5), _play(env, prompt_id, seed=5), exact=True):
        raise ConfigError(f"The same seed and actions gave another episode of prompt {prompt_id}.")


def _check_masks(env: gymnasium.Env[Any, Any], prompt_id: int) -> None:
    actions: Any = env.action_space
    env.reset(options={"prompt_id": prompt_id})
    mask = env.get_wrapper_attr("action_masks")()
    if mask.shape != (actions.n,) or mask.dtype != np.int8 or not mask.any():
        raise ConfigError(f"action_masks() gave {mask!r}, expected {actions.n} int8 values, one of them 1.")
    for token in [*np.flatnonzero(mask == 0)[:3].tolist(), int(actions.n), -1]:
        try:
            env.step(token)
        except InvalidActionError:
            continue
        raise ConfigError(f"step({token}) is illegal but raised no InvalidActionError.")


def _check_reference(env: gymnasium.Env[Any, Any], prompt_id: int) -> None:
    """The return of a reference is at least that of an empty and of a random completion."""
    base: Any = env.unwrapped
    prompt = base.task[prompt_id]
    rules = base.mdp.rules
    empty = _return_of(env, prompt_id, []) if not rules.masked else None  # must not crash
    if base.reward is None or not prompt.references or rules.masked or base.partner is not None:
        return
    tokens = base.encode_completion(prompt.references[0])
    if len(tokens) > rules.max_new_tokens:
        return  # it can't be written in full
    random = np.random.default_rng(prompt_id).integers(rules.vocab_size, size=len(tokens) - 1).tolist()
    best = _return_of(env, prompt_id, tokens)
    for what, value in (("an empty completion", empty), ("random tokens", _return_of(env, prompt_id, random))):
        if value is not None and value > best + 1e-9:
            raise ConfigError(
                f"The first reference of prompt {prompt_id} has the return {best:.4f}, {what} {value:.4f}: the "
                "reward does not fit the task."
            )


def _return_of(env: gymnasium.Env[Any, Any], prompt_id: int, tokens: list[int]) -> float:
    base: Any = env.unwrapped
    env.reset(options={"prompt_id": prompt_id})
    total, done = 0.0, False
    for token in [*tokens, base.mdp.rules.eos_token_id]:
        if not done:
            _, reward, terminated, truncated, _ = env.step(token)
            total, done = total + float(reward), terminated or truncated
    return total


def _check_copies(env: TextGenerationEnv) -> None:
    """A copy made in the middle of an episode goes on like the original."""
    env.reset(seed=3)
    legal = np.flatnonzero(env.action_masks() & ~env.mdp.rules.is_eos)
    if not len(legal):
        return
    copies = [copy.deepcopy(env), _pickled(env, "environment")]
    expected = env.step(legal[0])
    for twin in copies:
        if not data_equivalence(expected, twin.step(legal[0]), exact=True):
            raise ConfigError("A copy of the environment goes on unlike the original.")
