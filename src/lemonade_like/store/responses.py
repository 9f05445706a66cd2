"""Keeps responses, so that conversations can be continued by their ids: SQLite in one file, bounded on all sides."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, TypeVar

import orjson

from lemonade_like.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

logger: Final = logging.getLogger(__name__)

T = TypeVar("T")

_SCHEMA: Final = """
PRAGMA auto_vacuum = FULL;
PRAGMA secure_delete = ON;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS responses (
    owner TEXT NOT NULL,
    id TEXT NOT NULL,
    previous_id TEXT,
    used_at REAL NOT NULL,
    size INTEGER NOT NULL,
    response BLOB NOT NULL,
    input BLOB NOT NULL,
    PRIMARY KEY (owner, id)
);
CREATE INDEX IF NOT EXISTS by_use ON responses (used_at, size);
PRAGMA user_version = 1;
"""
#: How long to wait for another process that writes to the same file.
_LOCK_SECONDS: Final = 5.0
#: SQLite's own pages and keys, roughly.
_ENTRY_BYTES: Final = 256


class StoreUnavailable(ServerError):
    """What is kept cannot be read now: another process holds the file, or the disk fails."""

    status = 503
    default_code = "store_unavailable"


@dataclass(frozen=True)
class StoreLimits:
    """What may be kept: ``max_bytes`` of JSON, ``max_count`` responses, each ``max_age`` seconds after it was last
    used. Zero bytes or responses keep nothing at all; an age of 0 is no limit."""

    max_bytes: int = 256_000_000
    max_count: int = 10_000
    max_age: float = 30 * 86_400.0

    @property
    def keeps_nothing(self) -> bool:
        """Whether nothing is to be kept."""
        return self.max_bytes == 0 or self.max_count == 0


@dataclass(frozen=True)
class StoredResponse:
    """A response as it was answered, the items of its own input, and the id of the one that it continues."""

    id: str
    response: dict[str, Any]
    input: list[dict[str, Any]]
    previous_id: str | None = None


class ResponseStore:
    """Responses by owner and id. What was not used for longest goes first; reading a response, or one that continues
    it, is using it.

    The file is made by the first response that is kept. One that is damaged is put aside, and a new one begun: what it
    held is lost, and no answer fails for it. ``path`` of ``None`` keeps everything in memory. Looking for a response
    raises ``StoreUnavailable`` where the file cannot be read.
    """

    def __init__(
        self, path: Path | None, limits: StoreLimits = StoreLimits(), clock: Callable[[], float] = time.time
    ) -> None:
        self._path = path
        self._limits = limits
        self._clock = clock
        self._lock = Lock()
        self._connection: sqlite3.Connection | None = None

    @property
    def keeps_nothing(self) -> bool:
        """Whether nothing is ever kept."""
        return self._limits.keeps_nothing

    async def put(self, owner: str, stored: StoredResponse) -> None:
        """Keep a response; one that is larger than all that may be kept is not. Never raises: an answer is worth more
        than its copy."""
        if self.keeps_nothing:
            return
        try:
            await asyncio.to_thread(self._run, lambda connection: self._put(connection, owner, stored), create=True)
        except (sqlite3.Error, OSError) as error:
            logger.error("The response %s could not be kept: %s", stored.id, error)

    async def get(self, owner: str, response_id: str) -> StoredResponse | None:
        """Return a response, if it is kept for this owner."""
        found = await self._look(lambda connection: self._chain(connection, owner, response_id, 1))
        return found[0] if found else None

    async def chain(self, owner: str, response_id: str) -> list[StoredResponse]:
        """Return a response after those that it continues, oldest first; nothing if it is not kept.

        Where an older one is gone, the first has a ``previous_id`` all the same.
        """
        found = await self._look(lambda connection: self._chain(connection, owner, response_id))
        return found or []

    async def delete(self, owner: str, response_id: str) -> bool:
        """Forget a response; returns whether it was kept. Its text is overwritten."""
        return bool(await self._look(lambda connection: _delete(connection, owner, response_id)))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    async def _look(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        try:
            return await asyncio.to_thread(self._run, work)
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(
                f"What is kept of earlier responses cannot be reached now: {error}. Try again, or send the whole "
                "conversation as 'input'."
            ) from error

    def _run(self, work: Callable[[sqlite3.Connection], T], *, create: bool = False) -> T | None:
        """Return what ``work`` returns, or nothing where there is no file yet, or only a damaged one."""
        with self._lock:
            for last in (False, True):
                try:
                    if self._connection is None:
                        if self._path is not None and not create and not self._path.exists():
                            return None
                        self._connection = _opened(self._path)
                    with self._connection:
                        return work(self._connection)
                except sqlite3.OperationalError:
                    raise  # locked, or the disk is full: the file itself is well
                except sqlite3.DatabaseError as error:
                    if last or self._path is None:
                        raise
                    self._put_aside(self._path, error)
        return None

    def _put_aside(self, path: Path, error: sqlite3.DatabaseError) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        damaged = path.with_name(f"{path.name}.damaged")
        logger.error("%s is damaged (%s). It is now %s, and a new one is begun.", path, error, damaged.name)
        path.replace(damaged)
        path.with_name(f"{path.name}-journal").unlink(missing_ok=True)

    def _put(self, connection: sqlite3.Connection, owner: str, stored: StoredResponse) -> None:
        response, items = orjson.dumps(stored.response), orjson.dumps(stored.input)
        size = len(response) + len(items) + _ENTRY_BYTES
        if size > self._limits.max_bytes:
            logger.warning("The response %s is too large to be kept: %d bytes.", stored.id, size)
            return
        row = (owner, stored.id, stored.previous_id, self._clock(), size, response, items)
        connection.execute("INSERT OR REPLACE INTO responses VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        self._forget(connection)

    def _forget(self, connection: sqlite3.Connection) -> None:
        """Delete what is too old, and the least recently used until the rest fits."""
        if self._limits.max_age:
            connection.execute("DELETE FROM responses WHERE used_at < ?", (self._clock() - self._limits.max_age,))
        count, size = connection.execute("SELECT count(*), total(size) FROM responses").fetchone()
        while count > self._limits.max_count or size > self._limits.max_bytes:
            rowid, one = connection.execute(
                "SELECT rowid, size FROM responses ORDER BY used_at, rowid LIMIT 1"
            ).fetchone()
            connection.execute("DELETE FROM responses WHERE rowid = ?", (rowid,))
            count, size = count - 1, size - one

    def _chain(
        self, connection: sqlite3.Connection, owner: str, response_id: str, length: int = -1
    ) -> list[StoredResponse]:
        now = self._clock()
        oldest = now - self._limits.max_age if self._limits.max_age else 0.0
        found: dict[str, StoredResponse] = {}
        wanted: str | None = response_id
        while wanted is not None and wanted not in found and len(found) != length:
            row = connection.execute(
                "SELECT response, input, previous_id FROM responses WHERE owner = ? AND id = ? AND used_at >= ?",
                (owner, wanted, oldest),
            ).fetchone()
            if row is None:
                break
            response, items, previous_id = row
            found[wanted] = StoredResponse(wanted, orjson.loads(response), orjson.loads(items), previous_id)
            wanted = previous_id
        connection.executemany(
            "UPDATE responses SET used_at = ? WHERE owner = ? AND id = ?", [(now, owner, one) for one in found]
        )
        return list(found.values())[::-1]


def _delete(connection: sqlite3.Connection, owner: str, response_id: str) -> bool:
    done = connection.execute("DELETE FROM responses WHERE owner = ? AND id = ?", (owner, response_id))
    return done.rowcount > 0


def _opened(path: Path | None) -> sqlite3.Connection:
    """Open the file, which nobody else may read: it holds what people have asked."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sqlite3.connect(path or ":memory:", timeout=_LOCK_SECONDS, check_same_thread=False)
    try:
        connection.executescript(_SCHEMA)
        with closing(connection.execute("PRAGMA quick_check(1)")) as check:
            if (said := check.fetchone()[0]) != "ok":
                raise sqlite3.DatabaseError(said)
    except BaseException:
        connection.close()
        raise
    return connection
