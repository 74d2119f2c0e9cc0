"""Translation edit rate (Snover et al., 2006, aclanthology.org/2006.amta-papers.25), equal to that of sacrebleu.

The search for shifts is sacrebleu's. A shift's edit distance comes from rapidfuzz, which makes it many times faster;
it is exact, where sacrebleu looks along the diagonal only.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rapidfuzz.distance import Levenshtein

from textgym.errors import ConfigError, MetricError
from textgym.metrics.base import MetricSample, SummedMetric, references_of
from textgym.metrics.words import bleu_tokenizer

if TYPE_CHECKING:
    from sacrebleu.tokenizers.tokenizer_ter import TercomTokenizer

LONGEST = 300  # words of a text; in a longer one no shifts are looked for, so that a policy can't stop its own training
CANDIDATES = 1000  # shifts that are tried, as in sacrebleu
NORMALIZATIONS = (True, False, "auto")


def check_ter_settings(normalized: bool | str) -> None:
    """Raise ConfigError for a normalization that doesn't exist."""
    if normalized not in NORMALIZATIONS:
        raise ConfigError(f"normalized={normalized!r}: expected True, False or 'auto'.")


def ter_counts(
    completion: str,
    references: Sequence[str],
    *,
    normalized: bool | str = "auto",
    no_punct: bool = False,
    case_sensitive: bool = False,
) -> tuple[float, float]:
    """The fewest edits to any reference, and the mean length of the references in words.

    >>> ter_counts("today the cat sat", ["the cat sat today", "a cat"])  # one shift
    (1.0, 3.0)
    """
    if normalized == "auto":
        normalized = bleu_tokenizer(tuple(references)) != "13a"
    tokenize = _tokenizer(bool(normalized), no_punct, case_sensitive)
    words = tokenize(completion.rstrip()).split()
    wanted = [tokenize(reference.rstrip()).split() for reference in references]
    edits = min(_edits(words, reference) for reference in wanted)
    return float(edits), sum(map(len, wanted)) / len(wanted)


def ter_of(edits: float, length: float) -> float:
    """Edits over the references' length; where that is 0, 1 for a text that should be empty and isn't."""
    return edits / length if length else float(edits > 0)


def ter(
    completion: str,
    references: Sequence[str],
    *,
    normalized: bool | str = "auto",
    no_punct: bool = False,
    case_sensitive: bool = False,
) -> float:
    """Insertions, deletions, substitutions and shifts of words over the references' mean length: 0 for equal texts.

    It may be above 1. Of texts with more than 300 words shifts are not looked for: their rate is a word error rate.

    Args:
        completion: the generated text.
        references: at least one text.
        normalized: split punctuation off, and Chinese, Japanese and Korean text into characters. "auto": where the
            references are in a script without spaces.
        no_punct: remove punctuation.
        case_sensitive: "Cat" and "cat" differ.

    >>> ter("today the cat sat on a mat", ["the cat sat on the mat today"])  # a shift and a substitution, 7 words
    0.2857142857142857
    >>> round(ter("今天天气很好", ["今天天气不好"]), 4)
    0.1667
    """
    settings = {"no_punct": no_punct, "case_sensitive": case_sensitive}
    return ter_of(*ter_counts(completion, references, normalized=normalized, **settings))


@lru_cache(maxsize=16)
def _tokenizer(normalized: bool, no_punct: bool, case_sensitive: bool) -> "TercomTokenizer":
    from sacrebleu.tokenizers.tokenizer_ter import TercomTokenizer

    return TercomTokenizer(normalized, no_punct, asian_support=True, case_sensitive=case_sensitive)


