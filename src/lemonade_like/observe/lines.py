"""The log as it is written, for whoever reads along: the last lines are kept, and readers get those that follow.

A reader that is too slow loses the oldest lines that it has not read, and is told how many. It never holds up whoever
logs.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from threading import RLock
from typing import TYPE_CHECKING, Any, Final

from lemonade_like.observe.logging import entry_of, is_no_cancellation

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

#: Lines that are kept for readers to come, and at most for each that reads.
KEPT: Final = 1000
#: Characters of a message, and of a traceback, that are kept.
LONGEST: Final = 16_384


@dataclass(frozen=True)
class Batch:
    """Lines, oldest first, each as an object; ``dropped`` came before them and could not be kept for this reader."""

    entries: list[dict[str, Any]]
    dropped: int = 0


class LogLines(logging.Handler):
    """Takes records from any thread while it is ``open``; its readers are tasks of one event loop."""

    def __init__(self, kept: int = KEPT) -> None:
        super().__init__()
        self._lines: deque[tuple[int, dict[str, Any]]] = deque(maxlen=kept)
        self._readers: set[_Reader] = set()
        # Whoever is cleared away by Python in the middle of this may log, too.
        self._guard = RLock()
        self._closed = False
        self.addFilter(is_no_cancellation)

    def open(self) -> None:
        """Take what is logged from now on."""
        self._closed = False
        logging.getLogger().addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record, and hand it to those who read."""
        try:
            line = (record.levelno, _cut(entry_of(record)))
        except Exception:
            self.handleError(record)
            return
        with self._guard:
            self._lines.append(line)
            for reader in self._readers:
                reader.put(line)

    def end(self) -> None:
        """Have all readers come to their end once they have read what is there; there are no new ones."""
        with self._guard:
            self._closed = True
            for reader in self._readers:
                reader.wake()

    def close(self) -> None:
        """End, and take no more records."""
        self.end()
        logging.getLogger().removeHandler(self)
        super().close()

    async def read(self, tail: int = 100, level: int = logging.DEBUG) -> AsyncGenerator[Batch, None]:
        """Yield the last ``tail`` lines that are of that level or worse, be there none, then lines as they come."""
        reader = _Reader(level, self._lines.maxlen or KEPT)
        with self._guard:
            kept = [entry for number, entry in list(self._lines) if number >= level]
            self._readers.add(reader)
        try:
            yield Batch(kept[len(kept) - min(tail, len(kept)) :])
            while True:
                batch = reader.take()
                if batch.entries:
                    yield batch
                elif self._closed:
                    return
                else:
                    await reader.news()
        finally:
            with self._guard:
                self._readers.discard(reader)


def _cut(entry: dict[str, Any]) -> dict[str, Any]:
    """The entry with no text longer than is kept, and a word of that where one was: prompts may be logged."""
    for name in ("message", "exception"):
        text = entry.get(name, "")
        if len(text) > LONGEST:
            entry[name] = f"{text[:LONGEST]}… ({len(text) - LONGEST} more characters are in the log itself)"
    return entry


class _Reader:
    """What one reader has not read yet. ``put`` may be called from any thread, the rest from the reader's own loop."""

    def __init__(self, level: int, kept: int) -> None:
        self._level = level
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._unread: deque[dict[str, Any]] = deque(maxlen=kept)
        self._put = 0
        self._taken = 0
        self._guard = RLock()

    def put(self, line: tuple[int, dict[str, Any]]) -> None:
        level, entry = line
        if level < self._level:
            return
        with self._guard:
            self._unread.append(entry)
            self._put += 1
        self.wake()

    def wake(self) -> None:
        if not self._news.is_set() and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._news.set)

    def take(self) -> Batch:
        self._news.clear()
        with self._guard:
            entries = list(self._unread)
            self._unread.clear()
            dropped = self._put - self._taken - len(entries)
            self._taken = self._put
        return Batch(entries, dropped)

    async def news(self) -> None:
        await self._news.wait()
