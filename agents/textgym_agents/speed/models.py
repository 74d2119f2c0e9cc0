"""The models that are timed: of random weights and made here, or loaded; and random prompts for them.

How fast a model is does not depend on what its weights are, so random ones do for all but the real model of a folder.
"""

import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from tokenizers import Tokenizer, models
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import GenerationConfig, PreTrainedTokenizerFast

from textgym.core import Prompt
from textgym_agents.models import DTYPES, load
from textgym_agents.models.random_weights import random_model

END: dict[str, Any] = {"bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 0}
SETTINGS: dict[str, dict[str, Any]] = {
    "gpt2": {"n_positions": 1024, **END},
    "llama": {"max_position_embeddings": 1024, **END},
    "t5": {"decoder_start_token_id": 0, **END},
}
NUM_PROMPTS = 256


@dataclass(frozen=True)
class Subject:
    """A model to be timed. It is never trained or changed: entries copy it."""

    name: str  # "gpt2", "llama", "t5", or the folder
    title: str  # what it is
    model: Any  # in eval mode, on the device and in the precision of the run
    tokenizer: Any
    seq2seq: bool = False  # whether it has an encoder
    turn_tokens: int = 2048  # most tokens that a turn of a rollout writes unless all is asked for
    update_tokens: int = 1024  # tokens of one turn of an update

    @property
    def short(self) -> str:
        """The name, or the last part of a path."""
        return self.name.rstrip("/").rpartition("/")[2]

    @property
    def vocabulary(self) -> int:
        """Number of token ids that the environment has."""
        return len(self.tokenizer)

    def copy(self) -> Any:
        """A copy of the model whose ``generate`` samples from the whole distribution and ends nothing by itself."""
        model = copy.deepcopy(self.model)
        ids = {"pad_token_id": self.tokenizer.pad_token_id or 0, "decoder_start_token_id": 0 if self.seq2seq else None}
        model.generation_config = GenerationConfig(do_sample=True, top_k=0, top_p=1.0, temperature=1.0, **ids)
        return model


@dataclass(frozen=True)
class Made:
    """A model of random weights: its vocabulary and layers, the rest as in :class:`Subject`."""

    title: str
    vocabulary: int
    layers: int = 4
    seq2seq: bool = False
    turn_tokens: int = 2048
    update_tokens: int = 1024


MADE = {
    "gpt2": Made("GPT-2, 4.7 M, vocabulary 5,000", 5000, turn_tokens=8192, update_tokens=2048),
    "llama": Made("Llama, 29 M, vocabulary 50,000", 50_000),
    "t5": Made("T5, 5.2 M, vocabulary 5,000", 5000, layers=3, seq2seq=True, update_tokens=2048),
}


def new_model(kind: str, vocabulary: int, **sizes: int) -> Any:
    """A model of random weights whose token 0 pads and whose token 1 ends."""
    return random_model(kind, vocabulary, **sizes, **SETTINGS[kind])


def subject(name: str, device: str = "cpu", dtype: str = "float32") -> Subject:
    """The model of that name: one of ``MADE``, or what ``textgym_agents.models.load`` can load.

    Raises:
        TextGymError: there is no such model.

    >>> subject("gpt2").model.num_parameters()
    4701696
    """
    if name in MADE:
        made = MADE[name]
        model = new_model(name, made.vocabulary, layers=made.layers).to(device, DTYPES[dtype])
        tokens = (made.turn_tokens, made.update_tokens)
        return Subject(name, made.title, model, number_tokenizer(made.vocabulary), made.seq2seq, *tokens)
    model, tokenizer = load(name, dtype=dtype, device=device)
    one = Subject(name, "", model, tokenizer, bool(getattr(model.config, "is_encoder_decoder", False)))
    millions = round(model.num_parameters() / 1e6)
    return replace(one, title=f"{one.short}, {millions} M, vocabulary {len(tokenizer):,}")


def number_tokenizer(vocabulary: int) -> Any:
    """A tokenizer whose words are w2, w3, ...: every word is one token. Token 0 pads, token 1 ends.

    >>> number_tokenizer(10).encode("w2 w7")
    [2, 7]
    """
    vocab = {"[pad]": 0, "[end]": 1, **{f"w{i}": i for i in range(2, vocabulary)}}
    raw = Tokenizer(models.WordLevel(vocab, unk_token="[end]"))
    raw.pre_tokenizer = WhitespaceSplit()
    build: Any = PreTrainedTokenizerFast
    return build(tokenizer_object=raw, pad_token="[pad]", eos_token="[end]", unk_token="[end]", padding_side="left")


def prompts(vocabulary: int, tokens: int, count: int = NUM_PROMPTS) -> list[Prompt]:
    """Prompts of random words: so many tokens of :func:`number_tokenizer`, at least so many of any other.

    >>> prompts(5000, 3, 1)[0].text
    'w4253 w3185 w2556'
    """
    rows = np.random.default_rng(0).integers(2, vocabulary, (count, tokens))
    return [Prompt(" ".join(f"w{i}" for i in row)) for row in rows]
