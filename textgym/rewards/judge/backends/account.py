"""What judges spend, what they may spend, and how fast: one account for one backend, or for several together."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from textgym.errors import BudgetError, ConfigError

WINDOW = 60.0  # seconds of a minute
CHARS_PER_TOKEN = 4.0  # where nothing is known of the server's tokenizer
TOKENS_PER_REPLY = 100.0  # of a reply that explains in at most three sentences, before any was seen


@dataclass(frozen=True, slots=True)
class Usage:
    """What requests took: their number, tokens, and money in the currency of the prices (None: no prices are known).

    >>> Usage(2, 800, 60, 0.5) + Usage(1, 400, 30)
    Usage(requests=3, input_tokens=1200, output_tokens=90, money=0.5)
    >>> str(Usage(3, 1200, 90, 0.5))
    '3 requests, 1,290 tokens (1,200 read, 90 written), money 0.5'
    """

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    money: float | None = None

    @property
    def tokens(self) -> int:
        """The tokens that were read and those that were written."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: "Usage") -> "Usage":
        known = [money for money in (self.money, other.money) if money is not None]
        return Usage(
            self.requests + other.requests,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            sum(known) if known else None,
        )

    def __str__(self) -> str:
        tokens = f"{self.tokens:,} tokens ({self.input_tokens:,} read, {self.output_tokens:,} written)"
        money = "" if self.money is None else f", money {self.money:.4g}"
        return f"{self.requests:,} requests, {tokens}{money}"


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices for a million tokens that are read and a million that are written, in a currency of your choice.

    >>> Prices(input=0.5, output=2.0).of(1_000_000, 500_000)
    1.5
    """

    input: float
    output: float

    def __post_init__(self) -> None:
        if not (0 <= self.input < float("inf") and 0 <= self.output < float("inf")):
            raise ConfigError(f"{self!r}: expected prices of 0 or more.")

    def of(self, input_tokens: float, output_tokens: float) -> float:
        """The price of so many tokens."""
        return (self.input * input_tokens + self.output * output_tokens) / 1_000_000


class Spending:
    """One request while it runs. Call it with the tokens that the server reports."""

    def __init__(self, chars: int, input_tokens: float, output_tokens: float) -> None:
        self.chars, self.input_tokens, self.output_tokens = chars, input_tokens, output_tokens  # as expected
        self.used: tuple[int, int] | None = None

    def __call__(self, input_tokens: int, output_tokens: int) -> None:
        self.used = (input_tokens, output_tokens)


class Account:
    """What judges have spent, with bounds on it: a budget, and rates that a server allows.

    Give one account to several backends, and they share its bounds. Threads share it as well, and so do copies; each
    process counts for itself. What a request will take is not known before its reply, so that tokens and money
    are reserved by what earlier ones took. A running request is never cut off: the budget may be passed by what the
    requests that run at the time take more than those before. A request that failed counts without tokens.

    Args:
        max_requests, max_tokens, max_money: the budget. Attempts that failed are requests too. None: no bound.
        prices: what tokens cost; ``max_money`` needs them.
        spent: what earlier runs took of the budget, such as ``recompute("judge.jsonl").usage`` of a judge's log.
        requests_per_minute, tokens_per_minute: the rates. What would go beyond one waits its turn.
        max_concurrency: requests at a time, over all judges with this account.

    Attributes:
        used: the Usage so far.

    Raises:
        ConfigError: a bound isn't above 0, or there is one of money without prices.
        BudgetError: (at a request) the budget has no room for it. It is a JudgeError, so that a judge raises it or
            abstains by its ``on_failure``. Nothing is lost by it: verdicts stay remembered, and in the judge's cache.

    >>> account = Account(max_requests=1, prices=Prices(input=0.5, output=2.0))
    >>> with account.request(chars=1200) as spend:  # what OpenAIBackend does; do it in a backend of yours
    ...     spend(input_tokens=300, output_tokens=20)
    >>> print(account.used)
    1 requests, 320 tokens (300 read, 20 written), money 0.00019
    >>> with account.request(chars=1200) as spend:
    ...     pass
    Traceback (most recent call last):
    textgym.errors.BudgetError: The judge's budget of 1 requests has no room for another request: spent so far are 1 \
requests, 320 tokens (300 read, 20 written), money 0.00019. Verdicts so far are kept. Give the Account a larger \
max_requests to go on.
    """

    def __init__(
        self,
        *,
        max_requests: int | None = None,
        max_tokens: int | None = None,
        max_money: float | None = None,
        prices: Prices | None = None,
        spent: Usage | None = None,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        max_concurrency: int | None = None,
    ) -> None:
        bounds = {
            "max_requests": max_requests,
            "max_tokens": max_tokens,
            "max_money": max_money,
            "requests_per_minute": requests_per_minute,
            "tokens_per_minute": tokens_per_minute,
            "max_concurrency": max_concurrency,
        }
        wrong = [f"{name}={bound}" for name, bound in bounds.items() if bound is not None and not bound > 0]
        if wrong:
            raise ConfigError(f"Account got {', '.join(wrong)}. Expected bounds above 0, or None for no bound.")
        if max_money is not None and prices is None:
            raise ConfigError(f"Account got max_money={max_money} without prices. Pass prices=Prices(input, output).")
        self.max_requests, self.max_tokens, self.max_money = max_requests, max_tokens, max_money
        self.prices, self.max_concurrency = prices, max_concurrency
        self.requests_per_minute, self.tokens_per_minute = requests_per_minute, tokens_per_minute
        self.spent = Usage() if spent is None else spent
        self.used = self._unused()
        self._answered, self._chars = 0, 0  # requests with a reply, and the characters that these sent
        self._running: list[Spending] = []
        self._minute: deque[list[float]] = deque()  # [time, tokens] of the requests in the last minute
        self._changed = threading.Condition()

    def _unused(self) -> Usage:
        return self.spent + Usage(money=None if self.prices is None else 0.0)

    def expected(self, chars: int) -> tuple[float, float]:
        """Tokens that a request of so many characters reads and its reply has, by what earlier ones took."""
        if not self._answered:
            return chars / CHARS_PER_TOKEN, TOKENS_PER_REPLY
        new = (self.used.input_tokens - self.spent.input_tokens, self.used.output_tokens - self.spent.output_tokens)
        return chars * new[0] / max(self._chars, 1), new[1] / self._answered

    def usage(self, input_tokens: int, output_tokens: int) -> Usage:
        """One request of so many tokens, with its price."""
        money = None if self.prices is None else self.prices.of(input_tokens, output_tokens)
        return Usage(1, input_tokens, output_tokens, money)

    @contextmanager
    def request(self, chars: int) -> Iterator[Spending]:
        """One request, which waits for its turn. Call what it gives with the tokens that the server reports.

        Args:
            chars: characters that are sent, by which its tokens are expected.

        Raises:
            BudgetError: there is no room for it.
        """
        with self._changed:
            while True:
                running = Spending(chars, *self.expected(chars))
                seconds = self._seconds_to_wait(running) if self._has_room(running) else WINDOW
                if seconds is None:
                    break
                self._changed.wait(seconds)
            self._running.append(running)
            self.used += Usage(1)
            moment = [time.monotonic(), running.input_tokens + running.output_tokens]
            self._minute.append(moment)
        try:
            yield running
        finally:
            with self._changed:
                self._running.remove(running)
                moment[1] = 0.0
                if running.used is not None:
                    self.used += replace(self.usage(*running.used), requests=0)
                    self._answered, self._chars = self._answered + 1, self._chars + chars
                    moment[1] = float(sum(running.used))
                self._changed.notify_all()

    def beyond(self, total: Usage) -> list[str]:
        """The bounds that so much passes: "requests", "tokens", "money"."""
        bounds = {"requests": self.max_requests, "tokens": self.max_tokens, "money": self.max_money}
        needed = {"requests": total.requests, "tokens": total.tokens, "money": total.money or 0.0}
        return [what for what, bound in bounds.items() if bound is not None and needed[what] > bound]

    def _has_room(self, new: Spending) -> bool:
        """Whether the budget has room for one more request beside those that run; BudgetError if not even without."""
        if passed := self.beyond(self._with([new])):
            what = passed[0]
            bound = {"requests": self.max_requests, "tokens": self.max_tokens, "money": self.max_money}[what]
            raise BudgetError(
                f"The judge's budget of {bound:,g} {what} has no room for another request: spent so far are "
                f"{self.used}. Verdicts so far are kept. Give the Account a larger max_{what} to go on."
            )
        return not self.beyond(self._with([*self._running, new]))

    def _with(self, planned: list[Spending]) -> Usage:
        """What is spent and what is planned, of which the last is a request that isn't counted yet."""
        read = sum(each.input_tokens for each in planned)
        written = sum(each.output_tokens for each in planned)
        return self.used + replace(self.usage(round(read), round(written)), requests=1)

    def _seconds_to_wait(self, new: Spending) -> float | None:
        """None if the request may start now, else seconds until something could have changed."""
        if self.max_concurrency is not None and len(self._running) >= self.max_concurrency:
            return WINDOW  # woken by the end of one
        now = time.monotonic()
        while self._minute and self._minute[0][0] <= now - WINDOW:
            self._minute.popleft()
        if not self._minute:
            return None  # a request of more tokens than a minute allows goes alone
        full = self.requests_per_minute is not None and len(self._minute) + 1 > self.requests_per_minute
        if self.tokens_per_minute is not None:
            tokens = sum(spent for _, spent in self._minute) + new.input_tokens + new.output_tokens
            full = full or tokens > self.tokens_per_minute
        return max(self._minute[0][0] + WINDOW - now, 0.001) if full else None

    def __repr__(self) -> str:
        names = ("max_requests", "max_tokens", "max_money", "prices", "requests_per_minute", "tokens_per_minute")
        given = {name: getattr(self, name) for name in (*names, "max_concurrency")}
        return f"Account({', '.join(f'{name}={value}' for name, value in given.items() if value is not None)})"

    def __getstate__(self) -> dict[str, Any]:
        fresh = {"used": self._unused(), "_answered": 0, "_chars": 0}
        return {**self.__dict__, **fresh, "_running": [], "_minute": deque(), "_changed": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _changed=threading.Condition())

    def __deepcopy__(self, memo: dict[int, Any]) -> "Account":
        return self  # what is spent is spent for all
