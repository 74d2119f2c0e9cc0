"""The plots of the Chinese stories, with the questions that they answer, as data.

In every text, {x} is the hero and {y} another person; {he} is the hero's pronoun, {yhe} the other one's, and {they}
that of both. ``{one_thing}`` is ``{thing}`` with its measure word. Other braces are the plot's own slots.
"""

from textgym.world.plots import Outcome, Plot
from textgym.world.questions import Question


def _asked(kind: str, text: str, *answers: str, needs: str = "", outcome: int | None = None) -> Question:
    return Question(kind, text, answers, needs, outcome)


# Sentences with nothing that a summary needs: about the day, and about the hero.
DAY_FILLERS = ("那天很暖和。", "那天很冷。", "那天风很大。", "那天是阴天。")
HERO_FILLERS = ("{he}是一位{job}。", "{he}喜欢{hobby}。")
OF_HEROES = (
    _asked("what", "{x}是做什么工作的？", "{job}", needs="{he}是一位{job}"),
    _asked("what", "{x}喜欢什么？", "{hobby}", needs="{he}喜欢{hobby}"),
)

LOST = Plot(
    {
        "thing": ("钥匙", "雨伞", "手表", "帽子", "手机", "书包", "戒指", "课本"),
        "place": ("公园里", "车站", "公交车上", "市场上", "图书馆里", "沙滩上"),
    },
    (
        ("{day}，{x}发现自己的{thing}不见了。", "{day}，{x}怎么也找不到自己的{thing}。"),
        ("{he}找遍了每个房间。", "{he}把床底下和门后面都找过了。"),
        ("那是{he}妈妈送的礼物。", "{he}很着急。", ""),
        ("{he}请{y}帮忙。", "{he}把这件事告诉了{y}。"),
    ),
    (
        Outcome(
            ("{y}在{place}找到了{thing}。", "{x}高兴极了。"),
            ("{x}丢了{thing}，{y}在{place}找到了它。", "{y}在{place}找到了{x}丢的{thing}。"),
        ),
        Outcome(
            ("{they}去{place}找，也没有找到。", "最后{x}只好买了新的。"),
            ("{x}丢了{thing}，只好买了新的。", "{x}和{y}没有找到{thing}，{x}只好买了新的。"),
        ),
        Outcome(
            ("{y}笑着打开了包。", "原来{thing}是{yhe}前一天借走的。"),
            ("{x}的{thing}不见了，原来是{y}借走的。", "{y}借走了{x}找不到的{thing}。"),
        ),
    ),
)
_OF_LOST = (
    _asked("who", "谁的{thing}不见了？", "{x}"),
    _asked("who", "{x}请谁帮忙？", "{y}", needs="请{y}帮忙"),
    _asked("who", "{x}把这件事告诉了谁？", "{y}", needs="告诉了{y}"),
    _asked("who", "谁找到了{thing}？", "{y}", outcome=0),
    _asked("who", "{thing}是谁借走的？", "{y}", outcome=2),
    _asked("what", "{x}丢了什么？", "{thing}", outcome=0),
    _asked("what", "{x}找不到什么？", "{thing}"),
    _asked("where", "{y}在哪里找到了{thing}？", "{place}", "在{place}", outcome=0),
    _asked("where", "{they}一起去哪里找{thing}？", "{place}", outcome=1),
    _asked("where", "{x}先找了哪些地方？", "床底下和门后面", needs="床底下和门后面"),
    _asked("where", "{x}先找了哪些地方？", "每个房间", needs="每个房间"),
    _asked("when", "{thing}是哪天不见的？", "{day}"),
    _asked("when", "{thing}是什么时候借走的？", "前一天", outcome=2),
)

