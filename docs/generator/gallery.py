"""The gallery of the site: a page for each task with prompts, completions, rewards, blind spots and a learning curve.

What takes a model is measured once and kept, as a card in textgym/assets/tasks and curves in agents/results/curves::

    python -m docs.generator.gallery measure Copy            measure a card; --no-model: what takes none, alone
    python -m docs.generator.gallery curve RESULTS.jsonl     keep the curves that a benchmark has of built-in tasks
"""

import argparse
import gzip
import inspect
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from docs.generator import tables
from docs.generator.blocks import ROOT

CURVES = ROOT / "agents" / "results" / "curves"
NOT_MEASURED = "Not measured yet."
LONGEST = 240  # characters of a text in a listing
# What each row of a card's table is, in its order.
KINDS = {
    "references": "the first reference",
    "shuffled": "its words in another order",
    "prompt copied": "the prompt copied",
    "empty": "nothing at all",
    "untrained": "a model of random weights, sampled",
    "sampled": "the model, sampled",
    "T=0.7": "at temperature 0.7",
    "greedy": "greedy",
    "best of 4": "the best of 4 samples",
    "best of 16": "the best of 16 samples",
}


def pages() -> dict[str, str]:
    """Path of each page within docs/ -> its Markdown, the index first."""
    from textgym.tasks import CONVERSATIONS, OPT_IN, TASKS

    found = {"gallery/index.md": index()}
    found |= {f"gallery/{name}.md": page(name) for name in (*TASKS, *OPT_IN)}
    return found | {f"gallery/{name}.md": conversation(name) for name in (*CONVERSATIONS, "CustomerService")}


def index() -> str:
    """Every task with what completions of several kinds get."""
    from textgym.tasks import CONVERSATIONS, OPT_IN, TASKS
    from textgym_agents.evaluation.task_card import cards_of

    rows = []
    for name, task in {**TASKS, **OPT_IN}.items():
        card = next(iter(cards_of(name)), None)
        known = {} if card is None else {**card.fixed, **card.decoding}
        model = ", ".join(f"{known[kind]:.2f}" for kind in ("sampled", "greedy", "best of 16") if kind in known)
        least = "" if card is None else f"{card.share:.0%}"
        rows.append((f"[{name}]({name}.md)", tables.first_line(task), model, least))
    talks = [
        (f"[{name}]({name}.md)", tables.first_line(task)) for name, task in {**CONVERSATIONS, **_customers()}.items()
    ]
    header = ("task", "what it is", "the model", "says nothing")
    return f"""# Gallery

Every task with three prompts, what completions of them get, what its default reward doesn't see, and how it is learned.
`textgym info Copy` shows the same in a terminal.

The model is the task's default: its mean reward sampled, greedy, and of the best of 16 samples, on prompts of the
validation split. The last column is the best paid of some fifty texts that say nothing, such as one word again and
again, as a share of what a reference gets; their names are those of
[degenerate_texts](../api/textgym.tasks.md#textgym.tasks.degenerate.degenerate_texts). Empty cells are not measured yet.

{tables.table(header, rows)}

## Conversations

{tables.table(("task", "what it is"), talks)}

Two policies that talk to each other are in `examples/negotiate.py`.
"""


def page(name: str) -> str:
    """The page of a task of one turn."""
    from textgym.registration import built_in_tasks, env_id
    from textgym_agents.evaluation.task_card import cards_of

    task: Any = built_in_tasks()[name]
    cards = cards_of(name)
    shown = [_card(card) for card in cards] or [f"## Prompts\n\n{NOT_MEASURED}\n\n"]
    return f"""# {name}

{tables.first_line(task)} `gymnasium.make("{env_id(name)}")`: [arguments and data](../environments/{name}.md).

{"".join(shown)}
## Blind spots

{blind_spots(task) or NOT_MEASURED}
{"".join(_best_paid(card) for card in cards)}
## Learning curve

{_curves(name)}

## Commands

```bash
textgym info {name}{_opt_in(task)}
textgym headroom {name} --num-prompts 100
python -m docs.generator.gallery measure {name}
```
"""


def _opt_in(task: Any) -> str:
    """The argument without which there is no environment."""
    argument = getattr(task, "opt_in", "")
    return f" --env-kwarg {argument}=true" if argument else ""


def blind_spots(task: Any) -> str:
    """What a task's docstring says under "Blind Spots"."""
    match = re.search(r"^## Blind Spots\n(.*?)(?=^#|^>>>|\Z)", inspect.cleandoc(task.__doc__), re.DOTALL | re.MULTILINE)
    return match[1].strip().replace("``", "`") if match else ""


def variant(arguments: Mapping[str, Any]) -> str:
    """The arguments of a variant as code.

    >>> variant({"language": "zh"})
    'language="zh"'
    """
    return ", ".join(f"{name}={json.dumps(value)}" for name, value in arguments.items())


