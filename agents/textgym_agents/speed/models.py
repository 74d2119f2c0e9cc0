"""The models that are timed: of random weights and made here, or loaded; and random prompts for them.

How fast a model is does not depend on what its weights say, so random ones do for all but the real model of a folder.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import (
    GenerationConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

from textgym.core import Prompt
from textgym_agents.models import DTYPES, load

END: dict[str, Any] = {"bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 0}
NO_DROPOUT: dict[str, Any] = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}  # textgym never has any
POSITIONS = 1024
NUM_PROMPTS = 256


@dataclass(frozen=True)
class Subject:
    """A model to be timed. The model is never trained or changed: contestants copy it.

    Attributes:
        name: "gpt2", "llama", "t5", or the folder.
        title: what it is, in words.
        model, tokenizer: in eval mode, on the device and in the precision of the run.
        seq2seq: whether it has an encoder.
        turn_tokens: most tokens that a turn of a rollout writes unless all is asked for; slow models get fewer.
        update_tokens: tokens of one turn of an update.
    """

    name: str
    title: str
    model: Any
    tokenizer: Any
    seq2seq: bool = False
    turn_tokens: int = 2048
    update_tokens: int = 1024

    @property
    def short(self) -> str:
        """The name, or the last part of a path."""
        return self.name.rstrip("/").rpartition("/")[2]

    @property
    def vocabulary(self) -> int:
        """Number of token ids that the environment knows."""
        return len(self.tokenizer)

    def copy(self) -> Any:
        """A copy of the model that samples as asked: nothing in its own generation settings ends or filters a text."""
        model = copy.deepcopy(self.model)
        model.generation_config = GenerationConfig(
            pad_token_id=self.tokenizer.pad_token_id or 0,
            decoder_start_token_id=0 if self.seq2seq else None,
            do_sample=True,
            top_k=0,
            top_p=1.0,
            temperature=1.0,
        )
        return model


def gpt2(vocabulary: int = 5000, hidden: int = 256, layers: int = 4) -> Any:
    """A GPT-2 of 4.7 million parameters."""
    return _seeded(
        lambda: GPT2LMHeadModel(
            GPT2Config(
                vocab_size=vocabulary,
                n_positions=POSITIONS,
                n_embd=hidden,
                n_layer=layers,
                n_head=hidden // 64 or 1,
                **NO_DROPOUT,
                **END,
            )
        )
    )


def llama(vocabulary: int = 50_000, hidden: int = 256, layers: int = 4) -> Any:
    """A Llama of 29 million parameters, all but 3 million of them in its vocabulary."""
    return _seeded(
        lambda: LlamaForCausalLM(
            LlamaConfig(
                vocab_size=vocabulary,
                hidden_size=hidden,
                intermediate_size=hidden * 8 // 3,
                num_hidden_layers=layers,
                num_attention_heads=hidden // 64 or 1,
                max_position_embeddings=POSITIONS,
                **END,
            )
        )
    )


def t5(vocabulary: int = 5000, hidden: int = 256, layers: int = 3) -> Any:
    """A T5 of 5.2 million parameters, with as many layers in the encoder as in the decoder."""
    return _seeded(
        lambda: T5ForConditionalGeneration(
            T5Config(
                vocab_size=vocabulary,
                d_model=hidden,
                d_kv=64,
                d_ff=hidden * 2,
                num_layers=layers,
                num_heads=hidden // 64 or 1,
                dropout_rate=0.0,
                **{**END, "decoder_start_token_id": 0},
            )
        )
    )


def _seeded(make: Callable[[], Any]) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make().eval()


def number_tokenizer(vocabulary: int) -> Any:
    """A tokenizer whose words are w2, w3, ...: every word is one token. Token 0 pads, token 1 ends.

    >>> number_tokenizer(10).encode("w2 w7")
    [2, 7]
    """
    words = {"[pad]": 0, "[end]": 1, **{f"w{i}": i for i in range(2, vocabulary)}}
    raw = Tokenizer(models.WordLevel(words, unk_token="[end]"))
    raw.pre_tokenizer = WhitespaceSplit()
    build: Any = PreTrainedTokenizerFast
    return build(tokenizer_object=raw, pad_token="[pad]", eos_token="[end]", unk_token="[end]", padding_side="left")


@dataclass(frozen=True)
class Made:
    """How to make a model of random weights."""

    make: Callable[[], Any]
    title: str
    vocabulary: int
    seq2seq: bool = False
    turn_tokens: int = 2048
    update_tokens: int = 1024


MADE = {
    "gpt2": Made(gpt2, "GPT-2, 4.7 M, vocabulary 5,000", 5000, turn_tokens=8192, update_tokens=2048),
    "llama": Made(llama, "Llama, 29 M, vocabulary 50,000", 50_000),
    "t5": Made(t5, "T5, 5.2 M, vocabulary 5,000", 5000, seq2seq=True, update_tokens=2048),
}


def subject(name: str, device: str = "cpu", dtype: str = "float32") -> Subject:
    """The model of that name: one of ``MADE``, or what ``textgym_agents.models.load`` can load.

    Raises:
        TextGymError: there is no such model.

    >>> subject("gpt2").model.num_parameters()
    4701696
    """
    if name in MADE:
        how = MADE[name]
        model = how.make().to(device, DTYPES[dtype])
        tokenizer = number_tokenizer(how.vocabulary)
        return Subject(name, how.title, model, tokenizer, how.seq2seq, how.turn_tokens, how.update_tokens)
    loaded, tokenizer = load(name, dtype=dtype, device=device)
    millions = round(loaded.num_parameters() / 1e6)
    seq2seq = bool(getattr(loaded.config, "is_encoder_decoder", False))
    made = Subject(name, "", loaded, tokenizer, seq2seq)
    return replace(made, title=f"{made.short}, {millions} M, vocabulary {len(tokenizer):,}")


def words(vocabulary: int, tokens: int, count: int = NUM_PROMPTS) -> list[Prompt]:
    """Prompts of random words of :func:`number_tokenizer`.

    >>> words(5000, 3, 1)[0].text
    'w4253 w3185 w2556'
    """
    rows = np.random.default_rng(0).integers(2, vocabulary, (count, tokens))
    return [Prompt(" ".join(f"w{i}" for i in row)) for row in rows]


def prompts(subject: Subject, tokens: int, count: int = NUM_PROMPTS) -> list[Prompt]:
    """Prompts of at least so many tokens each, for any model; the environment cuts them to size."""
    if subject.name in MADE:
        return words(subject.vocabulary, tokens, count)
    from textgym.tasks import TASKS

    task: Any = TASKS["DataToText"]()
    rng = np.random.default_rng(0)
    found = []
    for i in range(count):
        text = str(i)
        while len(subject.tokenizer.encode(text)) < tokens:
            text += " " + task[int(rng.integers(len(task)))].text
        found.append(Prompt(text))
    return found
