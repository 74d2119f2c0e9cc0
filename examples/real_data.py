"""A pretrained model on real datasets: each classic task with the metrics of its field, before any training.

The default scores textgym/tiny on three rows that are written here. In earnest, with a folder that has one folder for
each dataset (Parquet files, or whatever ``datasets.load_dataset`` reads), a model that can chat, and some minutes each:

python examples/real_data.py --data data/ --model HuggingFaceTB/SmolLM2-135M-Instruct --num-prompts 30 --out real.json
"""

import argparse
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textgym_agents.evaluation import evaluate
from textgym_agents.evaluation.held_out import load_policy

OVERLAP = ("bleu", "chrf", "ter", "gleu", "rouge1", "rouge2", "rougeL", "meteor", "cider")
ANSWERS = ("token_f1", "token_precision", "token_recall", "exact_match")
DIVERSITY = ("distinct1", "distinct2", "self_bleu", "no_repeats", "length")


@dataclass(frozen=True)
class Real:
    """How a family's task reads a dataset.

    Attributes:
        task: the end of the task's id.
        template: what a model that can chat is asked.
        reward: a formula, see ``textgym list --rewards``.
        tokens: the longest prompt and the longest completion.
        metrics: what its field reports besides.
        arguments: further ones of the task.
        split: where held-out prompts come from.
        references: whether all prompts have some.
    """

    task: str
    template: str
    reward: str
    tokens: tuple[int, int]
    metrics: tuple[str, ...] = ()
    arguments: tuple[tuple[str, Any], ...] = ()
    split: str = "test"
    references: bool = True

    def env_kwargs(self, folder: Path) -> dict[str, Any]:
        """Arguments of the environment."""
        prompt, completion = self.tokens
        return {
            **{"dataset": str(folder), "template": self.template, "reward": self.reward, "chat": "auto"},
            **{"max_prompt_tokens": prompt, "max_new_tokens": completion},
            **dict(self.arguments),
        }


ASK = "{prompt}\n\nAnswer the question with a few words from the story, nothing else.\n"
REAL = {
    "e2e_nlg": Real(
        "DataToText-v0",
        "Write one short sentence that says all of this about a place to eat, and nothing else:\n{prompt}",
        "0.5*rougeL + 0.5*coverage",
        (144, 48),
        ("coverage", "parent", "faithfulness"),
    ),
    "scitldr": Real("Summarization-v1", "{prompt}\n\nSummarise this in one short sentence.", "rougeL", (384, 48)),
    "mts_dialog": Real(
        "Summarization-v1",
        "{prompt}\n\nWrite the doctor's note about this conversation, in one or two sentences.",
        "rougeL",
        (384, 64),
        arguments=(("columns", {"prompt": "dialogue", "references": "section_text"}),),
        split="validation",
    ),
    "xquad.en": Real("QuestionAnswering-v0", ASK, "token_f1", (448, 24), ANSWERS),
    "xquad.de": Real("QuestionAnswering-v0", ASK, "token_f1", (448, 24), ANSWERS),
    "xquad.zh": Real(
        "QuestionAnswering-v0",
        "{prompt}\n\n用故事里的几个字回答问题。",
        "token_f1",
        (448, 24),
        ANSWERS,
        (("language", "zh"),),
    ),
    "xquad.en-de": Real("Translation-v0", "Translate into German, and write nothing else: {prompt}", "chrf", (96, 48)),
    "xquad.en-zh": Real(
        "Translation-v0",
        "Translate into Chinese, and write nothing else: {prompt}",
        "chrf",
        (96, 48),
        arguments=(("languages", "en-zh"),),
    ),
    "gsm8k": Real(
        "Arithmetic-v0",
        "{prompt}\nShow each step on a line, then write #### and the number.",
        "answer*answer_format",
        (192, 128),
        ("answer",),
    ),
    "rotten_tomatoes": Real(
        "Classification-v0",
        "{prompt}\nWhich of these labels does the text have? Answer with the label alone.",
        "exact_match",
        (128, 8),
        ("macro_f1", "calibration_error"),
    ),
    "movie_reviews": Real(
        "SentimentContinuation-v1",
        "Go on with this review, and make it a happy one: {prompt}",
        "sentiment*no_repeats",
        (64, 32),
        ("sentiment",),
        references=False,
    ),
    "sgd": Real(
        "DialogueReply-v0",
        "{prompt}\n\nYou are SYSTEM. Write its next turn, one sentence.",
        "rougeL*no_repeats",
        (256, 40),
    ),
    "tang_quatrains": Real(
        "Verse-v0",
        "{prompt}\n写一首绝句，四行。",
        "0.5*rhyme + 0.5*meter",
        (64, 64),
        arguments=(("poem", "jueju"),),
    ),
}
ROWS = [
    {"meaning_representation": "name[The Mill], food[soup]", "human_reference": "The Mill serves soup."},
    {"meaning_representation": "name[Blue Door], area[riverside]", "human_reference": "Blue Door is by the river."},
    {"meaning_representation": "name[The Crown], food[fish]", "human_reference": "You can eat fish at The Crown."},
]


