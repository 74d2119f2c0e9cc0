"""The share of words that repeat nothing. A factor that keeps another reward from paying for repetition.

completion  " kitchen pancakes pancakes cheese garden garden"
reward      0.667: two of six words repeat the word before them
"""

from textgym.core import Sample
from textgym.metrics.diversity import check_window, new_words
from textgym.rewards.base import BatchReward


class NoRepeats(BatchReward):
    """The share of words that repeat nothing, in [0, 1].

    A word is a repetition if it is among the ``window`` words before it, or if it and the word before it stood side by
    side earlier in the text. So "the" may come again a little later, and a sentence may not. Words are lower-cased
    and without punctuation; a character of a script without spaces is a word. A text without words scores 0.

    Args:
        window: how many words back the same word is a repetition.

    Raises:
        ConfigError: the window is no integer from 1 up.

    >>> texts = [" good good good good", " the cat sat on the mat.", " I love it. I love it.", ""]
    >>> NoRepeats()([Sample("", text) for text in texts])
    [0.25, 1.0, 0.5, 0.0]
    """

    name = "no_repeats"

    def __init__(self, window: int = 3) -> None:
        check_window(window)
        self.window = window

    def score(self, sample: Sample, /) -> float:
        return new_words(sample.completion, self.window)
