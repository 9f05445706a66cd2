"""The line of those who wait for one engine: fair between clients, first come first served within each.

A plain data structure: it knows nothing of engines, turns or time, and does not bound itself.
"""

from __future__ import annotations

from collections import deque
from itertools import zip_longest
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator


class Waiter(Protocol):
    """Who waits. ``number`` is unique and grows with each arrival; ``client`` is whose it is."""

    @property
    def number(self) -> int:
        """The place among all arrivals."""

    @property
    def client(self) -> str:
        """Whose it is."""

    @property
    def continues(self) -> bool:
        """Whether it has had its turn before, and goes on from there."""


WaiterT = TypeVar("WaiterT", bound=Waiter)


class FairQueue(Generic[WaiterT]):
    """Clients take turns: whoever was served last is behind all others that wait."""

    def __init__(self) -> None:
        #: In the order in which they are served next; a client without a waiter is not in it.
        self._lines: dict[str, deque[WaiterT]] = {}

    def __len__(self) -> int:
        return sum(len(line) for line in self._lines.values())

    def __iter__(self) -> Iterator[WaiterT]:
        """Yield all waiters in the order in which they would be served if nobody else came."""
        for round_ in zip_longest(*self._lines.values()):
            yield from (waiter for waiter in round_ if waiter is not None)

    def add(self, waiter: WaiterT) -> None:
        """Put a waiter behind its client's others, or behind those of them that continue if it does so itself; a client
        that had none comes after all that wait."""
        line = self._lines.setdefault(waiter.client, deque())
        line.insert(sum(each.continues for each in line) if waiter.continues else len(line), waiter)

    def pop(self, before: int | None = None) -> WaiterT | None:
        """Take out who is served next, of those that arrived ``before`` that number; ``None`` if there is nobody."""
        for client, line in self._lines.items():
            waiter = next((each for each in line if before is None or each.number < before), None)
            if waiter is not None:
                line.remove(waiter)
                del self._lines[client]
                if line:
                    self._lines[client] = line
                return waiter
        return None

    def remove(self, waiter: WaiterT) -> bool:
        """Take out one that no longer waits; tell whether it was there."""
        line = self._lines.get(waiter.client)
        if line is None or waiter not in line:
            return False
        line.remove(waiter)
        if not line:
            del self._lines[waiter.client]
        return True

    def count(self, before: int | None = None) -> int:
        """Return how many arrived ``before`` that number."""
        if before is None:
            return len(self)
        return sum(waiter.number < before for line in self._lines.values() for waiter in line)

    def oldest(self) -> int | None:
        """Return the smallest number in the line."""
        return min((waiter.number for line in self._lines.values() for waiter in line), default=None)
