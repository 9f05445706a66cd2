"""The tiny model that comes with the package, unpacked into the user's cache when it is first needed."""

from __future__ import annotations

import contextlib
import hashlib
import lzma
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Final, Protocol

from lemonade_like.models.files import CHUNK, sha256, written_at_once

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

BUNDLED_MODEL: Final = "tiny-gpt-oss"

# Written by scripts/train_tiny_gpt_oss.py.
GGUF_SIZE: Final = 35_965_536
GGUF_SHA256: Final = "88fb581e5e99b94f7bdf585d901ddd830ef7dfc0dd4eef436f9a1dcd1b076768"
XZ_SHA256: Final = "e15108f479849dadda4bc099430c29f9efc07009e3ee90593335ae4ea6ae93de"


class BundledModelError(OSError):
    """The bundled model cannot be unpacked; the message says why and what to do."""


class Archive(Protocol):
    """A packed file, wherever the package lies."""

    def open(self, mode: str) -> BinaryIO:
        """Open it for reading; ``mode`` is ``rb``."""


@dataclass(frozen=True)
class Bundle:
    """An xz archive of one file, and what must come out of it. ``name`` is the file's name, ``size`` is in bytes."""

    name: str
    archive: Archive
    archive_sha256: str
    size: int
    sha256: str


def bundled_model_file(cache_dir: Path) -> Path:
    """Return where the bundled model is, or will be once it is unpacked."""
    return cache_dir / "models" / f"{BUNDLED_MODEL}-{GGUF_SHA256[:12]}" / f"{BUNDLED_MODEL}.gguf"


def bundled_model_path(cache_dir: Path) -> Path:
    """Return the path of the bundled model's GGUF, unpacking it first where needed (about half a second, once).

    Raises:
        BundledModelError: the package is damaged, or the cache cannot be written to.
    """
    archive = resources.files("lemonade_like") / "assets" / f"{BUNDLED_MODEL}.gguf.xz"
    bundle = Bundle(f"{BUNDLED_MODEL}.gguf", archive, XZ_SHA256, GGUF_SIZE, GGUF_SHA256)  # type: ignore[arg-type]
    return unpack(bundle, bundled_model_file(cache_dir).parent)


def unpack(bundle: Bundle, folder: Path) -> Path:
    """Unpack ``bundle`` into ``folder`` unless it is there already, whole; return the path of the file.

    The file appears at once and complete, or not at all, and any number of processes may do this at the same time.

    Raises:
        BundledModelError: the archive is damaged, or the folder cannot be written to.
    """
    target = folder / bundle.name
    if _is_whole(target, bundle):
        return target
    try:
        _unpack_to(bundle, target)
    except (lzma.LZMAError, EOFError) as error:
        raise _damaged_package(bundle) from error
    except BundledModelError:
        raise
    except OSError as error:
        # On Windows a file that another process has open cannot be replaced; then it is there, and whole.
        if _is_whole(target, bundle):
            return target
        raise BundledModelError(
            f"The bundled model could not be unpacked into {folder}: {error.strerror or error}. It takes "
            f"{bundle.size / 1e6:.0f} MB. Make room there, or name another folder with LEMONADE_LIKE_CACHE_DIR."
        ) from error
    return target


def _unpack_to(bundle: Bundle, target: Path) -> None:
    with bundle.archive.open("rb") as packed:
        if sha256(packed) != bundle.archive_sha256:
            raise _damaged_package(bundle)
        packed.seek(0)
        with written_at_once(target) as file, lzma.open(packed, "rb") as unpacked:
            digest = hashlib.sha256()
            while chunk := unpacked.read(CHUNK):
                digest.update(chunk)
                file.write(chunk)
            if digest.hexdigest() != bundle.sha256:
                raise _damaged_package(bundle)
    _write_mark(target, bundle)


def _damaged_package(bundle: Bundle) -> BundledModelError:
    return BundledModelError(
        f"The packed model that comes with lemonade-like ({bundle.name}.xz) is damaged: its hash is not the expected "
        "one. Install the package again: pip install --force-reinstall lemonade-like"
    )


def _is_whole(target: Path, bundle: Bundle) -> bool:
    """Whether the file is what the archive holds.

    Reading all of it costs more than most commands do, so a mark beside it says which file was found to be right: the
    same hash, size and time of change. Only where the mark does not fit is the file read.
    """
    try:
        if target.stat().st_size != bundle.size:
            return False
        if _mark_path(target).read_text(encoding="ascii") == _mark(target, bundle):
            return True
    except FileNotFoundError:
        if not target.exists():
            return False
    except (OSError, ValueError):
        pass
    try:
        with target.open("rb") as file:
            whole = sha256(file) == bundle.sha256
    except OSError:
        return False
    if whole:
        _write_mark(target, bundle)
    return whole


def _mark_path(target: Path) -> Path:
    return target.with_name(f"{target.name}.checked")


def _mark(target: Path, bundle: Bundle) -> str:
    found = target.stat()
    return f"{bundle.sha256} {found.st_size} {found.st_mtime_ns}\n"


def _write_mark(target: Path, bundle: Bundle) -> None:
    # Without the mark the file is read again next time, and nothing worse.
    with contextlib.suppress(OSError):
        _mark_path(target).write_text(_mark(target, bundle), encoding="ascii")
