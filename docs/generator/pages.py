"""The generated pages of the site: one for each environment and algorithm, the rewards, and the API reference."""

import inspect
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from docs.generator import facts, gallery, tables
from docs.generator.logged import named_in

ROOT = Path(__file__).parents[2]
# Folders of the packages whose modules are for the command line alone, or hold data.
NOT_IN_API = {"cli", "speed", "world", "assets", "__pycache__"}


@cache
def generated() -> dict[str, str]:
    """Path of each page within docs/ -> its Markdown. Overviews come first, the others in the order of their tables."""
    from textgym.tasks import OPT_IN, TASKS
    from textgym_agents.algorithms import ALGORITHMS

    pages = {"environments/index.md": environments(), "algorithms/index.md": algorithms()}
    pages |= {f"environments/{name}.md": environment(name) for name in (*TASKS, *OPT_IN)}
    pages |= gallery.pages()
    pages |= {"rewards/index.md": rewards()}
    pages |= {f"algorithms/{name}.md": algorithm(name) for name in ALGORITHMS}
    pages |= {"algorithms/defaults.md": defaults()}
    return pages | dict(api())


# ---------------------------------------------------------------------- environments


def environments() -> str:
    """The overview of the environments."""
    return f"""# Environments

One step writes one token; the reward scores the finished completion. `textgym info DataToText` shows in a terminal what
these pages show.

{tables.environments()}

A task's arguments (`split`, `dataset`, `columns`, `seed`, ...) are on its page; those of the environment (`reward`,
`tokenizer`, `max_new_tokens`, `stop`, ...) are those of
[TextGenerationEnv](../api/textgym.md#textgym.env.TextGenerationEnv).
An environment's version changes whenever its prompts or rewards do. A short name, such as Copy, means the newest. Some
tasks have a `-v0` too, with the same prompts and a reward that pays more for degenerate texts: see the task's page.
Results that are of such an id name it.

[Conversations](../guides/conversation.md#tasks-that-are-there), such as `TwentyQuestions`, have a table of their own.
"""


def environment(name: str) -> str:
    """The page of an environment: its task's docstring, its reward, metrics, examples, commands and result."""
    from textgym.registration import default_reward, env_id
    from textgym.tasks import OPT_IN, TASKS

    task: Any = {**TASKS, **OPT_IN}[name]
    known = facts.FACTS["environment"][name]
    reward: Any = default_reward(env_id(name))
    title, _, body = inspect.cleandoc(task.__doc__).partition("\n>>>")[0].strip().partition("\n\n")
    return f"""# {name}

{title} `gymnasium.make("{env_id(name)}")`

{known["origin"]}

{body.replace("``", "`")}

## Default reward
```text
{known["equation"].strip()}
```

`{reward!r}`: {tables.first_line(type(reward))} {known["paper"]}. All [rewards](../rewards/index.md).

## Metrics
{", ".join(f"`{metric}`" for metric in task.metrics)}, at evaluation, over all completions together.

## Examples
Prompts, completions and their rewards, and what the reward doesn't see: [gallery](../gallery/{name}.md).

## The built-in model
{known["result"]}

```bash
textgym evaluate {name} --num-prompts 200
textgym train {name} --algo ppo --timesteps 40000
textgym benchmark --algos ppo,rloo --tasks {name} --seeds 3
```

What each algorithm reaches: [benchmark](../benchmark.md).
"""


# ---------------------------------------------------------------------- rewards


def rewards() -> str:
    """Rewards and metrics in two tables."""
    return f"""# Rewards and metrics

A reward takes a batch of finished completions and returns a number for each. All built-in ones lie between 0 and 1, and
add and multiply: `0.5 * BLEU() + 0.5 * KeywordCoverage()`, or in text `reward="0.5*bleu + 0.5*coverage"`.

{tables.rewards()}

Metrics score all completions of an evaluation together. Their signature says with which settings.

{tables.metrics()}

The classes: [textgym.rewards](../api/textgym.rewards.md), [textgym.metrics](../api/textgym.metrics.md).
"""


# ---------------------------------------------------------------------- algorithms


def algorithms() -> str:
    """The overview of the algorithms."""
    from textgym_agents.algorithms import ALGORITHMS

    rows = [
        (f"[{name}]({name}.md)", row.family, tables.linked(row.paper), f"`{tables.public_name(row.cls)}`", _score(name))
        for name, row in ALGORITHMS.items()
    ]
    return f"""# Algorithms

`textgym_agents.make(name, env)` builds any of them. The score is the mean over the probes of the
[benchmark](../benchmark.md), of samples, with a 95 % interval: 0 is a policy that takes legal words at random, 1 the
best.

{tables.table(("name", "family", "paper", "class", "score"), rows)}
"""


def defaults() -> str:
    """Every default in one table."""
    return f"""# All defaults

What textgym sets, and where each value comes from: the algorithm's paper, the library whose default it is (SB3,
sb3-contrib, TRL), a search by the command that is named ([tuning](../reference/tuning.md)), or "chosen": judged to suit
text and not tuned, with the reason on the algorithm's page.

{tables.defaults()}
"""


