"""What an engine prints: kept in a file, repeated in the debug log, and its end at hand for error messages."""

from __future__ import annotations

import contextlib
import errno
import logging
import re
import socket
import time
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_logger = logging.getLogger("lemonade_like.engine")

_KEPT_LINES: Final = 400
_KEPT_LOGS: Final = 5
#: An engine may load for minutes before it listens on its port.
_KEPT_SECONDS: Final = 3600
_MAX_BYTES: Final = 20 * 1024 * 1024
#: A line that never ends (a progress bar) is cut here, so that it is not held in memory for ever.
_MAX_LINE: Final = 64 * 1024
_ESCAPES: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
#: What newer llama-servers put before each line: minutes, seconds, milli- and microseconds since the start.
_CLOCK: Final = re.compile(r"^\d+\.\d\d\.\d{3}\.\d{3} ")
_DOTS: Final = re.compile(r"[.\s]*")


def log_file(folder: Path, alias: str, port: int) -> Path:
    """Return the file for an engine's output, and delete old ones of the same model so that few are kept.

    The name is made of the alias, whatever characters that has, and the port. The latest five are kept, those of the
    last hour, and those of an engine that still runs, be it another server's: it has its port.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", alias).strip("._")[:80] or "engine"
    name = re.compile(re.escape(stem) + r"-(\d+)\.log(\.1)?")
    logs: list[tuple[float, Path, int]] = []
    for entry in folder.iterdir():
        if match := name.fullmatch(entry.name):
            with contextlib.suppress(OSError):  # another server clears away, too
                logs.append((entry.stat().st_mtime, entry, int(match[1])))
    long_ago = time.time() - _KEPT_SECONDS
    for written, entry, its_port in sorted(logs, reverse=True)[_KEPT_LOGS - 1 :]:
        if written < long_ago and not _in_use(its_port):
            with contextlib.suppress(OSError):
                entry.unlink()
    return folder / f"{stem}-{port}.log"


def _in_use(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OverflowError:  # a file that only looks like ours
            return False
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


class EngineOutput:
    """Takes an engine's output in pieces of any size. The file is started anew at 20 MB; the old one becomes ``.1``."""

    def __init__(self, path: Path, alias: str, *, max_bytes: int = _MAX_BYTES) -> None:
        self.path = path
        self._alias = alias
        self._max_bytes = max_bytes
        # Unbuffered, so that the file is complete when the server is killed.
        self._file = path.open("wb", buffering=0)
        self._written = 0
        self._partial = b""
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)

    def write(self, piece: bytes) -> None:
        """Take the next piece."""
        self._to_file(piece)
        *lines, self._partial = (self._partial + piece).split(b"\n")
        if len(self._partial) > _MAX_LINE:
            lines.append(self._partial)
            self._partial = b""
        for line in lines:
            self._take(line)

    def close(self) -> None:
        """Take what is left of an unfinished line, and close the file."""
        if self._partial:
            self._take(self._partial)
            self._partial = b""
        self._file.close()

    def tail(self, lines: int) -> str:
        """Return the last lines, without clock times, blank lines and progress dots, and a repeated line only once."""
        kept: list[str] = []
        for stamped in reversed(self._lines):
            if len(kept) == lines:
                break
            line = _CLOCK.sub("", stamped)
            if not _DOTS.fullmatch(line) and line not in kept:
                kept.append(line)
        return "\n".join(reversed(kept))

    def contains(self, pattern: re.Pattern[str]) -> bool:
        """Return whether one of the last lines matches."""
        return any(pattern.search(line) for line in self._lines)

    def _take(self, line: bytes) -> None:
        text = _ESCAPES.sub("", line.decode(errors="replace")).rstrip()
        self._lines.append(text)
        _logger.debug("%s: %s", self._alias, text)

    def _to_file(self, piece: bytes) -> None:
        try:
            if self._written > self._max_bytes:
                self._file.close()
                self._written = 0
                self.path.replace(self.path.with_name(self.path.name + ".1"))
            if self._file.closed:
                self._file = self.path.open("wb", buffering=0)
            self._written += self._file.write(piece)
        except OSError as error:
            # A full disk must not stop the engine: its output goes on being read and shown.
            _logger.debug("cannot write %s: %s", self.path, error)
