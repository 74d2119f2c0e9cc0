"""How unlike a completion is to the other completions of its prompt, by BLEU.

prompt       "Name a color:"
completions  " a dark red", " a dark red", " green"
reward       0.5, 0.5, 1.0: one of the other two is the same text, or none has anything in common
"""

from collections.abc import Sequence

from textgym.core import Sample
from textgym.metrics.bleu import check_bleu_settings, sentence_bleu
from textgym.rewards.base import GroupReward


class SelfBLEU(GroupReward):
    """How unlike a prompt's other completions, in [0, 1].

    1 minus the mean BLEU with each of them, so a group's mean is 1 minus its self-BLEU (Zhu et al., "Texygen",
    2018, https://arxiv.org/abs/1802.01886), pair by pair. The BLEU of a pair is the mean of both directions: a long
    text is as unlike a part of it as the part is unlike the text. Diversity alone rewards gibberish: multiply it with a
    measure of quality.

    Args:
        max_order: the longest n-grams compared.
        tokenize: a sacrebleu tokenizer, or "auto".

    Raises:
        ConfigError: a setting that sacrebleu doesn't have.

    >>> prompt = "Name a color:"
    >>> SelfBLEU()([Sample(prompt, " a dark red"), Sample(prompt, " a dark red"), Sample(prompt, " green")])
    [0.5, 0.5, 1.0]
    """

    name = "self_bleu"

    def __init__(self, max_order: int = 4, tokenize: str = "auto") -> None:
        check_bleu_settings(max_order, tokenize, "exp")
        self.max_order, self.tokenize = max_order, tokenize

    def score_group(self, samples: Sequence[Sample], /) -> list[float]:
        texts = [sample.completion for sample in samples]
        alike: dict[tuple[str, str], float] = {}
        totals = [0.0] * len(texts)
        for i, text in enumerate(texts):
            for j in range(i):
                pair = (min(text, texts[j]), max(text, texts[j]))
                if pair not in alike:
                    alike[pair] = self._likeness(*pair)
                totals[i] += alike[pair]
                totals[j] += alike[pair]
        return [1 - total / (len(texts) - 1) for total in totals]

    def _likeness(self, one: str, other: str) -> float:
        if one == other:  # two empty ones too
            return 1.0
        each = [
            sentence_bleu(text, [reference], max_order=self.max_order, tokenize=self.tokenize)
            for text, reference in ((one, other), (other, one))
        ]
        return sum(each) / 2
