"""The processes that take part: the server under test, the engine that it starts, and the load generator."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
import psutil
from scripts.benchmark import load

if TYPE_CHECKING:
    from collections.abc import Iterator

_READY: Final = re.compile(r"ready at http://([^/]+):(\d+)/v1")
_LOAD_SECONDS: Final = 600.0
#: How much of the server's log is shown when it has failed, in characters.
_LOG_TAIL: Final = 4_000


class BenchError(Exception):
    """The measurement cannot go on; the message says why."""


@dataclass(frozen=True)
class Address:
    """Where to send requests, and the headers that open the door."""

    host: str
    port: int
    headers: dict[str, str]

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://{self.host}:{self.port}"


@dataclass(frozen=True)
class Engine:
    """The engine that the server has started: reached directly, past the server, with the server's own key."""

    address: Address
    harmony: bool
    model_path: Path
    command: list[str]

    def get(self, path: str) -> dict[str, Any]:
        """Return what it answers there."""
        answer: dict[str, Any] = httpx.get(self.address.url + path, headers=self.address.headers, timeout=30).json()
        return answer

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return what it answers."""
        response = httpx.post(self.address.url + path, json=body, headers=self.address.headers, timeout=_LOAD_SECONDS)
        if response.status_code != 200:
            raise BenchError(f"The engine answers {path} with {response.status_code}: {response.text[:500]}")
        answer: dict[str, Any] = response.json()
        return answer


class Server:
    """A running ``lemonade-like serve``."""

    def __init__(self, process: subprocess.Popen[str], address: Address, log: Path) -> None:
        self.address = address
        self._log = log
        self._process = psutil.Process(process.pid)

    def cpu_seconds(self) -> float:
        """Return the CPU time that the server's own process has used, engines not counted."""
        with contextlib.suppress(OSError, ValueError):
            # Linux counts nanoseconds here, and hundredths of a second everywhere else.
            threads = Path(f"/proc/{self._process.pid}/task").glob("*/schedstat")
            if used := sum(int(thread.read_text().split()[0]) for thread in threads):
                return used / 1e9
        times = self._process.cpu_times()
        return times.user + times.system

    def resident_mb(self) -> float:
        """Return the memory of the server's own process that is resident, in MB."""
        return self._process.memory_info().rss / 1e6

    def engine(self, model: str) -> Engine:
        """Return the engine that holds the model, loading it first."""
        question = {"model": model, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1}
        answer = httpx.post(f"{self.address.url}/v1/chat/completions", json=question, timeout=_LOAD_SECONDS)
        if answer.status_code != 200:
            said = self._log.read_text()[-_LOG_TAIL:].strip() if answer.status_code >= 500 else ""
            raise BenchError(f"The server cannot answer with {model}: {answer.text}\n{said}".strip())
        (loaded,) = httpx.get(f"{self.address.url}/v1/health", timeout=30).json()["models"]
        command = loaded["command"]
        port = int(command[command.index("--port") + 1])
        key = psutil.Process(loaded["pid"]).environ()["LLAMA_API_KEY"]
        address = Address("127.0.0.1", port, {"Authorization": f"Bearer {key}"})
        return Engine(address, loaded["harmony"], Path(loaded["path"]), command)


class Generator:
    """The load generator's process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, job: load.Job) -> tuple[list[load.Turn], float]:
        """Do a job; return its turns, and how many seconds it took. Raises ``BenchError`` if a turn failed."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(asdict(job)) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise BenchError("The load generator has died.")
        answer = json.loads(line)
        turns = [load.Turn(**turn) for turn in answer["turns"]]
        for turn in turns:
            if turn.error is not None:
                raise BenchError(f"POST {job.path} failed: {turn.error}")
            if turn.first is None:
                raise BenchError(f"POST {job.path} answered without any text.")
        return turns, answer["seconds"]


@contextlib.contextmanager
def running_server(folder: Path, options: list[str]) -> Iterator[Server]:
    """Run ``lemonade-like serve`` with its default settings and these options; logs go to ``folder``."""
    # The user's own settings are not what is measured; only where things are kept is.
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("LEMONADE_LIKE_")}
    if cache := os.environ.get("LEMONADE_LIKE_CACHE_DIR"):
        kept["LEMONADE_LIKE_CACHE_DIR"] = cache
    config = folder / "config.yaml"
    config.write_text(json.dumps({"log_dir": str(folder / "logs")}))
    log = folder / "server.log"
    command = [sys.executable, "-m", "lemonade_like", "serve", "--port", "0", "--config", str(config), *options]
    with log.open("w") as errors, _running(command, kept, errors) as process:
        yield Server(process, _address(process, log), log)


@contextlib.contextmanager
def running_generator() -> Iterator[Generator]:
    """Run the load generator."""
    command = [sys.executable, "-I", "-S", load.__file__]
    with _running(command, dict(os.environ), None, stdin=subprocess.PIPE) as process:
        yield Generator(process)


@contextlib.contextmanager
def _running(
    command: list[str], environ: dict[str, str], errors: Any, stdin: int = subprocess.DEVNULL
) -> Iterator[subprocess.Popen[str]]:
    # In a group of its own, so that Ctrl-C reaches us alone and the processes are stopped in order.
    process = subprocess.Popen(
        command, env=environ, stdin=stdin, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()


def _address(process: subprocess.Popen[str], log: Path) -> Address:
    assert process.stdout
    for line in process.stdout:
        if ready := _READY.search(line):
            return Address(ready[1], int(ready[2]), {})
    raise BenchError(f"The server did not start:\n{log.read_text().strip()}")
