"""Traces: what a collector gets of requests and turns."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import opentelemetry.semconv._incubating.attributes.gen_ai_attributes as gen_ai
import pytest
from fastapi import FastAPI
from opentelemetry.semconv.attributes import error_attributes, http_attributes, url_attributes

from lemonade_like.api.services import Services
from lemonade_like.app import create_app
from lemonade_like.errors import EngineFailure
from lemonade_like.observe import tracing
from lemonade_like.observe.observation import Observation, open_tracing
from lemonade_like.observe.record import Stage
from lemonade_like.observe.tracing import Tracing, turn_attributes
from lemonade_like.settings import Settings, SettingsError
from lemonade_like.turns.request import Sampling, TurnRequest
from tests.support.collector import CollectedSpan, Collector, collecting
from tests.support.observed import a_record
from tests.support.turns import HELLO, ScriptedTurns, client_of, scripted_app, scripted_services

CHAT = {"model": "tiny", "messages": [{"role": "user", "content": "a secret"}], "temperature": 0.5}
SERVER, INTERNAL = 2, 1


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_SERVICE_NAME"):
        monkeypatch.delenv(name, raising=False)


def traced_app(turns: ScriptedTurns, **settings: object) -> FastAPI:
    """An app whose turns are scripted and watched."""

    @asynccontextmanager
    async def open_services(_: Settings, observation: Observation) -> AsyncIterator[Services]:
        services = scripted_services(turns)
        services.turns = observation.of(turns, lambda name: name)
        yield services

    return create_app(Settings(**settings), open_services)


async def spans_of(turns: ScriptedTurns, headers: dict[str, str] | None = None) -> tuple[httpx.Response, Collector]:
    with collecting() as collector:
        async with client_of(traced_app(turns, otlp_endpoint=collector.url)) as client:
            answer = await client.post("/v1/chat/completions", json=CHAT, headers=headers)
    return answer, collector


async def test_a_request_is_a_span_and_its_turn_one_below_it() -> None:
    answer, collector = await spans_of(ScriptedTurns(HELLO))
    (request,) = collector.named("POST /chat/completions")
    (turn,) = collector.below(request)
    (stage,) = collector.below(turn)

    assert collector.paths == ["/v1/traces"]
    assert (request.kind, request.parent, request.failed) == (SERVER, "", False)
    assert request.attributes == {
        "http.request.method": "POST",
        "http.route": "/chat/completions",
        "http.response.status_code": 200,
        "url.path": "/v1/chat/completions",
        "url.scheme": "http",
        "lemonade_like.request_id": answer.headers["x-request-id"],
    }
    assert (request.resource["service.name"], request.resource["service.version"]) == ("lemonade-like", "0.1.0")
    assert (turn.name, turn.kind, stage.name) == ("chat tiny", INTERNAL, "generation")
    assert turn.attributes["gen_ai.request.temperature"] == 0.5
    assert turn.attributes["gen_ai.response.finish_reasons"] == ["stop"]
    assert (turn.attributes["gen_ai.usage.input_tokens"], turn.attributes["gen_ai.usage.output_tokens"]) == (3, 2)
    assert "secret" not in repr(collector.spans) and "Hello" not in repr(collector.spans)


async def test_the_trace_of_the_client_is_gone_on_with() -> None:
    trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    _, collector = await spans_of(ScriptedTurns(HELLO), {"traceparent": f"00-{trace}-{parent}-01"})

    assert {span.trace for span in collector.spans} == {trace}
    assert [span.name for span in collector.spans if span.parent == parent] == ["POST /chat/completions"]


@pytest.mark.parametrize("traceparent", ["", "nonsense", "00-0-0-01", "é"])
async def test_a_traceparent_that_is_none_begins_a_new_trace(traceparent: str) -> None:
    answer, collector = await spans_of(ScriptedTurns(HELLO), {"traceparent": traceparent.encode()})  # type: ignore[dict-item]
    assert answer.status_code == 200
    assert [span.name for span in collector.spans if not span.parent] == ["POST /chat/completions"]


async def test_a_failed_turn_is_a_failed_span_without_its_message() -> None:
    _, collector = await spans_of(ScriptedTurns([EngineFailure("the engine said something")]))
    (request,) = collector.named("POST /chat/completions")
    (turn,) = collector.below(request)

    assert (request.failed, request.attributes["error.type"]) == (True, "500")
    assert (turn.failed, turn.attributes["error.type"]) == (True, "engine_failure")
    assert "something" not in repr(collector.spans)


def test_the_stages_of_a_turn_are_drawn_where_they_were() -> None:
    stages = (
        Stage("queue", 0.0, 1.0),
        Stage("load", 1.0, 2.5),
        Stage("prefill", 2.5, 3.0),
        Stage("generation", 3.0, 4.0),
    )
    with collecting() as collector:
        traces = Tracing(f"{collector.url}/")
        traces.turn(a_record(stages=stages))
        asyncio.run(traces.close())
    (turn,) = collector.named("chat m")

    def seconds(span: CollectedSpan) -> tuple[float, float]:
        return (span.start - turn.start) / 1e9, (span.end - turn.start) / 1e9

    assert [(span.name, *seconds(span)) for span in collector.below(turn)] == list(stages)
    assert seconds(turn) == (0.0, 4.0)


def test_a_model_that_a_client_made_up_names_no_span() -> None:
    with collecting() as collector:
        traces = Tracing(collector.url)
        traces.turn(a_record(model=None, request=TurnRequest("made-up-7", ())))
        asyncio.run(traces.close())
    (turn,) = collector.spans
    assert turn.name == "chat unknown"
    assert turn.attributes["gen_ai.request.model"] == "made-up-7"


def test_attributes_have_opentelemetrys_own_names() -> None:
    sampling = Sampling(0.1, 0.2, 3, 0.4, 0.5)
    request = TurnRequest("M", (), sampling=sampling, max_tokens=6)
    told = turn_attributes(a_record(request=request)) | turn_attributes(a_record(outcome="error", error="x"))
    known = {value for name, value in vars(gen_ai).items() if name.startswith("GEN_AI_")} | {
        error_attributes.ERROR_TYPE
    }

    assert set(told) <= known
    assert len(told) == 18
    assert {http_attributes.HTTP_ROUTE, http_attributes.HTTP_REQUEST_METHOD, url_attributes.URL_PATH} == {
        "http.route", "http.request.method", "url.path"
    }  # fmt: skip


async def test_the_trace_is_named_in_the_requests_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "lemonade_like.observe.requests"):
        _, collector = await spans_of(ScriptedTurns(HELLO))
    assert f"trace_id={collector.spans[0].trace}" in caplog.text


def test_without_an_endpoint_there_is_nothing_at_all() -> None:
    assert open_tracing(None, {}) is None
    names = [getattr(middleware.cls, "__name__", "") for middleware in scripted_app().user_middleware]
    assert "RequestLog" in names
    assert "around" not in names


@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"])
async def test_opentelemetrys_own_variables_are_enough(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as collector:
        path = "/v1/traces" if "TRACES" in variable else ""
        monkeypatch.setenv(variable, collector.url + path)
        monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")
        async with client_of(traced_app(ScriptedTurns(HELLO))) as client:
            await client.get("/live")
    assert [(span.name, span.resource["service.name"]) for span in collector.spans] == [("GET /live", "mine")]


def test_traces_without_the_extra_are_refused_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http", None)
    with pytest.raises(SettingsError, match=r"pip install 'lemonade-like\[otel\]'"):
        create_app(Settings(otlp_endpoint="http://127.0.0.1:1"))
    # The variable may be meant for another program.
    assert open_tracing(None, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}) is None
    assert "pip install 'lemonade-like[otel]'" in caplog.text


async def test_a_collector_that_is_not_there_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "_LAST_SECONDS", 0.1)
    async with client_of(traced_app(ScriptedTurns(HELLO), otlp_endpoint="http://127.0.0.1:9")) as client:
        assert (await client.post("/v1/chat/completions", json=CHAT)).status_code == 200
