"""Tools that the server runs, on the real engine and with a real MCP server, seen through OpenAI's SDK."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anthropic
import httpx
import openai
import psutil
import pytest
import yaml

from tests.e2e.conftest import ONE_THREAD
from tests.support.answers import streamed, whole
from tests.support.checked import anthropic_client, openai_client
from tests.support.responses import checked, events_of, put_together
from tests.support.server_process import address, server_process
from tests.support.tools import WEATHER

if TYPE_CHECKING:
    from collections.abc import Iterator

TINY = "tiny-gpt-oss"
MCP_SERVER = Path(__file__).parents[1] / "support" / "mcp_server.py"
TOOLS: Any = [{"type": "mcp", "server_label": "weather", "allowed_tools": ["get_weather"], "require_approval": "never"}]
RESULT = '{"temperature": 22, "condition": "sunny"}'
ONE = "What is the weather in Tokyo?"
IN_A_ROW = "What is the weather in Tokyo and then in Paris?"
AT_ONCE = "Check the weather in Tokyo and Paris at the same time."


PAGE = (Path(__file__).parents[2] / "docs" / "tools.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def server(cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with one tool server, which ends with it."""
    folder = tmp_path_factory.mktemp("tools")
    servers = {
        "weather": {"command": sys.executable, "args": [str(MCP_SERVER)], "env": {"TOOL_LOG": str(folder)}},
        "away": {"command": "no-such-command-here"},
    }
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump({"tool_servers": servers}))
    options = ("--model", TINY, "--config", str(config), *ONE_THREAD)
    with (folder / "stderr").open("w") as stderr, server_process(
        cache_dir, *options, stderr=stderr.fileno()
    ) as process:  # fmt: skip
        yield address(process)
        process.terminate()
        assert process.wait() == 0, (folder / "stderr").read_text()
    started = next(line for line in (folder / "calls.log").read_text().splitlines() if line.startswith("started"))
    assert not psutil.pid_exists(int(started.split()[1]))


@pytest.fixture(scope="module")
def client(server: str) -> Iterator[openai.OpenAI]:
    """The real SDK; each answer is checked strictly."""
    with openai_client(server) as client:
        yield client


def asked(question: str, **more: Any) -> dict[str, Any]:
    return {
        "model": TINY,
        "messages": [{"role": "user", "content": question}],
        "tools": TOOLS,
        "temperature": 0,
        "max_tokens": 800,
        **more,
    }


def calls(message: Any) -> list[Any]:
    """What was called, and what came of it."""
    return [
        (call["name"], json.loads(call["arguments"]), call.get("output", call.get("error")), call["round"])
        for call in (message.model_extra or {}).get("server_tool_calls", ())
    ]


def test_the_tools_are_listed_and_can_be_called(server: str) -> None:
    said = httpx.get(f"{server}/v1/tools").json()
    called = httpx.post(f"{server}/v1/tools/get_weather", json={"arguments": {"location": "Oslo"}})

    assert "get_weather" in [tool["name"] for tool in said["data"]]
    assert {one["label"]: one["status"] for one in said["servers"]} == {"weather": "connected", "away": "failed"}
    assert called.json()["content"] == RESULT


@pytest.mark.parametrize(
    ("question", "expected", "answer"),
    [
        (ONE, [("Tokyo", 0)], "It is sunny in Tokyo."),
        (IN_A_ROW, [("Tokyo", 0), ("Paris", 1)], "I have checked the weather in both cities."),
        (AT_ONCE, [("Tokyo", 0), ("Paris", 0)], "I have checked the weather in both cities."),
    ],
)
def test_the_model_answers_with_what_the_tools_returned(
    client: openai.OpenAI, question: str, expected: list[tuple[str, int]], answer: str
) -> None:
    completion = client.chat.completions.create(**asked(question))
    with client.chat.completions.stream(**asked(question)) as stream:
        for _ in stream:
            pass
        added_up = stream.get_final_completion()

    message = completion.choices[0].message
    assert calls(message) == [("get_weather", {"location": city}, RESULT, round_) for city, round_ in expected]
    assert (message.content, completion.choices[0].finish_reason) == (answer, "stop")
    assert message.tool_calls is None
    # The SDK adds up the stream, extension and all, to what the whole answer says.
    assert calls(added_up.choices[0].message) == calls(message)
    assert added_up.choices[0].message.content == answer
    pieces = streamed(client.chat.completions.create(**asked(question), stream=True))
    assert pieces == whole(completion)


