"""Every built-in reward: values by hand, parity on one table, degenerate texts, settings, pickling."""

import copy
import pickle
import sys

import pytest
import sacrebleu
from rouge_score.rouge_scorer import RougeScorer
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from textgym.checker import check_reward
from textgym.core import Sample
from textgym.errors import ConfigError, MissingExtraError, RewardError
from textgym.metrics import stems
from textgym.rewards import (
    BLEU,
    GLEU,
    METEOR,
    REWARDS,
    ROUGE,
    TER,
    ChrF,
    ExactMatch,
    KeywordCoverage,
    Length,
    Sentiment,
    TokenF1,
)
from textgym.rewards.registry import class_of, describe, formula_names, make_reward
from textgym.scoring import score_samples

REFERENCE = "the cat sat on the mat"
SAMPLES = [
    Sample("p", REFERENCE, (REFERENCE,), metadata={"keywords": ["cat", "mat"]}),
    Sample("p", "the cat", ("a dog", REFERENCE), metadata={"keywords": ["cat", "mat"]}),
    Sample("p", "", (REFERENCE,), metadata={"keywords": ["cat"]}),
    Sample("p", "the the the", (REFERENCE,), metadata={"keywords": ["cat"]}),
    Sample("p", "A \x00 control \x1b[31m, and\ttabs\u2028.", (REFERENCE,), metadata={"keywords": ["tabs"]}),
    Sample("p", "今天天气不错", ("今天天气很好",), metadata={"keywords": ["天气", "下雨"]}),
]
OTHERS = (
    "sentiment",
    "length",
    "fluency",
    "self_bleu",
    "novelty",
    "brier",
    "meteor",
    "answer_format",
    "distinct1",
    "distinct2",
    "json",
    "rhyme",
    "meter",
    "verse_phrases",
)  # which don't ask for the reference's text
OWN_SAMPLES = ("program_tests", "pattern", "events", "requirements", "refusal")  # which have tests of their own
BUILT_IN = [make_reward(name) for name in formula_names() if name not in OWN_SAMPLES]
BUILT_IN += [ChrF(word_order=2), Length(target=3, unit="words")]


@pytest.mark.parametrize("reward", BUILT_IN, ids=repr)
def test_values_are_in_range_and_copies_agree(reward):
    values = reward(SAMPLES)
    assert len(values) == len(SAMPLES)
    assert all(0 <= score.value <= 1 for score in score_samples(reward, SAMPLES))
    for again in (pickle.loads(pickle.dumps(reward)), copy.deepcopy(reward)):
        assert again(SAMPLES) == values
        assert repr(again) == repr(reward)
        assert again.name == reward.name
    assert reward([]) == []
    assert reward(SAMPLES[:1]) == [reward.score(SAMPLES[0])]


@pytest.mark.parametrize("reward", [reward for reward in BUILT_IN if reward.scope == "sample"], ids=repr)
def test_the_checker_accepts_it(reward):
    check_reward(reward, SAMPLES)


@pytest.mark.parametrize(
    "reward",
    [reward for reward in BUILT_IN if reward.name not in OTHERS],
    ids=repr,
)
def test_the_reference_itself_scores_one_and_nothing_scores_zero(reward):
    assert reward(SAMPLES)[0] == pytest.approx(1)
    assert reward(SAMPLES)[2] == 0


@pytest.mark.parametrize("name", formula_names())
def test_a_reward_is_named_as_in_formulas(name):
    assert make_reward(name).name == name


@pytest.mark.parametrize("name", REWARDS)
def test_every_reward_describes_itself(name):
    call, documentation = describe(name)
    assert call.startswith(f"{class_of(REWARDS[name]).__name__}(")
    assert documentation.endswith((".", ")", ":", "5"))
    if name in formula_names():
        assert call == repr(make_reward(name))


