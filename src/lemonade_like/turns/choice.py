"""Whether the tools that a client chooses are among those that it offers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lemonade_like.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lemonade_like.harmony.messages import FunctionTool


def check_choice(
    tools: Sequence[FunctionTool], *, names: Iterable[str] | None, required: str | None, field: str = "tool_choice"
) -> None:
    """Check that what is chosen is offered.

    ``names`` are the tools that may be called, ``None`` for all; ``required`` is the client's word for having to call
    one, if it used it; ``field`` is where it said so.

    Raises:
        BadRequest: a name is not among the tools, or there is nothing that could be called.
    """
    offered = {tool.name for tool in tools}
    unknown = next((name for name in names or () if name not in offered), None)
    if unknown is not None:
        known = ", ".join(f"'{tool.name}'" for tool in tools) or "none"
        raise BadRequest(
            f"'{field}' names the tool '{unknown}', which is not among the tools offered ({known}).",
            param=field,
            code="invalid_value",
        )
    if required is not None and not tools:
        raise BadRequest(
            f"'{field}' is '{required}', but no tools are offered: send 'tools', or leave the choice out.",
            param=field,
            code="invalid_value",
        )
