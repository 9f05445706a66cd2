"""One engine as a child process: start it, wait until it is ready, notice when it dies, stop it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal

from lemonade_like.engine import guard as guard_script
from lemonade_like.engine.client import EngineClient, EngineConnectionLost, EngineResponseError
from lemonade_like.engine.output import EngineOutput, log_file
from lemonade_like.engine.spec import EngineSpec, child_environment, command_line
from lemonade_like.engine.vitals import until_hung
from lemonade_like.errors import EngineFailure

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import aiohttp

_logger = logging.getLogger("lemonade_like.engine")

Guard = Literal["deathsig", "watch"]

_HOST: Final = "127.0.0.1"
_POLL_SECONDS: Final = 0.05
#: A port is free when we ask and may be taken when the engine binds it. Nobody loses that race three times.
_PORT_ATTEMPTS: Final = 3
_BIND_FAILED: Final = re.compile(r"couldn't bind|failed to bind|bind\w* failed|address already in use|EADDRINUSE", re.I)
#: An engine checks the model's chat template even where nobody will use it. What says this knows the flag, too.
_TEMPLATE_REFUSED: Final = re.compile(r"chat template parsing error|failed to initialize chat template")
_PLAIN_TEMPLATE: Final = ("--chat-template", "chatml")
#: How long output may still come after the engine has gone: from a child of it that holds the pipe.
_DRAIN_SECONDS: Final = 1.0
#: How long a guard on Windows may take to end its engine.
_GUARD_SECONDS: Final = 2.0


class _PortTaken(Exception):
    """Somebody else got the port between our choice and the engine's bind."""


