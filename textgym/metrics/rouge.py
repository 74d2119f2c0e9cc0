"""ROUGE (Lin, 2004, aclanthology.org/W04-1013): the f-measures of rouge-score, faster and for every script."""

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from rapidfuzz.distance import LCSseq

from textgym.errors import ConfigError, MetricError, did_you_mean
from textgym.metrics.base import Metric, MetricSample, references_of
from textgym.metrics.stems import stem
from textgym.metrics.words import ascii_words, unicode_words

TOKENIZERS = ("auto", "rouge", "unicode")
VARIANTS = (*"123456789", "L", "Lsum")


def check_rouge_settings(variant: str, use_stemmer: bool, tokenizer: str) -> None:
    """Raise ConfigError for settings that don't exist, MissingExtraError for a stemmer that isn't installed."""
    for key, value, valid in (("variant", variant, VARIANTS), ("tokenizer", tokenizer, TOKENIZERS)):
        if value not in valid:
            raise ConfigError(f"{key}={value!r} is no setting of ROUGE. {did_you_mean(str(value), valid)}")
    if use_stemmer:
        stem("checking", "ROUGE with use_stemmer=True")


def rouge(
    completion: str,
    references: Sequence[str],
    variant: str = "L",
    *,
    use_stemmer: bool = False,
    tokenizer: str = "auto",
) -> float:
    """The ROUGE f-measure in [0, 1] against the reference that gives the highest.

    Args:
        completion: the generated text.
        references: at least one text.
        variant: "1" to "9" compares n-grams; "L" the longest common subsequence; "Lsum" the same by lines.
        use_stemmer: compare the Porter stems of words longer than three letters.
        tokenizer: "rouge" keeps a-z and 0-9 only, like the rouge-score package. "unicode" keeps the words of any
            script. "auto" takes the first for an ASCII reference, the second for any other: never the completion's.

    >>> round(rouge("testing one two", ["testing"], "1"), 4), round(rouge("testing one", ["testing one two"]), 4)
    (0.5, 0.8)
    >>> rouge("今天天气很好", ["今天天气很好"]), rouge("今天天气很好", ["今天天气很好"], tokenizer="rouge")
    (1.0, 0.0)
    """
    best = 0.0
    for reference in references:
        unicode_text = tokenizer == "unicode" or (tokenizer == "auto" and not reference.isascii())
        score = _lsum if variant == "Lsum" else _longest if variant == "L" else _ngrams
        best = max(best, score(completion, reference, variant, unicode_text, use_stemmer))
    return best


def _words(text: str, unicode_text: bool, use_stemmer: bool) -> list[str]:
    words = unicode_words(text) if unicode_text else ascii_words(text)
    if use_stemmer:
        words = [stem(word) if len(word) > 3 and word.isascii() else word for word in words]
    return words


@lru_cache(maxsize=8192)
def _reference_words(text: str, unicode_text: bool, use_stemmer: bool) -> list[str]:
    return _words(text, unicode_text, use_stemmer)


def _f_measure(hits: int, completion_length: int, reference_length: int) -> float:
    # 2PR / (P + R) with P = hits / completion_length and R = hits / reference_length
    return 2 * hits / (completion_length + reference_length) if hits else 0.0


def _ngrams(completion: str, reference: str, variant: str, unicode_text: bool, use_stemmer: bool) -> float:
    order = int(variant)
    ours = _counts(_words(completion, unicode_text, use_stemmer), order)
    theirs = _counts(_reference_words(reference, unicode_text, use_stemmer), order)
    hits = sum(min(count, theirs[ngram]) for ngram, count in ours.items())
    return _f_measure(hits, ours.total(), theirs.total())


def _counts(words: list[str], order: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(words[start:] for start in range(order)), strict=False))


def _longest(completion: str, reference: str, variant: str, unicode_text: bool, use_stemmer: bool) -> float:
    ours = _words(completion, unicode_text, use_stemmer)
    theirs = _reference_words(reference, unicode_text, use_stemmer)
    return _f_measure(LCSseq.similarity(ours, theirs), len(ours), len(theirs))


