"""Tables about places, people, things and events in Chinese, and the sentences that describe them."""

from textgym.world import chinese_lexicon as lex
from textgym.world.draw import Draw, Rendered
from textgym.world.records import REFERENCES, Record, keep

EATERIES = ("餐馆", "咖啡馆", "茶馆", "面包店", "饭店", "酒吧")
AREAS = ("市中心", "老城区", "港口", "市场旁边", "河边", "车站附近", "公园附近")
PRICES, RATINGS = ("便宜", "昂贵", "适中"), ("很好", "一般", "很差")
CONDITIONS = ("全新", "二手", "古董")
EVENTS = ("画展", "书展", "象棋比赛", "音乐会", "烹饪课", "舞会", "花展", "木偶戏", "知识竞赛", "电影晚会")
VENUES = ("图书馆", "博物馆", "公园", "学校", "剧院", "市政厅", "城堡", "文化宫")
TIMES = ("上午十点", "上午十一点", "下午两点", "下午三点", "下午五点", "晚上六点", "晚上七点", "晚上八点")
PETS = ("猫", "狗", "鹦鹉", "兔子", "羊", "乌龟", "鸭子")
LOOKS = ("黑", "白", "灰", "小", "老", "花")
_PRONOUNS = dict(lex.PEOPLE)


def chinese_record_grammar(draw: Draw) -> Rendered:
    """A table, and different descriptions that mention every value in it, in Chinese."""
    draw_facts, describe = draw.pick(KINDS)
    facts = draw_facts(draw)
    texts = tuple(dict.fromkeys(describe(facts)))
    source = " | ".join(f"{key}：{value}" for key, value in facts.items())
    return Rendered(source, tuple(draw.sample(texts, REFERENCES)), {"keywords": tuple(facts.values())})


def _sentence(*parts: str) -> str:
    """The parts that aren't empty, as one sentence."""
    return "，".join(part for part in parts if part) + "。"


def draw_place(draw: Draw) -> Record:
    facts = {"名称": draw.pick(lex.NAMES), "类型": draw.pick(EATERIES), "食物": draw.pick(lex.FOODS)}
    facts |= {"地段": draw.pick(AREAS), "价格": draw.pick(PRICES), "评价": draw.pick(RATINGS)}
    return keep(draw, facts, ("地段", "价格", "评价"), 1)


def describe_place(facts: Record) -> tuple[str, ...]:
    """Descriptions of an eating place.

    >>> describe_place({"名称": "金月亮", "类型": "茶馆", "食物": "面条", "地段": "河边", "价格": "便宜"})[0]
    '金月亮是河边的一家价格便宜的茶馆，供应面条。'
    """
    name, kind, food, area = facts["名称"], facts["类型"], facts["食物"], facts.get("地段", "")
    price = f"价格{facts['价格']}" if "价格" in facts else ""
    rated = f"顾客评价{facts['评价']}" if "评价" in facts else ""
    at = f"{area}的" if area else ""
    return (
        _sentence(f"{name}是{at}一家{price}{'的' if price else ''}{kind}", f"供应{food}", rated),
        _sentence(f"{area}有一家叫{name}的{kind}", f"供应{food}", price, rated),
        _sentence(f"{at}{name}是一家{kind}", price, rated) + f"那里有{food}。",
        _sentence(f"想吃{food}可以去{at}{name}") + _sentence(f"这是一家{kind}", price, rated),
        _sentence(f"{at}{kind}{name}供应{food}", price, rated),
    )


def draw_person(draw: Draw) -> Record:
    facts = {"姓名": draw.pick(lex.PEOPLE)[0], "年龄": f"{20 + draw.below(61)}岁", "职业": draw.pick(lex.JOBS)}
    facts |= {"住处": draw.pick(lex.TOWNS), "爱好": draw.pick(lex.HOBBIES), "宠物": draw.pick(LOOKS) + draw.pick(PETS)}
    facts = keep(draw, facts, ("年龄", "住处", "爱好", "宠物"), 2)
    if "爱好" not in facts and "宠物" not in facts:
        facts["爱好"] = draw.pick(lex.HOBBIES)
    return facts


