"""What an environment's ``get_state`` returns besides its tokens, and how ``set_state`` checks that it fits."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from textgym.errors import ConfigError

BIT_GENERATORS = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")
SHAPE = ("form", "sampling", "vocab_size", "max_prompt_tokens", "max_new_tokens")


def generator_state(generator: np.random.Generator | None) -> dict[str, Any] | None:
    """A generator's kind and position, as plain values."""
    return None if generator is None else dict(generator.bit_generator.state)


def generator_from(state: Mapping[str, Any] | None) -> np.random.Generator | None:
    """A generator in a saved state.

    Raises:
        ConfigError: a kind of generator that numpy doesn't have.

    >>> one = np.random.default_rng(5)
    >>> two = generator_from(generator_state(one))
    >>> bool(one.random() == two.random())
    True
    """
    if state is None:
        return None
    if state["bit_generator"] not in BIT_GENERATORS:
        raise ConfigError(f"{state['bit_generator']!r} is none of numpy's bit generators: {', '.join(BIT_GENERATORS)}.")
    bits = getattr(np.random, state["bit_generator"])()
    bits.state = dict(state)
    return np.random.Generator(bits)


def mdp_state(mdp: Any, rows: int) -> dict[str, Any]:
    """The state of a ``TextMDP``, and what an environment must have in common with this one to continue from it."""
    shape = {"num_envs": rows, "num_prompts": len(mdp.task), **{name: getattr(mdp.rules, name) for name in SHAPE}}
    return {"shape": shape, "next_prompt_id": mdp.next_prompt_id}


def set_mdp_state(mdp: Any, state: Mapping[str, Any], prompt_ids: Sequence[int]) -> list[Any]:
    """Set the state of a ``TextMDP``. Returns the prompts of the rows, None for a row without an episode.

    Raises:
        ConfigError: the state is that of an environment with other rows, columns, tokens or prompts.
    """
    for name, value in mdp_state(mdp, len(prompt_ids))["shape"].items():
        if state["shape"].get(name) != value:
            raise ConfigError(
                f"The saved environment has {name}={state['shape'].get(name)!r}, this one {value!r}. Make it with the "
                "same arguments."
            )
    rows, columns = state["rows"], mdp.rules.max_prompt_tokens
    prompts = [mdp.task[number] if number >= 0 else None for number in prompt_ids]
    for row, prompt in enumerate(prompts):
        live = rows["attention_mask"][row, :columns] != 0
        # Prompts are named by their index, behind which another task may have another prompt.
        if prompt is not None and not np.array_equal(
            rows["input_ids"][row, :columns][live], mdp.rules.encode_prompt(prompt.text)[0]
        ):
            raise ConfigError(
                f"The saved environment was playing prompt {prompt_ids[row]} in row {row}, and here that prompt has "
                "other tokens. Make the environment with the same task, dataset, split and tokenizer."
            )
    mdp.next_prompt_id = state["next_prompt_id"]
    return prompts
