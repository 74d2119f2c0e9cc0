"""The model that plays where the user names none: the task's own, which its class has as ``default_model``."""

from collections.abc import Mapping
from typing import Any

from textgym import registration
from textgym.tokenizer import BUILTIN_MODEL, with_same_tokenizer


def default_model(env: Any, env_kwargs: Mapping[str, Any] | None = None) -> str:
    """The name of the default model of an environment, ``textgym/small`` for most.

    Args:
        env: an id, an environment or an SB3 VecEnv, or its observation space.
        env_kwargs: arguments that an id will be made with. ``form="seq2seq"`` is for the encoder-decoder counterpart.

    >>> default_model("textgym/Copy-v1"), default_model("textgym/Copy-v1", {"form": "seq2seq"})
    ('textgym/small', 'textgym/small-seq2seq')
    """
    if isinstance(env, str):
        return registration.default_model(env, env_kwargs)
    space = env
    for name in ("observation_space", "single_observation_space"):  # that of one row, if there are several
        space = getattr(env, name, space)
    form = "seq2seq" if "decoder_input_ids" in getattr(space, "spaces", {}) else "causal"
    return str(getattr(space, "default_model", with_same_tokenizer(BUILTIN_MODEL, form)))
