"""The OpenAI SDK's Responses API, pointed at a real server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import openai
import pytest
from openai.types.responses import ResponseItemList
from pydantic import BaseModel, Field

from tests.support.responses import WEATHER, checked, events_of, put_together

if TYPE_CHECKING:
    from pathlib import Path

    from openai.types.responses import Response

TINY = "tiny-gpt-oss"
QUESTION = "What is the weather in Tokyo?"


def ask(client: openai.OpenAI, said: Any, **more: Any) -> Response:
    """A whole response that can be foretold, checked strictly."""
    raw = client.responses.with_raw_response.create(model=TINY, input=said, temperature=0, **more)
    checked(raw.http_response.json())
    return raw.parse()


def streamed(server: str, **body: Any) -> dict[str, Any]:
    """The same from a stream, each event checked strictly."""
    answer = httpx.post(
        f"{server}/v1/responses", json={"model": TINY, "temperature": 0, **body, "stream": True}, timeout=60
    )
    assert answer.headers["content-type"].startswith("text/event-stream")
    return put_together(events_of(answer.content))


def reasoning(response: Any) -> str:
    """What was thought."""
    return "".join(part.text for item in response.output if item.type == "reasoning" for part in item.content)


def calls(response: Any) -> list[Any]:
    """The calls of functions."""
    return [item for item in response.output if item.type == "function_call"]


def result(call: Any) -> dict[str, Any]:
    """What the tool returned."""
    output = json.dumps({"temperature": 22, "condition": "sunny"})
    return {"type": "function_call_output", "call_id": call.call_id, "output": output}


def test_a_question_is_answered_after_reasoning(client: openai.OpenAI) -> None:
    response = ask(client, "What is 2+2?")

    assert [item.type for item in response.output] == ["reasoning", "message"]
    assert reasoning(response)
    assert "4" in response.output_text
    assert response.status == "completed"
    assert response.usage is not None
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens
    assert 0 < response.usage.output_tokens_details.reasoning_tokens < response.usage.output_tokens


def test_a_stream_says_what_the_whole_response_says(client: openai.OpenAI, server: str) -> None:
    for said, more in ((QUESTION, {"tools": [WEATHER]}), ("What is 2+2?", {})):
        at_once, in_pieces = ask(client, said, **more), streamed(server, input=said, **more)

        assert [item.type for item in at_once.output] == [item["type"] for item in in_pieces["output"]]
        kept = json.loads(at_once.model_dump_json())["output"]
        for one, other in zip(kept, in_pieces["output"], strict=True):
            for field in ("content", "name", "arguments", "status", "phase"):
                assert one.get(field) == other.get(field), field
        assert at_once.usage is not None
        assert at_once.usage.output_tokens == in_pieces["usage"]["output_tokens"]


def test_the_helper_for_streams_ends_with_the_response(client: openai.OpenAI) -> None:
    text, thought = "", ""
    with client.responses.stream(model=TINY, input="What is 2+2?", temperature=0) as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                text += event.delta
            elif event.type == "response.reasoning_text.delta":
                thought += event.delta
        final = stream.get_final_response()

    assert final.output_text == text
    assert reasoning(final) == thought
    assert "4" in text


async def test_the_asynchronous_client_streams(async_client: openai.AsyncOpenAI) -> None:
    stream = await async_client.responses.create(model=TINY, input="Hello", temperature=0, stream=True)
    events = [event async for event in stream]

    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text


class Capital(BaseModel):
    """An answer in a form. Without bounds a model as small as this may write a word that never ends."""

    country: str = Field(max_length=60)
    capital: str = Field(max_length=60)


def test_an_answer_is_parsed_as_a_pydantic_model(client: openai.OpenAI) -> None:
    response = client.responses.parse(
        model=TINY, input="What is the capital of France?", text_format=Capital, temperature=0, max_output_tokens=800
    )

    assert isinstance(response.output_parsed, Capital)


def test_an_answer_may_have_to_be_any_json_object(client: openai.OpenAI) -> None:
    response = ask(client, "Give me a JSON object", text={"format": {"type": "json_object"}}, max_output_tokens=800)

    assert isinstance(json.loads(response.output_text), dict)


def test_a_tool_loop_goes_on_by_the_id_of_the_response(client: openai.OpenAI) -> None:
    first = ask(client, QUESTION, tools=[WEATHER])
    (call,) = calls(first)
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"location": "Tokyo"})

    second = ask(client, [result(call)], tools=[WEATHER], previous_response_id=first.id)

    assert "Tokyo" in second.output_text
    assert second.previous_response_id == first.id
    assert first.usage is not None and second.usage is not None
    # What was generated is replayed as it was, so that the engine reads nothing again.
    kept = first.usage.input_tokens + first.usage.output_tokens - 1
    assert second.usage.input_tokens_details.cached_tokens >= kept


@pytest.mark.parametrize("how", ["whole items", "without reasoning", "encrypted reasoning", "references"])
def test_a_tool_loop_goes_on_with_all_items(client: openai.OpenAI, how: str) -> None:
    include: Any = ["reasoning.encrypted_content"] if how == "encrypted reasoning" else []
    first = ask(client, QUESTION, tools=[WEATHER], store=how == "references", include=include)
    (call,) = calls(first)
    items: list[Any] = [item.model_dump(exclude_none=True) for item in first.output]
    if how == "without reasoning":
        items = [item for item in items if item["type"] != "reasoning"]
    elif how == "encrypted reasoning":
        # As Codex does.
        items = [{name: value for name, value in item.items() if name != "content"} for item in items]
    elif how == "references":
        items = [{"type": "item_reference", "id": item["id"]} for item in items]

    second = ask(client, [{"role": "user", "content": QUESTION}, *items, result(call)], tools=[WEATHER], store=False)

    assert "Tokyo" in second.output_text
    assert first.usage is not None and second.usage is not None
    kept = first.usage.input_tokens + first.usage.output_tokens - 1
    assert second.usage.input_tokens_details.cached_tokens >= kept


def test_a_conversation_goes_on_and_instructions_do_not(client: openai.OpenAI) -> None:
    def counted(**body: Any) -> int:
        return client.responses.input_tokens.count(model=TINY, **body).input_tokens

    first = ask(client, "Hello", instructions="Answer as a pirate would, arrr. " * 10)
    second = ask(client, "What is 2+2?", previous_response_id=first.id)
    whole = [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": first.output_text},
        {"role": "user", "content": "What is 2+2?"},
    ]

    assert second.instructions is None
    assert second.usage is not None
    assert second.usage.input_tokens == counted(input=whole)
    assert second.usage.input_tokens == counted(input="What is 2+2?", previous_response_id=first.id)


def test_a_response_is_retrieved_listed_and_deleted(client: openai.OpenAI, server: str) -> None:
    said: Any = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
    response = ask(client, said, metadata={"a": "b"})

    assert client.responses.retrieve(response.id) == response
    listed = client.responses.input_items.list(response.id, order="asc")
    assert [item.content[0].text for item in listed.data] == ["Be brief.", "Hello"]  # type: ignore[union-attr]
    page = httpx.get(f"{server}/v1/responses/{response.id}/input_items?limit=1")
    ResponseItemList.model_validate_json(page.content, strict=True)
    assert page.json()["has_more"] is True
    newest_first = [item.id for item in client.responses.input_items.list(response.id, limit=1)]
    assert newest_first == [item.id for item in listed.data][::-1]

    client.responses.delete(response.id)
    with pytest.raises(openai.NotFoundError, match="not found"):
        client.responses.retrieve(response.id)
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, "And?", previous_response_id=response.id)
    assert (caught.value.code, caught.value.param) == ("previous_response_not_found", "previous_response_id")


def test_a_response_that_is_not_to_be_kept_is_not(client: openai.OpenAI) -> None:
    response = ask(client, "Hello", store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id)


def test_a_streamed_response_is_kept_before_its_end_is_told(client: openai.OpenAI) -> None:
    for event in client.responses.create(model=TINY, input="Hello", temperature=0, stream=True):
        if event.type == "response.completed":
            assert client.responses.retrieve(event.response.id) == event.response


def test_max_output_tokens_makes_it_incomplete(client: openai.OpenAI, server: str) -> None:
    response = ask(client, "What is 2+2?", max_output_tokens=5)
    assert (response.status, response.usage and response.usage.output_tokens) == ("incomplete", 5)
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    assert streamed(server, input="What is 2+2?", max_output_tokens=5)["status"] == "incomplete"


def test_effort_says_how_much_is_reasoned(client: openai.OpenAI) -> None:
    lengths = [
        len(reasoning(ask(client, "What is 2+2?", reasoning={"effort": effort})))
        for effort in ("none", "low", "medium", "high")
    ]
    assert lengths[0] == 0
    assert lengths == sorted(set(lengths))


@pytest.mark.parametrize(
    "choice",
    [
        "required",
        {"type": "function", "name": "get_weather"},
        {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "get_weather"}]},
    ],
    ids=["required", "by name", "allowed"],
)
def test_a_tool_that_must_be_called_is_called_whatever_was_asked(client: openai.OpenAI, choice: Any) -> None:
    other = {**WEATHER, "name": "other"}
    tools = [WEATHER] if choice == "required" else [other, WEATHER]
    response = ask(client, "Hello", tools=tools, tool_choice=choice, max_output_tokens=400)

    assert [call.name for call in calls(response)] == ["get_weather"]


def test_a_tool_that_is_forbidden_is_not_called(client: openai.OpenAI) -> None:
    assert not calls(ask(client, QUESTION, tools=[WEATHER], tool_choice="none", max_output_tokens=200))


def test_a_custom_tool_is_called_with_text(client: openai.OpenAI) -> None:
    patch: Any = {"type": "custom", "name": "apply_patch", "description": "Edits files."}
    response = ask(
        client, "Hello", tools=[patch], tool_choice={"type": "custom", "name": "apply_patch"}, max_output_tokens=400
    )

    (call,) = [item for item in response.output if item.type == "custom_tool_call"]
    assert call.name == "apply_patch"
    again: Any = {"type": "custom_tool_call_output", "call_id": call.call_id, "output": "Done."}
    second = ask(client, [again], tools=[patch], previous_response_id=response.id, max_output_tokens=400)
    assert second.output


def test_log_probabilities_are_there_for_the_answer(client: openai.OpenAI) -> None:
    response = ask(client, "What is 2+2?", top_logprobs=2, include=["message.output_text.logprobs"])
    message = response.output[-1]
    assert message.type == "message"
    part = message.content[0]
    assert part.type == "output_text" and part.logprobs
    assert "".join(one.token for one in part.logprobs) == part.text
    assert all(one.logprob <= 0 and len(one.top_logprobs) == 2 for one in part.logprobs)


def _text(kind: str, *texts: str) -> list[dict[str, Any]]:
    return [{"type": kind, "text": text} for text in texts]


def _message(role: str, *texts: str) -> dict[str, Any]:
    return {"type": "message", "id": f"msg_{role}", "role": role, "content": _text("input_text", *texts)}


def _as_codex_asks(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A request in the manner of Codex 0.171; the tools of an MCP server come in a namespace."""
    command = {"type": "object", "properties": {"cmd": {"type": "string"}}, "required": ["cmd"]}
    shell = {"type": "function", "name": "exec_command", "description": "Runs it.", "strict": False}
    grammar = {"type": "grammar", "syntax": "lark", "definition": 'start: "*** Begin Patch" LF'}
    session = "01a21fdb-9239-7871-8793-036177c260ca"
    return {
        "model": TINY,
        "input": [
            _message("developer", "You are a coding agent in a terminal."),
            _message("developer", "<skills_instructions>", "<permissions instructions>"),
            _message("user", "<environment_context>\n  <cwd>/work</cwd>\n</environment_context>"),
            *items,
        ],
        "tools": [
            {**shell, "parameters": {**command, "additionalProperties": False}},
            {"type": "custom", "name": "apply_patch", "description": "Edits files.", "format": grammar},
            {"type": "namespace", "name": "mcp__sky", "description": "Tools of a server.", "tools": [WEATHER]},
            {"type": "local_shell"},
            {"type": "web_search", "external_web_access": False},
        ],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "reasoning": {"effort": "low", "summary": "auto"},
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": session,
        "client_metadata": {"session_id": session, "x-codex-turn-metadata": "{}"},
        "text": {"verbosity": "medium"},
        "max_output_tokens": 300,
        **more,
    }


