"""Every option of the server, once: its name, type, default and description.

The command line's help, the sample configuration file and the checks all come from :class:`Settings`, which joins what
the modules beside this one say of their parts. A value is looked for on the command line, then in the environment
(``LEMONADE_LIKE_`` and the option's name), then in the configuration file, and last it is the default.
``Settings(...)`` itself reads nothing but its arguments; :func:`lemonade_like.configuration.load_settings` does the
looking.
"""

from __future__ import annotations

from typing import get_args

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from lemonade_like.settings.access import Access
from lemonade_like.settings.answers import Answers
from lemonade_like.settings.engines import Engines
from lemonade_like.settings.fields import (
    ENV_PREFIX,
    Backend,
    HarmonyMode,
    LogFormat,
    LogLevel,
    Mode,
    ReasoningFormat,
    ReasoningLevel,
    SettingsError,
)
from lemonade_like.settings.folders import Folders, user_folder
from lemonade_like.settings.observing import Observing
from lemonade_like.settings.recording import Recording
from lemonade_like.settings.serving import Serving
from lemonade_like.settings.tools import ServerTools

__all__ = [
    "ENV_PREFIX",
    "Backend",
    "HarmonyMode",
    "LogFormat",
    "LogLevel",
    "Mode",
    "ReasoningFormat",
    "ReasoningLevel",
    "Settings",
    "SettingsError",
    "allowed_values",
    "flag",
    "is_file_only",
    "is_secret",
    "user_folder",
]


# The fields of the last come first, in the sample file as in the help.
class Settings(Folders, Recording, Observing, ServerTools, Answers, Engines, Access, Serving, BaseSettings):
    """The options of one server, checked and frozen."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is passed in: :func:`load_settings` knows the other sources, and can name them in an error."""
        return (init_settings,)


#: A list is given one by one on the command line.
_SINGULARS = {"models": "model", "allowed_hosts": "allowed-host", "cors_origins": "cors-origin"}


def flag(name: str) -> str:
    """The command line's option for a field."""
    return "--" + _SINGULARS.get(name, name).replace("_", "-")


def allowed_values(name: str) -> str:
    """What the field may be, in words."""
    field = Settings.model_fields[name]
    if isinstance(field.json_schema_extra, dict) and "allowed" in field.json_schema_extra:
        return str(field.json_schema_extra["allowed"])
    return "one of " + ", ".join(get_args(field.annotation))


def is_file_only(name: str) -> bool:
    """Whether the field is left off the command line (it is in the environment and the file all the same)."""
    return _says(name, "file_only")


def is_secret(name: str) -> bool:
    """Whether the field's value must not be shown."""
    return _says(name, "secret")


def _says(name: str, what: str) -> bool:
    extra = Settings.model_fields[name].json_schema_extra
    return isinstance(extra, dict) and bool(extra.get(what))
