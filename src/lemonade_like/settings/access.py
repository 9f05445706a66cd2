"""Who gets in, and how much they may send."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, SecretStr

from lemonade_like.settings.fields import allowed

_HOST: Final = re.compile(r"\*|(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*|[0-9a-f:.]+")
_ORIGIN: Final = re.compile(r"\*|[a-z][a-z0-9+.-]*://[^/\s?#@*]+")


def _one_or_many(value: Any) -> Any:
    return [value] if isinstance(value, (str, SecretStr)) else value


def _key(key: SecretStr) -> SecretStr:
    if not re.fullmatch(r"\S+", key.get_secret_value()):
        raise ValueError("a key has no spaces in it, and is not empty")
    return key


def _host(name: str) -> str:
    name = name.lower().rstrip(".")
    if not _HOST.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a host")
    return name


def _origin(origin: str) -> str:
    origin = origin.lower().rstrip("/")
    if not _ORIGIN.fullmatch(origin):
        raise ValueError(f"{origin!r} is no origin")
    return origin


Keys = Annotated[tuple[Annotated[SecretStr, AfterValidator(_key)], ...], BeforeValidator(_one_or_many)]
Hosts = Annotated[tuple[Annotated[str, AfterValidator(_host)], ...], BeforeValidator(_one_or_many)]
CorsOrigins = Annotated[tuple[Annotated[str, AfterValidator(_origin)], ...], BeforeValidator(_one_or_many)]

_KEYS: Final = "a text without spaces (quote it in the configuration file), or a list of them"


def _expanded(path: Path | None) -> Path | None:
    try:
        return path.expanduser() if path else None
    except RuntimeError as error:  # ~ of a user who has no home
        raise ValueError(str(error)) from None


KeyFile = Annotated[Path | None, AfterValidator(_expanded)]


class Access(BaseModel):
    """Who gets in, and how much they may send."""

    api_key: Keys = Field(
        default=(),
        description="Key that clients must send (Authorization: Bearer KEY, or x-api-key: KEY). May be given more than "
        "once (in the environment: separated by commas). Other users of this machine can read a command line, so the "
        "environment or a file is the better place.",
        json_schema_extra=allowed(_KEYS, secret=True),
    )
    api_key_file: KeyFile = Field(
        default=None,
        description="File with such keys: one a line, after a name for its owner if you like (NAME KEY); lines that "
        "begin with # are left out.",
        json_schema_extra=allowed("the path of a file"),
    )
    admin_key: Keys = Field(
        default=(),
        description="Key for what concerns everybody (load, unload, pull, delete, install, shutdown) and for what "
        "shows other people's prompts (slots, logs, statistics, recorded turns). It opens all the rest, too. May be "
        "given more than once. Where there are API keys and no admin key, nobody may do that.",
        json_schema_extra=allowed(_KEYS, secret=True),
    )
    admin_key_file: KeyFile = Field(
        default=None,
        description="File with admin keys, as api_key_file.",
        json_schema_extra=allowed("the path of a file"),
    )
    insecure: bool = Field(
        default=False,
        description="Listen on a network although there is no API key. Everybody who can reach the server may then use "
        "it, and load and delete models.",
        json_schema_extra=allowed("true or false"),
    )
    allowed_hosts: Hosts = Field(
        default=(),
        description="Name by which clients may call the server, as in their Host header: ai.example.com, or "
        "*.example.com for all below. May be given more than once. IP addresses, names without a dot, names that end "
        "in .localhost, .local, .internal or .home.arpa, --host and this machine's own name are always allowed; * "
        "allows all.",
        json_schema_extra=allowed("a list of host names without scheme and port"),
    )
    cors_origins: CorsOrigins = Field(
        default=(),
        description="Web page (by its origin, such as https://chat.example.com) that may use "
        "the server from a browser. May be given more than once; * allows all. By default only the server's own may.",
        json_schema_extra=allowed("a list of origins: scheme://host, with :port if it has one"),
    )
    max_body_mb: int = Field(
        default=64,
        ge=1,
        le=4096,
        description="Megabytes (MiB) that the body of a request may have.",
        json_schema_extra=allowed("a whole number of megabytes from 1 to 4096", file_only=True),
    )
    max_messages: int = Field(
        default=5_000,
        ge=1,
        description="Messages (or input items) that a request may have.",
        json_schema_extra=allowed("a whole number", file_only=True),
    )
