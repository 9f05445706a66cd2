"""Tools that the server runs, in OpenAI's form: ``{"type": "mcp", "server_label": …}``.

OpenAI has the client say where the MCP server is. Here the configuration does, and the client names it by its label.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from lemonade_like.api.openai.fields import CalledName, as_json_text
from lemonade_like.errors import BadRequest
from lemonade_like.harmony.messages import ChatMessage, TextPart, ToolCall
from lemonade_like.tools.catalogue import word
from lemonade_like.tools.results import told
from lemonade_like.turns.request import ToolServerUse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class ToolFilterIn(BaseModel):
    """Which of a tool server's tools may be called."""

    model_config = ConfigDict(strict=True, extra="ignore")

    tool_names: list[str] | None = None
    read_only: bool | None = Field(default=None, description="true is those that say of themselves they only read.")


class ServerToolFields(BaseModel):
    """What a tool of type ``mcp`` says; a tool of any other type says none of it."""

    type: str = "function"
    server_label: str | None = Field(
        default=None, validate_default=True, description="The tool server's label in the configuration (type `mcp`)."
    )
    server_description: str | None = None
    allowed_tools: ToolFilterIn | None = Field(
        default=None,
        description="The server's tools that may be called: a list of names, or an object; all, if it is left out "
        "(type `mcp`).",
    )
    require_approval: Any = Field(
        default=None, description="`never`, or left out: nobody is asked before a tool runs (type `mcp`)."
    )
    server_url: Any = None
    connector_id: Any = None
    tunnel_id: Any = None
    authorization: Any = None
    headers: Any = None

    @property
    def is_on_server(self) -> bool:
        """Whether the server runs it."""
        return self.type == "mcp"

    @field_validator("server_label")
    @classmethod
    def _has_a_label(cls, label: str | None, info: ValidationInfo) -> str | None:
        if label is None and info.data.get("type") == "mcp":
            raise PydanticCustomError("missing_label", "is required in a tool of type 'mcp'")
        return label

    @field_validator("allowed_tools", mode="before")
    @classmethod
    def _is_a_filter(cls, value: Any) -> Any:
        if value is not None and not isinstance(value, list | dict):
            raise PydanticCustomError("filter", "must be a list of names, or an object with 'tool_names'")
        return {"tool_names": value} if isinstance(value, list) else value

    @field_validator("require_approval")
    @classmethod
    def _nobody_is_asked(cls, value: Any, info: ValidationInfo) -> Any:
        if info.data.get("type") == "mcp" and value not in (None, "never"):
            raise PydanticCustomError("approval", "must be 'never': nobody is asked here before a tool runs")
        return value

    @field_validator("server_url", "connector_id", "tunnel_id", "authorization", "headers")
    @classmethod
    def _the_configuration_says_where(cls, value: Any, info: ValidationInfo) -> Any:
        if info.data.get("type") == "mcp" and value:
            raise PydanticCustomError(
                "place",
                "is not taken from a request: only tool servers that the configuration names are used, by their labels",
            )
        return value


class ServerToolCallIn(BaseModel):
    """A call that the server ran earlier, and what came of it, as the answer said it."""

    model_config = ConfigDict(strict=True, extra="ignore")

    id: CalledName
    server_label: CalledName
    name: CalledName
    arguments: Annotated[str, BeforeValidator(as_json_text)] = ""
    round: int = 0
    output: str | None = None
    error: str | None = None


def rounds_before(calls: Sequence[ServerToolCallIn], index: int) -> Iterator[ChatMessage]:
    """Yield what the model wrote and read before a message that tells of such calls; ``index`` is its place."""
    for _, each in groupby(sorted(calls, key=lambda call: call.round), key=lambda call: call.round):
        together = list(each)
        made = tuple(ToolCall(call.id, word(call.name), call.arguments) for call in together)
        yield ChatMessage("assistant", tool_calls=made, index=index)
        for call in together:
            text = told(call.output or "" if call.error is None else call.error, failed=call.error is not None)
            yield ChatMessage("tool", (TextPart(text),), tool_call_id=call.id, index=index)


def server_uses(tools: Iterable[ServerToolFields]) -> tuple[ToolServerUse, ...]:
    """Return the tool servers that are asked for. Raises ``BadRequest`` where one is asked for twice."""
    uses: dict[str, ToolServerUse] = {}
    for place, tool in enumerate(tools):
        label = tool.server_label
        if not tool.is_on_server or label is None:
            continue
        param = f"tools[{place}].server_label"
        if label in uses:
            raise BadRequest(
                f"'{param}' is '{label}', which another tool has already: name all of its tools in one.",
                param=param,
                code="invalid_value",
            )
        wanted = tool.allowed_tools
        names = wanted.tool_names if wanted is not None else None
        read_only = wanted is not None and bool(wanted.read_only)
        uses[label] = ToolServerUse(label, None if names is None else frozenset(names), read_only, place, param)
    return tuple(uses.values())
