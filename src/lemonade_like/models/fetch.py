"""One file from the Hub into its cache: resumed where it stopped, checked, and only then given its name.

huggingface-hub's own download throws away what it has when it is interrupted, and takes the bytes on trust. Its
transport is used here (addresses, token, proxies, redirects, retries), and its cache and locks are kept to.
"""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, BinaryIO, Final, cast

import filelock
from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined]

from lemonade_like.models.files import CHUNK
from lemonade_like.models.hub_errors import HTTP_ERROR, HUB_ERRORS, DamagedDownload, DownloadError, explain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from lemonade_like.models.hub import Hub
    from lemonade_like.models.hub_cache import CachedRepository
    from lemonade_like.models.progress import Tracker
    from lemonade_like.models.remote import RemoteFile

_MAGIC: Final = b"GGUF"
#: Seconds to wait before the line is tried again, each time that it broke without bringing anything.
PATIENCE: Final = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
#: Seconds in which a lock that nobody holds can be had.
_MOMENT: Final = 0.05
#: How often to look whether another process has finished with the file.
_LOOK_SECONDS: Final = 0.25
#: Worth trying again: the Hub is busy, or unwell.
_PASSING: Final = (408, 429, 500, 502, 503, 504)
#: Of what the library reads at a time. A line that breaks loses what has not been read to its end, which by default are
#: ten megabytes.
READ_BYTES: Final = 256 * 1024


def read_little_at_a_time() -> None:
    """Have the library lose less when the line breaks. It goes for the whole process."""
    constants.DOWNLOAD_CHUNK_SIZE = READ_BYTES


def fetch(
    file: RemoteFile, cached: CachedRepository, hub: Hub, tracker: Tracker, *, patience: Sequence[float] = PATIENCE
) -> None:
    """Have ``file`` in the cache, whole and checked; blocking.

    What is there already is checked again, and fetched anew if it is not what the Hub says. If another process fetches
    the file, it is waited for.

    Raises:
        DamagedDownload: what came is not what the Hub said it would be. It has been removed.
        DownloadError: the Hub or the disk failed. What has come is kept for the next time.
    """
    try:
        _wait_for_others(file, cached, tracker)
        with WeakFileLock(cached.lock(file.digest)):
            if not _is_there(file, cached, tracker):
                _fetch(file, cached, hub, tracker, patience)
            cached.link(file)
    except HUB_ERRORS as error:
        raise explain(error, file.repo, hub.endpoint) from error


def _wait_for_others(file: RemoteFile, cached: CachedRepository, tracker: Tracker) -> None:
    patience = _MOMENT
    while True:
        try:
            with WeakFileLock(cached.lock(file.digest), timeout=patience):
                return
        except filelock.Timeout:
            tracker.at(size_of(cached.partial(file)), "waiting")
            patience = _LOOK_SECONDS


def _is_there(file: RemoteFile, cached: CachedRepository, tracker: Tracker) -> bool:
    content = cached.content(file)
    if content is None:
        return False
    with content.open("rb") as opened:
        checked = _Checked(opened, file, lambda position: tracker.at(position, "verifying"))
        if content.stat().st_size == file.size and checked.read_whole():
            return True
    cached.remove(file)
    return False


def _fetch(file: RemoteFile, cached: CachedRepository, hub: Hub, tracker: Tracker, patience: Sequence[float]) -> None:
    if file.size > constants.MAX_HTTP_DOWNLOAD_SIZE:
        raise DownloadError(
            f"{file.name} has more than {constants.MAX_HTTP_DOWNLOAD_SIZE // 10**9} GB, which the Hub hands out to its "
            f"own tools only.\nFetch it with `hf download {file.repo} {file.name}`: it is found in the cache then.",
            code="file_too_large",
        )
    partial = cached.partial(file)
    partial.parent.mkdir(parents=True, exist_ok=True)
    if size_of(partial) > file.size:
        partial.unlink()
    try:
        # Unbuffered: what has come is on disk, even if this process is killed.
        with partial.open("r+b" if partial.exists() else "w+b", buffering=0) as opened:
            written = _Checked(cast("BinaryIO", opened), file, lambda position: tracker.at(position, "downloading"))
            written.read_whole()
            _transfer(file, written, hub, tracker, patience)
            if not written.is_whole():
                raise _damaged(file, hub)
    except DamagedDownload:
        partial.unlink()
        raise
    partial.replace(cached.blob(file))