def _card(card: Any) -> str:
    title = f", `{variant(card.arguments)}`" if card.arguments else ""
    rows = [(KINDS[kind], f"{value:.3f}") for kind, value in {**card.fixed, **card.decoding}.items() if kind in KINDS]
    model = f"The model is `{card.model}`." if card.model else "A model is not measured yet."
    return f"""## Prompts{title}

The first of the validation split. Rewards are those of `{card.reward}`.
{"".join(map(_example, card.examples))}
## Mean rewards{title}

Of the first {card.prompts} prompts of the validation split. {model}

{tables.table(("completion", "mean reward"), rows)}

"""


def _example(example: Any) -> str:
    """A prompt, its references, and the rewards of its completions."""
    lines = [*example.prompt.split("\n"), ""]
    for kind, (text, reward) in example.completions.items():
        lines += _listed(kind, reward, text)
        if kind == "reference":
            lines += [line for one in example.references[1:] for line in _listed(kind, "", one)]
    return "\n```{ .text .listing }\n" + "\n".join(line.rstrip() for line in lines) + "\n```\n"


def _listed(kind: str, reward: float | str, text: str) -> list[str]:
    """A completion in a listing: its reward, its kind, and its text, whose further lines are indented."""
    text = text.strip("\n") if text.strip() else ""
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."
    said = f"{reward:.3f}" if isinstance(reward, float) else reward
    first, *others = text.split("\n")
    return [f"{said:>5}  {kind:<9}  {first.strip()}", *(f"{'':18}{line}" for line in others)]


def _best_paid(card: Any) -> str:
    name, reward = card.best_paid
    if not reward:
        return "\nNo text that says nothing gets anything.\n"
    where = f" with `{variant(card.arguments)}`" if card.arguments else ""
    return (
        f"\nThe best paid of the texts that say nothing{where}, `{name.strip()}`, gets {reward:.3f} on average, "
        f"{card.share:.0%} of what a reference gets.\n"
    )


# ---------------------------------------------------------------------- curves


def _curves(name: str) -> str:
    """The picture of a task's curves, and the command that made them."""
    from textgym_agents.report import svg

    path = CURVES / f"{name}.json"
    if not path.is_file():
        return f"""{NOT_MEASURED} These commands make one:

```bash
textgym benchmark --algos ppo,rloo --tasks {name} --seeds 3 --out runs/curve
python -m docs.generator.gallery curve runs/curve/results.jsonl
```"""
    kept = json.loads(path.read_text(encoding="utf-8"))
    series = [_series(label, runs) for label, runs in kept["curves"].items()]
    panel = svg.Panel(name, "tokens", "reward", series, levels={"before": kept["before"]})
    seeds = max(map(len, kept["curves"].values()))
    several = f": the mean of {seeds} seeds, and the lowest and the highest" if seeds > 1 else ", with one seed"
    return f"""<div class="curve"><style>{svg.style()}</style>{svg.panel(panel)}</div>

The mean reward of the completions of a rollout, of `{kept["model"]}`{several}.
Dashed: {kept["eval_prompts"]} held-out prompts before training.

```bash
{kept["command"]}
```"""


def _series(label: str, runs: Sequence[Mapping[str, Sequence[float]]]) -> Any:
    """A line: the mean over seeds, at the tokens that all have in common."""
    from textgym_agents.report import svg

    number = min(len(run["timesteps"]) for run in runs)
    rewards = [[run["reward"][i] for run in runs] for i in range(number)]
    at = [float(runs[0]["timesteps"][i]) for i in range(number)]
    points = [(x, sum(values) / len(values)) for x, values in zip(at, rewards, strict=True)]
    band = [(x, min(values), max(values)) for x, values in zip(at, rewards, strict=True)]
    return svg.Series(label, points, band if len(runs) > 1 else ())


def keep_curves(results: Path) -> list[Path]:
    """Keep the training curves of the built-in tasks that a results file has. Returns the files written."""
    from textgym.registration import built_in_tasks, short_name
    from textgym_agents.cli.benchmark import config_of

    opened = gzip.open if results.suffix == ".gz" else open
    with opened(results, "rt", encoding="utf-8") as file:
        runs = [json.loads(line) for line in file if line.strip()]
    written = []
    for name in built_in_tasks():
        mine = [run for run in runs if run.get("curve", {}).get("reward") and short_name(run["task"]) == name]
        if not mine:
            continue
        algos = list(dict.fromkeys(run["algo"] for run in mine))
        seeds = 1 + max(run["seed"] for run in mine)
        config = replace(config_of(mine[0]["command"]), algos=tuple(algos), seeds=seeds)
        kept = {
            "command": f"{config.command()} --out runs/curve",
            "model": mine[0]["model"],
            "before": mine[0]["evaluations"]["before"]["summary"]["reward"],
            "eval_prompts": mine[0]["eval_prompts"],
            "curves": {algo: [run["curve"] for run in mine if run["algo"] == algo] for algo in algos},
        }
        CURVES.mkdir(exist_ok=True)
        written.append(CURVES / f"{name}.json")
        written[-1].write_text(json.dumps(kept) + "\n", encoding="utf-8")
    return written


