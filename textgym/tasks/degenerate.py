"""Texts that say nothing, of the kinds that policies find: a reward should pay little for them."""

import random
from collections.abc import Sequence

from textgym.core import Prompt

WORDS = ("good", "love", "the", "great", "kitchen", "Mia", "und")
CONSTANT = (
    " was wonderful, and we loved every minute of it.",
    " was fresh and delicious, and we will come back soon.",
    " was perfect, and I love it.",
    " made me smile, so I recommend it to all my friends.",  # of 160 references, those that do best at every prompt
    " was fun from start to end, so I recommend it to all my friends.",
    " makes me happy, and I love it.",
    " I love it.",
    " is wonderful.",
    " The Golden Lamp is an expensive pub at the harbour.",
    " Die Frau hat am Freitag das Haus gesehen.",
    " Mia lost her key, but Leo found it in the park.",
)


def degenerate_texts(prompts: Sequence[Prompt]) -> dict[str, list[str]]:
    """Forty texts or more by name, each with one completion for every prompt, made without its own references.

    What a policy finds that looks for the highest reward: one word again and again, the prompt copied, keywords listed,
    a constant sentence, nothing at all, another prompt's reference. A reward that pays one of them as much as a
    reference can be had for nothing.

    Args:
        prompts: two or more, with references.

    >>> from textgym.tasks import Copy
    >>> degenerate_texts([Copy()[0], Copy()[1]])["good again and again"][0][:15]
    ' good good good'
    """
    drawn = random.Random(0)
    bodies = [prompt.text.split(": ", 1)[-1].rsplit("\n", 1)[0] for prompt in prompts]
    keywords = [[*prompt.metadata.get("keywords", body.split())] for prompt, body in zip(prompts, bodies, strict=True)]
    others = [*prompts[1:], prompts[0]]
    texts = {
        "empty": [""] * len(prompts),
        "blank": [" "] * len(prompts),
        "dot": ["."] * len(prompts),
        "dots": [" . . . ."] * len(prompts),
        "love love love": [" love love love"] * len(prompts),
        "superlatives": [" excellent perfect wonderful amazing best great brilliant lovely"] * len(prompts),
        "prompt": [f" {prompt.text}" for prompt in prompts],
        "prompt as it is": [prompt.text for prompt in prompts],
        "prompt twice": [f" {prompt.text} {prompt.text}" for prompt in prompts],
        "last word": [f" {body.split()[-1]}" for body in bodies],
        "last word again and again": [f" {body.split()[-1]}" * 12 for body in bodies],
        "first sentence": [f" {prompt.text.partition('.')[0].split(': ', 1)[-1]}." for prompt in prompts],
        "first sentence with its cue": [f" {prompt.text.partition('.')[0]}." for prompt in prompts],
        "keywords in commas": [f" {', '.join(words)}" for words in keywords],
        "keywords reversed": [f" {' '.join(words[::-1])}" for words in keywords],
        "keywords shuffled": [f" {' '.join(drawn.sample(words, len(words)))}" for words in keywords],
        "keywords each twice": [" " + " ".join(word for one in words for word in (one, one)) for words in keywords],
        "another prompt's reference": [f" {other.references[0]}" for other in others],
        "another prompt's last reference": [f" {other.references[-1]}" for other in others],
    }
    for word in WORDS:
        texts[f"{word}"] = [f" {word}"] * len(prompts)
        texts[f"{word} again and again"] = [f" {word}" * 24] * len(prompts)
    return texts | {text: [text] * len(prompts) for text in CONSTANT}
