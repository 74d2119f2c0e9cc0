"""The Chinese words of the translation grammar, checked by hand, beside the English and German ones of bilingual.py."""

from typing import NamedTuple


class Noun(NamedTuple):
    """A noun with its measure word. ``unique``: "the" goes without 那, as in 国王 or 厨房."""

    zh: str
    measure: str = "个"
    old: str = "旧"  # how "old" is said of it
    unique: bool = False


class Verb(NamedTuple):
    """A verb around its object ``{o}``. Negations, questions and modal verbs take one of these forms."""

    past: tuple[str, ...]  # what happened: the first is the usual one
    base: str  # after 会, 想, 没有
    now: str  # what is happening, after 正
    plain: str  # after 不, and after 正 and a place
    asked: str  # what happened, before 吗
    moved: str = ""  # what happened to a definite object, with 把


def act(stem: str, rest: str = "", *, base: str = "", moved: str = "", past: tuple[str, ...] = ()) -> Verb:
    """A verb that ends: stem, perhaps a complement, then 了.

    >>> act("戴", "上").past, act("戴", "上").now, act("戴", "上").asked
    (('戴上了{o}',), '在戴{o}', '戴上{o}了')
    """
    whole = stem + rest
    return Verb(
        past or (f"{whole}了{{o}}",),
        base or f"{whole}{{o}}",
        f"在{stem}{{o}}",
        f"{stem}{{o}}",
        f"{whole}{{o}}了",
        f"把{{o}}{moved}了" if moved else "",
    )


def split(preposition: str, stem: str, thing: str, past: tuple[str, ...] = ()) -> Verb:
    """A verb with a thing of its own, and a preposition for its object.

    >>> split("给", "打", "电话").past, split("给", "打", "电话").base
    (('给{o}打了电话',), '给{o}打电话')
    """
    base = f"{preposition}{{o}}{stem}{thing}"
    return Verb((f"{preposition}{{o}}{stem}了{thing}", *past), base, f"在{base}", base, f"{base}了")


def lasting(text: str, now: str = "") -> Verb:
    """A verb of something that lasts, without 了.

    >>> lasting("认识").past, lasting("认识").asked
    (('认识{o}',), '认识{o}')
    """
    base = f"{text}{{o}}"
    return Verb((base,), base, now or f"在{base}", base, base)


def noticing(text: str, *others: str) -> Verb:
    """A verb of what comes about by itself, said of the present as of the past: 看见了."""
    return act(text, past=tuple(f"{one}了{{o}}" for one in (text, *others)))


def carrying(stem: str) -> Verb:
    """A verb of what one keeps holding: 拿着."""
    base = f"{stem}{{o}}"
    return Verb((f"{stem}着{{o}}",), base, f"{stem}着{{o}}", base, f"{base}了")


NAMES = {
    "Anna": "安娜", "Clara": "克拉拉", "Emma": "艾玛", "Greta": "格蕾塔", "Ida": "艾达", "Julia": "朱莉娅",
    "Karla": "卡拉", "Lena": "莱娜", "Mia": "米娅", "Nora": "诺拉", "Rosa": "罗莎", "Tina": "蒂娜",
    "Ben": "本恩", "David": "大卫", "Felix": "菲利克斯", "Hugo": "雨果", "Jonas": "约纳斯", "Leo": "利奥",
    "Max": "马克斯", "Noah": "诺亚", "Oskar": "奥斯卡", "Paul": "保罗", "Simon": "西蒙", "Viktor": "维克托",
}  # fmt: skip

