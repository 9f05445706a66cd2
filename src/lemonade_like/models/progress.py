"""How far a pull is, and how fast it goes."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from lemonade_like.models.remote import Plan, RemoteFile

_SAMPLE_SECONDS: Final = 0.2
#: Seconds over which the rate is measured: long enough to be calm, short enough to notice a line that died.
_WINDOW: Final = 10.0

Stage = Literal["downloading", "verifying", "waiting"]


@dataclass(frozen=True)
class Progress:
    """Where a pull is. Sizes are in bytes; ``bytes_…`` are of the file, ``total_…`` of all files together.

    ``stage`` is ``verifying`` while a file that was there already is checked, and ``waiting`` while another process
    fetches it.
    """

    file: str
    file_index: int
    total_files: int
    bytes_downloaded: int
    bytes_total: int
    total_bytes_downloaded: int
    total_bytes: int
    stage: Stage = "downloading"
    rate: float = 0.0
    """Bytes a second, lately."""
    eta: float | None = None
    """Seconds until all is there, as far as can be told."""

    @property
    def percent(self) -> int:
        """Of the file, as Lemonade has it; 100 only when all of it is there."""
        return self.bytes_downloaded * 100 // self.bytes_total if self.bytes_total else 100

    def as_json(self) -> dict[str, Any]:
        """Return what an event says."""
        return {**asdict(self), "percent": self.percent}

    @classmethod
    def from_json(cls, said: dict[str, Any]) -> Progress:
        """Read what :meth:`as_json` returned."""
        return cls(**{name: value for name, value in said.items() if name != "percent"})


class Tracker:
    """What a pull has done so far: written by the thread that pulls, read by another.

    Each field is written whole, so that a reader sees at worst one that is a moment older than the next.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._index = 0
        self._before = 0
        self._here = 0
        self._fetched = 0
        self._stage: Stage = "downloading"
        self._samples: deque[tuple[float, int]] = deque()

    def begin(self, index: int, file: RemoteFile) -> None:
        """Say that ``file``, the one at ``index`` of the plan, is being worked on."""
        self._before = sum(file.size for file in self._plan.files[:index])
        self._here = 0
        self._index = index
        self._stage = "downloading"

    def at(self, position: int, stage: Stage) -> None:
        """Say how much of the file there is, in bytes, and what is being done about it."""
        self._here = position
        self._stage = stage

    def fetched(self, count: int) -> None:
        """Say that so many more bytes came over the line."""
        self._fetched += count

    def progress(self, now: float) -> Progress:
        """Return how far the pull is at ``now``, in seconds of any clock; only one thread may ask."""
        file = self._plan.files[self._index]
        here = min(self._here, file.size)
        done = self._before + here
        rate = self._rate(now)
        return Progress(
            file.name,
            self._index + 1,
            len(self._plan.files),
            here,
            file.size,
            done,
            self._plan.size,
            self._stage,
            round(rate, 1),
            round((self._plan.size - done) / rate, 1) if rate > 0 else None,
        )

    def _rate(self, now: float) -> float:
        samples = self._samples
        samples.append((now, self._fetched))
        # The oldest that is kept is just outside of the window, so that the rate is always over all of it.
        while len(samples) > 2 and samples[1][0] <= now - _WINDOW:
            samples.popleft()
        then, before = samples[0]
        return (self._fetched - before) / (now - then) if now > then else 0.0


class Sampler:
    """Tells ``listener`` how far a pull is, a few times a second as long as that changes, while its block runs.

    It is told in a thread of its own, and once more at the end.
    """

    def __init__(self, tracker: Tracker, listener: Callable[[Progress], None]) -> None:
        self._tracker = tracker
        self._listener = listener
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        last = None
        ended = False
        self._tracker.progress(time.monotonic())  # what the rate is measured from
        while not ended:
            ended = self._ended.wait(_SAMPLE_SECONDS)
            progress = self._tracker.progress(time.monotonic())
            where = (progress.file_index, progress.bytes_downloaded, progress.stage, progress.rate > 0)
            if where != last:
                last = where
                self._listener(progress)