@pytest.mark.parametrize(
    ("reasoning_format", "city"), [("separate", "Berlin"), ("inline", "Madrid"), ("hidden", "Sydney")]
)
def test_the_engine_reads_nothing_again_between_the_rounds(
    client: openai.OpenAI, server: str, reasoning_format: str, city: str
) -> None:
    body = asked(f"What is the weather in {city}?", extra_body={"reasoning_format": reasoning_format})
    completion = client.chat.completions.create(**body)
    usage, content = completion.usage, completion.choices[0].message.content or ""
    # Each round is a turn of its own there.
    last = httpx.get(f"{server}/v1/stats").json()["last"]

    assert content.endswith(f"It is sunny in {city}.")
    assert content.count("<think>") == (2 if reasoning_format == "inline" else 0)
    assert usage is not None
    before = usage.total_tokens - last["prompt_tokens"] - last["completion_tokens"]
    assert last["prompt_tokens"] > before > 100
    assert last["cached_tokens"] >= before - 1


def test_an_error_of_a_tool_is_for_the_model_to_read(client: openai.OpenAI) -> None:
    tools = [{"type": "mcp", "server_label": "weather", "allowed_tools": ["get_time"]}]
    message = client.chat.completions.create(**asked("What time is it?", tools=tools)).choices[0].message

    ((name, _, error, _),) = calls(message)
    assert name == "get_time"
    assert "the clock has stopped" in error
    assert message.content


