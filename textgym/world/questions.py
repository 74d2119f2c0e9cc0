"""Questions about the small world's stories, with their answers, as data and as a grammar.

Braces are those of :mod:`textgym.world.plots`. A question may be asked where ``needs`` is in the story, and, with an
``outcome``, where the story ends like that. The first answer is in the story.
"""

from collections.abc import Iterable
from typing import NamedTuple

from textgym.world import plots
from textgym.world.draw import Draw, Rendered
from textgym.world.story import Story, draw_story

KINDS = ("who", "what", "where", "when")
ANY = "any"


class Question(NamedTuple):
    """A question of a kind, its answers (the first is the reference's own), and where it may be asked."""

    kind: str
    text: str
    answers: tuple[str, ...]
    needs: str = ""
    outcome: int | None = None


def _asked(kind: str, text: str, *answers: str, needs: str = "", outcome: int | None = None) -> Question:
    return Question(kind, text, answers, needs, outcome)


_DAY = ("{day}", "on {day}")
OF_HEROES = (
    _asked("what", "What was {x}'s job?", "{job}", needs="{x} was {job}."),
    _asked("where", "Where did {x} come from?", "{home}", "from {home}", needs="{x} came from {home}."),
    _asked("what", "What did {x} like?", "{hobby}", needs="{x} liked {hobby}."),
    _asked("what", "What colour was {x}'s coat?", "{color}", needs="{x} had {a_color} coat."),
)
OF_PLOTS: dict[str, tuple[plots.Plot, tuple[Question, ...]]] = {
    "lost": (
        plots.LOST,
        (
            _asked("who", "Who missed {his} {thing}?", "{x}"),
            _asked("who", "Whom did {x} ask for help?", "{y}", needs="asked {y} for help"),
            _asked("who", "Whom did {x} tell about it?", "{y}", "{his} friend {y}", needs="{his} friend {y}"),
            _asked("who", "Who had given {x} the {thing}?", "{his} mother", needs="a present from {his} mother"),
            _asked("who", "Who had borrowed the {thing}?", "{y}", outcome=2),
            _asked("what", "What was {x} looking for?", "{his} {thing}", "the {thing}"),
            _asked("what", "What did {x} buy in the end?", "a new one", outcome=1),
            _asked("where", "Where did {y} find the {thing}?", "{place}", outcome=0),
            _asked("where", "Where did they look together?", "{place}", outcome=1),
            _asked("where", "Where did {x} look first?", "in every room", needs="in every room"),
            _asked("where", "Where did {x} look first?", "under the bed and behind the door", needs="under the bed"),
            _asked("when", "On which day was the {thing} gone?", *_DAY),
        ),
    ),
    "repair": (
        plots.REPAIR,
        (
            _asked("who", "Whose {thing} broke?", "{y}", "{y}'s"),
            _asked("who", "Who lived next door?", "{x}", needs="{x} lived next door"),
            _asked("who", "Whom did {y} ask for help?", "{x}", needs="{y} asked {x} for help"),
            _asked("who", "To whom had the {thing} belonged?", "{yhis} father", needs="belonged to"),
            _asked("who", "Who worked on the {thing} all night?", "{x}", outcome=0),
            _asked("what", "What broke?", "the {thing}"),
            _asked("what", "What did {y} have?", "{a_kind} {thing}"),
            _asked("what", "What did {x} give {y}?", "{his} own {thing}", outcome=1),
            _asked("what", "With what did {y} thank {x}?", "a big cake", "with a big cake", outcome=2),
            _asked("when", "On which day did the {thing} break?", *_DAY, needs="On {day}, the"),
            _asked("when", "When was the {thing} as good as new?", "in the morning", outcome=0),
        ),
    ),
    "contest": (
        plots.CONTEST,
        (
            _asked("who", "Who trained for the {contest}?", "{x}"),
            _asked("who", "Who came first?", "{x}", outcome=0),
            _asked("who", "Who was better than {x}?", "{y}", outcome=1),
            _asked("what", "What took place in {town}?", "a {contest}"),
            _asked("what", "What did {x} want to win?", "{prize}", needs="win {prize}"),
            _asked("what", "What did {x} get?", "{prize}", outcome=0),
            _asked("what", "What ended the {contest}?", "a storm", outcome=2),
            _asked("where", "Where was the {contest}?", "{town}", "in {town}"),
            _asked("when", "On which day was the {contest}?", *_DAY),
            _asked("when", "When did {x} train?", "every evening", needs="every evening"),
            _asked("when", "For how long did {x} train?", "three weeks", "for three weeks", needs="three weeks"),
        ),
    ),
    "gift": (
        plots.GIFT,
        (
            _asked("who", "Whose birthday was it?", "{y}", "{y}'s"),
            _asked("who", "Who wanted to give a present?", "{x}"),
            _asked("what", "What did {x} find?", "{a_color} {thing}", outcome=0),
            _asked("what", "What did {x} make?", "{made}", outcome=1),
            _asked("what", "What did {x} lose?", "{a_color} {thing}", outcome=2),
            _asked("where", "Where did {x} go?", "to the market in {town}", "to the market", needs="to the market"),
            _asked("where", "Where did {x} look for a present?", "{town}", "in {town}"),
            _asked("where", "Where did {y} put it?", "in {yhis} room", outcome=0),
            _asked("when", "When was {y}'s birthday?", "{day}", "on {day}"),
        ),
    ),
    "animal": (
        plots.ANIMAL,
        (
            _asked("who", "Whose {animal} was it?", "{y}", "{y}'s", outcome=2),
            _asked("who", "Who took it home?", "{x}"),
            _asked("what", "What did {x} see on the ground?", "a {fur} {animal}", needs="a {fur} {animal}"),
            _asked("what", "What was under a tree?", "a small {animal}", needs="a small {animal}"),
            _asked("what", "What did {x} give it?", "some milk", "milk", needs="some milk"),
            _asked("what", "What did {x} hear?", "a soft sound", needs="a soft sound"),
            _asked("where", "Where did {x} walk?", "{place}"),
            _asked("where", "Where was the {animal}?", "under a tree", needs="under a tree"),
            _asked("where", "Where did {x} put it?", "in {his} bag", needs="in {his} bag"),
            _asked("when", "On which day did {x} take the walk?", *_DAY, needs="On {day}"),
            _asked("when", "When was it strong again?", "after a week", outcome=1),
            _asked("when", "When did {y} come to the door?", "the next day", outcome=2),
        ),
    ),
    "train": (
        plots.TRAIN,
        (
            _asked("who", "Whom did {x} want to visit?", "{y}"),
            _asked("who", "Who missed the train?", "{x}"),
            _asked("who", "Who drove all day?", "{y}", outcome=1),
            _asked("what", "What happened on the way to the station?", "{why}"),
            _asked("what", "What did {x} take in the end?", "the bus", outcome=0),
            _asked("what", "What did {y} have for {x}?", "hot soup", outcome=0),
            _asked("what", "What did {x} write?", "a long letter", outcome=2),
            _asked("where", "Where did {y} live?", "{town}", "in {town}"),
            _asked("when", "When did {x} get up early?", "{day}", "on {day}", needs="on {day}"),
            _asked("when", "When did {x} arrive?", "at night", outcome=0),
        ),
    ),
    "trip": (
        plots.TRIP,
        (
            _asked("who", "Who planned {trip} with {x}?", "{y}"),
            _asked("what", "What did {x} and {y} plan?", "{trip}"),
            _asked("what", "What did they pack?", "bread, cheese and apples", needs="bread, cheese and apples"),
            _asked("what", "What did they pack?", "a big bag", needs="a big bag"),
            _asked("what", "What happened at noon?", "{storm}", needs="at noon"),
            _asked("where", "Where did they talk and laugh?", "{house}", "in {house}", outcome=0),
            _asked("where", "Where did they eat everything?", "in the kitchen", outcome=1),
            _asked("when", "On which day did they leave?", *_DAY),
            _asked("when", "When were both ill?", "the next day", outcome=2),
        ),
    ),
    "trade": (
        plots.TRADE,
        (
            _asked("who", "Who had {a_two}?", "{y}"),
            _asked("who", "Whom did {x} meet?", "{y}"),
            _asked("what", "What did {x} have?", "{a_one}"),
            _asked("what", "What did {x} want?", "{a_two}"),
            _asked("what", "What did they drink?", "a cup of tea", "tea", needs="a cup of tea"),
            _asked("what", "What did {x} pay?", "{n} coins", outcome=1),
            _asked("where", "Where did they meet?", "at the market", needs="at the market"),
            _asked("where", "Where did they meet?", "{town}", "in {town}", needs="met {y} in {town}"),
            _asked("when", "On which day did they meet?", *_DAY),
        ),
    ),
    "shop": (
        plots.SHOP,
        (
            _asked("who", "Who opened {a_shop}?", "{x}"),
            _asked("who", "Who offered {x} some money?", "{y}", needs="offered {him} some money"),
            _asked("who", "Who told {x} to try it?", "{y}", needs="told {him} to try it"),
            _asked("who", "Who joined {x}?", "{y}", outcome=2),
            _asked("what", "What did {x} open?", "{a_shop}"),
            _asked(
                "where", "Where did {x} work at first?", "in an office in {town}", "in an office", needs="an office"
            ),
            _asked("where", "Where did {x} work at first?", "in a bank", needs="in a bank"),
            _asked("where", "Where did {x} open {a_shop}?", "{town}", "in {town}"),
            _asked("when", "When did {x} open {a_shop}?", "in spring", needs="In spring"),
            _asked("when", "When did {x} have to close it?", "after a year", outcome=1),
            _asked("when", "For how long had {x} worked in a bank?", "for {n} years", "{n} years", needs="in a bank"),
        ),
    ),
    "borrow": (
        plots.BORROW,
        (
            _asked("who", "Whose {thing} was broken?", "{y}", "{y}'s"),
            _asked("who", "Who needed {a_thing}?", "{x}", needs="{x} needed"),
            _asked("who", "Who was very angry?", "{y}", outcome=2),
            _asked("what", "What was broken?", "{y}'s {thing}", "the {thing}"),
            _asked("what", "What did {x} tell {y}?", "the truth", outcome=0),
            _asked("what", "What did {x} sell?", "{his} watch", outcome=1),
            _asked("what", "What did {x} buy?", "a new {thing}", outcome=1),
            _asked("what", "What jumped on the {thing}?", "{his} dog", needs="{his} dog"),
            _asked("where", "Where did {x} fall?", "on the way home", needs="on the way home"),
            _asked("when", "On which day did {x} borrow the {thing}?", *_DAY, needs="On {day}"),
            _asked("when", "When did {x} want to bring it back?", "in the evening", needs="in the evening"),
        ),
    ),
    "noise": (
        plots.NOISE,
        (
            _asked("who", "Who woke up?", "{x}", needs="{x} woke up"),
            _asked("who", "Who could not sleep?", "{x}", needs="{x} could not sleep"),
            _asked("who", "Who had a bag?", "{y}", outcome=1),
            _asked("who", "Who jumped out of the window?", "a thief", outcome=2),
            _asked("who", "Whom did {x} call?", "the police", outcome=2),
            _asked("what", "What did {x} hear?", "steps", needs="steps"),
            _asked("what", "What did {x} take?", "a lamp", needs="took a lamp"),
            _asked("what", "What was in the {room}?", "{a_animal}", outcome=0),
            _asked("what", "What had {y} missed?", "the last train home", "the last train", outcome=1),
            _asked("where", "Where was the noise?", "in the {room}", needs="a noise in the {room}"),
            _asked("where", "Where were the steps?", "in the {room}", needs="steps in the {room}"),
            _asked("when", "When did {x} wake up?", "on {day} night", "{day} night", needs="On {day} night"),
        ),
    ),
    "rescue": (
        plots.RESCUE,
        (
            _asked("who", "Who called for help?", "{y}"),
            _asked("who", "Who heard the cries?", "{x}"),
            _asked("what", "What was {x} doing?", "reading on the beach", needs="{x} was reading"),
            _asked("what", "What was {x} doing?", "walking {his} dog", needs="{x} was walking"),
            _asked("what", "What came suddenly?", "a big wave", needs="a big wave"),
            _asked("what", "What did {x} take?", "a boat", outcome=1),
            _asked("what", "What did {x} get?", "{n} coins", outcome=1),
            _asked("where", "Near which town was {y}?", "{town}", "near {town}"),
            _asked("where", "Where did {x} jump?", "into the water", outcome=0),
            _asked("when", "On which day was {y} {act} the {water}?", *_DAY, needs="On {day}"),
        ),
    ),
}
_QUESTIONS = {id(plot): questions for plot, questions in OF_PLOTS.values()}


def questions_of(story: Story) -> list[Question]:
    """The questions that a story answers."""
    return answered(story, (*_QUESTIONS[id(story.plot)], *OF_HEROES))


def answered(story: Story, questions: Iterable[Question]) -> list[Question]:
    """Those of the questions that a story answers."""
    return [
        question
        for question in questions
        if question.outcome in (None, story.outcome)
        and (not question.needs or question.needs.format_map(story.values) in story.text)
    ]


def question_grammar(draw: Draw, kind: str = ANY) -> Rendered:
    """A question about a story, on a line above it, and its answers; ``metadata["kind"]`` is "who", "what", ..."""
    while True:
        story = draw_story(draw)
        asked = [one for one in questions_of(story) if kind in (ANY, one.kind)]
        if asked:
            question = draw.pick(asked)
            answers = tuple(answer.format_map(story.values) for answer in question.answers)
            text = f"{question.text.format_map(story.values)}\nStory: {story.text}"
            return Rendered(text, answers, {"kind": question.kind})
