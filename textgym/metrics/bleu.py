"""BLEU (Papineni et al., 2002, aclanthology.org/P02-1040), equal to that of sacrebleu (Post, 2018).

For single sentences the words are split and the n-grams counted here, which is faster. The rest is sacrebleu's.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from textgym.errors import ConfigError, MetricError, did_you_mean
from textgym.metrics.base import Metric, MetricSample, references_of
from textgym.metrics.ngrams import ngram_counts, word_symbols
from textgym.metrics.words import bleu_tokenizer

if TYPE_CHECKING:
    from sacrebleu.metrics.bleu import BLEU


@lru_cache(maxsize=64)
def sacrebleu_bleu(max_order: int, tokenize: str, smooth: str, lowercase: bool, effective_order: bool) -> "BLEU":
    """The sacrebleu object for these settings. It remembers the texts it has tokenized, so it is made once."""
    from sacrebleu.metrics.bleu import BLEU

    return BLEU(
        lowercase=lowercase,
        force=True,  # a generated text may end in " .", which is no reason for a warning
        tokenize=tokenize,
        smooth_method=smooth,
        max_ngram_order=max_order,
        effective_order=effective_order,
    )


def check_bleu_settings(max_order: int, tokenize: str, smooth: str) -> None:
    """Raise ConfigError for settings that sacrebleu doesn't have."""
    from sacrebleu.metrics.bleu import BLEU

    if not isinstance(max_order, int) or max_order < 1:
        raise ConfigError(f"max_order={max_order!r}: the longest n-gram of BLEU has a length of at least 1, usually 4.")
    for key, value, valid in (
        ("tokenize", tokenize, ["auto", *BLEU.TOKENIZERS]),
        ("smooth", smooth, list(BLEU.SMOOTH_DEFAULTS)),
    ):
        if value not in valid:
            raise ConfigError(f"{key}={value!r} is not known to sacrebleu. {did_you_mean(str(value), valid)}")
    if tokenize != "auto":
        try:
            sacrebleu_bleu(max_order, tokenize, smooth, False, True)
        except (ImportError, RuntimeError) as error:  # better now than after the first episode
            raise ConfigError(f"sacrebleu can't load tokenize={tokenize!r}: {' '.join(str(error).split())}") from error


def sentence_bleu(
    completion: str,
    references: Sequence[str],
    *,
    max_order: int = 4,
    tokenize: str = "auto",
    smooth: str = "exp",
    lowercase: bool = False,
) -> float:
    """Sentence BLEU in [0, 1]: sacrebleu's with ``effective_order=True``, divided by 100.

    With ``tokenize="auto"`` the script of the references decides (see ``bleu_tokenizer``), never the completion.

    >>> round(sentence_bleu("the cat sat on the mat", ["a cat sat on the mat", "there is a cat"]), 4)
    0.7598
    """
    chosen = bleu_tokenizer(tuple(references)) if tokenize == "auto" else tokenize
    scorer = sacrebleu_bleu(max_order, chosen, smooth, lowercase, True)
    texts = [
        bleu_words(completion, chosen, lowercase),
        *(bleu_reference_words(text, chosen, lowercase) for text in references),
    ]
    size, *lengths = sizes = [len(words) for words in texts]
    counts, starts = ngram_counts(word_symbols(texts), sizes, max_order)
    # an n-gram counts as often as the reference has it that has it most often
    matches = np.add.reduceat(np.minimum(counts[0], counts[1:].max(axis=0)), starts).tolist()
    score = scorer.compute_bleu(
        correct=matches + [0] * (max_order - len(matches)),
        total=[max(0, size - shorter) for shorter in range(max_order)],
        sys_len=size,
        ref_len=min(lengths, key=lambda length: (abs(length - size), length)),
        smooth_method=smooth,
        effective_order=True,
        max_ngram_order=max_order,
    ).score
    return float(min(max(score / 100, 0.0), 1.0))  # rounding may give equal texts a little more than 100


