"""What every wire format checks of the tools that a client offers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lemonade_like.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lemonade_like.harmony.messages import FunctionTool


def distinct(tools: Iterable[FunctionTool], name_field: str, *, field: str = "tools") -> tuple[FunctionTool, ...]:
    """Return the tools. ``name_field`` is where each of ``field`` has its name (``function.name``).

    Raises:
        BadRequest: two have one name.
    """
    found: dict[str, FunctionTool] = {}
    for tool in tools:
        if tool.name in found:
            where = f"{field}[{tool.index}].{name_field}"
            raise BadRequest(
                f"'{where}' is '{tool.name}', which is the name of another tool already.",
                param=where,
                code="invalid_value",
            )
        found[tool.name] = tool
    return tuple(found.values())
