"""The models that come with the server's own list of them."""

from __future__ import annotations

import importlib.resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lemonade_like.models.model import RegistryFile, model_of

if TYPE_CHECKING:
    from lemonade_like.models.model import Model

_REGISTRY_FILE: Final = "server_models.json"


def built_in_models() -> list[Model]:
    """The models of ``server_models.json``, in its order."""
    entries = RegistryFile.model_validate_json(_registry_json()).models
    return [model_of(name, entry) for name, entry in entries.items()]


def _registry_json() -> bytes:
    """From the installed package, or else (an editable install) from the root of the repository."""
    packaged = importlib.resources.files("lemonade_like") / "assets" / _REGISTRY_FILE
    if packaged.is_file():
        return packaged.read_bytes()
    return (Path(__file__).parents[3] / _REGISTRY_FILE).read_bytes()
