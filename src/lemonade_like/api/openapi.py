"""Describes the bodies that the endpoints read themselves, for ``/docs``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi import FastAPI
    from pydantic import BaseModel

_EXTENSION = "x-body-definitions"


def json_body(model: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """Return the ``openapi_extra`` of an endpoint whose body is a ``model``, to be left out unless ``required``."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    definitions = schema.pop("$defs", {})
    return {
        "requestBody": {"required": required, "content": {"application/json": {"schema": schema}}},
        _EXTENSION: definitions,
    }


def install_body_definitions(app: FastAPI) -> None:
    """Move what the bodies refer to to where the whole description looks for it."""
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        description = describe()
        for operations in description["paths"].values():
            for operation in operations.values():
                definitions = operation.pop(_EXTENSION, {})
                description.setdefault("components", {}).setdefault("schemas", {}).update(definitions)
        return description

    app.openapi = openapi  # type: ignore[method-assign]
