"""Which of many ``.gguf`` files make up a model, and which vision projector belongs to it: decided by names alone."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from lemonade_like.models.download import SHARD, NoSuchFiles, choose_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_QUANT: Final = re.compile(
    r"(?<![A-Za-z0-9])((?:UD-)?(?:I?Q\d(?:_[A-Z0-9]+)*|TQ\d_\d|MXFP4(?:_[A-Z0-9]+)*|NVFP4|BF16|FP?16|FP?32))"
    r"(?![A-Za-z0-9_])",
    re.IGNORECASE,
)
_PROJECTOR: Final = re.compile(r"(?<![a-z0-9])mmproj(?![a-z0-9])", re.IGNORECASE)
#: What a projector is best used as; it is small, and a coarser one costs what the model sees.
_PROJECTOR_PREFERENCE: Final = ("F16", "FP16", "BF16", "F32", "FP32")
#: What is left of a projector's name that names no model: of ``mmproj-F16.gguf``, and ``mmproj-model-f16.gguf``.
_NAMELESS: Final = ("", "model")


def model_stem(file: str) -> str:
    """A model's name after its file: without folder and ``.gguf``, and without the number of a shard."""
    return SHARD.sub("", PurePosixPath(file).name[: -len(".gguf")])


def quantisation_in(file: str) -> str | None:
    """The quantisation that a file's name ends with (``UD-Q4_K_XL``), or else its folder's, as it is written there."""
    found = _QUANT.findall(model_stem(file)) or _QUANT.findall(PurePosixPath(file).parent.name)
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


def is_projector(file: str) -> bool:
    """Whether a file is a vision projector, by its name."""
    return file.lower().endswith(".gguf") and bool(_PROJECTOR.search(PurePosixPath(file).name))


def projector_for(model: str, files: Iterable[str], *, vision: bool = False) -> str | None:
    """The vision projector that belongs to a model, out of all files around it (paths with ``/``); or ``None``.

    It is in the model's own folder or above, and named after the model; one that is named after none belongs to every
    model there if they are all of one name, differing in quantisation only. Of a model that is known to have
    ``vision`` it is else the best that there is anywhere: a repository is made for one model.
    """
    everything = [file for file in files if file.lower().endswith(".gguf")]
    projectors = sorted(file for file in everything if is_projector(file))
    around = [file for file in projectors if PurePosixPath(file).parent in PurePosixPath(model).parents]
    own = _plain_name(model)
    fitting = [file for file in around if _plain_name(file) == own]
    if not fitting and {_plain_name(file) for file in everything if not is_projector(file)} <= {own}:
        fitting = [file for file in around if _plain_name(file) in _NAMELESS]
    if not fitting and vision:
        fitting = projectors
    return min(fitting, key=_projector_rank, default=None)


def _plain_name(file: str) -> str:
    name = _PROJECTOR.sub("", _QUANT.sub("", model_stem(file)))
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _projector_rank(file: str) -> int:
    quant = (quantisation_in(file) or "").upper()
    return _PROJECTOR_PREFERENCE.index(quant) if quant in _PROJECTOR_PREFERENCE else len(_PROJECTOR_PREFERENCE)
