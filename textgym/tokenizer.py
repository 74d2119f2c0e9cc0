"""The tokenizer protocol, the built-in tokenizer, and loading by name. The caller's tokenizer is never edited."""

import json
import math
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import tokenizers

from textgym.border import connected, existing, reading
from textgym.errors import ConfigError, TokenizerError

BUILTIN_MODEL, BUILTIN_TINY, BUILTIN_SEQ2SEQ = "textgym/small", "textgym/tiny", "textgym/small-seq2seq"
BUILTIN_MEDIUM, BUILTIN_MEDIUM_SEQ2SEQ = "textgym/medium", "textgym/medium-seq2seq"
BUILTIN_MODELS = (BUILTIN_MODEL, BUILTIN_TINY, BUILTIN_MEDIUM, BUILTIN_SEQ2SEQ, BUILTIN_MEDIUM_SEQ2SEQ)  # in ASSETS
# Decoder-only model -> the one of the other form in its place.
ENCODER_DECODERS = {BUILTIN_MODEL: BUILTIN_SEQ2SEQ, BUILTIN_MEDIUM: BUILTIN_MEDIUM_SEQ2SEQ}
BUILTIN_SENTIMENT = "textgym/sentiment"  # no policy: what ClassifierReward takes
PAD_TOKEN, END_TOKEN = "<|pad|>", "<|endoftext|>"
ASSETS = Path(str(resources.files("textgym"))) / "assets"


@runtime_checkable
class Tokenizer(Protocol):
    """What textgym needs of a tokenizer. Every transformers tokenizer has it."""

    eos_token_id: int | None
    pad_token_id: int | None

    def __len__(self) -> int: ...

    def encode(self, text: str, /, *, add_special_tokens: bool = True) -> list[int]: ...

    def decode(self, token_ids: Sequence[int], /, *, skip_special_tokens: bool = False) -> str: ...


class BuiltinTokenizer:
    """The tokenizer of a built-in model (byte-level BPE), without importing transformers.

    Attributes:
        model: the name of the built-in model whose tokenizer it is, or the folder.
        init_kwargs: what ``tokenizer_config.json`` says, as in a transformers tokenizer.

    >>> tokenizer = BuiltinTokenizer(builtin_folder())
    >>> tokenizer.decode(tokenizer.encode("A small world."))
    'A small world.'
    """

    def __init__(self, folder: str | Path) -> None:
        self.name_or_path = str(folder)
        self.model = f"textgym/{Path(folder).name}" if Path(folder).parent == ASSETS else str(folder)
        self._tokenizer = tokenizers.Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
        self.init_kwargs: dict[str, Any] = json.loads((Path(folder) / "tokenizer_config.json").read_text())
        self.eos_token_id: int | None = self._tokenizer.token_to_id(END_TOKEN)
        self.pad_token_id: int | None = self._tokenizer.token_to_id(PAD_TOKEN)

    def __len__(self) -> int:
        return int(self._tokenizer.get_vocab_size())

    def encode(self, text: str, /, *, add_special_tokens: bool = True) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=add_special_tokens).ids)

    def decode(self, token_ids: Sequence[int], /, *, skip_special_tokens: bool = False) -> str:
        return str(self._tokenizer.decode(list(token_ids), skip_special_tokens=skip_special_tokens))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.name_or_path,)


def builtin_folder(name: str = BUILTIN_MODEL) -> Path:
    """The folder inside the installed package that holds a built-in model and its tokenizer."""
    folder = ASSETS / name.removeprefix("textgym/")
    if not name.startswith("textgym/") or not (folder / "tokenizer.json").is_file():
        raise TokenizerError(f"No built-in model is called {name!r}. There are {', '.join(BUILTIN_MODELS)}.")
    return folder


@cache
def builtin_tokenizer(name: str = BUILTIN_MODEL) -> BuiltinTokenizer:
    """The built-in tokenizer, loaded once."""
    return BuiltinTokenizer(builtin_folder(name))


