"""References of a task's prompts as episodes: what the environment would have seen, had a policy written them."""

import numpy as np
from numpy.typing import NDArray

from textgym.core import Prompt, TextEnv, TextMDP
from textgym.errors import ConfigError
from textgym.tasks import TASKS
from textgym_agents.buffers.episodes import Episode

TRIES = 1000  # prompts looked at for one with a reference that can be written


def draw_reference(env: TextEnv, separator: str = " ") -> Episode:
    """A prompt as the environment draws it, and one of its references as an episode.

    Raises:
        ConfigError: no prompt of many has a reference that may be written.
    """
    mdp, generator = env.mdp, env.np_random
    for _ in range(TRIES):
        prompt = mdp.task[mdp.draw(generator)]
        found = [actions for text in prompt.references if (actions := written(mdp, prompt, text, separator))]
        if found:
            return _episode(mdp, prompt, found[generator.integers(len(found)) if len(found) > 1 else 0])
    raise ConfigError(
        f"None of {TRIES} prompts has a reference that the environment lets a policy write. Look at allowed_tokens, "
        "banned_tokens and min_new_tokens."
    )


def written(mdp: TextMDP, prompt: Prompt, reference: str, separator: str = " ") -> list[int]:
    """The actions that write a reference after a prompt, up to where the text ends; none if one of them is masked.

    >>> from textgym.core import text_env
    >>> from textgym_agents.envs.vec_env import make_vec_env
    >>> mdp = text_env(make_vec_env("textgym/Copy-v0", 1)).mdp
    >>> mdp.rules.decode_completion(written(mdp, mdp.task[0], "an old lamp"))
    ' an old lamp'
    """
    rules = mdp.rules
    if rules.chat or prompt.text.endswith(tuple(" \n\t")) or reference.startswith(separator):
        separator = ""
    actions = rules.encode_completion(f"{separator}{reference}")[: rules.max_new_tokens]
    ends = rules.is_eos[actions]
    if ends.any():
        actions = actions[: int(ends.argmax()) + 1]
    for length in range(1, len(actions) if rules.stop else 0):
        if rules.stopped(actions[:length]):
            actions = actions[:length]
            break
    too_early = rules.is_eos[actions[: rules.min_new_tokens]].any()
    return actions if rules.late_mask[actions].all() and not too_early else []


def _episode(mdp: TextMDP, prompt: Prompt, actions: list[int]) -> Episode:
    rules = mdp.rules
    read: NDArray[np.int32] = rules.encode_prompt(prompt.text)[0].astype(np.int32)
    nothing = np.zeros(len(actions), dtype=np.float32)
    start = np.array([rules.decoder_start_token_id], dtype=np.int32)
    context, encoded = (start, read) if rules.form == "seq2seq" else (read, None)
    return Episode(context, encoded, np.array(actions, dtype=np.int32), nothing, nothing, nothing)


def check_task(mdp: TextMDP) -> None:
    """Raise ConfigError unless prompts of the task have references."""
    task = mdp.task
    if not any(task[i].references for i in range(min(len(task), TRIES))):
        raise ConfigError(
            f"Task {getattr(task, 'name', type(task).__name__)!r} has no references to learn from. Give its prompts "
            f"some, or map the column of a dataset that has them. Tasks with references of their own: "
            f"{', '.join(TASKS)}."
        )