def bleu_words(text: str, tokenize: str, lowercase: bool) -> list[str]:
    """The words of a text as a tokenizer of sacrebleu's has them.

    >>> bleu_words("Is it 3.5?", "13a", True), bleu_words("猫坐着。", "zh", False)
    (['is', 'it', '3.5', '?'], ['猫', '坐', '着', '。'])
    """
    text = (text.lower() if lowercase else text).rstrip()
    if tokenize == "13a":
        return words_13a(text)
    return str(sacrebleu_bleu(4, tokenize, "exp", False, True).tokenizer(text)).split()


@lru_cache(maxsize=8192)
def bleu_reference_words(text: str, tokenize: str, lowercase: bool) -> list[str]:
    """The same, remembered: references come again."""
    return bleu_words(text, tokenize, lowercase)


_SYMBOL = re.compile(r"""([!"#$%&()*+/:;<=>?@[\\\]^_`{|}~])""")
_POINT_AFTER_OTHER, _POINT_BEFORE_OTHER = re.compile("([^0-9])([.,])"), re.compile("([.,])([^0-9])")
_DASH_AFTER_DIGIT = re.compile("([0-9])(-)")


def words_13a(text: str) -> list[str]:
    """The words of sacrebleu's tokenizer "13a", that of NIST's mteval-v13a, faster.

    >>> words_13a('Prices rose 3.5% in 1999-2000, "they" say.')
    ['Prices', 'rose', '3.5', '%', 'in', '1999', '-', '2000', ',', '"', 'they', '"', 'say', '.']
    """
    text = text.replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    if "&" in text:
        for name, character in (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")):
            text = text.replace(name, character)
    text = _SYMBOL.sub(r" \1 ", f" {text} ")
    text = _POINT_BEFORE_OTHER.sub(r" \1 \2", _POINT_AFTER_OTHER.sub(r"\1 \2 ", text))
    return _DASH_AFTER_DIGIT.sub(r"\1 \2 ", text).split()


class CorpusBLEU(Metric):
    """Corpus BLEU in [0, 1]: sacrebleu's, divided by 100. Prompts may have different numbers of references.

    With ``tokenize="auto"`` the script of all references together decides.

    >>> from textgym.core import Sample
    >>> samples = [Sample("", "the cat sat on the mat", ("a cat sat on the mat",)), Sample("", "the dog", ("the dog",))]
    >>> {name: round(value, 4) for name, value in CorpusBLEU().compute(samples).items()}
    {'bleu': 0.7771}
    """

    name = "bleu"
    library = "sacrebleu"
    compares_with = "references"

    def __init__(
        self, max_order: int = 4, tokenize: str = "auto", smooth: str = "exp", lowercase: bool = False
    ) -> None:
        check_bleu_settings(max_order, tokenize, smooth)
        self.max_order, self.tokenize, self.smooth, self.lowercase = max_order, tokenize, smooth, lowercase

    def settings(self, samples: Sequence[MetricSample] = (), /) -> dict[str, object]:
        case, tokenize = "lc" if self.lowercase else "mixed", self._tokenizer(samples)
        return {"order": self.max_order, "case": case, "eff": "no", "tok": tokenize, "smooth": self.smooth}

    def _tokenizer(self, samples: Sequence[MetricSample]) -> str:
        """The tokenizer, chosen by all references together if it is "auto" and there are samples."""
        texts = tuple(text for sample in samples for text in sample.references)
        return bleu_tokenizer(texts) if self.tokenize == "auto" and texts else self.tokenize

    def score(self, samples: Sequence[MetricSample], /) -> float:
        references = [references_of(sample, f"Metric {self.name!r}", MetricError) for sample in samples]
        scorer = sacrebleu_bleu(self.max_order, self._tokenizer(samples), self.smooth, self.lowercase, False)
        score = scorer.corpus_score([sample.completion for sample in samples], reference_streams(references)).score
        return float(min(max(score / 100, 0.0), 1.0))


def reference_streams(references: Sequence[tuple[str, ...]]) -> list[list[str]]:
    """One list per reference position, as sacrebleu wants it. None where a prompt has fewer references.

    >>> reference_streams([("a", "b"), ("c",)])
    [['a', 'c'], ['b', None]]
    """
    width = max(map(len, references))
    # sacrebleu skips None, though its annotations don't allow it
    return [[texts[i] if i < len(texts) else None for texts in references] for i in range(width)]  # type: ignore[misc]
