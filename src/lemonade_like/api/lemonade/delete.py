"""``POST /delete``: a model off this machine."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from lemonade_like.api.body import read_json_object
from lemonade_like.api.json_answer import json_answer
from lemonade_like.api.lemonade.answers import Deleted
from lemonade_like.api.lemonade.naming import ModelName, in_model_name
from lemonade_like.api.openapi import answers, json_body
from lemonade_like.api.services import note, services
from lemonade_like.api.validation import validated
from lemonade_like.errors import ModelNotFound

router = APIRouter(tags=["models"])


@router.post(
    "/delete",
    response_model=None,
    summary="Delete a model's files",
    openapi_extra=json_body(ModelName, examples={"A model that was pulled": {"model_name": "gpt-oss-20b-GGUF"}}),
    responses=answers(Deleted, also=(409,)),
)
async def delete_model(request: Request) -> Response:
    """Delete a downloaded model, and forget it if it was registered; files that another model needs are kept."""
    name = validated(ModelName, await read_json_object(request)).named
    note(request.scope, model=name)
    try:
        name, deleted = await services(request).manager.delete(name)
    except ModelNotFound as error:
        raise in_model_name(error) from error
    answer = {
        "status": "success",
        "message": f"Deleted model: {name}",
        "model_name": name,
        "bytes_freed": deleted.bytes,
        "kept_files": list(deleted.kept),
    }
    return json_answer(answer)
