"""The Chinese of the translation grammar, checked by hand."""

import re

import pytest

from tests.world.clauses import GIVE, KNOW_THAT, TODAY, TOMORROW, YESTERDAY, be, clause, np, place
from textgym.errors import ConfigError
from textgym.tasks import Translation
from textgym.world import Draw, chinese, chinese_words, translation_grammar
from textgym.world import bilingual as two
from textgym.world.lexicon import PEOPLE
from textgym.world.syntax import Pronoun, compound, question, statement
from textgym.world.translation import CONSTRUCTIONS, PAIRS

_, SHOW, SEND, BRING, SELL = two.GIVING
_, THINK, SAY, HOPE = two.SAYING
NOW, TONIGHT, SUNDAYS = ("now", "jetzt"), ("this evening", "heute Abend"), ("on Sundays", "sonntags")
GARDEN = place("in", "in", "garden")

SENTENCES = [
    # Measure words, one for each kind of noun, and the words for "the", "a" and "this"
    (
        statement(clause(np("boy"), GIVE, np("apple", "a", "big"), np("woman", "the", "old"), tense="past")),
        "The boy gave the old woman a big apple.",
        "那个男孩给了那位老太太一个大苹果。",
    ),
    (
        statement(clause(np("man", adjective="old"), "see", np("dog", adjective="black"))),
        "The old man sees the black dog.",
        "那位老人看见了那只黑狗。",
    ),
    (
        statement(clause(np("woman", "a", "young"), "buy", np("lamp", "a", "red"), tense="progressive")),
        "A young woman is buying a red lamp.",
        "有个年轻的女人正在买一盏红色的灯。",
    ),
    (
        statement(clause(np("girl", "this", "clever"), "draw", np("horse", "our", "brown"), tense="progressive")),
        "This clever girl is drawing our brown horse.",
        "这个聪明的女孩正在画我们棕色的马。",
    ),
    (
        statement(clause(np("king"), "sell", np("chair", "two", "", True), tense="past")),
        "The king sold two chairs.",
        "国王卖了两把椅子。",
    ),
    (
        statement(clause(np("farmer", "many", "", True), "help", np("guest", "the", "hungry", True), tense="past")),
        "Many farmers helped the hungry guests.",
        "许多农民帮助了那些饥饿的客人。",
    ),
    (
        statement(clause("I", "write", np("letter", "a", "long"), tense="past", time=YESTERDAY)),
        "I wrote a long letter yesterday.",
        "我昨天写了一封很长的信。",
    ),
    (
        statement(clause("we", "buy", np("fish", "three", "", True), tense="past")),
        "We bought three fish.",
        "我们买了三条鱼。",
    ),
    (
        statement(clause("they", "draw", np("forest", "this", "old"), tense="past")),
        "They drew this old forest.",
        "他们画了这片古老的森林。",
    ),
    # Whose: relatives without 的, one's own things with 自己
    (
        statement(clause(np("mother", "my"), "wash", np("jacket", "a"), tense="past")),
        "My mother washed a jacket.",
        "我妈妈洗了一件夹克。",
    ),
    (
        statement(clause(np("grandmother", "our", "friendly"), "visit", np("friend", "my"), tense="past")),
        "Our friendly grandmother visited my friend.",
        "我们友好的奶奶看望了我的朋友。",
    ),
    (
        statement(clause("he", "put on", np("hat", "his", "red"), tense="progressive")),
        "He is putting on his red hat.",
        "他正在戴自己的红帽子。",
    ),
    (
        statement(clause(np("sister", "my", "small"), "put on", np("dress", "a", "new"), tense="past")),
        "My small sister put on a new dress.",
        "我的小妹妹穿上了一条新裙子。",
    ),
    (
        statement(clause("I", "sell", np("chair", "my", "heavy"), tense="past")),
        "I sold my heavy chair.",
        "我卖掉了我那把很重的椅子。",
    ),
    # Verbs that depend on what something is done to
    (statement(clause("we", "eat", np("soup", "this"), tense="past")), "We ate this soup.", "我们喝了这碗汤。"),
    (statement(clause("she", "cook", np("fish", "a"), tense="past")), "She cooked a fish.", "她做了一条鱼。"),
    (statement(clause("she", "cook", np("egg", "a"), tense="past")), "She cooked an egg.", "她煮了一个鸡蛋。"),
    (
        statement(clause("Paul", "wash", np("dog", "the"), tense="progressive")),
        "Paul is washing the dog.",
        "保罗正在给那只狗洗澡。",
    ),
    (statement(clause("I", "hear", np("bird", "a"), tense="past")), "I heard a bird.", "我听见了一只鸟的叫声。"),
    (statement(clause("Ida", "hear", Pronoun("he"), tense="past")), "Ida heard him.", "艾达听见了他的声音。"),
    (statement(clause("he", "love", np("cat", "the"))), "He loves the cat.", "他很喜欢那只猫。"),
    (
        statement(clause("they", "carry", np("chair", "a"), tense="progressive")),
        "They are carrying a chair.",
        "他们正搬着一把椅子。",
    ),
    (statement(clause("Mia", "pick up", np("key"), tense="past")), "Mia picked up the key.", "米娅捡起了那把钥匙。"),
    (
        statement(clause(np("dog", "our"), "follow", np("bear", "a", "strong"), tense="past")),
        "Our dog followed a strong bear.",
        "我们的狗跟着一头强壮的熊走了。",
    ),
    (
        statement(clause("she", "call", np("doctor"), tense="past", time=YESTERDAY)),
        "She called the doctor yesterday.",
        "她昨天给那位医生打了电话。",
    ),
    (statement(clause("they", "look for", np("ball"), tense="past")), "They looked for the ball.", "他们在找那个球。"),
    # Giving: 把 for a thing that is known
    (
        statement(clause("Anna", GIVE, np("letter", "this"), np("neighbour", "my", "friendly"), tense="future")),
        "Anna will give my friendly neighbour this letter.",
        "安娜会把这封信给我友好的邻居。",
    ),
    (
        statement(clause("Rosa", SHOW, np("picture", "a"), np("child", "this"), tense="past")),
        "Rosa showed this child a picture.",
        "罗莎给这个孩子看了一幅画。",
    ),
    (
        statement(clause("he", SEND, np("coat", "the"), Pronoun("she"), tense="past")),
        "He sent her the coat.",
        "他把那件大衣寄给了她。",
    ),
    (
        statement(clause("we", BRING, np("flower", "three", "", True), np("queen"), tense="past")),
        "We brought the queen three flowers.",
        "我们给王后带来了三朵花。",
    ),
    (
        statement(clause("he", SELL, np("boat", "his"), np("man", "a"), tense="progressive")),
        "He is selling a man his boat.",
        "他正在把自己的船卖给一个男人。",
    ),
    # Places before the verb, ways after it
    (
        statement(clause(np("cat"), "sleep", place=place("under", "unter", "table"), tense="progressive")),
        "The cat is sleeping under the table.",
        "那只猫正在桌子下面睡觉。",
    ),
    (
        statement(clause(np("cow", "a"), "sit", place=place("behind", "hinter", "house"), tense="past")),
        "A cow sat behind the house.",
        "有头牛卧在房子后面。",
    ),
    (
        statement(clause(np("girl"), "read", np("poem", "a"), place=place("in", "in", "library"), tense="progressive")),
        "The girl is reading a poem in the library.",
        "那个女孩正在图书馆里读一首诗。",
    ),
    (
        statement(clause("Ben", "work", place=place("at", "in", "school"), time=SUNDAYS)),
        "Ben works at the school on Sundays.",
        "本恩每个星期天都在学校工作。",
    ),
    (
        statement(clause("I", "wait", place=place("at", "an", "station", adjective="new"), tense="past")),
        "I waited at the new station.",
        "我在那个新车站等着。",
    ),
    (
        statement(clause(np("guest", "the", "", True), "dance", place=GARDEN, tense="future")),
        "The guests will dance in the garden.",
        "那些客人会在花园里跳舞。",
    ),
    (
        statement(clause("we", "go", place=place("into", "in", "house", "acc", "the", "old"), tense="past")),
        "We went into the old house.",
        "我们走进了那座老房子。",
    ),
    (
        statement(clause("Leo", "go", place=place("to", "zu", "school"), tense="progressive", time=NOW)),
        "Leo is going to the school now.",
        "利奥现在正在去学校的路上。",
    ),
    (
        statement(clause("I", "go", place=place("to", "zu", "lake"), tense="past")),
        "I went to the lake.",
        "我去了湖边。",
    ),
    (
        statement(clause(np("horse"), "run", place=place("over", "über", "bridge", "acc"), tense="past")),
        "The horse ran over the bridge.",
        "那匹马跑过了桥。",
    ),
    (
        statement(clause("they", "drive", place=place("through", "durch", "town", "acc", "the", "old"), tense="past")),
        "They drove through the old town.",
        "他们开车穿过了那座古城。",
    ),
    (
        statement(clause("we", "arrive", place=place("in", "in", "town"), tense="past", time=YESTERDAY), True),
        "Yesterday, we arrived in the town.",
        "昨天我们到了城里。",
    ),
    # Times and aspect
    (
        statement(clause(np("mother", "my"), "cook", np("soup", "a"), tense="past", time=YESTERDAY), time_first=True),
        "Yesterday, my mother cooked a soup.",
        "昨天我妈妈做了一碗汤。",
    ),
    (
        statement(clause("Nora", "open", np("window", "the", "small"), time=TOMORROW, tense="future"), time_first=True),
        "Tomorrow, Nora will open the small window.",
        "明天诺拉会打开那扇小窗户。",
    ),
    (
        statement(clause("he", "read", np("newspaper", "a"), time=("every day", "jeden Tag"))),
        "He reads a newspaper every day.",
        "他每天都读一份报纸。",
    ),
    (
        statement(clause("Julia", "visit", np("doctor", "a"), tense="progressive", time=TONIGHT)),
        "Julia is visiting a doctor this evening.",
        "朱莉娅今晚要拜访一位医生。",
    ),
    # Modal verbs
    (
        statement(clause("I", "repair", np("bike", "my"), modal="must", time=TODAY)),
        "I must repair my bike today.",
        "我今天必须修我的自行车。",
    ),
    (
        statement(clause("she", "invite", np("sister", "her"), modal="want to")),
        "She wants to invite her sister.",
        "她想邀请自己的姐姐。",
    ),
    (
        statement(clause(np("brother", "the", "", True), "help", np("farmer", "this"), modal="could", negated=True)),
        "The brothers could not help this farmer.",
        "兄弟们没能帮助这位农民。",
    ),
    (
        statement(clause("Emma", "see", np("ring"), modal="could", negated=True)),
        "Emma could not see the ring.",
        "艾玛看不见那枚戒指。",
    ),
    (
        statement(clause("we", "close", np("door"), modal="should", negated=True)),
        "We should not close the door.",
        "我们不应该关上门。",
    ),
    # Negation: 没有 for what was not done, 不 for what is not so
    (
        statement(clause(np("boy"), "buy", np("ball", "no", "green"), tense="past")),
        "The boy did not buy a green ball.",
        "那个男孩没有买绿色的球。",
    ),
    (
        statement(clause("they", two.HAVE, np("flower", "no", "", True))),
        "They do not have any flowers.",
        "他们没有花。",
    ),
    (
        statement(clause("I", "know", np("teacher", "this"), negated=True)),
        "I do not know this teacher.",
        "我不认识这位老师。",
    ),
    (
        statement(clause("Max", "write", np("letter", "this"), negated=True, tense="progressive")),
        "Max is not writing this letter.",
        "马克斯没有在写这封信。",
    ),
    (
        statement(clause(np("man", "a"), "thank", Pronoun("she"), negated=True, tense="future")),
        "A man will not thank her.",
        "有个男人不会感谢她。",
    ),
    (
        statement(clause("he", "carry", np("bag", "no"), tense="past")),
        "He did not carry a bag.",
        "他没有提着包。",
    ),
    # What is said of someone or something
    (statement(be(np("soup", "this"), "warm", negated=True)), "This soup is not warm.", "这碗汤不热。"),
    (
        statement(be(np("kitchen", "the", "", True), "dark", tense="past")),
        "The kitchens were dark.",
        "那些厨房都很暗。",
    ),
    (statement(be(np("hat"), "red")), "The hat is red.", "那顶帽子是红色的。"),
    (statement(be(np("fish", "the"), "good", tense="past")), "The fish was good.", "那条鱼很好吃。"),
    (statement(be(np("coat", "my"), "wet")), "My coat is wet.", "我的大衣湿了。"),
    (statement(be("I", "tired")), "I am tired.", "我很累。"),
    # Questions
    (
        question(clause(np("queen"), "close", np("door", "the", "heavy"), tense="past")),
        "Did the queen close the heavy door?",
        "王后关上那扇很重的门了吗？",
    ),
    (
        question(clause("he", "sell", np("boat", "his"), modal="want to")),
        "Does he want to sell his boat?",
        "他想卖掉自己的船吗？",
    ),
    (question(clause("we", "know", np("teacher", "this"))), "Do we know this teacher?", "我们认识这位老师吗？"),
    (
        question(clause("Clara", "eat", np("pear", "the"), tense="progressive")),
        "Is Clara eating the pear?",
        "克拉拉正在吃那个梨吗？",
    ),
    (
        question(clause("they", "call", np("guest", "this"), tense="future")),
        "Will they call this guest?",
        "他们会给这位客人打电话吗？",
    ),
    # Two clauses: who is meant is named in the first of them
    (
        compound(clause("Anna", "wait", tense="progressive"), "because", be("she", "ill")),
        "Anna is waiting because she is ill.",
        "安娜正在等，因为她病了。",
    ),
    (
        compound(clause("Simon", "sleep", tense="past"), "because", be("he", "tired", tense="past"), sub_first=True),
        "Because he was tired, Simon slept.",
        "因为西蒙很累，所以他睡觉了。",
    ),
    (
        compound(
            clause(np("queen", "the", "", True), "sit", place=GARDEN, tense="past"),
            "because",
            be("they", "sad", tense="past"),
        ),
        "The queens sat in the garden because they were sad.",
        "那些王后坐在花园里，因为她们很难过。",
    ),
    (
        compound(
            clause(np("guest", "the", "", True), "sing", tense="past"), "although", be("they", "sad", tense="past")
        ),
        "The guests sang, although they were sad.",
        "那些客人虽然很难过，但还是唱了歌。",
    ),
    (
        compound(
            clause("Mia", "play", place=GARDEN, tense="progressive"),
            "although",
            clause("it", two.RAIN, tense="progressive"),
        ),
        "Mia is playing in the garden, although it is raining.",
        "虽然在下雨，但米娅还是在花园里玩。",
    ),
    (
        compound(clause("Leo", KNOW_THAT), "that", clause(np("child"), "call", np("father", "his"), tense="past")),
        "Leo knows that the child called his father.",
        "利奥知道那个孩子给自己的爸爸打了电话。",
    ),
    (
        compound(clause("she", THINK, tense="past"), "that", be(np("ring", "this"), "expensive", tense="past")),
        "She thought that this ring was expensive.",
        "她认为这枚戒指很贵。",
    ),
    (
        compound(clause("I", HOPE), "that", clause("Tina", "find", np("key", "the"), tense="future")),
        "I hope that Tina will find the key.",
        "我希望蒂娜会找到那把钥匙。",
    ),
    (
        compound(
            clause("he", SAY, tense="past"), "that", clause(np("man", "a"), "repair", np("car", "the"), tense="past")
        ),
        "He said that a man repaired the car.",
        "他说有个男人修好了那辆汽车。",
    ),
    (
        compound(
            clause("they", "clean up", np("room", "the"), tense="future"), "if", clause("it", two.RAIN), sub_first=True
        ),
        "If it rains, they will clean up the room.",
        "如果下雨，他们就会打扫那个房间。",
    ),
    (
        compound(clause("he", "sleep", place=GARDEN, tense="future"), "if", be(np("father"), "tired"), sub_first=True),
        "If the father is tired, he will sleep in the garden.",
        "如果爸爸累了，他就会在花园里睡觉。",
    ),
    (
        compound(
            clause(np("mother", "the"), "call", np("doctor", "a"), tense="past"),
            "when",
            be(np("child"), "ill", tense="past"),
            sub_first=True,
        ),
        "When the child was ill, the mother called a doctor.",
        "那个孩子生病的时候，妈妈给一位医生打了电话。",
    ),
    (
        compound(clause("I", "see", np("bear", "a"), tense="past"), "when", clause("it", two.SNOW, tense="past")),
        "I saw a bear when it snowed.",
        "下雪的时候，我看见了一头熊。",
    ),
]


