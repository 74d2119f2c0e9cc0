"""Tasks, rewards and tokenizers that the environment tests share. A module, so that what it defines can be pickled."""

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

import textgym
from textgym import Prompt


class ListTask(list):
    """A list of prompts with a task's attributes."""

    name = "List"
    max_prompt_tokens, max_new_tokens = 24, 8
    truncation_side = "left"
    stop: tuple[str, ...] = ()
    metrics = ("bleu",)


def letters(count: int = 5) -> ListTask:
    """Prompts "Write a:", "Write b:", ... each with its letter as the reference."""
    return ListTask(Prompt(f"Write {chr(97 + i)}:", (chr(97 + i),), {"index": i}) for i in range(count))


def exact(samples):
    """1 for a completion that equals a reference, else minus a tenth of its length."""
    return [
        textgym.Score(1.0, {"match": 1.0, "length": len(s.completion)})
        if s.completion in s.references
        else textgym.Score(-0.1 * len(s.completion), {"match": 0.0, "length": len(s.completion)})
        for s in samples
    ]


def share(samples):
    """The share of a completion's characters that occur in the reference."""
    return [sum(c in s.references[0] for c in s.completion) / max(1, len(s.completion)) for s in samples]


def byte_tokenizer(bos=False, eos=False, pad=True, chat_template=None, words=()):
    """A transformers tokenizer over bytes, which begins and ends a text with <s> and </s> if asked to."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {token: i for i, token in enumerate(["<s>", "</s>", "<pad>", *alphabet])}
    backend = tokenizers.Tokenizer(models.BPE(vocab=vocab, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    single = f"{'<s> ' if bos else ''}$A{' </s>' if eos else ''}"
    backend.post_processor = processors.TemplateProcessing(single=single, special_tokens=[("<s>", 0), ("</s>", 1)])
    special = {"bos_token": "<s>", "eos_token": "</s>", **({"pad_token": "<pad>"} if pad else {})}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, chat_template=chat_template, **special)
    if words:
        tokenizer.add_tokens(list(words))
    return tokenizer


def space_tokenizer():
    """A transformers tokenizer over words that keeps a space in front of a word, as sentencepiece does."""
    vocab = {"</s>": 0, "<unk>": 1, **{f"▁{word}": 2 + i for i, word in enumerate("abcd")}}
    backend = tokenizers.Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="</s>", unk_token="<unk>")


CHAT_TEMPLATE = (
    "{% for message in messages %}<s>{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}bot:{% endif %}"
)


def write(env, text, end=True):
    """Play an episode token by token. Returns what the last step returned, with the sum of the rewards."""
    tokens = env.get_wrapper_attr("encode_completion")(text)
    total, result = 0.0, None
    for token in tokens if end else tokens[:-1]:
        result = env.step(token)
        total += result[1]
        if result[2] or result[3]:
            break
    observation, _, terminated, truncated, info = result
    return observation, total, terminated, truncated, info