def test_codex_is_answered_and_goes_on_from_what_it_was_answered(server: str) -> None:
    asked = _message("user", QUESTION)
    # The bundled model calls a tool only if it must, with so much around it.
    forced = {"tool_choice": {"type": "function", "name": "mcp__sky__get_weather"}}
    first = streamed(server, **_as_codex_asks(asked, **forced))
    assert [tool["type"] for tool in first["tools"]] == ["function", "custom", "namespace"]
    call = first["output"][-1]
    assert (call["type"], call["namespace"], call["name"]) == ("function_call", "mcp__sky", "get_weather")
    thought = [item for item in first["output"] if item["type"] == "reasoning"]
    assert all(item["encrypted_content"] for item in thought)

    elsewhere = [
        {"type": "reasoning", "summary": [], "content": None, "encrypted_content": None},
        {"type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "x"}},
    ]
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "Wall time: 0.1 s\nOutput:\nsunny"}
    second = streamed(server, **_as_codex_asks(asked, *first["output"], output, *elsewhere))
    assert second["output"]
    # All that was generated is there again, word for word.
    kept = first["usage"]["input_tokens"] + first["usage"]["output_tokens"] - 1
    assert second["usage"]["input_tokens_details"]["cached_tokens"] >= kept


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("asked", "status", "param"),
    [
        ({"model": "gpt-oss-200b"}, 404, "model"),
        ({"input": 3}, 400, "input"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "data:,"}]}]}, 400, "input[0]"),
        ({"input": "word " * 40_000}, 400, "input"),
        ({"input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]}, 400, "input[0].call_id"),
        ({"previous_response_id": "resp_nobody"}, 400, "previous_response_id"),
        ({"background": True}, 400, "background"),
        ({"tools": [WEATHER], "tool_choice": {"type": "function", "name": "x"}}, 400, "tool_choice"),
        (
            {"text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "strange"}}}},
            400,
            "text.format.schema",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bad_input_is_refused_by_name_and_the_server_lives_on(
    client: openai.OpenAI, asked: dict[str, Any], status: int, param: str, stream: bool
) -> None:
    body: dict[str, Any] = {"model": TINY, "input": "Hello", **asked}
    with pytest.raises(openai.APIStatusError) as caught:
        client.responses.create(**body, stream=stream)
    error = caught.value
    assert error.status_code == status
    assert (error.param or "").startswith(param)
    assert "messages[" not in error.message
    assert ask(client, "Hello").output_text


def test_other_models_answer_in_the_same_form(client: openai.OpenAI, server: str, smollm: Path) -> None:
    body: dict[str, Any] = {
        "model": smollm.stem,
        "instructions": "Answer briefly.",
        "input": "What is the capital of France?",
        "max_output_tokens": 24,
        "temperature": 0,
    }
    at_once = client.responses.create(**body)
    assert at_once.output_text
    assert streamed(server, **body)["output"][-1]["content"][0]["text"] == at_once.output_text
