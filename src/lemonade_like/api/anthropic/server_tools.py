"""Tools that the server runs, in Anthropic's form: ``mcp_servers``, and a tool of type ``mcp_toolset`` for each.

Anthropic has the client say where an MCP server is. Here the configuration does, and the client names it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lemonade_like.api.validation import wrong
from lemonade_like.turns.request import ToolServerUse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lemonade_like.api.anthropic.schema import ClientToolIn, McpServerIn


def server_uses(servers: Sequence[McpServerIn], tools: Sequence[ClientToolIn]) -> tuple[ToolServerUse, ...]:
    """Return the tool servers that are asked for.

    Raises:
        BadRequest: a toolset is of no server in the request, two are of one, or a server has none.
    """
    names = [server.name for server in servers]
    uses: dict[str, ToolServerUse] = {}
    for place, tool in enumerate(tools):
        name = tool.mcp_server_name
        if tool.type != "mcp_toolset" or name is None:
            continue
        param = f"tools[{place}].mcp_server_name"
        if name not in names:
            raise wrong(param, f"is '{name}', but 'mcp_servers' has no server of that name")
        if name in uses:
            raise wrong(param, f"is '{name}', of which there is a toolset already")
        configs = tool.configs or {}
        by_default = tool.default_config is None or tool.default_config.enabled is not False
        allowed = None
        if not by_default:
            allowed = frozenset(one for one, config in configs.items() if config.enabled)
        excluded = frozenset(one for one, config in configs.items() if by_default and config.enabled is False)
        uses[name] = ToolServerUse(name, allowed, index=place, param=param, excluded=excluded)
    unused = next((place for place, name in enumerate(names) if name not in uses), None)
    if unused is not None:
        raise wrong(f"mcp_servers[{unused}]", "has no tool of type 'mcp_toolset' that says what may be called of it")
    return tuple(uses.values())
