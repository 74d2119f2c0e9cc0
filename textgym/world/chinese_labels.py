"""Chinese texts with a label: reviews with their mood or topic, and listed items for what someone wants to buy."""

from typing import NamedTuple

from textgym.world import chinese_lexicon as lex
from textgym.world.draw import Draw, Rendered
from textgym.world.review import Verdicts

POSITIVE, NEGATIVE, NEUTRAL = MOODS = ("正面", "负面", "中性")
TOPICS = ("餐馆", "酒店", "电影", "图书", "商品")
ITEMS = 4  # that are listed
_WANTED = tuple((material, thing) for material, things in lex.MATERIALS.items() for thing in things)

_FOOD = Verdicts(
    ("又新鲜又好吃", "味道好极了", "是城里最好的", "非常可口"),
    ("一点味道也没有", "难吃极了", "是城里最差的", "一点也不新鲜"),
)
_PERSON = Verdicts(
    ("又热情又周到", "很有礼貌", "笑着欢迎我们", "帮了我们很多忙"),
    ("又粗鲁又懒", "态度很差", "根本不理我们", "一点忙也没帮"),
)
_SPACE = Verdicts(
    ("又干净又漂亮", "又明亮又舒服", "好得没话说", "是最让人满意的"),
    ("又脏又破", "又暗又难看", "糟糕透了", "是最让人失望的"),
)
_ART = Verdicts(
    ("非常精彩", "充满了快乐", "让我很感动", "从头到尾都很有意思"),
    ("非常无聊", "到处都是错误", "让我很生气", "从头到尾都没有意思"),
)
_PRODUCT = Verdicts(
    ("非常漂亮", "非常完美", "看着很舒服", "比我想的还好"), ("非常难看", "糟糕透了", "看着很别扭", "比我想的差多了")
)


class Domain(NamedTuple):
    """One kind of thing to review: how a review begins, remarks that judge nothing, aspects, and closing words."""

    intros: tuple[str, ...]
    remarks: tuple[str, ...]
    aspects: tuple[tuple[Verdicts, tuple[str, ...]], ...]
    closing: Verdicts


_VISIT = Verdicts(
    ("，我们还会再来", "，我们过得很开心", "，我们很喜欢这里", ""),
    ("，我们再也不来了", "，我们很不开心", "，我们很后悔来这里", ""),
)
_FAN = Verdicts(("，我很喜欢", "，我要推荐给朋友", "，我很满意", ""), ("，我很失望", "，真是浪费钱", "，我很后悔", ""))
DOMAINS = (
    Domain(
        ("我们{day}在“{name}”吃了饭", "我和{friend}在“{name}”吃了午饭", "{day}，{friend}带我去了餐馆“{name}”"),
        ("这是我们第一次来。", "店里坐了一半的人。", "我们坐在窗边。", "我们点了{food}。", "我们等了二十分钟。"),
        ((_FOOD, ("面条", "米饭", "蛋糕", "沙拉", "鱼", "饺子")), (_PERSON, ("服务员", "厨师", "老板"))),
        _VISIT,
    ),
    Domain(
        ("我们在“{name}”住了{n}个晚上", "我和{friend}在“{name}”住了{n}个晚上", "{day}，我们住进了酒店“{name}”"),
        ("我们的房间在三楼。", "这里有二十个房间。", "我们是坐火车来的。", "这里离车站有五公里。"),
        ((_SPACE, ("房间", "花园", "浴室", "大厅")), (_FOOD, ("早饭", "晚饭")), (_PERSON, ("老板", "服务员"))),
        _VISIT,
    ),
    Domain(
        ("我{day}看了电影《{name}》", "我和{friend}看了电影《{name}》", "{day}，我跟{friend}去看了电影《{name}》"),
        ("电影有两个小时长。", "讲的是海边的一家人。", "电影是在冬天拍的。", "我们坐在最后一排。"),
        ((_ART, ("故事", "结尾", "音乐", "表演", "后半部分")),),
        _FAN,
    ),
    Domain(
        ("我用{n}天读完了《{name}》这本书", "{friend}送给我一本书，叫《{name}》", "我{day}买了一本书，叫《{name}》"),
        ("这本书有十章。", "讲的是一位老水手。", "我是在火车上读的。", "这本书有三百页。"),
        ((_ART, ("故事", "结尾", "最后一章", "语言", "开头")),),
        _FAN,
    ),
    Domain(
        ("我{day}买了{thing}", "{friend}送给我{thing}", "我在“{name}”买了{thing}", "{day}，我收到了{thing}"),
        ("我每天都用它。", "它装在一个大盒子里。", "它花了我{n}十块钱。", "它是{day}送到的。"),
        ((_PRODUCT, ("颜色", "形状", "设计", "图案", "外观")),),
        _FAN,
    ),
)  # fmt: skip
_NUMBERS = ("两", "三", "四", "五", "六", "七")


