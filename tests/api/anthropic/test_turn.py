"""What is taken of a Messages request, and what is said of what is not."""

from __future__ import annotations

from typing import Any

import pytest

from lemonade_like.api.anthropic.schema import CountTokensRequest, MessagesRequest
from lemonade_like.api.anthropic.turn import streamed_as_written, thinking_view, tools_left_out, turn_request
from lemonade_like.api.validation import validated
from lemonade_like.errors import BadRequest
from lemonade_like.harmony.messages import ChatMessage, FunctionTool, MediaPart, TextPart, ToolCall
from lemonade_like.turns.payload import chat_payload
from lemonade_like.turns.request import ResponseFormat, TurnRequest
from tests.support.messages import WEATHER

USER = {"role": "user", "content": "Hi"}
CACHED = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
USE = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"location": "Oslo"}}
CALLED = {"role": "assistant", "content": [USE]}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}


def body(**fields: Any) -> MessagesRequest:
    return validated(MessagesRequest, {"model": "m", "max_tokens": 100, "messages": [USER], **fields})


def read(**fields: Any) -> TurnRequest:
    return turn_request(body(**fields))


def chat(*messages: Any, **fields: Any) -> tuple[ChatMessage, ...]:
    return read(messages=list(messages), **fields).messages


def refusal(**fields: Any) -> BadRequest:
    with pytest.raises(BadRequest) as raised:
        read(**fields)
    return raised.value


def says(role: Any, *texts: str, **more: Any) -> ChatMessage:
    return ChatMessage(role, tuple(TextPart(text) for text in texts), **more)


def results(*blocks: Any) -> tuple[ChatMessage, ...]:
    """What becomes of the blocks that follow a call."""
    return chat(USER, CALLED, {"role": "user", "content": list(blocks)})[2:]