def zero_shot(folder: Path, real: Real, model: str, dtype: str, num_prompts: int, seed: int) -> dict[str, Any]:
    """Scores of greedy completions and of sampled ones, with two of the former."""
    env_id, env_kwargs = f"textgym/{real.task}", real.env_kwargs(folder)
    policy = load_policy(model, env_id, {**env_kwargs, "split": real.split}, dtype=dtype)
    compared = (*OVERLAP, *ANSWERS[:1], "novel_ngrams") if real.references else ()
    metrics = [*dict.fromkeys((*compared, *real.metrics, *DIVERSITY))]
    row: dict[str, Any] = {
        "task": real.task,
        "reward": real.reward,
        "prompts": num_prompts,
        "model": model,
        "dtype": dtype,
    }
    for how, deterministic in (("greedy", True), ("sampled", False)):
        result = evaluate(
            policy,
            env_id,
            num_prompts,
            metrics=metrics,
            deterministic=deterministic,
            seed=seed,
            split=real.split,
            env_kwargs=env_kwargs,
        )
        row[how] = {name: round(value, 4) for name, value in result.summary().items()}
        if deterministic:
            row["samples"] = [
                {"prompt": one.prompt, "completion": one.completion, "references": one.references[:1]}
                for one in result.samples[:2]
            ]
    return row


def write_rows(folder: Path) -> None:
    """A dataset of three rows."""
    path = folder / "e2e_nlg" / "test" / "rows.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, help="a folder with a folder for each dataset")
    parser.add_argument("--sets", help="some of them, joined by commas; default: all that --data has")
    parser.add_argument("--model", default="textgym/tiny", help="a language model: a name or a folder")
    parser.add_argument("--dtype", default="float32", help="of the weights; bfloat16 is faster where it is built in")
    parser.add_argument("--num-prompts", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="JSON with all scores; what is in it already isn't done again")
    arguments = parser.parse_args()
    names = arguments.sets.split(",") if arguments.sets else [*REAL] if arguments.data else ["e2e_nlg"]
    if unknown := [name for name in names if name not in REAL]:
        parser.error(f"--sets: there is no {', '.join(unknown)}, expected some of {', '.join(REAL)}")
    settings = {"model": arguments.model, "dtype": arguments.dtype, "prompts": arguments.num_prompts}

    done: dict[str, Any] = {}
    if arguments.out is not None and arguments.out.is_file():
        done = json.loads(arguments.out.read_text(encoding="utf-8"))
        if others := [name for name, row in done.items() if {key: row[key] for key in settings} != settings]:
            parser.error(f"--out {arguments.out} has {', '.join(others)} with other settings: name another file")
    with tempfile.TemporaryDirectory() as temporary:
        if arguments.data is None:
            write_rows(Path(temporary))
        for name in names:
            folder = (arguments.data or Path(temporary)) / name
            if name in done or not folder.is_dir():
                print(f"{name}: " + ("done already" if name in done else f"left out, there is no folder {folder}"))
                continue
            real = REAL[name]
            how = arguments.model, arguments.dtype, arguments.num_prompts, arguments.seed
            done[name] = row = zero_shot(folder, real, *how)
            print(f"{name}: {real.task}, {arguments.num_prompts} prompts, {real.reward}")
            for way in ("greedy", "sampled"):
                print(f"  {way}: " + ", ".join(f"{metric} {value:.3f}" for metric, value in row[way].items()))
            for sample in row["samples"]:
                print(f"  {sample['prompt']}\n  -> {sample['completion']!r}")
            if arguments.out is not None:
                arguments.out.write_text(json.dumps(done, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
