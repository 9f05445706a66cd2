"""OpenTelemetry traces: a span for each request, below it one for each turn, and below that the turn's stages.

Attributes have OpenTelemetry's names for HTTP and for generative AI, and nothing of what was said. Turns are drawn when
they are over, from their records, so that a token costs nothing more. Needs the extra ``otel``; this module is imported
only where traces are wanted.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from lemonade_like.observe.requests import METHODS, endpoint_of
from lemonade_like.turns.request import CompletionRequest

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from lemonade_like.observe.record import TurnRecord

_logger = logging.getLogger(__name__)

_NAME: Final = "lemonade-like"
_PROPAGATOR: Final = TraceContextTextMapPropagator()
#: For what has not been sent yet when the server stops.
_LAST_SECONDS: Final = 3.0


class Tracing:
    """The traces of one app, sent to the collector at ``endpoint`` (its base URL), or where the environment says.

    What else OpenTelemetry lets one set in the environment holds, too: headers, sampling, the service's name, ….
    """

    def __init__(self, endpoint: str | None) -> None:
        given = {SERVICE_NAME: _NAME, SERVICE_VERSION: version(_NAME)}
        resource = Resource.create(given).merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        # Without a URL it looks for one in the environment itself.
        self._exporter: SpanExporter = OTLPSpanExporter(_traces_url(endpoint) if endpoint else None)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self.tracer = self._provider.get_tracer("lemonade_like", version(_NAME))

    def around(self, app: ASGIApp) -> ASGIApp:
        """Return the app with a span for each of its requests."""
        return TraceRequests(app, self.tracer)

    def turn(self, turn: TurnRecord) -> None:
        """Draw a turn that is over, below the request that is being answered."""
        began = round(turn.started * 1e9)
        span = self.tracer.start_span(
            # What a client made up is no name of a span: those are few.
            f"chat {turn.model or 'unknown'}",
            kind=SpanKind.INTERNAL,
            attributes=turn_attributes(turn),
            start_time=began,
        )
        if turn.outcome == "error":
            span.set_status(Status(StatusCode.ERROR))
        below = trace.set_span_in_context(span)
        for stage in turn.stages:
            child = self.tracer.start_span(stage.name, below, start_time=began + round(stage.start * 1e9))
            child.end(began + round(stage.end * 1e9))
        span.end(began + round(turn.duration * 1e9))

    async def close(self) -> None:
        """Send what is left, if that can be done in a few seconds."""
        loop, closed = asyncio.get_running_loop(), asyncio.Event()

        def shut_down() -> None:
            self._provider.shutdown()
            with contextlib.suppress(RuntimeError):  # nobody waited for so long, and the loop is gone
                loop.call_soon_threadsafe(closed.set)

        # No thread of the loop's own: those are waited for when the process ends, and a collector may be away for long.
        threading.Thread(target=shut_down, daemon=True).start()
        try:
            await asyncio.wait_for(closed.wait(), _LAST_SECONDS)
        except asyncio.TimeoutError:
            # It would go on trying.
            self._exporter.shutdown()
            _logger.warning("the last traces could not be sent in %g s", _LAST_SECONDS)


def _traces_url(endpoint: str) -> str:
    return f"{endpoint.rstrip('/').removesuffix('/v1/traces')}/v1/traces"


def turn_attributes(turn: TurnRecord) -> dict[str, Any]:
    """Return a turn's attributes, by OpenTelemetry's conventions for generative AI; none of its texts.

    https://github.com/open-telemetry/semantic-conventions-genai
    """
    request, sampling = turn.request, turn.request.sampling
    attributes: dict[str, Any] = {
        "gen_ai.operation.name": "text_completion" if isinstance(request, CompletionRequest) else "chat",
        "gen_ai.provider.name": "llama.cpp",
        "gen_ai.request.model": request.model,
        "gen_ai.request.stream": not request.whole,
        "gen_ai.request.max_tokens": request.max_tokens,
        "gen_ai.request.temperature": sampling.temperature,
        "gen_ai.request.top_p": sampling.top_p,
        "gen_ai.request.seed": sampling.seed,
        "gen_ai.request.frequency_penalty": sampling.frequency_penalty,
        "gen_ai.request.presence_penalty": sampling.presence_penalty,
        "gen_ai.response.model": turn.model,
        "gen_ai.usage.input_tokens": turn.prompt_tokens,
        "gen_ai.usage.cache_read.input_tokens": turn.cached_tokens,
        "gen_ai.usage.output_tokens": turn.completion_tokens,
        "gen_ai.usage.reasoning.output_tokens": turn.reasoning_tokens,
        "gen_ai.response.time_to_first_chunk": turn.time_to_first_token,
        "error.type": "cancelled" if turn.outcome == "cancelled" else turn.error,
    }
    if turn.outcome not in ("cancelled", "error"):
        attributes["gen_ai.response.finish_reasons"] = (turn.outcome,)
    return {name: value for name, value in attributes.items() if value is not None}


class TraceRequests:
    """ASGI middleware: a span for each request, part of the trace that its ``traceparent`` names, if it has one.

    The trace's id is added to the request's line in the log.
    """

    def __init__(self, app: ASGIApp, tracer: trace.Tracer) -> None:
        self._app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in METHODS else "_OTHER"
        attributes = {
            "http.request.method": method,
            "url.scheme": scope.get("scheme", "http"),
            "url.path": scope["path"],
        }
        state = scope.setdefault("state", {})
        with self._tracer.start_as_current_span(
            method, _parent(scope), SpanKind.SERVER, attributes, record_exception=False
        ) as span:
            state.setdefault("facts", {})["trace_id"] = f"{span.get_span_context().trace_id:032x}"
            span.set_attribute("lemonade_like.request_id", state.get("request_id", ""))

            async def send_and_look(message: Message) -> None:
                if message["type"] == "http.response.start":
                    status = message["status"]
                    span.set_attribute("http.response.status_code", status)
                    if status >= 500:
                        span.set_status(Status(StatusCode.ERROR))
                        span.set_attribute("error.type", str(status))
                await send(message)

            try:
                await self._app(scope, receive, send_and_look)
            finally:
                if (route := endpoint_of(scope)) is not None:
                    span.update_name(f"{method} {route}")
                    span.set_attribute("http.route", route)


def _parent(scope: Scope) -> Context:
    carrier = {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in scope["headers"]
        if name in (b"traceparent", b"tracestate")
    }
    return _PROPAGATOR.extract(carrier)
