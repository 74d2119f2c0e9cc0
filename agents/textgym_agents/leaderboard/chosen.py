"""A few algorithms of a results file in pictures of their own, as files for a page of documentation."""

from collections.abc import Sequence
from pathlib import Path

from textgym.errors import ConfigError, did_you_mean
from textgym_agents.benchmark import pictures
from textgym_agents.benchmark.analysis import lines
from textgym_agents.benchmark.analysis.abilities import abilities, probes, tags_of
from textgym_agents.benchmark.analysis.fronts import TEMPERED, fronts
from textgym_agents.benchmark.analysis.scores import score
from textgym_agents.leaderboard.results import Results
from textgym_agents.report import svg
from textgym_agents.storage import write_atomically


def write_pictures(
    results: Results, folder: str | Path, algos: Sequence[str], tasks: Sequence[str] | None = None
) -> list[Path]:
    """Write ``NAME-radar.svg`` where there are probes, and ``NAME-fronts.svg`` where there are fronts.

    Args:
        results: of a benchmark; scores are those among all of its algorithms.
        folder: where to; made if it isn't there.
        algos: which are shown, at most as many as there are colors. The initial model's front is always there.
        tasks: whose fronts, by id or its middle; None: those of all.

    Returns:
        The files.

    Raises:
        ConfigError: an algorithm or task has no runs in it, or there are too many algorithms.
    """
    done = lines.finished(results.runs)
    for algo in algos:
        if algo not in lines.algos_of(done):
            known = lines.algos_of(done)
            raise ConfigError(f"{str(results.path)!r} has no runs of {algo!r}. {did_you_mean(algo, known)}")
    if not 0 < len(algos) <= svg.MANY:
        raise ConfigError(f"A picture has 1 to {svg.MANY} algorithms, not {len(algos)}.")
    names = {task: (task, task.rpartition("/")[2].rpartition("-v")[0]) for task in lines.tasks_of(done)}
    for wanted in tasks or ():
        if not any(wanted in known for known in names.values()):
            raise ConfigError(f"{str(results.path)!r} has no runs on {wanted!r}. {did_you_mean(wanted, names)}")
    chosen = [task for task, known in names.items() if tasks is None or any(one in known for one in tasks)]
    scores = score(done)
    drawn: dict[str, list[str]] = {}
    found = probes(scores.tasks)
    if found:
        drawn["radar"] = pictures.radars(abilities(scores, found), tags_of(found), algos)
    shown = {
        task: [one for one in mine if one.algo in (*algos, TEMPERED)]
        for task, mine in fronts(done).items()
        if task in chosen
    }
    if any(shown.values()):
        drawn["fronts"] = pictures.fronts(shown, together=True)
    Path(folder).mkdir(parents=True, exist_ok=True)
    paths = []
    for name, elements in drawn.items():
        path = Path(folder) / f"{results.name}-{name}.svg"
        write_atomically(path, svg.grid(elements, min(3, len(elements))), "a picture")
        paths.append(path)
    return paths
