"""Translation in its four directions, and from end to end in Chinese: prompts, rewards, metrics, tokens, real rows."""

import hashlib
import random
from pathlib import Path

import datasets
import gymnasium
import numpy as np
import pytest
import sacrebleu

from textgym import registration
from textgym.core import Sample
from textgym.errors import DatasetError
from textgym.metrics import METRICS, CorpusBLEU
from textgym.rewards import BLEU, ChrF, ExactMatch
from textgym.scoring import score_samples
from textgym.tasks import Translation
from textgym.tasks.degenerate import degenerate_texts
from textgym.tokenizer import BUILTIN_MODELS, builtin_tokenizer

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
ID = "textgym/Translation-v0"

# Texts that say nothing, in Chinese, beside those of `degenerate_texts`.
SAY_NOTHING = (
    "的", "了", "的的的的的的的的的的", "那个", "那个那个那个那个那个那个", "。", "，。，。，。，。", "那个男孩。",
    "那个男孩正在花园里。", "我们的。", "有个女人给了他一本书。", "昨天那个男人吃了那个苹果。", "吗？",
    "他们都很高兴。", "那位那只那把那个的了在给一个。",
)  # fmt: skip


def samples(prompts, completions):
    return [Sample(one.text, text, one.references) for one, text in zip(prompts, completions, strict=True)]


def test_the_default_is_what_it_was():
    """English to German, prompt by prompt: what changes it needs another version of the id."""
    digest = hashlib.sha256()
    for split in ("train", "validation", "test"):
        task = Translation(split)
        for index in range(60):
            digest.update(repr((task[index].text, task[index].references)).encode())
    assert digest.hexdigest() == "9909b1d331337f86f86a5a82b3c411793b895946b434170c96b26fdc053b720d"
    assert (task.max_prompt_tokens, task.max_new_tokens) == (40, 32)


@pytest.mark.parametrize(("languages", "names"), [("en-zh", "English Chinese"), ("zh-en", "Chinese English")])
def test_prompts_name_the_languages(languages, names):
    source, target = names.split()
    prompts = [Translation(languages=languages)[index] for index in range(50)]
    assert all(one.text.startswith(f"{source}: ") and one.text.endswith(f"\n{target}:") for one in prompts)
    chinese = [text for one in prompts for text in one.references]
    if source == "Chinese":
        chinese = [one.text.removeprefix("Chinese: ").partition("\n")[0] for one in prompts]
    assert all(text[-1] in "。？" and not any(sign in text for sign in ",.?! ") for text in chinese)


def test_the_default_reward_and_the_metrics_of_chinese_are_those_of_sacrebleu_by_characters():
    prompts = [Translation("test", languages="en-zh")[index] for index in range(60)]
    drawn = random.Random(1)
    completions = []
    for prompt, other in zip(prompts, [*prompts[1:], prompts[0]], strict=True):
        characters = [*prompt.references[-1]]
        drawn.shuffle(characters)
        choices = (
            prompt.references[-1][:-2],
            "".join(characters),
            other.references[0],
            f"{other.references[0]} The cat",
        )
        completions.append(f" {drawn.choice(choices)}")
    reward = registration.default_reward(ID)
    assert repr(reward) == "BLEU()"
    for sample, bleu, chrf in zip(given := samples(prompts, completions), BLEU()(given), ChrF()(given), strict=True):
        texts = sample.completion, list(sample.references)
        by_characters = sacrebleu.BLEU(tokenize="zh", effective_order=True).sentence_score(*texts).score / 100
        assert bleu == pytest.approx(min(by_characters, 1), abs=1e-9)
        assert chrf == pytest.approx(sacrebleu.CHRF().sentence_score(*texts).score / 100, abs=1e-9)
    streams = [list(row) for row in zip(*([*one.references, *[None] * 8][:8] for one in prompts), strict=True)]
    corpus = sacrebleu.BLEU(tokenize="zh").corpus_score([one.completion for one in given], streams).score
    assert CorpusBLEU().score(given) == pytest.approx(corpus / 100, abs=1e-9)
    assert "|tok:zh|" in CorpusBLEU().signature_of(given)
    assert "|norm:unicode|" in METRICS["exact_match"]().signature_of(given)
    assert "|norm:unicode|" in METRICS["token_f1"]().signature_of(given)
    # Full stop and spaces are nothing that an exact match depends on; characters are.
    assert ExactMatch()(samples(prompts[:1], [f"  {prompts[0].references[0][:-1]} "])) == [1.0]
    assert ExactMatch()(samples(prompts[:1], [f"{prompts[0].references[0][1:]}"])) == [0.0]