def describe_person(facts: Record) -> tuple[str, ...]:
    """Descriptions of a person.

    >>> describe_person({"姓名": "王芳", "职业": "画家", "住处": "青山镇", "宠物": "黑猫"})[0]
    '王芳是一位画家，住在青山镇。她养了一只黑猫。'
    """
    name, job = facts["姓名"], facts["职业"]
    he = _PRONOUNS[name]
    old = f"今年{facts['年龄']}" if "年龄" in facts else ""
    home = f"住在{facts['住处']}" if "住处" in facts else ""
    likes = f"喜欢{facts['爱好']}" if "爱好" in facts else ""
    keeps = f"养了一只{facts['宠物']}" if "宠物" in facts else ""
    does = "，还".join(one for one in (likes, keeps) if one)
    return (
        _sentence(f"{name}是一位{job}", old, home) + _sentence(he + does),
        _sentence(f"{job}{name}{old}", home, does),
        _sentence(name + does) + _sentence(f"{he}是一位{job}", home, old),
        _sentence(f"{name}{home or '是一位' + job}", old, does) + (f"{he}是一位{job}。" if home else ""),
    )


def draw_thing(draw: Draw) -> Record:
    material = draw.pick(tuple(lex.MATERIALS))
    facts = {"物品": draw.pick(lex.MATERIALS[material]), "成色": draw.pick(CONDITIONS)}
    facts |= {"颜色": draw.pick(lex.COLORS), "材料": material}
    facts |= {"卖家": draw.pick(lex.PEOPLE)[0], "价格": f"{2 + draw.below(98)}块钱"}
    return keep(draw, facts, ("成色", "颜色", "材料"), 1)


def describe_thing(facts: Record) -> tuple[str, ...]:
    """Descriptions of a thing on sale.

    >>> describe_thing({"物品": "椅子", "颜色": "红色", "材料": "木头", "卖家": "王强", "价格": "9块钱"})[0]
    '王强卖一把红色的木头椅子，价格是9块钱。'
    """
    thing, seller, price = facts["物品"], facts["卖家"], facts["价格"]
    color = f"{facts['颜色']}的" if "颜色" in facts else ""
    described = f"{color}{facts.get('成色', '')}{facts.get('材料', '')}"
    what = lex.measured(thing, described)
    return (
        f"{seller}卖{what}，价格是{price}。",
        f"有{what}正在出售，价格是{price}，卖家是{seller}。",
        f"花{price}就能从{seller}那里买到{what}。",
        f"{seller}有{what}要卖，只要{price}。",
        f"{what}只卖{price}，卖家是{seller}。",
    )


def draw_event(draw: Draw) -> Record:
    facts = {"活动": draw.pick(EVENTS), "主办人": draw.pick(lex.PEOPLE)[0], "地点": draw.pick(VENUES)}
    facts |= {"日期": draw.pick(lex.DAYS), "时间": draw.pick(TIMES)}
    facts |= {"票价": draw.pick(("免费", *(f"{coins}块钱" for coins in range(2, 20))))}
    return keep(draw, facts, ("主办人", "时间", "票价"), 1)


def describe_event(facts: Record) -> tuple[str, ...]:
    """Descriptions of an event.

    >>> describe_event({"活动": "画展", "地点": "公园", "日期": "星期五", "票价": "免费"})[0]
    '星期五在公园举行画展，门票免费。'
    """
    event, place, host = facts["活动"], facts["地点"], facts.get("主办人", "")
    when, ticket = facts["日期"] + facts.get("时间", ""), facts.get("票价", "")
    costs = f"门票{ticket}" if ticket else ""
    by = f"由{host}主办" if host else ""
    return (
        _sentence(f"{when}在{place}举行{event}", by, costs),
        _sentence(f"{host}{when}在{place}举办{event}" if host else f"{place}{when}举办{event}", costs),
        _sentence(f"{event}{when}在{place}举行", by, costs),
        _sentence(f"欢迎{when}到{place}参加{event}", costs) + (f"主办人是{host}。" if host else ""),
    )


KINDS = (
    (draw_place, describe_place),
    (draw_person, describe_person),
    (draw_thing, describe_thing),
    (draw_event, describe_event),
)