def test_after_the_last_round_the_model_answers_without_tools(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(**asked(IN_A_ROW, extra_body={"max_tool_rounds": 1}))
    choice = completion.choices[0]

    assert [round_ for *_, round_ in calls(choice.message)] == [0]
    assert choice.message.tool_calls is None
    assert choice.finish_reason in ("stop", "length")


def test_a_client_may_have_tools_of_its_own_beside_them(client: openai.OpenAI) -> None:
    own = {**WEATHER, "function": {**WEATHER["function"], "name": "get_weather"}}
    others = [{"type": "mcp", "server_label": "weather", "allowed_tools": ["get_time"]}, own]
    first = client.chat.completions.create(**asked(ONE, tools=others)).choices[0]
    assert first.finish_reason == "tool_calls"
    (call,) = first.message.tool_calls or ()

    chat = [
        {"role": "user", "content": ONE},
        first.message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": RESULT},
    ]
    second = client.chat.completions.create(**asked(ONE, messages=chat, tools=others)).choices[0]
    assert second.message.content == "It is sunny in Tokyo."


def test_a_chat_goes_on_with_what_was_called(client: openai.OpenAI) -> None:
    first = client.chat.completions.create(**asked(ONE)).choices[0].message
    chat = [
        {"role": "user", "content": ONE},
        first.model_dump(exclude_none=True),
        {"role": "user", "content": "What is the weather in Rome?"},
    ]
    second = client.chat.completions.create(**asked("", messages=chat)).choices[0].message
    assert calls(second) == [("get_weather", {"location": "Rome"}, RESULT, 0)]
    assert second.content == "It is sunny in Rome."


def test_several_choices_each_run_their_own_calls(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(**asked(ONE, n=2))
    ids = [(choice.message.model_extra or {})["server_tool_calls"][0]["id"] for choice in completion.choices]
    assert len(set(ids)) == 2


class TestResponses:
    @pytest.mark.parametrize(("question", "count"), [(IN_A_ROW, 2), (AT_ONCE, 2)])
    def test_each_step_is_an_item_streamed_and_whole(
        self, client: openai.OpenAI, server: str, question: str, count: int
    ) -> None:
        body: dict[str, Any] = {"model": TINY, "input": question, "tools": TOOLS, "temperature": 0}
        raw = client.responses.with_raw_response.create(**body)
        response = checked(raw.http_response.json())
        stream = httpx.post(f"{server}/v1/responses", json={**body, "stream": True}, timeout=60)
        pieces = put_together(events_of(stream.content))

        def said(items: list[Any]) -> list[Any]:
            fields = ("type", "status", "name", "arguments", "output", "content", "tools")
            return [[item.get(field) for field in fields] for item in items]

        assert said(response["output"]) == said(pieces["output"])
        ran = [item for item in response["output"] if item["type"] == "mcp_call"]
        assert [(item["server_label"], item["output"], item["status"]) for item in ran] == [
            ("weather", RESULT, "completed")
        ] * count
        assert response["output"][0]["type"] == "mcp_list_tools"
        assert raw.parse().output_text == "I have checked the weather in both cities."

    @pytest.mark.parametrize("by_id", [True, False])
    def test_a_conversation_goes_on_by_its_id_or_by_its_items(self, client: openai.OpenAI, by_id: bool) -> None:
        common: dict[str, Any] = {"model": TINY, "tools": TOOLS, "temperature": 0}
        with client.responses.stream(**common, input=ONE) as stream:
            for _ in stream:
                pass
            first = stream.get_final_response()
        question = {"role": "user", "content": "What is the weather in Rome?"}
        before = [{"role": "user", "content": ONE}, *[item.model_dump(exclude_none=True) for item in first.output]]
        second = client.responses.create(
            **common,
            input=[question] if by_id else [*before, question],  # type: ignore[arg-type]
            previous_response_id=first.id if by_id else None,
        )

        # The tools are told once in a conversation.
        assert [item.type for item in second.output] == ["reasoning", "mcp_call", "reasoning", "message"]
        assert second.output_text == "It is sunny in Rome."
        items = client.responses.input_items.list(second.id).data
        assert ("mcp_call" in [item.type for item in items]) is not by_id

    def test_no_more_calls_are_run_than_were_allowed(self, client: openai.OpenAI) -> None:
        response = client.responses.create(
            model=TINY, input=IN_A_ROW, tools=TOOLS, temperature=0, max_tool_calls=1, max_output_tokens=800
        )
        assert [item.type for item in response.output].count("mcp_call") == 1

    def test_a_tool_of_a_server_may_be_required(self, client: openai.OpenAI) -> None:
        response = client.responses.create(
            model=TINY,
            input=ONE,
            tools=TOOLS,
            temperature=0,
            tool_choice={"type": "mcp", "server_label": "weather", "name": "get_weather"},
        )
        assert "mcp_call" in [item.type for item in response.output]

    def test_the_tools_are_counted_as_part_of_the_prompt(self, client: openai.OpenAI) -> None:
        with_tools = client.responses.input_tokens.count(model=TINY, input=ONE, tools=TOOLS)
        without = client.responses.input_tokens.count(model=TINY, input=ONE)
        assert with_tools.input_tokens > without.input_tokens


class TestTheDocs:
    """docs/tools.md tells what is so: its examples run."""

    @pytest.mark.parametrize(
        ("needle", "said"),
        [
            ("from openai", ["get_weather", RESULT, "It is sunny in Tokyo."]),
            ("from anthropic", ["thinking\nmcp_tool_use\nmcp_tool_result\nthinking\ntext"]),
        ],
    )
    def test_the_examples_run(self, server: str, needle: str, said: list[str]) -> None:
        example = next(block for block in blocks("python") if needle in block)
        run = subprocess.run(
            [sys.executable, "-c", example.replace("http://localhost:8000", server)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
        for part in said:
            assert part in run.stdout

    def test_the_curl_lines_list_and_call(self, server: str) -> None:
        (lines,) = blocks("console")
        listing, calling = (shlex.split(line.removeprefix("$ ")) for line in lines.strip().splitlines())
        called = httpx.post(calling[1].replace("localhost:8000", server), content=calling[3])
        assert httpx.get(listing[1].replace("localhost:8000", server)).json()["data"]
        assert called.json()["content"] == RESULT


class TestMessages:
    ASKED: Any = {
        "model": TINY,
        "max_tokens": 800,
        "extra_body": {"temperature": 0},
        "mcp_servers": [{"type": "url", "name": "weather"}],
        "tools": [
            {
                "type": "mcp_toolset",
                "mcp_server_name": "weather",
                "default_config": {"enabled": False},
                "configs": {"get_weather": {"enabled": True}},
            }
        ],
    }

    def test_each_step_is_a_block_streamed_and_whole(self, server: str) -> None:
        with anthropic_client(server, beta=True) as client:
            chat: Any = [{"role": "user", "content": ONE}]
            message = client.beta.messages.create(**self.ASKED, messages=chat)
            with client.beta.messages.stream(**self.ASKED, messages=chat) as stream:
                pieces = stream.get_final_message()
            chat += [
                {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in message.content]},
                {"role": "user", "content": "What is the weather in Rome?"},
            ]
            second = client.beta.messages.create(**self.ASKED, messages=chat)

        kinds = ["thinking", "mcp_tool_use", "mcp_tool_result", "thinking", "text"]
        for answer, city in ((message, "Tokyo"), (pieces, "Tokyo"), (second, "Rome")):
            assert [block.type for block in answer.content] == kinds
            _, called, returned, _, text = answer.content
            assert called.type == "mcp_tool_use" and called.input == {"location": city}
            assert returned.type == "mcp_tool_result" and returned.tool_use_id == called.id
            assert text.type == "text" and text.text == f"It is sunny in {city}."
            assert answer.stop_reason == "end_turn"

    def test_what_the_configuration_does_not_name_is_refused(self, server: str) -> None:
        with anthropic_client(server, beta=True) as client:
            for wrong in ({"url": "https://evil"}, {"name": "nobody"}):
                asked = {**self.ASKED, "mcp_servers": [{**self.ASKED["mcp_servers"][0], **wrong}]}
                with pytest.raises(anthropic.BadRequestError):
                    client.beta.messages.create(**asked, messages=[{"role": "user", "content": ONE}])


@pytest.mark.parametrize(
    ("tool", "status", "code", "param"),
    [
        ({"type": "mcp", "server_label": "nobody"}, 400, "unknown_tool_server", "tools[0].server_label"),
        ({**TOOLS[0], "server_url": "https://evil"}, 400, "invalid_value", "tools[0].server_url"),
        ({**TOOLS[0], "allowed_tools": ["nothing"]}, 400, "invalid_value", "tools[0]"),
        ({**TOOLS[0], "require_approval": "always"}, 400, "invalid_value", "tools[0].require_approval"),
        ({"type": "mcp", "server_label": "away"}, 503, "tool_server_unavailable", None),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_cannot_be_is_refused_with_a_status_of_its_own(
    client: openai.OpenAI, tool: Any, status: int, code: str, param: str | None, stream: bool
) -> None:
    for ask in (
        lambda: client.chat.completions.create(**asked(ONE, tools=[tool]), stream=stream),
        lambda: client.responses.create(model=TINY, input=ONE, tools=[tool], stream=stream),
    ):
        with pytest.raises(openai.APIStatusError) as caught:
            ask()
        assert (caught.value.status_code, caught.value.code, caught.value.param) == (status, code, param)
