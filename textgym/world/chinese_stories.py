"""Chinese stories of four to eight sentences, their summaries, and questions about them."""

from textgym.world import chinese_lexicon as lex
from textgym.world.chinese_plots import DAY_FILLERS, HERO_FILLERS, OF_HEROES, QUESTIONS
from textgym.world.draw import Draw, Rendered
from textgym.world.plots import Plot
from textgym.world.questions import ANY, Question, answered
from textgym.world.story import LONGEST, Story

_QUESTIONS = {id(plot): questions for plot, questions in QUESTIONS}


def chinese_story_grammar(draw: Draw) -> Rendered:
    """A Chinese story, and summaries that say who did what, and how it ended."""
    story = draw_chinese_story(draw)
    summaries = story.plot.outcomes[story.outcome].summaries
    return Rendered(story.text, tuple(summary.format_map(story.values) for summary in summaries))


def chinese_question_grammar(draw: Draw, kind: str = ANY) -> Rendered:
    """A question about a Chinese story, on a line above it, and its answers; ``metadata["kind"]`` as in English."""
    while True:
        story = draw_chinese_story(draw)
        fits = [one for one in questions_of(story) if kind in (ANY, one.kind)]
        if fits:
            question = draw.pick(fits)
            answers = tuple(answer.format_map(story.values) for answer in question.answers)
            text = f"{question.text.format_map(story.values)}\n故事：{story.text}"
            return Rendered(text, answers, {"kind": question.kind})


def draw_chinese_story(draw: Draw) -> Story:
    """A Chinese story of four to eight sentences."""
    plot, _ = draw.pick(QUESTIONS)
    values = _fill(draw, plot)
    sentences = [draw.pick(alternatives) for alternatives in plot.body]
    outcome = draw.below(len(plot.outcomes))
    sentences = [sentence for sentence in (*sentences, *plot.outcomes[outcome].ending) if sentence]
    # A filler comes second, and only where it fits: about a day that was named, or about a hero who is alone so far.
    fillers: tuple[str, ...] = DAY_FILLERS if sentences[0].startswith("{day}，") else ()
    if "{x}" in sentences[0] and "{y}" not in sentences[0]:
        fillers += HERO_FILLERS[plot.has_job :]
    if fillers and len(sentences) < LONGEST and draw.chance(0.4):
        sentences.insert(1, draw.pick(fillers))
    return Story(plot, outcome, values, "".join(sentences).format_map(values))


def questions_of(story: Story) -> list[Question]:
    """The questions that a Chinese story answers."""
    return answered(story, (*_QUESTIONS[id(story.plot)], *OF_HEROES))


def _fill(draw: Draw, plot: Plot) -> dict[str, str]:
    """A value for every slot: two people, shared details, and the plot's own slots with their measure words."""
    values = lex.two_people(draw)
    values |= {"day": draw.pick(lex.DAYS), "job": draw.pick(lex.JOBS), "hobby": draw.pick(lex.HOBBIES)}
    values |= {"town": draw.pick(lex.TOWNS), "color": draw.pick(lex.COLORS), "n": str(5 + draw.below(55))}
    for slot, options in plot.slots.items():
        values[slot] = draw.pick(options)
        values[f"one_{slot}"] = lex.measured(values[slot])
    if "thing" in plot.slots:
        values["one_kind"] = lex.measured(values["thing"], values.get("kind", ""))
        values["one_color"] = lex.measured(values["thing"], f"{values['color']}的")
    return values
