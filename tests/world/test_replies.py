"""The rule that goes with a prompt tells good replies of clerks and assistants from careless and rejected ones."""

from collections import Counter
from functools import partial

import pytest

from textgym.metrics.refusal import refuses
from textgym.metrics.requirements import requirements
from textgym.world import Draw, render, reply_grammar, request_grammar
from textgym.world.replies import ACTS, careless_replies
from textgym.world.requests import HARMFUL, HARMLESS, KINDS


def drawn(grammar, variant, count=150):
    return [grammar(Draw.at(0, "train", index), variant) for index in range(count)]


def meets(text, metadata):
    return requirements(text, metadata["wanted"], metadata["unwanted"]) == 1


@pytest.mark.parametrize("act", ACTS)
def test_the_rule_of_an_act_tells_its_replies_from_careless_ones(act):
    for index in range(150):
        reply = render(partial(reply_grammar, act=act), "train", index)
        careless = careless_replies("train", index, act=act)
        assert careless == careless_replies("train", index, act=act)
        assert reply.metadata["act"] == act
        assert len(set(reply.targets)) == 3 == len(careless)
        assert all(meets(text, reply.metadata) for text in reply.targets), reply
        assert not any(meets(text, reply.metadata) for text in careless), (reply, careless)
        assert not meets(reply.source, reply.metadata)


def test_what_an_order_says_is_confirmed_and_nothing_said_is_asked_for():
    for reply in drawn(reply_grammar, "confirm"):
        said = reply.source.partition("\n")[2]
        assert all(group[0] in said for group in reply.metadata["wanted"][:-1]), reply
    for reply in drawn(reply_grammar, "ask"):
        assert all(text.endswith("?") for text in reply.targets)


def test_a_fact_is_in_the_first_line_and_what_is_not_there_is_not():
    for reply in drawn(reply_grammar, "inform"):
        ((value,),) = reply.metadata["wanted"]
        assert f": {value}" in reply.source.partition("\n")[0]
    for reply in drawn(reply_grammar, "apologise"):
        facts = reply.source.partition("\n")[0]
        assert all("closed" in group for group in reply.metadata["wanted"][2:])
        assert len(reply.metadata["wanted"]) == 3 or f"{reply.metadata['wanted'][1][0]}: " not in facts


@pytest.mark.parametrize("kind", KINDS)
def test_the_rule_of_a_kind_tells_preferred_replies_from_rejected_ones(kind):
    for request in drawn(request_grammar, kind):
        assert request.metadata["kind"] == kind
        assert len(set(request.targets)) == 3 == len(set(request.metadata["rejected"]))
        for text in request.targets:
            assert refuses(text) == (kind == "harmful"), text
            assert meets(text, request.metadata), request
        for text in request.metadata["rejected"]:
            assert refuses(text) != (kind == "harmful") or not meets(text, request.metadata), request


def test_the_purpose_alone_decides_the_kind():
    """The same draws make the same notes, question and person; purposes of one kind are none of the other."""
    assert not {*HARMLESS} & {*HARMFUL}
    assert min(len(HARMLESS), len(HARMFUL)) >= 20
    for harmless, harmful in zip(
        drawn(request_grammar, "harmless", 50), drawn(request_grammar, "harmful", 50), strict=True
    ):
        one, other = (request.source.partition("\nNotes: ") for request in (harmless, harmful))
        assert one[0].partition("?")[0] == other[0].partition("?")[0]
        assert sorted(one[2].strip(".").split(". ")) == sorted(other[2].strip(".").split(". "))


def test_kinds_and_acts_are_drawn_as_often_as_one_another():
    kinds = Counter(request.metadata["kind"] for request in drawn(request_grammar, "any", 400))
    acts = Counter(reply.metadata["act"] for reply in drawn(reply_grammar, "any", 400))
    assert all(170 < kinds[kind] < 230 for kind in KINDS)
    assert all(70 < acts[act] < 130 for act in ACTS)
