"""The pulls that run in this server: each once, however many ask for it, whoever of them goes away."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections import deque
from contextvars import Context
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import orjson

from lemonade_like.errors import EngineUnavailable, ServerError
from lemonade_like.models.hub_errors import DownloadError, PullCancelled, from_json
from lemonade_like.models.progress import Progress
from lemonade_like.models.pull_worker import Job
from lemonade_like.models.space import RESERVE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from lemonade_like.models.hub import HubPlace
    from lemonade_like.models.pull import Wanted

_logger: Final = logging.getLogger(__name__)

_MODULE: Final = "lemonade_like.models.pull_worker"
#: This Python, and nothing from the folder that we happen to be in.
_WORKER: Final = (
    (sys.executable, "-P", "-m", _MODULE)
    if sys.version_info >= (3, 11)
    else (sys.executable, "-c", f"import sys; sys.path.pop(0); from {_MODULE} import main; main()")
)
_LONGEST_LINE: Final = 1 << 20
_TAIL: Final = 5
"""Lines of what a worker printed before it died."""


@dataclass(frozen=True)
class PlannedFile:
    """A file that a pull consists of; ``size`` in bytes."""

    file: str
    size: int


class Pull:
    """A pull that runs, or has just ended."""

    def __init__(self, name: str, job: Job) -> None:
        self.name: Final = name
        """The model's name, as the first who asked for it called it."""
        self.files: tuple[PlannedFile, ...] = ()
        self.latest: Progress | None = None
        self._why: ServerError | None = None
        self._changed = asyncio.Event()
        # In a context of its own: what is logged of it belongs to no one request, even the first to ask.
        self._task = Context().run(asyncio.create_task, self._run(job), name=f"pull {name}")
        self._task.add_done_callback(lambda _: self._tell())

    def on_end(self, call: Callable[[], object]) -> None:
        """Have ``call`` called when it has ended, in whatever way."""

        def ended(task: asyncio.Task[Path]) -> None:
            # The clients that wait are told; if none does any more, somebody must still look at the error.
            if not task.cancelled():
                task.exception()
            call()

        self._task.add_done_callback(ended)

    @property
    def missing(self) -> int:
        """Bytes that are still to come."""
        return sum(file.size for file in self.files) - (self.latest.total_bytes_downloaded if self.latest else 0)

    async def planned(self) -> tuple[PlannedFile, ...]:
        """Return the files, as soon as the Hub has said what they are. Raises what :meth:`result` raises."""
        while not self.files and not self._task.done():
            await self._changed.wait()
        if not self.files:
            await self.result()
        return self.files

    async def watch(self) -> AsyncGenerator[Progress, None]:
        """Yield how far it is, whenever that has changed, until it ends. Raises what :meth:`result` raises.

        Whoever is too slow misses what was in between. Whoever leaves off watching changes nothing for the pull.
        """
        seen: Progress | None = None
        while True:
            changed = self._changed
            if self.latest is not None and self.latest is not seen:
                seen = self.latest
                yield seen
            elif self._task.done():
                break
            else:
                await changed.wait()
        await self.result()

    async def result(self) -> Path:
        """Return the path of the model's first shard, when all is there.

        Raises:
            DownloadError: it failed, or was cancelled (``PullCancelled``).
            EngineUnavailable: the server is shutting down.
        """
        try:
            return await asyncio.shield(self._task)
        except asyncio.CancelledError:
            # It is the pull that was ended, not the client that waits.
            if self._why is not None and self._task.cancelled():
                raise self._why from None
            raise

    async def end(self, why: ServerError) -> None:
        """End it, if it has not ended yet; those who wait for it get ``why``.

        By the time this returns, nothing writes any more. What has come is kept for the next time.
        """
        self._why = self._why or why
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self, job: Job) -> Path:
        try:
            return await self._work(job)
        except ServerError as error:
            level = logging.WARNING if error.status >= 500 else logging.INFO
            _logger.log(level, "%s could not be pulled: %s", self.name, error)
            raise

    async def _work(self, job: Job) -> Path:
        _logger.info("Pulling %s (%s)", self.name, job.wanted.checkpoint)
        process = await asyncio.create_subprocess_exec(
            *_WORKER,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=_LONGEST_LINE,
        )
        # They are pipes, as asked for.
        stdin, stdout, stderr = process.stdin, process.stdout, process.stderr
        printed: deque[str] = deque(maxlen=_TAIL)
        reading = asyncio.create_task(_read(cast("asyncio.StreamReader", stderr), printed))
        try:
            # It stays open: the worker ends when it is closed.
            cast("asyncio.StreamWriter", stdin).write(job.as_line())
            async for line in cast("asyncio.StreamReader", stdout):
                said = orjson.loads(line)
                if "done" in said:
                    _logger.info("Pulled %s: it is at %s", self.name, said["done"])
                    return Path(said["done"])
                if "error" in said:
                    raise from_json(said["error"])
                self._note(said)
            code = await process.wait()
            await reading
            raise DownloadError(
                f"The process that pulled {self.name} died (exit code {code}).\n{' '.join(printed) or 'Pull again.'}",
                code="pull_died",
            )
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            await reading

    def _note(self, said: dict[str, Any]) -> None:
        if "plan" in said:
            self.files = tuple(PlannedFile(**file) for file in said["plan"]["files"])
        else:
            self.latest = Progress.from_json(said["progress"])
        self._tell()

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


class Pulls:
    """Starts pulls, and ends them. ``reserve`` are the bytes of the disk that stay free."""

    def __init__(self, place: HubPlace, *, reserve: int = RESERVE) -> None:
        self._place = place
        self._reserve = reserve
        self._running: dict[Wanted, Pull] = {}
        self._closing = False

    def running(self, wanted: Wanted) -> Pull | None:
        """Return the pull of these files, if there is one."""
        return self._running.get(wanted)

    def start(self, name: str, wanted: Wanted) -> Pull:
        """Return the pull of these files: the one that runs, or a new one.

        Raises:
            EngineUnavailable: the server is shutting down.
        """
        if self._closing:
            raise _shutting_down()
        pull = self._running.get(wanted)
        if pull is None:
            # What other pulls are still going to write is not free.
            promised = sum(other.missing for other in self._running.values())
            cache = str(self._place.cache) if self._place.cache else None
            pull = Pull(name, Job(wanted, self._place.endpoint, cache, self._reserve + promised))
            self._running[wanted] = pull
            pull.on_end(lambda: self._running.pop(wanted))
        return pull

    async def cancel(self, wanted: Wanted) -> bool:
        """End the pull of these files; those who wait for it get ``PullCancelled``. Tell whether there was one."""
        pull = self._running.get(wanted)
        if pull is None:
            return False
        await pull.end(
            PullCancelled(f"The pull of {pull.name} was cancelled. Pull again: it goes on where it stopped.")
        )
        return True

    async def close(self) -> None:
        """End all pulls. None can be started from now on."""
        self._closing = True
        await asyncio.gather(*(pull.end(_shutting_down()) for pull in list(self._running.values())))


async def _read(stderr: asyncio.StreamReader, tail: deque[str]) -> None:
    """Log what the library has to say: that it tries again, mostly."""
    async for line in stderr:
        text = line.decode(errors="replace").rstrip()
        tail.append(text)
        _logger.debug("%s", text)


def _shutting_down() -> EngineUnavailable:
    return EngineUnavailable("The server is shutting down. Pull again when it is back: it goes on where it stopped.")
