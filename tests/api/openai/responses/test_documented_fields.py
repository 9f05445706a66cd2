"""docs/api/responses.md says of every field, item and tool of a request what becomes of it, and it is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from openai.types.responses import ResponseInputItemParam, ToolParam
from openai.types.responses.response_create_params import ResponseCreateParamsStreaming
from openai.types.responses.tool_param import Mcp

from lemonade_like.api.openai.responses.schema import ResponsesRequest
from lemonade_like.api.openai.server_tools import ServerToolFields
from tests.support.claims import Asker, Try, Verdict, claims, tries, without_claim
from tests.support.sdk_fields import kinds, paths

PAGE = Path(__file__).parents[4] / "docs" / "api" / "responses.md"
CLAIMS = claims(PAGE)
PATH = "/v1/responses"
BASE: dict[str, Any] = {"model": "m", "input": "Hi"}

_TOOL = {"type": "function", "name": "f", "parameters": {"type": "object"}}
_TOOLS = {"tools": [_TOOL, {"type": "custom", "name": "g"}]}
_NAMED = {**_TOOLS, "tool_choice": {"type": "function", "name": "f"}}
_SOME = {
    **_TOOLS,
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
}
_MCP = {"type": "mcp", "server_label": "files"}
_SERVER: dict[str, Any] = {"tools": [_MCP]}
_CHOSEN = {"tools": [_MCP, {**_MCP, "server_label": "web"}], "tool_choice": _MCP}
_FORM = {"text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}}}

EXAMPLES: dict[str, Any] = {
    "model": "other",
    "input": [{"role": "user", "content": "Bye"}],
    "instructions": "Be brief.",
    "store": False,
    "stream": True,
    "max_output_tokens": 9,
    "temperature": 0.5,
    "top_p": 0.5,
    "reasoning": {"effort": "low"},
    "reasoning.effort": "low",
    "reasoning.summary": "auto",
    "reasoning.generate_summary": "detailed",
    "text": {"format": {"type": "json_object"}},
    "text.format": {"type": "json_object"},
    "text.format.type": "json_object",
    "text.format.name": Try("m", _FORM),
    "text.format.description": Try("It.", _FORM),
    "text.format.schema": Try({}, _FORM),
    "text.format.strict": Try(False, _FORM),
    "text.verbosity": "low",
    "tools": [_TOOL],
    "tool_choice": Try("required", _TOOLS),
    "tool_choice.type": Try(
        "allowed_tools", {**_SOME, "tool_choice": {**_SOME["tool_choice"], **_NAMED["tool_choice"]}}
    ),  # type: ignore[dict-item]
    "tool_choice.name": Try("g", _NAMED),
    "tool_choice.server_label": Try("web", _CHOSEN),
    "tool_choice.mode": Try("required", _SOME),
    "tool_choice.tools": Try([{"type": "custom", "name": "g"}], _SOME),
    "parallel_tool_calls": False,
    "top_logprobs": 2,
    "include": ["message.output_text.logprobs"],
    "metadata": {"a": "b"},
    "user": "u",
    "safety_identifier": "u",
    "prompt_cache_key": "k",
    "truncation": "auto",
    "service_tier": "flex",
    "max_tool_calls": 3,
    "max_tool_rounds": 3,
    "tools[].type": Try("custom", {"tools": [{**_TOOL, **_MCP}]}),
    "tools[].server_label": Try("web", _SERVER),
    "tools[].allowed_tools": Try(["read"], _SERVER),
    "tools[].allowed_tools.tool_names": Try(["read"], _SERVER),
    "tools[].allowed_tools.read_only": Try(True, _SERVER),
    "tools[].require_approval": Try("always", _SERVER),
    "tools[].server_url": Try("https://mcp.example.org", _SERVER),
    "tools[].connector_id": Try("connector_gmail", _SERVER),
    "tools[].tunnel_id": Try("t", _SERVER),
    "tools[].authorization": Try("t", _SERVER),
    "tools[].headers": Try({"a": "b"}, _SERVER),
    "tools[].server_description": Try("Files.", _SERVER),
    "tools[].allowed_callers": Try(["direct"], _SERVER),
    "tools[].defer_loading": Try(True, _SERVER),
}

_ITEMS = PAGE.read_text().partition("## Items")[2].partition("##")[0]
_TOOL_TYPES = PAGE.read_text().partition("## Tools")[2].partition("##")[0]
_LEFT_OUT = next(line for line in _ITEMS.splitlines() if "not shown to the model" in line).partition(" | ")[0]


def test_every_field_of_the_sdk_has_a_verdict() -> None:
    all_paths = paths(ResponseCreateParamsStreaming, but_not_into=frozenset({"input", "tools"}))
    of_servers = {f"tools[].{path}" for path in paths(Mcp)}
    assert without_claim(all_paths | of_servers, CLAIMS) == set()


def test_every_field_that_is_read_has_a_verdict() -> None:
    of_servers = {f"tools[].{name}" for name in ServerToolFields.model_fields}
    assert without_claim({*ResponsesRequest.model_fields, *of_servers}, CLAIMS) == set()


def test_no_example_is_of_a_field_without_a_verdict() -> None:
    assert EXAMPLES.keys() - CLAIMS.keys() == set()


@pytest.mark.parametrize(("path", "verdict"), CLAIMS.items())
async def test_a_field_is_what_the_page_says(app: Asker, path: str, verdict: Verdict) -> None:
    if path == "previous_response_id":
        first = await app.post(PATH, BASE)
        await app.check(PATH, BASE, path, verdict, Try(first.json()["id"]))
        return
    assert path in EXAMPLES or verdict != "honoured", f"{path} has no example"
    for tried in tries(EXAMPLES, path):
        await app.check(PATH, BASE, path, verdict, tried, repeated=True)


def test_every_item_and_tool_of_the_sdk_is_on_the_page() -> None:
    assert {kind for kind in kinds(ResponseInputItemParam) if f"`{kind}`" not in _ITEMS} == set()
    undated = {re.sub(r"(_\d+)+$", "", kind) for kind in kinds(ToolParam)}
    assert {kind for kind in undated if f"`{kind}`" not in _TOOL_TYPES} == set()


@pytest.mark.parametrize("kind", re.findall(r"`(\w+)`", _LEFT_OUT))
async def test_an_item_that_only_others_can_read_is_not_shown(app: Asker, kind: str) -> None:
    said = [{"role": "user", "content": "Hi"}]
    item = {"type": kind, "id": "x", "status": "completed"}
    without, with_it = [await app.outcome(PATH, {**BASE, "input": items}) for items in (said, [*said, item])]

    assert (without.status, with_it) == (200, without)


@pytest.mark.parametrize("kind", sorted(kinds(ToolParam) - {"function", "custom", "namespace", "mcp"}))
async def test_a_tool_that_only_others_can_run_is_left_out(app: Asker, kind: str) -> None:
    without, with_it = [
        await app.outcome(PATH, {**BASE, "tools": tools}) for tools in ([], [{"type": kind, "name": "f"}])
    ]

    assert (without.status, with_it) == (200, without)


async def test_a_type_of_which_nobody_knows_is_refused(app: Asker) -> None:
    for field in ("input", "tools"):
        answer = await app.outcome(PATH, {**BASE, field: [{"type": "telepathy"}]})
        assert (answer.status, answer.param) == (400, f"{field}[0].type")
