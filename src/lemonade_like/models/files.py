"""Files of the cache: each appears at once and complete, or not at all, whoever else writes it at the same time."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

CHUNK: Final = 1 << 20
#: What another process has not finished after this many seconds it never will.
_ABANDONED: Final = 3600


@contextlib.contextmanager
def written_at_once(target: Path) -> Iterator[BinaryIO]:
    """Give a file to write into, which becomes ``target`` when the block ends, or is removed if that raises.

    Makes the folder, and clears away what processes that were killed meanwhile have left in it. Raises ``OSError``.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(target)
    handle, name = tempfile.mkstemp(prefix=_prefix(target), dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def sha256(file: BinaryIO) -> str:
    """Return the hash of what is left to read of the file."""
    digest = hashlib.sha256()
    while chunk := file.read(CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _prefix(target: Path) -> str:
    return f".{target.name}."


def _remove_abandoned(target: Path) -> None:
    for leftover in target.parent.glob(f"{_prefix(target)}*"):
        with contextlib.suppress(OSError):
            if time.time() - leftover.stat().st_mtime > _ABANDONED:
                leftover.unlink()