NOUNS = {
    # People
    "man": Noun("男人", old="老"),
    "woman": Noun("女人", old="老"),
    "child": Noun("孩子"),
    "boy": Noun("男孩"),
    "girl": Noun("女孩"),
    "teacher": Noun("老师", "位", "老"),
    "doctor": Noun("医生", "位", "老"),
    "farmer": Noun("农民", "位", "老"),
    "guest": Noun("客人", "位", "年老的"),
    "king": Noun("国王", "位", "老", True),
    "queen": Noun("王后", "位", "老", True),
    "neighbour": Noun("邻居", "位", "年老的"),
    "friend": Noun("朋友", "个", "老"),
    "sister": Noun("姐姐", "个", "年老的", True),
    "brother": Noun("哥哥", "个", "年老的", True),
    "mother": Noun("妈妈", "位", "年迈的", True),
    "father": Noun("爸爸", "位", "年迈的", True),
    "grandmother": Noun("奶奶", "位", "年迈的", True),
    # Animals
    "dog": Noun("狗", "只", "老"),
    "cat": Noun("猫", "只", "老"),
    "horse": Noun("马", "匹", "老"),
    "bird": Noun("鸟", "只", "老"),
    "cow": Noun("牛", "头", "老"),
    "duck": Noun("鸭子", "只", "老"),
    "rabbit": Noun("兔子", "只", "老"),
    "bear": Noun("熊", "头", "老"),
    # Things
    "lamp": Noun("灯", "盏"),
    "chair": Noun("椅子", "把"),
    "bag": Noun("包"),
    "clock": Noun("钟", "座"),
    "umbrella": Noun("雨伞", "把"),
    "ring": Noun("戒指", "枚"),
    "key": Noun("钥匙", "把"),
    "ball": Noun("球"),
    "flower": Noun("花", "朵"),
    "cup": Noun("杯子"),
    "picture": Noun("画", "幅"),
    "bike": Noun("自行车", "辆"),
    "boat": Noun("船", "条"),
    "car": Noun("汽车", "辆"),
    "book": Noun("书", "本"),
    "letter": Noun("信", "封"),
    "newspaper": Noun("报纸", "份"),
    "poem": Noun("诗", "首", "古老的"),
    "story": Noun("故事", "个", "古老的"),
    "coat": Noun("大衣", "件"),
    "hat": Noun("帽子", "顶"),
    "shirt": Noun("衬衫", "件"),
    "jacket": Noun("夹克", "件"),
    "dress": Noun("裙子", "条"),
    "apple": Noun("苹果"),
    "egg": Noun("鸡蛋"),
    "fish": Noun("鱼", "条"),
    "soup": Noun("汤", "碗"),
    "cake": Noun("蛋糕", "块"),
    "pear": Noun("梨"),
    "potato": Noun("土豆"),
    "door": Noun("门", "扇", unique=True),
    "window": Noun("窗户", "扇", unique=True),
    "box": Noun("箱子"),
    # Places
    "kitchen": Noun("厨房", "间", unique=True),
    "room": Noun("房间"),
    "cellar": Noun("地下室", unique=True),
    "garden": Noun("花园", old="老", unique=True),
    "house": Noun("房子", "座", "老"),
    "school": Noun("学校", "所", "老", True),
    "forest": Noun("森林", "片", "古老的", True),
    "park": Noun("公园", old="老", unique=True),
    "market": Noun("集市", old="老", unique=True),
    "station": Noun("车站", old="老", unique=True),
    "bridge": Noun("桥", "座", "老"),
    "library": Noun("图书馆", "座", "老", True),
    "museum": Noun("博物馆", "座", "老", True),
    "river": Noun("河", "条", "古老的"),
    "lake": Noun("湖", old="古老的"),
    "village": Noun("村子", old="古老的", unique=True),
    "town": Noun("城市", "座", "古老的"),
    "beach": Noun("海滩", "片", "古老的", True),
    "church": Noun("教堂", "座", "老", True),
    "tree": Noun("树", "棵", "老"),
    "table": Noun("桌子", "张"),
    "street": Noun("街", "条", "老"),
}

