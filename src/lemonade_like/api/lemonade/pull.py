"""``POST /pull`` and ``POST /pull/cancel``: a model onto this machine, as Lemonade's clients ask for it."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import Field

from lemonade_like.api.answer import ErrorAnswer
from lemonade_like.api.body import read_json_object
from lemonade_like.api.connection import while_connected
from lemonade_like.api.errors import error_object
from lemonade_like.api.json_answer import json_answer
from lemonade_like.api.lemonade.answers import PullComplete, Pulled, PullProgress
from lemonade_like.api.lemonade.entry import EntryFields, HubCheckpoint
from lemonade_like.api.lemonade.naming import ModelName
from lemonade_like.api.openapi import answers, json_body
from lemonade_like.api.services import note, services
from lemonade_like.api.sse import EventStream
from lemonade_like.api.validation import validated
from lemonade_like.errors import ServerError
from lemonade_like.models.names import read_checkpoint

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from lemonade_like.models.management import ModelManager
    from lemonade_like.models.progress import Progress
    from lemonade_like.models.registry import ModelEntry

router = APIRouter(tags=["models"])


_EXAMPLES = {
    "A model that is listed": {"model_name": "gpt-oss-20b-GGUF", "stream": True},
    "Any model of the Hub": {"checkpoint": "unsloth/gpt-oss-20b-GGUF:Q4_K_M"},
    "The same, under a name of your own": {
        "model_name": "user.mine",
        "checkpoint": "unsloth/gpt-oss-20b-GGUF:Q4_K_M",
        "reasoning": True,
    },
}


class PullRequest(ModelName, EntryFields):
    """What to pull: a known model's name, or ``user.NAME`` with what it shall be."""

    checkpoint: HubCheckpoint | None = Field(
        default=None, description="Registers the model: `org/repo:QUANT` or `org/repo:file.gguf` of the Hub."
    )
    stream: bool | None = Field(default=False, description="Send progress as server-sent events.")

    @property
    def wanted(self) -> str:
        """The model's name; a checkpoint alone is a name, too."""
        if self.checkpoint and not (self.model_name or self.model):
            return self.checkpoint
        return self.named

    @property
    def entry(self) -> ModelEntry | None:
        """What to register, if anything."""
        if self.checkpoint is None or read_checkpoint(self.wanted) == self.checkpoint:
            return None
        return self.described(self.checkpoint)


@router.post(
    "/pull",
    response_model=None,
    summary="Download a model",
    openapi_extra=json_body(PullRequest, examples=_EXAMPLES),
    responses=answers(Pulled, events=PullProgress | PullComplete | ErrorAnswer, also=(403, 409, 502, 507)),
)
async def pull_model(request: Request) -> Response:
    """Download a model from the Hub, or join its download, whole or as a stream of progress.

    A client that goes away ends nothing. What was fetched before is not fetched again.
    """
    body = validated(PullRequest, await read_json_object(request))
    note(request.scope, model=body.wanted, stream=bool(body.stream))
    rooms = services(request)
    manager = rooms.manager
    if body.stream:
        writer = PullWriter(body.wanted)
        steps = _progress(manager, body, writer)
        return EventStream(steps, writer, keep_alive_seconds=rooms.keep_alive_seconds)
    name = await while_connected(request.receive, _whole(manager, body))
    return _answer(f"Installed model: {name}", model_name=name)


@router.post(
    "/pull/cancel",
    response_model=None,
    summary="Stop a download",
    openapi_extra=json_body(ModelName, examples={"A model that is being pulled": {"model_name": "gpt-oss-20b-GGUF"}}),
    responses=answers(Pulled),
)
async def cancel_pull(request: Request) -> Response:
    """Stop a model's download; whoever waits for it is told. What was fetched is kept, and the next one goes on."""
    name = validated(ModelName, await read_json_object(request)).named
    note(request.scope, model=name)
    if not await services(request).manager.cancel(name):
        raise NoSuchPull(f"{name} is not being pulled.", param="model_name")
    return _answer(f"Cancelled the pull of {name}", model_name=name)


class NoSuchPull(ServerError):
    """The model is not being pulled."""

    status = 404
    type = "invalid_request_error"
    default_code = "no_such_pull"


class PullWriter:
    """Spells a pull as Lemonade's events: ``progress``, ``complete``, ``error``."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._files = 0

    def write(self, batch: Progress) -> bytes:
        """Return how far it is."""
        self._files = batch.total_files
        return _event("progress", batch.as_json())

    def keep_alive(self) -> bytes:
        """Return a comment."""
        return b": nothing has come lately\n\n"

    def fail(self, error: ServerError) -> bytes:
        """Return the error."""
        return _event("error", error_object(error))

    def end(self) -> bytes:
        """Say that all is there."""
        done = {"model_name": self.name, "file_index": self._files, "total_files": self._files, "percent": 100}
        return _event("complete", {"status": "success", **done})


async def _progress(manager: ModelManager, body: PullRequest, writer: PullWriter) -> AsyncGenerator[Progress, None]:
    started = await manager.pull(body.wanted, body.entry)
    writer.name = started.name
    if started.pull is not None:
        async with aclosing(started.pull.watch()) as progress:
            async for each in progress:
                yield each


async def _whole(manager: ModelManager, body: PullRequest) -> str:
    started = await manager.pull(body.wanted, body.entry)
    if started.pull is not None:
        await started.pull.result()
    return started.name


def _event(kind: str, said: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps(said))


def _answer(message: str, **more: Any) -> Response:
    said = {"status": "success", "message": message, **more}
    return json_answer(said)
