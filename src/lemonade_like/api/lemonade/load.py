"""``POST /load`` and ``POST /unload``: what is in memory, said by hand."""

from __future__ import annotations

import asyncio
from typing import Final

from fastapi import APIRouter, Request, Response
from pydantic import ConfigDict, Field, field_validator

from lemonade_like.api.body import read_json_object
from lemonade_like.api.json_answer import json_answer
from lemonade_like.api.lemonade.answers import Loaded, Unloaded
from lemonade_like.api.lemonade.health import model_object
from lemonade_like.api.lemonade.naming import ModelName, in_model_name
from lemonade_like.api.openapi import answers, json_body
from lemonade_like.api.services import note, services
from lemonade_like.api.validation import validated
from lemonade_like.engine.spec import BadEngineArguments, parse_extra_args
from lemonade_like.errors import (
    BadRequest,
    EngineFailure,
    EngineNotFound,
    ModelBusy,
    ModelNotFound,
    ModelNotLoaded,
    NotEnoughMemory,
)
from lemonade_like.models.model import MOST_CONTEXT, ModelOptions
from lemonade_like.pool.loader import LoadOptions
from lemonade_like.settings import Backend

router = APIRouter(tags=["models"])

#: How long an unload waits for the turns that run.
UNLOAD_SECONDS: Final = 60.0


_LOADS: Final = {
    "A model": {"model_name": "tiny-gpt-oss"},
    "With other options": {"model_name": "tiny-gpt-oss", "ctx_size": 4096, "pinned": True},
}
_UNLOADS: Final = {"One model": {"model_name": "tiny-gpt-oss"}, "All models": {}}


class LoadRequest(ModelName):
    """The body of ``POST /load``. What is left out is as the model's saved options and the settings say."""

    model_config = ConfigDict(extra="forbid", strict=True)

    ctx_size: int | None = Field(default=None, ge=0, le=MOST_CONTEXT, description="Context of each request in tokens.")
    llamacpp_backend: Backend | None = Field(default=None, description="Engine to run it on.")
    llamacpp_args: str | None = Field(default=None, description="More arguments for llama-server, as one string.")
    save_options: bool = Field(default=False, description="Whether these options hold for later loads, too.")
    pinned: bool | None = Field(default=None, description="Whether it stays loaded whatever else wants the memory.")

    @field_validator("llamacpp_args")
    @classmethod
    def _can_be_passed_on(cls, arguments: str | None) -> str | None:
        if arguments is not None:
            try:
                parse_extra_args(arguments)
            except BadEngineArguments as error:
                raise ValueError(error.message) from None
        return arguments

    @property
    def options(self) -> LoadOptions:
        """What the engine is to be started with."""
        return LoadOptions(self.ctx_size, self.llamacpp_backend, self.llamacpp_args)


class UnloadRequest(ModelName):
    """The body of ``POST /unload``; none at all unloads all models."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @property
    def named_or_all(self) -> str | None:
        """The model's name, or ``None`` for all that are loaded."""
        return self.model_name or self.model


@router.post(
    "/load",
    response_model=None,
    summary="Load a model",
    openapi_extra=json_body(LoadRequest, examples=_LOADS),
    responses=answers(Loaded),
)
async def load_model(request: Request) -> Response:
    """Load a model and answer when it is ready: what had to go for it and why, how long it took, how it runs.

    A model that runs with other options than those is started anew when the requests in line for it are done.
    """
    body = validated(LoadRequest, await read_json_object(request))
    rooms, name = services(request), body.named
    note(request.scope, model=name)
    try:
        report = await rooms.pool.load(name, body.options, pinned=body.pinned)
    except ModelNotFound as error:
        raise in_model_name(error) from error
    except (EngineNotFound, NotEnoughMemory) as error:
        # Whoever asks for an engine that is not there, or a context that does not fit, is told which field it was.
        field = "llamacpp_backend" if isinstance(error, EngineNotFound) else "ctx_size"
        if getattr(body, field) is None:
            raise
        raise BadRequest(error.message, param=field, code=error.code) from error
    except EngineFailure as error:
        # Only a llama-server of its own knows which arguments it takes; that the engine is given time is no such thing.
        if type(error) is not EngineFailure or not body.llamacpp_args:
            raise
        raise BadRequest(
            f"{error.message}\nThe next request for {name} loads it without these arguments.",
            param="llamacpp_args",
            code="invalid_llamacpp_args",
        ) from error
    if body.save_options:
        saved = body.model_dump(exclude={"model_name", "model", "save_options"}, exclude_none=True)
        await asyncio.to_thread(rooms.catalogue.save_options, report.model.name, ModelOptions(**saved))
    how = f"in {report.seconds:.1f} s" if report.seconds else "already"
    answer = {
        "status": "success",
        "message": f"{report.model.name} is loaded {how}.",
        "model_name": report.model.name,
        "seconds": round(report.seconds, 3),
        "evicted": report.evicted,
        "options_saved": body.save_options,
        "model": model_object(report.model),
    }
    return json_answer(answer)


@router.post(
    "/unload",
    response_model=None,
    summary="Unload a model, or all",
    openapi_extra=json_body(UnloadRequest, required=False, examples=_UNLOADS),
    responses=answers(Unloaded, also=(409,)),
)
async def unload_model(request: Request) -> Response:
    """Stop a model's engine when the requests in line for it are done, at most a minute later; without a name, all.

    No answer is ever cut off. A model that is still busy after that goes when it is not, and the answer says so (409).
    """
    body = UnloadRequest()
    if request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers:
        body = validated(UnloadRequest, await read_json_object(request))
    pool, name = services(request).pool, body.named_or_all
    note(request.scope, model=name or "all")
    try:
        unloaded = await asyncio.wait_for(pool.unload(name), UNLOAD_SECONDS)
    except asyncio.TimeoutError:
        raise ModelBusy(
            f"Requests still run on {name or 'some models'} after {UNLOAD_SECONDS:.0f} s. It takes no new "
            "ones and is unloaded as soon as those are done; GET /v1/health shows them."
        ) from None
    except ModelNotFound as error:
        raise in_model_name(error) from error
    if name is not None and not unloaded:
        raise ModelNotLoaded(
            f"{name} is not loaded, so there is nothing to unload. GET /v1/health lists what is.",
            param="model_name",
        )
    message = f"Unloaded {', '.join(unloaded)}." if unloaded else "No model was loaded."
    return json_answer({"status": "success", "message": message, "unloaded": unloaded})
