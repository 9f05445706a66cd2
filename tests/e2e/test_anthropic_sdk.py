"""Anthropic's SDK, pointed at a real server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anthropic
import httpx
import pytest

from tests.support.checked import anthropic_client, async_anthropic_client
from tests.support.messages import WEATHER, checked, events_of, put_together

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from anthropic.types import Message, MessageParam

TINY = "tiny-gpt-oss"
#: The newest SDK has no arguments for sampling any more; servers take them all the same.
GREEDY = {"temperature": 0}


@pytest.fixture(scope="module")
def client(server: str) -> Iterator[anthropic.Anthropic]:
    """The real SDK, blocking; each answer is checked strictly."""
    with anthropic_client(server) as client:
        yield client


@pytest.fixture
async def async_client(server: str) -> AsyncIterator[anthropic.AsyncAnthropic]:
    """The real SDK, asynchronous; each answer is checked strictly."""
    async with async_anthropic_client(server) as client:
        yield client


def request(text: str | list[MessageParam], **more: Any) -> Any:
    """The arguments of a request whose answer can be foretold."""
    messages = [{"role": "user", "content": text}] if isinstance(text, str) else text
    return {"model": TINY, "max_tokens": 500, "messages": messages, "extra_body": GREEDY, **more}


def ask(client: anthropic.Anthropic, text: str | list[MessageParam], **more: Any) -> Message:
    """Ask for a whole message, and check it strictly."""
    raw = client.messages.with_raw_response.create(**request(text, **more))
    checked(json.loads(raw.text()))
    assert raw.headers["request-id"]
    return raw.parse()


def said(message: Any, kind: str = "text") -> str:
    """The text of all blocks of a kind."""
    return "".join(getattr(block, kind) for block in message.content if block.type == kind)


def calls(message: Any) -> list[Any]:
    """The calls of a message."""
    return [block for block in message.content if block.type == "tool_use"]


def whole_prompt(usage: Any) -> int:
    """All tokens of the prompt, as Anthropic counts them."""
    total: int = usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens
    return total


def test_a_question_is_answered_after_thinking(client: anthropic.Anthropic) -> None:
    message = ask(client, "What is 2+2?")

    assert [block.type for block in message.content] == ["thinking", "text"]
    assert said(message, "thinking")
    assert "4" in said(message)
    assert (message.stop_reason, message.stop_sequence) == ("end_turn", None)
    assert message.usage.output_tokens_details is not None
    assert 0 < message.usage.output_tokens_details.thinking_tokens < message.usage.output_tokens


def test_more_effort_is_more_thinking(client: anthropic.Anthropic) -> None:
    lengths = [
        len(said(ask(client, "What is 2+2?", output_config={"effort": effort}), "thinking"))
        for effort in ("low", "medium", "high")
    ]
    assert lengths == sorted(set(lengths))


def test_thinking_that_is_disabled_does_not_happen(client: anthropic.Anthropic) -> None:
    message = ask(client, "What is 2+2?", thinking={"type": "disabled"})

    assert [block.type for block in message.content] == ["text"]
    assert "4" in said(message)
    assert message.usage.output_tokens_details is not None
    assert message.usage.output_tokens_details.thinking_tokens == 0


def test_thinking_has_a_budget(client: anthropic.Anthropic) -> None:
    free = ask(client, "What is 2+2?", output_config={"effort": "high"})
    bound = ask(
        client, "What is 2+2?", output_config={"effort": "high"}, thinking={"type": "enabled", "budget_tokens": 5}
    )

    assert len(said(bound, "thinking")) < len(said(free, "thinking"))
    assert said(bound)


def test_thinking_can_be_kept_from_the_answer(client: anthropic.Anthropic) -> None:
    message = ask(client, "What is 2+2?", thinking={"type": "adaptive", "display": "omitted"})

    assert [block.type for block in message.content] == ["thinking", "text"]
    assert said(message, "thinking") == ""
    assert message.usage.output_tokens_details is not None
    assert message.usage.output_tokens_details.thinking_tokens > 0


def test_a_stream_is_the_whole_message(client: anthropic.Anthropic, server: str) -> None:
    body = {"model": TINY, "max_tokens": 500, "messages": [{"role": "user", "content": "Hello"}], **GREEDY}
    answer = httpx.post(f"{server}/v1/messages?beta=true", json={**body, "stream": True}, timeout=60)
    message = checked(put_together(events_of(answer.content)))

    whole = ask(client, "Hello")
    assert message["content"] == [block.model_dump(exclude_none=True) for block in whole.content]
    assert message["stop_reason"] == whole.stop_reason


def test_the_streaming_helper_tells_text_and_thinking(client: anthropic.Anthropic) -> None:
    with client.messages.stream(**request("What is 2+2?")) as stream:
        told: dict[str, str] = {"text": "", "thinking": ""}
        for event in stream:
            if event.type == "text":
                told["text"] += event.text
            elif event.type == "thinking":
                told["thinking"] += event.thinking
        final = stream.get_final_message()

    assert told == {kind: said(final, kind) for kind in told}
    assert final.usage.output_tokens > 0
    assert whole_prompt(final.usage) > 0


async def test_the_asynchronous_client_streams(async_client: anthropic.AsyncAnthropic) -> None:
    async with async_client.messages.stream(**request("Hello")) as stream:
        text = "".join([text async for text in stream.text_stream])
    whole = await async_client.messages.create(**request("Hello"))

    assert text == said(whole)


def test_the_beta_client_is_answered_too(client: anthropic.Anthropic) -> None:
    message = client.beta.messages.create(**request("What is 2+2?"), betas=["interleaved-thinking-2025-05-14"])

    assert "4" in said(message)


@pytest.mark.parametrize("send_thinking", [True, False])
@pytest.mark.parametrize("display", ["summarized", "omitted"])
def test_a_tool_loop_ends_in_an_answer_and_reads_nothing_again(
    client: anthropic.Anthropic, send_thinking: bool, display: str
) -> None:
    messages: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
    options: Any = {"tools": [WEATHER], "thinking": {"type": "adaptive", "display": display}}
    first = ask(client, messages, **options)
    (call,) = calls(first)
    assert (first.stop_reason, call.name, call.input) == ("tool_use", "get_weather", {"location": "Paris"})
    assert call.id.startswith("toolu_")

    sent = [block for block in first.content if send_thinking or block.type != "thinking"]
    result = {"type": "tool_result", "tool_use_id": call.id, "content": '{"temperature": 22, "condition": "sunny"}'}
    messages += [{"role": "assistant", "content": sent}, {"role": "user", "content": [result]}]
    second = ask(client, messages, **options)

    assert second.stop_reason == "end_turn"
    assert "Paris" in said(second)
    assert second.usage.cache_read_input_tokens is not None
    assert second.usage.cache_read_input_tokens >= whole_prompt(first.usage) + first.usage.output_tokens - 1


def test_the_sdk_runs_a_tool_loop_itself(client: anthropic.Anthropic) -> None:
    asked: list[str] = []

    @anthropic.beta_tool
    def get_weather(location: str) -> str:
        """Get the current weather in a city.

        Args:
            location: The city.
        """
        asked.append(location)
        return '{"temperature": 22, "condition": "sunny"}'

    runner = client.beta.messages.tool_runner(**request("What is the weather in Tokyo?", tools=[get_weather]))
    answer = runner.until_done()

    assert asked == ["Tokyo"]
    assert "Tokyo" in said(answer)


def test_the_streaming_helper_puts_a_call_together(client: anthropic.Anthropic) -> None:
    with client.messages.stream(**request("What is the weather in Tokyo?", tools=[WEATHER])) as stream:
        inputs = [event.snapshot for event in stream if event.type == "input_json"]
        final = stream.get_final_message()

    assert inputs[-1] == calls(final)[0].input == {"location": "Tokyo"}


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "get_weather"}], ids=str)
def test_a_tool_that_is_wanted_is_called_whatever_was_asked(client: anthropic.Anthropic, choice: Any) -> None:
    message = ask(client, "Hello", tools=[WEATHER], tool_choice={**choice, "disable_parallel_tool_use": True})

    assert message.stop_reason == "tool_use"
    (call,) = calls(message)
    assert call.name == "get_weather"
    assert isinstance(call.input["location"], str)


def test_a_tool_that_is_forbidden_is_not_called(client: anthropic.Anthropic) -> None:
    message = ask(client, "What is the weather in Tokyo?", tools=[WEATHER], tool_choice={"type": "none"})

    assert calls(message) == []


def test_the_form_of_the_answer_is_held_to(client: anthropic.Anthropic) -> None:
    schema = {
        "type": "object",
        "properties": {"sum": {"type": "integer", "minimum": 0, "maximum": 99}},
        "required": ["sum"],
        "additionalProperties": False,
    }
    wanted: Any = {"format": {"type": "json_schema", "schema": schema}}
    answer = json.loads(said(ask(client, "What is 2+2?", output_config=wanted)))

    assert list(answer) == ["sum"]
    assert 0 <= answer["sum"] <= 99


def test_stop_sequences_cut_the_answer_and_not_the_thinking(client: anthropic.Anthropic) -> None:
    free = ask(client, "What is 2+2?")
    cut = ask(client, "What is 2+2?", stop_sequences=["4"])

    assert said(cut, "thinking") == said(free, "thinking")
    assert said(cut) == said(free).partition("4")[0]
    assert (cut.stop_reason, cut.stop_sequence) == ("stop_sequence", "4")


def test_max_tokens_cuts(client: anthropic.Anthropic) -> None:
    message = ask(client, "What is 2+2?", max_tokens=5)

    assert (message.stop_reason, message.usage.output_tokens) == ("max_tokens", 5)


def test_an_answer_that_has_begun_is_continued(client: anthropic.Anthropic) -> None:
    begun = "Hello! How"
    message = ask(client, [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": begun}])

    assert [block.type for block in message.content] == ["text"]
    assert begun + said(message) == said(ask(client, "Hello"))


def test_the_count_is_what_the_prompt_then_has(client: anthropic.Anthropic) -> None:
    conversation: Any = {
        "model": TINY,
        "system": [{"type": "text", "text": "Be brief."}],
        "messages": [{"role": "user", "content": "What is the weather in Tokyo?"}],
        "tools": [WEATHER],
    }
    counted = client.messages.count_tokens(**conversation)
    message = client.messages.create(**conversation, max_tokens=5)

    assert counted.input_tokens == whole_prompt(message.usage)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("wrong", "error", "kind", "says"),
    [
        ({"model": "claude-haiku-4-5"}, anthropic.NotFoundError, "not_found_error", "ANTHROPIC_DEFAULT_HAIKU_MODEL"),
        ({"max_tokens": 0}, anthropic.BadRequestError, "invalid_request_error", "'max_tokens'"),
        ({"messages": []}, anthropic.BadRequestError, "invalid_request_error", "'messages'"),
        ({"extra_body": {"temperature": "hot"}}, anthropic.BadRequestError, "invalid_request_error", "'temperature'"),
        (
            {"messages": [{"role": "user", "content": "word " * 40_000}]},
            anthropic.BadRequestError,
            "invalid_request_error",
            "prompt is too long",
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}],
                    }
                ]
            },
            anthropic.BadRequestError,
            "invalid_request_error",
            "messages[0] has a part of type 'image', but this model reads text only",
        ),
        (
            {"tools": [{**WEATHER, "strict": True, "input_schema": {"type": "object", "not": {}}}]},
            anthropic.BadRequestError,
            "invalid_request_error",
            "'tools[0].input_schema.not'",
        ),
        (
            {"tools": [{"type": "bash_20250124", "name": "bash"}]},
            anthropic.BadRequestError,
            "invalid_request_error",
            "'tools[0].type'",
        ),
    ],
    ids=lambda value: str(value)[:30],
)
def test_bad_input_is_refused_by_name_and_the_server_lives_on(
    client: anthropic.Anthropic, wrong: Any, error: type[Exception], kind: str, says: str, stream: bool
) -> None:
    with pytest.raises(error) as caught:
        client.messages.create(**request("Hello", **wrong), stream=stream)

    assert isinstance(caught.value, anthropic.APIStatusError)
    assert (caught.value.type, says in (caught.value.api_message or "")) == (kind, True)
    assert caught.value.request_id
    assert said(ask(client, "Hello"))


class TestOtherModels:
    """Models that are no GPT-OSS go through llama.cpp's own template, with the same messages' shape."""

    def test_streamed_and_whole_are_the_same(self, client: anthropic.Anthropic, smollm: Path) -> None:
        question = request("What is the capital of France?", model=smollm.stem, max_tokens=24)
        whole = client.messages.create(**question)
        with client.messages.stream(**question) as stream:
            final = stream.get_final_message()

        assert said(whole)
        assert said(final) == said(whole)
        assert (final.stop_reason, final.usage.output_tokens) == (whole.stop_reason, whole.usage.output_tokens)

    def test_the_count_is_what_the_prompt_then_has(self, client: anthropic.Anthropic, smollm: Path) -> None:
        messages: Any = [{"role": "user", "content": "What is the capital of France?"}]
        counted = client.messages.count_tokens(model=smollm.stem, messages=messages)
        message = client.messages.create(model=smollm.stem, messages=messages, max_tokens=1)

        assert counted.input_tokens == whole_prompt(message.usage)


def _as_claude_code_asks(number: int) -> Any:
    """A request in the manner of Claude Code 2.1.197 in the middle of its work; ``number`` tells one from the next."""
    cached = {"cache_control": {"type": "ephemeral"}}
    tools = [
        WEATHER,
        *(
            {
                "name": f"mcp__workspace__tool_{place}",
                "description": "Does something with files.\n\nUsage:\n- The path must be absolute.\n- Read it first.",
                "input_schema": {
                    "$schema": "https://json-schema.org/draft/2020-12/schema",
                    "type": "object",
                    "properties": {
                        "file_path": {"type": "string", "description": "The absolute path"},
                        "edits": {
                            "type": "array",
                            "minItems": 1,
                            "items": {
                                "type": "object",
                                "properties": {
                                    "old": {"type": "string"},
                                    "new": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                                    "all": {"type": "boolean", "default": False},
                                },
                                "required": ["old", "new"],
                                "additionalProperties": False,
                            },
                        },
                        "mode": {"enum": ["content", "files", "count"]},
                        "-A": {"type": "number", "exclusiveMinimum": 0},
                        "meta": {"type": "object", "propertyNames": {"type": "string"}, "additionalProperties": {}},
                    },
                    "required": ["file_path"],
                    "additionalProperties": False,
                },
            }
            for place in range(16)
        ),
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 8},
    ]
    tools[-2] = {**tools[-2], **cached}
    asked = [
        {"type": "text", "text": "<system-reminder>\nThe plan is empty.\n</system-reminder>"},
        {"type": "text", "text": "What is the weather in Tokyo and Paris?", **cached},
    ]
    called = [
        {"type": "thinking", "thinking": "Two cities, two calls.", "signature": "EqQBCgIYAhIM"},
        {"type": "text", "text": "Let me look."},
        {"type": "tool_use", "id": "toolu_01A", "name": "get_weather", "input": {"location": "Tokyo"}},
        {"type": "tool_use", "id": "toolu_01B", "name": "get_weather", "input": {"location": "Paris"}},
    ]
    answered = [
        {"type": "tool_result", "tool_use_id": "toolu_01A", "content": '{"condition": "sunny"}'},
        {
            "type": "tool_result",
            "tool_use_id": "toolu_01B",
            "is_error": True,
            "content": [{"type": "text", "text": "<tool_use_error>No such city</tool_use_error>"}],
            **cached,
        },
        {"type": "text", "text": "<system-reminder>\nDo not mention this.\n</system-reminder>", **cached},
    ]
    billing = f"x-anthropic-billing-header: cc_version=2.1.177.01c; cc_entrypoint=cli; cch={number:05x};"
    return {
        "model": TINY,
        "max_tokens": 32_000,
        "system": [
            {"type": "text", "text": billing},
            {"type": "text", "text": "You are a coding agent for the command line.", **cached},
            {
                "type": "text",
                "text": "# Rules\n" + "- Be brief, and never guess what a tool can tell.\n" * 100,
                **cached,
            },
        ],
        "messages": [
            {"role": "user", "content": asked},
            {"role": "assistant", "content": called},
            {"role": "user", "content": answered},
            {"role": "system", "content": "Available agent types for the Agent tool:\n- claude: Catch-all"},
        ],
        "tools": tools,
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "high"},
        "metadata": {"user_id": '{"device_id":"d16dfc09","account_uuid":"","session_id":"7b17ab41"}'},
        "betas": [
            *("claude-code-20250219", "interleaved-thinking-2025-05-14", "thinking-token-count-2026-05-13"),
            *("context-management-2025-06-27", "prompt-caching-scope-2026-01-05"),
            *("mid-conversation-system-2026-04-07", "effort-2025-11-24"),
        ],
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "extra_body": {**GREEDY, "max_tokens": 60},
    }


def test_claude_code_is_answered_and_its_prompt_is_read_once(client: anthropic.Anthropic) -> None:
    usages = []
    for number in (1, 2):
        with client.beta.messages.stream(**_as_claude_code_asks(number)) as stream:
            message = stream.get_final_message()
        assert message.content
        usages.append(message.usage)

    assert whole_prompt(usages[0]) == whole_prompt(usages[1]) > 2_000
    assert (usages[1].cache_read_input_tokens or 0) > 0.9 * whole_prompt(usages[1])
