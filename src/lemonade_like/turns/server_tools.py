"""Which tools of the server a request is given: its labels become functions that the model may call."""

from __future__ import annotations

import asyncio
import difflib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lemonade_like.errors import BadRequest
from lemonade_like.harmony.messages import FunctionTool
from lemonade_like.tools.catalogue import offered_names
from lemonade_like.turns.choice import check_choice
from lemonade_like.turns.events import ServerTools

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lemonade_like.harmony.messages import ChatMessage
    from lemonade_like.tools.catalogue import Tool
    from lemonade_like.tools.toolbox import Toolbox
    from lemonade_like.turns.request import ToolServerUse, TurnRequest


@dataclass(frozen=True)
class Equipped:
    """A request whose ``tools`` are all that the model may call. ``names`` are those that the server runs, ``offers``
    what to tell the client of them, ``own`` the names of the client's."""

    request: TurnRequest
    names: dict[str, Tool]
    offers: list[ServerTools]
    own: frozenset[str]


async def equipped(request: TurnRequest, toolbox: Toolbox) -> Equipped:
    """Return the request with the tools of the servers that it asks for.

    Raises:
        BadRequest: there is no server of a label, it has no tool of a name, or the tool choice names none of the tools.
        ToolServerUnavailable: a server cannot be reached.
    """
    listings = await asyncio.gather(*(_tools(use, toolbox) for use in request.tool_servers))
    offers = [ServerTools(use.label, tools) for use, tools in zip(request.tool_servers, listings, strict=True)]
    own = frozenset(tool.name for tool in request.tools)
    names = offered_names([tool for tools in listings for tool in tools], taken=own)
    index = {use.label: use.index for use in request.tool_servers}
    functions = tuple(
        FunctionTool(name, tool.description, tool.schema, index=index[tool.label]) for name, tool in names.items()
    )
    tools = request.tools + functions
    allowed = request.allowed_tools
    if allowed is not None or request.allowed_servers:
        of_servers = {name for name, tool in names.items() if tool.label in request.allowed_servers}
        allowed = (_offered(allowed, names) if allowed else frozenset()) | of_servers
    required = "required" if request.tool_choice == "required" else None
    check_choice(tools, names=allowed, required=required)
    if required and allowed is not None and not allowed:
        raise BadRequest(
            "'tool_choice' requires a call, but allows none of the tools.", param="tool_choice", code="invalid_value"
        )
    messages = _renamed(request, names)
    return Equipped(replace(request, tools=tools, allowed_tools=allowed, messages=messages), names, offers, own)


async def _tools(use: ToolServerUse, toolbox: Toolbox) -> tuple[Tool, ...]:
    if use.label not in toolbox.labels:
        known = ", ".join(f"'{label}'" for label in toolbox.labels)
        there = f"There are {known}" if known else "There are none: its configuration names them in 'tool_servers'"
        raise BadRequest(
            f"'{use.param}' is '{use.label}', which is no tool server of this server. {there}.",
            param=use.param,
            code="unknown_tool_server",
        )
    tools = await toolbox.tools_of(use.label)
    if use.read_only:
        tools = tuple(tool for tool in tools if tool.read_only)
    tools = tuple(tool for tool in tools if tool.name not in use.excluded)
    if use.allowed is None:
        return tools
    there_are = {tool.name for tool in tools}
    if missing := sorted(use.allowed - there_are):
        near = difflib.get_close_matches(missing[0], there_are, n=3) or sorted(there_are)
        raise BadRequest(
            f"'tools[{use.index}]' allows the tool '{missing[0]}', which {use.label} does not offer here. It has "
            f"{', '.join(near) or 'none'}.",
            param=f"tools[{use.index}]",
            code="invalid_value",
        )
    return tuple(tool for tool in tools if tool.name in use.allowed)


def _offered(allowed: frozenset[str], names: Mapping[str, Tool]) -> frozenset[str]:
    """The names with those that are spelt with their server's label (``LABEL__NAME``) as they are offered."""
    qualified = {tool.qualified: name for name, tool in names.items()}
    return frozenset(name if name in names else qualified.get(name, name) for name in allowed)


def _renamed(request: TurnRequest, names: Mapping[str, Tool]) -> tuple[ChatMessage, ...]:
    """The chat, its calls of the server's tools under the names that these have now."""
    if not request.server_calls:
        return request.messages
    offered = {(tool.label, tool.name): name for name, tool in names.items()}

    def renamed(message: ChatMessage) -> ChatMessage:
        calls = tuple(
            replace(call, name=offered.get(request.server_calls.get(call.id, ("", "")), call.name))
            for call in message.tool_calls
        )
        return replace(message, tool_calls=calls) if calls != message.tool_calls else message

    return tuple(map(renamed, request.messages))
