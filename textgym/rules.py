"""The transitions of the token-level MDP, shared by the single and the vector environment.

Which tokens are legal, which end an episode, and how prompts and completions become tokens and text again.
"""

import inspect
import operator
import warnings
from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypedDict

import numpy as np
import numpy.typing as npt

from textgym.arguments import budget, choice, count, flag, items
from textgym.border import reading
from textgym.errors import ConfigError, InvalidActionError, TokenizerError, UnknownArgumentError, did_you_mean
from textgym.tokenizer import Tokenizer, length_factor

RUNNING, EOS, STOP, LENGTH = 0, 1, 2, 3  # status of a row after a step
DONE, TURNS, FULL = 4, 5, 6  # of a conversation alone: the partner ended it, the turns are used up, no room is left
REASONS = {EOS: "eos", STOP: "stop", LENGTH: "length", DONE: "done", TURNS: "turns", FULL: "full"}
ILLEGAL = -1  # in their place for a token that is outside the vocabulary or masked whatever came before
REMEMBERED_PROMPTS = 4096  # groups of completions, epochs and evaluations play the same prompts again

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int8]


class TextOptions(TypedDict, total=False):
    """The keyword arguments that both environments take. ``TextGenerationEnv`` documents each one."""

    max_prompt_tokens: int | None
    max_new_tokens: int | None
    min_new_tokens: int
    stop: str | Sequence[str] | None
    banned_tokens: Iterable[int]
    allowed_tokens: Iterable[int] | None
    eos_token_ids: Iterable[int]
    length_is_truncation: bool
    sampling: Literal["random", "sequential"]
    infos: Literal["all", "numbers", "none"]
    chat: bool | Literal["auto"]
    form: Literal["causal", "seq2seq"]
    decoder_start_token_id: int | None
    max_turns: int | None
    max_turn_tokens: int | None
    turn_template: tuple[str, str] | None


DEFAULTS: dict[str, Any] = {
    "max_prompt_tokens": None,
    "max_new_tokens": None,
    "min_new_tokens": 0,
    "stop": None,
    "banned_tokens": (),
    "allowed_tokens": None,
    "eos_token_ids": (),
    "length_is_truncation": False,
    "sampling": "random",
    "infos": "all",
    "chat": False,
    "form": "causal",
    "decoder_start_token_id": None,
    "max_turns": None,
    "max_turn_tokens": None,
    "turn_template": None,
}


def vocabulary_size(tokenizer: Tokenizer) -> int:
    """The number of token ids: the tokenizer's length, or more if a special token lies beyond it."""
    special: list[int | None] = [
        tokenizer.eos_token_id,
        tokenizer.pad_token_id,
        *getattr(tokenizer, "all_special_ids", ()),
    ]
    return max(len(tokenizer), *(int(token) + 1 for token in special if token is not None))


