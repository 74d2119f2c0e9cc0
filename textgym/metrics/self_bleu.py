"""Self-BLEU (Zhu et al., "Texygen", 2018, arxiv.org/abs/1802.01886): how like each other texts are."""

from collections.abc import Sequence

from textgym.errors import ConfigError
from textgym.metrics.base import Metric, MetricSample
from textgym.metrics.bleu import check_bleu_settings, sentence_bleu
from textgym.metrics.words import bleu_tokenizer


def self_bleu(texts: Sequence[str], *, max_order: int = 4, tokenize: str = "auto", limit: int = 200) -> float:
    """The mean sentence BLEU of each text against all others as its references, in [0, 1].

    The time grows with the square of the number of texts: of more than ``limit`` texts the first so many are compared
    with each other. The BLEU is sacrebleu's; two empty texts are alike.

    Args:
        texts: two or more.
        max_order: the longest n-grams compared.
        tokenize: a sacrebleu tokenizer; with "auto" the script of all texts decides.
        limit: how many texts are compared.

    Raises:
        ConfigError: there are fewer than two texts.

    >>> round(self_bleu(["the red fox ran", "the red fox ran", "a hen sat"]), 4), self_bleu(["a b", "c d"])
    (0.6667, 0.0)
    """
    if len(texts) < 2:
        raise ConfigError(f"self_bleu compares two or more texts, got {len(texts)}.")
    texts = [text.strip() for text in texts[:limit]]
    chosen = bleu_tokenizer(tuple(texts)) if tokenize == "auto" else tokenize
    total = 0.0
    for i, text in enumerate(texts):
        others = [*texts[:i], *texts[i + 1 :]]
        if not text:
            total += "" in others
        elif seen := [*filter(None, dict.fromkeys(others))]:  # a text that is there twice changes nothing
            total += sentence_bleu(text, seen, max_order=max_order, tokenize=chosen)
    return total / len(texts)


class CorpusSelfBLEU(Metric):
    """The mean BLEU of each completion against all others, in [0, 1]: lower is more diverse.

    Of more than ``limit`` completions the first so many are compared: as with distinct-n, compare sets of the same
    size. A single completion has no result.

    >>> from textgym.core import Sample
    >>> texts = ("the red fox ran", "the red fox ran", "a hen sat")
    >>> round(CorpusSelfBLEU().compute([Sample("", text) for text in texts])["self_bleu"], 4)
    0.6667
    """

    name = "self_bleu"
    library = "sacrebleu"
    higher_is_better = False

    def __init__(self, max_order: int = 4, tokenize: str = "auto", limit: int = 200) -> None:
        check_bleu_settings(max_order, tokenize, "exp")
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 2:
            raise ConfigError(f"limit={limit!r}: expected a number of texts from 2 up.")
        self.max_order, self.tokenize, self.limit = max_order, tokenize, limit

    def settings(self, samples: Sequence[MetricSample] = (), /) -> dict[str, object]:
        tokenize = self.tokenize
        if samples and tokenize == "auto":
            tokenize = bleu_tokenizer(tuple(sample.completion.strip() for sample in samples[: self.limit]))
        return {"order": self.max_order, "tok": tokenize, "texts": self.limit}

    def score(self, samples: Sequence[MetricSample], /) -> float | None:
        texts = [sample.completion for sample in samples]
        if len(texts) < 2:
            return None
        return self_bleu(texts, max_order=self.max_order, tokenize=self.tokenize, limit=self.limit)
