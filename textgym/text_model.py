"""What rewards and metrics that hold a model share: loading at the first call, windows, batches by length, pickling."""

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from textgym.border import connected, existing, reading
from textgym.errors import ConfigError, ModelError, TokenizerError
from textgym.tokenizer import builtin_folder, builtin_tokenizer

_SHARED: dict[tuple[str, str, str], Any] = {}  # the built-in models, which are small and few, once in a process


class Window(NamedTuple):
    """A part of a text that a model reads at once.

    Attributes:
        owner: the index of the text.
        start: special tokens before it.
        ids: its token ids.
        end: special tokens after it.
        known: how many of the ids, the first ones, the window before it has too.
    """

    owner: int
    start: list[int]
    ids: list[int]
    end: list[int]
    known: int


class TextModel:
    """Something that asks a transformers model about texts. Subclasses set ``auto_class``.

    Args:
        model: a folder, a hub name, a built-in name, or a loaded model. Names are loaded at the first call, from
            safetensors only, and run no code of the repository. A loaded model keeps its device.
        tokenizer: a name or a loaded tokenizer. None: the one that belongs to the model.
        device: where a model given by name goes.
        batch_size: texts per forward pass.

    Raises:
        ConfigError: the batch size is no integer from 1 up.
        ModelError, TokenizerError: (at the first call) one of them can't be loaded.
    """

    auto_class: ClassVar[str]  # of transformers
    needs_all_weights: ClassVar[bool] = False  # whether weights that no file holds, and are random, are an error

    def __init__(self, model: Any, tokenizer: Any = None, *, device: str = "cpu", batch_size: int = 32) -> None:
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise ConfigError(f"batch_size={batch_size!r}, expected an integer from 1 up.")
        self.model = str(model) if isinstance(model, Path) else model
        self.tokenizer = str(tokenizer) if isinstance(tokenizer, Path) else tokenizer
        self.device, self.batch_size = device, batch_size
        self._loaded_model: Any = None
        self._loaded_tokenizer: Any = None

    def load_model(self) -> Any:
        """The model, loaded at the first call."""
        if self._loaded_model is None and not isinstance(self.model, str):
            self._loaded_model = self.model
        if self._loaded_model is None:
            self._loaded_model = _SHARED.get(self._key())
        if self._loaded_model is None:
            import transformers

            source, offline = _located(self.model)
            expected = "Expected a folder that holds one as safetensors, or a name on the Hugging Face hub."
            with reading(f"the model of {type(self).__name__} from", self.model, ModelError, expected):
                loader: Any = getattr(transformers, self.auto_class)
                with _no_bar(transformers.utils.logging):
                    model, found = loader.from_pretrained(
                        source, use_safetensors=True, output_loading_info=True, **offline
                    )
            if self.needs_all_weights and found["missing_keys"]:
                missing = ", ".join(sorted(found["missing_keys"])[:3])
                raise ModelError(
                    f"{self.model!r} has no trained {missing}: its values would be random. {type(self).__name__} "
                    "takes a model that was trained for the purpose."
                )
            self._loaded_model = model.to(self.device).eval()
            if self.model.startswith("textgym/"):
                _SHARED[self._key()] = self._loaded_model
        return self._loaded_model

    def _key(self) -> tuple[str, str, str]:
        return self.auto_class, str(self.model), str(self.device)

    @property
    def model_name(self) -> str:
        """What names the model: the name given, or that which a loaded model has, or its class's."""
        if isinstance(self.model, str):
            return self.model
        return str(getattr(self.model, "name_or_path", "") or type(self.model).__name__)

    def load_tokenizer(self) -> Any:
        """The tokenizer, loaded at the first call."""
        source = self.tokenizer
        if source is None:
            source = self.model if isinstance(self.model, str) else getattr(self.model, "name_or_path", "")
        if self._loaded_tokenizer is None and not isinstance(source, str):
            self._loaded_tokenizer = source
        if self._loaded_tokenizer is None and source.startswith("textgym/"):
            self._loaded_tokenizer = builtin_tokenizer(source)
        if self._loaded_tokenizer is None:
            from transformers import AutoTokenizer

            hint = f"Pass its own: {type(self).__name__}(model, tokenizer=...)."
            path, offline = _located(source)
            with reading(f"the tokenizer of {type(self).__name__} from", source, TokenizerError, hint):
                self._loaded_tokenizer = AutoTokenizer.from_pretrained(path, **offline)
        return self._loaded_tokenizer

    def max_tokens(self, default: int = 512) -> int:
        """How many tokens the model reads at once, ``default`` where it does not say."""
        config = self.load_model().config
        said = [getattr(config, name, None) for name in ("max_position_embeddings", "n_positions")]
        offset = 2 if getattr(config, "model_type", "") in ("roberta", "xlm-roberta", "camembert") else 0
        limit = next((number for number in said if isinstance(number, int) and number > 0), None)
        return default if limit is None else limit - offset  # those count positions from the padding's id on

    def encoded(self, texts: Sequence[str]) -> tuple[list[list[int]], list[int]]:
        """Rows of token ids with the tokenizer's special tokens, and for each row the index of its text.

        A text that is too long for the model makes several rows, which overlap by half. Each text has at least one.
        """
        windows = self.windows(texts)
        return [[*window.start, *window.ids, *window.end] or [self._some_token()] for window in windows], [
            window.owner for window in windows
        ]

    def windows(self, texts: Sequence[str]) -> list[Window]:
        """The token ids of texts in windows that the model can read. Each text has at least one."""
        tokenizer = self.load_tokenizer()
        said = getattr(tokenizer, "model_max_length", None) or math.inf  # a huge number where it is not known
        limit, found = int(min(self.max_tokens(), said)), []
        for owner, text in enumerate(texts):
            ids = list(tokenizer.encode(text, add_special_tokens=False))
            whole = list(tokenizer.encode(text))
            before = next((i for i in range(len(whole) - len(ids) + 1) if whole[i : i + len(ids)] == ids), 0)
            start, end = whole[:before], whole[before + len(ids) :]
            width = limit - len(start) - len(end)
            step = max(1, width // 2)
            for first in range(0, max(1, len(ids) - width + step), step):
                known = min(width - step, len(ids) - first) if first else 0
                found.append(Window(owner, start, ids[first : first + width], end, known))
        return found

    def _some_token(self) -> int:
        return getattr(self.load_tokenizer(), "eos_token_id", None) or 0  # no model reads nothing

    def in_batches(
        self, rows: Sequence[Sequence[int]], read: Callable[[Any, Any, list[int]], Sequence[Any]], **options: Any
    ) -> list[Any]:
        """``read(output, mask, indices)`` of batches of rows of token ids of similar length, in the order of the rows.

        Rows are padded on the right; ``mask`` is (batch, tokens), 1 where a token is. ``options`` go to the model.
        """
        import torch

        model = self.load_model()
        pad = getattr(model.config, "pad_token_id", None)  # by which a model finds the last token that it classifies
        together = self.batch_size if pad is not None or not self.needs_all_weights else 1  # those need one for batches
        pad = pad if pad is not None else getattr(self.load_tokenizer(), "pad_token_id", None) or 0
        inner = model.get_base_model() if hasattr(model, "get_base_model") else model  # an adapter hides the names
        known = inspect.signature(inner.forward).parameters
        results: list[Any] = [None] * len(rows)
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        for start in range(0, len(order), together):
            indices = order[start : start + together]
            width = max(len(rows[i]) for i in indices)
            input_ids = torch.tensor([[*rows[i], *[pad] * (width - len(rows[i]))] for i in indices])
            mask = torch.tensor([[1] * len(rows[i]) + [0] * (width - len(rows[i])) for i in indices])
            inputs: dict[str, Any] = {"input_ids": input_ids, "attention_mask": mask, "use_cache": False}
            inputs = {name: _moved(value, model.device) for name, value in inputs.items() if name in known}
            with _evaluating(model), torch.inference_mode():
                values = read(model(**inputs, **options), mask.to(model.device), indices)
            for i, value in zip(indices, values, strict=True):
                results[i] = value
        return results

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_loaded_model": None, "_loaded_tokenizer": None}  # what has a name loads again


def _located(name: str) -> tuple[str, dict[str, bool]]:
    """Where a name of a model leads, and the option that keeps it off the hub where there is none."""
    if name.startswith("textgym/"):
        return str(builtin_folder(name)), {}
    return name, {} if existing(name) or connected() else {"local_files_only": True}


def _moved(value: Any, device: Any) -> Any:
    return value.to(device) if hasattr(value, "to") else value


@contextmanager
def _no_bar(logging: Any) -> Iterator[None]:
    """Without the bar over weights that are being read."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    """Without dropout, which would blur the score of a model that is being trained elsewhere."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
