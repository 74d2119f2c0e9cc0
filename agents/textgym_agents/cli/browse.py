"""``textgym list`` and ``textgym info``: what there is."""

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from textgym_agents.cli import arguments, cards, options

NUM_EXAMPLES = 3


def list_(
    algorithms: Annotated[bool, typer.Option("--algorithms", help="List the algorithms.")] = False,
    rewards: Annotated[bool, typer.Option("--rewards", help="List the names that --reward understands.")] = False,
    metrics: Annotated[bool, typer.Option("--metrics", help="List the metrics.")] = False,
    plugins: options.Plugins = None,
) -> None:
    """List the environments; or algorithms, rewards, metrics.

    [cyan]textgym list[/cyan]
    [cyan]textgym list --rewards --metrics[/cyan]
    """
    options.load_plugins(plugins)
    console = Console()
    if not (algorithms or rewards or metrics):
        console.print(_environments())
    if algorithms:
        console.print(_algorithms())
    if rewards:
        console.print(_rewards())
    if metrics:
        console.print(_metrics())


def _environments() -> Table:
    from textgym.registration import default_reward, newest_id, task_of, text_ids

    older = [one for one in text_ids() if newest_id(one) != one]
    table = Table(caption=Text(f"Older versions: {options.visible(', '.join(older))}"))
    table.add_column("id", no_wrap=True)
    for title in ("what", "default reward", "prompts: train, validation, test"):
        table.add_column(title)
    for env_id in (one for one in text_ids() if one not in older):
        reward, task = default_reward(env_id), task_of(env_id)
        about, made = _about(task), _named(reward, getattr(task, "partner", None))
        table.add_row(*(Text(options.visible(cell)) for cell in (env_id, about, made, _sizes(env_id))))
    return table


def _named(reward: Any, partner: Any) -> str:
    """A reward in a table. In a conversation the partner may be the one who gives it."""
    return repr(reward) if reward is not None else "none" if partner is None else "its partner's"


def _about(task: Any) -> str:
    """The first line about a task, which is a class or a function, or a sequence of prompts."""
    documented = task if callable(task) else type(task)
    return "" if documented in (list, tuple) else _first_line(documented)


def _sizes(env_id: str) -> str:
    """How many prompts each split has, or the whole task."""
    from textgym.registration import split_argument, task_of

    task: Any = task_of(env_id)
    if not callable(task):
        return f"{len(task):,}"
    sizes = []
    for split in ("train", "validation", "test"):
        try:
            sizes.append(f"{len(task(**split_argument(env_id, split))):,}")
        except Exception as error:  # a user's task: the list is not the place to fail
            sizes.append(f"none ({type(error).__name__})")
    return ", ".join(sizes if split_argument(env_id, "train") else sizes[:1])


def _algorithms() -> Table:
    from textgym_agents.algorithms import ALGORITHMS

    table = Table("algorithm", "family", "class", "default KL")
    table.add_column("paper", overflow="fold")
    for name, row in ALGORITHMS.items():
        module = getattr(row.cls, "__module__", "").partition(".")[0]
        kl = "none" if row.kl_coef is None else f"{row.kl_coef:g}"
        table.add_row(name, row.family, f"{module}.{getattr(row.cls, '__name__', row.cls)}", kl, row.paper)
    return table


def _rewards() -> Table:
    from textgym.rewards import REWARDS
    from textgym.rewards.registry import describe

    table = Table("reward", "in Python", "what")
    for name in REWARDS:
        table.add_row(*(Text(options.visible(cell)) for cell in (name, *describe(name))))
    table.caption = "Combine them: --reward '0.7*bleu + 0.3*rougeL', --reward 'sentiment*coverage'"
    return table


def _metrics() -> Table:
    from textgym.metrics import METRICS

    table = Table("metric", "what")
    table.add_column("signature", overflow="fold")
    for name, metric in METRICS.items():
        table.add_row(name, _first_line(metric), metric().signature)
    return table


def _first_line(thing: Any) -> str:
    """The first line of a docstring as plain text."""
    return (thing.__doc__ or "").strip().partition("\n")[0].replace("``", "")