def _transfer(file: RemoteFile, written: _Checked, hub: Hub, tracker: Tracker, patience: Sequence[float]) -> None:
    """Fetch the rest of the file, over as many connections as it takes."""
    written.on_write = tracker.fetched
    waits = iter(patience)
    while True:
        before = written.position
        try:
            http_get(
                hub.url(file),
                cast("BinaryIO", written),
                resume_size=before,
                headers=hub.headers(),
                expected_size=file.size,
                displayed_filename=file.name,
                tqdm_class=_NoBar,
            )
            return
        except (HTTP_ERROR, OSError) as error:
            if not _may_pass(error):
                raise
            if written.position > file.size:
                return
            if written.position > before:
                waits = iter(patience)
            wait = next(waits, None)
            if wait is None:
                raise
            time.sleep(wait)


def _may_pass(error: Exception) -> bool:
    if isinstance(error, HfHubHTTPError):
        return error.response is not None and error.response.status_code in _PASSING
    # An error of the disk has a number; that the bytes were too few is an OSError without one.
    return not isinstance(error, OSError) or error.errno is None


def _damaged(file: RemoteFile, hub: Hub) -> DamagedDownload:
    return DamagedDownload(
        f"{file.name} from {hub.endpoint} is not what it should be: its hash is not {file.digest}.\n"
        "It has been removed. Pull again; if it stays so, the proxy or mirror in between changes it (HF_ENDPOINT)."
    )


def size_of(path: Path) -> int:
    """Return the size of the file in bytes; 0 if there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


class _Checked:
    """A file that is hashed as it is written, as much of one as ``http_get`` uses.

    Raises :class:`DamagedDownload` as soon as it is clear that this is no GGUF file: an error page, for one.
    """

    def __init__(self, file: BinaryIO, expected: RemoteFile, at: Callable[[int], None]) -> None:
        self._file = file
        self._expected = expected
        self._at = at
        self.on_write: Callable[[int], None] = lambda _: None
        self._start()

    def _start(self) -> None:
        self.position = 0
        if len(self._expected.digest) == 64:
            self._hash = hashlib.sha256()
        else:
            self._hash = hashlib.sha1(b"blob %d\0" % self._expected.size, usedforsecurity=False)

    def read_whole(self) -> bool:
        """Hash what the file has; return whether it is what it should be. It is left at its end."""
        self._file.seek(0)
        self._start()
        while chunk := self._file.read(CHUNK):
            self._take(chunk)
        return self.is_whole()

    def is_whole(self) -> bool:
        """Tell whether all that was read and written is what it should be."""
        return self.position == self._expected.size and self._hash.hexdigest() == self._expected.digest

    def write(self, chunk: bytes) -> int:
        """Append."""
        rest = memoryview(chunk)
        if self.position == 0 and self._is_gguf() and bytes(rest[:4]) != _MAGIC:
            raise DamagedDownload(
                f"{self._expected.name} came as something else than a GGUF file.\n"
                "A proxy, or a page to sign in to the network, may be in between.",
                code="not_a_gguf",
            )
        while rest:
            # A file without a buffer may take less than all, when the disk becomes full.
            taken = self._file.write(rest)
            self._take(rest[:taken])
            rest = rest[taken:]
        self.on_write(len(chunk))
        return len(chunk)

    def _is_gguf(self) -> bool:
        return self._expected.name.lower().endswith(".gguf")

    def _take(self, chunk: bytes | memoryview) -> None:
        self._hash.update(chunk)
        self.position += len(chunk)
        self._at(self.position)

    def tell(self) -> int:
        """Where the next byte goes."""
        return self.position

    def seek(self, position: int) -> int:
        """Go there; only :meth:`truncate` may follow."""
        return self._file.seek(position)

    def truncate(self) -> int:
        """Forget what is behind the position: the Hub did not go on where it was asked to, but began anew."""
        end = self._file.truncate()
        self.read_whole()
        return end


class _NoBar:
    """A progress bar that shows nothing: the tracker knows it all."""

    def __init__(self, *_: object, **__: object) -> None:
        """Take what a bar takes."""

    def __enter__(self) -> _NoBar:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing."""

    def update(self, count: float | None = 1) -> None:
        """Show nothing."""
