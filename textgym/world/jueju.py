"""Chinese quatrains of four lines of five characters (wujue), whose even lines rhyme, about the words of a theme."""

from collections.abc import Sequence, Set
from functools import lru_cache
from typing import NamedTuple

from textgym.world.draw import Draw, Rendered
from textgym.world.verse import in_a_row

REFERENCES = 2
TRIES = 4  # draws for an action that fits into a poem

# What lines are about, two characters each, by kind.
_TOPICS = {
    "light": "明月 月光 夕阳 寒星 孤灯 朝阳",
    "wind": "春风 清风 秋风 晚风 南风",
    "sky": "白云 细雨 飞雪 浮云 春雨",
    "person": "老人 孩子 游子 渔人 客人 诗人 牧童 老友",
    "bird": "小鸟 白鹤 黄莺 燕子 孤雁",
    "river": "江水 小溪 流水 清泉 河水 春水",
    "scene": "青山 小桥 古寺 山村 茅屋 长亭 江城 草堂",
    "flower": "荷花 桃花 梅花 杏花 兰花",
    "leaf": "落花 红叶 竹叶",
}
# What they do, three characters each, with a letter for each of their kinds. A theme may have what is after "/".
_RHYMED = """
照/青山 l; 落/窗前 lke; 上/青天 lkb; 入/云间 bc; 夜不眠 p; 满/花园 lkf; 伴/客船 lwk; 过/门前 wkpbr; 又/一年 wbf
有/月光 c; 如/白霜 lk; 送/花香 w; 夜未央 lc; 想/家乡 p; 照/小窗 l; 晚风凉 cr; 向/夕阳 pbf; 到/家乡 pbw; 立/斜阳 pb
起/秋风 cr; 有/钟声 c; 照/江城 l; 伴我行 lwb; 静静听 p; 在/雨中 pcbf; 入/晴空 bk; 过/江东 wkpbr; 夜夜明 l
照/我心 l; 到/柴门 pwbr; 又/一春 wbf; 入/白云 cb; 有/清音 rb; 夜已深 lc; 入/深林 pbwl; 满地金 l; 问/路人 p
上/高楼 lpw; 伴/归舟 lwb; 向/东流 r; 又/一秋 wbe; 使人愁 lwr; 上/桥头 lp; 去悠悠 wrbk
自远来 pwbr; 带雨开 f; 上/高台 lpb
落/谁家 lke; 过/酒家 wpr; 入/晚霞 bc; 满/平沙 lk; 煮/新茶 p; 在/天涯 pc
过/桥西 wpbr; 过/小溪 wpb; 满/客衣 ke; 夜写诗 p; 有谁知 pfl; 未有期 p
过/小桥 wpbr; 上/云霄 bl; 夜潇潇 we; 拂/柳条 w
"""
# The last characters of the lines that need not rhyme have oblique tones, those of the others level ones.
_UNRHYMED = """
照/大地 l; 过/山路 wpb; 天欲晚 cr; 人不见 c; 千里远 wrbc; 春已到 fc; 风又起 crf; 照/流水 l; 入梦里 lwef; 看花去 p
江上冷 lwk; 天地静 lcr; 飞不尽 bke; 来又去 wbpr; 独自坐 p; 无一语 pf; 花满树 c; 深又浅 r; 声渐远 brw; 寒未了 lwc
春色早 fc
"""
_KINDS = {
    "l": "light", "w": "wind", "k": "sky", "p": "person", "b": "bird", "r": "river", "c": "scene", "f": "flower",
    "e": "leaf",
}  # fmt: skip


class Action(NamedTuple):
    """What a topic does: its three characters, the words for a theme, and the kinds of topics that do it."""

    text: str
    theme: str
    kinds: frozenset[str]


def jueju_grammar(draw: Draw) -> Rendered:
    """The words of a theme, and quatrains that have them all.

    The metadata has the words as "keywords", and "rhyme_scheme", "meter" and the number of "lines".
    """
    tables = _tables()
    action = draw.pick(tables.themes)
    topics = draw.sample(tables.topics, 2)
    while action.theme in topics:
        topics = draw.sample(tables.topics, 2)
    poems: dict[str, None] = {}
    while len(poems) < REFERENCES:
        if poem := _poem(draw, topics, action):
            poems[poem] = None
    words = tuple(sorted((*topics, action.theme)))  # in one order, so that no set of them is in two splits
    known = {"keywords": words, "rhyme_scheme": "XAXA", "meter": "five characters", "lines": 4}
    return Rendered(f"{'、'.join(words)}\n体裁：五言绝句", tuple(poems), known)


