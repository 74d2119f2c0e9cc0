"""References of a task's prompts as episodes, as the environment would see them written by a policy."""

from textgym.core import Prompt
from textgym.errors import ConfigError
from textgym.mdp import TextEnv, TextMDP
from textgym.rules import TokenRules
from textgym.tasks import TASKS
from textgym_agents.buffers.episodes import Episode, given_episode

TRIES = 1000  # prompts looked at for one with a reference that can be written


def draw_reference(env: TextEnv, separator: str = " ") -> Episode:
    """A prompt as the environment draws it, and one of its references as an episode.

    Raises:
        ConfigError: no prompt of many has a reference that may be written.
    """
    mdp, generator = env.mdp, env.np_random
    for _ in range(TRIES):
        prompt = mdp.task[mdp.draw(generator)]
        writable = [actions for one in prompt.references if (actions := written(mdp, prompt, one, separator))]
        if writable:
            actions = writable[generator.integers(len(writable)) if len(writable) > 1 else 0]
            return given_episode(mdp.rules, mdp.rules.encode_prompt(prompt.text)[0], actions)
    raise ConfigError(
        f"None of {TRIES} prompts has a reference that the environment lets a policy write. Look at allowed_tokens, "
        "banned_tokens and min_new_tokens."
    )


def written(mdp: TextMDP, prompt: Prompt, reference: str, separator: str = " ") -> list[int]:
    """The actions that write a reference after a prompt, up to where the episode ends; none if one of them is masked.

    >>> from textgym.mdp import text_env
    >>> from textgym_agents.envs.vec_env import make_vec_env
    >>> mdp = text_env(make_vec_env("textgym/Copy-v1", 1)).mdp
    >>> mdp.rules.decode_completion(written(mdp, mdp.task[0], "an old lamp"))
    ' an old lamp'
    """
    rules = mdp.rules
    actions = spoken(rules, prompt.text, reference, separator)
    too_early = rules.is_eos[actions[: rules.min_new_tokens]].any()
    return actions if rules.late_mask[actions].all() and not too_early else []


def spoken(rules: TokenRules, before: str, text: str, separator: str = " ") -> list[int]:
    """The tokens that write a text after another, up to where the policy's turn ends.

    >>> import textgym
    >>> rules = textgym.TextGenerationEnv([textgym.Prompt("Hi:")], max_prompt_tokens=8, max_new_tokens=8).mdp.rules
    >>> rules.tokenizer.decode(spoken(rules, "Hi:", "yes")), rules.tokenizer.decode(spoken(rules, "Hi: ", "yes"))
    (' yes<|endoftext|>', 'yes<|endoftext|>')
    """
    if rules.chat or before.endswith(tuple(" \n\t")) or text.startswith(separator):
        separator = ""
    actions = rules.encode_completion(f"{separator}{text}")[: rules.max_new_tokens]
    ends = rules.is_eos[actions]
    if ends.any():
        actions = actions[: int(ends.argmax()) + 1]
    for length in range(1, len(actions) if rules.stop else 0):
        if rules.stopped(actions[:length]):
            return actions[:length]
    return actions


def check_task(mdp: TextMDP) -> None:
    """Raise ConfigError unless prompts of the task have references."""
    task = mdp.task
    if not any(task[i].references for i in range(min(len(task), TRIES))):
        raise ConfigError(
            f"Task {getattr(task, 'name', type(task).__name__)!r} has no references to learn from. Give its prompts "
            f"some, or map the column of a dataset that has them. Tasks with references of their own: "
            f"{', '.join(TASKS)}."
        )
