"""Asking a judge again: after which failures, and how long to wait before it.

The waits are drawn at random below a bound that doubles (full jitter, https://aws.amazon.com/builders-library), so that
many calls that failed together don't come back together. A server that says how long to wait (``Retry-After``) is
obeyed. The draws are from a generator of their own and change no other random state.
"""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from textgym.rewards.judge.backends.base import Verdict

_RANDOM = random.Random()
AGAIN = (408, 409, 425, 429)  # and every status from 500 on


@dataclass(frozen=True, slots=True)
class Failure:
    """One attempt that gave no verdict.

    Attributes:
        reason: what went wrong, in words.
        again: whether a further attempt may succeed.
        retry_after: seconds that the server asked to wait, if it did.
        replied: there was a reply, but no verdict in it.
        status: of the HTTP response, if there was one.
    """

    reason: str
    again: bool = True
    retry_after: float | None = None
    replied: bool = False
    status: int | None = None


def ask_until_verdict(
    ask: Callable[[], Verdict | Failure], *, attempts: int, first_wait: float, longest_wait: float
) -> Verdict | Failure:
    """What ``ask`` gives at last: a verdict, a failure that is final, or the failure of the last attempt.

    Args:
        ask: one attempt.
        attempts: how many there may be.
        first_wait: bound of the first wait in seconds; each further one is twice as long.
        longest_wait: bound of every wait in seconds. A server that wants a longer one isn't asked again.
    """
    import tenacity

    def asks_again(outcome: Verdict | Failure) -> bool:
        return isinstance(outcome, Failure) and outcome.again and (outcome.retry_after or 0.0) <= longest_wait

    def seconds(state: tenacity.RetryCallState) -> float:
        assert state.outcome is not None
        drawn = _RANDOM.uniform(0, min(longest_wait, first_wait * 2 ** (state.attempt_number - 1)))
        asked: float | None = state.outcome.result().retry_after
        return drawn if asked is None else min(asked + drawn, max(asked, longest_wait))

    def last(state: tenacity.RetryCallState) -> Verdict | Failure:
        assert state.outcome is not None
        outcome: Verdict | Failure = state.outcome.result()
        return outcome

    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(attempts),
        wait=seconds,
        retry=tenacity.retry_if_result(asks_again),
        retry_error_callback=last,
    )
    outcome: Verdict | Failure = retrying(ask)
    return outcome


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that a server asked to wait: from ``retry-after-ms``, or ``Retry-After`` as seconds or as a date.

    >>> retry_after({"retry-after": "2"}), retry_after({"retry-after-ms": "1500"}), retry_after({"retry-after": "soon"})
    (2.0, 1.5, None)
    """
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        asked = headers.get("retry-after")
        if asked is None:
            return None
        if asked.strip().replace(".", "", 1).isdigit():
            return float(asked)
        return max(0.0, parsedate_to_datetime(asked).timestamp() - time.time())
    except ValueError:
        return None
