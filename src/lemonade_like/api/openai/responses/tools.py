"""The tools of a request, as the functions that the model is told of: functions, custom tools, and namespaces of both.

A namespace is how Codex offers the tools of an MCP server. The model calls its tools by longer names, which the client
does not see.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from lemonade_like.api.openai.responses import custom
from lemonade_like.api.tools import distinct
from lemonade_like.errors import BadRequest
from lemonade_like.harmony.messages import FunctionTool

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lemonade_like.api.openai.responses.schema import ResponseToolIn

OWN: Final = ("function", "custom")
#: Of a tool server here: see ``server_tools``.
MCP: Final = "mcp"
_NAMESPACE: Final = "namespace"
_OFFERED: Final = (*OWN, MCP, _NAMESPACE)
#: Tools that OpenAI runs, or that only its models know how to call. The model is not told of them.
_HOSTED: Final = re.compile(
    r"(web_search|computer)(_\w+)?|file_search|code_interpreter|image_generation|local_shell|shell|apply_patch"
    r"|tool_search|programmatic_tool_calling"
)


def full_name(namespace: str | None, name: str) -> str:
    """Return what the model calls a tool."""
    return name if namespace is None else f"{namespace}__{name}"


def function_tools(declared: Sequence[ResponseToolIn] | None) -> tuple[FunctionTool, ...]:
    """Return what the model is told of; the tools of tool servers are not known yet.

    Raises:
        BadRequest: a tool is of an unknown type, or two have one name.
    """
    for place, tool in enumerate(declared or ()):
        _check_types(tool, f"tools[{place}]")
    functions = (_function(tool, namespace, place) for place, namespace, tool in _offered(declared))
    return distinct(functions, "name")


def offered_tools(declared: Sequence[ResponseToolIn] | None) -> list[ResponseToolIn]:
    """Return the tools that the model is told of, as they were declared."""
    return [tool for tool in declared or () if tool.type in _OFFERED]


def tools_left_out(declared: Sequence[ResponseToolIn] | None) -> list[str]:
    """Return the types of those that it is not."""
    return [tool.type for tool in declared or () if tool.type not in _OFFERED]


def custom_tools(declared: Sequence[ResponseToolIn] | None) -> frozenset[str]:
    """Return what the model calls the tools that take text."""
    return frozenset(
        full_name(namespace, tool.name or "") for _, namespace, tool in _offered(declared) if tool.type == "custom"
    )


def namespaces(declared: Sequence[ResponseToolIn] | None) -> Mapping[str, tuple[str, str]]:
    """Return the namespace and the name of each tool that stands in one, by what the model calls it."""
    return {
        full_name(namespace, tool.name or ""): (namespace, tool.name or "")
        for _, namespace, tool in _offered(declared)
        if namespace is not None
    }


def _offered(declared: Sequence[ResponseToolIn] | None) -> Iterator[tuple[int, str | None, ResponseToolIn]]:
    """Each tool with its place among those declared, and the namespace that it stands in."""
    for place, tool in enumerate(declared or ()):
        if tool.type in OWN:
            yield place, None, tool
        elif tool.type == _NAMESPACE:
            yield from ((place, tool.name, inner) for inner in tool.tools or () if inner.type in OWN)


def _function(tool: ResponseToolIn, namespace: str | None, place: int) -> FunctionTool:
    name = full_name(namespace, tool.name or "")
    description = tool.description or ""
    if tool.type == "custom":
        return FunctionTool(name, custom.described(description, tool.format), custom.PARAMETERS, index=place)
    return FunctionTool(name, description, tool.parameters, bool(tool.strict), place)


def _check_types(tool: ResponseToolIn, path: str) -> None:
    for place, inner in enumerate(tool.tools or ()):
        _check_types(inner, f"{path}.tools[{place}]")
    if tool.type in _OFFERED or _HOSTED.fullmatch(tool.type):
        return
    raise BadRequest(
        f"'{path}.type' is '{tool.type}', which is no type of a tool. Declare the tool as a function, "
        "with 'name', 'description' and 'parameters'.",
        param=f"{path}.type",
        code="invalid_value",
    )