def _poem(draw: Draw, theme: list[str], action: Action) -> str | None:
    """A quatrain with these topics and this action in an even line; None if the draws don't fit together."""
    tables = _tables()
    able = [topic for topic in theme if tables.kind_of[topic] in action.kinds]
    who = draw.pick(able) if able and draw.chance(0.5) else draw.pick(tables.who_does[action])
    others = [topic for topic in theme if topic != who]
    others = draw.sample([*others, *draw.sample(tables.topics, 3 - len(others))], 3)
    place = 1 + 2 * draw.below(2)
    topics = [*others[:place], who, *others[place:]]
    if len({*topics, action.theme}) < 5:
        return None
    group = tables.group_of[action.text[-1]]
    lines: list[str] = []
    taken = {action.text[-1]}
    for number, topic in enumerate(topics):
        options = tables.options.get((tables.kind_of[topic], group if number % 2 else None), [])
        one = action if number == place else _pick(draw, options, taken, topics)
        if one is None:
            return None
        taken.add(one.text[-1])
        lines.append(topic + one.text)
    return "{}，{}。{}，{}。".format(*lines)


def _pick(draw: Draw, options: Sequence[Action], taken: Set[str], topics: Sequence[str]) -> Action | None:
    """One of the actions whose last character isn't taken, without a topic of the poem; None after some draws."""
    for _ in range(TRIES * bool(options)):
        one = draw.pick(options)
        if one.text[-1] not in taken and one.theme not in topics:
            return one
    return None


class _Tables(NamedTuple):
    """What the grammar draws from.

    Attributes:
        topics, kind_of: what lines are about, and its kind.
        themes: the actions with words for a theme.
        who_does: the topics that do an action of those.
        group_of: last character of a line that rhymes -> number of its group.
        options: what a kind of topics does in such a group, or in a line that need not rhyme (None).
    """

    topics: tuple[str, ...]
    kind_of: dict[str, str]
    themes: tuple[Action, ...]
    who_does: dict[Action, tuple[str, ...]]
    group_of: dict[str, int]
    options: dict[tuple[str, int | None], list[Action]]


@lru_cache(maxsize=1)
def _tables() -> _Tables:
    kind_of = {topic: kind for kind, topics in _TOPICS.items() for topic in topics.split()}
    groups: list[tuple[int | None, Action]] = [
        (number, one) for number, line in enumerate(_RHYMED.strip().splitlines()) for one in _actions(line)
    ]
    group_of = {one.text[-1]: number for number, one in groups if number is not None}
    themes = tuple(one for _, one in groups if one.theme)
    groups += [(None, one) for line in _UNRHYMED.strip().splitlines() for one in _actions(line)]
    options: dict[tuple[str, int | None], list[Action]] = {}
    for number, one in groups:
        for kind in sorted(one.kinds):
            options.setdefault((kind, number), []).append(one)
    who = {one: tuple(topic for topic, kind in kind_of.items() if kind in one.kinds) for one in themes}
    return _Tables(tuple(kind_of), kind_of, themes, who, group_of, options)


def _actions(line: str) -> tuple[Action, ...]:
    found = []
    for one in line.split("; "):
        text, kinds = one.split()
        theme = text.partition("/")[2]
        found.append(Action(text.replace("/", ""), theme, frozenset(_KINDS[kind] for kind in kinds)))
    return tuple(found)


def rhyme_groups() -> dict[str, int]:
    """The group of each character that lines of the verse end with.

    >>> groups = rhyme_groups()
    >>> groups["山"] == groups["天"], groups["山"] == groups["光"]
    (True, False)
    """
    return _tables().group_of


@lru_cache(maxsize=1)
def triples() -> frozenset[tuple[str, str, str]]:
    """The characters, three in a row, that lines of the verse have; "" is before and after a line.

    >>> ("", "明", "月") in triples(), ("明", "月", "照") in triples(), ("明", "月", "明") in triples()
    (True, True, False)
    """
    tables = _tables()
    lines = (
        ["", *topic, *one.text, ""]
        for (kind, _), actions in tables.options.items()
        for topic in tables.topics
        for one in actions
        if tables.kind_of[topic] == kind
    )
    return frozenset(three for line in lines for three in in_a_row(line))