REPAIR = Plot(
    {"thing": ("自行车", "钟", "收音机", "台灯", "椅子", "汽车", "船", "钢琴"), "kind": ("旧", "小", "大")},
    (
        ("{y}有{one_kind}。",),
        ("{yhe}每天都用它。", "那是{yhe}爸爸留下的。"),
        ("{day}，{thing}坏了。", "一天早上，{thing}坏了。"),
        ("{y}没有钱买新的。", "{y}很难过。", ""),
        ("邻居{x}想帮{yhe}。", "{y}请{x}帮忙。"),
    ),
    (
        Outcome(
            ("{x}修了整整一夜。", "第二天，它又跟新的一样了。"),
            ("{x}修好了{y}的{thing}。", "{y}的{thing}坏了，{x}把它修好了。"),
        ),
        Outcome(
            ("{x}想尽办法也没修好。", "{he}就把自己的{thing}送给了{y}。"),
            ("{x}修不好{y}的{thing}，就把自己的送给了{yhe}。", "{y}的{thing}坏了，{x}把自己的送给了{yhe}。"),
        ),
        Outcome(
            ("{x}一个小时就修好了。", "{y}送给{he}一个大蛋糕。"),
            ("{x}修好了{y}的{thing}，得到了一个大蛋糕。", "{y}送给{x}一个大蛋糕，因为{he}修好了{thing}。"),
        ),
    ),
)
_OF_REPAIR = (
    _asked("who", "谁的{thing}坏了？", "{y}"),
    _asked("who", "谁是{y}的邻居？", "{x}", needs="邻居{x}"),
    _asked("who", "{y}请谁帮忙？", "{x}", needs="请{x}帮忙"),
    _asked("who", "{thing}是谁留下的？", "{yhe}爸爸", "爸爸", needs="爸爸留下"),
    _asked("who", "谁修了整整一夜？", "{x}", outcome=0),
    _asked("what", "什么坏了？", "{thing}"),
    _asked("what", "{y}有什么？", "{one_kind}", "{kind}{thing}"),
    _asked("what", "{x}把什么送给了{y}？", "自己的{thing}", "{thing}", outcome=1),
    _asked("what", "{y}送给{x}什么？", "一个大蛋糕", "大蛋糕", outcome=2),
    _asked("when", "{thing}是什么时候坏的？", "{day}", needs="{day}，{thing}"),
    _asked("when", "{thing}是什么时候坏的？", "一天早上", needs="一天早上"),
    _asked("when", "{thing}什么时候又跟新的一样了？", "第二天", outcome=0),
    _asked("when", "{x}修了多久？", "一个小时", outcome=2),
)

CONTEST = Plot(
    {
        "contest": ("象棋比赛", "唱歌比赛", "跳舞比赛", "厨艺比赛", "自行车比赛", "划船比赛"),
        "prize": ("一个银杯", "一辆新自行车", "一枚金戒指", "一个大蛋糕", "一台照相机"),
    },
    (
        ("{day}，{town}举行了{contest}。", "{day}，{town}有一场{contest}。"),
        ("{x}很想得第一名。", "{x}想赢得{prize}。"),
        ("{he}每天晚上都练习。", "{he}练习了三个星期。"),
        ("很多人来看比赛。", "朋友们都来看比赛。", ""),
        ("{x}很紧张，但是很努力。", "一开始{x}很不顺利。"),
    ),
    (
        Outcome(
            ("最后{he}得了第一名。", "{he}的奖品是{prize}。"),
            ("{x}在{town}的{contest}上赢得了{prize}。", "{x}赢了{town}的{contest}，得到了{prize}。"),
        ),
        Outcome(
            ("可是{y}表现得更好。", "{x}得了第二名，还是笑了。"),
            ("{x}在{town}的{contest}上输给了{y}。", "{y}在{town}的{contest}上赢了{x}。"),
        ),
        Outcome(
            ("突然来了一场暴雨。", "大家都跑回家，没有人得奖。"),
            ("因为暴雨，{town}的{contest}没有人得奖。", "一场暴雨让{town}的{contest}中断了。"),
        ),
    ),
)
_OF_CONTEST = (
    _asked("who", "谁练习了{contest}？", "{x}"),
    _asked("who", "谁得了第一名？", "{x}", outcome=0),
    _asked("who", "谁比{x}表现得更好？", "{y}", outcome=1),
    _asked("who", "谁来看比赛？", "很多人", needs="很多人"),
    _asked("who", "谁来看比赛？", "朋友们", needs="朋友们"),
    _asked("what", "{x}参加了什么？", "{contest}"),
    _asked("what", "{x}想赢得什么？", "{prize}", needs="想赢得{prize}"),
    _asked("what", "{x}的奖品是什么？", "{prize}", outcome=0),
    _asked("what", "突然来了什么？", "一场暴雨", "暴雨", outcome=2),
    _asked("where", "{contest}是在哪里举行的？", "{town}", "在{town}"),
    _asked("when", "{contest}是哪天举行的？", "{day}"),
    _asked("when", "{x}什么时候练习？", "每天晚上", "晚上", needs="每天晚上"),
    _asked("when", "{x}练习了多久？", "三个星期", needs="三个星期"),
)

