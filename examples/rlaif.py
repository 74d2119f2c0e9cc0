"""RL from AI feedback: a judge says how happy a review is, and PPO learns from it.

A classifier that nothing is trained on says whether the reviews got happier.

python examples/rlaif.py                 seconds: a classifier that is shown the completion alone in place of a judge
python examples/rlaif.py --judge MODEL --seeds 0,1,2 --tokens 4096 --num-prompts 50 --out FILE --picture PICTURE
python examples/rlaif.py --judge MODEL --check           whether its scores, and those from 1 to 5, mean anything

MODEL is a small instruction-tuned model: a folder or a .gguf file. Seeds that are in FILE aren't run again.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from textgym import Sample, Score, score_samples
from textgym.rewards import BatchReward, ClassifierReward
from textgym.rewards.judge import LLMJudge, LocalBackend
from textgym.rewards.judge.backends.base import Verdict
from textgym.rewards.judge.backends.local import digit_forms
from textgym.rewards.judge.backends.next_token import next_token_probabilities
from textgym.rewards.judge.rubric import Criterion, Rubric
from textgym.tasks import SentimentContinuation
from textgym_agents import evaluate, make, models
from textgym_agents.callbacks import TextLogger
from textgym_agents.evaluation.statistics import intervals

TASK = "textgym/SentimentContinuation-v1"
GOLD = ClassifierReward("textgym/sentiment", "POSITIVE", text="full")
RUBRIC = Rubric((Criterion("Is the review positive?"),), lowest=0, highest=1)


class OneWord:
    """A backend for models too small for a scale: the probability of "Positive" against "Negative" as the reply."""

    def __init__(self, path: str) -> None:
        self.model, self.tokenizer = models.load(path)
        self.model = self.model.bfloat16().eval()
        self.words = [digit_forms(self.tokenizer, word) for word in ("Negative", "Positive")]

    def __call__(self, chat):
        return self.judge_batch([chat])[0]

    def judge_batch(self, chats):
        rows = [[self.question(chat)] for chat in chats]
        found = next_token_probabilities(self.model, rows, pad=0)[:, 0]  # (chats, vocabulary)
        bad, good = (found[:, ids].sum(-1) for ids in self.words)
        return [Verdict(float(value)) for value in good / (good + bad)]

    def question(self, chat) -> list[int]:
        """A shorter chat than the one that large models get."""
        shown = chat[1]["content"]
        parts = [shown.split(f"<<{name} {chat.code}>>\n")[1].split("\n<<END")[0] for name in ("PROMPT", "TEXT")]
        ask = f"{''.join(parts)}\nIs this review positive or negative? Answer with one word."
        short = [{"role": "system", "content": "You are a helpful assistant."}, {"role": "user", "content": ask}]
        encoded = self.tokenizer.apply_chat_template(short, add_generation_prompt=True, return_dict=True)
        return list(encoded["input_ids"])


class Watched(BatchReward):
    """The judge's reward; the gold one is a component, which is logged and teaches nothing."""

    name = "watched"

    def __init__(self, judge: BatchReward) -> None:
        self.judge = judge

    def __call__(self, samples: Sequence[Sample]) -> list[Score]:
        judged, gold = score_samples(self.judge, samples), GOLD(samples)
        return [Score(one.value, {"gold": value}) for one, value in zip(judged, gold, strict=True)]


def check(judge: BatchReward, num_prompts: int = 50) -> str:
    """How a judge's scores go with the labels of a happy and an unhappy continuation of training prompts."""
    task = SentimentContinuation("train")
    texts = [[f" {task.training_completions(i)[k].strip()}" for k in (0, 3)] for i in range(num_prompts)]
    samples = [Sample(task[i].text, text) for i, both in enumerate(texts) for text in both]
    values = np.array([score.value for score in score_samples(judge, samples)]).reshape(num_prompts, 2)
    correlation = np.corrcoef(values.ravel(), np.tile([1, 0], num_prompts))[0, 1]
    return f"correlation {correlation:.2f}, {np.mean(values[:, 0] > values[:, 1]):.0%} of the pairs in order"


