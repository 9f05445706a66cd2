"""Installs and removes engines beside a server's requests."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
from typing import TYPE_CHECKING, Final, NamedTuple

import httpx

from lemonade_like.engine.backends.assets import BackendError
from lemonade_like.engine.backends.install import Installer
from lemonade_like.engine.backends.machine import detect_machine
from lemonade_like.engine.backends.releases import Releases
from lemonade_like.engine.backends.support import why_not
from lemonade_like.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping
    from pathlib import Path

    from lemonade_like.engine.backends.installed import Installed
    from lemonade_like.engine.backends.probe import Probe


_CLOSE_SECONDS: Final = 2.0

_logger = logging.getLogger("lemonade_like.engine")


class UnsupportedBackend(BadRequest):
    """The machine does not look as if it could run the backend."""

    default_code = "unsupported_backend"


class InstallStep(NamedTuple):
    """How far a file's download is, in bytes; ``total`` is 0 where it is not known."""

    file: str
    done: int
    total: int


class EngineManager:
    """One for each server. ``changed`` is called after what is installed has changed."""

    def __init__(
        self,
        folder: Path,
        releases_url: str,
        changed: Callable[[], None] = lambda: None,
        *,
        probe: Probe | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._folder = folder
        self._url = releases_url
        self._changed = changed
        self._probe = probe
        self._environ = environ
        self._jobs: set[asyncio.Future[Installed | None]] = set()
        self._stopping = threading.Event()

    async def install(
        self, backend: str, version: str | None = None, *, force: bool = False
    ) -> AsyncGenerator[InstallStep, None]:
        """Yield the steps of an installation, and end when it is done. It goes on if nobody listens any more.

        ``force`` installs what the machine does not look as if it could run. Raises ``UnsupportedBackend``,
        ``BackendError``.
        """
        steps: asyncio.Queue[InstallStep | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def progress(name: str, done: int, total: int) -> None:
            if self._stopping.is_set():
                raise BackendError("The server is stopping; nothing was changed.")
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(steps.put_nowait, InstallStep(name, done, total))

        job = self._start(lambda installer: self._install(installer, backend, version, force, progress))
        job.add_done_callback(lambda _: steps.put_nowait(None))
        while (step := await steps.get()) is not None:
            yield step
        await asyncio.shield(job)

    async def uninstall(self, backend: str) -> None:
        """Remove an engine that was installed. Raises ``BackendError``."""
        await asyncio.shield(self._start(lambda installer: installer.uninstall(backend)))

    async def close(self) -> None:
        """Stop what is being fetched, and wait for it, but not long: what is cut short is as if it had been killed."""
        self._stopping.set()
        if self._jobs:
            await asyncio.wait(self._jobs, timeout=_CLOSE_SECONDS)

    def _start(self, work: Callable[[Installer], Installed | None]) -> asyncio.Future[Installed | None]:
        job = _in_thread(lambda: self._with_installer(work))
        self._jobs.add(job)
        job.add_done_callback(self._ended)
        return job

    def _ended(self, job: asyncio.Future[Installed | None]) -> None:
        self._jobs.discard(job)
        if job.cancelled():
            return
        if error := job.exception():
            # Whoever asked may be gone.
            _logger.warning("engines were not changed: %s", error)
        else:
            self._changed()

    def _with_installer(self, work: Callable[[Installer], Installed | None]) -> Installed | None:
        with httpx.Client() as client:
            releases = Releases(self._url, client, self._environ.get("GITHUB_TOKEN"))
            installer = Installer(self._folder, releases, detect_machine(self._probe), self._url, self._environ)
            try:
                return work(installer)
            except OSError as error:
                raise BackendError(f"{error.filename or 'The system'}: {error.strerror or error}") from error

    @staticmethod
    def _install(
        installer: Installer, backend: str, version: str | None, force: bool, progress: Callable[[str, int, int], None]
    ) -> Installed:
        if not force and (reason := why_not(backend, installer.machine)):
            raise UnsupportedBackend(
                f"This machine does not look as if it could run {backend}: {reason} Send force: true to try.",
                param="backend",
            )
        return installer.install(backend, version, progress=progress)


def _in_thread(work: Callable[[], Installed | None]) -> asyncio.Future[Installed | None]:
    """Run the work in a thread of its own, for which nobody waits when the program ends: a mirror may be silent."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Installed | None] = loop.create_future()

    def settle(result: Installed | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def run() -> None:
        result, failure = None, None
        try:
            result = work()
        except BaseException as error:
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop has ended, and with it whoever asked
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, name="engines", daemon=True).start()
    return future
