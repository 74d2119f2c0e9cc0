"""The spaces of text environments."""

from typing import Any

import numpy as np
from gymnasium import spaces

from textgym.rules import TokenRules
from textgym.tokenizer import BUILTIN_MODEL


class TextSpace(spaces.Dict):
    """The observation space of a text environment: a ``Dict`` with the environment's token rules as attributes.

    Attributes:
        max_prompt_tokens: columns for the prompt, P.
        max_new_tokens: columns for new tokens, T.
        min_new_tokens: before so many new tokens the end tokens are masked.
        eos_token_ids: the tokens that end a completion.
        banned_tokens: tokens that are always masked.
        allowed_tokens: the only legal tokens, or None for all.
        pad_token_id: what unused columns hold.
        form: "causal" or "seq2seq".
        default_model: what a policy plays with that is given no model. Equal spaces may have others.
    """

    SETTINGS = (
        "max_prompt_tokens",
        "max_new_tokens",
        "min_new_tokens",
        "eos_token_ids",
        "banned_tokens",
        "allowed_tokens",
        "pad_token_id",
        "form",
    )

    def __init__(self, rules: TokenRules, default_model: str = BUILTIN_MODEL) -> None:
        self.default_model = default_model
        self.max_prompt_tokens = rules.max_prompt_tokens
        self.max_new_tokens = rules.max_new_tokens
        self.min_new_tokens = rules.min_new_tokens
        self.eos_token_ids = rules.eos_token_ids
        self.banned_tokens = rules.banned_tokens
        self.allowed_tokens = rules.allowed_tokens
        self.pad_token_id = rules.pad_token_id
        self.form = rules.form
        prompt, new = rules.max_prompt_tokens, rules.max_new_tokens
        widths = {"": prompt, "decoder_": 1 + new} if rules.form == "seq2seq" else {"": prompt + new}
        boxes: dict[str, Any] = {}
        for prefix, width in widths.items():
            boxes[f"{prefix}input_ids"] = spaces.Box(0, rules.vocab_size - 1, (width,), np.int64)
            boxes[f"{prefix}attention_mask"] = spaces.Box(0, 1, (width,), np.int8)
        super().__init__(boxes)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, TextSpace)
            and all(getattr(self, name) == getattr(other, name) for name in self.SETTINGS)
            and bool(super().__eq__(other))
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.SETTINGS)
        return f"TextSpace({settings})"


class CompletionSpace(spaces.Text):
    """The action space of whole completions: any text. Samples are random letters and spaces.

    >>> space = CompletionSpace(max_length=20)
    >>> "Grüße, 世界!" in space, 7 in space
    (True, False)
    """

    def __init__(self, max_length: int) -> None:
        super().__init__(max_length, min_length=0, charset=" abcdefghijklmnopqrstuvwxyz")

    def contains(self, x: object) -> bool:
        """Whether ``x`` is a string, of any length and alphabet."""
        return isinstance(x, str)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CompletionSpace) and self.max_length == other.max_length

    __hash__ = None  # type: ignore[assignment]
