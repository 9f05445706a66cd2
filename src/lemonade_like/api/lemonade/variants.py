"""``GET /pull/variants``: what a repository of the Hub has to pull."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from lemonade_like.api.lemonade.answers import Variants
from lemonade_like.api.openapi import answers
from lemonade_like.api.services import services
from lemonade_like.models.variants import projectors, suggested_labels

router = APIRouter(tags=["models"])


@router.get(
    "/pull/variants",
    response_model=None,
    summary="List the models of a repository",
    responses=answers(Variants, also=(403, 404, 502)),
)
async def list_variants(request: Request, checkpoint: str) -> dict[str, Any]:
    """List the models that a repository of the Hub holds, the recommended one first, and which are downloaded.

    ``checkpoint`` is ``org/repo``, also after ``hf.co/``; a quantisation behind it is not looked at.
    """
    repository, variants = await services(request).manager.variants(checkpoint)
    return {
        "checkpoint": checkpoint,
        "recipe": "llamacpp",
        "revision": repository.revision,
        "suggested_name": repository.name.rpartition("/")[2],
        "suggested_labels": suggested_labels(repository),
        "mmproj_files": projectors(repository),
        "variants": [variant.as_json() for variant in variants],
    }