def result(content: Any = None, **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": "toolu_1", "content": content, **more}


def test_a_plain_request_leaves_everything_to_the_server() -> None:
    assert read() == TurnRequest("m", (says("user", "Hi"),), max_tokens=100, whole=True)
    assert not read(stream=True).whole


def test_everything_that_can_be_asked_arrives() -> None:
    request = read(
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        stop_sequences=["a", "", "b"],
        tools=[{**WEATHER, "strict": True, "type": "custom", **CACHED}],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
        output_config={"effort": "xhigh", "format": {"type": "json_schema", "schema": SCHEMA}},
        thinking={"type": "enabled", "budget_tokens": 50},
    )
    sampling = request.sampling
    assert (sampling.temperature, sampling.top_p, sampling.extra) == (0.5, 0.9, {"top_k": 40})
    assert (request.stop, request.max_tokens, request.parallel_tool_calls) == (("a", "b"), 100, False)
    assert (request.tool_choice, request.allowed_tools) == ("required", None)
    assert request.tools == (FunctionTool("get_weather", WEATHER["description"], WEATHER["input_schema"], strict=True),)
    assert request.response_format == ResponseFormat("answer", SCHEMA, param="output_config.format.schema")
    assert (request.reasoning_effort, request.reasoning_budget, request.reasoning_format) == ("xhigh", 50, "separate")


def test_nulls_are_the_same_as_nothing() -> None:
    optional = set(MessagesRequest.model_fields) - {"model", "messages", "max_tokens"}
    assert read(**dict.fromkeys(optional)) == read()


@pytest.mark.parametrize(
    "field",
    [
        {"metadata": {"user_id": "me"}},
        {"service_tier": "auto"},
        {"cache_control": {"type": "ephemeral"}},
        {"context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}},
        {"inference_geo": "eu"},
        {"mcp_servers": []},
        {"container": None},
        {"betas": ["x"]},
        {"frobnicate": [1]},
    ],
    ids=str,
)
def test_what_says_nothing_here_is_ignored(field: dict[str, Any]) -> None:
    assert read(**field) == read()


@pytest.mark.parametrize(
    ("field", "param"),
    [
        ({"mcp_servers": [{"type": "url", "url": "https://x", "name": "x"}]}, "mcp_servers[0].url"),
        ({"mcp_servers": [{"name": "x", "authorization_token": "x"}]}, "mcp_servers[0].authorization_token"),
        (
            {"mcp_servers": [{"name": "x", "tool_configuration": {"enabled": True}}]},
            "mcp_servers[0].tool_configuration",
        ),
        ({"mcp_servers": [{"name": "x"}]}, "mcp_servers[0]"),
        ({"mcp_servers": [{}]}, "mcp_servers[0].name"),
        ({"mcp_servers": {"name": "x"}}, "mcp_servers"),
        ({"tools": [{"type": "mcp_toolset"}]}, "tools[0].mcp_server_name"),
        ({"tools": [{"type": "mcp_toolset", "mcp_server_name": "x"}]}, "tools[0].mcp_server_name"),
        ({"tools": [{"type": "mcp_toolset", "mcp_server_name": "x", "configs": []}]}, "tools[0].configs"),
        ({"max_tool_rounds": 0}, "max_tool_rounds"),
        ({"container": "container_1"}, "container"),
        ({"compaction": {"type": "compaction"}}, "compaction"),
        ({"thread": {"type": "create"}}, "thread"),
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_k": -1}, "top_k"),
        ({"top_p": 2}, "top_p"),
        ({"stop_sequences": "END"}, "stop_sequences"),
        ({"stream": "yes"}, "stream"),
        ({"model": ""}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "wizard", "content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "user", "content": [{"type": "video"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [USE]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "assistant", "content": [result("x")]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [result("x")]}]}, "messages[0].content[0].tool_use_id"),
        (
            {"messages": [{"role": "assistant", "content": [{**USE, "input": "{}"}]}]},
            "messages[0].content[0].input",
        ),
        ({"messages": [{"role": "assistant", "content": [{**USE, "id": None}]}]}, "messages[0].content[0].id"),
        (
            {"messages": [USER, CALLED, {"role": "user", "content": [result([{"type": "text"}])]}]},
            "messages[2].content[0].content[0].text",
        ),
        ({"system": [{"type": "image"}]}, "system[0].type"),
        ({"system": 3}, "system"),
        ({"tools": [{"name": "f"}]}, "tools[0].input_schema"),
        ({"tools": [{"input_schema": {}}]}, "tools[0].name"),
        ({"tools": [{**WEATHER, "name": "get weather"}]}, "tools[0].name"),
        ({"tools": [WEATHER, WEATHER]}, "tools[1].name"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"tool_choice": {"type": "tool", "name": "f"}, "tools": [WEATHER]}, "tool_choice"),
        ({"tool_choice": {"type": "tool"}, "tools": [WEATHER]}, "tool_choice.name"),
        ({"tool_choice": {"type": "required"}}, "tool_choice.type"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "enabled", "budget_tokens": -1}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "sometimes"}}, "thinking.type"),
        ({"output_config": {"effort": "frantic"}}, "output_config.effort"),
        ({"output_config": {"format": {"type": "json_object"}}}, "output_config.format.type"),
    ],
    ids=str,
)
def test_a_wrong_value_is_refused_by_the_name_of_its_field(field: dict[str, Any], param: str) -> None:
    error = refusal(**field)
    assert error.param == param
    assert f"'{param}'" in error.message


