"""Stories of four to eight sentences, and the one sentence that sums each up."""

from typing import NamedTuple

from textgym.world import lexicon as lex
from textgym.world.draw import Draw, Rendered
from textgym.world.english import a, capital
from textgym.world.plots import DAY_FILLERS, HERO_FILLERS, JOB_FILLER, PLOTS, Plot

LONGEST = 8  # sentences
_JOBS = tuple(a(job) for job in lex.JOBS)
_COINS = tuple(str(coins) for coins in range(5, 60))


class Story(NamedTuple):
    """A story and what it was made of. ``outcome`` is the number of the plot's outcome."""

    plot: Plot
    outcome: int
    values: dict[str, str]
    text: str


def story_grammar(draw: Draw) -> Rendered:
    """A story, and summaries that say who did what, and how it ended."""
    story = draw_story(draw)
    summaries = story.plot.outcomes[story.outcome].summaries
    return Rendered(story.text, tuple(capital(summary.format_map(story.values)) for summary in summaries))


def draw_story(draw: Draw) -> Story:
    """A story of four to eight sentences."""
    plot = draw.pick(PLOTS)
    values = fill_slots(draw, plot)
    sentences = [draw.pick(alternatives) for alternatives in plot.body]
    outcome = draw.below(len(plot.outcomes))
    sentences = [sentence for sentence in (*sentences, *plot.outcomes[outcome].ending) if sentence]
    return Story(plot, outcome, values, with_filler(draw, plot, sentences).format_map(values))


def with_filler(draw: Draw, plot: Plot, sentences: list[str]) -> str:
    """The sentences of a story as one text, perhaps with one more that a summary doesn't need."""
    # A filler comes second, and only where it fits: about a day that was named, or about a hero who is alone so far.
    fillers = (DAY_FILLERS if sentences[0].startswith("On {day},") else ()) + (
        HERO_FILLERS if "{x}" in sentences[0] and "{y}" not in sentences[0] else ()
    )
    if fillers and len(sentences) < LONGEST and draw.chance(0.6):
        filler = draw.pick(fillers)
        if not (plot.has_job and filler == JOB_FILLER):
            sentences.insert(1, filler)
    return " ".join(sentences)


def fill_slots(draw: Draw, plot: Plot) -> dict[str, str]:
    """A value for every slot: two people with their pronouns, shared details, and the plot's own slots."""
    (x, x_forms), (y, y_forms) = draw.sample(lex.PEOPLE, 2)
    values = {"x": x, "y": y, "day": draw.pick(lex.DAYS), "job": draw.pick(_JOBS)}
    values["town"], values["home"] = draw.sample(lex.TOWNS, 2)
    values["color"] = draw.pick(lex.COLORS)
    values |= {"a_color": a(values["color"]), "hobby": draw.pick(lex.HOBBIES), "n": draw.pick(_COINS)}
    for key, x_form, y_form in zip(("he", "him", "his"), x_forms, y_forms, strict=True):
        values |= {key: x_form, key.capitalize(): x_form.capitalize()}
        values |= {"y" + key: y_form, "Y" + key.capitalize(): y_form.capitalize()}
    for slot, options in plot.slots.items():
        value = draw.pick(options)
        values[slot] = value.format_map(values) if "{" in value else value
        values[f"a_{slot}"] = a(value)
    if "kind" in plot.slots:  # "a small bike": the article belongs to the adjective
        values["a_kind"] = a(values["kind"])
    return values
