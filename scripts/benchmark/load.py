"""The load generator: a process of its own, which does as little as it can for each byte that arrives.

Run as a script it reads one job after another from its input, a line of JSON each, and answers each with a line of
JSON; it ends when its input does. Nothing but the standard library is imported, and no frame is decoded: frames are
counted, and what is looked for in them is looked for as bytes.
"""

from __future__ import annotations

import json
import re
import selectors
import socket
import sys
import time
from dataclasses import asdict, dataclass
from typing import Final

_HEAD_END: Final = b"\r\n\r\n"
#: The last chunk of a chunked body. No JSON text has a carriage return in it, so this is nowhere else.
_BODY_END: Final = b"\r\n0\r\n\r\n"
_FRAME: Final = b"\ndata: "
#: Where the engine's or the server's count of the tokens stands: in the last frames.
_TAIL: Final = 4096
_TOKENS: Final = re.compile(rb'"(?:tokens_predicted|completion_tokens)":\s*(\d+)')
#: How long a stream may be silent, in seconds.
_PATIENCE: Final = 120.0


@dataclass
class Job:
    """``streams`` at once, each of ``turns`` requests in a row.

    ``first`` is a regular expression that matches as soon as the first visible text of an answer has come.
    """

    host: str
    port: int
    path: str
    headers: dict[str, str]
    body: str
    first: str
    streams: int = 1
    turns: int = 1


@dataclass
class Turn:
    """One answer. Times are in seconds from when the request was sent; ``first`` is ``None`` if no text came.

    ``error`` says what was wrong with it; the rest then means nothing.
    """

    first: float | None = None
    total: float = 0.0
    frames: int = 0
    tokens: int = 0
    error: str | None = None


class _Stream:
    """Turn after turn, each on a connection of its own: llama-server closes them after a stream without a word.

    The connection is there before the clock starts.
    """

    def __init__(self, job: Job, request: bytes, first: re.Pattern[bytes]) -> None:
        self.turns: list[Turn] = []
        self._job = job
        self._request = request
        self._first = first

    def begin(self) -> socket.socket:
        """Send the next request."""
        self.socket = socket.create_connection((self._job.host, self._job.port), timeout=_PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._turn = Turn()
        self._head: bytes | None = b""
        self._opening = b""
        self._tail = b""
        self._began = time.perf_counter()
        self.socket.sendall(self._request)
        return self.socket

    def receive(self) -> bool:
        """Take what has arrived; return whether the answer is complete."""
        data = self.socket.recv(262_144)
        now = time.perf_counter()
        if not data:
            return self._complete(now, "the connection was closed in the middle of the answer")
        if self._head is not None:
            self._head += data
            head, found, data = self._head.partition(_HEAD_END)
            if not found:
                return False
            status = head.split(b" ", 2)[1]
            if status != b"200":
                return self._complete(now, f"HTTP {status.decode()}: {data[:500].decode(errors='replace')}")
            self._head = None
            data = b"\r\n" + data
        turn = self._turn
        if turn.first is None:
            self._opening += data
            if self._first.search(self._opening):
                turn.first = now - self._began
        seam = self._tail[-len(_FRAME) + 1 :]
        turn.frames += (seam + data).count(_FRAME)
        self._tail = (self._tail + data)[-_TAIL:]
        return self._tail.endswith(_BODY_END) and self._complete(now)

    def _complete(self, now: float, error: str | None = None) -> bool:
        turn = self._turn
        turn.total = now - self._began
        counts = _TOKENS.findall(self._tail)
        turn.tokens = int(counts[-1]) if counts else 0
        if error is None and b'"error":' in self._tail:
            error = self._tail.decode(errors="replace").strip()[-500:]
        turn.error = error
        self.turns.append(turn)
        return True


def run(job: Job) -> tuple[list[Turn], float]:
    """Do a job; return all turns, and the seconds from the first request to the end of the last answer."""
    body = job.body.encode()
    headers = {"Host": f"{job.host}:{job.port}", "Content-Type": "application/json", **job.headers}
    lines = [f"POST {job.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    request = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body
    first = re.compile(job.first.encode(), re.DOTALL)
    streams = [_Stream(job, request, first) for _ in range(job.streams)]
    began = time.perf_counter()
    with selectors.DefaultSelector() as selector:
        for stream in streams:
            selector.register(stream.begin(), selectors.EVENT_READ, stream)
        while selector.get_map():
            ready = selector.select(_PATIENCE)
            if not ready:
                raise TimeoutError(f"{job.path} was silent for {_PATIENCE:g} s.")
            for key, _ in ready:
                stream = key.data
                if stream.receive():
                    selector.unregister(stream.socket)
                    stream.socket.close()
                    if len(stream.turns) < job.turns and stream.turns[-1].error is None:
                        selector.register(stream.begin(), selectors.EVENT_READ, stream)
    return [turn for stream in streams for turn in stream.turns], time.perf_counter() - began


def main() -> None:
    """Do the jobs that come in."""
    for line in sys.stdin:
        try:
            turns, seconds = run(Job(**json.loads(line)))
            answer = {"turns": [asdict(turn) for turn in turns], "seconds": seconds}
        except OSError as error:
            answer = {"turns": [asdict(Turn(error=str(error)))], "seconds": 0.0}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
