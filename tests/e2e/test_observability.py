"""What is seen of a real server at work: its metrics, its log, its traces."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from lemonade_like.turns.service import TurnOptions
from tests.e2e.conftest import ONE_THREAD
from tests.support.asking import TINY, request_for
from tests.support.collector import Collector, collecting
from tests.support.observed import Samples, samples_of, value
from tests.support.rig import content, rig
from tests.support.server_process import address, server_process

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.support.rig import Rig

KEY = "sesame-open-wide"
#: A word for each place that a client writes in; none of them may be in a log.
WORDS = ("okapi", "quagga", "tarsier", "aardwolf", "pangolin")
QUESTION = f"What is the weather in Tokyo, {WORDS[0]}?"
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": f"Get the {WORDS[1]} weather in a location.",
        "parameters": {
            "type": "object",
            "properties": {"location": {"type": "string", "description": WORDS[2]}},
            "required": ["location"],
        },
    },
}
#: Instructions, and a schema for the answer, which becomes a grammar.
SYSTEM = {"role": "system", "content": f"You like every {WORDS[3]}."}
FORMAT = {
    "type": "json_schema",
    "json_schema": {
        "name": "answer",
        "schema": {"type": "object", "properties": {WORDS[4]: {"type": "integer"}}, "required": [WORDS[4]]},
    },
}


@dataclass
class Seen:
    """What was seen of one server by the time it has ended."""

    whole: dict[str, Any]
    streamed_id: str
    before: Samples
    after: Samples
    stats: dict[str, Any]
    followed: str
    engine_log: str
    log: str
    exit_code: int
    collector: Collector

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The log's lines."""
        return [json.loads(line) for line in self.log.splitlines()]


