"""The slot caches of one model, emptied when its weights change."""

from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor

from textgym_agents.models.kv_cache import SlotCache

MOST = 2  # training rows and evaluation rows


class SlotCaches:
    """A slot cache for each number of rows that a model is called with, the last two of them.

    Args:
        weights: whose changes in place are noticed.
    """

    def __init__(self, weights: Iterable[Tensor]) -> None:
        self.weights = list(weights)
        self._by_rows: dict[int, Any] = {}
        self._version = -1

    def get(self, rows: int, make: Callable[[], SlotCache]) -> Any:
        """The cache for batches of this many rows, emptied if the weights have changed since it was filled."""
        version = sum(weight._version for weight in self.weights)
        if version != self._version:
            self._version = version
            self.empty()
        if rows not in self._by_rows:
            if len(self._by_rows) >= MOST:
                del self._by_rows[next(iter(self._by_rows))]
            self._by_rows[rows] = make()
        return self._by_rows[rows]

    def expire(self) -> None:
        """The weights' ``data`` has been assigned, which no version counter sees: the next call empties the caches."""
        self._version = -1

    def empty(self) -> None:
        """Forget what the caches hold, and keep their memory."""
        for cache in self._by_rows.values():
            cache.clear()

    def drop(self) -> None:
        """Give up the caches, of another device or precision for instance."""
        self._by_rows.clear()

    @property
    def nbytes(self) -> int:
        """Memory that keys and values take now, in bytes."""
        return sum(cache.nbytes for cache in self._by_rows.values())

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_by_rows": {}}  # a copy fills its own