# How an adjective is said before a noun; where a kind of noun, or one noun, has its own way, in one of the next two.
ATTRIBUTES = {
    "small": "小", "big": "大", "new": "新", "young": "年轻的", "tall": "高个子", "clever": "聪明的",
    "friendly": "友好的",
    "tired": "疲惫的", "happy": "快乐的", "sad": "悲伤的", "famous": "有名的", "rich": "有钱的", "strong": "强壮的",
    "quiet": "安静的", "hungry": "饥饿的", "ill": "生病的", "red": "红色的", "green": "绿色的", "blue": "蓝色的",
    "white": "白色的", "black": "黑色的", "brown": "棕色的", "beautiful": "漂亮的", "cheap": "便宜的",
    "expensive": "昂贵的", "heavy": "很重的", "long": "很长的", "short": "很短的", "warm": "热", "wet": "湿漉漉的",
    "fresh": "新鲜的", "good": "好吃的", "cold": "凉了的", "dark": "昏暗的",
}  # fmt: skip
KIND_ATTRIBUTES = {
    "person": {"small": "小个子"},
    "kin": {"small": "小个子"},
    "animal": {"young": "小", "white": "白", "black": "黑"},
    "text": {"famous": "著名的"},
    "clothes": {"red": "红", "green": "绿", "blue": "蓝", "white": "白", "black": "黑", "warm": "暖和的"},
    "room": {"cold": "冰冷的", "warm": "温暖的"},
}
NOUN_ATTRIBUTES = {
    ("small", "child"): "小", ("young", "child"): "小", ("small", "boy"): "小", ("young", "boy"): "小",
    ("small", "girl"): "小", ("young", "girl"): "小", ("white", "bird"): "白色的", ("black", "bird"): "黑色的",
    ("beautiful", "book"): "精美的", ("beautiful", "newspaper"): "精美的", ("beautiful", "letter"): "优美的",
    ("beautiful", "poem"): "优美的", ("beautiful", "story"): "美丽的", ("warm", "apple"): "温热的",
    ("warm", "pear"): "温热的", ("cold", "apple"): "冰凉的", ("cold", "pear"): "冰凉的", ("cold", "cake"): "冰凉的",
    ("cold", "soup"): "凉", ("good", "soup"): "好喝的", ("big", "school"): "很大的",
    **{("beautiful", place): "美丽的" for place in
       ("garden", "forest", "park", "river", "lake", "village", "town", "beach")},
}  # fmt: skip
# Adjective and noun in one word, which may have its own measure word.
COMPOUNDS = {
    ("old", "man"): Noun("老人", "位"), ("old", "woman"): Noun("老太太", "位"), ("young", "man"): Noun("小伙子"),
    ("small", "child"): Noun("小孩"), ("young", "child"): Noun("小孩"), ("old", "teacher"): Noun("老教师", "位"),
    ("small", "sister"): Noun("小妹妹"), ("young", "sister"): Noun("小妹妹"), ("small", "brother"): Noun("小弟弟"),
    ("young", "brother"): Noun("小弟弟"), ("small", "town"): Noun("小城", "座"), ("old", "town"): Noun("古城", "座"),
}  # fmt: skip
# More than one of these is another word.
PLURALS = {"sister": "姐妹", "brother": "兄弟"}
# What nobody says, in either language: such sentences are drawn again.
UNSAYABLE = {("old", "flower"), ("heavy", "flower"), ("big", "soup"), ("small", "soup")}

# What is said of someone or something: so, and not so. A kind of noun may have its own way.
PREDICATES: dict[str, tuple[tuple[str, ...], str]] = {
    "clever": (("很聪明",), "不聪明"), "friendly": (("很友好",), "不友好"), "famous": (("很有名",), "没有名气"),
    "rich": (("很富有", "很有钱"), "不富有"), "strong": (("很强壮",), "不强壮"), "quiet": (("很安静",), "不安静"),
    "tired": (("很累", "累了"), "不累"), "happy": (("很高兴", "很开心"), "不高兴"),
    "sad": (("很难过", "很伤心"), "不难过"),
    "hungry": (("饿了", "很饿"), "不饿"), "ill": (("病了", "生病了"), "没有生病"),
    **{name: ((f"是{zh}的",), f"不是{zh}的") for name, zh in
       (("red", "红色"), ("green", "绿色"), ("blue", "蓝色"), ("white", "白色"), ("black", "黑色"), ("brown", "棕色"))},
    "beautiful": (("很漂亮",), "不漂亮"), "cheap": (("很便宜",), "不便宜"), "expensive": (("很贵",), "不贵"),
    "heavy": (("很重",), "不重"), "warm": (("很暖和",), "不暖和"), "wet": (("湿了", "是湿的"), "没有湿"),
    "fresh": (("很新鲜",), "不新鲜"), "good": (("很好吃",), "不好吃"), "cold": (("很冷",), "不冷"),
    "dark": (("很暗",), "不暗"),
}  # fmt: skip
FOOD_PREDICATES: dict[str, tuple[tuple[str, ...], str]] = {
    "warm": (("是热的",), "不热"), "cold": (("凉了", "是凉的"), "不凉"),
}  # fmt: skip
SOUP_PREDICATES = {"good": (("很好喝",), "不好喝")}
FEELING_TIMES = {"tired": "累", "happy": "高兴", "sad": "难过", "hungry": "饿", "ill": "生病"}  # before 的时候
FEELING_CASES = {"tired": "累了", "happy": "高兴", "sad": "难过", "hungry": "饿了", "ill": "病了"}  # after 如果

