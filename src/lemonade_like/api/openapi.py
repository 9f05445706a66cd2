"""Describes the API for ``/openapi.json``: what endpoints read and answer, and what else may come of it.

An endpoint says what is its own (:func:`json_body`, :func:`answers`). The statuses that many can answer with follow
from what it is: see :func:`statuses`. All of this happens once, when somebody asks for the description.
"""

from __future__ import annotations

from http.client import responses
from typing import TYPE_CHECKING, Any, Final

from pydantic import TypeAdapter

from lemonade_like.api.answer import ErrorAnswer
from lemonade_like.api.anthropic import errors as anthropic
from lemonade_like.api.anthropic.answers import MessagesError
from lemonade_like.api.description import HEADERS, SECURITY_SCHEMES, STATUSES, TAGS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from fastapi import FastAPI
    from fastapi.routing import APIRoute
    from pydantic import BaseModel

_SCHEMAS: Final = "#/components/schemas/"
_DEFINITIONS: Final = "x-definitions"
_ALWAYS_ANSWERS: Final = "x-always-answers"

#: The ``openapi_extra`` of an endpoint that asks nothing of the server, so that nothing can go wrong.
ALWAYS_ANSWERS: Final = {_ALWAYS_ANSWERS: True}

#: What FastAPI says of wrong parameters, which are a 400 here.
_FASTAPIS_OWN: Final = ("HTTPValidationError", "ValidationError")


