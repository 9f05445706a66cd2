"""docs/api/chat.md says of every field of a chat completion what becomes of it, and it is so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming

from lemonade_like.api.openai.schema import ChatCompletionRequest, MessageIn
from lemonade_like.api.openai.server_tools import ServerToolCallIn
from lemonade_like.api.openai.tools import ToolIn
from tests.support.claims import Asker, Try, Verdict, claims, tries, without_claim
from tests.support.sdk_fields import paths

PAGE = Path(__file__).parents[3] / "docs" / "api" / "chat.md"
CLAIMS = claims(PAGE)
PATH = "/v1/chat/completions"
BASE: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}

_F: dict[str, Any] = {"name": "f", "description": "Does it.", "parameters": {"type": "object"}}
_TOOL = {"tools": [{"type": "function", "function": _F}]}
_TWO_TOOLS = {"tools": [*_TOOL["tools"], {"type": "function", "function": {"name": "g"}}]}
_CUSTOM = {"name": "f", "description": "Takes text."}
_CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
_CALLED = {"messages": [{"role": "assistant", "content": "", "tool_calls": [_CALL]}, *BASE["messages"]]}
_ANSWERED = {"messages": [{"role": "tool", "content": "1", "tool_call_id": "c"}]}
_LEGACY = {"messages": [{"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}, *BASE["messages"]]}
_SAID = {"messages": [{"role": "assistant", "content": "Hm"}, *BASE["messages"]]}
_PARTS = {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]}
_REFUSED = {"messages": [{"role": "assistant", "content": [{"type": "refusal", "refusal": "No"}]}]}
_IMAGE = {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]}
_SOUND_PART = {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}
_SOUND = {"messages": [{"role": "user", "content": [_SOUND_PART]}]}
_NAMED = {**_TWO_TOOLS, "tool_choice": {"type": "function", "function": {"name": "f"}}}
_ALLOWED = {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]}
_SOME = {**_TWO_TOOLS, "tool_choice": {"type": "allowed_tools", "allowed_tools": _ALLOWED}}
_SERVER = {"tools": [{"type": "mcp", "server_label": "files"}]}
_RUN: dict[str, Any] = {"id": "c", "type": "mcp", "server_label": "files", "name": "read", "arguments": "{}"}
_ANSWER = {"role": "assistant", "content": "Done."}
_RAN = {"messages": [{**_ANSWER, "server_tool_calls": [{**_RUN, "output": "x"}, {**_RUN, "id": "d"}]}]}
_SCHEMA = {"name": "n", "schema": {"type": "object"}}
_FORM = {"response_format": {"type": "json_schema", "json_schema": _SCHEMA}}

EXAMPLES: dict[str, Any] = {
    "model": "other",
    "messages": [{"role": "user", "content": "Bye"}],
    "stream": True,
    "stream_options": Try({"include_usage": True}, {"stream": True}),
    "stream_options.include_usage": Try(True, {"stream": True}),
    "stream_options.include_obfuscation": Try(True, {"stream": True}),
    "stream_options.continuous_usage_stats": Try(True, {"stream": True, "stream_options": {"include_usage": True}}),
    "n": 2,
    "temperature": 0.5,
    "top_p": 0.5,
    "seed": 7,
    "frequency_penalty": 1,
    "presence_penalty": 1,
    "logit_bias": {"5": 1},
    "max_completion_tokens": 9,
    "max_tokens": 9,
    "stop": "x",
    "logprobs": True,
    "top_logprobs": Try(2, {"logprobs": True}),
    "tools": _TOOL["tools"],
    "tool_choice": Try("required", _TOOL),
    "parallel_tool_calls": False,
    "max_tool_rounds": 3,
    "functions": [_F],
    "functions[].name": Try("g", {"functions": [_F]}),
    "functions[].description": Try("Else.", {"functions": [_F]}),
    "functions[].parameters": Try({}, {"functions": [_F]}),
    "function_call": Try("none", {"functions": [_F]}),
    "function_call.name": Try("g", {"functions": [_F, {"name": "g"}], "function_call": {"name": "f"}}),
    "response_format": {"type": "json_object"},
    "reasoning_effort": "high",
    "service_tier": "flex",
    "modalities": ["text", "audio"],
    "messages[].role": "developer",
    "messages[].content": "Bye",
    "messages[].name": "ann",
    "messages[].tool_calls": Try([{**_CALL, "id": "d"}], _CALLED),
    "messages[].tool_calls[].id": Try("d", _CALLED),
    "messages[].tool_calls[].function": Try({"name": "g"}, _CALLED),
    "messages[].tool_calls[].function.name": Try("g", _CALLED),
    "messages[].tool_calls[].function.arguments": Try('{"a": 1}', _CALLED),
    "messages[].tool_calls[].type": Try("custom", _CALLED),
    "messages[].tool_calls[].custom": Try(
        {"name": "f", "input": ""}, {"messages": [{"role": "user", "content": "Hi"}]}
    ),
    "messages[].tool_call_id": Try("d", _ANSWERED),
    "messages[].function_call": Try({"name": "g"}, _LEGACY),
    "messages[].function_call.name": Try("g", _LEGACY),
    "messages[].function_call.arguments": Try('{"a": 1}', _LEGACY),
    "messages[].server_tool_calls": Try([_RUN], {"messages": [_ANSWER]}),
    "messages[].server_tool_calls[].id": Try("e", _RAN),
    "messages[].server_tool_calls[].server_label": Try("web", _RAN),
    "messages[].server_tool_calls[].name": Try("write", _RAN),
    "messages[].server_tool_calls[].arguments": Try('{"a": 1}', _RAN),
    "messages[].server_tool_calls[].round": Try(1, _RAN),
    "messages[].server_tool_calls[].output": Try("y", _RAN),
    "messages[].server_tool_calls[].error": Try("y", _RAN),
    "messages[].reasoning_content": Try("Hm.", _SAID),
    "messages[].reasoning": Try("Hm.", _SAID),
    "messages[].thinking": Try("Hm.", _SAID),
    "messages[].channel": Try("commentary", _SAID),
    "messages[].recipient": Try("functions.f", _SAID),
    "messages[].content_type": Try("json", _SAID),
    "messages[].content[].type": Try("input_audio", _IMAGE),
    "messages[].content[].text": Try("Bye", _PARTS),
    "messages[].content[].refusal": Try("Never", _REFUSED),
    "messages[].content[].image_url": Try({"url": "data:image/png,"}, _IMAGE),
    "messages[].content[].image_url.url": Try("data:image/png,", _IMAGE),
    "messages[].content[].image_url.detail": Try("low", _IMAGE),
    "messages[].content[].input_audio": Try({"data": "AA==", "format": "wav"}, _SOUND),
    "messages[].content[].input_audio.data": Try("AA==", _SOUND),
    "messages[].content[].input_audio.format": Try("mp3", _SOUND),
    "messages[].content[].prompt_cache_breakpoint": Try({"mode": "explicit"}, _PARTS),
    "tools[].type": Try("web_search", _TOOL),
    "tools[].function": Try({"name": "g"}, _TOOL),
    "tools[].function.name": Try("g", _TOOL),
    "tools[].function.description": Try("Else.", _TOOL),
    "tools[].function.parameters": Try({}, _TOOL),
    "tools[].function.strict": Try(True, _TOOL),
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
    "tool_choice.type": Try(
        "allowed_tools", {**_SOME, "tool_choice": {**_NAMED["tool_choice"], **_SOME["tool_choice"], "type": "function"}}
    ),
    "tool_choice.function": Try({"name": "g"}, _NAMED),
    "tool_choice.function.name": Try("g", _NAMED),
    "tool_choice.allowed_tools": Try({**_ALLOWED, "mode": "required"}, _SOME),
    "tool_choice.allowed_tools.mode": Try("required", _SOME),
    "tool_choice.allowed_tools.tools": Try([{"type": "function", "function": {"name": "g"}}], _SOME),
    "response_format.type": Try("json_object", _FORM),
    "response_format.json_schema": Try({**_SCHEMA, "name": "m"}, _FORM),
    "response_format.json_schema.name": Try("m", _FORM),
    "response_format.json_schema.description": Try("It.", _FORM),
    "response_format.json_schema.schema": Try({}, _FORM),
    "response_format.json_schema.strict": Try(False, _FORM),
    "prefill": "Well,",
    "reasoning_budget": 5,
    "thinking_budget": 5,
    "reasoning_preset": "quick",
    "reasoning_format": "inline",
    "include_reasoning": False,
    "reasoning": {"effort": "low"},
    "reasoning.effort": "low",
    "reasoning.max_tokens": 5,
    "reasoning.exclude": True,
    "chat_template_kwargs": {"reasoning_effort": "low"},
    "model_identity": "A pirate.",
    "knowledge_cutoff": "2020-01",
    "current_date": "2026-01-31",
    "include": ["harmony"],
    "top_k": 5,
    "min_p": 0.5,
    "typical_p": 0.5,
    "top_n_sigma": 1.0,
    "xtc_probability": 0.5,
    "xtc_threshold": 0.5,
    "repeat_penalty": 1.5,
    "repeat_last_n": 5,
    "dry_multiplier": 0.5,
    "dry_base": 2.0,
    "dry_allowed_length": 2,
    "dry_penalty_last_n": 5,
    "dry_sequence_breakers": ["x"],
    "dynatemp_range": 0.5,
    "dynatemp_exponent": 0.5,
    "mirostat": 1,
    "mirostat_tau": 0.5,
    "mirostat_eta": 0.5,
    "min_keep": 1,
    "samplers": ["top_k"],
    "n_predict": 9,
    "ignore_eos": True,
}
# What is refused by the type of what it stands in is refused with that type.
_BY_TYPE = {
    "messages[].tool_calls[].custom": ("messages[].tool_calls", [{"id": "c", "type": "custom", "custom": _CUSTOM}]),
    "messages[].content[].file": ("messages[].content", [{"type": "file", "file": {"file_id": "f"}}]),
    "tools[].custom": ("tools", [{"type": "custom", "custom": _CUSTOM}]),
    "tool_choice.custom": ("tool_choice", {"type": "custom", "custom": {"name": "f"}}),
}


def test_every_field_of_the_sdk_has_a_verdict() -> None:
    assert without_claim(paths(CompletionCreateParamsStreaming), CLAIMS) == set()


def test_every_field_that_is_read_has_a_verdict() -> None:
    of_messages = {f"messages[].{name}" for name in MessageIn.model_fields}
    of_calls = {f"messages[].server_tool_calls[].{name}" for name in ServerToolCallIn.model_fields}
    of_tools = {f"tools[].{name}" for name in ToolIn.model_fields}
    read = {*ChatCompletionRequest.model_fields, *of_messages, *of_calls, *of_tools}
    assert without_claim(read, CLAIMS) == set()


def test_no_example_is_of_a_field_without_a_verdict() -> None:
    assert {*EXAMPLES, *_BY_TYPE} - CLAIMS.keys() == set()


@pytest.mark.parametrize(("path", "verdict"), CLAIMS.items())
async def test_a_field_is_what_the_page_says(app: Asker, path: str, verdict: Verdict) -> None:
    if path in _BY_TYPE:
        assert verdict == "refused"
        path, value = _BY_TYPE[path]
        await app.check(PATH, BASE, path, verdict, Try(value))
        return
    assert path in EXAMPLES or verdict != "honoured", f"{path} has no example"
    for tried in tries(EXAMPLES, path):
        await app.check(PATH, BASE, path, verdict, tried)
