"""What the fields of the settings are made of: types, and what is said of a value besides its type."""

from __future__ import annotations

from typing import Any, Literal, get_args

from lemonade_like.errors import ServerError

APP = "lemonade-like"
ENV_PREFIX = "LEMONADE_LIKE_"

Backend = Literal["auto", "bundled", "system", "cpu", "vulkan", "cuda", "rocm", "metal"]
HarmonyMode = Literal["auto", "always", "never"]
LogFormat = Literal["text", "json"]
#: What a model is for, and with it how its engine is started.
Mode = Literal["chat", "embeddings", "reranking"]
LogLevel = Literal["debug", "info", "warning", "error"]
ReasoningLevel = Literal["low", "medium", "high"]
ReasoningFormat = Literal["separate", "inline", "hidden"]


class SettingsError(ServerError):
    """An option has a value that it cannot have, or there is no such option; three lines at most."""


def allowed(text: str, *, file_only: bool = False, secret: bool = False) -> dict[str, Any]:
    """Return what a field says of its values in words.

    ``file_only`` leaves it off the command line, ``secret`` keeps its values out of error messages.
    """
    return {"allowed": text, "file_only": file_only, "secret": secret}


def known_backends(by_backend: dict[str, str]) -> dict[str, str]:
    """Return the values by backend as they are. Raises ``ValueError`` for a backend that is none."""
    if unknown := [name for name in by_backend if name == "auto" or name not in get_args(Backend)]:
        raise ValueError(f"there is no backend {unknown[0]}")
    return by_backend
