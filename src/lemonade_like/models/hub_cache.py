"""The Hub's cache on disk, as huggingface-hub lays it out and every program that uses it finds it.

::

    models--org--repo/
      blobs/DIGEST               a file's content, once it is whole and checked
      blobs/DIGEST.incomplete    what has been fetched of it
      snapshots/REVISION/NAME    a link to it (or the file itself, where links cannot be made)
      refs/main                  the revision that was fetched last
    .locks/models--org--repo/DIGEST.lock    held while it is fetched, by whichever program does
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from huggingface_hub import constants
from huggingface_hub.file_download import repo_folder_name

from lemonade_like.models.files import written_at_once

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lemonade_like.models.remote import RemoteFile


def hub_folder(cache: Path | None) -> Path:
    """The folder of the Hub's cache: ``cache``, or else what ``HF_HUB_CACHE`` and ``HF_HOME`` say."""
    return cache or Path(constants.HF_HUB_CACHE)


@dataclass(frozen=True)
class CachedRepository:
    """The folder of one repository; it need not exist."""

    cache: Path
    repo: str

    @property
    def folder(self) -> Path:
        """Where all of it is, but its locks."""
        return self.cache / self._name

    @property
    def _name(self) -> str:
        return repo_folder_name(repo_id=self.repo, repo_type="model")

    def blob(self, file: RemoteFile) -> Path:
        """Where the file's content goes."""
        return self.folder / "blobs" / file.digest

    def partial(self, file: RemoteFile) -> Path:
        """Where it is as long as it is not whole."""
        return self.folder / "blobs" / f"{file.digest}.incomplete"

    def partials(self) -> list[Path]:
        """All that have been begun."""
        return sorted((self.folder / "blobs").glob("*.incomplete"))

    def lock(self, digest: str) -> Path:
        """The lock that whoever fetches it holds; its folder is made."""
        path = self.cache / ".locks" / self._name / f"{digest}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def snapshot(self, file: RemoteFile) -> Path:
        """Where programs look for the file."""
        return self.folder / "snapshots" / file.revision / file.name

    def content(self, file: RemoteFile) -> Path | None:
        """The file's content, if some program has it in place."""
        for path in (self.blob(file), self.snapshot(file)):
            if path.is_file():
                return path
        return None

    def link(self, file: RemoteFile) -> None:
        """Put the file, whose content is there, where programs look for it."""
        place = self.snapshot(file)
        if place.is_file():
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)  # a link that leads nowhere
        blob = self.blob(file)
        try:
            place.symlink_to(os.path.relpath(blob, place.parent))
        except OSError:
            # Windows lets only some users make links; huggingface-hub then keeps the file itself there.
            blob.replace(place)

    def remove(self, file: RemoteFile) -> None:
        """Remove the file's content and every name that it has."""
        blob = self.blob(file)
        for place in self._names_of(blob):
            place.unlink()
        self.snapshot(file).unlink(missing_ok=True)
        blob.unlink(missing_ok=True)

    def _names_of(self, blob: Path) -> Iterator[Path]:
        for place in (self.folder / "snapshots").rglob("*"):
            with contextlib.suppress(OSError):
                if place.is_symlink() and Path(os.path.normpath(place.parent / place.readlink())) == blob:
                    yield place

    def set_main(self, revision: str) -> None:
        """Note the revision that was fetched last."""
        with written_at_once(self.folder / "refs" / "main") as file:
            file.write(revision.encode("ascii"))
