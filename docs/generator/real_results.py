"""Tables of docs/guides/data.md about a pretrained model on real datasets, from files in agents/results."""

import json

from docs.generator.blocks import ROOT
from docs.generator.results import gains, runs_of, scores_of
from textgym_agents.benchmark.analysis import lines
from textgym_agents.benchmark.analysis.costs import costs_of
from textgym_agents.benchmark.composites import short_task
from textgym_agents.report import markdown

ZERO_SHOT = ROOT / "agents" / "results" / "real-zero-shot.json"
TRAINED = ZERO_SHOT.with_name("real-v1.jsonl.gz")
# What the field of each dataset reports.
FIELD = {
    "e2e_nlg": ("bleu", "meteor", "cider", "parent", "faithfulness"),
    "scitldr": ("rouge1", "rouge2", "rougeL"),
    "mts_dialog": ("rouge1", "rouge2", "rougeL"),
    "xquad.en": ("token_f1", "exact_match"),
    "xquad.de": ("token_f1", "exact_match"),
    "xquad.zh": ("token_f1", "exact_match"),
    "xquad.en-de": ("bleu", "chrf", "ter"),
    "xquad.en-zh": ("bleu", "chrf", "ter"),
    "gsm8k": ("answer",),
    "rotten_tomatoes": ("macro_f1",),
    "movie_reviews": ("sentiment", "distinct2"),
    "sgd": ("bleu", "meteor", "distinct2"),
    "tang_quatrains": ("distinct2", "novel_ngrams"),
}


def zero_shot() -> str:
    """Rewards, greedy and sampled, and what each field reports, of greedy completions."""
    rows = []
    for name, row in json.loads(ZERO_SHOT.read_text(encoding="utf-8")).items():
        rewards = [f"{row[how]['reward']:.3f}" for how in ("greedy", "sampled")]
        reported = ", ".join(f"{metric} {row['greedy'][metric]:.3f}" for metric in FIELD[name])
        rows.append([name, row["task"].partition("-v")[0], f"`{row['reward']}`", *rewards, reported])
    return markdown.table(["dataset", "task", "reward", "greedy", "sampled", "its field reports, greedy"], rows)


def trained() -> str:
    """Rewards of held-out prompts after training, and their gains over the initial model, decoded alike."""
    scores, runs, rows = scores_of(TRAINED), runs_of(TRAINED), []
    for task in scores.tasks:
        for algo in lines.algos_of(lines.select(runs, task=task)):
            mine = lines.select(runs, task=task, algo=algo)
            cells = [scores.cells[task, algo, side] for side in ("sampled", "greedy")]
            more, minutes = ["", ""], ""
            if lines.is_trained(mine[0]):
                more = gains(scores, task, algo, "zero_shot")
                minutes = f"{costs_of(mine)['seconds'] / 60:.0f}"
            name = short_task(task).partition("-v")[0]
            rows.append([name, f"`{algo}`", *(f"{cell.reward.value:.3f}" for cell in cells), *more, minutes])
    return markdown.table(["task", "algorithm", "sampled", "greedy", "gain, sampled", "gain, greedy", "minutes"], rows)