# The weather: what happened, what is happening, before 的时候, and after 如果.
WEATHER = {
    "rain": ("下雨了", "在下雨", "下雨", "下雨"),
    "snow": ("下雪了", "在下雪", "下雪", "下雪"),
    "cold": ("天气很冷", "天气很冷", "天冷", "天气冷"),
    "warm": ("天气很暖和", "天气很暖和", "天气暖和", "天气暖和"),
    "dark": ("天黑了", "天黑了", "天黑", "天黑了"),
}

# What comes after a place, by its English preposition; and the places that are named in another way when they have no
# adjective.
AFTER_PLACES = {
    ("in", "river"): "边", ("by", "river"): "边", ("by", "lake"): "边", ("at", "lake"): "边", ("at", "station"): "",
    ("at", "market"): "上",
    ("on", "bridge"): "上", ("on", "beach"): "上", ("at", "beach"): "上", ("on", "street"): "上",
    ("behind", "house"): "后面", ("in front of", "house"): "前面", ("under", "bridge"): "下",
    ("next to", "church"): "旁边",
    ("under", "tree"): "下", ("under", "table"): "下面", ("in front of", "door"): "前", ("at", "window"): "边",
    ("behind", "tree"): "后面",
}  # fmt: skip
BARE_PLACES = {"town": "城", "window": "窗"}
BARE_WHERE = {("at", "school"): "学校"}  # 在学校, but 在一所小学校里
# Where one goes or arrives, if it isn't the plain noun: with an adjective, and without one.
GOALS = {"river": ("{}边", "河边"), "lake": ("{}边", "湖边"), "town": ("{}", "城里"), "village": ("{}", "村里")}

TIMES = {
    "today": "今天", "now": "现在", "this evening": "今晚", "every day": "每天", "every morning": "每天早上",
    "every evening": "每天晚上", "on Sundays": "每个星期天", "yesterday": "昨天", "last week": "上周",
    "in the morning": "早上",
    "in the evening": "晚上", "on Monday": "星期一", "on Friday": "星期五", "last year": "去年", "in winter": "冬天",
    "tomorrow": "明天", "next week": "下周", "on Sunday": "星期天", "in summer": "夏天",
}  # fmt: skip

PRONOUNS = {"I": "我", "he": "他", "she": "她", "we": "我们", "they": "他们"}
OWN = {"his": "他", "her": "她", "their": "他们"}

# Modal verbs: so, and not so.
MODALS = {
    "can": (("能", "可以"), ("不能",)),
    "could": (("能", "当时能"), ("没能", "不能")),
    "must": (("必须", "得"), ()),
    "had to": (("不得不", "必须"), ()),
    "want to": (("想",), ("不想",)),
    "wanted to": (("想", "当时想"), ("不想", "当时不想")),
    "should": (("应该",), ("不应该", "不该")),
}