class TokenRules:
    """One environment's rules over token ids. Has no part in references, rewards or rows.

    Attributes:
        vocab_size: number of token ids, V.
        pad_token_id: what unused columns are filled with (the end token where the tokenizer has no pad token).
        eos_token_ids: the tokens that end a completion, the tokenizer's own first.
        late_mask, early_mask: (V,) bool, True where a token is legal, from and before ``min_new_tokens``.
        max_turns: how many turns of a conversation the policy may write; 1 without a partner.
        max_turn_tokens: how many tokens a turn may have; None: no limit of its own.
        turn_template: what surrounds a partner's reply, as given or as the task has it; None: no template was chosen.
    """

    def __init__(self, tokenizer: Tokenizer, task: object, options: TextOptions) -> None:
        unknown = [name for name in options if name not in DEFAULTS]
        if unknown:
            raise UnknownArgumentError(
                f"Got an unexpected keyword argument {unknown[0]!r}. {did_you_mean(unknown[0], DEFAULTS)}"
            )
        own = task.token_options(tokenizer) if hasattr(task, "token_options") else {}
        given: dict[str, Any] = {**DEFAULTS, **options}
        given |= {name: value for name, value in own.items() if given[name] is None}
        self.tokenizer = tokenizer
        self._encoded: dict[str, tuple[Ints, int]] = {}
        self.vocab_size = vocabulary_size(tokenizer)
        if tokenizer.eos_token_id is None:
            raise TokenizerError("The tokenizer has no end token, so no episode could end by one. Load it with one.")
        self.eos_token_id: int = tokenizer.eos_token_id
        pad = tokenizer.pad_token_id
        self.pad_token_id: int = self.eos_token_id if pad is None else pad
        factor = length_factor(tokenizer)
        self.max_prompt_tokens = budget("max_prompt_tokens", given, task, factor)
        self.max_new_tokens = budget("max_new_tokens", given, task, factor)
        self.min_new_tokens = count("min_new_tokens", given["min_new_tokens"], least=0)
        if self.min_new_tokens > self.max_new_tokens:
            raise ConfigError(
                f"min_new_tokens={self.min_new_tokens} is more than max_new_tokens={self.max_new_tokens}: no "
                "completion could be long enough. Lower the first or raise the second."
            )
        self.truncation_side = choice("truncation_side", getattr(task, "truncation_side", "left"), ("left", "right"))
        self.cue = str(getattr(task, "cue", ""))
        self.sampling = choice("sampling", given["sampling"], ("random", "sequential"))
        self.infos = choice("infos", given["infos"], ("all", "numbers", "none"))
        self.form = choice("form", given["form"], ("causal", "seq2seq"))
        self.length_is_truncation = flag("length_is_truncation", given["length_is_truncation"])
        own_turns = getattr(task, "max_turns", 1)
        self.max_turns = count("max_turns", own_turns if given["max_turns"] is None else given["max_turns"], least=1)
        no_limit = given["max_turn_tokens"] is None and getattr(task, "max_turn_tokens", None) is None
        self.max_turn_tokens = None if no_limit else budget("max_turn_tokens", given, task, factor)
        own_template = getattr(task, "turn_template", None)
        self.turn_template = own_template if given["turn_template"] is None else given["turn_template"]
        auto = given["chat"] == "auto"
        self.chat = _asks_for_turns(tokenizer) if auto else flag("chat", given["chat"], " or 'auto'")
        if self.chat and not getattr(tokenizer, "chat_template", None):
            raise TokenizerError(
                f"chat=True needs a tokenizer with a chat template; {type(tokenizer).__name__} has none. Use the "
                "tokenizer of an instruction-tuned model, set tokenizer.chat_template, or leave chat=False."
            )
        if "chat" not in options and _asks_for_turns(tokenizer):
            warnings.warn(
                f"The tokenizer {str(getattr(tokenizer, 'name_or_path', ''))!r} has a chat template: its model was "
                "probably trained on turns of a dialogue. chat=True wraps prompts as such turns, chat='auto' with "
                "such tokenizers alone; chat=False leaves them as they are, without this warning.",
                stacklevel=2,
            )
        start = given["decoder_start_token_id"]
        self.decoder_start_token_id = (
            self.pad_token_id if start is None else self._tokens("decoder_start_token_id", (start,))[0]
        )
        self._set_stop(getattr(task, "stop", ()) if given["stop"] is None else given["stop"])
        self._set_masks(given["eos_token_ids"], given["banned_tokens"], given["allowed_tokens"])

    def _tokens(self, name: str, tokens: Iterable[int]) -> tuple[int, ...]:
        out = []
        for token in items(name, tokens, "a list of token ids"):
            if isinstance(token, bool) or not isinstance(token, int | np.integer) or not 0 <= token < self.vocab_size:
                raise ConfigError(f"{name} holds {token!r}, expected token ids from 0 to {self.vocab_size - 1}.")
            out.append(int(token))
        return tuple(dict.fromkeys(out))

    # Masks and actions

    def _set_masks(self, eos: Iterable[int], banned: Iterable[int], allowed: Iterable[int] | None) -> None:
        self.eos_token_ids = self._tokens(
            "eos_token_ids", (self.eos_token_id, *items("eos_token_ids", eos, "a list of token ids"))
        )
        self.banned_tokens = self._tokens("banned_tokens", banned)
        self.allowed_tokens = None if allowed is None else self._tokens("allowed_tokens", allowed)
        self.is_eos: Bools = np.zeros(self.vocab_size, dtype=np.bool_)
        self.is_eos[list(self.eos_token_ids)] = True
        self.late_mask: Bools = np.full(self.vocab_size, self.allowed_tokens is None)
        self.late_mask[list(self.allowed_tokens or ())] = True
        self.late_mask[list(self.banned_tokens)] = False
        self.early_mask: Bools = self.late_mask & ~self.is_eos if self.min_new_tokens else self.late_mask
        for mask in (self.late_mask, self.early_mask):
            mask.flags.writeable = False  # handed out by action_masks without a copy
        if not self.early_mask.any():
            raise ConfigError(
                f"No token is left to choose: min_new_tokens={self.min_new_tokens}, allowed_tokens="
                f"{self.allowed_tokens}, banned_tokens={self.banned_tokens[:10]}. Allow a token besides the end token."
            )
        self.masked = not bool(self.early_mask.all())
        self._codes: Codes = np.full(self.vocab_size + 2, ILLEGAL, dtype=np.int8)  # entry i + 1 belongs to token i
        self._codes[1:-1][self.late_mask] = RUNNING
        self._codes[1:-1][self.late_mask & self.is_eos] = EOS

    def token(self, action: object) -> int:
        """The token id of an action: a Python or numpy integer or a 0-d integer array."""
        try:
            if isinstance(action, (bool, np.bool_)):  # numpy before 2.3 lets the second index
                raise TypeError
            return operator.index(action)  # type: ignore[arg-type]
        except TypeError:
            raise InvalidActionError(
                f"Action {action!r} is a {type(action).__name__}, expected an integer token id from 0 to "
                f"{self.vocab_size - 1}."
            ) from None

    def codes(self, tokens: Ints) -> Codes:
        """(n,) EOS, ILLEGAL or RUNNING for each token (n,). Call ``check`` unless all are RUNNING."""
        # Both ends of the table are ILLEGAL, so clipping finds what is outside the vocabulary.
        return self._codes.take(tokens + 1, mode="clip")

    def check(self, tokens: Ints, counts: Ints, rows: Ints | None = None) -> None:
        """Raise ``InvalidActionError`` unless each token (n,) is legal after ``counts`` (n,) tokens of its row."""
        if tokens.min() < 0 or tokens.max() >= self.vocab_size:
            row = int(((tokens < 0) | (tokens >= self.vocab_size)).argmax())
            raise self.outside(int(tokens[row]), _in_row(row, tokens, rows))
        if self.masked:
            illegal = ~self.late_mask[tokens]
            if self.min_new_tokens:
                illegal |= self.is_eos[tokens] & (counts < self.min_new_tokens)
            if illegal.any():
                row = int(illegal.argmax())
                where = _in_row(row, tokens, rows)
                raise InvalidActionError(self._why_masked(int(tokens[row]), int(counts[row]), where))

    def outside(self, token: int, where: str = "") -> InvalidActionError:
        """The error for a token id outside the vocabulary."""
        return InvalidActionError(
            f"Action {token}{where} is outside the vocabulary, expected a token id from 0 to {self.vocab_size - 1}."
        )

    def _why_masked(self, token: int, count: int, where: str) -> str:
        if token in self.banned_tokens:
            why = "it is one of banned_tokens"
        elif not self.late_mask[token]:
            why = f"it is not one of the {len(self.allowed_tokens or ())} allowed_tokens"
        else:
            why = f"it ends the episode, and min_new_tokens={self.min_new_tokens} masks that after only {count} tokens"
        text = self.tokenizer.decode([token])
        return f"Token {token} ({text!r}){where} is masked: {why}. action_masks() has the legal tokens."

    def mask(self, counts: Ints) -> Bools:
        """(rows, V) bool, True where a token is legal. A read-only view where all rows agree, so it costs nothing."""
        early = counts < self.min_new_tokens
        if not early.any():
            return np.broadcast_to(self.late_mask, (len(counts), self.vocab_size))
        if early.all():
            return np.broadcast_to(self.early_mask, (len(counts), self.vocab_size))
        return np.where(early[:, None], self.early_mask, self.late_mask)

    # Ends

    def _set_stop(self, stop: str | Sequence[str]) -> None:
        self.stop: tuple[str, ...] = (stop,) if isinstance(stop, str) else items("stop", stop, "strings")
        if not all(isinstance(text, str) and text for text in self.stop):
            raise ConfigError(f"stop={self.stop!r} holds something else than non-empty strings.")
        # A stop string of n bytes spans at most n tokens with text in them; 3 more keep a cut character out of it.
        self._tail = max((len(text.encode()) for text in self.stop), default=0) + 3
        # Only a token with the last character of a stop string in it can complete one. -1: not yet looked up.
        self._completes_stop: npt.NDArray[np.int8] = np.full(self.vocab_size if self.stop else 0, -1, dtype=np.int8)

    def may_stop(self, tokens: Ints) -> Bools:
        """(rows,) bool: whether each token could be the last one of a stop string."""
        known = self._completes_stop[tokens]
        if (known < 0).any():
            for token in {int(token) for token in tokens[known < 0]}:
                text = self.tokenizer.decode([token])
                # A lone token may lose its leading space when decoded, and part of a character decodes to U+FFFD.
                self._completes_stop[token] = any(
                    stop[-1] in text or stop[-1] == " " or (ord(stop[-1]) > 127 and "\ufffd" in text)
                    for stop in self.stop
                )
            known = self._completes_stop[tokens]
        return known > 0

    def stopped(self, generated: Sequence[int]) -> bool:
        """Whether the last of the ``generated`` tokens completes a stop string. Decodes only the tail."""
        tail = self.tokenizer.decode(list(generated[-self._tail :]))
        if not any(stop in tail for stop in self.stop):
            return False
        # A decoded tail may begin unlike the whole text does, so the whole text has the last word.
        text = self.tokenizer.decode(list(generated))
        return any(stop in text for stop in self.stop)

    # Text and tokens

    def encode_prompt(self, text: str) -> tuple[Ints, int]:
        """The prompt's token ids, at least one and at most ``max_prompt_tokens``, and how many were cut off."""
        known = self._encoded.get(text)
        if known is None:
            if len(self._encoded) >= REMEMBERED_PROMPTS:
                del self._encoded[next(iter(self._encoded))]
            with reading("prompt", text[:60], TokenizerError, "The tokenizer or its chat template can't encode it."):
                ids, cut = self._encode_prompt(text)
            known = self._encoded[text] = (np.array(ids, dtype=np.int64), cut)
        return known

    def _encode_prompt(self, text: str) -> tuple[list[int], int]:
        ids = self._chat_ids(text) if self.chat else self._plain_ids(text)
        if ids and max(ids) >= self.vocab_size:
            raise TokenizerError(
                f"The tokenizer encoded a prompt to token id {max(ids)}, beyond its own size of {self.vocab_size}."
            )
        excess = len(ids) - self.max_prompt_tokens
        if excess <= 0:
            return ids, 0
        if self.chat:
            return self._shortened_chat(text, excess)
        if self.truncation_side == "left":  # a begin-of-text token stays: models are trained to see one
            head = int(ids[0] == getattr(self.tokenizer, "bos_token_id", None))
            return ids[:head] + ids[head + excess :], excess
        tail = ids[-1:] if self.form == "seq2seq" and ids[-1] in self.eos_token_ids else []
        # What a template puts after the text ("Summary:") is the instruction: cut the text before it.
        cue = self.tokenizer.encode(self._cue(text), add_special_tokens=False) if self._cue(text) else []
        tail = [*cue, *tail] if len(cue) + len(tail) < self.max_prompt_tokens else tail
        return ids[: self.max_prompt_tokens - len(tail)] + tail, excess

    def _cue(self, text: str) -> str:
        """The end of a prompt that stays when the prompt is cut on the right."""
        return self.cue if self.truncation_side == "right" and text.endswith(self.cue) else ""

    def _plain_ids(self, text: str) -> list[int]:
        ids = list(self.tokenizer.encode(text))
        if self.form == "causal" and ids and ids[-1] == self.eos_token_id:
            # An end token that the tokenizer appended would end the completion at once; one in the text itself stays.
            own = self.tokenizer.encode(text, add_special_tokens=False)
            if ids.count(self.eos_token_id) > own.count(self.eos_token_id):
                ids.pop()
        if not ids:
            begin = getattr(self.tokenizer, "bos_token_id", None)
            ids = [self.eos_token_id if begin is None else begin]  # a model needs a token to condition on
        return ids

    def _chat_ids(self, text: str) -> list[int]:
        template: Any = self.tokenizer.apply_chat_template  # type: ignore[attr-defined]
        options: dict[str, Any] = {"add_generation_prompt": True, "tokenize": True, "return_dict": False}
        if "sanitize_control_tokens" in inspect.signature(template).parameters:
            options["sanitize_control_tokens"] = True  # a prompt can't forge a turn of the dialogue
        return list(template([{"role": "user", "content": text}], **options))

    def _shortened_chat(self, text: str, excess: int) -> tuple[list[int], int]:
        """Cut the user's text, not the template around it."""
        cue = self._cue(text)
        pieces = self.tokenizer.encode(text.removesuffix(cue), add_special_tokens=False)
        keep = len(pieces) - excess
        while keep > 0:
            part = pieces[-keep:] if self.truncation_side == "left" else pieces[:keep]
            ids = self._chat_ids(self.tokenizer.decode(part) + cue)
            if len(ids) <= self.max_prompt_tokens:
                return ids, len(pieces) - keep
            keep -= len(ids) - self.max_prompt_tokens
        raise ConfigError(
            f"max_prompt_tokens={self.max_prompt_tokens} leaves no room for the prompt in the chat template. Raise it."
        )

    def encode_completion(self, text: str) -> list[int]:
        """The actions that write ``text`` as the completion, and the end token."""
        with reading("completion", str(text)[:60], TokenizerError, "The tokenizer can't encode it."):
            return [*self.tokenizer.encode(text, add_special_tokens=False), self.eos_token_id]

    def decode_completion(self, generated: Sequence[int]) -> str:
        """The text of the generated tokens: special tokens left out, cut before the first stop string."""
        ids = list(generated)
        if ids and self.is_eos[ids[-1]]:
            ids.pop()
        text = self.tokenizer.decode(ids, skip_special_tokens=True)
        cuts = [text.find(stop) for stop in self.stop if stop in text]
        return text[: min(cuts)] if cuts else text


def _in_row(row: int, tokens: Ints, rows: Ints | None) -> str:
    if rows is not None:
        return f" of environment {rows[row]}"
    return f" of environment {row}" if len(tokens) > 1 else ""


def _asks_for_turns(tokenizer: Tokenizer) -> bool:
    """Whether a tokenizer has a chat template that adds something to a prompt."""
    if not getattr(tokenizer, "chat_template", None):
        return False
    template: Any = tokenizer.apply_chat_template  # type: ignore[attr-defined]
    try:
        said = template([{"role": "user", "content": "x"}], tokenize=False, add_generation_prompt=True)
    except Exception:  # one that fails adds nothing, and says so when it is used
        return False
    return str(said).removeprefix(getattr(tokenizer, "bos_token", None) or "").strip() != "x"
