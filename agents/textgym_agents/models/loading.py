"""Where models come from and go: hub names, local folders, GGUF files and the built-in ones."""

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Literal

import huggingface_hub
import torch
import transformers
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from textgym.border import connected, existing, reading, writing
from textgym.errors import MissingExtraError, ModelError, TokenizerError
from textgym.tokenizer import BUILTIN_MODEL, BUILTIN_MODELS, builtin_folder
from textgym_agents.models.given import ADAPTER_CONFIG, base_of, has_adapters, with_adapters
from textgym_agents.models.weights import check_weights

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def load(
    name: str | Path = BUILTIN_MODEL,
    *,
    dtype: str = "float32",
    device: str | torch.device = "cpu",
    revision: str | None = None,
    local_files_only: bool = False,
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a language model and its tokenizer: decoder-only, or encoder-decoder if its configuration says so.

    Args:
        name: ``"textgym/small"``, ``"textgym/tiny"`` or ``"textgym/small-seq2seq"`` (built in), a name on the Hugging
            Face hub, a folder, a ``.gguf`` file, a folder that holds one ``.gguf`` file and no ``config.json``, or a
            folder of adapters that peft wrote, whose base model is loaded too.
        dtype: "float32", "bfloat16" or "float16".
        device: where the weights go.
        revision: branch, tag or commit on the hub.
        local_files_only: never ask the hub.

    Raises:
        ModelError: nothing loadable there; the message says what was tried.
        TokenizerError: the model has no usable tokenizer.
        MissingExtraError: a GGUF file without the ``gguf`` extra.

    >>> model, tokenizer = load("textgym/small")
    >>> model.get_input_embeddings().weight.shape[0] >= len(tokenizer)
    True
    >>> load("textgym/small-seq2seq")[0].config.model_type
    't5'
    """
    tokenizer = load_tokenizer(name, revision=revision, local_files_only=local_files_only)
    model = load_weights(name, dtype=dtype, device=device, revision=revision, local_files_only=local_files_only)
    return model, tokenizer


def load_weights(
    name: str | Path,
    *,
    dtype: str = "float32",
    device: str | torch.device = "cpu",
    revision: str | None = None,
    local_files_only: bool = False,
) -> PreTrainedModel:
    """The model of :func:`load` alone, for one that has no tokenizer of its own.

    Raises:
        ModelError: nothing loadable there, or weights that don't fit.
        MissingExtraError: a GGUF file without the ``gguf`` extra.
    """
    if dtype not in DTYPES:
        raise ModelError(f"dtype is {dtype!r}, expected one of {', '.join(DTYPES)}.")
    base = _adapted(name)
    if base is not None:
        adapted = with_adapters(load_weights(base, dtype=dtype, device=device, local_files_only=local_files_only), name)
        check_weights(adapted, name)
        ready: PreTrainedModel = adapted.eval()
        return ready
    folder, extra = _locate(name)
    options = _offline(folder, {**extra, "revision": revision, "local_files_only": local_files_only})
    if "gguf_file" in options:
        options["quantization_config"] = _gguf_config()
    kind: Any = AutoModelForCausalLM
    if is_encoder_decoder(name, revision=revision, local_files_only=local_files_only):
        kind = AutoModelForSeq2SeqLM
    with _reading_model(name), _no_loading_bar():
        model, found = kind.from_pretrained(
            folder,
            dtype=DTYPES[dtype],
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # check_weights names and refuses them
            **options,
        )
    check_weights(model, name, found)
    for module in model.modules():
        if "Sinusoidal" in type(module).__name__:  # loading makes Marian's trainable, and saving then leaves them out
            module.requires_grad_(False)
    nn.Module.to(model, device)
    loaded: PreTrainedModel = model.eval()
    return loaded


def _reading_model(name: str | Path) -> AbstractContextManager[None]:
    expected = (
        f"Expected {', '.join(map(repr, BUILTIN_MODELS))}, a name on the Hugging Face hub, a folder with config.json "
        "and *.safetensors, or a .gguf file."
    )
    return reading("a language model from", name, ModelError, expected)


@contextmanager
def _no_loading_bar() -> Iterator[None]:
    """Without the bar over weights that are being read. Bars of downloads, which take longer, stay."""
    logging: Any = transformers.utils.logging
    hub: Any = huggingface_hub.utils
    shown, downloads = logging.is_progress_bar_enabled(), not hub.are_progress_bars_disabled()
    logging.disable_progress_bar()  # the hub's bars too
    if downloads:
        hub.enable_progress_bars()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # the hub's bars too
            if not downloads:
                hub.disable_progress_bars()


def save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None, folder: str | Path) -> None:
    """Write a model and its tokenizer (if given) as safetensors and JSON, for ``transformers`` and :func:`load`.

    Of a ``peft.PeftModel``, the adapters alone. A decoder-only model whose tokenizer has no chat template gets one that
    passes messages through as they are, so that ``transformers serve`` answers chats.
    """
    folder = Path(folder)
    adapters = has_adapters(model)
    # By default, peft asks the hub whether the vocabulary has grown.
    options: dict[str, Any] = {"save_embedding_layers": False} if adapters and not connected() else {}
    with writing("the model", folder):
        with _no_loading_bar():
            model.save_pretrained(folder, **options)
        if tokenizer is not None:
            tokenizer.save_pretrained(folder)
            if not getattr(tokenizer, "chat_template", None) and not is_encoder_decoder(model):
                (folder / "chat_template.jinja").write_text(pass_through(tokenizer), encoding="utf-8")
    config = folder / (ADAPTER_CONFIG if adapters else "config.json")
    for path in folder.glob("*.safetensors"):  # which come out readable by their owner alone
        shutil.copymode(config, path)


def pass_through(tokenizer: PreTrainedTokenizerBase) -> str:
    """A chat template of messages as they are, one after another, with the tokens that the tokenizer puts first.

    >>> pass_through(load_tokenizer("textgym/small"))
    "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    """
    messages = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    begins = tokenizer.bos_token_id is not None and tokenizer.encode("a")[:1] == [tokenizer.bos_token_id]
    return "{{ bos_token }}" * begins + messages


def is_encoder_decoder(
    model: PreTrainedModel | str | Path, *, revision: str | None = None, local_files_only: bool = False
) -> bool:
    """Whether a model is an encoder-decoder. Of a name, only the configuration is read, never the weights.

    Raises:
        ModelError: there is no such model.

    >>> is_encoder_decoder("textgym/small"), is_encoder_decoder("textgym/small-seq2seq")
    (False, True)
    """
    if not isinstance(model, str | Path):
        check_model_object(model)
        return bool(getattr(model.config, "is_encoder_decoder", False))
    config = _config(model, revision=revision, local_files_only=local_files_only)
    return bool(getattr(config, "is_encoder_decoder", False))


def check_model_object(model: object) -> None:
    """Raise ModelError for what is no name and no model of transformers or peft."""
    if not isinstance(model, nn.Module) or not hasattr(model, "config"):
        raise ModelError(
            f"model is {repr(model)[:60]} ({type(model).__name__}), expected a name, a folder, a .gguf file or a model "
            "object of transformers."
        )


def form_of(model: PreTrainedModel | str | Path) -> Literal["causal", "seq2seq"]:
    """The ``form`` of an environment for a model: "seq2seq" for an encoder-decoder, "causal" for any other.

    >>> form_of("textgym/small-seq2seq")
    'seq2seq'
    """
    return "seq2seq" if is_encoder_decoder(model) else "causal"


def decoder_start_token_id(model: PreTrainedModel | str | Path) -> int | None:
    """The token that an encoder-decoder model's decoder begins with; None: its tokenizer's pad token.

    >>> decoder_start_token_id("textgym/small-seq2seq")
    0
    """
    config = _config(model) if isinstance(model, str | Path) else model.config
    start = getattr(config, "decoder_start_token_id", None)
    if start is None:  # newer configurations leave it to the file about generation
        start = getattr(_generation_config(model), "decoder_start_token_id", None)
    if start is None:
        start = getattr(config, "pad_token_id", None)
    return None if start is None else int(start)


def _generation_config(model: PreTrainedModel | str | Path) -> Any:
    if not isinstance(model, str | Path):
        return getattr(model, "generation_config", None)
    folder = _locate(model)[0]
    with reading("generation_config.json of", model, ModelError):
        try:
            return GenerationConfig.from_pretrained(folder, **_offline(folder, {}))
        except FileNotFoundError:
            return None
        except OSError:
            if (Path(folder) / "generation_config.json").is_file():
                raise
            return None


def _config(name: str | Path, **options: Any) -> Any:
    """The configuration of a model by name; None for a GGUF file, which holds it in a form of its own."""
    folder, extra = _locate(name)
    if extra:
        return None
    with _reading_model(name):
        return AutoConfig.from_pretrained(folder, **_offline(folder, options))


def load_tokenizer(
    name: str | Path = BUILTIN_MODEL, *, revision: str | None = None, local_files_only: bool = False
) -> PreTrainedTokenizerBase:
    """The tokenizer of a model that :func:`load` can load.

    Raises:
        TokenizerError: it can't be loaded, or has no end token.

    >>> load_tokenizer("textgym/small").eos_token
    '<|endoftext|>'
    """
    adapted = _adapted(name) is not None and any(map(_is_tokenizer_file, Path(name).iterdir()))
    folder, options = (str(name), {}) if adapted else _locate(name)
    if options:
        _gguf_config()
    if not has_tokenizer(name):
        raise TokenizerError(f"The folder {str(name)!r} has no tokenizer: no tokenizer.json, vocab or *.model file.")
    with reading("the tokenizer of", name, TokenizerError):
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            folder, **_offline(folder, {"revision": revision, "local_files_only": local_files_only, **options})
        )
    if len(tokenizer) <= len(set(tokenizer.all_special_ids)):
        raise TokenizerError(
            f"The tokenizer of {str(name)!r} has no tokens but special ones, so it can't encode any text: its "
            "vocabulary is missing or empty."
        )
    if tokenizer.eos_token_id is None:
        raise TokenizerError(
            f"The tokenizer of {str(name)!r} has no end token, so no completion could ever end. Set one in its "
            'tokenizer_config.json: "eos_token": "</s>".'
        )
    return tokenizer


