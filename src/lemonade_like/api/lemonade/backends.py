"""``POST /install`` and ``POST /uninstall``: engines, as Lemonade's clients ask for them.

Only what the release publishes a sha256 for can be installed from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from lemonade_like.api.answer import ErrorAnswer
from lemonade_like.api.body import read_json_object
from lemonade_like.api.connection import while_connected
from lemonade_like.api.errors import error_object
from lemonade_like.api.json_answer import json_answer
from lemonade_like.api.lemonade.answers import BackendDone, InstallComplete, InstallProgress
from lemonade_like.api.openapi import answers, json_body
from lemonade_like.api.services import services
from lemonade_like.api.sse import EventStream
from lemonade_like.api.validation import validated

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from lemonade_like.engine.backends.manager import InstallStep
    from lemonade_like.errors import ServerError

router = APIRouter(tags=["system"])


class BackendName(BaseModel):
    """A body that names a backend."""

    model_config = ConfigDict(strict=True)

    backend: Literal["cpu", "vulkan", "cuda", "rocm", "metal"] = Field(description="The backend's name.")
    recipe: Literal["llamacpp"] = Field(default="llamacpp", description="What the backend is for.")


class InstallRequest(BackendName):
    """What to install, and how."""

    version: str | None = Field(
        default=None, description="Release of llama.cpp, such as b11462; the latest if left out."
    )
    stream: bool | None = Field(default=False, description="Send progress as server-sent events.")
    force: bool | None = Field(default=False, description="Also if the machine does not look as if it could run it.")


@router.post(
    "/install",
    response_model=None,
    summary="Install or update an engine",
    openapi_extra=json_body(InstallRequest, examples={"The latest release": {"backend": "cpu", "stream": True}}),
    responses=answers(BackendDone, events=InstallProgress | InstallComplete | ErrorAnswer, also=(404, 409, 502)),
)
async def install_backend(request: Request) -> Response:
    """Fetch, check and install a release of llama.cpp; a client that goes away ends nothing. The next load uses it."""
    body = validated(InstallRequest, await read_json_object(request))
    rooms = services(request)
    steps = rooms.engines.install(body.backend, body.version, force=bool(body.force))
    if body.stream:
        return EventStream(steps, InstallWriter(body), keep_alive_seconds=rooms.keep_alive_seconds)
    await while_connected(request.receive, _to_the_end(steps))
    return json_answer(_success(body))


@router.post(
    "/uninstall",
    response_model=None,
    summary="Remove an engine",
    openapi_extra=json_body(BackendName, examples={"An engine that was installed": {"backend": "cpu"}}),
    responses=answers(BackendDone, also=(404, 409)),
)
async def uninstall_backend(request: Request) -> Response:
    """Remove an engine that was installed. Models that run on it go on until they are unloaded."""
    body = validated(BackendName, await read_json_object(request))
    await services(request).engines.uninstall(body.backend)
    return json_answer(_success(body))


class InstallWriter:
    """Spells an installation as Lemonade's events: ``progress``, ``complete``, ``error``."""

    def __init__(self, body: BackendName) -> None:
        self._body = body

    def write(self, batch: InstallStep) -> bytes:
        """Return how far it is."""
        percent = batch.done * 100 // batch.total if batch.total else 0
        said = {"file": batch.file, "bytes_downloaded": batch.done, "bytes_total": batch.total, "percent": percent}
        return _event("progress", said)

    def keep_alive(self) -> bytes:
        """Return a comment: it is being unpacked, or tried."""
        return b": installing\n\n"

    def fail(self, error: ServerError) -> bytes:
        """Return why it failed."""
        return _event("error", error_object(error))

    def end(self) -> bytes:
        """Return that it is done."""
        return _event("complete", _success(self._body) | {"percent": 100})


async def _to_the_end(steps: AsyncGenerator[InstallStep, None]) -> None:
    async for _ in steps:
        pass


def _success(body: BackendName) -> dict[str, Any]:
    return {"status": "success", "recipe": body.recipe, "backend": body.backend}


def _event(name: str, data: dict[str, Any]) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"