def _score(name: str) -> str:
    return facts.results().get(f"`{name}`", ["", "", "not run"])[2]


def algorithm(name: str) -> str:
    """The page of an algorithm: paper, update rule, defaults, logged scalars, result, commands and its class."""
    from textgym_agents.algorithms import ALGORITHMS

    row = ALGORITHMS[name]
    own = tables.public_name(row.cls)
    defaults = [(f"`{argument}`", *default) for argument, default in facts.defaults_of(name).items()]
    kl = "It takes no KL penalty." if row.kl_coef is None else f"The KL penalty's default is `kl_coef={row.kl_coef}`."
    ours = own.startswith("textgym_agents")
    library = "sb3-contrib" if own.startswith("sb3_contrib") else "Stable-Baselines3"
    source = f"`{own}` is {library}'s class, unmodified."
    if ours:  # links to the class lead to the API reference
        source = f"::: {row.cls.__module__}.{row.cls.__name__}\n    options:\n      skip_local_inventory: true"
    header = ("argument", "here", "in the class", "from", "why, or what it is")
    return f"""# {name}

{tables.linked(row.paper)}

Family: {row.family}. Class: `{own}`. Policy: `{row.policy.__name__}`. {kl}

Tests: {", ".join(f"`tests/agents/{file}`" for file in row.tests)}.

## Update rule

```text
{facts.equation(name)}
```

## Defaults

{tables.table(header, defaults) if defaults else "It has no settings."}

{"" if ours else "What isn't listed is the class's own default. "}See also [defaults](../reference/defaults.md).

## Logged scalars

{_scalars(name)}

## Result

{_proof(row.learning)}{_result(name)}

```bash
textgym benchmark --suite probe --algos {name} --seeds 5
```

## Use

```bash
textgym train SentimentContinuation --algo {name} --timesteps 40000
```

```python no-run: shown on every page; the tests run it for each algorithm in a smaller form
import textgym_agents

algorithm = textgym_agents.make("{name}", "textgym/SentimentContinuation-v1")
algorithm.learn(40_000)
```

## The class

{source}
"""


def _scalars(name: str) -> str:
    """What an algorithm logs, what few others do first."""
    mine = [one for one in facts.scalars() if name in named_in(one.by)]
    if not mine:
        return "None: nothing is trained."
    rows = [(f"`{one.name}`", one.meaning) for one in sorted(mine, key=lambda one: one.by.startswith("every"))]
    text = "those of callbacks are on the page of [all scalars](../reference/scalars.md)"
    return f"{tables.table(('scalar', 'meaning'), rows)}\n\nIts own; {text}."


def _proof(learning: Any) -> str:
    """What a test asks of it on Copy-v0."""
    if learning is None:
        return ""
    gains = ", ".join(f"{gain:+.3f}" for gain in learning.measured)
    return (
        f"A test holds it to learn: on `Copy-v0`, {learning.timesteps:,} tokens with the defaults must change the "
        f"reward of 200 held-out prompts by more than {learning.gain:+.3g}; three seeds gave {gains} when that was "
        "set.\n\n"
    )


def _result(name: str) -> str:
    """Its row of the benchmark's table."""
    header, row = facts.results()["algorithm"], facts.results().get(f"`{name}`")
    if row is None:
        return "Not in the benchmark's table yet. This command measures it:"
    shown = tables.table(header[2:], [row[2:]])
    return f"Mean score of the probes, five seeds, as the [benchmark](../benchmark.md) explains:\n\n{shown}"


# ---------------------------------------------------------------------- API


def api() -> Iterator[tuple[str, str]]:
    """A page for the modules at the root of textgym, and one for each folder of both packages."""
    for package, source in {"textgym": ROOT, "textgym_agents": ROOT / "agents"}.items():
        root = source / package
        modules = sorted(path for path in root.glob("*.py") if not path.stem.startswith("_"))
        yield f"api/{package}.md", _reference(package, [package, *(f"{package}.{path.stem}" for path in modules)])
        for folder in sorted(path for path in root.iterdir() if path.is_dir() and path.name not in NOT_IN_API):
            room = f"{package}.{folder.name}"
            inner = [path.relative_to(root) for path in sorted(folder.rglob("*.py")) if not path.stem.startswith("_")]
            yield (
                f"api/{room}.md",
                _reference(room, [".".join((package, *path.with_suffix("").parts)) for path in inner]),
            )


def _reference(title: str, modules: list[str]) -> str:
    """The page of some modules."""
    blocks = []
    for module in modules:
        if module == title:  # the package: what it says, and the names that it has
            blocks.append(f"::: {module}\n    options:\n      members: false\n      show_root_heading: false\n")
        else:
            blocks.append(f"::: {module}\n    options:\n      show_if_no_docstring: false\n")
    return f"# {title}\n\n" + "\n".join(blocks)
