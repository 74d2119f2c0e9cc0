"""BLEU (Papineni et al., 2002, aclanthology.org/P02-1040), computed by sacrebleu (Post, 2018)."""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from textgym.errors import ConfigError, MetricError, did_you_mean
from textgym.metrics.base import FinishedText, Metric, references_of
from textgym.metrics.words import bleu_tokenizer

if TYPE_CHECKING:
    from sacrebleu.metrics.bleu import BLEU


@lru_cache(maxsize=64)
def sacrebleu_bleu(max_order: int, tokenize: str, smooth: str, lowercase: bool, effective_order: bool) -> "BLEU":
    """The sacrebleu object for these settings. It remembers the texts it has tokenised, so it is made once."""
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
    score = scorer.sentence_score(completion, list(references)).score
    return float(min(max(score / 100, 0.0), 1.0))  # rounding takes equal texts a hair over 100


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

    def settings(self) -> dict[str, object]:
        case = "lc" if self.lowercase else "mixed"
        return {"order": self.max_order, "case": case, "eff": "no", "tok": self.tokenize, "smooth": self.smooth}

    def score(self, samples: Sequence[FinishedText], /) -> float:
        references = [references_of(sample, f"Metric {self.name!r}", MetricError) for sample in samples]
        tokenize = self.tokenize
        if tokenize == "auto":
            tokenize = bleu_tokenizer(tuple(text for texts in references for text in texts))
        scorer = sacrebleu_bleu(self.max_order, tokenize, self.smooth, self.lowercase, False)
        score = scorer.corpus_score([sample.completion for sample in samples], reference_streams(references)).score
        return float(min(max(score / 100, 0.0), 1.0))


def reference_streams(references: Sequence[tuple[str, ...]]) -> list[list[str]]:
    """One list per reference position, as sacrebleu wants it. None stands where a prompt has fewer references.

    >>> reference_streams([("a", "b"), ("c",)])
    [['a', 'c'], ['b', None]]
    """
    width = max(map(len, references))
    # sacrebleu skips None, though its annotations don't say so
    return [[texts[i] if i < len(texts) else None for texts in references] for i in range(width)]  # type: ignore[misc]