class _Child(asyncio.SubprocessProtocol):
    """Takes a process's output, and knows apart that it has exited and that its output has ended."""

    def __init__(self, output: EngineOutput) -> None:
        loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[None] = loop.create_future()
        self.silent: asyncio.Future[None] = loop.create_future()
        self._output = output

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._output.write(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == 1 and not self.silent.done():
            self.silent.set_result(None)

    def process_exited(self) -> None:
        if not self.exited.done():
            self.exited.set_result(None)


class EngineProcess:
    """A running engine. Made by ``start``; from then on it is ready, until it exits or is stopped.

    One that hangs is killed, so that whoever waits for its exit sees a crash. It does not restart itself, and does not
    close the streams of its clients: those are to be closed before ``stop``, or the engine waits for them until its
    grace is over.
    ``pid`` is the engine's own, except where the guard stays as its parent: then it is the guard's.
    """

    def __init__(
        self,
        spec: EngineSpec,
        command: list[str],
        transport: asyncio.SubprocessTransport,
        child: _Child,
        output: EngineOutput,
        client: EngineClient,
    ) -> None:
        self.spec = spec
        self.command = command
        self.client = client
        self.pid = transport.get_pid()
        self.log_path = output.path
        self.started_at = time.time()
        self._clock_at_start = time.monotonic()
        #: What the engine's /props said when it was ready, unchecked; empty if it has none.
        self.props: dict[str, Any] = {}
        self._ready = False
        self._transport = transport
        self._child = child
        self._output = output
        self._exited = asyncio.ensure_future(self._follow())
        self._stopping: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._hung_for: float | None = None

    @classmethod
    async def start(
        cls,
        spec: EngineSpec,
        *,
        log_dir: Path,
        session: aiohttp.ClientSession,
        load_timeout: float | None = None,
        watchdog_timeout: float | None = None,
        environ: Mapping[str, str] = os.environ,
        guard: Guard = "deathsig" if sys.platform == "linux" else "watch",
    ) -> EngineProcess:
        """Start the engine and return when it answers /health with 200.

        ``load_timeout`` is in seconds; ``None`` waits for ever. From then on an engine that has work and gives no sign
        of life for ``watchdog_timeout`` seconds is killed; ``None`` never does. Must run on an event loop whose thread
        lives as long as the server: on Linux the engine is killed when that thread ends. An engine that refuses a model
        for its chat template is started again with a plain one if ``spec.jinja`` is false. Raises ``EngineFailure``
        with the engine's last lines if it exits first, or is not ready in time; ``OSError`` if its log cannot be
        written. If cancelled, the engine is killed.
        """
        attempts_left = _PORT_ATTEMPTS
        while True:
            engine = await cls._launch(spec, log_dir=log_dir, session=session, environ=environ, guard=guard)
            try:
                await engine._until_ready(load_timeout)
            except _PortTaken as taken:
                attempts_left -= 1
                if not attempts_left:
                    raise EngineFailure(f"The engine for {spec.alias} found no free port: {taken}") from taken
            except EngineFailure:
                if spec.jinja or _PLAIN_TEMPLATE[0] in spec.extra_args or not engine._said(_TEMPLATE_REFUSED):
                    raise
                _logger.warning("the chat template of %s is not usable; it is not needed for Harmony", spec.alias)
                spec = replace(spec, extra_args=(*spec.extra_args, *_PLAIN_TEMPLATE))
            else:
                if watchdog_timeout is not None and engine.exit_code() is None:
                    engine._watching = asyncio.ensure_future(engine._watch(watchdog_timeout))
                _logger.info("engine for %s is ready after %.2f s (pid %d)", spec.alias, engine.age(), engine.pid)
                return engine
            finally:
                if not engine._ready:
                    await engine.stop(grace=0)

    @classmethod
    async def _launch(
        cls,
        spec: EngineSpec,
        *,
        log_dir: Path,
        session: aiohttp.ClientSession,
        environ: Mapping[str, str],
        guard: Guard,
    ) -> EngineProcess:
        port = _free_port()
        api_key = secrets.token_urlsafe(24)
        command = command_line(spec, host=_HOST, port=port)
        try:
            output = EngineOutput(log_file(log_dir, spec.alias, port), spec.alias)
        except OSError as error:
            raise OSError(
                f"The engine's log cannot be written to {log_dir} ({error.strerror or error}). "
                "Name another folder with LEMONADE_LIKE_LOG_DIR."
            ) from error
        _logger.info("starting %s engine: %s", spec.backend, shlex.join(command))
        try:
            transport, child = await _spawn(command, child_environment(environ, api_key), guard, output)
        except BaseException:
            output.close()
            raise
        return cls(spec, command, transport, child, output, EngineClient(f"http://{_HOST}:{port}", api_key, session))

    def age(self) -> float:
        """Return for how many seconds the process has existed."""
        return time.monotonic() - self._clock_at_start

    def slot_context(self) -> int | None:
        """Return the tokens of context that each slot has, or ``None`` where the engine does not say."""
        settings = self.props.get("default_generation_settings")
        tokens = settings.get("n_ctx") if isinstance(settings, dict) else None
        return tokens if type(tokens) is int and tokens > 0 else None

    def exit_code(self) -> int | None:
        """Return the exit code, ``None`` while it runs, or minus the number of the signal that killed it."""
        return self._transport.get_returncode()

    async def wait(self) -> int:
        """Return the exit code when the engine has exited and all its output has been read."""
        return await asyncio.shield(self._exited)

    def log_tail(self, lines: int = 20) -> str:
        """Return the end of what the engine printed, without blank lines and progress dots."""
        return self._output.tail(lines)

    def how_it_ended(self) -> str:
        """Return the exit code in words, e.g. ``exited with code 1``, or ``was killed by SIGSEGV``."""
        code = self.exit_code()
        if self._hung_for is not None:
            return f"gave no sign of life for {self._hung_for:g} s and was killed"
        if code is None:
            return "is running"
        if code >= 0:
            return f"exited with code {code}"
        with contextlib.suppress(ValueError):
            return f"was killed by {signal.Signals(-code).name}"
        return f"was killed by signal {-code}"

    async def stop(self, grace: float = 5.0) -> None:
        """Ask the engine to end, wait ``grace`` seconds, then kill it and all that it started; return when it is gone.

        May be called again, and by several at once: they all wait for the first.
        """
        if self._stopping is None:
            self._stopping = asyncio.ensure_future(self._stop(grace))
        await asyncio.shield(self._stopping)

    async def _stop(self, grace: float) -> None:
        if sys.platform == "win32":
            # There is no group to kill: an engine whose guard is killed lives on. So the guard always gets to do it.
            grace = max(grace, _GUARD_SECONDS)
        if self.exit_code() is None and grace > 0:
            self._ask_to_end()
            await asyncio.wait({self._exited}, timeout=grace)
        if not self._exited.done():
            if grace > 0:
                _logger.warning("engine for %s (pid %d) did not end in %g s: killing it", *self._name(), grace)
            self._kill_all()
        await self._exited

    def _ask_to_end(self) -> None:
        if sys.platform == "win32":
            # TERM would kill the guard before it could pass it on. The end of its input says the same.
            if stdin := self._transport.get_pipe_transport(0):
                stdin.close()
            return
        with contextlib.suppress(ProcessLookupError):
            self._transport.terminate()

    def _kill_all(self) -> None:
        """Kill the engine and, where there are process groups, whatever it has started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if sys.platform == "win32":
                self._transport.kill()
            else:
                os.killpg(self.pid, signal.SIGKILL)

    async def _watch(self, timeout: float) -> None:
        await until_hung(self.client, self.pid, timeout)
        _logger.error(
            "engine for %s (pid %d) hangs: it has work, but used no processor time, moved no slot and sent nothing "
            "for %g s; killing it",
            *self._name(),
            timeout,
        )
        self._hung_for = timeout
        if sys.platform == "win32":
            self._ask_to_end()
        else:
            self._kill_all()

    async def _follow(self) -> int:
        """Wait for the exit, read the output to its end, and leave nothing of the engine behind; return the code."""
        try:
            await self._child.exited
            self._kill_all()
            await asyncio.wait({self._child.silent}, timeout=_DRAIN_SECONDS)
        finally:
            if self._watching is not None:
                self._watching.cancel()
            self._transport.close()
            self._output.close()
        code = self.exit_code()
        assert code is not None  # noqa: S101 (it has exited)
        return code

    async def _until_ready(self, load_timeout: float | None) -> None:
        polling = asyncio.ensure_future(self._poll())
        try:
            await asyncio.wait({polling, self._exited}, timeout=load_timeout, return_when=asyncio.FIRST_COMPLETED)
            if self._exited.done():
                if self._said(_BIND_FAILED):
                    raise _PortTaken(self.log_tail(1))
                raise EngineFailure(
                    f"The engine could not load {self.spec.alias} ({self.spec.model_path}): it {self.how_it_ended()}.",
                    log_tail=self.log_tail(),
                )
            if not polling.done():
                raise EngineFailure(
                    f"The engine did not load {self.spec.alias} within {load_timeout:g} s and was stopped. "
                    "LEMONADE_LIKE_LOAD_TIMEOUT gives it more seconds.",
                    log_tail=self.log_tail(),
                )
            polling.result()
            self._ready = True
        finally:
            polling.cancel()

    async def _poll(self) -> None:
        while not await self.client.health():  # noqa: ASYNC110 (another process is asked)
            await asyncio.sleep(_POLL_SECONDS)
        try:
            self.props = await self.client.props()
        except EngineResponseError as refused:
            # Health needs no key. Whoever refuses ours is somebody else's engine, on a port that we lost to it.
            if refused.status in (401, 403):
                raise _PortTaken(str(refused)) from refused
        except (EngineConnectionLost, ValueError):
            _logger.debug("engine for %s has no readable /props", self.spec.alias)

    def _said(self, pattern: re.Pattern[str]) -> bool:
        return self._output.contains(pattern)

    def _name(self) -> tuple[str, int]:
        return self.spec.alias, self.pid


async def _spawn(
    command: list[str], environ: Mapping[str, str], guard: Guard, output: EngineOutput
) -> tuple[asyncio.SubprocessTransport, _Child]:
    guarded = ["deathsig", str(os.getpid())] if guard == "deathsig" else ["watch"]
    return await asyncio.get_running_loop().subprocess_exec(
        lambda: _Child(output),
        sys.executable,
        "-I",
        "-S",
        guard_script.__file__,
        *guarded,
        *command,
        stdin=subprocess.DEVNULL if guard == "deathsig" else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=dict(environ),
        **_group_of_its_own(),
    )


def _group_of_its_own() -> dict[str, Any]:
    """Return the arguments that keep Ctrl-C in the terminal from the engine: the server then stops it in its own order.

    On POSIX the group can also be killed as a whole.
    """
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((_HOST, 0))
        port: int = listener.getsockname()[1]
        return port
