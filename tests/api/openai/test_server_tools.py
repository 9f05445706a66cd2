"""Tools of the server in a request, and their calls in a conversation: the same form in both of OpenAI's APIs."""

from __future__ import annotations

from typing import Any

import pytest

from lemonade_like.api.openai.responses.schema import ItemIn, ResponsesRequest
from lemonade_like.api.openai.responses.turn import turn_request as responses_turn
from lemonade_like.api.openai.schema import ChatCompletionRequest
from lemonade_like.api.openai.turn import turn_request as chat_turn
from lemonade_like.api.validation import validated
from lemonade_like.errors import BadRequest
from lemonade_like.harmony.messages import ChatMessage, TextPart, ToolCall
from lemonade_like.turns.request import ToolServerUse, TurnRequest
from tests.support.responses import WEATHER as FLAT
from tests.support.tools import WEATHER

FILES = {"type": "mcp", "server_label": "files"}
USER: dict[str, Any] = {"role": "user", "content": "Hi"}


def chat(**fields: Any) -> TurnRequest:
    return chat_turn(validated(ChatCompletionRequest, {"model": "m", "messages": [USER], **fields}))


def response(**fields: Any) -> TurnRequest:
    return responses_turn(validated(ResponsesRequest, {"model": "m", "input": "Hi", **fields}))


APIS = [(chat, WEATHER), (response, FLAT)]


@pytest.mark.parametrize(("asked", "own"), APIS)
def test_tool_servers_stand_among_the_clients_own_tools(asked: Any, own: Any) -> None:
    turn = asked(tools=[own, {**FILES, "allowed_tools": ["read"], "require_approval": "never"}])

    assert [one.name for one in turn.tools] == ["get_weather"]
    assert turn.tool_servers == (ToolServerUse("files", frozenset({"read"}), False, 1, "tools[1].server_label"),)


@pytest.mark.parametrize(("asked", "own"), APIS)
def test_tools_may_be_filtered(asked: Any, own: Any) -> None:
    for wanted, names, read_only in (
        (None, None, False),
        ([], frozenset(), False),
        ({"read_only": True}, None, True),
        ({"tool_names": ["read"], "read_only": False}, frozenset({"read"}), False),
    ):
        (use,) = asked(tools=[{**FILES, "allowed_tools": wanted}]).tool_servers
        assert (use.allowed, use.read_only) == (names, read_only)


@pytest.mark.parametrize(("asked", "own"), APIS)
@pytest.mark.parametrize(
    ("tool", "param", "part"),
    [
        ({"type": "mcp"}, "tools[0].server_label", "required"),
        ({**FILES, "server_label": 1}, "tools[0].server_label", "must be a string"),
        ({**FILES, "server_url": "https://evil"}, "tools[0].server_url", "only tool servers that the configuration"),
        ({**FILES, "connector_id": "connector_gmail"}, "tools[0].connector_id", "only tool servers"),
        ({**FILES, "tunnel_id": "t"}, "tools[0].tunnel_id", "only tool servers"),
        ({**FILES, "authorization": "token"}, "tools[0].authorization", "only tool servers"),
        ({**FILES, "headers": {"a": "b"}}, "tools[0].headers", "only tool servers"),
        ({**FILES, "require_approval": "always"}, "tools[0].require_approval", "must be 'never'"),
        ({**FILES, "require_approval": {"never": {}}}, "tools[0].require_approval", "must be 'never'"),
        ({**FILES, "allowed_tools": "read"}, "tools[0].allowed_tools", "must be a list of names"),
        ({**FILES, "allowed_tools": [1]}, "tools[0].allowed_tools.tool_names[0]", "must be a string"),
    ],
)
def test_what_the_configuration_does_not_name_is_refused(
    asked: Any, own: Any, tool: dict[str, Any], param: str, part: str
) -> None:
    with pytest.raises(BadRequest) as caught:
        asked(tools=[tool])
    assert caught.value.param == param
    assert part in caught.value.message
    assert "evil" not in caught.value.message


@pytest.mark.parametrize(("asked", "own"), APIS)
def test_a_server_is_asked_for_once(asked: Any, own: Any) -> None:
    with pytest.raises(BadRequest) as caught:
        asked(tools=[FILES, own, FILES])
    assert caught.value.param == "tools[2].server_label"


@pytest.mark.parametrize(("asked", "own"), APIS)
@pytest.mark.parametrize("value", [0, -1, "1"])
def test_the_bound_on_rounds_is_a_number(asked: Any, own: Any, value: Any) -> None:
    assert asked(max_tool_rounds=3).max_tool_rounds == 3
    with pytest.raises(BadRequest) as caught:
        asked(max_tool_rounds=value)
    assert caught.value.param == "max_tool_rounds"


