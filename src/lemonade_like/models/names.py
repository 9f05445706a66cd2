"""How a model's name is read: the same in a request, on the command line and in the settings. Touches no disk.

A name is one that is known (built in, bundled, ``user.NAME``, the stem of a local file), or a checkpoint of the Hub:
``org/repo``, ``org/repo:QUANT``, ``org/repo:file.gguf``, each also after ``hf.co/`` or ``huggingface.co/``. A path is
no name: only the settings and the command line take paths.
"""

from __future__ import annotations

import re
from typing import Final

from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

from lemonade_like.errors import BadRequest

USER_PREFIX: Final = "user."

_HUB: Final = re.compile(r"(?:https?://)?(?:www\.)?(?:hf\.co|huggingface\.co)/", re.IGNORECASE)
_CHECKPOINT: Final = re.compile(r"([\w.-]+/[\w.-]+)(?::([\w.-]+(?:/[\w.-]+)*))?", re.ASCII)
_USER_NAME: Final = re.compile(r"\w[\w.+-]{0,95}", re.ASCII)
_DRIVE: Final = re.compile(r"[A-Za-z]:[\\/]")

#: In characters. Longer than any repository's with any file in it.
LONGEST: Final = 500


def shortened(name: str) -> str:
    """The name as an error shows it, or looks for one like it."""
    return name if len(name) <= LONGEST else f"{name[:LONGEST]}…"


def read_checkpoint(text: str) -> str | None:
    """The checkpoint that a name spells, as ``org/repo`` or ``org/repo:QUANT``; ``None`` if it spells none.

    A quantisation is put into capitals, as their names are, so that a model has one name however it was typed.
    """
    if len(text) > LONGEST:
        return None
    match = _CHECKPOINT.fullmatch(_HUB.sub("", text, count=1) if _HUB.match(text) else text)
    if match is None:
        return None
    repo, what = match.groups()
    try:
        validate_repo_id(repo)
    except HFValidationError:
        return None
    if what is None:
        return repo
    if ".." in what.split("/") or "." in what.split("/"):
        return None
    return f"{repo}:{what if what.lower().endswith('.gguf') else what.upper()}"


def is_checkpoint(text: str) -> bool:
    """Whether ``text`` is ``org/repo``, ``org/repo:QUANT`` or ``org/repo:file.gguf``, without ``hf.co/`` before it."""
    return _HUB.match(text) is None and read_checkpoint(text) is not None


def user_name(text: str) -> str | None:
    """``user.NAME`` for ``NAME`` or ``user.NAME``; ``None`` if that is no name that can be given."""
    name = text[len(USER_PREFIX) :] if text.lower().startswith(USER_PREFIX) else text
    return USER_PREFIX + name if _USER_NAME.fullmatch(name) else None


def require_user_name(text: str) -> str:
    """The same, for a model that somebody wants to register. Raises :class:`BadRequest`."""
    name = user_name(text)
    if name is None:
        raise BadRequest(
            f"{shortened(text)!r} cannot be a model's name. "
            "Write user.NAME, where NAME has letters, digits and . _ + - only.",
            param="model_name",
            code="invalid_value",
        )
    return name


def is_path(given: str) -> bool:
    """Whether a ``--model`` value can only be a path; ``org/repo`` may be either until somebody looks at the disk."""
    if given.startswith((".", "/", "~")) or "\\" in given or _DRIVE.match(given):
        return True
    if given.lower().endswith(".gguf"):
        return ":" not in given or read_checkpoint(given) is None
    return "/" in given and read_checkpoint(given) is None