def _lsum(completion: str, reference: str, variant: str, unicode_text: bool, use_stemmer: bool) -> float:
    if "\n" not in completion and "\n" not in reference:  # the same value, by a far faster algorithm
        return _longest(completion, reference, variant, unicode_text, use_stemmer)
    ours = [_words(line, unicode_text, use_stemmer) for line in completion.split("\n")]
    theirs = [_reference_words(line, unicode_text, use_stemmer) for line in reference.split("\n")]
    left = Counter(word for line in ours for word in line)
    hits = 0
    for line in theirs:
        covered = sorted({position for other in ours for position in _common_positions(line, other)})
        for word in (line[position] for position in covered):
            if left[word] > 0:  # no word counts more often than the completion has it
                hits += 1
                left[word] -= 1
    return _f_measure(hits, sum(map(len, ours)), sum(map(len, theirs)))


def _common_positions(line: list[str], other: list[str]) -> list[int]:
    """Positions in ``line`` of one longest common subsequence with ``other``.

    Where there are several, it is the one that rouge-score finds: walking back from the ends, a word of ``line`` is
    skipped unless skipping a word of ``other`` keeps more. The union over lines depends on that choice.
    """
    lengths = [[0] * (len(other) + 1)]  # lengths[i][j]: of the longest common subsequence of line[:i] and other[:j]
    for word in line:
        above, row = lengths[-1], [0]
        for j, candidate in enumerate(other):
            row.append(above[j] + 1 if word == candidate else max(above[j + 1], row[j]))
        lengths.append(row)
    i, j = len(line), len(other)
    positions = []
    while i and j:
        if line[i - 1] == other[j - 1]:
            i, j = i - 1, j - 1
            positions.append(i)
        elif lengths[i][j - 1] > lengths[i - 1][j]:
            j -= 1
        else:
            i -= 1
    return positions


class CorpusROUGE(Metric):
    """The mean over samples of the ROUGE f-measure, in [0, 1], each against its best reference.

    >>> from textgym.core import Sample
    >>> CorpusROUGE("1").compute([Sample("", "a cat", ("a cat",)), Sample("", "a dog", ("the cat",))])
    {'rouge1': 0.5}
    """

    compares_with = "references"
    library = "textgym"

    def __init__(self, variant: str = "L", use_stemmer: bool = False, tokenizer: str = "auto") -> None:
        check_rouge_settings(variant, use_stemmer, tokenizer)
        self.variant, self.use_stemmer, self.tokenizer = variant, use_stemmer, tokenizer
        self.name = f"rouge{variant}"

    def settings(self, samples: Sequence[MetricSample] = (), /) -> dict[str, object]:
        used = [self.tokenizer]
        if self.tokenizer == "auto" and samples:
            ascii_only = [text.isascii() for sample in samples for text in sample.references]
            used = [name for name, present in (("rouge", any(ascii_only)), ("unicode", not all(ascii_only))) if present]
        return {"measure": "f", "tok": "+".join(used), "stem": "porter" if self.use_stemmer else "no"}

    def score(self, samples: Sequence[MetricSample], /) -> float:
        total = 0.0
        for sample in samples:
            references = references_of(sample, f"Metric {self.name!r}", MetricError)
            total += rouge(
                sample.completion, references, self.variant, use_stemmer=self.use_stemmer, tokenizer=self.tokenizer
            )
        return total / len(samples)


class CorpusROUGE1(CorpusROUGE):
    """Mean ROUGE-1 f-measure: common words.

    >>> CorpusROUGE1().name
    'rouge1'
    """

    def __init__(self, use_stemmer: bool = False, tokenizer: str = "auto") -> None:
        super().__init__("1", use_stemmer, tokenizer)


class CorpusROUGE2(CorpusROUGE):
    """Mean ROUGE-2 f-measure: common pairs of words.

    >>> CorpusROUGE2().name
    'rouge2'
    """

    def __init__(self, use_stemmer: bool = False, tokenizer: str = "auto") -> None:
        super().__init__("2", use_stemmer, tokenizer)


class CorpusROUGEL(CorpusROUGE):
    """Mean ROUGE-L f-measure: the longest common subsequence of words.

    >>> CorpusROUGEL().name
    'rougeL'
    """

    def __init__(self, use_stemmer: bool = False, tokenizer: str = "auto") -> None:
        super().__init__("L", use_stemmer, tokenizer)


class CorpusROUGELsum(CorpusROUGE):
    """Mean ROUGE-Lsum f-measure: the longest common subsequences of lines.

    >>> CorpusROUGELsum().name
    'rougeLsum'
    """

    def __init__(self, use_stemmer: bool = False, tokenizer: str = "auto") -> None:
        super().__init__("Lsum", use_stemmer, tokenizer)
