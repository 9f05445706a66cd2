"""Which of many ``.gguf`` files make up a model, and which vision projector belongs to it: decided by names alone."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from lemonade_like.models.download import NoSuchFiles, choose_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SHARD: Final = re.compile(r"-\d{5}-of-\d{5}$")
_QUANT: Final = re.compile(
    r"(?<![A-Za-z0-9])((?:UD-)?(?:I?Q\d(?:_[A-Z0-9]+)*|TQ\d_\d|MXFP4(?:_MOE)?|NVFP4|B?F16|F32))(?![A-Za-z0-9_])",
    re.IGNORECASE,
)
_PROJECTOR: Final = re.compile(r"(?<![a-z0-9])mmproj(?![a-z0-9])", re.IGNORECASE)
#: What a projector is best used as; it is small, and a coarser one costs what the model sees.
_PROJECTOR_PREFERENCE: Final = ("F16", "BF16", "F32")


def whole_models(files: Iterable[str]) -> list[list[str]]:
    """Every complete model among the files of a folder (paths with ``/``), its shards in order.

    Companion files (mmproj, draft, mtp, imatrix) are no models, nor is what lacks a shard.
    """
    everything = sorted(file for file in files if file.lower().endswith(".gguf"))
    found: list[list[str]] = []
    seen: set[str] = set()
    for file in everything:
        if file in seen:
            continue
        folder = PurePosixPath(file).parent
        try:
            # Of its own folder only: another may have a file of the same name.
            beside = [other for other in everything if PurePosixPath(other).parent == folder]
            shards = choose_files(beside, file)
            choose_files(shards, None)
        except NoSuchFiles:
            continue
        seen.update(shards)
        found.append(shards)
    return found


def model_stem(file: str) -> str:
    """A model's name after its file: without folder and ``.gguf``, and without the number of a shard."""
    return _SHARD.sub("", PurePosixPath(file).name[: -len(".gguf")])


def quantisation_in(file: str) -> str | None:
    """The quantisation that a file's name ends with (``UD-Q4_K_XL``), as it is written there."""
    found = _QUANT.findall(model_stem(file))
    return found[-1] if found else None


def checkpoint_of(repo: str, shards: Sequence[str], files: Iterable[str]) -> str:
    """How to ask for one model out of a repository's files: by its quantisation if that says which, else by file."""
    quant = quantisation_in(shards[0])
    if quant is not None:
        try:
            if choose_files(files, quant.upper()) == list(shards):
                return f"{repo}:{quant.upper()}"
        except NoSuchFiles:
            pass
    return f"{repo}:{shards[0]}"


def projector_for(model: str, files: Iterable[str]) -> str | None:
    """The vision projector that belongs to a model, out of all files around it (paths with ``/``); or ``None``.

    It is in the model's own folder or above, and named after the model; one with no name but ``mmproj`` belongs to
    every model there if they are all of one name, differing in quantisation only.
    """
    everything = [file for file in files if file.lower().endswith(".gguf")]
    around = PurePosixPath(model).parents
    projectors = [
        file
        for file in everything
        if PurePosixPath(file).parent in around and _PROJECTOR.search(PurePosixPath(file).name)
    ]
    own = _plain_name(model)
    named = [file for file in projectors if _plain_name(file) == own]
    if not named:
        models = {_plain_name(file) for file in everything if not _PROJECTOR.search(PurePosixPath(file).name)}
        named = [file for file in projectors if not _plain_name(file)] if models <= {own} else []
    return min(sorted(named), key=_projector_rank, default=None)


def _plain_name(file: str) -> str:
    name = _PROJECTOR.sub("", _QUANT.sub("", model_stem(file)))
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _projector_rank(file: str) -> int:
    quant = (quantisation_in(file) or "").upper()
    return _PROJECTOR_PREFERENCE.index(quant) if quant in _PROJECTOR_PREFERENCE else len(_PROJECTOR_PREFERENCE)
