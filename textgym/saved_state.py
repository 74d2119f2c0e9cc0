"""What an environment's ``get_state`` tells besides its tokens, and how ``set_state`` checks that it fits."""

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
    """A generator that goes on where another one stood.

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


def game_state(game: Any, rows: int) -> dict[str, Any]:
    """Where a ``TextGame`` stands, and what an environment must have in common to go on there."""
    shape = {"num_envs": rows, "num_prompts": len(game.task), **{name: getattr(game.rules, name) for name in SHAPE}}
    return {"shape": shape, "next_prompt_id": game.next_prompt_id}


def set_game_state(game: Any, state: Mapping[str, Any], prompt_ids: Sequence[int]) -> list[Any]:
    """Let a ``TextGame`` go on there. Returns the prompts of the rows, None for one that never began.

    Raises:
        ConfigError: the state is that of an environment with other rows, columns, tokens or prompts.
    """
    for name, value in game_state(game, len(prompt_ids))["shape"].items():
        if state["shape"].get(name) != value:
            raise ConfigError(
                f"The saved environment has {name}={state['shape'].get(name)!r}, this one {value!r}. Make it with the "
                "same arguments."
            )
    rows, columns = state["rows"], game.rules.max_prompt_tokens
    prompts = [game.task[number] if number >= 0 else None for number in prompt_ids]
    for row, prompt in enumerate(prompts):
        live = rows["attention_mask"][row, :columns] != 0
        # Prompts are named by their index, behind which another task may have another prompt.
        if prompt is not None and not np.array_equal(
            rows["input_ids"][row, :columns][live], game.rules.encode_prompt(prompt.text)[0]
        ):
            raise ConfigError(
                f"The saved environment was playing prompt {prompt_ids[row]} in row {row}, and here that prompt has "
                "other tokens. Make the environment with the same task, dataset, split and tokenizer."
            )
    game.next_prompt_id = state["next_prompt_id"]
    return prompts