def _locate(name: str | Path) -> tuple[str, dict[str, Any]]:
    """Where transformers shall look, and with which extra arguments."""
    if isinstance(name, str) and name.startswith("textgym/") and not Path(name).is_dir():
        return str(builtin_folder(name)), {}
    if not isinstance(name, str | Path) or not str(name).strip() or "\0" in str(name):
        raise ModelError(f"model is {name!r}, expected a name, a folder or a .gguf file.")
    base = _adapted(name)
    if base is not None:
        return _locate(base)
    path = Path(name)
    if path.suffix == ".gguf" and path.is_file():
        return str(path.parent), {"gguf_file": path.name}
    if path.is_dir() and not (path / "config.json").is_file():
        files = sorted(path.glob("*.gguf"))
        if len(files) == 1:
            return str(path), {"gguf_file": files[0].name}
        what = f"{len(files)} .gguf files: name one of them" if files else "neither config.json nor a .gguf file"
        raise ModelError(f"The folder {str(path)!r} holds {what}.")
    return str(name), {}


def _adapted(name: object) -> str | None:
    """The base model of a folder of adapters, None for anything else."""
    return base_of(name) if isinstance(name, str | Path) and existing(name) else None


def _gguf_config() -> Any:
    try:
        import gguf  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("Loading a GGUF file", "gguf") from error
    from transformers import GgufConfig

    return GgufConfig(dequantize=True)


def has_tokenizer(name: str | Path) -> bool:
    """Whether a model comes with a tokenizer; a folder that a model was saved to by itself has none.

    >>> has_tokenizer("textgym/small")
    True
    """
    folder, options = _locate(name)
    folders = [path for path in (Path(name), Path(folder)) if path.is_dir()]  # of adapters, and of their base model
    return bool(options) or not folders or any(_is_tokenizer_file(file) for path in folders for file in path.iterdir())


def _is_tokenizer_file(path: Path) -> bool:
    return path.name.startswith(("tokenizer", "vocab", "merges")) or path.suffix in (".model", ".spm", ".tiktoken")


def _offline(folder: str, options: dict[str, Any]) -> dict[str, Any]:
    """The options of ``from_pretrained``, with ``local_files_only`` where no hub can be asked: retries take long."""
    return options if Path(folder).is_dir() or connected() else {**options, "local_files_only": True}