# ---------------------------------------------------------------------- conversations


def conversation(name: str) -> str:
    """The page of a task of several turns: a dialogue of the best policy, and the returns of two policies."""
    from textgym.tasks import CONVERSATIONS

    if name not in CONVERSATIONS:
        return _customer_service()
    cls: Any = CONVERSATIONS[name]
    task = cls("validation")
    return f"""# {name}

{tables.first_line(cls)}

[Conversations](../guides/conversation.md) are played with a partner, who gives the reward.

{_body(cls)}

## A dialogue

The best policy and the partner, on the first prompt of the validation split.

```{{ .text .listing }}
{dialogue(task.play(task[0], seed=0), task.turn_template)}
```

## Returns

{tables.table(("arguments", "turns", "random utterances", "best"), returns(name))}

Both are computed, not sampled: means over the first prompts of the test split.

## Learning curve

{_curves(name)}

```bash
textgym info {name}
```
"""


def dialogue(played: Any, template: tuple[str, str]) -> str:
    """A dialogue as a model sees it, with the reward of each turn behind it."""
    head, tail = template
    text = played.prompt.text
    for place, turn in enumerate(played.turns):
        text += turn.text if turn.speaker == "policy" else head + turn.text
        if turn.speaker == "policy" and turn.reward:
            text += f"    [reward {turn.reward:g}]"
        elif turn.speaker == "partner" and place < len(played.turns) - 1:
            text += tail
    return text


def returns(name: str) -> list[list[str]]:
    """Arguments, turns and returns of each variant: its rows of the table in docs/guides/conversation.md."""
    page = (ROOT / "docs" / "guides" / "conversation.md").read_text(encoding="utf-8")
    rows, of = [], ""
    for line in page.partition("<!-- conversations -->")[2].partition("<!-- /conversations -->")[0].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        of = cells[0].strip("`") or of
        if of == name and len(cells) > 2:
            rows.append(cells[2:])
    return rows


def _body(cls: Any) -> str:
    """A docstring from its second paragraph to its arguments."""
    body = inspect.cleandoc(cls.__doc__).partition("\n\n")[2]
    return body.partition("Args:")[0].partition(">>>")[0].strip().replace("``", "`")


def _customers() -> dict[str, Any]:
    from textgym.tasks.conversations import CustomerService

    return {"CustomerService": CustomerService}


def _customer_service() -> str:
    """The page of the task that has no customers of its own."""
    from textgym.core import Turn
    from textgym.dialogue import Dialogue, ask_partner
    from textgym.partners import Agenda
    from textgym.tasks.conversations import CustomerService

    customer = Agenda()
    (prompt,) = customer.prompts([{"city": "Oakland", "number_of_riders": "1"}])
    talk = Dialogue(prompt, (), 0)
    for said in (" Which city, and what number of riders?", " A ride for 1 in Oakland."):
        (reply,) = ask_partner(customer, [Dialogue(prompt, (*talk.turns, Turn("policy", said)), 0)])
        turns = (*talk.turns, Turn("policy", said, reward=reply.reward), Turn("partner", reply.text))
        talk = Dialogue(prompt, turns, 0)
    return f"""# CustomerService

{tables.first_line(CustomerService)} It has no id: the customers are those of a dataset, see
[conversations](../guides/conversation.md).

{_body(CustomerService)}

## A dialogue

A customer with the goal `city: Oakland, number_of_riders: 1`, and a clerk who asks for both.

```{{ .text .listing }}
{dialogue(talk, CustomerService.turn_template)}
```

## Returns

The best return is 1, each slot's value said once. That of random utterances depends on the dataset.
"""


# ---------------------------------------------------------------------- the command


def main() -> None:
    """Measure cards, or keep curves."""
    from textgym.registration import built_in_tasks
    from textgym.tasks import OPT_IN, TASKS
    from textgym_agents.evaluation import task_card

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    measure = parts.add_parser("measure")
    measure.add_argument("names", nargs="*", help="tasks; all, if none is named")
    measure.add_argument("--no-model", action="store_true", help="measure no model, and keep what is known of one")
    measure.add_argument("--prompts", type=int, default=100)
    curve = parts.add_parser("curve")
    curve.add_argument("results", type=Path, help="results.jsonl of a benchmark")
    given = parser.parse_args()
    if given.part == "curve":
        print(*keep_curves(given.results), sep="\n")
        return
    for name in given.names or (*TASKS, *OPT_IN):
        # Programs are run in processes, which takes long.
        prompts = min(given.prompts, 8) if getattr(built_in_tasks()[name], "opt_in", "") else given.prompts
        model = "" if given.no_model else None
        cards = [task_card.measure(name, one, prompts=prompts, model=model) for one in task_card.variants_of(name)]
        if given.no_model:
            cards = [task_card.with_model_of(card, task_card.cards_of(name)) for card in cards]
        task_card.store(cards)
        print(name, flush=True)


if __name__ == "__main__":
    main()