def json_body(
    model: type[BaseModel], *, required: bool = True, examples: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the ``openapi_extra`` of an endpoint whose body is a ``model``, to be left out unless ``required``.

    ``examples`` are bodies by what they show, which work with the bundled model where a model has to be named.
    """
    schema, definitions = _schema(model, "validation")
    content: dict[str, Any] = {"schema": schema}
    if examples:
        content["examples"] = {name: {"summary": name, "value": value} for name, value in examples.items()}
    return {
        "requestBody": {"required": required, "content": {"application/json": content}},
        _DEFINITIONS: definitions,
    }


def answers(
    model: Any, *, events: Any = None, done: str | None = None, also: Iterable[int] = ()
) -> dict[int | str, dict[str, Any]]:
    """Return the ``responses`` of an endpoint that answers with a ``model``.

    ``events`` is the type of the JSON in each server-sent event, for an endpoint that can stream; ``done`` is the text
    that ends a stream. ``also`` are statuses that do not follow from what the endpoint is.
    """
    success: dict[str, Any] = {"model": model, "description": "The answer."}
    if events is not None:
        success["content"] = {"text/event-stream": _event_stream(events, done)}
    return {200: success, **{status: {} for status in also}}


def operation_id(route: APIRoute) -> str:
    """Return the name that generated clients give the endpoint: ``createChatCompletion``."""
    first, *rest = route.name.split("_")
    return first + "".join(word.title() for word in rest)


def statuses(operation: Mapping[str, Any], body: Mapping[str, Any] | None, path: str) -> Iterator[int]:
    """Yield the statuses that tell of errors, as they follow from what an operation is; ``body`` is its schema.

    A body can be wrong, or too large. So can parameters be wrong, except for texts in the path. Whatever is named in
    the path, and a ``model`` in the body, may not be there. A body that has to name a model is for the engine, whose
    queue may be full. Whatever needs the server may fail, or be ended by its stopping.
    """
    parameters = operation.get("parameters", ())
    named_in_path = [each for each in parameters if each["in"] == "path"]
    if body is not None:
        yield from (400, 413)
        if "model" in body.get("required", ()):
            yield 429
    if any(each["in"] == "query" or each["schema"].get("type") != "string" for each in parameters):
        yield 400
    if named_in_path or "model" in (body or {}).get("properties", ()):
        yield 404
    if _ALWAYS_ANSWERS not in operation:
        yield from (500, 529 if anthropic.is_of_messages(path) else 503)


def install_description(app: FastAPI, refusals: Callable[[str, str], Collection[int]]) -> None:
    """Complete what FastAPI says of the app.

    ``refusals`` returns, by method and path, the statuses with which whoever guards an endpoint may refuse a request.
    """
    describe = app.openapi
    complete: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not complete:
            complete.update(_completed(describe(), refusals))
        return complete

    app.openapi = openapi  # type: ignore[method-assign]


def _completed(description: dict[str, Any], refusals: Callable[[str, str], Collection[int]]) -> dict[str, Any]:
    components = description.setdefault("components", {})
    schemas: dict[str, Any] = components.setdefault("schemas", {})
    for name in _FASTAPIS_OWN:
        schemas.pop(name, None)
    for model in (ErrorAnswer, MessagesError):
        schema, definitions = _schema(model, "serialization")
        _define(schemas, {**definitions, model.__name__: schema})
    components["headers"] = HEADERS
    components["responses"] = {}
    used: set[str] = set()
    for method, path, operation in _operations(description):
        _define(schemas, _taken_out(operation))
        used.update(operation.get("tags", ()))
        refused = set(refusals(method.upper(), path))
        if 401 in refused:
            components["securitySchemes"] = SECURITY_SCHEMES
            operation["security"] = [{scheme: []} for scheme in SECURITY_SCHEMES]
        body = _body_schema(operation, schemas)
        found = refused.union(statuses(operation, body, path))
        operation.pop(_ALWAYS_ANSWERS, None)
        operation["responses"].pop("422", None)
        _complete_responses(operation["responses"], found, path, components["responses"])
    description["tags"] = [
        {"name": tag, **({"description": TAGS[tag]} if tag in TAGS else {})}
        for tag in [*(tag for tag in TAGS if tag in used), *sorted(used.difference(TAGS))]
    ]
    return description


def _operations(description: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            yield method, path, operation


def _complete_responses(told: dict[str, Any], found: set[int], path: str, shared: dict[str, Any]) -> None:
    of_messages = anthropic.is_of_messages(path)
    for status in found:
        told.setdefault(str(status), {})
    for key in sorted(told):
        response, status = told.pop(key), int(key)
        if status >= 400 and "content" not in response:
            name = f"{'Messages' if of_messages else ''}Error{status}"
            error = _error_response(status, of_messages=of_messages)
            if response.get("description", _phrase(status)) == _phrase(status):
                shared[name] = error
                response = {"$ref": f"#/components/responses/{name}"}
            else:
                response = {**error, **response}
        else:
            response.setdefault("headers", {}).update(_headers(status, of_messages=of_messages))
        told[key] = response


def _error_response(status: int, *, of_messages: bool) -> dict[str, Any]:
    model = MessagesError if of_messages else ErrorAnswer
    return {
        "description": STATUSES.get(status) or f"{_phrase(status)}.",
        "headers": _headers(status, of_messages=of_messages),
        "content": {"application/json": {"schema": {"$ref": _SCHEMAS + model.__name__}}},
    }


def _phrase(status: int) -> str:
    """What FastAPI says of a status of which the endpoint says nothing."""
    return responses.get(status, "Additional Response")


def _headers(status: int, *, of_messages: bool) -> dict[str, Any]:
    names = ["x-request-id"]
    if of_messages:
        names.append("request-id")
    if status == 401:
        names.append("WWW-Authenticate")
    if status in (429, 503, 529):
        names.append("Retry-After")
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _body_schema(operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if "requestBody" not in operation:
        return None
    content = operation["requestBody"]["content"]
    schema: Mapping[str, Any] = next(iter(content.values())).get("schema", {})
    while "$ref" in schema:
        schema = schemas[schema["$ref"].removeprefix(_SCHEMAS)]
    return schema


def _event_stream(events: Any, done: str | None) -> dict[str, Any]:
    """Each event, as FastAPI and OpenAPI 3.2 describe events."""
    schema, definitions = _schema(events, "serialization")
    data: dict[str, Any] = {"type": "string", "contentMediaType": "application/json", "contentSchema": schema}
    if done is not None:
        data = {"anyOf": [{"const": done, "description": "The end of the stream."}, data]}
    event = {
        "type": "object",
        "description": "One server-sent event. Comments may stand between two.",
        "properties": {"event": {"type": "string"}, "data": data},
        "required": ["data"],
    }
    return {"schema": event, _DEFINITIONS: definitions}


def _schema(model: Any, mode: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    schema = TypeAdapter(model).json_schema(ref_template=_SCHEMAS + "{model}", mode=mode)
    return schema, schema.pop("$defs", {})


def _taken_out(part: Any) -> dict[str, Any]:
    """The definitions that stand beside what refers to them, which they are taken from."""
    found: dict[str, Any] = {}
    if isinstance(part, dict):
        found |= part.pop(_DEFINITIONS, {})
    for child in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        found |= _taken_out(child)
    return found


def _define(schemas: dict[str, Any], definitions: Mapping[str, Any]) -> None:
    for name, definition in definitions.items():
        if schemas.setdefault(name, definition) != definition:
            raise RuntimeError(f"Two models of the API are called {name}; call one of them something else.")
