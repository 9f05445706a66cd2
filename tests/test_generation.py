"""``generate`` and ``stream`` against a server that is played by httpx's own mock transport."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from lemonade_like import Generation, GenerationError, agenerate, astream, generate, stream
from lemonade_like.generation.answer import Delta, apart
from lemonade_like.harmony.messages import ToolCall

USAGE = {"prompt_tokens": 70, "completion_tokens": 20, "total_tokens": 90}
HARMONY = [
    {"role": "assistant", "channel": "analysis", "recipient": None, "content_type": None, "content": "Hm."},
    {"role": "assistant", "channel": "commentary", "recipient": None, "content_type": None, "content": "One moment."},
    {"role": "assistant", "channel": "final", "recipient": None, "content_type": None, "content": "4"},
]


class StubServer:
    """Answers every request with what it is given, and keeps the requests."""

    def __init__(self, answer: Callable[[], httpx.Response]) -> None:
        self.requests: list[httpx.Request] = []
        self._answer = answer
        transport = httpx.MockTransport(self._handle)
        self.http = httpx.Client(transport=transport)
        self.awaited = httpx.AsyncClient(transport=transport)

    def _handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self._answer()

    @property
    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.requests[-1].content)
        return body


def completion(**message: Any) -> StubServer:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", **message}}
    return StubServer(lambda: httpx.Response(200, json={"choices": [choice], "usage": USAGE}))


def chunks(*deltas: dict[str, Any], end: str = "data: [DONE]\n\n") -> StubServer:
    events = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    events.append({"choices": [], "usage": USAGE})
    text = ": prefill 1/2\n\n" + "".join(f"data: {json.dumps(event)}\n\n" for event in events) + end
    return StubServer(lambda: httpx.Response(200, text=text))


def test_answer_reasoning_and_commentary_come_apart() -> None:
    server = completion(content="One moment.\n4", reasoning_content="Hm.", harmony=HARMONY)

    result = generate("What is 2+2?", http=server.http)

    assert (result.text, result.reasoning, result.commentary) == ("4", "Hm.", "One moment.")
    assert (result.usage, result.finish_reason) == (USAGE, "stop")
    assert [one["channel"] for one in result.messages] == ["analysis", "commentary", "final"]


def test_a_server_that_does_not_tell_channels_gives_its_content() -> None:
    result = generate("Hi", http=completion(content="Hello.", reasoning="Hm.").http)

    assert result == Generation("Hello.", "Hm.", None, finish_reason="stop", usage=USAGE)


def test_reasoning_that_is_not_captured_is_none_and_not_asked_for() -> None:
    server = completion(content="4", reasoning_content="Hm.", harmony=HARMONY[::2])

    result = generate("Hi", capture_reasoning=False, http=server.http)

    assert result.reasoning is None
    assert [one["channel"] for one in result.messages] == ["final"]
    assert server.body["include_reasoning"] is False
    assert generate("Hi", http=completion(content="4").http).reasoning == ""


def test_the_request_says_what_was_asked_for() -> None:
    server = completion(content="4")
    tools = [{"type": "function", "function": {"name": "f"}}]

    generate(
        "What is 2+2?",
        model="gpt-oss-20b-GGUF",
        base_url="http://10.0.0.1:9000/v1/",
        api_key="secret",
        reasoning_level="high",
        instructions="Be brief.",
        tools=tools,
        temperature=0,
        max_tokens=50,
        http=server.http,
    )

    request = server.requests[0]
    assert str(request.url) == "http://10.0.0.1:9000/v1/chat/completions"
    assert request.headers["authorization"] == "Bearer secret"
    assert server.body == {
        "model": "gpt-oss-20b-GGUF",
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": "What is 2+2?"},
        ],
        "include": ["harmony"],
        "reasoning_effort": "high",
        "tools": tools,
        "temperature": 0,
        "max_tokens": 50,
    }


def test_by_default_nothing_is_said_that_was_not_asked_for() -> None:
    server = completion(content="4")
    chat = [{"role": "user", "content": "Hi"}]

    generate(chat, http=server.http)

    assert server.body == {"model": "tiny-gpt-oss", "messages": chat, "include": ["harmony"]}
    assert str(server.requests[0].url) == "http://127.0.0.1:8000/v1/chat/completions"
    assert "authorization" not in server.requests[0].headers
    assert chat == [{"role": "user", "content": "Hi"}]


def test_tool_calls_are_given_as_the_model_wrote_them() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": '}}

    result = generate("Hi", http=completion(content=None, tool_calls=[call]).http)

    assert result.text == ""
    assert result.tool_calls == (ToolCall("call_1", "f", '{"a": '),)


def test_a_stream_shows_the_pieces_and_ends_with_the_whole() -> None:
    server = chunks(
        {"role": "assistant", "reasoning_content": "Hm", "reasoning": "Hm"},
        {"reasoning_content": ".", "reasoning": "."},
        {"content": "One moment."},
        {"content": "\n4"},
        {"tool_calls": [{"index": 0, "id": "call_1", "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]},
        {"harmony": HARMONY},
    )

    with stream("What is 2+2?", http=server.http) as answer:
        deltas = list(answer)

    assert deltas == [Delta(reasoning="Hm"), Delta(reasoning="."), Delta("One moment."), Delta("\n4")]
    whole = answer.result
    assert (whole.text, whole.reasoning, whole.commentary) == ("4", "Hm.", "One moment.")
    assert whole.tool_calls == (ToolCall("call_1", "f", "{}"),)
    assert (whole.usage, whole.finish_reason) == (USAGE, "stop")
    assert server.body["stream"] is True
    assert server.body["stream_options"] == {"include_usage": True}


def test_a_stream_that_was_not_read_is_read_for_its_result() -> None:
    with stream("Hi", http=chunks({"content": "Hello"}, {"content": "."}).http) as answer:
        next(iter(answer))
        assert answer.result.text == "Hello."
        assert answer.result.text == "Hello."


def test_a_stream_without_captured_reasoning_shows_none() -> None:
    with stream("Hi", capture_reasoning=False, http=chunks({"reasoning": "Hm."}, {"content": "4"}).http) as answer:
        assert list(answer) == [Delta("4")]
    assert answer.result.reasoning is None


def test_a_stream_that_breaks_off_is_an_error() -> None:
    server = chunks({"content": "Hel"}, end="")

    with stream("Hi", http=server.http) as answer, pytest.raises(GenerationError, match="ended before the answer did"):
        list(answer)


def test_an_error_within_a_stream_is_raised() -> None:
    broken = 'data: {"error": {"message": "The engine died.", "type": "server_error", "code": "engine_failure"}}\n\n'
    server = StubServer(lambda: httpx.Response(200, text=broken))

    with stream("Hi", http=server.http) as answer, pytest.raises(GenerationError, match="engine died") as failure:
        list(answer)
    assert failure.value.code == "engine_failure"


@pytest.mark.parametrize("ask", [generate, lambda *a, **k: stream(*a, **k).__enter__()], ids=["whole", "stream"])
def test_the_servers_own_error_is_told(ask: Callable[..., Any]) -> None:
    error = {"error": {"message": "There is no model 'x'.", "code": "model_not_found", "type": "t", "param": None}}
    server = StubServer(lambda: httpx.Response(404, json=error))

    with pytest.raises(GenerationError, match="no model 'x'") as refused:
        ask("Hi", http=server.http)
    assert (refused.value.status, refused.value.code) == (404, "model_not_found")


def _raise(error: Exception) -> httpx.Response:
    raise error


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda: httpx.Response(502, text="<html>"), "status 502 and no error that can be read"),
        (lambda: httpx.Response(200, text="<html>"), "no JSON object"),
        (lambda: httpx.Response(200, json={"choices": []}), "no choices"),
        (lambda: _raise(httpx.ConnectError("refused")), "lemonade-like serve"),
        (lambda: _raise(httpx.ReadTimeout("")), "said nothing for 600 seconds"),
        (lambda: _raise(httpx.RemoteProtocolError("gone")), "broke: gone"),
    ],
)
def test_what_goes_wrong_is_said_with_what_to_do(answer: Callable[[], httpx.Response], said: str) -> None:
    with pytest.raises(GenerationError, match=said):
        generate("Hi", http=StubServer(answer).http)


def test_nobody_there_is_said_with_the_address() -> None:
    with pytest.raises(GenerationError, match=r"No server answers at http://127.0.0.1:1/v1"):
        generate("Hi", base_url="http://127.0.0.1:1/v1")


def _said(channel: str | None, content: str, recipient: str | None = None) -> dict[str, Any]:
    return {"role": "assistant", "channel": channel, "recipient": recipient, "content": content}


@pytest.mark.parametrize(
    ("content", "messages", "text", "commentary"),
    [
        ("4", [_said("final", "4")], "4", ""),
        ("Look.\n4", [_said("commentary", "Look."), _said("final", "4")], "4", "Look."),
        ("4\nDone.", [_said("final", "4"), _said("commentary", "Done.")], "4", "Done."),
        ("Look.", [_said("commentary", "Look."), _said("commentary", "{}", "functions.f")], "", "Look."),
        ("Look.\n4\n5", [_said("commentary", "Look."), _said("final", "4"), _said(None, "5")], "4\n5", "Look."),
        # A stop string cut the content and not the messages.
        ("Look.\nOne, ", [_said("commentary", "Look."), _said("final", "One, two.")], "One, ", "Look."),
        ("Lo", [_said("commentary", "Look."), _said("final", "4")], "", "Lo"),
        # What does not go together is not taken apart.
        ("Look.\n4", [_said("commentary", "Other."), _said("final", "4")], "Look.\n4", None),
        ("Look.\n4 and more", [_said("commentary", "Look."), _said("final", "4")], "Look.\n4 and more", None),
    ],
)
def test_commentary_is_taken_out_of_the_content(
    content: str, messages: list[dict[str, Any]], text: str, commentary: str | None
) -> None:
    assert apart(content, messages) == (text, commentary)


async def test_within_an_event_loop_it_is_the_same() -> None:
    server = completion(content="One moment.\n4", reasoning_content="Hm.", harmony=HARMONY)
    asked: dict[str, Any] = {
        "prompt": "What is 2+2?",
        "reasoning_level": "high",
        "seed": 3,
        "instructions": "Be brief.",
    }

    assert await agenerate(**asked, http=server.awaited) == generate(**asked, http=server.http)
    first, second = server.requests
    assert (first.content, first.url) == (second.content, second.url)


async def test_within_an_event_loop_a_stream_is_the_same() -> None:
    server = chunks({"reasoning_content": "Hm."}, {"content": "4"}, {"content": "2"})
    async with astream("Hi", http=server.awaited) as answer:
        deltas = [delta async for delta in answer]
    with stream("Hi", http=server.http) as other:
        assert deltas == list(other)
    assert await answer.result() == other.result

    async with astream("Hi", http=server.awaited) as unread:
        assert await unread.result() == other.result


async def test_within_an_event_loop_errors_say_the_same() -> None:
    refused = StubServer(lambda: httpx.Response(400, json={"error": {"message": "No.", "code": "x"}}))
    broken = chunks({"content": "4"}, end="")
    with pytest.raises(GenerationError, match="No\\.") as said:
        await agenerate("Hi", http=refused.awaited)
    assert (said.value.status, said.value.code) == (400, "x")
    with pytest.raises(GenerationError, match="No\\."):
        async with astream("Hi", http=refused.awaited):
            raise AssertionError("nothing to stream")
    with pytest.raises(GenerationError, match="ended before"):
        async with astream("Hi", http=broken.awaited) as answer:
            await answer.result()
    with pytest.raises(GenerationError, match="lemonade-like serve"):
        await agenerate("Hi", base_url="http://127.0.0.1:9/v1")
