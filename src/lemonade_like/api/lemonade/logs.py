"""``GET /logs/stream``: the log as it is written."""

from __future__ import annotations

import json
import logging
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import orjson
from fastapi import APIRouter, Query, Request, Response

from lemonade_like.api.errors import error_object
from lemonade_like.api.services import LogBatch, note, observed, services
from lemonade_like.api.sse import EventStream
from lemonade_like.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from lemonade_like.errors import ServerError

router = APIRouter(tags=["observability"])

#: As many lines as are kept.
MOST_LINES: Final = 1000


@router.get(
    "/logs/stream",
    response_class=Response,
    summary="Follow the log",
    responses={
        200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "The lines"},
        404: {"description": "There is no such model, or no engine runs for it"},
    },
)
async def stream_logs(
    request: Request,
    tail: Annotated[int, Query(ge=0, le=MOST_LINES, description="How many of the last lines come first.")] = 100,
    level: Annotated[
        Literal["debug", "info", "warning", "error"], Query(description="Leave out what is less than this.")
    ] = "debug",
    source: Annotated[
        Literal["server", "engine"], Query(description="The server's own log, or that of a model's engine.")
    ] = "server",
    model: Annotated[str | None, Query(description="With source=engine: the model.")] = None,
) -> Response:
    """Send the last lines of the log and then each that is written, as server-sent events, until the server stops.

    Each event is a JSON object: `time`, `level`, `logger`, `message`, `request_id` where there is one, and what else is
    told of the line. A client that reads too slowly loses the oldest lines, and gets an event `dropped` that says how
    many. Nothing comes that the server's own `log_level` leaves out.

    With `source=engine`, it is what the engine of `model` prints, in the field `message`, until that engine ends.
    """
    rooms = services(request)
    if source == "server":
        lines = observed(request).logs.read(tail, logging.getLevelName(level.upper()))
        return EventStream(lines, LogWriter(), keep_alive_seconds=rooms.keep_alive_seconds)
    if model is None:
        raise BadRequest("'model' is required with source=engine.", param="model", code="missing_required_parameter")
    note(request.scope, model=model)
    printed = _as_batches(rooms.pool.engine_log(model, tail), model)
    return EventStream(printed, LogWriter(), keep_alive_seconds=rooms.keep_alive_seconds)


@dataclass(frozen=True)
class _Lines:
    entries: list[dict[str, Any]]
    dropped: int = 0


async def _as_batches(lines: AsyncGenerator[list[str], None], model: str) -> AsyncGenerator[_Lines, None]:
    async with aclosing(lines):
        async for batch in lines:
            yield _Lines([{"logger": "engine", "model": model, "message": line} for line in batch])


class LogWriter:
    """Lines of the log as server-sent events."""

    def write(self, batch: LogBatch) -> bytes:
        """Return the events; a comment where there are none, so that the client knows that it is heard."""
        events = [b"data: " + json.dumps(entry, default=str).encode() + b"\n\n" for entry in batch.entries]
        if batch.dropped:
            events.insert(0, b"event: dropped\ndata: " + orjson.dumps({"dropped": batch.dropped}) + b"\n\n")
        return b"".join(events) or self.keep_alive()

    def keep_alive(self) -> bytes:
        """Return a comment that says that there is nothing new."""
        return b": nothing new\n\n"

    def fail(self, error: ServerError) -> bytes:
        """Return an event that says why the stream ends."""
        return b"event: error\ndata: " + orjson.dumps(error_object(error)) + b"\n\n"

    def end(self) -> bytes:
        """Return nothing: a stream that ends with the server needs no word of its own."""
        return b""