class TestSystem:
    @pytest.mark.parametrize("system", ["Be brief.", [{"type": "text", "text": "Be brief.", **CACHED}]])
    def test_a_string_is_the_same_as_a_block(self, system: Any) -> None:
        assert chat(USER, system=system)[0] == says("system", "Be brief.")

    def test_blocks_are_parts_of_one_message(self) -> None:
        blocks = [{"type": "text", "text": text} for text in ("a", "b")]
        assert chat(USER, system=blocks)[0] == says("system", "a", "b")

    @pytest.mark.parametrize("system", ["", []])
    def test_an_empty_one_says_nothing(self, system: Any) -> None:
        assert [message.text for message in chat(USER, system=system) if message.text] == ["Hi"]

    def test_a_message_of_the_system_stays_in_its_place(self) -> None:
        assert chat(USER, {"role": "system", "content": "Now in French."})[1] == says("system", "Now in French.")

    @pytest.mark.parametrize("rest", ["", "\nYou are Claude Code."])
    def test_what_claude_code_tells_anthropics_billing_is_left_out(self, rest: str) -> None:
        billing = f"x-anthropic-billing-header: cc_version=2.1.37.0d9; cc_entrypoint=cli; cch=fa690;{rest}"
        blocks = [{"type": "text", "text": billing}, {"type": "text", "text": "Be brief."}]
        expected = [rest.strip(), "Be brief."] if rest else ["Be brief."]
        assert chat(USER, system=blocks)[0] == says("system", *expected)
        assert chat(USER, system=billing)[:-1] == ((says("system", rest.strip()),) if rest else ())


class TestMessages:
    def test_blocks_of_text_are_parts(self) -> None:
        blocks = [{"type": "text", "text": text, **CACHED} for text in ("a", "b")]
        assert chat({"role": "user", "content": blocks}) == (says("user", "a", "b"),)

    def test_what_the_assistant_thought_and_called_comes_back(self) -> None:
        blocks = [
            {"type": "thinking", "thinking": "one", "signature": "EqQBCg=="},
            {"type": "redacted_thinking", "data": "EmwKAh"},
            {"type": "text", "text": "Let me look.", "citations": None},
            {"type": "thinking", "thinking": "two"},
            {**USE, "caller": {"type": "direct"}, **CACHED},
            {**USE, "id": "toolu_2", "input": {}},
        ]
        assert chat(USER, {"role": "assistant", "content": blocks})[1] == says(
            "assistant",
            "Let me look.",
            reasoning="one\ntwo",
            tool_calls=(
                ToolCall("call_1", "get_weather", '{"location":"Oslo"}'),
                ToolCall("call_2", "get_weather", "{}"),
            ),
        )

    def test_an_assistant_message_at_the_end_is_a_prefill(self) -> None:
        assert chat(USER, {"role": "assistant", "content": "It is"})[-1] == says("assistant", "It is")

    def test_arguments_that_were_no_json_come_back_as_they_were(self) -> None:
        block = {**USE, "input": {"INVALID_JSON": '{"a":'}}
        (call,) = chat(USER, {"role": "assistant", "content": [block]})[1].tool_calls
        assert call.arguments == '{"a":'

    def test_an_id_of_another_origin_stays_as_it_is(self) -> None:
        answer = {"type": "tool_result", "tool_use_id": "7Xk2", "content": "x"}
        messages = chat(
            USER, {"role": "assistant", "content": [{**USE, "id": "7Xk2"}]}, {"role": "user", "content": [answer]}
        )
        assert (messages[1].tool_calls[0].id, messages[2].tool_call_id) == ("7Xk2", "7Xk2")

    @pytest.mark.parametrize(
        "kind", ["server_tool_use", "web_search_tool_result", "mcp_tool_listing", "bash_code_execution_tool_result"]
    )
    def test_what_only_anthropic_can_read_is_left_out(self, kind: str) -> None:
        block = {"type": kind, "id": 1, "content": {"encrypted_content": "…"}, "input": "x"}
        content = [block, {"type": "text", "text": "Found it."}]
        assert chat(USER, {"role": "assistant", "content": content})[1] == says("assistant", "Found it.")

    def test_positions_are_those_of_the_request(self) -> None:
        messages = chat(USER, CALLED, {"role": "user", "content": [result("x"), {"type": "text", "text": "y"}]})
        assert [message.index for message in messages] == [0, 1, 2, 2]


