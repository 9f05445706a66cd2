"""Whether a model fits on the disk."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final, Protocol

from lemonade_like.models.hub_errors import NotEnoughSpace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: Bytes that a pull leaves free, for the system and everybody else.
RESERVE: Final = 1_000_000_000


class DiskUsage(Protocol):
    """As much of ``shutil.disk_usage``'s answer as is needed."""

    @property
    def free(self) -> int:
        """Bytes that can still be written."""


def free_space(folder: Path, disk_usage: Callable[[Path], DiskUsage] = shutil.disk_usage) -> int:
    """Return the bytes that are free where ``folder`` is, or will be."""
    for place in (folder, *folder.parents):
        if place.exists():
            return disk_usage(place).free
    raise FileNotFoundError(folder)


def require_space(name: str, needed: int, free: int, folder: Path, *, reserve: int = RESERVE) -> None:
    """Raise :class:`NotEnoughSpace` unless ``needed`` more bytes fit into ``free`` and leave ``reserve``."""
    lacking = needed + reserve - free
    if needed and lacking > 0:
        raise NotEnoughSpace(
            f"{name} needs {readable_size(needed)} more, and {readable_size(reserve)} must stay free, but {folder} has "
            f"{readable_size(free)} free.\n"
            f"Free {readable_size(lacking)} there (`lemonade-like delete NAME` removes a model), "
            "or set HF_HOME to a folder on another disk."
        )


def readable_size(size: int) -> str:
    """Return a number of bytes as people read it."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