@pytest.mark.parametrize(("sentence", "english", "expected"), SENTENCES, ids=[english for _, english, _ in SENTENCES])
def test_sentences_checked_by_hand(sentence, english, expected):
    assert sentence.en() == english
    assert chinese.sayable(sentence)
    assert chinese.translations(sentence)[0] == expected


def test_all_ways_to_say_one_sentence():
    main = clause(np("man"), "eat", np("apple"), tense="past", time=YESTERDAY)
    assert chinese.translations(statement(main)) == (
        "那个男人昨天吃了那个苹果。",
        "昨天那个男人吃了那个苹果。",
        "男人昨天吃了那个苹果。",
        "昨天男人吃了那个苹果。",
        "那个男人昨天把那个苹果吃了。",
        "昨天那个男人把那个苹果吃了。",
        "男人昨天把那个苹果吃了。",
        "昨天男人把那个苹果吃了。",
    )
    waiting = compound(clause("Anna", "wait", tense="past"), "because", be("she", "hungry", tense="past"))
    assert chinese.translations(waiting) == ("安娜在等，因为她饿了。", "因为安娜饿了，所以她在等。")
    # "Because some man is tired, he ..." isn't about the man of whom the sentence is.
    someone = compound(waiting.main._replace(subject=np("man", "a")), "because", be("he", "tired"))
    assert not any(text.startswith("因为") for text in chinese.translations(someone))


