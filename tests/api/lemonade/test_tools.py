"""GET /tools and POST /tools/{tool_name}."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from lemonade_like.api.lemonade.tools import ToolListOut, ToolResultOut
from lemonade_like.tools.catalogue import Tool
from lemonade_like.tools.errors import ToolFailed, ToolTimeout
from tests.support.toolboxes import FakeConnection, tool, toolbox
from tests.support.turns import client_of, scripted_app, scripted_services

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx


async def act(called: Tool, arguments: dict[str, Any]) -> str:
    if called.name == "fail":
        raise ToolFailed("The tool fail of one failed: no such file", "no such file")
    if called.name == "slow":
        raise ToolTimeout("The tool slow of one was stopped.")
    return f"{called.label}: {arguments['location']}"


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    tools = toolbox(
        one=FakeConnection(*(tool("one", name) for name in ("read", "fail", "slow")), act=act),
        two=FakeConnection(tool("two", "read", read_only=True), tool("two", "write/all"), act=act),
    )
    async with client_of(scripted_app(replace(scripted_services(), tools=tools))) as client:
        yield client


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
async def test_the_list_has_each_tool_under_a_name_of_its_own(prefix: str, client: httpx.AsyncClient) -> None:
    answer = await client.get(f"{prefix}/tools")
    said = ToolListOut.model_validate_json(answer.content, strict=True)

    assert [(one.name, one.server_label, one.server_tool_name) for one in said.data] == [
        ("one__read", "one", "read"),
        ("fail", "one", "fail"),
        ("slow", "one", "slow"),
        ("two__read", "two", "read"),
        ("write_all", "two", "write/all"),
    ]
    assert [one.read_only for one in said.data] == [False, False, False, True, False]
    assert said.data[0].input_schema["required"] == ["location"]
    assert [(one.label, one.status, one.error, one.tools) for one in said.servers] == [
        ("one", "connected", None, 3),
        ("two", "connected", None, 2),
    ]


async def test_without_tool_servers_the_list_is_empty() -> None:
    async with client_of(scripted_app()) as client:
        assert (await client.get("/v1/tools")).json() == {"object": "list", "data": [], "servers": []}
        assert (await client.post("/v1/tools/read", json={})).status_code == 404


@pytest.mark.parametrize(("name", "text"), [("two__read", "two: Rome"), ("write_all", "two: Rome")])
async def test_a_tool_is_called_by_the_name_that_the_list_has(name: str, text: str, client: httpx.AsyncClient) -> None:
    answer = await client.post(f"/v1/tools/{name}", json={"arguments": {"location": "Rome"}})
    said = ToolResultOut.model_validate_json(answer.content, strict=True)

    assert (said.name, said.content, said.is_error) == (name, text, False)
    assert said.content_parts == [{"type": "text", "text": text}]


@pytest.mark.parametrize(
    ("name", "body", "status", "code", "param", "part"),
    [
        ("one__read", {}, 400, "invalid_tool_arguments", "arguments", "'location' is a required property"),
        ("one__read", {"arguments": {"location": 1}}, 400, "invalid_tool_arguments", "arguments.location", "string"),
        ("one__read", {"arguments": "x"}, 400, "invalid_value", "arguments", "must be an object"),
        ("one__read", {"arguments": None}, 400, "invalid_value", "arguments", "must be an object"),
        ("one__read", [], 400, "invalid_json", None, "must be a JSON object"),
        ("reed", {}, 404, "tool_not_found", "tool_name", "Did you mean one__read or two__read"),
        ("read", {}, 404, "tool_not_found", "tool_name", "one__read or two__read"),
        ("%00", {}, 404, "tool_not_found", "tool_name", "GET /v1/tools"),
        ("fail", {"arguments": {"location": "x"}}, 502, "tool_failed", None, "no such file"),
        ("slow", {"arguments": {"location": "x"}}, 504, "tool_timeout", None, "stopped"),
    ],
)
async def test_what_goes_wrong_is_an_error_of_its_own(
    name: str, body: Any, status: int, code: str, param: str | None, part: str, client: httpx.AsyncClient
) -> None:
    answer = await client.post(f"/v1/tools/{name}", json=body)
    error = answer.json()["error"]

    assert (answer.status_code, error["code"], error["param"]) == (status, code, param)
    assert part in error["message"]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff"])
async def test_a_body_that_is_no_json_is_refused(content: bytes, client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/tools/one__read", content=content)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_json")


async def test_a_body_that_is_too_large_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/tools/one__read", json={"arguments": {"location": "x" * 1_000_000}})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (413, "request_too_large")
    assert "1,000,000 bytes" in error["message"]


async def test_a_tool_whose_schema_is_none_is_there_and_says_so() -> None:
    odd = Tool("one", "odd", "", {"$schema": 5})
    tools = toolbox(one=FakeConnection(odd, tool("one", "read"), act=act))
    async with client_of(scripted_app(replace(scripted_services(), tools=tools))) as client:
        listed = (await client.get("/v1/tools")).json()["data"]
        called = await client.post("/v1/tools/odd", json={"arguments": {"location": "Rome"}})

    assert [(one["name"], one["arguments_checked"]) for one in listed] == [("odd", False), ("read", True)]
    assert called.json()["content"] == "one: Rome"


async def test_a_server_that_is_away_is_told_and_the_others_tools_are_there() -> None:
    tools = toolbox(one=FakeConnection(tool("one", "read"), act=act), gone=FakeConnection(away=True))
    async with client_of(scripted_app(replace(scripted_services(), tools=tools))) as client:
        servers = (await client.get("/v1/tools")).json()["servers"]
        called = await client.post("/v1/tools/read", json={"arguments": {"location": "Rome"}})
        unknown = await client.post("/v1/tools/search", json={})

    assert servers[1] == {"label": "gone", "status": "failed", "error": "The tool server is away.", "tools": 0}
    assert called.status_code == 200
    # It may be one of the tools that are away.
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (503, "tool_server_unavailable")
