"""Labels are right: of reviews by what was drawn, of items by what the wish says; all of them are drawn."""

import re
from collections import Counter

import pytest

from textgym.world import Draw, label_grammar
from textgym.world.labels import MOODS, VARIANTS
from textgym.world.review import BOOK, DOMAINS, EATING, FILM, HOTEL, SHOPPING, TOPICS


def drawn(variant, count=400):
    return [label_grammar(Draw.at(0, "train", index), variant) for index in range(count)]


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_label_is_shown_and_drawn_about_as_often_as_another(variant):
    texts = drawn(variant)
    for text in texts:
        (label,) = text.targets
        shown = text.source.rpartition("\n")[2].partition(": ")[2]
        assert all(part in shown for part in label.split(", "))
        assert all(one in shown for one in text.metadata["labels"])
    counts = Counter(
        text.targets[0] if variant != "item" else text.metadata["labels"].index(text.targets[0]) for text in texts
    )
    assert len(counts) == {"mood": 3, "topic": 5, "opinion": 15, "item": 4}[variant]
    assert max(counts.values()) < 2.2 * min(counts.values()) + 20


def test_moods_are_what_the_reviews_say():
    for text in drawn("mood"):
        review, (label,) = text.source.partition("\nLabels")[0], text.targets
        said = {
            mood
            for domain in DOMAINS
            for verdicts, _ in domain.aspects
            for mood in MOODS[:2]
            for verdict in getattr(verdicts, mood)
            if f" {verdict}" in review
        }
        assert said == ({label} if label != "neutral" else set()), review


def test_topics_are_those_of_the_domains():
    assert dict(zip(TOPICS, DOMAINS, strict=True)) == {
        "restaurant": EATING, "hotel": HOTEL, "film": FILM, "book": BOOK, "product": SHOPPING,
    }  # fmt: skip
    for text in drawn("opinion"):
        topic, mood = text.targets[0].split(", ")
        assert mood in MOODS
        assert topic not in ("film", "book") or f"the {topic} The" in text.source


def test_one_item_alone_suits_the_wish():
    for text in drawn("item"):
        wish, items = text.source.split("\nItems: ")
        material, thing, color, coins = re.search(
            r"wants an? (\w+) (\w+) and likes (\w+)\. \w+ has (\d+) coins", wish
        ).groups()
        suits = [
            item
            for item in items.split("; ")
            if item.startswith(f"{color} {material} {thing} for ") and int(item.split()[-2]) <= int(coins)
        ]
        assert suits == [*text.targets]
        assert len(set(items.split("; "))) == 4
