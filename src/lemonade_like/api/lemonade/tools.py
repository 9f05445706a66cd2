"""``GET /tools`` and ``POST /tools/{tool_name}``: what the server may run itself, and running it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from lemonade_like.api.body import read_json_object
from lemonade_like.api.connection import while_connected
from lemonade_like.api.json_answer import json_answer
from lemonade_like.api.openapi import answers, json_body
from lemonade_like.api.services import note, services
from lemonade_like.api.validation import validated
from lemonade_like.tools.arguments import MAX_BYTES
from lemonade_like.tools.catalogue import offered_names

router = APIRouter(tags=["tools"])


class ToolCallRequest(BaseModel):
    """What a tool is called with."""

    model_config = ConfigDict(strict=True, extra="ignore")

    arguments: dict[str, Any] = Field(default={}, description="What the tool's `input_schema` asks for.")


class ToolOut(BaseModel):
    """A tool that may be called."""

    object: Literal["tool"]
    name: str = Field(description="What it is called here: its own name, or `LABEL__NAME` where several have that.")
    server_label: str
    server_tool_name: str = Field(description="What its server calls it.")
    description: str
    input_schema: dict[str, Any]
    read_only: bool = Field(description="Whether the tool says of itself that it changes nothing.")
    arguments_checked: bool = Field(
        description="Whether a call's arguments are held to `input_schema`; not if that is no JSON Schema."
    )


class ToolServerOut(BaseModel):
    """How it stands with a tool server."""

    label: str
    status: Literal["connected", "connecting", "failed", "disabled"]
    error: str | None
    tools: int


class ToolListOut(BaseModel):
    """All tools, and where they come from."""

    object: Literal["list"]
    data: list[ToolOut]
    servers: list[ToolServerOut]


class ToolResultOut(BaseModel):
    """What a tool returned."""

    object: Literal["tool.result"]
    name: str
    server_label: str
    content: str = Field(description="All that is text.")
    content_parts: list[dict[str, Any]] = Field(description="What the tool returned, as MCP has it.")
    structured_content: Any = None
    is_error: Literal[False]
    seconds: float


@router.get("/tools", response_model=None, summary="List the server's tools", responses=answers(ToolListOut))
async def list_tools(request: Request) -> Response:
    """List the tools that the server may run, those of the MCP servers that its configuration names, and how it stands
    with each of them."""
    reports = await services(request).tools.report()
    names = offered_names([tool for report in reports for tool in report.tools])
    tools = [
        {
            "object": "tool",
            "name": name,
            "server_label": tool.label,
            "server_tool_name": tool.name,
            "description": tool.description,
            "input_schema": tool.schema,
            "read_only": tool.read_only,
            "arguments_checked": tool.arguments.checks,
        }
        for name, tool in names.items()
    ]
    servers = [
        {"label": report.label, "status": report.status, "error": report.error, "tools": len(report.tools)}
        for report in reports
    ]
    return json_answer({"object": "list", "data": tools, "servers": servers})


@router.post(
    "/tools/{tool_name}",
    response_model=None,
    summary="Call a tool",
    openapi_extra=json_body(ToolCallRequest, examples={"Arguments": {"arguments": {"location": "Tokyo"}}}),
    responses=answers(ToolResultOut, also=(502, 504)),
)
async def call_tool(request: Request, tool_name: str) -> Response:
    """Run one of the server's tools, by its name or by `LABEL__NAME`, and return all that it has to say.

    The arguments are checked first, and may have 1 MB. A client that goes away stops the tool.
    """
    limits = services(request).limits
    limits = replace(limits, max_bytes=min(limits.max_bytes, MAX_BYTES))
    body = validated(ToolCallRequest, await read_json_object(request, limits))
    toolbox = services(request).tools

    async def call() -> dict[str, Any]:
        tool = await toolbox.named(tool_name)
        note(request.scope, tool=f"{tool.label}/{tool.name}")
        outcome = await toolbox.call(tool, body.arguments)
        return {
            "object": "tool.result",
            "name": tool_name,
            "server_label": tool.label,
            "content": outcome.text,
            "content_parts": outcome.content,
            "structured_content": outcome.structured,
            "is_error": False,
            "seconds": round(outcome.seconds, 3),
        }

    return json_answer(await while_connected(request.receive, call()))