UNSAYABLE = [
    statement(clause("I", "write", np("newspaper", "a"), tense="past")),
    statement(clause("I", "know", np("teacher", "this"), tense="future")),
    statement(clause(np("mother", "my", "", True), "sleep", place=GARDEN, tense="past")),
    statement(clause("I", "buy", np("flower", "an", "old"), tense="past")),
    statement(clause("I", two.HAVE, np("dog", "my"), negated=True)),
    question(clause(np("boy", "a"), "see", np("dog"), tense="past")),
    compound(clause(np("boy", "a"), "sleep", place=GARDEN, tense="future"), "if", clause("it", two.RAIN)),
    compound(clause("she", HOPE), "that", be("I", "ill")),
]


@pytest.mark.parametrize("sentence", UNSAYABLE, ids=[sentence.en() for sentence in UNSAYABLE])
def test_what_nobody_says_is_drawn_again(sentence):
    assert not chinese.sayable(sentence)


def test_every_word_has_a_chinese_one():
    assert {*chinese_words.NOUNS} == {*two.NOUN}
    assert {*chinese_words.NAMES} == {name for name, _ in PEOPLE}
    assert {*chinese_words.TIMES} >= {english for times in two.TIMES.values() for english, _ in times}
    assert {*chinese_words.MODALS} == {*two.MODALS}
    assert {*chinese_words.VERBS} == {verb.en for verb in two.TRANSITIVE}
    assert {*chinese_words.GIVING} == {verb.en for verb in two.GIVING}
    assert {*chinese_words.RESTING} == {verb.en for verb in two.RESTING}
    adjectives = {pair[0] for pairs in two.ADJECTIVES.values() for pair in pairs}
    assert {*chinese_words.ATTRIBUTES} | {"old"} == adjectives
    assert {*chinese_words.PREDICATES} >= adjectives - {*two.LASTING} - {"long", "short"}
    for which in (chinese_words.NOUN_ATTRIBUTES, chinese_words.COMPOUNDS, dict.fromkeys(chinese_words.UNSAYABLE)):
        assert {noun for _, noun in which} <= {*two.NOUN}
        assert {adjective for adjective, _ in which} <= adjectives
    for word in ("个", "位"):
        assert word in {noun.measure for noun in chinese_words.NOUNS.values()}
    assert len({noun.zh for noun in chinese_words.NOUNS.values()}) == len(chinese_words.NOUNS)


