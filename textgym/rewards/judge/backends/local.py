"""A judge in this process: a transformers causal language model, asked for one digit and read by its probabilities."""

import inspect
import math
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from textgym.errors import ConfigError, JudgeError, ModelError, TokenizerError
from textgym.rewards.judge.backends.base import Verdict
from textgym.rewards.judge.prompt import Chat
from textgym.tokenizer import builtin_folder

DIGITS = "12345"


class LocalBackend:
    """A transformers causal language model as judge: no text is generated and none is parsed.

    The score is the expected value over the digits 1 to 5 as the next token after the chat. So completions with the
    same most probable digit differ in score (G-Eval, https://arxiv.org/abs/2303.16634; direct RLAIF,
    https://arxiv.org/abs/2309.00267).
    Every single-token form of a digit counts, with and without a leading space. Without a chat template, the model gets
    plain text that ends in "Score:".

    The verdict's component ``label_mass`` is the probability of all the digits together: near 1 for a model that
    understood the question, near 0 for one that would have said something else.

    Args:
        model: a folder, a hub name, ``"textgym/small"``, or a loaded model. Names are loaded at the first call, from
            safetensors only, and run no code of the repository. A loaded model keeps its device.
        tokenizer: a name or a loaded tokenizer. None: the one that belongs to the model.
        device: where a model given by name goes.
        batch_size: chats per forward pass. They are sorted by length and padded on the left.
        min_label_mass: a smaller ``label_mass`` is a JudgeError. The default only catches models that don't answer at
            all; 0.5 is a good value for a model that follows instructions.

    Raises:
        ModelError, TokenizerError: (at the first call) one of them can't be loaded, or a digit is no single token.
    """

    instruction = "Answer with one digit from 1 to 5 and nothing else."

    def __init__(
        self,
        model: Any,
        tokenizer: Any = None,
        *,
        device: str = "cpu",
        batch_size: int = 8,
        min_label_mass: float = 1e-3,
    ) -> None:
        if batch_size < 1 or not 0 <= min_label_mass < 1:
            raise ConfigError(
                f"LocalBackend got batch_size={batch_size}, min_label_mass={min_label_mass}. Expected a batch of 1 or "
                "more, and a probability below 1."
            )
        self.model_source = model if not isinstance(model, Path) else str(model)
        self.tokenizer_source = tokenizer if not isinstance(tokenizer, Path) else str(tokenizer)
        self.device, self.batch_size, self.min_label_mass = device, batch_size, min_label_mass
        self._model: Any = None
        self._tokenizer: Any = None
        self._digit_ids: list[list[int]] = []

    @property
    def control_tokens(self) -> tuple[str, ...]:
        """The tokenizer's special tokens, and the added tokens that its chat template writes."""
        tokenizer = self._load_tokenizer()
        template = str(getattr(tokenizer, "chat_template", None) or "")
        added = getattr(tokenizer, "added_tokens_decoder", {}).values()
        return tuple(token.content for token in added if token.special or token.content in template)

    def __call__(self, messages: Chat, /) -> Verdict:
        """Judge one chat. Raises JudgeError when the model gives the digits too little probability."""
        (outcome,) = self.judge_batch([messages])
        if isinstance(outcome, JudgeError):
            raise outcome
        return outcome

    def judge_batch(self, chats: Sequence[Chat], /) -> list[Verdict | JudgeError]:
        """One verdict or JudgeError per chat, ``batch_size`` of them per forward pass."""
        rows = [self.encode(chat) for chat in chats]
        outcomes: dict[int, Verdict | JudgeError] = {}
        model = self._load_model()
        limit = getattr(model.config, "max_position_embeddings", None) or math.inf
        for i, row in enumerate(rows):
            if len(row) > limit:
                outcomes[i] = JudgeError(
                    f"{self!r}: the chat has {len(row)} tokens, but the model reads {limit}. Give LLMJudge a smaller "
                    "max_chars."
                )
        todo = sorted((i for i in range(len(rows)) if i not in outcomes), key=lambda i: len(rows[i]))
        for start in range(0, len(todo), self.batch_size):
            batch = todo[start : start + self.batch_size]
            for i, probabilities in zip(batch, self._digit_probabilities([rows[i] for i in batch]), strict=True):
                outcomes[i] = self._verdict(probabilities)
        return [outcomes[i] for i in range(len(rows))]

    def encode(self, messages: Chat) -> list[int]:
        """The token ids of a chat, up to the place where the digit belongs."""
        tokenizer = self._load_tokenizer()
        if not getattr(tokenizer, "chat_template", None):
            text = "\n\n".join(message["content"] for message in messages)
            return list(tokenizer.encode(f"{text}\nScore:"))
        from jinja2 import TemplateError

        known = inspect.signature(tokenizer.apply_chat_template).parameters
        kwargs: dict[str, Any] = {"add_generation_prompt": True, "tokenize": True, "return_dict": True}
        kwargs["enable_thinking"] = False  # a template variable: without it, some models would open with <think>
        if "sanitize_control_tokens" in known:
            kwargs["sanitize_control_tokens"] = True
        try:
            encoded = tokenizer.apply_chat_template(messages, **kwargs)
        except TemplateError:  # a template without a system turn
            merged = "\n\n".join(message["content"] for message in messages)
            encoded = tokenizer.apply_chat_template([{"role": "user", "content": merged}], **kwargs)
        return list(encoded["input_ids"])

    def _digit_probabilities(self, rows: list[list[int]]) -> list[list[float]]:
        import torch

        model, digit_ids = self._load_model(), self._load_digit_ids()
        width = max(map(len, rows))
        pad = getattr(self._load_tokenizer(), "pad_token_id", None) or 0  # masked out: any id does
        input_ids = torch.tensor([[pad] * (width - len(row)) + row for row in rows])  # (batch, tokens)
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
        inputs = {"input_ids": input_ids, "attention_mask": mask, "position_ids": (mask.cumsum(1) - 1).clamp(min=0)}
        inner = model.get_base_model() if hasattr(model, "get_base_model") else model  # an adapter hides the names
        known = inspect.signature(inner.forward).parameters
        inputs = {name: value.to(model.device) for name, value in inputs.items() if name in known}
        extra = {name: value for name, value in (("use_cache", False), ("logits_to_keep", 1)) if name in known}
        training = [module for module in model.modules() if module.training]  # dropout would blur the score
        model.eval()
        try:
            with torch.inference_mode():
                logits = model(**inputs, **extra).logits[:, -1].double()  # (batch, vocabulary)
        finally:
            for module in training:
                module.training = True
        probabilities = logits.softmax(-1)
        columns = [probabilities[:, ids].sum(-1) for ids in digit_ids]
        return [[float(p) for p in row] for row in torch.stack(columns, 1)]

    def _verdict(self, probabilities: list[float]) -> Verdict | JudgeError:
        mass = sum(probabilities)
        if not mass >= self.min_label_mass or mass == 0:  # NaN fails too
            return JudgeError(
                f"{self!r}: the digits 1 to 5 have probability {mass:.2g} together, expected {self.min_label_mass:g} "
                "or more. The model doesn't answer with a digit: take one that follows instructions."
            )
        score = sum(digit * p for digit, p in enumerate(probabilities, start=1)) / mass
        return Verdict(min(max(score, 1.0), 5.0), {"label_mass": min(mass, 1.0)})  # rounding may overshoot

    def _load_model(self) -> Any:
        if self._model is None and not isinstance(self.model_source, str):
            self._model = self.model_source
        if self._model is None:
            from transformers import AutoModelForCausalLM

            try:
                model: Any = AutoModelForCausalLM.from_pretrained(_path(self.model_source), use_safetensors=True)
            except (OSError, ValueError, KeyError) as error:
                raise ModelError(
                    f"Can't load a causal language model from {self.model_source!r}: {error}. Expected a folder that "
                    "holds one as safetensors, or a name on the Hugging Face hub."
                ) from error
            self._model = model.to(self.device).eval()
        return self._model

    def _load_tokenizer(self) -> Any:
        source = self.tokenizer_source
        if source is None:
            source = self.model_source
            if not isinstance(source, str):
                source = getattr(source, "name_or_path", "")
        if self._tokenizer is None and not isinstance(source, str):
            self._tokenizer = source
        if self._tokenizer is None:
            from transformers import AutoTokenizer

            try:
                self._tokenizer = AutoTokenizer.from_pretrained(_path(source))
            except (OSError, ValueError, KeyError) as error:
                raise TokenizerError(
                    f"Can't load the judge's tokenizer from {source!r}: {error}. Pass LocalBackend(model, tokenizer)."
                ) from error
        return self._tokenizer

    def _load_digit_ids(self) -> list[list[int]]:
        if not self._digit_ids:
            forms = [digit_forms(self._load_tokenizer(), digit) for digit in DIGITS]
            missing = [digit for digit, ids in zip(DIGITS, forms, strict=True) if not ids]
            if missing:
                raise TokenizerError(f"{self!r}: the tokenizer has no single token for {', '.join(missing)}.")
            self._digit_ids = forms
        return self._digit_ids

    def __repr__(self) -> str:
        source = self.model_source
        name = source if isinstance(source, str) else getattr(source, "name_or_path", "") or type(source).__name__
        return f"LocalBackend({name!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_model": None, "_tokenizer": None, "_digit_ids": []}  # what has a name loads again


def _path(name: str) -> str:
    """The folder of a built-in model, or the name as it is."""
    return str(builtin_folder(name)) if name.startswith("textgym/") else name


def digit_forms(tokenizer: Any, digit: str) -> list[int]:
    """The ids of every token that reads as ``digit``: bare, or after a space as BPE or SentencePiece write it."""
    vocabulary = tokenizer.get_vocab() if hasattr(tokenizer, "get_vocab") else {}
    candidates = {vocabulary[form] for form in (digit, "Ġ" + digit, "▁" + digit) if form in vocabulary}
    encoded = (tokenizer.encode(form, add_special_tokens=False) for form in (digit, " " + digit))
    candidates |= set(chain.from_iterable(ids for ids in encoded if len(ids) == 1))
    return sorted(i for i in candidates if tokenizer.decode([i]).strip() == digit)
