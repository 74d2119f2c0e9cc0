"""What a number of tokens costs: the time to write them and to learn from them once."""

from collections.abc import Sequence

from textgym_agents.speed.measure import Result

MILLIONS = (1, 10, 100)


def cost_rows(results: Sequence[Result]) -> list[list[str]]:
    """Model, tokens a second of rollout and update, and the time for 1, 10 and 100 million tokens.

    Of each model the rollout and the update whose texts are nearest to 128 tokens and of equal length.

    >>> setting = {"model": "a", "title": "A", "new_tokens": 128, "mean_tokens": None, "rows": 16}
    >>> rollout = Result("rollout", "rollout, a, ...", 1.2, (), ours=2000.0, setting=setting)
    >>> update = Result("update", "update, a, ...", 1.0, (), ours=1000.0, setting={**setting, "minibatch_tokens": 512})
    >>> cost_rows([rollout, update])
    [['A', '2,000 tokens/s', '1,000 tokens/s', '25 min', '4.2 h', '1.7 days']]
    """
    found: dict[str, dict[bool, Result]] = {}
    for one in results:
        known = one.row in ("rollout", "update", "seq2seq") and one.ours and "title" in one.setting
        if not known or one.setting.get("mean_tokens"):
            continue
        best = found.setdefault(one.setting["title"], {})
        updates = "minibatch_tokens" in one.setting
        if updates not in best or _distance(one) < _distance(best[updates]):
            best[updates] = one
    rows = []
    for title, best in found.items():
        speeds = [best[updates].ours for updates in (False, True) if updates in best]
        if len(speeds) == 2:
            seconds = sum(1e6 / speed for speed in speeds if speed)
            rows.append(
                [title, *(f"{speed:,.0f} tokens/s" for speed in speeds), *(_time(seconds * n) for n in MILLIONS)]
            )
    return rows


def _distance(one: Result) -> tuple[int, int]:
    return abs(one.setting["new_tokens"] - 128), one.setting["rows"]


def _time(seconds: float) -> str:
    """
    >>> _time(90), _time(7000), _time(200_000)
    ('2 min', '1.9 h', '2.3 days')
    """
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 36 * 3600 else f"{seconds / 86400:.1f} days"