def test_parity_of_the_rewards():
    rouge = RougeScorer(["rouge1", "rougeL"])
    bleu, chrf, vader = sacrebleu.BLEU(effective_order=True), sacrebleu.CHRF(), SentimentIntensityAnalyzer()
    for sample in SAMPLES[:5]:
        references = list(sample.references)
        scores = rouge.score_multi(references, sample.completion)
        assert BLEU().score(sample) == pytest.approx(bleu.sentence_score(sample.completion, references).score / 100)
        assert ChrF().score(sample) == pytest.approx(chrf.sentence_score(sample.completion, references).score / 100)
        assert ROUGE("1").score(sample) == pytest.approx(scores["rouge1"].fmeasure, abs=1e-6)
        assert ROUGE("L").score(sample) == pytest.approx(scores["rougeL"].fmeasure, abs=1e-6)
        expected = (vader.polarity_scores(sample.completion)["compound"] + 1) / 2
        assert Sentiment().score(sample) == pytest.approx(expected)


@pytest.mark.parametrize("reward", [BLEU(), ROUGE(), ChrF(), ExactMatch(), Length()], ids=repr)
def test_a_prompt_without_references_is_an_error_that_says_so(reward):
    with pytest.raises(RewardError, match=rf"'{reward.name}'.* prompt 7 \('Once upon'\) has no references"):
        score_samples(reward, [Sample("Once upon", " a time", prompt_id=7)])


@pytest.mark.parametrize("reward", [Sentiment(), Length(maximum=5, unit="words")], ids=repr)
def test_others_need_no_references(reward):
    assert reward([Sample("Once upon", " a time")])


def test_the_completion_can_not_choose_the_tokenizer():
    """A policy that writes Chinese for an English reference is scored by the English rules, and the other way round."""
    assert BLEU().score(Sample("", "the cat 猫猫猫猫猫猫猫", ("the cat",))) == BLEU(tokenize="13a").score(
        Sample("", "the cat 猫猫猫猫猫猫猫", ("the cat",))
    )
    assert BLEU().score(Sample("", "the cat", ("今天天气很好",))) == 0


@pytest.mark.parametrize(
    ("reward", "words", "expected"),
    [
        (Length(target=4, unit="words"), 4, 1),
        (Length(target=4, unit="words"), 3, 3 / 4),
        (Length(target=4, unit="words"), 0, 0),
        (Length(target=4, unit="words"), 5, 3 / 4),
        (Length(target=4, unit="words"), 8, 0),
        (Length(target=4, unit="words"), 100, 0),
        (Length(minimum=4, unit="words"), 2, 1 / 2),
        (Length(minimum=4, unit="words"), 400, 1),
        (Length(maximum=4, unit="words"), 0, 1),
        (Length(maximum=4, unit="words"), 6, 1 / 2),
        (Length(minimum=2, maximum=4, unit="words"), 3, 1),
        (Length(minimum=2, maximum=4, unit="words"), 1, 1 / 2),
        (Length(maximum=4, unit="words", falloff=1), 5, 0),
        (Length(maximum=4, unit="words", falloff=10), 5, 9 / 10),
        (Length(minimum=4, unit="words", falloff=8), 0, 1 / 2),
    ],
)
def test_length(reward, words, expected):
    assert reward([Sample("", "w " * words)]) == [pytest.approx(expected)]


def test_units_of_length():
    sample = Sample("", " ab cd ", ("abcd", "a b c d e f"), (5, 6, 0))
    assert Length(target=3)([sample]) == [1.0]  # tokens, the end token included
    assert Length(target=2, unit="words")([sample]) == [1.0]
    assert Length(target=5, unit="characters")([sample]) == [1.0]
    assert Length()([sample]) == [pytest.approx(2 / 6)]  # twice the words of one reference, a third of the other's
    assert Length(unit="characters")([sample]) == [0.75]
    assert Length()([Sample("", "", ("",))]) == [1.0]
    assert Length(maximum=3)([Sample("", "", token_ids=())]) == [1.0]


def test_coverage_abstains_and_counts_each_keyword_once():
    sample = Sample(
        "", "Cat and dog", metadata={"keywords": ["cat", "cat", "bird", " "], "words": "DOG", "year": [1999]}
    )
    assert KeywordCoverage()([sample]) == [0.5]
    assert KeywordCoverage(case_sensitive=True)([sample]) == [0.0]
    assert KeywordCoverage(key="words")([sample]) == [1.0]
    assert KeywordCoverage(key="year")([sample]) == [0.0]
    assert KeywordCoverage(key="none")([sample]) == [None]
    assert KeywordCoverage()([Sample("", "a", metadata={"keywords": []})]) == [None]