class TestResults:
    def test_results_in_one_message_come_before_what_the_user_says(self) -> None:
        calls = [USE, {**USE, "id": "toolu_2"}]
        blocks = [
            {"type": "text", "text": "<system-reminder>"},
            result("sunny"),
            {**result([{"type": "text", "text": "rain"}, {"type": "text", "text": "wind"}]), "tool_use_id": "toolu_2"},
            {"type": "text", "text": "And Paris?"},
        ]
        messages = chat(USER, {"role": "assistant", "content": calls}, {"role": "user", "content": blocks})
        assert messages[2:] == (
            says("tool", "sunny", tool_call_id="call_1"),
            says("tool", "rain", "wind", tool_call_id="call_2"),
            says("user", "<system-reminder>", "And Paris?"),
        )

    @pytest.mark.parametrize("content", [None, "", []])
    def test_a_result_may_be_empty(self, content: Any) -> None:
        assert results(result(content))[0].text == ""

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            ("no such city", "Error: no such city"),
            ("Error: no such city", "Error: no such city"),
            ("<tool_use_error>No</tool_use_error>", "<tool_use_error>No</tool_use_error>"),
            (None, "Error: the tool failed."),
            ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "Error: a\nb"),
        ],
    )
    def test_an_error_says_that_it_is_one(self, content: Any, told: str) -> None:
        assert results(result(content, is_error=True))[0].text == told

    def test_an_image_is_passed_on_for_models_that_see(self) -> None:
        image = {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}
        (part,) = results(result([image]))[0].content
        assert isinstance(part, MediaPart)


class TestOtherBlocks:
    @pytest.mark.parametrize(
        ("source", "url"),
        [
            ({"type": "base64", "media_type": "image/png", "data": "aGk="}, "data:image/png;base64,aGk="),
            ({"type": "url", "url": "https://x/y.png"}, "https://x/y.png"),
        ],
    )
    def test_images_take_the_form_that_llama_cpp_reads(self, source: Any, url: str) -> None:
        image = {"type": "image", "source": source, **CACHED}
        (message,) = chat({"role": "user", "content": [image]})
        assert message.content == (MediaPart("image", {"type": "image_url", "image_url": {"url": url}}),)

    def test_images_reach_a_model_that_goes_through_a_template(self) -> None:
        image = {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}
        payload = chat_payload(read(messages=[{"role": "user", "content": [{"type": "text", "text": "?"}, image]}]))
        assert payload["messages"][0]["content"] == [
            {"type": "text", "text": "?"},
            {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
        ]

    def test_what_was_summed_up_elsewhere_is_text(self) -> None:
        summary = {"type": "compaction", "content": "They spoke of rain.", "encrypted_content": "…"}
        assert chat({"role": "user", "content": [summary]}) == (says("user", "They spoke of rain."),)

    @pytest.mark.parametrize(
        "source",
        [
            {"type": "text", "media_type": "text/plain", "data": "It rained."},
            {"type": "content", "content": "It rained."},
            {"type": "content", "content": [{"type": "text", "text": "It rained."}]},
        ],
    )
    def test_documents_of_text_are_text(self, source: Any) -> None:
        document = {"type": "document", "source": source, "title": "Diary", "citations": {"enabled": True}}
        assert chat({"role": "user", "content": [document]}) == (says("user", "Diary", "It rained."),)

    def test_search_results_are_text(self) -> None:
        found = {
            "type": "search_result",
            "title": "Diary",
            "source": "https://x",
            "content": [{"type": "text", "text": "It rained."}],
        }
        assert results(result([found]))[0].text == "Diary\nhttps://x\nIt rained."

    @pytest.mark.parametrize(
        "block",
        [
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}},
            {"type": "document", "source": {"type": "url", "url": "https://x/y.pdf"}},
            {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
            {"type": "image", "source": {"type": "base64", "data": "aGk="}},
            {"type": "image"},
        ],
        ids=str,
    )
    def test_what_cannot_be_read_is_refused_by_name(self, block: Any) -> None:
        assert refusal(messages=[{"role": "user", "content": [block]}]).param == "messages[0].content[0].source"


