"""The small world in Chinese: its people, places, things and days, as tables that the Chinese grammars draw from."""

from textgym.world.draw import Draw

SHE, HE = "她", "他"
WOMEN = ("王芳", "李娜", "张丽", "刘敏", "陈静", "杨雪", "赵兰", "周婷", "吴梅", "孙月", "林燕", "何琳")
MEN = ("王强", "李明", "张伟", "刘洋", "陈杰", "杨帆", "赵军", "周涛", "吴刚", "孙鹏", "林峰", "何勇")
PEOPLE = (*((name, SHE) for name in WOMEN), *((name, HE) for name in MEN))
FRIENDS = ("姐姐", "哥哥", "妈妈", "爸爸", "朋友", "同事", "妻子", "丈夫", "女儿", "儿子")
JOBS = ("面包师", "老师", "医生", "画家", "农民", "护士", "飞行员", "歌手", "裁缝", "作家", "工程师", "木匠")
HOBBIES = ("下棋", "骑车", "跳舞", "钓鱼", "爬山", "织毛衣", "画画", "读书", "跑步", "唱歌", "游泳", "摄影")
TOWNS = ("青山镇", "柳河镇", "白石镇", "南桥镇", "长宁镇", "东湖镇", "云溪镇", "临江镇")
DAYS = ("星期一", "星期二", "星期三", "星期四", "星期五", "星期六", "星期天")
COLORS = ("黑色", "蓝色", "棕色", "绿色", "灰色", "红色", "白色", "黄色")
FOODS = ("面条", "饺子", "米饭", "烤鱼", "鸡汤", "蛋糕", "面包", "包子", "豆腐", "沙拉")
# The names of restaurants, hotels, films and books.
NAMES = tuple(
    look + thing
    for look in ("红", "蓝", "金", "银", "老", "绿", "白", "黑", "小")
    for thing in ("狐狸", "灯笼", "玫瑰", "皇冠", "天鹅", "铃铛", "狮子", "星星", "橡树", "月亮", "帆船", "钥匙")
)
MATERIALS = {  # material: the things that can be made of it
    "玻璃": ("碗", "盒子", "杯子", "灯", "戒指", "桌子"),
    "金属": ("碗", "盒子", "椅子", "杯子", "灯", "戒指", "桌子", "玩具"),
    "纸": ("包", "盒子", "灯", "雨伞"),
    "丝绸": ("包", "雨伞"),
    "木头": ("碗", "盒子", "椅子", "杯子", "灯", "戒指", "桌子", "玩具"),
    "皮革": ("包", "盒子", "椅子"),
}
MADE_THINGS = tuple(dict.fromkeys(thing for things in MATERIALS.values() for thing in things))
# The measure words that aren't 个.
MEASURES = {
    "椅子": "把", "雨伞": "把", "小提琴": "把", "吉他": "把", "灯": "盏", "台灯": "盏", "桌子": "张", "戒指": "枚",
    "镜子": "面", "自行车": "辆", "汽车": "辆", "船": "条", "钟": "座", "收音机": "台", "照相机": "台",
    "钢琴": "架", "帽子": "顶", "帐篷": "顶",
}  # fmt: skip


def measured(thing: str, described: str = "") -> str:
    """One of a thing, with its measure word.

    >>> measured("椅子"), measured("包", "红色的")
    ('一把椅子', '一个红色的包')
    """
    return f"一{MEASURES.get(thing, '个')}{described}{thing}"


def two_people(draw: Draw) -> dict[str, str]:
    """Slots for two people: ``{x}`` and ``{y}``, what they are called later, and what both of them are."""
    (x, he), (y, yhe) = draw.sample(PEOPLE, 2)
    return {"x": x, "he": he, "y": y, "yhe": yhe, "they": f"{SHE if he == yhe == SHE else HE}们"}