def test_every_construction_renders_well_formed_chinese():
    for construction in dict.fromkeys(CONSTRUCTIONS):
        said = 0
        for index in range(120):
            sentence = construction(Draw.at(4, "train", index))
            if not chinese.sayable(sentence):
                continue
            said += 1
            english, texts = sentence.en(), chinese.translations(sentence)
            assert 1 <= len(texts) == len(set(texts)) <= chinese.MOST, english
            for text in texts:
                # Characters and full-width marks alone, no word or mark twice, no gap that wasn't filled.
                assert re.fullmatch("[\u4e00-\u9fff，]+[。？]", text), text
                assert text[-1] == ("？" if english[-1] == "?" else "。"), text
                assert text.count("，") <= 1, text
                assert not re.search(
                    r"(的|了|都|没|有|个|位|们|老|小|会|把|就|，|(?<!现)在)\1|没有没|不没|，。", text
                ), text
                assert ("吗" in text) == (english[-1] == "?"), text
        assert said > 80, construction.__name__


def test_english_and_chinese_agree_about_the_kind_of_sentence():
    for index in range(1000):
        text = translation_grammar(Draw.at(5, "train", index), "en-zh")
        negated = re.search(r"\b(not|cannot)\b", text.source)
        for target in text.targets:
            assert bool(negated) == bool(re.search("[不没]", target.replace("不得不", "必须"))), (text.source, target)
            assert len(re.findall("[两三]", target)) == len(re.findall(r"\b(two|three)\b", text.source, re.I)), target


