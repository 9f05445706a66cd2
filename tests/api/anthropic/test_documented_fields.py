"""docs/api/messages.md says of every field, block and tool of a request what becomes of it, and it is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from anthropic.types import ContentBlockParam, ToolParam, ToolUnionParam
from anthropic.types.beta import BetaContentBlockParam, BetaMCPToolsetParam, BetaToolParam, BetaToolUnionParam
from anthropic.types.beta.message_create_params import MessageCreateParamsStreaming as BetaParams
from anthropic.types.message_create_params import MessageCreateParamsStreaming

from lemonade_like.api.anthropic.schema import ClientToolIn, McpServerIn, MessagesRequest
from tests.support.claims import Asker, Try, Verdict, claims, tries, without_claim
from tests.support.sdk_fields import kinds, paths

PAGE = Path(__file__).parents[3] / "docs" / "api" / "messages.md"
CLAIMS = claims(PAGE)
PATH = "/v1/messages"
BASE: dict[str, Any] = {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}]}

_TOOL: dict[str, Any] = {"name": "f", "description": "Does it.", "input_schema": {"type": "object"}}
_TOOLS = {"tools": [_TOOL, {**_TOOL, "name": "g"}]}
_SERVER = {"type": "url", "name": "files"}
_TOOLSET = {"type": "mcp_toolset", "mcp_server_name": "files"}
_TOOLSETS = {"mcp_servers": [_SERVER], "tools": [_TOOLSET]}
_FORM = {"type": "json_schema", "schema": {"type": "object"}}
_SYSTEM = {"system": [{"type": "text", "text": "Be brief."}]}
_THINKING = {"thinking": {"type": "enabled", "budget_tokens": 50}}

EXAMPLES: dict[str, Any] = {
    "model": "other",
    "messages": [{"role": "user", "content": "Bye"}],
    "max_tokens": 50,
    "system": "Be brief.",
    "stream": True,
    "temperature": 0.5,
    "top_p": 0.5,
    "top_k": 5,
    "stop_sequences": ["x"],
    "tools": [_TOOL],
    "tool_choice": Try({"type": "any"}, _TOOLS),
    "tool_choice.type": Try("any", {**_TOOLS, "tool_choice": {"type": "auto"}}),
    "tool_choice.name": Try("g", {**_TOOLS, "tool_choice": {"type": "tool", "name": "f"}}),
    "tool_choice.disable_parallel_tool_use": Try(True, {**_TOOLS, "tool_choice": {"type": "auto"}}),
    "thinking": {"type": "disabled"},
    "thinking.type": Try("disabled", _THINKING),
    "thinking.budget_tokens": Try(20, _THINKING),
    "thinking.display": Try("omitted", _THINKING),
    "thinking.block_binding": Try({"prefix_mismatch_behavior": "drop"}, _THINKING),
    "output_config": {"effort": "low"},
    "output_config.effort": "low",
    "output_config.format": _FORM,
    "output_config.format.schema": Try({}, {"output_config": {"format": _FORM}}),
    "output_config.format.type": Try("xml", {"output_config": {"format": _FORM}}),
    "output_format": _FORM,
    "system[].text": Try("Be long.", _SYSTEM),
    "system[].type": Try("image", _SYSTEM),
    "system[].cache_control": Try({"type": "ephemeral"}, _SYSTEM),
    "system[].citations": Try([], _SYSTEM),
    "tools[].name": Try("h", _TOOLS),
    "tools[].description": Try("Else.", _TOOLS),
    "tools[].input_schema": Try({"type": "object", "properties": {"a": {}}}, _TOOLS),
    "tools[].strict": Try(True, _TOOLS),
    "tools[].type": Try("bash_20250124", _TOOLS),
    "tools[].mcp_server_name": Try("web", _TOOLSETS, {"mcp_servers": [{**_SERVER, "name": "web"}]}),
    "tools[].default_config": Try({"enabled": False}, _TOOLSETS),
    "tools[].default_config.enabled": Try(False, _TOOLSETS),
    "tools[].default_config.defer_loading": Try(True, _TOOLSETS),
    "tools[].configs": Try({"delete": {"enabled": False}}, _TOOLSETS),
    "tools[].tools": Try([{"name": "read", "input_schema": {}}], _TOOLSETS),
    "mcp_servers": Try([_SERVER], along={"tools": [_TOOLSET]}),
    "mcp_servers[].name": Try("web", _TOOLSETS, {"tools": [{**_TOOLSET, "mcp_server_name": "web"}]}),
    "mcp_servers[].type": Try("http", _TOOLSETS),
    "mcp_servers[].url": Try("https://mcp.example.org", _TOOLSETS),
    "mcp_servers[].authorization_token": Try("t", _TOOLSETS),
    "mcp_servers[].tool_configuration": Try({"allowed_tools": ["read"]}, _TOOLSETS),
    "max_tool_rounds": 3,
    **{
        f"tools[].{name}": Try(value, _TOOLS)
        for name, value in {
            "cache_control": {"type": "ephemeral"},
            "input_examples": [{}],
            "defer_loading": True,
            "allowed_callers": ["direct"],
        }.items()
    },
}
#: What only shows in a stream with a call.
_ELSEWHERE = {"tools[].eager_input_streaming"}
_LEFT_OUT = re.compile(r"(web_search|web_fetch|code_execution|tool_search_tool|advisor)_\w+")

_TOOL_TYPES = kinds(ToolUnionParam) | kinds(BetaToolUnionParam)
_BLOCKS = PAGE.read_text().partition("| Block |")[2].partition("##")[0]


def test_every_field_of_the_sdk_has_a_verdict() -> None:
    below = frozenset({"messages", "tools"})
    all_paths = paths(MessageCreateParamsStreaming, but_not_into=below) | paths(BetaParams, but_not_into=below)
    of_tools = paths(ToolParam, but_not_into=frozenset({"input_schema"}))
    of_tools |= paths(BetaToolParam, but_not_into=frozenset({"input_schema"})) | paths(BetaMCPToolsetParam)
    assert without_claim(all_paths | {f"tools[].{path}" for path in of_tools}, CLAIMS) == set()


def test_every_field_that_is_read_has_a_verdict() -> None:
    of_tools = {f"tools[].{name}" for name in ClientToolIn.model_fields}
    of_servers = {f"mcp_servers[].{name}" for name in McpServerIn.model_fields}
    assert without_claim({*MessagesRequest.model_fields, *of_tools, *of_servers}, CLAIMS) == set()


def test_no_example_is_of_a_field_without_a_verdict() -> None:
    assert {*EXAMPLES, *_ELSEWHERE} - CLAIMS.keys() == set()


@pytest.mark.parametrize(("path", "verdict"), [(path, CLAIMS[path]) for path in CLAIMS if path not in _ELSEWHERE])
async def test_a_field_is_what_the_page_says(app: Asker, path: str, verdict: Verdict) -> None:
    assert path in EXAMPLES or verdict != "honoured", f"{path} has no example"
    for tried in tries(EXAMPLES, path):
        await app.check(PATH, BASE, path, verdict, tried)


def test_every_block_of_the_sdk_is_on_the_page() -> None:
    known = {kind for kind in kinds(ContentBlockParam) if f"`{kind}`" not in _BLOCKS}
    assert all(kind.endswith("_tool_result") for kind in known), known


@pytest.mark.parametrize("kind", sorted(kinds(BetaContentBlockParam) | {"telepathy"}))
async def test_a_block_is_taken_left_out_or_refused_by_name(app: Asker, kind: str) -> None:
    said = {"type": "text", "text": "Hi"}
    alone, beside = [
        await app.outcome(PATH, {**BASE, "messages": [{"role": "user", "content": blocks}]})
        for blocks in ([said], [said, {"type": kind}])
    ]
    name = "…_tool_result" if kind.endswith("_tool_result") and f"`{kind}`" not in _BLOCKS else kind
    row = next((line for line in _BLOCKS.splitlines() if f"`{name}`" in line), "")
    if "Left out" in row:
        assert beside == alone
    elif kind != "compaction":  # which may say nothing
        assert beside.status == 400
        assert "'messages[0].content[1]" in beside.message


@pytest.mark.parametrize("kind", sorted(_TOOL_TYPES - {"custom", "mcp_toolset"}))
async def test_a_tool_of_anthropics_is_left_out_or_refused_by_name(app: Asker, kind: str) -> None:
    without, with_it = [
        await app.outcome(PATH, {**BASE, "tools": tools}) for tools in ([_TOOL], [_TOOL, {"type": kind, "name": "x"}])
    ]
    if _LEFT_OUT.fullmatch(kind):
        assert with_it == without
    else:
        assert (with_it.status, "'tools[1].type'" in with_it.message) == (400, True)