def _edits(words: list[str], reference: list[str]) -> int:
    """Insertions, deletions, substitutions and shifts that make ``words`` the reference."""
    from sacrebleu.metrics.lib_ter import BeamEditDistance

    if not reference or not words or max(len(words), len(reference)) > LONGEST:
        return int(Levenshtein.distance(words, reference))
    numbers = {word: number for number, word in enumerate(dict.fromkeys(words + reference))}
    now, target = [numbers[word] for word in words], [numbers[word] for word in reference]
    aligned: Any = BeamEditDistance(target)  # type: ignore[arg-type]  # it takes words of any kind
    shifts = tried = 0
    while True:
        gain, shifted, tried = _best_shift(now, target, aligned, tried)
        if tried >= CANDIDATES or gain <= 0:
            return shifts + int(Levenshtein.distance(now, target))
        shifts, now = shifts + 1, shifted


def _best_shift(now: list[int], target: list[int], aligned: Any, tried: int) -> tuple[int, list[int], int]:
    """The shift that saves most edits: how many, the words after it, and the shifts tried until now; sacrebleu's."""
    from sacrebleu.metrics import lib_ter

    tercom: Any = lib_ter
    before, inverse = aligned(now)
    alignment, target_wrong, now_wrong = tercom.trace_to_alignment(tercom._flip_trace(inverse))
    pairs = tercom._find_shifted_pairs(now, target)
    best: tuple[int, int, int, int, list[int]] | None = None
    for start, place, length in pairs:
        if not any(now_wrong[start : start + length]) or not any(target_wrong[place : place + length]):
            continue
        if start <= alignment[place] < start + length:
            continue
        last = -1
        for offset in range(-1, length):
            if place + offset == -1:
                index = 0
            elif place + offset in alignment:
                index = alignment[place + offset] + 1
            else:
                break
            if index == last:
                continue
            last = index
            shifted: list[int] = tercom._perform_shift(now, start, length, index)
            candidate = (before - int(Levenshtein.distance(shifted, target)), length, -start, -index, shifted)
            tried += 1
            if best is None or candidate > best:
                best = candidate
        if tried >= CANDIDATES:
            break
    return (0, now, tried) if best is None else (best[0], best[4], tried)


class CorpusTER(SummedMetric):
    """Corpus translation edit rate, 0 and more: sacrebleu's, divided by 100. Lower is better.

    >>> from textgym.core import Sample
    >>> samples = [Sample("", "today the cat sat", ("the cat sat today",)), Sample("", "the dogs", ("the dog",))]
    >>> {name: round(value, 4) for name, value in CorpusTER().compute(samples).items()}
    {'ter': 0.3333}
    """

    name = "ter"
    library = "sacrebleu"
    compares_with = "references"
    bounds = (0.0, float("inf"))
    higher_is_better = False

    def __init__(self, normalized: bool | str = "auto", no_punct: bool = False, case_sensitive: bool = False) -> None:
        check_ter_settings(normalized)
        self.normalized, self.no_punct, self.case_sensitive = normalized, no_punct, case_sensitive

    def settings(self, samples: Sequence[MetricSample] = (), /) -> dict[str, object]:
        normalized = self._normalized(samples)
        how = normalized if isinstance(normalized, str) else "yes" if normalized else "no"
        case, punctuation = "mixed" if self.case_sensitive else "lc", "no" if self.no_punct else "yes"
        return {"case": case, "tok": "tercom", "norm": how, "punct": punctuation, "asian": "yes"}

    def counts(self, samples: Sequence[MetricSample], /) -> list[tuple[float, float]]:
        """(edits, mean length of the references) of each sample."""
        normalized, rows = self._normalized(samples), []
        for sample in samples:
            references = references_of(sample, f"Metric {self.name!r}", MetricError)
            settings = {"no_punct": self.no_punct, "case_sensitive": self.case_sensitive}
            rows.append(ter_counts(sample.completion, references, normalized=normalized, **settings))
        return rows

    def of_sums(self, sums: Sequence[float], /) -> float:
        return ter_of(sums[0], sums[1])

    def _normalized(self, samples: Sequence[MetricSample]) -> bool | str:
        if self.normalized != "auto" or not samples:
            return self.normalized
        return bleu_tokenizer(tuple(text for sample in samples for text in sample.references)) != "13a"