def test_references_are_worth_most_and_texts_that_say_nothing_little():
    prompts = [Translation("validation", languages="en-zh")[index] for index in range(40)]
    reward, drawn = registration.default_reward(ID), random.Random(0)

    def mean(completions):
        return np.mean([score.value for score in score_samples(reward, samples(prompts, completions))])

    best = mean([f" {one.references[0]}" for one in prompts])
    mixed = mean([" " + "".join(drawn.sample(one.references[0], len(one.references[0]))) for one in prompts])
    assert best == pytest.approx(1)
    assert best > 2 * mixed > mean([""] * len(prompts)) == 0
    texts = degenerate_texts(prompts) | {text: [f" {text}"] * len(prompts) for text in SAY_NOTHING}
    assert len(texts) >= 55
    shares = {name: mean(completions) / best for name, completions in texts.items()}
    assert not {name: share for name, share in shares.items() if share > 0.7}
    assert max(shares.values()) < 0.35, shares


@pytest.mark.parametrize("model", BUILTIN_MODELS)
@pytest.mark.parametrize("languages", ["en-zh", "zh-en", "de-en"])
def test_texts_fit_and_the_built_in_tokenizers_write_chinese_without_loss(languages, model):
    env = gymnasium.make(ID, languages=languages, tokenizer=model, split="test").unwrapped
    tokenizer = builtin_tokenizer(model)
    for index in range(150):
        prompt = env.task[index]
        assert len(tokenizer.encode(prompt.text)) <= env.observation_space.max_prompt_tokens, prompt.text
        for text in (prompt.text, *prompt.references):
            assert tokenizer.decode(tokenizer.encode(text)) == text
        for text in prompt.references:
            assert len(env.encode_completion(f" {text}")) <= env.observation_space.max_new_tokens, text


def test_an_episode_in_chinese_gets_the_reward_of_its_text():
    env = gymnasium.make(ID, languages="en-zh", split="test").unwrapped
    _, info = env.reset(options={"prompt_id": 3})
    text = env.task[3].references[0]
    tokens = env.encode_completion(f" {text}")
    assert len(tokens) == 3 * len(text) + 2  # a space, three bytes a character, the end
    for token in tokens:
        _, reward, terminated, _, info = env.step(token)
    assert (reward, terminated, info["completion"]) == (pytest.approx(1), True, f" {text}")
    # A character cut in the middle is a sign that no reference has, and costs as much.
    env.reset(options={"prompt_id": 3})
    for token in [*tokens[:-2], env.tokenizer.eos_token_id]:
        _, reward, _, _, info = env.step(token)
    assert info["completion"] == f" {text[:-1]}�"
    assert 0.5 < reward < 1


def test_rows_of_a_dataset_in_both_directions():
    rows = datasets.Dataset.from_list([{"translation": {"en": "A dog.", "zh": "一只狗。"}}])
    assert Translation(dataset=rows, languages="en-zh")[0].references == ("一只狗。",)
    back = Translation(dataset=rows, languages="zh-en")[0]
    assert (back.text, back.references) == ("Chinese: 一只狗。\nEnglish:", ("A dog.",))
    flat = datasets.Dataset.from_list([{"source": "A dog.", "target": "一只狗。"}])
    columns = {"prompt": "source", "references": "target"}
    mapped = Translation(dataset=flat, languages="en-zh", columns=columns, template="翻译:{prompt}\n中文:")[0]
    assert (mapped.text, mapped.references) == ("翻译:A dog.\n中文:", ("一只狗。",))
    with pytest.raises(DatasetError, match=r"no column 'translation\.de'.*translation\.en, translation\.zh"):
        Translation(dataset=rows)
    with pytest.raises(DatasetError, match=r"columns is 'zh', expected a dict"):
        Translation(dataset=rows, languages="en-zh", columns="zh")


@pytest.mark.parametrize(("languages", "beginning"), [("en-zh", "English: "), ("zh-en", "Chinese: ")])
def test_questions_of_xquad(languages, beginning):
    if not (SHARED / "xquad.en-zh").is_dir():
        pytest.skip(f"the real dataset xquad.en-zh is not beside this checkout (looked in {SHARED})")
    task = Translation("test", dataset=str(SHARED / "xquad.en-zh"), languages=languages)
    prompts = [task[index] for index in range(len(task))]
    assert len(prompts) > 250
    assert all(one.text.startswith(beginning) for one in prompts)
    right = samples(prompts, [f" {one.references[0]}" for one in prompts])
    wrong = samples(prompts, [f" {one.references[0]}" for one in (*prompts[1:], prompts[0])])
    assert np.mean(BLEU()(right)) == pytest.approx(1, abs=0.02)  # texts of less than four words
    assert np.mean(BLEU()(wrong)) < 0.2
    assert f"|tok:{'zh' if languages == 'en-zh' else '13a'}|" in CorpusBLEU().signature_of(right)