def model_of(task: object, form: Literal["causal", "seq2seq"] = "causal") -> str:
    """The model that acts in a task where the user names none: its attribute ``default_model``, or ``textgym/small``.

    Args:
        task: any object, the class of a task as well as the task itself.
        form: of an encoder-decoder the counterpart in ``ENCODER_DECODERS``, or ``textgym/small-seq2seq``.

    Raises:
        ConfigError: the attribute is no name.

    >>> from textgym.tasks import Copy
    >>> model_of(Copy), model_of(Copy, "seq2seq"), model_of([])
    ('textgym/small', 'textgym/small-seq2seq', 'textgym/small')
    """
    model = getattr(task, "default_model", BUILTIN_MODEL)
    if not isinstance(model, str) or not model:
        raise ConfigError(
            f"default_model of {getattr(task, '__name__', type(task).__name__)} is {model!r}, expected the name or the "
            f"folder of a model, such as {BUILTIN_MODEL!r}."
        )
    return model if form == "causal" else ENCODER_DECODERS.get(model, BUILTIN_SEQ2SEQ)


def with_same_tokenizer(model: str, form: str) -> str:
    """The built-in model of a form that has the tokenizer of another; the same where there is none.

    >>> with_same_tokenizer("textgym/small", "seq2seq"), with_same_tokenizer("textgym/small-seq2seq", "causal")
    ('textgym/small-seq2seq', 'textgym/small')
    """
    if form == "seq2seq":
        return ENCODER_DECODERS.get(model, model)
    return next((one for one, other in ENCODER_DECODERS.items() if other == model), model)


def length_factor(tokenizer: Tokenizer) -> float:
    """How many times as many tokens a completion may take as with the tokenizer of ``textgym/small``.

    The limits of tasks are multiplied by it. ``textgym pretrain`` writes it beside a tokenizer of few tokens, as
    ``length_factor`` in ``tokenizer_config.json``; every other tokenizer has 1.

    Raises:
        TokenizerError: what is written there is no number from 1 on.

    >>> length_factor(builtin_tokenizer("textgym/small")), length_factor(builtin_tokenizer("textgym/tiny"))
    (1, 3.0)
    """
    options = getattr(tokenizer, "init_kwargs", None)
    factor = options.get("length_factor", 1) if isinstance(options, dict) else 1
    if isinstance(factor, bool) or not isinstance(factor, int | float) or not 1 <= factor < math.inf:
        raise TokenizerError(f"length_factor in tokenizer_config.json is {factor!r}, expected a number from 1 on.")
    return factor


def load_tokenizer(tokenizer: "str | Path | Tokenizer | None" = None) -> Tokenizer:
    """A tokenizer from what a user passes: None (the built-in one), a hub name, a folder, or a tokenizer.

    Raises:
        TokenizerError: it can't be loaded, or lacks the methods of :class:`Tokenizer`, or has no end token.
    """
    if tokenizer is None or (isinstance(tokenizer, str) and tokenizer.startswith("textgym/")):
        return builtin_tokenizer(tokenizer or BUILTIN_MODEL)
    loaded: Any = tokenizer
    if isinstance(tokenizer, str | Path):
        from transformers import AutoTokenizer

        expected = f"Expected a folder that holds one, a name on the Hugging Face hub, or {BUILTIN_MODEL!r}."
        offline = {} if existing(tokenizer) or connected() else {"local_files_only": True}
        with reading("a tokenizer from", tokenizer, TokenizerError, expected):
            loaded = AutoTokenizer.from_pretrained(tokenizer, **offline)
    missing = [name for name in ("encode", "decode", "__len__", "eos_token_id") if not hasattr(loaded, name)]
    if missing:
        raise TokenizerError(
            f"{type(loaded).__name__} is no tokenizer: it lacks {', '.join(missing)}. Pass a transformers tokenizer, "
            "a name or a folder."
        )
    if loaded.eos_token_id is None:
        raise TokenizerError(
            f"Tokenizer {getattr(loaded, 'name_or_path', type(loaded).__name__)!r} has no end token, so no "
            "completion could ever end. Load it with one: AutoTokenizer.from_pretrained(..., eos_token='</s>')."
        )
    checked: Tokenizer = loaded
    return checked
