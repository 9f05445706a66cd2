"""One pull in a process of its own, for the server: ``python -m lemonade_like.models.pull_worker``.

A download then takes no time from the streams that the server writes, and can be stopped at any moment, whatever its
socket is waiting for. It reads a :class:`Job` as one line of JSON from standard input, and ends when that ends: no
worker outlives its server. On standard output it says, one JSON object a line::

    {"plan": {"files": [{"file": NAME, "size": BYTES}, …]}}    what is going to be fetched
    {"progress": {…}}                                          several a second, as long as something happens
    {"done": PATH}  or  {"error": {…}}                         the last line
"""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from lemonade_like.models.fetch import read_little_at_a_time
from lemonade_like.models.hub import HubPlace
from lemonade_like.models.hub_errors import DownloadError, as_json
from lemonade_like.models.progress import Sampler, Tracker
from lemonade_like.models.pull import Pulling, Wanted
from lemonade_like.models.space import RESERVE

if TYPE_CHECKING:
    import io
    from typing import BinaryIO


@dataclass(frozen=True)
class Job:
    """What a worker is told."""

    wanted: Wanted
    endpoint: str | None = None
    cache: str | None = None
    reserve: int = RESERVE

    def as_line(self) -> bytes:
        """Return it as the worker reads it."""
        return orjson.dumps(asdict(self)) + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Job:
        """Read what :meth:`as_line` wrote."""
        said = orjson.loads(line)
        return cls(**{**said, "wanted": Wanted(**said["wanted"])})

    @property
    def place(self) -> HubPlace:
        """Where from and where to."""
        return HubPlace(self.endpoint, Path(self.cache) if self.cache else None)


def _say(output: BinaryIO, **what: Any) -> None:
    try:
        output.write(orjson.dumps(what) + b"\n")
        output.flush()
    except OSError:
        os._exit(1)  # nobody listens any more


def _end_when_closed(stdin: io.FileIO) -> None:
    while stdin.read(1):
        pass
    os._exit(1)


def main() -> None:
    """Do the job that standard input has."""
    # Ctrl-C in the server's terminal is meant for the server, which then tells us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stdin = os.fdopen(os.dup(0), "rb", buffering=0)
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no line of ours
    job = Job.from_line(_line(stdin))
    threading.Thread(target=_end_when_closed, args=(stdin,), daemon=True).start()
    read_little_at_a_time()
    pulling = Pulling(job.wanted, job.place, reserve=job.reserve)
    try:
        plan = pulling.plan()
        _say(output, plan={"files": [{"file": file.name, "size": file.size} for file in plan.files]})
        tracker = Tracker(plan)
        with Sampler(tracker, lambda progress: _say(output, progress=progress.as_json())):
            path = pulling.run(plan, tracker)
        _say(output, done=str(path))
    except DownloadError as error:
        _say(output, error=as_json(error))


def _line(stdin: io.FileIO) -> bytes:
    """Return one line, and read nothing behind it."""
    line = b""
    while not line.endswith(b"\n") and (byte := stdin.read(1)):
        line += byte
    return line


if __name__ == "__main__":
    main()
