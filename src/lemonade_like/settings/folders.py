"""Where files are kept."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, Field, field_validator

from lemonade_like.settings.fields import APP, ENV_PREFIX, SettingsError, allowed

if TYPE_CHECKING:
    from collections.abc import Mapping


def user_folder(kind: Literal["cache", "config", "data"], environ: Mapping[str, str] = os.environ) -> Path:
    """The platform's own folder for this program's files of that kind; it need not exist.

    Raises :class:`SettingsError` where the user has no home.
    """
    variable, under_home = {
        "win32": {
            "cache": ("LOCALAPPDATA", "AppData/Local"),
            "config": ("APPDATA", "AppData/Roaming"),
            "data": ("LOCALAPPDATA", "AppData/Local"),
        },
        "darwin": {
            "cache": ("", "Library/Caches"),
            "config": ("", "Library/Application Support"),
            "data": ("", "Library/Application Support"),
        },
    }.get(
        sys.platform,
        {
            "cache": ("XDG_CACHE_HOME", ".cache"),
            "config": ("XDG_CONFIG_HOME", ".config"),
            "data": ("XDG_DATA_HOME", ".local/share"),
        },
    )[kind]
    if given := environ.get(variable):
        return Path(given) / APP
    try:
        return Path.home() / under_home / APP
    except RuntimeError:
        option = ENV_PREFIX + {"cache": "CACHE_DIR", "config": "CONFIG", "data": "DATA_DIR"}[kind]
        raise SettingsError(
            f"This user has no home folder, so there is no place for the {kind}.\nSet HOME, or {option}."
        ) from None


def _data_folder(cache_dir: Path) -> Path:
    try:
        return user_folder("data")
    except SettingsError:  # a user without a home, who has said where the cache is
        return cache_dir / "data"


class Folders(BaseModel):
    """Where files are kept."""

    cache_dir: Path = Field(
        default_factory=lambda: user_folder("cache"),
        description="Folder for what can be made again: the unpacked bundled model, vocabularies, logs.",
        json_schema_extra=allowed("the path of a folder", file_only=True),
    )
    data_dir: Path = Field(
        default_factory=lambda values: _data_folder(values["cache_dir"]),
        description="Folder for what cannot be made again: the models that you registered, the options that were "
        "saved for models, and responses that clients may go on with.",
        json_schema_extra=allowed("the path of a folder", file_only=True),
    )
    log_dir: Path = Field(
        default_factory=lambda values: values["cache_dir"] / "logs",
        description="Folder for the engines' logs, one file each (by default `logs` in cache_dir).",
        json_schema_extra=allowed("the path of a folder", file_only=True),
    )

    @property
    def backends_dir(self) -> Path:
        """Where engines are installed, a folder for each backend."""
        return self.cache_dir / "backends"

    @field_validator("cache_dir", "data_dir", "log_dir")
    @classmethod
    def _expand_home(cls, path: Path) -> Path:
        try:
            return path.expanduser().absolute()
        except RuntimeError as error:  # ~ of a user who has no home
            raise ValueError(str(error)) from None
