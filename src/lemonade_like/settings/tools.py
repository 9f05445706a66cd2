"""Which tools the server may run itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from lemonade_like.settings.fields import allowed

if TYPE_CHECKING:
    from collections.abc import Mapping

_LABEL: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9-]*(?:_[a-zA-Z0-9-]+)*")
_LONGEST_LABEL: Final = 32
_URL: Final = re.compile(r"https?://[^/?#\s]+\S*")
_VARIABLE: Final = re.compile(r"\$\{(\w+)\}")


def _label(text: str) -> str:
    if len(text) > _LONGEST_LABEL or not _LABEL.fullmatch(text):
        raise ValueError(
            f"a label is at most {_LONGEST_LABEL} letters, digits, '-' and single '_', and begins with a letter"
        )
    return text


class ToolServer(BaseModel):
    """An MCP server: a ``command`` that speaks over its standard input and output, or a ``url`` that speaks HTTP.

    ``tools`` names those of its tools that may run, ``None`` is all. ``timeout`` is in seconds, for each call.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    command: str | None = Field(default=None, min_length=1)
    args: tuple[str, ...] = ()
    env: dict[str, SecretStr] = {}
    cwd: Path | None = None
    url: SecretStr | None = None
    headers: dict[str, SecretStr] = {}
    tools: tuple[str, ...] | None = None
    timeout: float = Field(default=60, gt=0, le=86_400)
    enabled: bool = True

    @field_validator("cwd")
    @classmethod
    def _expand_home(cls, path: Path | None) -> Path | None:
        return path if path is None else path.expanduser()

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not _URL.fullmatch(url.get_secret_value()):
            raise ValueError("it must begin with https:// or http:// and name a host")
        return url

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> ToolServer:
        if (self.command is None) == (self.url is None):
            raise ValueError("it must have either a 'command' or a 'url'")
        kind, alien = ("command", ("headers",)) if self.url is None else ("url", ("args", "env", "cwd"))
        if wrong := [name for name in alien if name in self.model_fields_set]:
            raise ValueError(f"'{wrong[0]}' does not go with a '{kind}'")
        return self


class ServerTools(BaseModel):
    """Which tools the server may run itself."""

    tool_servers: dict[Annotated[str, AfterValidator(_label)], ToolServer] = Field(
        default={},
        description="MCP servers whose tools clients may call, by a label of your choice: {files: {command: npx, args: "
        "[-y, '@modelcontextprotocol/server-filesystem', /srv/docs], tools: [read_text_file]}, search: {url: "
        "'https://host/mcp', headers: {Authorization: 'Bearer ${SEARCH_TOKEN}'}}}. In env, headers and url, ${NAME} is "
        "a variable of this server's environment. Anybody who has an API key may call all of it; see docs/tools.md.",
        json_schema_extra=allowed(
            "labels, each with a command or a url, and if need be args, env, cwd, headers, tools, timeout and enabled",
            file_only=True,
        ),
    )
    max_tool_rounds: int = Field(
        default=8,
        ge=1,
        le=100,
        description="How many times in one answer a model may call tools that the server runs, before it has to "
        "answer. A request may ask for fewer.",
        json_schema_extra=allowed("a whole number from 1 to 100", file_only=True),
    )
    tool_result_limit: int = Field(
        default=50_000,
        ge=100,
        description="Characters that a model is shown of what a tool returned; the rest is cut, and the model told so.",
        json_schema_extra=allowed("a whole number of characters from 100", file_only=True),
    )


def with_variables(servers: Any, environ: Mapping[str, str]) -> Any:
    """Return the raw ``tool_servers`` with ``${NAME}`` in env, headers and url replaced.

    What has not the form of tool servers is returned as it is, to be refused where it is checked.

    Raises:
        KeyError: of a variable that is not set; its argument is the variable's name.
    """

    def expanded(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: expanded(text) for name, text in value.items()}
        return _VARIABLE.sub(lambda match: environ[match[1]], value) if isinstance(value, str) else value

    if not isinstance(servers, dict):
        return servers
    return {
        label: {name: expanded(value) if name in ("env", "headers", "url") else value for name, value in server.items()}
        if isinstance(server, dict)
        else server
        for label, server in servers.items()
    }
