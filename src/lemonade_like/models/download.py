"""Which files of a repository are the model that is meant, and where they are in the Hub's cache.

A checkpoint is written ``org/repo:QUANT`` (or ``org/repo:file.gguf``). Which files that means is decided by
:func:`choose_files` from the repository's list of files as it is today; no file name is known beforehand.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from lemonade_like.models.hub_cache import CachedRepository, hub_folder

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

#: The end of a shard's name, without ``.gguf``: which one it is, and of how many.
SHARD: Final = re.compile(r"-(\d{5})-of-(\d{5})$")
# Companions of a model that are no model: vision projectors, draft and multi-token-prediction heads, calibration data.
_COMPANION: Final = re.compile(r"(?:^|[^a-z0-9])(?:mmproj|draft(?:er)?|mtp|imatrix)(?:$|[^a-z0-9])", re.IGNORECASE)


class NoSuchFiles(ValueError):
    """A repository has not exactly one complete model of the quantisation asked for.

    ``choices`` are those it has, or if it is ``ambiguous``, those that match.
    """

    def __init__(self, message: str, choices: tuple[str, ...], *, ambiguous: bool = False) -> None:
        super().__init__(message)
        self.choices = choices
        self.ambiguous = ambiguous


@dataclass(frozen=True)
class Checkpoint:
    """Where a model comes from; ``quant`` is ``None`` when the repository is expected to hold one model only."""

    repo: str
    quant: str | None

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Reads ``org/repo`` or ``org/repo:QUANT``."""
        repo, _, quant = text.partition(":")
        return cls(repo, quant or None)


def choose_files(files: Iterable[str], quant: str | None) -> list[str]:
    """The ``.gguf`` files of one model, shards in order, out of all files of a repository (paths with ``/``).

    ``quant`` is a quantisation such as ``Q4_K_M``, matched as a whole word and in any case, or the name of a file.
    ``UD-Q4_K_M`` is another than ``Q4_K_M``. Companion files (mmproj, draft, mtp, imatrix) are never chosen unless
    named. Raises :class:`NoSuchFiles` if nothing matches, if several models do, or if a shard is missing.
    """
    return _complete(*_match(files, quant))


def files_of(files: Iterable[str], quant: str | None) -> list[str]:
    """The same, but of a model that may lack shards; none, if nothing matches or several do."""
    try:
        return sorted(_match(files, quant)[1])
    except NoSuchFiles:
        return []


def whole_models(files: Iterable[str]) -> list[list[str]]:
    """Every complete model out of all files of a repository or folder (paths with ``/``), its shards in order.

    Companion files (mmproj, draft, mtp, imatrix) are no models, nor is what lacks a shard.
    """
    found = []
    for base, shards in _grouped(_models_only(files)).items():
        try:
            found.append(_complete(base, shards))
        except NoSuchFiles:
            continue
    return sorted(found)


def _match(files: Iterable[str], quant: str | None) -> tuple[str, list[str]]:
    files = list(files)
    if quant and quant.lower().endswith(".gguf"):
        groups = _grouped(file for file in files if file.lower().endswith(".gguf"))
        named = [file for shards in groups.values() for file in shards if quant in (file, PurePosixPath(file).name)]
        matching = {base: groups[base] for base in {_base(file) for file in named}}
    else:
        groups = _grouped(_models_only(files))
        matching = {base: shards for base, shards in groups.items() if quant is None or _is_quant(base, quant)}
        matching = _narrowed(matching, quant)
    if not matching:
        raise NoSuchFiles(f"no .gguf file of {quant}" if quant else "no .gguf file", tuple(sorted(groups)))
    if len(matching) > 1:
        message = f"{len(matching)} models match" + (f" {quant}" if quant else "")
        raise NoSuchFiles(message, tuple(sorted(matching)), ambiguous=True)
    ((base, shards),) = matching.items()
    return base, shards


def _models_only(files: Iterable[str]) -> list[str]:
    return [file for file in files if file.lower().endswith(".gguf") and not _COMPANION.search(file)]


def _grouped(files: Iterable[str]) -> dict[str, list[str]]:
    """Files by model: shards of one model share a base, which says how many there are."""
    groups: dict[str, list[str]] = defaultdict(list)
    for file in files:
        groups[_base(file)].append(file)
    return groups


def _base(file: str) -> str:
    return SHARD.sub(r"-of-\2", file[: -len(".gguf")])


def has_word(base: str, quant: str, flags: re.RegexFlag = re.IGNORECASE) -> bool:
    """Whether a quantisation is a word of a file's name."""
    # Names are joined by - . / and sometimes _, which quantisations have inside too: XS is no word of IQ4_XS.
    before = "[A-Za-z0-9]" if re.search(r"\d", quant) else "[A-Za-z0-9_]"
    return bool(re.search(rf"(?<!{before}){re.escape(quant)}(?![A-Za-z0-9_])", base, flags))


def _is_quant(base: str, quant: str) -> bool:
    # A variant counts as itself only: in a cache that has nothing else, it would pass for the plain one.
    return has_word(base, quant) and not has_word(base, f"UD-{quant}")


def _narrowed(matching: dict[str, list[str]], quant: str | None) -> dict[str, list[str]]:
    """Of several matches those spelt in the same case, if there are any."""
    if quant is None or len(matching) < 2:
        return matching
    return {base: shards for base, shards in matching.items() if has_word(base, quant, re.RegexFlag(0))} or matching


def _complete(base: str, shards: list[str]) -> list[str]:
    count = re.search(r"-of-(\d{5})$", base)
    if count is None:
        return shards
    ordered = sorted(shards)
    numbers = [int(match[1]) for file in ordered if (match := SHARD.search(file[: -len(".gguf")]))]
    missing = sorted(set(range(1, int(count[1]) + 1)) - set(numbers))
    if missing:
        raise NoSuchFiles(f"shard {', '.join(map(str, missing))} of {int(count[1])} is missing", (base,))
    return ordered


def find_in_cache(checkpoint: Checkpoint, hub_cache: Path | None = None) -> Path | None:
    """The model's file (its first shard) in the Hub's cache, if all of it is there.

    The path is the one under ``snapshots``, with the file's name: llama.cpp finds the other shards beside it.
    """
    for snapshot in _snapshots(CachedRepository(hub_folder(hub_cache), checkpoint.repo).folder):
        try:
            return snapshot / choose_files(gguf_files(snapshot), checkpoint.quant)[0]
        except NoSuchFiles:
            continue
    return None


def gguf_files(folder: Path) -> list[str]:
    """The paths of the GGUF files in a folder and below it, as seen from there, with ``/``."""
    return [path.relative_to(folder).as_posix() for path in folder.rglob("*.[gG][gG][uU][fF]") if path.is_file()]


def _snapshots(folder: Path) -> list[Path]:
    """The repository's snapshots on disk: the one that ``main`` is at first, then the newest."""
    try:
        found = sorted((folder / "snapshots").iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    except OSError:
        return []
    try:
        main = (folder / "refs" / "main").read_text(encoding="ascii").strip()
    except OSError:
        return found
    return sorted(found, key=lambda path: path.name != main)
