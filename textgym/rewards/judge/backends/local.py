"""A judge in this process: a causal language model of transformers, asked for one number, read by its probabilities."""

import hashlib
import inspect
import json
import math
from collections.abc import Mapping, Sequence
from itertools import chain, groupby
from pathlib import Path
from typing import Any

from textgym.errors import ConfigError, JudgeError, ModelError, TokenizerError
from textgym.rewards.judge.backends.base import Verdict
from textgym.rewards.judge.backends.next_token import common_tokens, next_token_probabilities
from textgym.rewards.judge.backends.weights import weights_hash, weights_mark
from textgym.rewards.judge.prompt import Chat
from textgym.rewards.judge.rubric import Rubric
from textgym.tokenizer import builtin_folder


class LocalBackend:
    """A transformers causal language model as judge: no text is generated and none is parsed.

    The score is the expected value over the numbers of the scale, 1 to 5 unless the rubric has another, as the next
    token after the chat. So completions with the same most probable number differ in score (G-Eval,
    https://arxiv.org/abs/2303.16634; direct RLAIF, https://arxiv.org/abs/2309.00267).
    Every single-token form of a number counts, with and without a leading space. Without a chat template, the model
    gets plain text that ends in "Score:".

    With several criteria, each is asked for by itself, after the same chat: the chat is computed once, and the few
    tokens that name the criterion once for each.

    The verdict's component ``label_mass`` is the probability of all the numbers together, of several criteria the
    smallest: near 1 for a model that understood the question, near 0 for one that would have said something else.

    Args:
        model: a folder, a hub name, ``"textgym/small"``, or a loaded model. Names are loaded at the first call, from
            safetensors only, and run no code of the repository. A loaded model keeps its device.
        tokenizer: a name or a loaded tokenizer. None: the one that belongs to the model.
        device: where a model given by name goes.
        batch_size: chats per forward pass. They are sorted by length and padded on the left.
        min_label_mass: a smaller ``label_mass`` is a JudgeError. The default only catches models that don't answer at
            all; 0.5 is a good value for a model that follows instructions.

    Raises:
        ModelError, TokenizerError: (at the first call) one of them can't be loaded, or a number of the scale is no
            single token.
    """

    instruction = "Answer with one number from {lowest} to {highest} and nothing else."

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
        self._level_ids: dict[int, list[int]] = {}
        self._identity: tuple[tuple[int, ...], str] | None = None

    @property
    def control_tokens(self) -> tuple[str, ...]:
        """The tokenizer's special tokens, and the added tokens that its chat template writes."""
        tokenizer = self._load_tokenizer()
        template = str(getattr(tokenizer, "chat_template", None) or "")
        added = getattr(tokenizer, "added_tokens_decoder", {}).values()
        return tuple(token.content for token in added if token.special or token.content in template)

    @property
    def identity(self) -> str:
        """A hash of the weights as they are now and of the tokenizer: a model that is trained on is another judge."""
        model, tokenizer = self._load_model(), self._load_tokenizer()
        mark = weights_mark(model)
        if self._identity is not None and self._identity[0] == mark:
            return self._identity[1]
        core = getattr(tokenizer, "backend_tokenizer", None)
        words = core.to_str() if core is not None else str(sorted(tokenizer.get_vocab().items()))
        template = getattr(tokenizer, "chat_template", None)
        parts = [weights_hash(model), model.config.to_json_string(), str(template), words]
        self._identity = mark, f"LocalBackend {hashlib.sha256(json.dumps(parts).encode()).hexdigest()}"
        return self._identity[1]

    def __call__(self, messages: Chat, /) -> Verdict:
        """Judge one chat. Raises JudgeError when the model gives the numbers too little probability."""
        (outcome,) = self.judge_batch([messages])
        if isinstance(outcome, JudgeError):
            raise outcome
        return outcome

    def judge_batch(self, chats: Sequence[Chat], /) -> list[Verdict | JudgeError]:
        """One verdict or JudgeError per chat, ``batch_size`` of them per forward pass."""
        rows = [[self.encode(question) for question in by_criterion(chat)] for chat in chats]
        levels = [self._levels(chat.rubric) for chat in chats]
        outcomes: dict[int, Verdict | JudgeError] = {}
        model, pad = self._load_model(), getattr(self._load_tokenizer(), "pad_token_id", None) or 0
        limit = getattr(model.config, "max_position_embeddings", None) or math.inf
        for i, questions in enumerate(rows):
            if (longest := max(map(len, questions))) > limit:
                outcomes[i] = JudgeError(
                    f"{self!r}: the chat has {longest} tokens, but the model reads {limit}. Give LLMJudge a smaller "
                    "max_chars."
                )
        todo = sorted((i for i in range(len(rows)) if i not in outcomes), key=lambda i: (len(rows[i]), len(rows[i][0])))
        for _, same in groupby(todo, key=lambda i: len(rows[i])):  # as many criteria
            waiting = list(same)
            for start in range(0, len(waiting), self.batch_size):
                batch = waiting[start : start + self.batch_size]
                probabilities = next_token_probabilities(model, [rows[i] for i in batch], pad)  # (chats, criteria, V)
                for i, each in zip(batch, probabilities, strict=True):
                    masses = [{level: float(one[ids].sum()) for level, ids in levels[i].items()} for one in each]
                    outcomes[i] = self._verdict(chats[i].rubric, masses)
        return [outcomes[i] for i in range(len(rows))]

    def count_tokens(self, chat: Chat) -> float:
        """Tokens that the model reads for a chat."""
        questions = [self.encode(question) for question in by_criterion(chat)]
        return float(len(questions[0]) + sum(len(row) - common_tokens(questions) for row in questions[1:]))

    def encode(self, messages: Chat) -> list[int]:
        """The token ids of a chat, up to the place where the number belongs."""
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

    def _verdict(self, rubric: Rubric, masses: Sequence[Mapping[int, float]]) -> Verdict | JudgeError:
        """The verdict from the probability of each level, by criterion."""
        scores: dict[str, float] = {}
        totals = [math.fsum(mass.values()) for mass in masses]
        for name, mass, total in zip(rubric.names, masses, totals, strict=True):
            if not total >= self.min_label_mass or total == 0:  # NaN fails too
                about = f" for {name}" if name else ""
                return JudgeError(
                    f"{self!r}: the numbers {rubric.lowest} to {rubric.highest} have probability {total:.2g} together"
                    f"{about}, expected {self.min_label_mass:g} or more. The model doesn't answer with a number: take "
                    "one that follows instructions."
                )
            mean = math.fsum(level * p for level, p in mass.items()) / total
            scores[name] = min(max(mean, rubric.lowest), rubric.highest)  # rounding may overshoot
        parts = {name: score for name, score in scores.items() if name}
        probabilities = dict(zip(rubric.names, masses, strict=True))
        return Verdict(rubric.score(scores), {**parts, "label_mass": min(*totals, 1.0)}, probabilities=probabilities)

    def _levels(self, rubric: Rubric) -> dict[int, list[int]]:
        """The token ids of each number of a rubric's scale."""
        levels = range(rubric.lowest, rubric.highest + 1)
        for level in levels:
            if level not in self._level_ids:
                self._level_ids[level] = digit_forms(self._load_tokenizer(), str(level))
        missing = [str(level) for level in levels if not self._level_ids[level]]
        if missing:
            raise TokenizerError(
                f"{self!r}: the tokenizer has no single token for {', '.join(missing)}, and the score is read from one "
                "token. Give the rubric a scale within 0 to 9, or take a backend that reads replies."
            )
        return {level: self._level_ids[level] for level in levels}

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

    def __repr__(self) -> str:
        source = self.model_source
        name = source if isinstance(source, str) else getattr(source, "name_or_path", "") or type(source).__name__
        return f"LocalBackend({name!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_model": None, "_tokenizer": None, "_level_ids": {}, "_identity": None}