@pytest.fixture(scope="module")
def seen(cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """A server at debug, asked a few things, and stopped."""
    log = tmp_path_factory.mktemp("observability") / "server.log"
    options = (
        "--log-level",
        "debug",
        "--log-format",
        "json",
        "--api-key",
        f"user-{KEY}",
        "--admin-key",
        KEY,
        *ONE_THREAD,
    )
    with collecting() as collector, pytest.MonkeyPatch.context() as patch, log.open("w") as stderr:
        patch.setenv("LEMONADE_LIKE_OTLP_ENDPOINT", collector.url)
        with (
            server_process(cache_dir, "--model", TINY, *options, stderr=stderr.fileno()) as process,
            httpx.Client(base_url=address(process), headers={"X-API-Key": KEY}, timeout=60) as client,
        ):
            told = _ask_all(client)
            with client.stream("GET", "/v1/logs/stream", params={"tail": 1000}) as follower:
                process.send_signal(signal.SIGTERM)
                followed = follower.read().decode()
            exit_code = process.wait()
        yield Seen(**told, followed=followed, log=log.read_text(), exit_code=exit_code, collector=collector)


def _ask_all(client: httpx.Client) -> dict[str, Any]:
    def metrics() -> Samples:
        return samples_of(client.get("/metrics").raise_for_status().text)

    tools = request_for(QUESTION, tools=[TOOL], tool_choice="required")
    client.post("/v1/chat/completions", json=tools).raise_for_status()
    before = metrics()
    whole = client.post("/v1/chat/completions", json=tools | {"model": TINY.upper()}).raise_for_status().json()
    after, stats = metrics(), client.get("/v1/stats").json()
    body = request_for(QUESTION, response_format=FORMAT, stream=True, max_tokens=60)
    body["messages"].insert(0, SYSTEM)
    streamed = client.post("/v1/chat/completions", json=body, headers={"X-Request-ID": "mine"}).raise_for_status()
    client.post("/v1/chat/completions", json=request_for(QUESTION, model=f"{WORDS[0]}/none:Q4_0"))
    client.post("/v1/chat/completions", json=request_for(QUESTION), headers={"X-API-Key": "wrong-" + KEY})
    with client.stream("GET", "/v1/logs/stream", params={"source": "engine", "model": TINY, "tail": 3}) as engine_log:
        last_lines = next(engine_log.iter_text())
    return {
        "whole": whole, "before": before, "after": after, "stats": stats,
        "streamed_id": streamed.headers["x-request-id"], "engine_log": last_lines,
    }  # fmt: skip


def grown(seen: Seen, name: str, **labels: str) -> float:
    """How much a metric of the bundled model grew with the one answer between two looks."""
    labels = {"model": TINY, **labels}
    return value(seen.after, name, **labels) - value(seen.before, name, **labels)


def test_metrics_say_what_the_answer_and_the_statistics_say(seen: Seen) -> None:
    usage, last = seen.whole["usage"], seen.stats["last"]

    assert grown(seen, "turns_total", outcome=seen.whole["choices"][0]["finish_reason"]) == 1
    assert grown(seen, "prompt_tokens_total") == usage["prompt_tokens"]
    assert grown(seen, "cached_prompt_tokens_total") == usage["prompt_tokens_details"]["cached_tokens"] > 0
    assert grown(seen, "tool_calls_total") == len(seen.whole["choices"][0]["message"]["tool_calls"])
    by_channel = {
        channel: grown(seen, "generated_tokens_total", channel=channel) for channel in last["tokens_by_channel"]
    }
    assert by_channel == last["tokens_by_channel"]
    assert sum(by_channel.values()) == usage["completion_tokens"]
    assert by_channel["analysis"] == usage["completion_tokens_details"]["reasoning_tokens"] > 0
    seconds = {
        channel: grown(seen, "generated_seconds_total", channel=channel) for channel in last["seconds_by_channel"]
    }
    assert seconds == pytest.approx(last["seconds_by_channel"], abs=1e-6)
    assert seconds["analysis"] > 0 and seconds["tool_arguments"] > 0
    assert sum(seconds.values()) == pytest.approx(last["duration"] - last["time_to_first_token"], abs=0.5)


def test_metrics_of_time_have_one_observation_for_the_one_turn(seen: Seen) -> None:
    last = seen.stats["last"]
    for name, seconds in (
        ("turn_duration_seconds", last["duration"]),
        ("time_to_first_token_seconds", last["time_to_first_token"]),
        ("queue_wait_seconds", last["waited"]),
    ):
        assert grown(seen, f"{name}_count") == 1
        assert grown(seen, f"{name}_sum") == pytest.approx(seconds, abs=1e-6)
    shown = [channel for channel in last["tokens_by_channel"] if channel != "other"]
    tokens = sum(last["tokens_by_channel"][channel] for channel in shown)
    assert 0 < grown(seen, "inter_token_seconds_count") < tokens
    assert grown(seen, "inter_token_seconds_sum") <= last["duration"]


def test_metrics_tell_of_the_engine_and_of_requests(seen: Seen) -> None:
    after = seen.after
    assert value(after, "loads_total", model=TINY, result="ok") == 1
    assert value(after, "load_duration_seconds_count", model=TINY) == 1
    assert (value(after, "models_loaded"), value(after, "model_state", model=TINY, state="ready")) == (1, 1)
    assert value(after, "model_memory_bytes", model=TINY, kind="resident") > 10_000_000
    assert (value(after, "running_turns", model=TINY), value(after, "queue_length", model=TINY)) == (0, 0)
    assert value(after, "http_requests_total", method="POST", endpoint="/chat/completions", status="200") == 2
    assert {dict(labels)["model"] for _, labels in after if "model" in dict(labels)} == {TINY}


def test_the_debug_log_has_nothing_of_what_was_said(seen: Seen) -> None:
    message = seen.whole["choices"][0]["message"]
    thought = message["reasoning_content"]
    # The name of a model that is none is what the request asked for, not what it said.
    log = "\n".join(line for line in seen.log.splitlines() if f"{WORDS[0]}/none" not in line)
    assert [word for word in WORDS if word in log] == []
    assert len(thought) > 10 and thought not in log
    assert message["tool_calls"][0]["function"]["arguments"] not in log
    assert "Tokyo" not in log


def test_no_secret_is_in_the_log(seen: Seen) -> None:
    assert KEY not in seen.log
    assert KEY not in seen.followed


def test_the_debug_log_says_each_decision_under_the_requests_id(seen: Seen) -> None:
    said = [line["message"] for line in seen.lines if line.get("request_id") == "mine"]
    for part in (
        f"{TINY}: the turn has a slot, in Harmony",
        f"{TINY}: prompt of 4 messages, ",
        f"{TINY}: effort medium, 0 tools, with a grammar",
        f"{TINY}: the turn ended (",
        "POST /v1/chat/completions 200 in ",
    ):
        assert [text for text in said if part in text], part
    loads = [line["message"] for line in seen.lines if line["logger"] == "lemonade_like.pool"]
    for part in (
        "Using Harmony formatting for",
        ": engine ",
        " in each of 4 slots, arguments: --threads 1",
        "it needs ",
    ):
        assert [text for text in loads if part in text], part
    assert seen.streamed_id == "mine"


def test_every_line_is_json_and_requests_have_their_facts_as_fields(seen: Seen) -> None:
    (line,) = [line for line in seen.lines if line.get("request_id") == "mine" and "status" in line]
    assert (line["method"], line["path"], line["status"]) == ("POST", "/v1/chat/completions", 200)
    assert (line["model"], line["stream"]) == (TINY, True)
    assert line["completion"] > 0 and line["ms"] > 0
    statuses = [line["status"] for line in seen.lines if line.get("path") == "/v1/chat/completions"]
    assert statuses == [200, 200, 200, 404, 401]


def test_the_log_can_be_followed_until_the_server_has_stopped(seen: Seen) -> None:
    events = [json.loads(line.removeprefix("data: ")) for line in seen.followed.splitlines() if line[:5] == "data:"]
    followed, written = [event["message"] for event in events], [line["message"] for line in seen.lines]
    assert "stopping: running answers have 5 s to finish; a second signal ends them at once" in followed
    assert followed == written[written.index(followed[0]) :][: len(followed)]
    assert seen.exit_code == 0


def test_the_log_of_an_engine_can_be_followed(seen: Seen) -> None:
    entries = [json.loads(line.removeprefix("data: ")) for line in seen.engine_log.splitlines() if line]
    assert len(entries) == 3
    assert {entry["model"] for entry in entries} == {TINY}
    assert all(isinstance(entry["message"], str) for entry in entries)


def test_a_collector_gets_each_request_with_its_turn_and_that_with_its_stages(seen: Seen) -> None:
    traced = [span for span in seen.collector.spans if span.attributes.get("lemonade_like.request_id") == "mine"]
    (request,) = traced
    (turn,) = seen.collector.below(request)
    stages = seen.collector.below(turn)
    (line,) = [line for line in seen.lines if line.get("request_id") == "mine" and "status" in line]

    assert (request.name, request.trace) == ("POST /chat/completions", line["trace_id"])
    assert turn.attributes["gen_ai.usage.output_tokens"] == line["completion"]
    assert turn.attributes["gen_ai.response.model"] == TINY
    assert [stage.name for stage in stages] == ["prefill", "generation"]
    assert request.start <= turn.start <= stages[0].start < stages[1].start < stages[1].end <= request.end
    first = min(seen.collector.named(f"chat {TINY}"), key=lambda span: span.start)
    assert [stage.name for stage in seen.collector.below(first)] == ["load", "prefill", "generation"]
    assert [word for word in WORDS[1:] if word in repr(seen.collector.spans)] == []


def test_prompts_and_answers_are_in_the_log_of_a_server_that_was_told_to(cache_dir: Path) -> None:
    options = ("--model", TINY, "--log-level", "debug", "--log-prompts", *ONE_THREAD)
    with server_process(cache_dir, *options) as process:
        with httpx.Client(base_url=address(process), timeout=60) as client:
            answer = client.post("/v1/chat/completions", json=request_for(QUESTION, max_tokens=24)).raise_for_status()
        process.terminate()
        _, log = process.communicate()

    assert "log_prompts is on: all that models are asked and answer is logged" in log
    assert f"<|start|>user<|message|>{QUESTION}<|end|>" in log
    thought = answer.json()["choices"][0]["message"]["reasoning_content"]
    assert f"the output is: <|channel|>analysis<|message|>{thought}" in log


@pytest.mark.parametrize("prompts", [True, False])
async def test_of_a_model_with_a_template_of_its_own_texts_are_logged_only_where_asked_for(
    templated: Rig, caplog: pytest.LogCaptureFixture, prompts: bool
) -> None:
    caplog.set_level(logging.DEBUG, "lemonade_like.turns")
    templated.turns._options = TurnOptions(log_prompts=prompts)
    said = content(await templated.ask(QUESTION, max_tokens=4))

    assert "chat of 1 messages, 0 tools: user" in caplog.text
    assert "through the model's own template" in caplog.text
    assert (f"<|im_start|>user\n{QUESTION}<|im_end|>" in caplog.text) == prompts
    assert (f"the output is: {said}" in caplog.text) == prompts
    assert (WORDS[0] in caplog.text) == prompts


@pytest.fixture(scope="module")
async def templated(smollm: Path, vocabulary: Path, cache_dir: Path) -> AsyncIterator[Rig]:
    """Turns of a model that is no GPT-OSS."""
    async with rig(smollm, vocabulary, cache_dir, ctx_size=512, parallel=1, llamacpp_args="--threads 1") as one:
        yield one


def test_traces_without_what_they_need_end_the_start_with_what_to_do(cache_dir: Path) -> None:
    blocked = (
        "import sys; sys.modules['opentelemetry.exporter'] = None; "
        "from lemonade_like.cli.commands import main; main(['serve', '--port', '0'])"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEMONADE_LIKE_OTLP_ENDPOINT", "http://127.0.0.1:1")
        patch.setenv("LEMONADE_LIKE_CACHE_DIR", str(cache_dir))
        run = subprocess.run([sys.executable, "-c", blocked], capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert run.stderr.startswith("Error: Traces (otlp_endpoint) need OpenTelemetry")
    assert "pip install 'lemonade-like[otel]'" in run.stderr
    assert "Traceback" not in run.stderr
