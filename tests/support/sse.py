"""Reading server-sent events that have names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx


async def named_events(response: httpx.Response) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Each event's name and data; a comment is an event without a name."""
    name = ""
    async for line in response.aiter_lines():
        if line.startswith(":"):
            yield "", {"comment": line[1:].strip()}
        elif line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))