def _path(name: str) -> str:
    """The folder of a built-in model, or the name as it is."""
    return str(builtin_folder(name)) if name.startswith("textgym/") else name


def by_criterion(chat: Chat) -> list[Chat]:
    """The chat once for each criterion, which the end of its last turn names; one criterion alone needs no name.

    >>> from textgym.rewards.judge.prompt import judge_messages
    >>> from textgym.rewards.judge.rubric import Criterion
    >>> rubric = Rubric((Criterion("Is it fluent?", "fluency"), Criterion("Is it short?", "brevity")))
    >>> [one[1]["content"].splitlines()[-1] for one in by_criterion(judge_messages(rubric, "Hello."))]
    ['Give the number for fluency.', 'Give the number for brevity.']
    """
    names = chat.rubric.names
    if len(names) == 1:
        return [chat]
    *before, last = chat
    return [
        Chat(
            [*before, {**last, "content": f"{last['content']}\nGive the number for {name}."}],
            chat.code,
            chat.rubric,
        )
        for name in names
    ]


def digit_forms(tokenizer: Any, digit: str) -> list[int]:
    """The ids of every token that reads as ``digit``: bare, or after a space as BPE or SentencePiece write it."""
    vocabulary = tokenizer.get_vocab() if hasattr(tokenizer, "get_vocab") else {}
    candidates = {vocabulary[form] for form in (digit, "Ġ" + digit, "▁" + digit) if form in vocabulary}
    encoded = (tokenizer.encode(form, add_special_tokens=False) for form in (digit, " " + digit))
    candidates |= set(chain.from_iterable(ids for ids in encoded if len(ids) == 1))
    return sorted(i for i in candidates if tokenizer.decode([i]).strip() == digit)
