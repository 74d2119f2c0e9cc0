"""Sets of concepts: as many as the level, each in every sentence, and each set in one split alone."""

import pytest

from textgym.metrics.inflection import inflections
from textgym.metrics.words import unicode_words
from textgym.world import Draw, concept_grammar


@pytest.mark.parametrize("level", [3, 4, 5])
def test_every_sentence_has_every_concept(level):
    for index in range(500):
        rendered = concept_grammar(Draw.at(0, "train", index), level)
        concepts = rendered.metadata["keywords"]
        assert rendered.source == ", ".join(concepts)
        assert len(set(concepts)) == level
        assert concepts == tuple(sorted(concepts))
        assert len(set(rendered.targets)) == 3
        for sentence in rendered.targets:
            words = {*unicode_words(sentence)}
            assert all(inflections(concept) & words for concept in concepts), sentence
            assert sentence[0].isupper()
            assert sentence.endswith(".")
            assert "old boy" not in sentence