def info(
    task: options.Task,
    dataset: options.Dataset = None,
    columns: options.Columns = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="Where the examples come from. Default: those of the task's card, with what it measured; else train."
        ),
    ] = None,
    env_kwarg: options.EnvKwargs = None,
    plugins: options.Plugins = None,
) -> None:
    """Explain an environment: description, spaces, reward, metrics, and prompts with completions and their rewards.

    For conversations, dialogues of the best policy.

    [cyan]textgym info DataToText[/cyan]
    [cyan]textgym info Summarization --dataset my_articles.jsonl --env-kwarg 'columns={"prompt": "article"}'[/cyan]
    """
    import gymnasium

    from textgym.registration import spec_of, split_argument

    console = Console()
    options.load_plugins(plugins, task)
    env_id = arguments.resolve_id(task)
    kwargs = arguments.env_arguments(env_kwarg, dataset=dataset, columns=columns)
    card = None if split is not None or dataset else cards.card_of(env_id, kwargs)
    env = gymnasium.make(spec_of(env_id), **split_argument(env_id, "train" if split is None else split), **kwargs)
    base: Any = env.unwrapped
    console.rule(Text(env_id, "bold"))
    console.print(Markdown(options.visible(_docstring(base.task))))
    console.print(_facts(base, [wrapper.name for wrapper in env.spec.additional_wrappers] if env.spec else []))
    if card is not None:
        cards.show(console, card)
        return
    for number in range(min(NUM_EXAMPLES, len(base.task))):
        console.print(_example(base, number))


def _docstring(task: Any) -> str:
    """The task's docstring without its doctest; that of a plain list says nothing about its prompts."""
    import inspect

    own = None if type(task) in (list, tuple) else type(task).__doc__
    text = inspect.cleandoc(own or "No description.")
    return text.partition("\n>>>")[0].strip()


def _facts(env: Any, wrappers: list[str]) -> Table:
    table = Table(title="as configured", title_justify="left", show_header=False)
    space = env.observation_space
    table.add_row("prompts", f"{len(env.task):,}")
    if wrappers:
        table.add_row("wrappers, left out below", Text(options.visible(", ".join(wrappers))))
    for name, box in space.items():
        table.add_row(f"observation {name}", f"{box.dtype} {box.shape}")
    table.add_row("actions", f"{env.action_space.n:,} tokens")
    table.add_row("prompt, new tokens", f"{space.max_prompt_tokens}, {space.max_new_tokens}")
    if env.partner is not None:
        table.add_row("partner", Text(options.visible(repr(env.partner))))
        table.add_row("turns", f"{env.mdp.rules.max_turns} at most")
    table.add_row("reward", Text(options.visible(_named(env.reward, env.partner))))
    if _plays_itself(env):
        returns = f"{env.task.random_reward():.3f}, {env.task.best_reward():.3f}"
        table.add_row("return of random utterances, best", returns)
    table.add_row("metrics", ", ".join(getattr(env.task, "metrics", ())) or "none")
    return table


def _plays_itself(env: Any) -> bool:
    """Whether the task has a policy of its own, the best one, and the partner that it is for."""
    from textgym.tasks import ConversationTask

    return isinstance(env.task, ConversationTask) and env.partner is env.task.partner


def _example(env: Any, number: int) -> Panel:
    prompt = env.task[number]
    text = Text(options.visible(prompt.text), style="bold")
    if _plays_itself(env):
        return _dialogue(env, number, text)
    for i, reference in enumerate(prompt.references):
        text.append(f"\n{'references' if len(prompt.references) > 1 else 'reference'}: " if i == 0 else "\n", "dim")
        text.append(options.visible(reference), "green")
    if prompt.references and env.reward is not None:
        score, finish_reason = score_completion(env, number, prompt.references[0])
        text.append("\nreward of the first reference: ", "dim")
        text.append(f"{score:.3f}")
        if finish_reason == "length" and env.last_sample.completion != with_space(prompt.references[0]):
            text.append(" (it is longer than max_new_tokens, so its end is missing)", "dim")
    return Panel(text, title=f"prompt {number}", title_align="left")


def _dialogue(env: Any, number: int, text: Text) -> Panel:
    """A conversation with the best policy, as a model sees it, and what its turns are worth."""
    turns = env.task.play(env.task[number], seed=number).turns
    head, tail = env.task.turn_template
    for place, turn in enumerate(turns):
        if turn.speaker == "policy":
            text.append(options.visible(turn.text), "green")
        else:
            text.append(options.visible(head + turn.text), "cyan")
            text.append(options.visible(tail) if place < len(turns) - 1 else "")
    rewards = [turn.reward for turn in turns if turn.speaker == "policy"]
    text.append("\nrewards of the turns: ", "dim")
    text.append(", ".join(f"{reward:.2f}" for reward in rewards))
    return Panel(text, title=f"prompt {number}", title_align="left")


def score_completion(env: Any, prompt_id: int, completion: str) -> tuple[float, str]:
    """Play a completion for a prompt: its reward, and why it ended."""
    env.reset(options={"prompt_id": prompt_id})
    total, info = 0.0, {}
    for token in env.encode_completion(with_space(completion)):
        _, reward, terminated, truncated, info = env.step(token)
        total += float(reward)
        if terminated or truncated:
            break
    return total, str(info.get("finish_reason", ""))


def with_space(completion: str) -> str:
    """Completions follow their prompt directly, so they begin with a space.

    >>> with_space("a cat"), with_space(" a cat"), with_space("")
    (' a cat', ' a cat', '')
    """
    return completion if not completion or completion[0].isspace() else f" {completion}"
