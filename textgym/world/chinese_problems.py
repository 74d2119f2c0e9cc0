"""Arithmetic word problems in Chinese."""

from functools import partial

from textgym.world import chinese_lexicon as lex
from textgym.world.problems import Part, Wording, problem_grammar

CHINESE = Wording(
    has=("{x}有{v}{things}。", "{x}家里有{v}{things}。", "{x}在{town}找到了{v}{things}。"),
    has_in=(
        Part("{x}有{k}个{boxes}，每个里面有{v}{things}。", "*"),
        Part("{x}的店里有{k}个{boxes}，每个里面有{v}{things}。", "*"),
        Part("{x}有{v}{things}，{y}又给了{him}{k}{things}。", "+"),
        Part("{x}{day}买了{v}{things}，第二天又买了{k}{things}。", "+"),
    ),
    more=(
        Part("{he}又买了{k}{things}。", "+"),
        Part("{y}又给了{him}{k}{things}。", "+"),
        Part("{day}，{he}又得到{k}{things}。", "+"),
        Part("朋友们又送来{k}{things}。", "+"),
    ),
    less=(
        Part("{he}给了{y}{k}{things}。", "-"),
        Part("{he}在公交车上丢了{k}{things}。", "-"),
        Part("{he}在市场上卖了{k}{things}。", "-"),
        Part("{day}，{y}拿走了{k}{things}。", "-"),
    ),
    how_many=("{x}现在有多少{things}？", "最后一共有多少{things}？"),
    times=(
        Part("每{things}{k}块钱。一共多少块钱？", "*"),
        Part("{he}把它们都卖了，每{things}卖{k}块钱。{he}一共得到多少块钱？", "*"),
        Part("{z}现在有的是{x}的{k}倍。{z}有多少{things}？", "*"),
    ),
    share=(
        Part("{he}把它们平均分给{k}个朋友。每个朋友得到多少{things}？", "/"),
        Part("{he}把它们平均放进{k}个{boxes}。每个{boxes}里有多少{things}？", "/"),
    ),
    compare=(
        Part("{z}现在比{x}多{k}{things}。{z}有多少{things}？", "+"),
        Part("{z}现在比{x}少{k}{things}。{z}有多少{things}？", "-"),
    ),
    people=tuple((name, (he, he, he)) for name, he in lex.PEOPLE),
    things=(
        "个苹果", "个梨", "个鸡蛋", "块蛋糕", "本书", "封信", "支铅笔", "张邮票", "张卡片", "个杯子", "个碗", "个玩具",
        "个球", "朵花", "个贝壳", "块石头", "把钥匙", "顶帽子", "根蜡烛", "张照片",
    ),
    boxes=("盒子", "袋子", "篮子", "箱子", "抽屉", "柜子"),
    towns=lex.TOWNS,
    days=lex.DAYS,
    between="",
)  # fmt: skip

chinese_problem_grammar = partial(problem_grammar, wording=CHINESE)
