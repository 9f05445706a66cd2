"""Recorded turns on disk: JSON lines in files that only their owner may read, written by a thread of their own."""

from __future__ import annotations

import contextlib
import gzip
import logging
import os
import queue
import re
import time
from dataclasses import dataclass
from threading import Lock, Thread
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from filelock import FileLock, Timeout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_logger = logging.getLogger(__name__)

SUFFIX: Final = ".jsonl"
_NAME: Final = "turns"
#: Turns that may wait to be written: a disk that hangs must not take all memory.
_WAITING: Final = 256
#: How long the last turns may take to be written when the server stops.
_CLOSE_SECONDS: Final = 5.0
_BLOCK: Final = 1 << 16
#: A link in the place of the file would have its target written to, and its mode changed; Windows has no such flag.
_OPEN: Final = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)


@dataclass(frozen=True)
class RecordingLimits:
    """``max_bytes`` is where a file ends and the next begins; ``max_files`` are kept, that which is written to
    included."""

    max_bytes: int = 100_000_000
    max_files: int = 10


class Recordings:
    """Takes what makes a line, has it made and written in a thread of its own, in the order in which it came.

    A line is in the file as a whole or not at all, also when the disk is full or the process is killed. Whatever goes
    wrong is a warning, once until it is well again. ``place`` is a folder, or a file whose name ends in ``.jsonl``.
    """

    def __init__(self, place: Path, limits: RecordingLimits = RecordingLimits()) -> None:
        self._file = _Files(place, limits)
        self._queue: queue.Queue[Callable[[], bytes] | None] = queue.Queue(_WAITING)
        self._lock = Lock()
        self._failing = False
        #: How many lines were lost since the last that was written.
        self._lost = 0
        self._thread = Thread(target=self._work, name="recordings", daemon=True)
        self._thread.start()

    def put(self, make: Callable[[], bytes]) -> None:
        """Take what makes a line, line end included, and is called in the other thread. Neither waits nor raises."""
        try:
            self._queue.put_nowait(make)
        except queue.Full:
            self._lose("too many turns wait to be written: the disk is slow")

    def close(self) -> None:
        """Return when all lines are written, or after five seconds."""
        with contextlib.suppress(queue.Full):
            self._queue.put(None, timeout=_CLOSE_SECONDS)
        self._thread.join(_CLOSE_SECONDS)
        if self._thread.is_alive():
            _logger.warning("The last recorded turns could not be written in time.")

    def _work(self) -> None:
        try:
            # Whether it can be written to is told at the start, not at the first turn.
            self._file.open()
        except Exception as error:
            self._lose(str(error), lines=0, unexpected=not isinstance(error, (OSError, ValueError)))
        while (make := self._queue.get()) is not None:
            try:
                self._file.write(make())
            except Exception as error:
                self._lose(str(error), unexpected=not isinstance(error, OSError))
            else:
                self._well_again()
        self._file.close()

    def _lose(self, why: str, *, lines: int = 1, unexpected: bool = False) -> None:
        with self._lock:
            first, self._failing = not self._failing, True
            self._lost += lines
        if unexpected:
            _logger.exception("A turn could not be recorded: %s", why)
        elif first:
            _logger.warning("Turns are not recorded for now: %s. They are answered all the same.", why)

    def _well_again(self) -> None:
        with self._lock:
            lost, self._lost, self._failing = self._lost, 0, False
        if lost:
            _logger.warning("Turns are recorded again; %d are missing.", lost)