def run(judge: BatchReward, seed: int, tokens: int, num_prompts: int) -> dict:
    """Train with one seed: scores of held-out prompts before and after, and the means of each rollout."""
    reward = {"reward": Watched(judge)}
    ppo = make(
        "ppo",
        TASK,
        n_envs=16,
        n_steps=64,
        batch_size=256,
        n_epochs=4,
        learning_rate=3e-4,
        kl_coef=0.001,
        seed=seed,
        env_kwargs=reward,
    )
    before, log = evaluate(ppo, TASK, num_prompts, env_kwargs=reward), TextLogger()
    ppo.learn(tokens, callback=log)
    after = evaluate(ppo, TASK, num_prompts, env_kwargs=reward)
    scores = {
        when: {"judge": [round(float(x), 4) for x in one.rewards], "gold": [round(x, 4) for x in GOLD(one.samples)]}
        for when, one in (("before", before), ("after", after))
    }
    curve = [[row["timesteps"], round(row["reward"], 4), round(row["text/reward_gold"], 4)] for row in log.history]
    return {"seed": seed, **scores, "curve": curve, "sample": after.samples[0].completion}


def report(runs: list[dict]) -> None:
    for one in runs:
        for name in ("judge", "gold"):
            before, after = np.array(one["before"][name]), np.array(one["after"][name])
            low, high = intervals(after - before, [], [])["reward"]
            means = f"{before.mean():.3f} before, {after.mean():.3f} after"
            print(f"seed {one['seed']}, {name}: {means}, {(after - before).mean():+.3f} [{low:+.3f}, {high:+.3f}]")
    print(f"such as:{runs[-1]['sample']}")


def draw(runs: list[dict], file: str) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.2), layout="constrained")
    axis = figure.subplots()
    for name, column, color in (
        ("judge, the reward", 1, "tab:orange"),
        ("gold classifier, not rewarded", 2, "tab:blue"),
    ):
        for one in runs:
            curve = np.array(one["curve"])
            axis.plot(curve[:, 0], curve[:, column], color=color, alpha=0.35, linewidth=1)
        mean = np.mean([np.array(one["curve"])[: min(len(r["curve"]) for r in runs)] for one in runs], axis=0)
        axis.plot(mean[:, 0], mean[:, column], color=color, linewidth=2, label=name)
    axis.set(xlabel="tokens of training", ylabel="mean of a rollout", ylim=(0, 1))
    axis.legend(loc="lower right")
    figure.savefig(file)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--judge", help="a folder or .gguf file of an instruction-tuned model")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--num-prompts", type=int, default=32)
    parser.add_argument("--out", type=Path, help="a file that keeps the runs, a line each")
    parser.add_argument("--picture")
    given = parser.parse_args()
    word = OneWord(given.judge) if given.judge else None
    judge = LLMJudge(RUBRIC, word) if word else ClassifierReward("textgym/sentiment", "POSITIVE")
    if given.check:
        print(f"one word: {check(judge)}")
        if word:
            scale = LocalBackend(word.model, word.tokenizer, min_label_mass=0)
            print(f"1 to 5: {check(LLMJudge('Is the review happy? 5: very happy, 1: very unhappy.', scale))}")
        return
    runs = [json.loads(line) for line in given.out.read_text().splitlines()] if given.out and given.out.exists() else []
    for seed in map(int, given.seeds.split(",")):
        if seed not in [one["seed"] for one in runs]:
            runs.append(run(judge, seed, given.tokens, given.num_prompts))
            if given.out:
                given.out.write_text("".join(f"{json.dumps(one)}\n" for one in runs))
    report(runs)
    if given.picture:
        draw(runs, given.picture)


if __name__ == "__main__":
    main()
