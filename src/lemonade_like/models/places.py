"""Where models lie on this machine: in the Hugging Face cache, in a folder, or as a file. No file is opened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lemonade_like.models.download import Checkpoint, choose_files, find_in_cache, gguf_files, has_word, whole_models
from lemonade_like.models.grouping import checkpoint_of, model_stem, projector_for
from lemonade_like.models.hub_cache import CachedRepository, hub_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Place:
    """A model's file (its first shard), and its vision projector's, if it has one."""

    path: Path
    mmproj_path: Path | None = None


def in_cache(checkpoint: str, mmproj: str | None, hub_cache: Path | None, *, vision: bool = False) -> Place | None:
    """Where a model of the Hub is in its cache, if all of it is there.

    ``mmproj`` names the projector; where it is ``None``, one that lies beside the model and fits is taken, or of
    a model that is known to have ``vision`` the best that is there.
    """
    wanted = Checkpoint.parse(checkpoint)
    path = find_in_cache(wanted, hub_cache)
    if path is None:
        return None
    if mmproj is not None:
        named = Checkpoint.parse(mmproj) if ":" in mmproj else Checkpoint(wanted.repo, mmproj)
        return Place(path, find_in_cache(named, hub_cache))
    snapshot = _snapshot_of(path)
    beside = projector_for(path.relative_to(snapshot).as_posix(), gguf_files(snapshot), vision=vision)
    return Place(path, snapshot / beside if beside else None)


def all_in_cache(hub_cache: Path | None) -> Iterator[tuple[str, Path]]:
    """Every complete model in the Hub's cache: its checkpoint, and its file. Of several revisions one counts."""
    try:
        folders = sorted(hub_folder(hub_cache).glob("models--*--*"))
    except OSError:
        return
    for folder in folders:
        repo = folder.name.removeprefix("models--").replace("--", "/", 1)
        for checkpoint in _cached_checkpoints(repo, folder):
            path = find_in_cache(Checkpoint.parse(checkpoint), hub_cache)
            if path is not None:
                yield checkpoint, path


def exact_checkpoint(checkpoint: str, hub_cache: Path | None) -> str | None:
    """The checkpoint under which a model of the cache is listed, for any that means it (``org/repo``, or its file);
    ``None`` for one that is not there."""
    wanted = Checkpoint.parse(checkpoint)
    path = find_in_cache(wanted, hub_cache)
    if path is None:
        return None
    files = gguf_files(_snapshot_of(path))
    return checkpoint_of(wanted.repo, choose_files(files, wanted.quant), files)


def choices_in_cache(checkpoint: str, hub_cache: Path | None) -> list[str]:
    """The checkpoints in the cache that an inexact one may mean: all of its repository, or of its quantisation."""
    wanted = Checkpoint.parse(checkpoint)
    folder = CachedRepository(hub_folder(hub_cache), wanted.repo).folder
    return [
        each
        for each in _cached_checkpoints(wanted.repo, folder)
        if wanted.quant is None or has_word(Checkpoint.parse(each).quant or "", wanted.quant)
    ]


def in_folder(folder: Path) -> dict[str, Place]:
    """Every complete model in a folder and those below it, by name: the stem of its file.

    Raises ``ValueError``, with the two files, if two have one name.
    """
    files = gguf_files(folder)
    found: dict[str, Place] = {}
    by_folded: dict[str, Path] = {}
    for shards in whole_models(files):
        name, path = model_stem(shards[0]), folder / shards[0]
        if name.casefold() in by_folded:
            raise ValueError(f"{by_folded[name.casefold()]} and {path}")
        by_folded[name.casefold()] = path
        projector = projector_for(shards[0], files)
        found[name] = Place(path, folder / projector if projector else None)
    return found


def as_file(path: Path) -> tuple[str, Place]:
    """A file of the user's own: its name, and its place with the projector that lies beside it.

    Raises :class:`NoSuchFiles` if it is one of several shards and others are missing.
    """
    try:
        beside = sorted(other.name for other in path.parent.iterdir() if other.suffix.lower() == ".gguf")
    except OSError:  # a folder that cannot be listed may have files that can be read
        beside = [path.name]
    if path.name not in beside:
        return path.stem, Place(path)
    first = choose_files(beside, path.name)[0]
    projector = projector_for(first, beside)
    return model_stem(first), Place(path.parent / first, path.parent / projector if projector else None)


def _cached_checkpoints(repo: str, folder: Path) -> list[str]:
    checkpoints: set[str] = set()
    try:
        listings = [gguf_files(snapshot) for snapshot in (folder / "snapshots").iterdir()]
    except OSError:  # it has gone meanwhile, or is not ours to read
        return []
    for files in listings:
        for shards in whole_models(files):
            checkpoints.add(checkpoint_of(repo, shards, files))
    return sorted(checkpoints)


def _snapshot_of(path: Path) -> Path:
    return next(parent for parent in path.parents if parent.parent.name == "snapshots")