class _Files:
    """The file that is written to, and those before it. To be used by one thread.

    Two servers with one place write to files of their own: whoever has the first is told by a lock beside it.
    """

    def __init__(self, place: Path, limits: RecordingLimits) -> None:
        if place.suffix == SUFFIX:
            self._folder, self._stem = place.parent, place.stem
        else:
            self._folder, self._stem = place, _NAME
        self._limits = limits
        self._path: Path | None = None
        self._lock: FileLock | None = None
        self._descriptor = -1
        self._size = 0

    def write(self, line: bytes) -> None:
        """Append a line. Raises ``OSError``, and then nothing of it is there."""
        path = self.open()
        if self._size and self._size + len(line) > self._limits.max_bytes:
            self._set_aside(path)
            self.open()
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            os.ftruncate(self._descriptor, self._size)
            self._shut()
            raise
        self._size += len(line)

    def open(self) -> Path:
        """Return the path of the file, which is open then. Raises ``OSError``."""
        path = self._path or self._choose()
        if self._descriptor >= 0 and not _is(self._descriptor, path):
            self._shut()  # somebody has moved or deleted it
        if self._descriptor < 0:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = os.open(path, _OPEN, 0o600)
            try:
                self._take_over(path)
            except OSError:
                self._shut()
                raise
        return path

    def _take_over(self, path: Path) -> None:
        """Keep the open file to its owner, and drop what is no whole line of it."""
        if hasattr(os, "fchmod"):
            os.fchmod(self._descriptor, 0o600)
        self._size = _whole_lines(self._descriptor)
        if self._size < os.fstat(self._descriptor).st_size:
            _logger.warning("The last line of %s was cut off when its server was killed, and is dropped.", path)
            os.ftruncate(self._descriptor, self._size)

    def close(self) -> None:
        """Close the file, and leave it to others."""
        self._shut()
        if self._lock is not None:
            self._lock.release()

    def _choose(self) -> Path:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        stem, number = self._stem, 1
        while True:
            lock = FileLock(self._folder / f".{stem}.lock", mode=0o600)
            try:
                lock.acquire(blocking=False)
            except Timeout:
                number += 1
                stem = f"{self._stem}.{number}"
                continue
            self._lock, self._stem = lock, stem
            self._path = self._folder / f"{stem}{SUFFIX}"
            if number > 1:
                _logger.warning("Another server records here, too; the turns of this one are in %s.", self._path)
            return self._path

    def _set_aside(self, path: Path) -> None:
        """Give the full file a name with the time, and delete the oldest of those until few enough are kept."""
        self._shut()
        now = time.time_ns() // 1000
        while (aside := path.with_name(f"{self._stem}-{_stamp(now)}{SUFFIX}")).exists():
            now += 1
        path.replace(aside)
        name = re.compile(re.escape(self._stem) + r"-\d{8}T\d{6}\.\d{6}Z" + re.escape(SUFFIX) + r"(\.gz)?")
        full = sorted(entry for entry in self._folder.iterdir() if name.fullmatch(entry.name))
        for old in full[: max(0, len(full) - (self._limits.max_files - 1))]:
            old.unlink(missing_ok=True)

    def _shut(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _stamp(microseconds: int) -> str:
    return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime(microseconds // 1_000_000))}.{microseconds % 1_000_000:06}Z"


def _is(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _whole_lines(descriptor: int) -> int:
    """Return how many bytes there are up to the end of the last whole line."""
    end = os.fstat(descriptor).st_size
    while end:
        start = max(0, end - _BLOCK)
        os.lseek(descriptor, start, os.SEEK_SET)
        found = os.read(descriptor, end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


@dataclass(frozen=True)
class Line:
    """A line of a recording, without its end. ``number`` counts from 1."""

    file: Path
    number: int
    text: bytes


def read_lines(place: Path) -> Iterator[Line]:
    """Yield the lines of a file, or of all recordings in a folder, oldest file first; also of those packed with gzip.

    Blank lines are left out, and so is what is written after this was begun. Raises ``OSError``.
    """
    files = recordings_in(place) if place.is_dir() else [place]
    for file, size in [(file, file.stat().st_size) for file in files]:
        packed = file.suffix == ".gz"
        with _opened(file) as opened:
            for number, text in enumerate(opened, 1):
                if not packed and opened.tell() > size:
                    break
                if stripped := text.strip():
                    yield Line(file, number, stripped)


def recordings_in(folder: Path) -> list[Path]:
    """Return the files of recorded turns in a folder, those first that were written to longest ago."""
    files = [entry for entry in folder.iterdir() if entry.name.endswith((SUFFIX, f"{SUFFIX}.gz"))]
    return sorted(files, key=lambda file: (file.stat().st_mtime, file.name))


def _opened(file: Path) -> BinaryIO:
    return cast("BinaryIO", gzip.open(file)) if file.suffix == ".gz" else file.open("rb")
