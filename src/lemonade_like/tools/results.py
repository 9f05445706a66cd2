"""What a tool returned: MCP's content as it came, and as the text that a model reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class ToolOutcome:
    """A call that went well. ``content`` has MCP's parts, ``structured`` any JSON value; ``seconds`` is how long the
    tool took."""

    text: str
    content: list[dict[str, Any]]
    structured: Any
    seconds: float


def text_of(content: Sequence[Mapping[str, Any]], structured: Any = None) -> str:
    """Return all that is text; what is none is named. Without any parts it is the structured content, as JSON."""
    if not content and structured is not None:
        return orjson.dumps(structured).decode()
    return "\n".join(_text(part) for part in content)


def _text(part: Mapping[str, Any]) -> str:
    kind = part.get("type")
    if kind == "text":
        return str(part.get("text", ""))
    if kind == "resource":
        resource = part.get("resource", {})
        return str(resource["text"]) if "text" in resource else f"[resource {resource.get('uri', '')}]"
    if kind == "resource_link":
        return f"[{part.get('name', 'resource')}]({part.get('uri', '')})"
    return f"[{kind} {part.get('mimeType', '')}]".replace(" ]", "]")


def told(text: str, *, failed: bool) -> str:
    """Return what a model is told of a call."""
    return f"Error: {text}" if failed else text


def bounded(text: str, limit: int) -> str:
    """Return at most so many characters of a result, and a note for the model if that is not all."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}\n[cut: these are the first {limit} of {len(text)} characters]"
