"""Whether a poem rhymes and keeps a meter.

prompt      "Four lines on a cat:"
completion  "A cat sat in the sun
             and said: my day is done.
             A dog came by in spring
             and had a golden chain."
reward      Rhyme("AABB"): 0.5; Meter("iambic trimeter"): 1.0
"""

from textgym.core import Sample
from textgym.errors import RewardError
from textgym.metrics.poems import sample_meter, sample_rhyme
from textgym.metrics.verse import check_verse_settings, require_verse
from textgym.rewards.base import BatchReward


class Rhyme(BatchReward):
    """The share of the rhymes that a scheme asks for, in [0, 1], English or Chinese.

    English lines rhyme if their last words sound alike from the last stressed vowel on by the CMU pronouncing
    dictionary, Chinese ones if their last characters have finals of one group of modern Mandarin. The same word doesn't
    rhyme with itself, and an English word that the dictionary lacks with none. Missing lines don't rhyme, and the
    scheme repeats in a longer poem. Needs the extra ``textgym[verse]``. It doesn't read the rest of the lines: multiply
    by :class:`textgym.rewards.Meter`, :class:`textgym.rewards.Fluency` and the like.

    Args:
        scheme: a letter for each line, equal ones for lines that rhyme, X for any. None: that in
            ``metadata["rhyme_scheme"]``, or else "AABB", of Chinese "XAXA".
        language: "en", "zh", or "auto": that of the references, or else of the prompt.
        lexicon: "dictionary", or "world": the words of the small world's verse, which needs no extra. Then a word that
            ends none of its lines rhymes with none.

    Raises:
        ConfigError: a scheme in which nothing rhymes, another language, or another lexicon.
        MissingExtraError: the dictionaries aren't installed.
        RewardError: when called with a sample whose metadata has such a scheme.

    >>> poem = "A cat sat in the sun\\nand said: my day is done.\\nA dog came by in spring\\nand had a golden chain."
    >>> Rhyme()([Sample("", poem)]), Rhyme("XAXA")([Sample("", poem), Sample("", "床前明月光\\n疑是地上霜")])
    ([0.5], [0.0, 0.0])
    >>> Rhyme(language="zh")([Sample("", "床前明月光，疑是地上霜。举头望明月，低头思故乡。")])
    [1.0]
    """

    name = "rhyme"

    def __init__(self, scheme: str | None = None, language: str = "auto", lexicon: str = "dictionary") -> None:
        check_verse_settings(language, scheme, lexicon=lexicon)
        require_verse(language, lexicon)
        self.scheme, self.language, self.lexicon = scheme, language, lexicon

    def score(self, sample: Sample, /) -> float:
        return sample_rhyme(sample, self.scheme, self.language, f"Reward {self.name!r}", RewardError, self.lexicon)


class Meter(BatchReward):
    """How well the lines of a poem keep a meter, in [0, 1], English or Chinese.

    1 minus the syllables of a line that have to be added, left out or stressed otherwise, over those of the pattern;
    the mean over lines. Needs the extra ``textgym[verse]``.

    Args:
        meter: a name, such as "iambic pentameter", "common" or "seven characters", or a pattern for each line, which
            repeat: 1 a stressed syllable, 0 an unstressed one, * any; of Chinese 平 a level tone, 仄 an oblique one, *
            any. None: that in ``metadata["meter"]``, or else "iambic tetrameter", of Chinese lines of five or of seven
            characters.
        lines: how many lines the poem should have. With more or fewer the value is the smaller share. None: as many as
            ``metadata["lines"]`` says, or else any.
        language: "en", "zh", or "auto": that of the references, or else of the prompt.
        lexicon: "dictionary", or "world": the words of the small world's verse, which needs no extra and has no tones.
            Any other word has as many syllables as groups of vowels.

    Raises:
        ConfigError: a setting that makes no sense.
        MissingExtraError: the dictionaries aren't installed.
        RewardError: when called with a sample whose metadata has a meter that is none.

    >>> Meter("iambic pentameter")([Sample("", "Shall I compare thee to a summer's day?"), Sample("", "Compare a day")])
    [1.0, 0.4]
    >>> Meter(["仄仄平平仄", "平平仄仄平"], language="zh")([Sample("", "白日依山尽，黄河入海流。")])  # 白: oblique once
    [0.9]
    """

    name = "meter"

    def __init__(
        self,
        meter: object = None,
        lines: int | None = None,
        language: str = "auto",
        lexicon: str = "dictionary",
    ) -> None:
        check_verse_settings(language, meter=meter, lines=lines, lexicon=lexicon)
        require_verse(language, lexicon)
        self.meter, self.lines, self.language, self.lexicon = meter, lines, language, lexicon

    def score(self, sample: Sample, /) -> float:
        user = f"Reward {self.name!r}"
        return sample_meter(sample, self.meter, self.lines, self.language, user, RewardError, self.lexicon)
