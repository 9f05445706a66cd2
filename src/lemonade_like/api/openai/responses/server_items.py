"""Output items of the tools that the server runs: ``mcp_list_tools`` and ``mcp_call``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from lemonade_like.turns.events import ServerToolCall, ServerToolResult, ServerTools


@dataclass
class ListItem:
    """What a tool server offers."""

    id: str
    index: int
    offer: ServerTools
    status: Literal["in_progress", "completed"] = "in_progress"

    def written(self) -> dict[str, Any]:
        """Return OpenAI's object. One that has only begun has no tools yet."""
        tools = self.offer.tools if self.status == "completed" else ()
        return {
            "id": self.id,
            "type": "mcp_list_tools",
            "server_label": self.offer.label,
            "tools": [
                {
                    "name": tool.name,
                    "description": tool.description,
                    "input_schema": tool.schema,
                    "annotations": {"read_only": tool.read_only},
                }
                for tool in tools
            ],
            "error": None,
        }


@dataclass
class CallItem:
    """A call that the server runs. The model knows it by its ``call_id``, which is no field of OpenAI's: a client that
    sends it back has the engine read nothing again."""

    id: str
    index: int
    call: ServerToolCall
    result: ServerToolResult | None = None
    cut: bool = False

    @property
    def status(self) -> Literal["in_progress", "completed", "failed", "incomplete"]:
        """How it stands with it."""
        if self.result is not None:
            return "failed" if self.result.failed else "completed"
        return "incomplete" if self.cut else "in_progress"

    def written(self) -> dict[str, Any]:
        """Return OpenAI's object. A call that has only begun says nothing yet."""
        text = self.result.text if self.result is not None else None
        failed = self.result is not None and self.result.failed
        error = {"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": text}]} if failed else None
        return {
            "id": self.id,
            "type": "mcp_call",
            "status": self.status,
            "approval_request_id": None,
            "server_label": self.call.label,
            "name": self.call.name,
            "arguments": "" if self.status == "in_progress" else self.call.arguments,
            "output": None if failed else text,
            "error": error,
            "call_id": self.call.id,
        }
