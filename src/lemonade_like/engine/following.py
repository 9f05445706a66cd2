"""Reads along in an engine's log: its last lines, and then what is written."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

_POLL_SECONDS: Final = 0.25
#: What is read of a file at once: enough for some thousand lines.
_MOST_BYTES: Final = 1 << 20


async def follow(path: Path, tail: int, ended: Callable[[], bool]) -> AsyncGenerator[list[str], None]:
    """Yield the last ``tail`` lines, be there none, and then new ones as they come; end with the engine, as ``ended``
    tells.

    A file that is begun anew is read from its beginning. Raises ``OSError`` if there is none.
    """
    place, piece = await asyncio.to_thread(_end_of, path)
    *lines, partial = piece.split(b"\n")
    yield _texts(lines[len(lines) - min(tail, len(lines)) :])
    while True:
        over = ended()
        place, piece = await asyncio.to_thread(_since, path, place)
        *lines, partial = (partial + piece).split(b"\n")
        if lines:
            yield _texts(lines)
        elif over:
            return
        else:
            await asyncio.sleep(_POLL_SECONDS)


def _end_of(path: Path) -> tuple[int, bytes]:
    size = path.stat().st_size
    return _since(path, max(0, size - _MOST_BYTES))


def _since(path: Path, place: int) -> tuple[int, bytes]:
    with path.open("rb") as file:
        if file.seek(0, 2) < place:
            place = 0
        file.seek(place)
        piece = file.read(_MOST_BYTES)
    return place + len(piece), piece


def _texts(lines: list[bytes]) -> list[str]:
    return [line.decode(errors="replace").rstrip("\r") for line in lines]
