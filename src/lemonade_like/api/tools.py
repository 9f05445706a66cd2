"""What every wire format checks of the tools that a client offers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lemonade_like.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lemonade_like.harmony.messages import FunctionTool


def distinct(tools: Iterable[FunctionTool], name_field: str) -> tuple[FunctionTool, ...]:
    """Return the tools. ``name_field`` is where a tool has its name (``function.name``).

    Raises:
        BadRequest: two have one name.
    """
    found: dict[str, FunctionTool] = {}
    for tool in tools:
        if tool.name in found:
            where = f"tools[{tool.index}].{name_field}"
            raise BadRequest(
                f"'{where}' is '{tool.name}', which is the name of another tool already.",
                param=where,
                code="invalid_value",
            )
        found[tool.name] = tool
    return tuple(found.values())


def check_choice(tools: Sequence[FunctionTool], *, names: Iterable[str] | None, required: str | None) -> None:
    """Check that what is chosen is offered.

    ``names`` are the tools that may be called, ``None`` for all; ``required`` is the client's word for having to call
    one, if it used it.

    Raises:
        BadRequest: a name is not among the tools, or there is nothing that could be called.
    """
    offered = {tool.name for tool in tools}
    unknown = next((name for name in names or () if name not in offered), None)
    if unknown is not None:
        known = ", ".join(f"'{tool.name}'" for tool in tools) or "none"
        raise BadRequest(
            f"'tool_choice' names the tool '{unknown}', which is not among the tools offered ({known}).",
            param="tool_choice",
            code="invalid_value",
        )
    if required is not None and not tools:
        raise BadRequest(
            f"'tool_choice' is '{required}', but no tools are offered: send 'tools', or leave the choice out.",
            param="tool_choice",
            code="invalid_value",
        )
