"""``POST /models/register``: a model of the Hub under a name of the user's own, for ever."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from lemonade_like.api.body import read_json_object
from lemonade_like.api.openai.models import model_object
from lemonade_like.api.openapi import json_body
from lemonade_like.api.services import note, services
from lemonade_like.api.validation import validated
from lemonade_like.engine.spec import parse_extra_args
from lemonade_like.models.model import Label, ModelEntry, ModelOptions
from lemonade_like.models.names import is_checkpoint, read_checkpoint

if TYPE_CHECKING:
    from lemonade_like.api.services import ModelCatalogue
    from lemonade_like.models.describe import Description

router = APIRouter(tags=["models"])


def _checkpoint(text: str) -> str:
    if not is_checkpoint(text):
        raise PydanticCustomError(
            "checkpoint",
            "must be org/repo:QUANT or org/repo:file.gguf of the Hugging Face Hub; a file on this "
            "machine is registered with `lemonade-like register`",
        )
    return text


def _projector(text: str) -> str:
    try:
        ModelEntry(checkpoint="org/repo", mmproj=text)
    except ValidationError:
        raise PydanticCustomError(
            "projector", "must be the name of a file in the same repository, or org/repo:file.gguf"
        ) from None
    return text


def _without_host(text: str) -> str:
    return read_checkpoint(text) or text


class RegisterRequest(BaseModel):
    """What to register, in Lemonade's words."""

    model_config = ConfigDict(strict=True)

    model_name: str = Field(min_length=1, description="`user.NAME`; `NAME` is the same.")
    checkpoint: Annotated[str, AfterValidator(_without_host), AfterValidator(_checkpoint)] = Field(
        description="`org/repo:QUANT` or `org/repo:file.gguf` of the Hugging Face Hub; `hf.co/` may stand before it."
    )
    recipe: Literal["llamacpp"] = Field(default="llamacpp", description="What runs the model.")
    labels: list[Label] = Field(default=[], description="What the model is good for.")
    reasoning: bool = Field(default=False, description="The label `reasoning`.")
    vision: bool = Field(default=False, description="The label `vision`.")
    embedding: bool = Field(default=False, description="The label `embeddings`.")
    reranking: bool = Field(default=False, description="The label `reranking`.")
    mmproj: Annotated[str, AfterValidator(_projector)] | None = Field(
        default=None,
        description="The vision projector's file there, or `org/repo:file.gguf`.",
    )
    recipe_options: ModelOptions = Field(
        default=ModelOptions(), description="Settings of this model that differ from the defaults."
    )

    @property
    def entry(self) -> ModelEntry:
        """What is kept."""
        flags: dict[Label, bool] = {
            "reasoning": self.reasoning,
            "vision": self.vision or self.mmproj is not None,
            "embeddings": self.embedding,
            "reranking": self.reranking,
        }
        labels = dict.fromkeys([*self.labels, *(label for label, given in flags.items() if given)])
        return ModelEntry(
            checkpoint=self.checkpoint, mmproj=self.mmproj, labels=tuple(labels), options=self.recipe_options
        )


@router.post(
    "/models/register",
    response_model=None,
    summary="Give a model of the Hub a name",
    openapi_extra=json_body(RegisterRequest),
)
async def register(request: Request) -> Response:
    """Keep a model of the Hub under `user.NAME`. Nothing is downloaded: `POST /v1/pull` does that."""
    body = validated(RegisterRequest, await read_json_object(request))
    note(request.scope, model=body.model_name)
    # Now, and not when the model is loaded for the first time.
    parse_extra_args(body.recipe_options.llamacpp_args or "")
    rooms = services(request)
    described = await asyncio.to_thread(_register, rooms.catalogue, body)
    said: dict[str, Any] = {"status": "success", "model_name": described.model.name}
    return Response(
        orjson.dumps({**said, "model": model_object(described, rooms.started_at)}), media_type="application/json"
    )


def _register(catalogue: ModelCatalogue, body: RegisterRequest) -> Description:
    return catalogue.describe(catalogue.register(body.model_name, body.entry))