def chinese_label_grammar(draw: Draw, variant: str = "mood") -> Rendered:
    """A Chinese text with the labels to choose from on a line below it, and the one that is right."""
    if variant == "item":
        return item(draw)
    number, mood = draw.below(len(DOMAINS)), draw.pick(MOODS)
    topic = TOPICS[number]
    label = {"mood": mood, "topic": topic, "opinion": f"{topic}，{mood}"}[variant]
    labels = {"mood": MOODS, "topic": TOPICS, "opinion": (*TOPICS, *MOODS)}[variant]
    return Rendered(f"{_review(draw, DOMAINS[number], mood)}\n选项：{'、'.join(labels)}", (label,), {"labels": labels})


def _review(draw: Draw, domain: Domain, mood: str) -> str:
    """A review of this mood. A neutral one judges nothing."""
    begins = f"{draw.pick(domain.intros)}。{draw.pick(domain.remarks)}"
    thing = draw.pick(lex.MADE_THINGS)
    values = {"name": draw.pick(lex.NAMES), "day": draw.pick(lex.DAYS), "friend": draw.pick(lex.FRIENDS)}
    values |= {"n": draw.pick(_NUMBERS[1:] if "{n}十" in begins else _NUMBERS), "food": draw.pick(lex.FOODS)}
    values |= {"thing": lex.measured(thing, f"{draw.pick(lex.COLORS)}的")}
    text = begins.format_map(values)
    if mood == NEUTRAL:
        return text
    verdicts, aspects = draw.pick(domain.aspects)
    said, closing = (draw.pick(both[MOODS.index(mood)]) for both in (verdicts, domain.closing))
    return f"{text}{draw.pick(aspects)}{said}{closing}。"


def item(draw: Draw) -> Rendered:
    """Which listed item suits what someone wants to buy: the other ones miss one wish each."""
    (who, he), (material, thing), color = draw.pick(lex.PEOPLE), draw.pick(_WANTED), draw.pick(lex.COLORS)
    coins = 20 + draw.below(60)

    def other(options: tuple[str, ...], than: str) -> str:
        return draw.pick([option for option in options if option != than])

    def offer(color: str, material: str, thing: str, price: int) -> str:
        return f"{color}的{material}{thing}，{price}块钱"

    def cheap() -> int:
        return coins - draw.below(15)

    made_of = tuple(one for one, things in lex.MATERIALS.items() if thing in things)
    right = offer(color, material, thing, cheap())
    wrong = [
        offer(other(lex.COLORS, color), material, thing, cheap()),
        offer(color, material, thing, coins + 1 + draw.below(15)),
        offer(color, other(made_of, material), thing, cheap()),
    ]
    listed = draw.sample([right, *wrong], ITEMS)
    wish = f"{who}想买{lex.measured(thing, material)}，喜欢{color}。{he}有{coins}块钱。"
    return Rendered(f"{wish}\n商品：{'；'.join(listed)}", (right,), {"labels": tuple(listed)})