@pytest.mark.parametrize(
    ("completion", "references", "squad", "whitespace", "plain"),
    [
        ("the Eiffel Tower.", ("Eiffel tower",), 1, 0, 0),
        (" Eiffel  Tower\n", ("Eiffel Tower",), 1, 1, 0),
        ("Eiffel Tower", ("Big Ben", "Eiffel Tower"), 1, 1, 1),
        ("", ("",), 1, 1, 1),
        ("a", ("the",), 1, 0, 0),
        ("", ("x",), 0, 0, 0),
        ("theatre", ("atre",), 0, 0, 0),
        ("北京", ("北京",), 1, 1, 1),
    ],
)
def test_exact_match(completion, references, squad, whitespace, plain):
    sample = Sample("", completion, references)
    values = [ExactMatch(normalize)([sample])[0] for normalize in ("squad", "whitespace", None)]
    assert values == [squad, whitespace, plain]


def test_sentiment_of_the_completion_or_of_all():
    sample = Sample("I love this wonderful film.", " It ends.")
    assert Sentiment()([sample]) == [0.5]
    assert Sentiment(text="full")([sample])[0] > 0.8


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BLEU(tokenize="13b"), "tokenize='13b'.*Did you mean '13a'"),
        (lambda: BLEU(max_order=0), "max_order=0"),
        (lambda: BLEU(smooth="expo"), "Did you mean 'exp'"),
        (lambda: ROUGE("M"), "variant='M'"),
        (lambda: ROUGE(tokenizer="nltk"), "tokenizer='nltk'"),
        (lambda: ChrF(char_order=0), "char_order=0"),
        (lambda: ChrF(beta=1.5), "beta=1.5"),
        (lambda: GLEU(min_order=5), "min_order=5"),
        (lambda: TER(normalized="yes"), "normalized='yes'"),
        (lambda: METEOR(alpha=2), "alpha=2"),
        (lambda: METEOR(beta=-1), "beta=-1"),
        (lambda: Sentiment(text="prompt"), "text='prompt'"),
        (lambda: Length(target=3, maximum=4), "target=3"),
        (lambda: Length(minimum=5, maximum=4), "minimum=5 is above maximum=4"),
        (lambda: Length(maximum=0), "maximum=0"),
        (lambda: Length(target=3, unit="token"), "unit='token'"),
        (lambda: Length(unit="tokens"), "without a bound"),
        (lambda: ExactMatch("lower"), "normalize='lower'"),
        (lambda: TokenF1("f2"), "measure='f2'.*Valid names: f1"),
        (lambda: TokenF1(normalize="lower"), "normalize='lower'"),
    ],
)
def test_settings_that_make_no_sense(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_batches_of_the_wrong_kind():
    with pytest.raises(RewardError, match=r"single Sample. Call reward\(\[sample\]\)"):
        BLEU()(SAMPLES[0])
    for reward in BUILT_IN:
        with pytest.raises(
            RewardError, match=r"scores texts, but the completion of prompt 7 .* is 5, expected a string"
        ):
            reward([SAMPLES[0], Sample("p", 5, ("a",), prompt_id=7)])
    with pytest.raises(RewardError, match=r"metadata\['keywords'\].*dict"):
        KeywordCoverage()([Sample("", "", metadata={"keywords": {"a": 1}})])
    with pytest.raises(RewardError, match="token_ids"):
        Length(target=3)([Sample("", "text")])


def test_a_missing_stemmer_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "nltk.stem.porter", None)
    stems._stemmer.cache_clear()
    stems._stem.cache_clear()
    for make in (lambda: ROUGE(use_stemmer=True), METEOR):
        with pytest.raises(MissingExtraError, match="pip install 'nltk>="):
            make()


@pytest.mark.parametrize(
    ("reward", "sample", "expected"),
    [
        (BLEU(), Sample("", "the cat sat on a mat", (REFERENCE,)), 0.537),
        (ROUGE("L"), Sample("", "Bob found the key.", ("Bob found Ann's key and brought it back.",)), 0.462),
        (ChrF(), Sample("", "a smal world.", ("a small world.",)), 0.694),
        (Sentiment(), Sample("The soup was", " warm and wonderful."), 0.840),
    ],
    ids=repr,
)
def test_the_examples_that_open_the_files(reward, sample, expected):
    assert reward([sample])[0] == pytest.approx(expected, abs=5e-4)
