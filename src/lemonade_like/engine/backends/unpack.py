"""Takes an archive apart into an empty folder, and lets nothing of it get out of there.

Refused are names that are absolute, climb, or mean something else on another system; links that lead out; anything that
is neither file, folder nor link; two entries of one name; and more than a bounded size, whatever the archive says of
itself. Links are made when all files are there, so that nothing is ever written through one.
"""

from __future__ import annotations

import errno
import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final

from lemonade_like.engine.backends.assets import BackendError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

#: The largest release, with ROCm's kernels, unpacks to about 3 GB.
LARGEST: Final = 12 << 30
_MOST_ENTRIES: Final = 50_000
_CHUNK: Final = 1 << 20
_LONGEST_LINK: Final = 4096
#: NotImplementedError is a zip's compression that nobody uses; RuntimeError is an encrypted one.
_DAMAGED: Final = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
)


@dataclass(frozen=True)
class _Entry:
    """``content`` is open while the entry is the current one. ``link`` is where a link leads."""

    name: str
    is_folder: bool
    executable: bool
    content: IO[bytes] | None
    link: str | None = None


def unpack(archive: Path, folder: Path, *, largest: int = LARGEST) -> None:
    """Unpack a .zip or .tar archive into ``folder``, which must exist and be empty. Keeps what is executable.

    Raises ``BackendError``, with part of the archive then in the folder; ``OSError`` if the disk fails.
    """
    try:
        with _entries(archive) as entries:
            _write(entries, folder, archive.name, largest)
    except _DAMAGED as error:
        raise _damaged(archive, error) from error
    except OSError as error:
        # What a decompressor raises has no number, and a damaged index points before the file's beginning: EINVAL.
        # Everything else is the disk's.
        if error.errno not in (None, errno.EINVAL):
            raise
        raise _damaged(archive, error) from error


def _damaged(archive: Path, error: Exception) -> BackendError:
    reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(":.")
    return BackendError(f"{archive.name} cannot be unpacked: {reason}.\nNothing was installed.")


def _write(entries: Iterable[_Entry], folder: Path, archive: str, largest: int) -> None:
    links: list[tuple[Path, str]] = []
    left = largest
    for number, entry in enumerate(entries, 1):
        if number > _MOST_ENTRIES:
            raise _unsafe(archive, "it has too many entries")
        path = folder.joinpath(*_parts(entry.name, archive))
        try:
            if entry.is_folder:
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            if entry.link is not None:
                links.append((path, entry.link))
            elif entry.content is not None:
                left -= _copy(entry.content, path, left, archive)
                path.chmod(0o755 if entry.executable else 0o644)
        except (FileExistsError, NotADirectoryError):
            raise _unsafe(archive, f"it has two entries for {entry.name!r}") from None
    _make_links(links, folder, archive)


def _parts(name: str, archive: str) -> list[str]:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    odd = name.startswith("/") or ".." in parts or any(mark in name for mark in ("\\", ":", "\0"))
    # A lone surrogate is a name that is not text; a trailing dot or space is dropped by Windows.
    if odd or not name.isprintable() or any(part.endswith((".", " ")) for part in parts):
        raise _unsafe(archive, f"it has an entry {name!r}")
    return parts


def _copy(content: IO[bytes], path: Path, left: int, archive: str) -> int:
    size = 0
    with path.open("xb") as file:
        while chunk := content.read(_CHUNK):
            size += len(chunk)
            if size > left:
                raise _unsafe(archive, "it unpacks to more than can be right")
            file.write(chunk)
    return size


def _make_links(links: list[tuple[Path, str]], folder: Path, archive: str) -> None:
    for path, target in links:
        if not target or target.startswith("/") or "\\" in target or ":" in target or not target.isprintable():
            raise _unsafe(archive, f"it has a link to {target!r}")
        try:
            path.symlink_to(target)
        except FileExistsError:
            raise _unsafe(archive, f"it has two entries for {path.name!r}") from None
        except ValueError as error:
            raise _unsafe(archive, f"it has a link to {target!r}: {error}") from None
    # Only now: where a link leads depends on the other links.
    inside = os.path.realpath(folder)
    for path, target in links:
        leads_to = os.path.realpath(path)
        if os.path.commonpath([inside, leads_to]) != inside:
            raise _unsafe(archive, f"it has a link to {target!r}")
        try:
            path.stat()
        except FileNotFoundError:
            continue  # leads nowhere, and does no harm there
        except OSError as error:
            raise _unsafe(archive, f"it has a link to {target!r}: {error.strerror}") from None


def _unsafe(archive: str, reason: str) -> BackendError:
    return BackendError(f"{archive} is not a proper release, and may be an attack: {reason}.\nNothing was installed.")


@contextmanager
def _entries(archive: Path) -> Iterator[Iterator[_Entry]]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            yield _from_zip(zipped, archive.name)
    else:
        with tarfile.open(archive) as tar:
            yield _from_tar(tar, archive.name)


def _from_tar(tar: tarfile.TarFile, archive: str) -> Iterator[_Entry]:
    for member in tar:
        executable = bool(member.mode & 0o111)
        if member.isdir():
            yield _Entry(member.name, True, True, None)
        elif member.issym():
            yield _Entry(member.name, False, False, None, member.linkname)
        elif member.isreg() or member.islnk():
            # A hard link becomes another copy: it can only be of something in the archive.
            try:
                content = tar.extractfile(member)
            except KeyError:
                raise _unsafe(archive, f"it has a link to {member.linkname!r}") from None
            if content is None:
                raise _unsafe(archive, f"it has a link to {member.linkname!r}")
            with content:
                yield _Entry(member.name, False, executable, content)
        else:
            raise _unsafe(archive, f"{member.name!r} is neither file, folder nor link")


def _from_zip(zipped: zipfile.ZipFile, archive: str) -> Iterator[_Entry]:
    for info in zipped.infolist():
        mode = info.external_attr >> 16
        kind = stat.S_IFMT(mode)
        if not info.filename:
            raise _unsafe(archive, "it has an entry without a name")
        if info.is_dir():
            yield _Entry(info.filename, True, True, None)
        elif kind == stat.S_IFLNK:
            if info.file_size > _LONGEST_LINK:
                raise _unsafe(archive, f"{info.filename!r} is a link of {info.file_size} bytes")
            with zipped.open(info) as content:
                target = content.read(_LONGEST_LINK).decode(errors="surrogateescape")
            yield _Entry(info.filename, False, False, None, target)
        elif kind in (0, stat.S_IFREG):
            with zipped.open(info) as content:
                yield _Entry(info.filename, False, bool(mode & 0o111), content)
        else:
            raise _unsafe(archive, f"{info.filename!r} is neither file, folder nor link")


def add_beside(source: Path, folder: Path) -> None:
    """Move all files below ``source`` into ``folder``, without the folder that holds them all, where there is one.

    What is there already stays: both archives have a licence.
    """
    entries = list(source.iterdir())
    while len(entries) == 1 and entries[0].is_dir() and not entries[0].is_symlink():
        source = entries[0]
        entries = list(source.iterdir())
    for path in entries:
        if not os.path.lexists(folder / path.name):
            shutil.move(path, folder / path.name)