GIFT = Plot(
    {
        "thing": ("钟", "台灯", "镜子", "戒指", "包", "碗", "小提琴", "帽子"),
        "made": ("一个蛋糕", "一个玩具", "一张贺卡", "一只风筝", "一盏灯笼"),
    },
    (
        ("{day}是{y}的生日。", "{y}的生日是{day}。"),
        ("{x}想送{yhe}一件特别的礼物。", "{x}想给{yhe}买一件礼物。"),
        ("{he}身上只有几块钱。", "{he}攒了一些钱。"),
        ("{he}去了{town}的市场。", "{he}在{town}逛了很多商店。"),
    ),
    (
        Outcome(
            ("{he}在那里买到了{one_color}。", "{y}很喜欢，把它放在房间里。"),
            ("{x}买了{one_color}给{y}过生日。", "{y}过生日，{x}送给{yhe}{one_color}。"),
        ),
        Outcome(
            ("可是东西都太贵了。", "{he}就回家做了{made}。", "{y}最喜欢这件礼物。"),
            ("{x}做了{made}给{y}过生日。", "{y}过生日，{x}做了{made}送给{yhe}。"),
        ),
        Outcome(
            ("{he}在那里买了{one_color}。", "可是{he}在回家的路上把它弄丢了。"),
            ("{x}给{y}买了{one_color}，却弄丢了。", "{x}弄丢了给{y}买的{color}的{thing}。"),
        ),
    ),
)
_OF_GIFT = (
    _asked("who", "那天是谁的生日？", "{y}"),
    _asked("who", "谁想送礼物？", "{x}"),
    _asked("what", "{x}买到了什么？", "{one_color}", "{color}的{thing}", outcome=0),
    _asked("what", "{x}做了什么？", "{made}", outcome=1),
    _asked("what", "{x}弄丢了什么？", "{one_color}", "{color}的{thing}", outcome=2),
    _asked("where", "{x}去了哪里？", "{town}的市场", "市场", needs="去了{town}的市场"),
    _asked("where", "{x}在哪里逛了商店？", "{town}", "在{town}", needs="在{town}逛"),
    _asked("where", "{y}把礼物放在哪里？", "房间里", "放在房间里", outcome=0),
    _asked("where", "礼物是在哪里弄丢的？", "回家的路上", "在回家的路上", outcome=2),
    _asked("when", "{y}的生日是哪天？", "{day}"),
)

ANIMAL = Plot(
    {
        "animal": ("猫", "狗", "鸟", "兔子", "羊", "乌龟", "鸭子"),
        "fur": ("黑色", "白色", "灰色", "棕色"),
        "place": ("森林里", "沙滩上", "公园里", "河边", "教堂后面"),
    },
    (
        ("{day}，{x}在{place}散步。", "一天早上，{x}在{place}散步。"),
        ("{he}正要回家。", ""),
        ("树下有一只小{animal}。", "{he}看见地上有一只{fur}的{animal}。"),
        ("它饿得动不了。", "它又湿又冷。"),
        ("{x}把它放进包里，带回了家。", "{x}把它抱回家，给它喝了牛奶。"),
    ),
    (
        Outcome(
            ("{animal}很快就好了。", "{x}把它留了下来。"),
            ("{x}在{place}捡到一只{animal}，把它留了下来。", "{x}留下了在{place}捡到的{animal}。"),
        ),
        Outcome(
            ("一个星期以后，它又有力气了。", "{x}就把它放了。"),
            ("{x}在{place}救了一只{animal}，后来放了它。", "{x}救了{place}的一只{animal}，后来放了它。"),
        ),
        Outcome(
            ("第二天，{y}来敲门。", "{animal}是{yhe}的，{yhe}高兴得哭了。"),
            ("{x}在{place}捡到的{animal}是{y}的。", "{x}在{place}捡到了{y}丢的{animal}。"),
        ),
    ),
)
_OF_ANIMAL = (
    _asked("who", "谁把它带回了家？", "{x}", needs="带回了家"),
    _asked("who", "谁给它喝了牛奶？", "{x}", needs="牛奶"),
    _asked("who", "{animal}是谁的？", "{y}", outcome=2),
    _asked("who", "第二天谁来敲门？", "{y}", outcome=2),
    _asked("what", "树下有什么？", "一只小{animal}", "小{animal}", needs="树下有"),
    _asked("what", "{x}看见地上有什么？", "一只{fur}的{animal}", "{fur}的{animal}", needs="看见地上"),
    _asked("what", "{x}给它喝了什么？", "牛奶", needs="牛奶"),
    _asked("where", "{x}在哪里散步？", "{place}", "在{place}"),
    _asked("where", "小{animal}在哪里？", "树下", "在树下", needs="树下有"),
    _asked("where", "{x}把它放进了哪里？", "包里", needs="放进包里"),
    _asked("when", "{x}是什么时候散步的？", "{day}", needs="{day}"),
    _asked("when", "{x}是什么时候散步的？", "一天早上", needs="一天早上"),
    _asked("when", "它什么时候又有力气了？", "一个星期以后", outcome=1),
    _asked("when", "{y}是什么时候来敲门的？", "第二天", outcome=2),
)