VERBS = {
    "see": noticing("看见", "看到"),
    "know": lasting("认识"),
    "love": lasting("爱"),
    "hear": noticing("听见", "听到"),
    "find": noticing("找到", "发现"),
    "look for": Verb(("在找{o}", "找过{o}"), "找{o}", "在找{o}", "找{o}", "找过{o}"),
    "visit": act("看望", past=("看望了{o}", "拜访了{o}")),
    "buy": act("买"),
    "sell": act("卖"),
    "carry": carrying("拿"),
    "draw": act("画"),
    "repair": act("修", "好", base="修{o}", moved="修好"),
    "read": act("读", past=("读了{o}", "看了{o}")),
    "write": act("写"),
    "eat": act("吃", moved="吃"),
    "cook": act("煮"),
    "wash": act("洗", moved="洗"),
    "put on": act("穿", "上"),
    "open": act("打开", moved="打开"),
    "close": act("关", "上", moved="关上"),
    "clean up": act("打扫", past=("打扫了{o}", "收拾了{o}")),
    "call": split("给", "打", "电话"),
    "invite": act("邀请"),
    "pick up": act("捡", "起", moved="捡起来"),
    "help": act("帮助", past=("帮助了{o}", "帮了{o}")),
    "thank": act("感谢", past=("感谢了{o}", "向{o}道了谢")),
    "follow": Verb(("跟着{o}走了",), "跟着{o}走", "跟着{o}走", "跟着{o}走", "跟着{o}走了"),
}
SOLD = act("卖", "掉", moved="卖掉")  # of something definite
UNABLE = {"see": "看不见{o}", "hear": "听不见{o}", "find": "找不到{o}"}
# The verb for a kind of object, or for one noun.
KIND_VERBS = {
    ("love", "animal"): Verb(("很喜欢{o}",), "喜欢{o}", "喜欢{o}", "喜欢{o}", "喜欢{o}"),
    ("wash", "animal"): split("给", "洗", "澡"),
    ("visit", "person"): act("拜访", past=("拜访了{o}", "看望了{o}")),
}  # fmt: skip
NOUN_VERBS = {
    ("eat", "soup"): act("喝", moved="喝"), ("cook", "fish"): act("做"),
    ("cook", "soup"): act("做", past=("做了{o}", "煮了{o}")), ("put on", "hat"): act("戴", "上"),
    ("carry", "chair"): carrying("搬"), ("carry", "bag"): carrying("提"),
    ("pick up", "chair"): act("搬", "起", moved="搬起来"),
    **{("pick up", noun): act("拿", "起", moved="拿起来") for noun in ("lamp", "bag", "clock", "cup", "picture")},
}  # fmt: skip

# How the animals sit that don't sit as people do.
SITTING = {"horse": "卧", "cow": "卧", "bird": "停", "duck": "蹲", "rabbit": "蹲"}

# What someone does somewhere: after 在 and a place; without a place what happened, what is happening, and after 会.
RESTING = {
    "sleep": ("睡觉", "睡觉了", "在睡觉", "睡觉"),
    "wait": ("等着", "在等", "在等", "等着"),
    "sit": ("", "坐着", "坐着", "坐着"),
    "play": ("玩", "在玩", "在玩", "玩"),
    "work": ("工作", "在工作", "在工作", "工作"),
    "sing": ("唱歌", "唱了歌", "在唱歌", "唱歌"),
    "dance": ("跳舞", "跳了舞", "在跳舞", "跳舞"),
}

# Motion, by verb and English preposition: what happened, what is happening, and after 会.
MOTION = {
    ("go", "into"): ("走进了{}", "正往{}里走", "走进{}"),
    ("go", "to"): ("去了{}", "正在去{}的路上", "去{}"),
    ("go", "over"): ("走过了{}", "正走过{}", "走过{}"),
    ("go", "through"): ("穿过了{}", "正在穿过{}", "穿过{}"),
    ("run", "into"): ("跑进了{}", "正往{}里跑", "跑进{}"),
    ("run", "to"): ("跑到了{}", "正往{}跑", "跑到{}"),
    ("run", "over"): ("跑过了{}", "正跑过{}", "跑过{}"),
    ("run", "through"): ("跑着穿过了{}", "正跑着穿过{}", "跑着穿过{}"),
    ("drive", "to"): ("开车去了{}", "正开车去{}", "开车去{}"),
    ("drive", "over"): ("开车过了{}", "正开车过{}", "开车过{}"),
    ("drive", "through"): ("开车穿过了{}", "正开车穿过{}", "开车穿过{}"),
}

# Giving, with the receiver ``{r}``: what happened, the same to a definite thing, what is happening, and after 会 of a
# thing and of a definite one.
GIVING = {
    "give": ("给了{r}{o}", "把{o}给了{r}", "正在把{o}送给{r}", "给{r}{o}", "把{o}给{r}"),
    "show": ("给{r}看了{o}", "给{r}看了{o}", "正在给{r}看{o}", "给{r}看{o}", "给{r}看{o}"),
    "send": ("给{r}寄了{o}", "把{o}寄给了{r}", "正在给{r}寄{o}", "给{r}寄{o}", "把{o}寄给{r}"),
    "bring": ("给{r}带来了{o}", "把{o}带给了{r}", "正在给{r}送{o}", "给{r}带{o}", "把{o}带给{r}"),
    "sell": ("卖给了{r}{o}", "把{o}卖给了{r}", "正在把{o}卖给{r}", "卖给{r}{o}", "把{o}卖给{r}"),
}
SAYING = {"know": ("知道",), "think": ("认为", "觉得"), "say": ("说",), "hope": ("希望",)}