class TestTools:
    @pytest.mark.parametrize(
        ("choice", "expected"),
        [
            ({"type": "auto"}, ("auto", None, True)),
            ({"type": "none"}, ("none", None, True)),
            ({"type": "any"}, ("required", None, True)),
            ({"type": "tool", "name": "get_weather"}, ("required", frozenset({"get_weather"}), True)),
            ({"type": "auto", "disable_parallel_tool_use": True}, ("auto", None, False)),
        ],
        ids=str,
    )
    def test_every_choice_is_one_of_a_turn(self, choice: Any, expected: Any) -> None:
        request = read(tools=[WEATHER], tool_choice=choice)
        assert (request.tool_choice, request.allowed_tools, request.parallel_tool_calls) == expected

    @pytest.mark.parametrize(
        "kind",
        ["web_search_20250305", "web_fetch_20260318", "code_execution_20260120", "tool_search_tool_regex_20251119"],
    )
    def test_tools_that_anthropic_runs_are_not_offered(self, kind: str) -> None:
        tools = [{"type": kind, "name": "hosted", "max_uses": 5}, WEATHER]
        assert [tool.name for tool in read(tools=tools).tools] == ["get_weather"]
        assert tools_left_out(body(tools=tools)) == [kind]

    @pytest.mark.parametrize(
        "kind", ["bash_20250124", "text_editor_20250728", "memory_20250818", "computer_20250124", "what"]
    )
    def test_tools_whose_schema_only_claude_knows_are_refused(self, kind: str) -> None:
        error = refusal(tools=[WEATHER, {"type": kind, "name": "x"}])
        assert (error.param, kind in error.message) == ("tools[1].type", True)

    def test_names_may_be_as_long_as_anthropic_allows(self) -> None:
        assert read(tools=[{**WEATHER, "name": "n" * 128}]).tools[0].name == "n" * 128

    def test_tools_that_want_their_input_live_are_known(self) -> None:
        eager = {**WEATHER, "name": "write", "eager_input_streaming": True}
        assert streamed_as_written(body(tools=[WEATHER, eager])) == {"write"}


class TestThinking:
    @pytest.mark.parametrize(
        ("thinking", "expected"),
        [
            (None, (None, None, "shown")),
            ({"type": "disabled"}, (0, "separate", "none")),
            ({"type": "enabled", "budget_tokens": 99}, (99, "separate", "shown")),
            ({"type": "enabled", "budget_tokens": 100}, (None, "separate", "shown")),
            ({"type": "adaptive"}, (None, "separate", "shown")),
            ({"type": "between_tools"}, (None, "separate", "shown")),
            ({"type": "adaptive", "display": "omitted"}, (None, "separate", "omitted")),
            ({"type": "enabled", "budget_tokens": 9, "display": "summarized"}, (9, "separate", "shown")),
        ],
        ids=str,
    )
    def test_thinking_is_a_budget_and_a_view(self, thinking: Any, expected: Any) -> None:
        request = read(thinking=thinking)
        view = thinking_view(body(thinking=thinking))
        assert (request.reasoning_budget, request.reasoning_format, view) == expected

    def test_the_older_name_of_the_format_is_read_too(self) -> None:
        wanted = read(output_format={"type": "json_schema", "schema": SCHEMA}).response_format
        assert wanted == ResponseFormat("answer", SCHEMA, param="output_format.schema")


def test_a_count_is_of_the_same_prompt() -> None:
    conversation = {"model": "m", "messages": [USER], "system": "Be brief.", "tools": [WEATHER]}
    counted = turn_request(validated(CountTokensRequest, conversation))
    answered = turn_request(validated(MessagesRequest, {**conversation, "max_tokens": 5}))
    assert (counted.messages, counted.tools) == (answered.messages, answered.tools)