def test_sentences_to_english_have_every_english_one_that_they_could_mean():
    texts = [translation_grammar(Draw.at(3, "train", index), "zh-en") for index in range(300)]
    assert all(re.search("[\u4e00-\u9fff]", text.source) for text in texts)
    assert all(target.isascii() for text in texts for target in text.targets)
    meant = {text.source: text.targets for text in texts}
    assert meant["朱莉娅说女孩累了。"] == (
        "Julia says that the girl is tired.",
        "Julia says that the girl was tired.",
        "Julia said that the girl was tired.",
    )
    assert meant["要是马克斯高兴，他就会在湖边等着。"] == (
        "If Max is happy, he will wait by the lake.",
        "Max will wait by the lake if he is happy.",
    )
    german = [translation_grammar(Draw.at(3, "train", index), "de-en") for index in range(50)]
    plain = [translation_grammar(Draw.at(3, "train", index)) for index in range(50)]
    assert all(one.source in other.targets for one, other in zip(german, plain, strict=True))
    assert all(other.source in one.targets for one, other in zip(german, plain, strict=True))


def test_pairs_are_those_of_the_task():
    assert Translation.variants["languages"] == PAIRS
    with pytest.raises(ConfigError, match="languages='zh' is unknown"):
        Translation(languages="zh")
