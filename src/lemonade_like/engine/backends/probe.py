"""How the machine is looked at: its files, its programs, its own account of itself. All of it can be recorded."""

from __future__ import annotations

import logging
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import psutil

_logger = logging.getLogger("lemonade_like.engine")

#: nvidia-smi takes seconds when the driver sleeps, and for ever when the card is lost.
_COMMAND_SECONDS: Final = 5.0

_T = TypeVar("_T")

Run = Callable[[Sequence[str]], "str | None"]


class Ram(NamedTuple):
    """Bytes of memory."""

    total: int
    available: int


@dataclass(frozen=True)
class Probe:
    """Everything that detection reads. A test gives a folder as ``root`` and recorded outputs as ``run``.

    ``platform`` is spelt as ``sys.platform``. ``run`` returns what a command printed, or ``None`` where it is not
    there, fails, or takes too long. ``ram`` is what the operating system says, before any container's limit.
    """

    platform: str
    architecture: str
    release: str
    root: Path
    environ: Mapping[str, str]
    run: Run
    ram: Callable[[], Ram]
    cores: Callable[[], tuple[int | None, int | None]]

    def read(self, path: str) -> str | None:
        """Return the text of a file below ``root`` (``path`` without a leading slash), or ``None``."""
        try:
            return (self.root / path).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return None

    def number(self, path: str) -> int | None:
        """Return the number that the file holds, from 0 and in whatever base it says, or ``None``."""
        try:
            number = int(self.read(path) or "", 0)
        except ValueError:
            return None
        return number if number >= 0 else None

    def glob(self, pattern: str) -> list[Path]:
        """Return what matches below ``root``, sorted; nothing where it cannot be read."""
        try:
            return sorted(self.root.glob(pattern))
        except OSError:
            return []


def this_machine() -> Probe:
    """Return the probe of the machine that this runs on."""
    return Probe(
        platform=sys.platform,
        architecture=platform.machine(),
        release=platform.release(),
        root=Path(Path.cwd().anchor),
        environ=os.environ,
        run=run_quietly,
        ram=_ram,
        cores=lambda: (psutil.cpu_count(logical=False), psutil.cpu_count()),
    )


def guarded(detect: Callable[[], _T], otherwise: _T) -> _T:
    """Return what ``detect`` finds, or ``otherwise`` where it fails."""
    try:
        return detect()
    except Exception:  # a machine can be odd in ways that nobody has seen
        _logger.debug("a detector failed", exc_info=True)
        return otherwise


def run_quietly(command: Sequence[str], seconds: float = _COMMAND_SECONDS) -> str | None:
    """Return what ``command`` printed, or ``None`` where it is not there, fails, or is not done in ``seconds``."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=False,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        _logger.debug("%s: %s", command[0], error)
        return None
    return done.stdout if done.returncode == 0 else None


def _ram() -> Ram:
    memory = psutil.virtual_memory()
    return Ram(memory.total, memory.available)
