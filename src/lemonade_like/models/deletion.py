"""Removing a model's files from the Hub's cache, and nothing that anybody else needs."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import filelock
from huggingface_hub import scan_cache_dir
from huggingface_hub.errors import CacheNotFound
from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined]

from lemonade_like.models.download import Checkpoint, files_of, whole_models
from lemonade_like.models.grouping import is_projector
from lemonade_like.models.hub_cache import CachedRepository

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from huggingface_hub import CachedFileInfo, CachedRevisionInfo

    from lemonade_like.models.pull import Wanted

_MOMENT: Final = 0.05  # seconds to wait for a lock that nobody should hold


@dataclass(frozen=True)
class Deleted:
    """What was removed: how many files, how many bytes that is, and the files that stayed since others need them."""

    files: int
    bytes: int
    kept: tuple[str, ...]


def delete_model(wanted: Wanted, others: Iterable[Wanted], cache: Path) -> Deleted:
    """Remove the model's files in every revision, and what has been begun of its repository; blocking.

    A file stays that one of the ``others`` is made of, and so does a projector as long as any model stands beside it. A
    file's content stays as long as any name for it is left; and so it does if somebody has linked it in from elsewhere.

    Raises:
        OSError: a file cannot be removed.
    """
    doomed: list[CachedFileInfo] = []
    linked: list[CachedFileInfo] = []
    kept: set[str] = set()
    others = list(others)
    try:
        scanned = scan_cache_dir(cache)
    except CacheNotFound:
        return Deleted(0, 0, ())
    for repo in scanned.repos:
        if repo.repo_type != "model":
            continue
        for revision in repo.revisions:
            mine = files_in(wanted, repo.repo_id, _names(revision))
            needed = {
                name for other in others for name in files_in(other, repo.repo_id, _names(revision)) if name in mine
            }
            needed |= _projectors_still_needed(mine, _names(revision))
            kept |= needed
            for name in mine - needed:
                file = _names(revision)[name]
                (doomed if _is_inside(file.blob_path, repo.repo_path) else linked).append(file)
    strategy = scanned.delete_files(*doomed)
    strategy.execute()
    for file in linked:
        if file.file_path.is_symlink():
            file.file_path.unlink()
    count, freed = len(doomed) + len(linked), strategy.expected_freed_size
    for name in _repositories(wanted):
        cached = CachedRepository(cache, name)
        begun = _remove_partials(cached)
        count, freed = count + len(begun), freed + sum(begun)
        _prune(cached.folder)
    return Deleted(count, freed, tuple(sorted(kept)))


def files_in(wanted: Wanted, repo: str, names: Iterable[str]) -> set[str]:
    """Return those of a repository's files that the model is made of."""
    names = list(names)
    checkpoint = Checkpoint.parse(wanted.checkpoint)
    found: set[str] = set()
    if checkpoint.repo == repo:
        found.update(files_of(names, checkpoint.quant))
    if wanted.mmproj is None:
        found.update(name for name in names if wanted.vision and checkpoint.repo == repo and is_projector(name))
    elif ":" not in wanted.mmproj:
        found.update(files_of(names, wanted.mmproj) if checkpoint.repo == repo else ())
    else:
        projector = Checkpoint.parse(wanted.mmproj)
        found.update(files_of(names, projector.quant) if projector.repo == repo else ())
    return found


def _is_inside(blob: Path, folder: Path) -> bool:
    # A blob may itself be a link, into a store that repositories share.
    return blob.parent.resolve().is_relative_to(folder.resolve())


def _repositories(wanted: Wanted) -> set[str]:
    named = [wanted.checkpoint] + ([wanted.mmproj] if wanted.mmproj and ":" in wanted.mmproj else [])
    return {Checkpoint.parse(text).repo for text in named}


def _names(revision: CachedRevisionInfo) -> dict[str, CachedFileInfo]:
    return {file.file_path.relative_to(revision.snapshot_path).as_posix(): file for file in revision.files}


def _projectors_still_needed(mine: set[str], names: Iterable[str]) -> set[str]:
    """Return the projectors among ``mine`` if another model stands beside them, which may see through them."""
    beside = [shards for shards in whole_models(names) if not mine.issuperset(shards)]
    return {name for name in mine if is_projector(name)} if beside else set()


def _remove_partials(cached: CachedRepository) -> list[int]:
    """Remove what has been begun and nobody is fetching now; return the sizes."""
    removed = []
    for partial in cached.partials():
        with (
            contextlib.suppress(filelock.Timeout, FileNotFoundError),
            WeakFileLock(cached.lock(partial.name.partition(".")[0]), timeout=_MOMENT),
        ):
            size = partial.stat().st_size
            partial.unlink()
            removed.append(size)
    return removed


def _prune(folder: Path) -> None:
    """Remove folders and references that nothing is left of."""
    snapshots = folder / "snapshots"
    for place in sorted(snapshots.rglob("*"), reverse=True):
        # Those that are not empty stay.
        if place.is_dir() and not place.is_symlink():
            with contextlib.suppress(OSError):
                place.rmdir()
    for reference in (folder / "refs").rglob("*"):
        if reference.is_file() and not (snapshots / reference.read_text(encoding="ascii").strip()).is_dir():
            reference.unlink()
    left = [place for part in ("snapshots", "blobs") for place in (folder / part).rglob("*") if not place.is_dir()]
    if not left:
        shutil.rmtree(folder, ignore_errors=True)