def test_what_may_be_chosen_is_checked_when_the_servers_tools_are_known() -> None:
    read = {"type": "function", "function": {"name": "read"}}
    assert chat(tools=[FILES], tool_choice=read).allowed_tools == {"read"}
    with pytest.raises(BadRequest, match="not among the tools"):
        chat(tools=[WEATHER], tool_choice=read)


@pytest.mark.parametrize(
    ("choice", "names", "servers", "mode"),
    [
        ("required", None, set(), "required"),
        ({"type": "mcp", "server_label": "files"}, set(), {"files"}, "required"),
        ({"type": "mcp", "server_label": "files", "name": "read/all"}, {"files__read_all"}, set(), "required"),
        (
            {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "mcp", "server_label": "files"}, {"type": "function", "name": "get_weather"}],
            },
            {"get_weather"},
            {"files"},
            "auto",
        ),
    ],
)
def test_a_choice_may_name_a_server_or_a_tool_of_one(choice: Any, names: Any, servers: set[str], mode: str) -> None:
    turn = response(tools=[FILES, FLAT], tool_choice=choice)
    assert (turn.allowed_tools, turn.allowed_servers, turn.tool_choice) == (names, servers, mode)


def test_a_choice_of_a_server_needs_its_label() -> None:
    with pytest.raises(BadRequest) as caught:
        response(tools=[FILES], tool_choice={"type": "mcp"})
    assert caught.value.param == "tool_choice.server_label"


HISTORY = [
    ChatMessage("assistant", tool_calls=(ToolCall("call_1", "read_all", '{"a":1}'), ToolCall("call_2", "read", "{}"))),
    ChatMessage("tool", (TextPart("one"),), tool_call_id="call_1"),
    ChatMessage("tool", (TextPart("Error: two"),), tool_call_id="call_2"),
]


def test_calls_that_the_server_ran_come_back_as_the_model_wrote_and_read_them() -> None:
    common = {"type": "mcp", "server_label": "files", "index": 0, "round": 0}
    calls = [
        {**common, "id": "call_1", "name": "read/all", "arguments": '{"a":1}', "output": "one"},
        {**common, "id": "call_2", "name": "read", "arguments": "{}", "error": "two"},
    ]
    answer = {"role": "assistant", "content": "Done.", "server_tool_calls": calls}
    turn = chat(messages=[USER, answer, USER])

    assert list(turn.messages[1:4]) == HISTORY
    assert turn.messages[4].text == "Done."
    assert turn.server_calls == {"call_1": ("files", "read/all"), "call_2": ("files", "read")}


def test_so_do_those_of_items() -> None:
    common = {"type": "mcp_call", "server_label": "files"}
    error = {"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": "two"}]}
    items = [
        USER,
        {"type": "mcp_list_tools", "id": "l", "server_label": "files", "tools": [{"name": "read"}]},
        {**common, "id": "m1", "call_id": "call_1", "name": "read/all", "arguments": '{"a":1}', "output": "one"},
        # All that OpenAI's SDK has of it.
        {**common, "id": "call_2", "name": "read", "arguments": "{}", "output": None, "error": error},
        {"role": "assistant", "content": "Done."},
        USER,
    ]
    turn = response(input=items)

    assert list(turn.messages[1:4]) == HISTORY
    assert turn.messages[4].text == "Done."
    assert turn.server_calls == {"call_1": ("files", "read/all"), "call_2": ("files", "read")}


@pytest.mark.parametrize("error", ["two", {"type": "http_error", "code": 500, "message": "two"}, {"content": "two"}])
def test_an_error_is_read_in_any_of_its_forms(error: Any) -> None:
    item = {"type": "mcp_call", "server_label": "files", "id": "x", "name": "read", "arguments": "{}", "error": error}
    assert response(input=[USER, item]).messages[-1].text == "Error: two"


@pytest.mark.parametrize("missing", ["id", "name", "server_label", "arguments"])
def test_a_call_that_is_not_whole_is_refused(missing: str) -> None:
    item = {"type": "mcp_call", "server_label": "files", "id": "x", "name": "read", "arguments": "{}"}
    with pytest.raises(BadRequest) as caught:
        response(input=[USER, {**item, missing: None}])
    assert caught.value.param == f"input[1].{missing}"
    ItemIn.model_validate(item)