TRAIN = Plot(
    {"why": ("雪下得太大", "路被封了", "公交车来晚了", "自行车坏了")},
    (
        ("{x}想去{town}看{y}。", "{y}住在{town}，{x}想去看{yhe}。"),
        ("{they}两年没见面了。", "{they}是老朋友。", ""),
        ("{day}，{he}起得很早。", "{day}，{he}收拾好了行李。"),
        ("可是在去车站的路上，{why}。",),
        ("{he}没赶上火车。", "火车没等{he}就开走了。"),
    ),
    (
        Outcome(
            ("{x}坐汽车去，晚上才到。", "{y}准备了热汤，还在等{he}。"),
            ("{x}没赶上火车，坐汽车去{town}看了{y}。", "因为没赶上火车，{x}坐汽车去看了{town}的{y}。"),
        ),
        Outcome(
            ("{y}就开车来看{he}。", "{yhe}开了一整天。"),
            ("{x}没赶上去{town}的火车，{y}就开车来看{he}。", "{y}开车来看没赶上火车的{x}。"),
        ),
        Outcome(
            ("{x}只好回家。", "{he}给{y}写了一封长信。"),
            ("{x}没赶上去{town}的火车，就给{y}写了信。", "因为没赶上火车，{x}给{town}的{y}写了信。"),
        ),
    ),
)
_OF_TRAIN = (
    _asked("who", "{x}想去看谁？", "{y}"),
    _asked("who", "谁没赶上火车？", "{x}"),
    _asked("who", "谁开了一整天的车？", "{y}", outcome=1),
    _asked("what", "去车站的路上发生了什么？", "{why}"),
    _asked("what", "{y}准备了什么？", "热汤", outcome=0),
    _asked("what", "{x}给{y}写了什么？", "一封长信", "信", outcome=2),
    _asked("where", "{y}住在哪里？", "{town}", "住在{town}"),
    _asked("when", "{x}哪天起得很早？", "{day}", needs="起得很早"),
    _asked("when", "{x}哪天收拾好了行李？", "{day}", needs="行李"),
    _asked("when", "{x}什么时候到的？", "晚上", outcome=0),
    _asked("when", "{y}开了多久的车？", "一整天", outcome=1),
    _asked("when", "{they}多久没见面了？", "两年", needs="两年"),
)

