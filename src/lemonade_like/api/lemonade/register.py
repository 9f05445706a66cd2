"""``POST /models/register``: a model of the Hub under a name of the user's own, for ever."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from pydantic import Field

from lemonade_like.api.body import read_json_object
from lemonade_like.api.json_answer import json_answer
from lemonade_like.api.lemonade.answers import Registered
from lemonade_like.api.lemonade.entry import EntryFields, HubCheckpoint
from lemonade_like.api.openai.models import model_object
from lemonade_like.api.openapi import answers, json_body
from lemonade_like.api.services import note, services
from lemonade_like.api.validation import validated
from lemonade_like.engine.spec import parse_extra_args
from lemonade_like.models.model import ModelOptions

if TYPE_CHECKING:
    from lemonade_like.api.services import ModelCatalogue
    from lemonade_like.models.describe import Description

router = APIRouter(tags=["models"])


_EXAMPLES = {
    "A model of the Hub": {"model_name": "user.mine", "checkpoint": "unsloth/gpt-oss-20b-GGUF:Q4_K_M"},
    "With options of its own": {
        "model_name": "user.mine",
        "checkpoint": "unsloth/gpt-oss-20b-GGUF:Q4_K_M",
        "labels": ["reasoning", "tool-calling"],
        "recipe_options": {"ctx_size": 8192},
    },
}


class RegisterRequest(EntryFields):
    """What to register."""

    model_name: str = Field(min_length=1, description="`user.NAME`; `NAME` is the same.")
    checkpoint: HubCheckpoint = Field(
        description="`org/repo:QUANT` or `org/repo:file.gguf` of the Hugging Face Hub; `hf.co/` may stand before it."
    )
    recipe_options: ModelOptions = Field(
        default=ModelOptions(), description="Settings of this model that differ from the defaults."
    )


@router.post(
    "/models/register",
    response_model=None,
    summary="Give a model of the Hub a name",
    openapi_extra=json_body(RegisterRequest, examples=_EXAMPLES),
    responses=answers(Registered),
)
async def register_model(request: Request) -> Response:
    """Keep a model of the Hub under `user.NAME`. Nothing is downloaded: `POST /v1/pull` does that."""
    body = validated(RegisterRequest, await read_json_object(request))
    note(request.scope, model=body.model_name)
    # Now, and not when the model is loaded for the first time.
    parse_extra_args(body.recipe_options.llamacpp_args or "")
    rooms = services(request)
    described = await asyncio.to_thread(_register, rooms.catalogue, body)
    said: dict[str, Any] = {"status": "success", "model_name": described.model.name}
    return json_answer({**said, "model": model_object(described, rooms.started_at)})


def _register(catalogue: ModelCatalogue, body: RegisterRequest) -> Description:
    entry = body.described(body.checkpoint, body.recipe_options)
    return catalogue.describe(catalogue.register(body.model_name, entry))
