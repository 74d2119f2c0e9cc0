"""What comes between two turns of the policy: the end of its turn, the partner's reply, and the cue of the next turn.

Tokens are only ever appended. A conversation that is rendered and encoded anew after each turn gets other tokens than
those that were sampled; here a chat template is asked once, on made-up dialogues, what it puts around a reply.
"""

from typing import Any

from textgym.errors import ConfigError, TokenizerError
from textgym.rules import TokenRules
from textgym.tokenizer import Tokenizer

DEFAULT = ("\nUser: ", "\nAssistant:")  # around a reply, without a chat template
# Dialogues of two, three and four messages of the user's that a chat template is tried on.
DUMMIES = (
    ("One.", "Two.", "Three."),
    ("What is it?", "A lamp of glass.", "Is it old?", "No, new.", "Thanks, bye."),
    ("quokka", "zebu and yak", "ibex", "okapi 7", "lynx, puma", "vole", "jackal"),
)


class TurnTemplate:
    """The tokens that follow a turn of the policy.

    Attributes:
        head, tail: what comes before and after the text of a reply.
        closing: what ends the policy's turn where the policy wrote no end token itself, such as ``<|im_end|>``; only
            chat templates have it.

    Args:
        rules: whose tokenizer, and with ``chat`` whose chat template, it is.

    Raises:
        ConfigError: ``turn_template`` is no pair of strings.
        TokenizerError: the chat template changes what came before when a turn is added to it, or it ends turns with a
            token that is no end token here.

    >>> import textgym
    >>> rules = textgym.TextGenerationEnv([textgym.Prompt("Hi:")], max_prompt_tokens=8, max_new_tokens=8).mdp.rules
    >>> rules.tokenizer.decode(TurnTemplate(rules).after("Hello<|endoftext|>", ended=True))
    '\\nUser: Hello< |endoftext|>\\nAssistant:'
    """

    def __init__(self, rules: TokenRules) -> None:
        self._tokenizer, self.closing = rules.tokenizer, ""
        self._controls = control_tokens(rules.tokenizer)
        given: Any = rules.turn_template
        if given is None and rules.chat:
            self.closing, self.head, self.tail = self._of_chat(rules)
        else:
            given = DEFAULT if given is None else given
            if isinstance(given, str) or len(given) != 2 or not all(isinstance(part, str) for part in given):
                raise ConfigError(
                    f"turn_template={given!r} makes no sense, expected two strings, what comes before a reply and what "
                    f"comes after it, such as {DEFAULT!r}."
                )
            self.head, self.tail = given
        self._around = [self._encode(part) for part in (self.head, self.tail)]
        self._closing = self._encode(self.closing)
        self._known = self._count(self._around[0]) + self._count(self._around[1])

    def _encode(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False)) if text else []

    def _count(self, ids: list[int]) -> int:
        return sum(token in self._controls for token in ids)

    def after(self, reply: str, ended: bool) -> list[int]:
        """The token ids after a turn of the policy. ``ended``: it has written its end token.

        Control tokens in the reply become text: a partner can't end a turn or begin one of another speaker.
        """
        text = neutral(reply, self._controls.values())
        ids = self._encode(self.head + text + self.tail)
        if self._count(ids) != self._known:  # a tokenizer that reads the broken ones as well
            inner = [token for token in self._encode(text) if token not in self._controls]
            ids = [*self._around[0], *inner, *self._around[1]]
        return ids if ended else [*self._closing, *ids]

    def _of_chat(self, rules: TokenRules) -> tuple[str, str, str]:
        parts = {between for dummy in DUMMIES for between in _between(rules.tokenizer, dummy)}
        if len(parts) != 1:
            raise _not_append_only(rules.tokenizer)
        head, tail = parts.pop()
        control = next((token for token in self._encode(head) if token in self._controls), None)
        if control is None:
            return "", head, tail
        if control not in rules.eos_token_ids:
            raise TokenizerError(
                f"The chat template of {_name(rules.tokenizer)} ends a turn with {self._controls[control]!r} (token "
                f"{control}), which is no end token here. Pass eos_token_ids=({control},)."
            )
        before, found, rest = head.partition(self._controls[control])
        return before + found, rest, tail


def _between(tokenizer: Tokenizer, messages: tuple[str, ...]) -> list[tuple[str, str]]:
    """What a chat template puts before and after each reply of a dialogue, except the first message."""

    def said(count: int) -> str:
        roles = [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(messages[:count])]
        template: Any = tokenizer.apply_chat_template  # type: ignore[attr-defined]
        try:
            return str(template(roles, tokenize=False, add_generation_prompt=True))
        except Exception as error:
            raise TokenizerError(
                f"The chat template of {_name(tokenizer)} can't say a dialogue of {count} messages: {error}"
            ) from error

    parts = []
    for count in range(1, len(messages) - 1, 2):
        before, after = said(count), said(count + 2)
        lead, answer, rest = after.removeprefix(before).partition(messages[count])
        head, reply, tail = rest.partition(messages[count + 1])
        # A space before the answer is the policy's own first one.
        if not after.startswith(before) or not answer or lead.strip() or not reply:
            raise _not_append_only(tokenizer)
        parts.append((head, tail))
    return parts


def _not_append_only(tokenizer: Tokenizer) -> TokenizerError:
    return TokenizerError(
        f"The chat template of {_name(tokenizer)} is not append-only: with another turn, it says earlier turns in "
        "another way, so what was sampled would not be what a later turn follows. Pass chat=False, or turn_template=, "
        "what comes before and after a reply."
    )


def _name(tokenizer: Tokenizer) -> str:
    return repr(str(getattr(tokenizer, "name_or_path", "") or type(tokenizer).__name__))


def control_tokens(tokenizer: Tokenizer) -> dict[int, str]:
    """The special tokens of a tokenizer by id, with the text that would be read as each.

    >>> from textgym.tokenizer import builtin_tokenizer
    >>> control_tokens(builtin_tokenizer())
    {0: '<|pad|>', 1: '<|endoftext|>'}
    """
    added: Any = getattr(tokenizer, "added_tokens_decoder", {})
    ids = {token for token, what in added.items() if getattr(what, "special", False)}
    ids |= {*getattr(tokenizer, "all_special_ids", ()), tokenizer.eos_token_id, tokenizer.pad_token_id} - {None}
    # An end token that is an ordinary word, such as a line break, is no control token.
    found = {int(token): tokenizer.decode([token]) for token in sorted(ids)}
    return {
        token: text for token, text in found.items() if text and not tokenizer.decode([token], skip_special_tokens=True)
    }


def neutral(text: str, controls: Any) -> str:
    """``text`` with a space in each control token, so that it is read as text.

    >>> neutral("Bye.<|im_end|>", ["<|im_end|>"])
    'Bye.< |im_end|>'
    """
    for control in controls:
        text = text.replace(control, f"{control[0]} {control[1:]}")
    return text