TRADE = Plot(
    {"one": ("吉他", "照相机", "钟", "桌子", "帐篷"), "two": ("自行车", "收音机", "镜子", "椅子", "船")},
    (
        ("{x}有{one_one}，可是从来不用。", "{x}家里有{one_one}。"),
        ("{he}更想要{one_two}。", "{he}真正需要的是{one_two}。"),
        ("{day}，{he}在市场上遇见了{y}。", "{day}，{he}在{town}遇见了{y}。"),
        ("{y}正好要卖{one_two}。", "{y}正好有{one_two}。"),
        ("{they}谈了一个小时。", "{they}一起喝了茶。", ""),
    ),
    (
        Outcome(
            ("最后{they}交换了。", "两个人都高高兴兴地回家了。"),
            ("{x}用{one}换了{y}的{two}。", "{y}用{two}换了{x}的{one}。"),
        ),
        Outcome(
            ("可是{y}不想要{one}。", "{x}就花{n}块钱买下了{two}。"),
            ("{x}花{n}块钱买了{y}的{two}。", "{y}把{two}卖给了{x}，卖了{n}块钱。"),
        ),
        Outcome(
            ("可是{y}要的太多了。", "{x}就带着{one}回家了。"),
            ("{x}想要{y}的{two}，但是留下了{one}。", "{x}和{y}没有用{one}换{two}。"),
        ),
    ),
)
_OF_TRADE = (
    _asked("who", "谁正好有{two}？", "{y}", needs="正好有"),
    _asked("who", "谁要卖{two}？", "{y}", needs="正好要卖"),
    _asked("who", "{x}遇见了谁？", "{y}"),
    _asked("what", "{x}有什么？", "{one_one}", "{one}"),
    _asked("what", "{x}想要什么？", "{one_two}", "{two}"),
    _asked("what", "{x}花了多少钱？", "{n}块钱", "{n}块", outcome=1),
    _asked("what", "{they}一起喝了什么？", "茶", needs="喝了茶"),
    _asked("where", "{they}是在哪里遇见的？", "市场上", "在市场上", needs="在市场上"),
    _asked("where", "{they}是在哪里遇见的？", "{town}", "在{town}", needs="在{town}遇见"),
    _asked("when", "{they}是哪天遇见的？", "{day}"),
    _asked("when", "{they}谈了多久？", "一个小时", needs="一个小时"),
)

SHOP = Plot(
    {"shop": ("面包店", "书店", "咖啡馆", "花店", "玩具店", "饭馆")},
    (
        ("{x}在{town}的一家银行上班。", "{x}在{town}的一家公司上班。"),
        ("工作很无聊。", "{he}不喜欢老板。", ""),
        ("{he}一直想开一家{shop}。",),
        ("{y}借给{he}一些钱。", "{y}劝{he}试一试。"),
        ("春天，{he}的{shop}开张了。", "{day}，{he}的{shop}开张了。"),
    ),
    (
        Outcome(
            ("店里天天都坐满了人。", "{x}从来没有后悔。"),
            ("在{y}的帮助下，{x}开了一家{shop}。", "{x}不再上班，开了一家{shop}。"),
        ),
        Outcome(
            ("可是来的人很少。", "一年以后，店关门了。"),
            ("{x}开了一家{shop}，可是一年以后关门了。", "{x}的{shop}一年以后就关门了。"),
        ),
        Outcome(
            ("{he}很快就忙不过来了。", "{y}就来跟{he}一起开店。"),
            ("{x}和{y}一起开了一家{shop}。", "{x}开了一家{shop}，后来{y}也来帮忙。"),
        ),
    ),
    has_job=True,
)
_OF_SHOP = (
    _asked("who", "谁借给{x}一些钱？", "{y}", needs="借给"),
    _asked("who", "谁劝{x}试一试？", "{y}", needs="劝"),
    _asked("who", "谁的{shop}开张了？", "{x}"),
    _asked("who", "谁来跟{x}一起开店？", "{y}", outcome=2),
    _asked("what", "{x}一直想开什么？", "一家{shop}", "{shop}"),
    _asked("where", "{x}在哪里上班？", "{town}的一家银行", "银行", needs="银行"),
    _asked("where", "{x}在哪里上班？", "{town}的一家公司", "公司", needs="公司"),
    _asked("when", "{shop}是什么时候开张的？", "春天", needs="春天"),
    _asked("when", "{shop}是什么时候开张的？", "{day}", needs="{day}"),
    _asked("when", "店是什么时候关门的？", "一年以后", outcome=1),
)

QUESTIONS: tuple[tuple[Plot, tuple[Question, ...]], ...] = (
    (LOST, _OF_LOST),
    (REPAIR, _OF_REPAIR),
    (CONTEST, _OF_CONTEST),
    (GIFT, _OF_GIFT),
    (ANIMAL, _OF_ANIMAL),
    (TRAIN, _OF_TRAIN),
    (TRADE, _OF_TRADE),
    (SHOP, _OF_SHOP),
)
