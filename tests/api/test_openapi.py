"""/openapi.json is complete, and so are the rules by which it says what may come of a request."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from lemonade_like.access.door import REFUSALS
from lemonade_like.access.levels import Level, level_of
from lemonade_like.api.openapi import ALWAYS_ANSWERS, _define, install_description, statuses
from lemonade_like.api.routes import API_PREFIXES, endpoints
from tests.support.turns import client_of, scripted_app

OPEN = scripted_app().openapi()
KEYED = scripted_app(api_key="secret").openapi()

#: What every answer of an error says, in OpenAI's words or Anthropic's.
ERRORS = {"#/components/schemas/ErrorAnswer", "#/components/schemas/MessagesError"}


def operations(document: dict[str, Any] = OPEN) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in part:
        found: Any = OPEN
        for step in part["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        part = found
    return part


def references(part: Any) -> set[str]:
    if isinstance(part, dict):
        own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
        return own.union(*map(references, part.values()))
    return set().union(*map(references, part)) if isinstance(part, list) else set()


EACH = pytest.mark.parametrize(("name", "operation"), [pytest.param(*each, id=each[0]) for each in operations()])


@pytest.mark.parametrize("document", [OPEN, KEYED], ids=["open", "keyed"])
def test_it_is_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(document).validate()


async def test_it_is_what_the_server_answers() -> None:
    async with client_of(scripted_app()) as client:
        assert (await client.get("/openapi.json")).json() == OPEN


def test_every_definition_that_is_referred_to_is_there_and_every_other_is_not() -> None:
    components = {f"#/components/{kind}/{name}" for kind, named in OPEN["components"].items() for name in named}
    used = references(OPEN)
    discriminated = {
        target
        for schema in OPEN["components"]["schemas"].values()
        for target in schema.get("discriminator", {}).get("mapping", {}).values()
    }
    assert used - components == set()
    headers = {f"#/components/headers/{name}" for name in OPEN["components"]["headers"]}
    assert components - used - discriminated - headers == set()


def test_every_endpoint_is_described_once() -> None:
    documented = {tuple(name.split(" ", 1)) for name, _ in operations()}
    here = {
        (method, re.sub(r":path}", "}", path))
        for path, route in endpoints()
        if path.startswith(API_PREFIXES[0] + "/")
        for method in route.methods or ()
    }
    assert documented == here


def test_the_other_prefix_has_the_same_endpoints() -> None:
    first, second = (
        {path.removeprefix(each) for path, _ in endpoints() if path.startswith(each + "/")} for each in API_PREFIXES
    )
    assert first == second


def test_each_operation_has_a_name_of_its_own_that_generated_clients_can_use() -> None:
    names = [operation["operationId"] for _, operation in operations()]
    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch(r"[a-z]+([A-Z][a-z0-9]*)*", name)] == []
    assert {"createChatCompletion", "createResponse", "createMessage", "listModels", "getHealth"} <= set(names)


@EACH
def test_an_operation_says_what_it_is_for(name: str, operation: dict[str, Any]) -> None:
    assert operation.get("summary"), f"{name} has no summary: say it in the decorator."
    assert operation.get("description"), f"{name} has no description: write the function's docstring."
    assert len(operation.get("tags", ())) == 1, f"{name} wants one tag: give its router one."


def test_every_tag_is_explained() -> None:
    unexplained = [tag["name"] for tag in OPEN["tags"] if not tag.get("description")]
    assert unexplained == [], f"Explain {unexplained} in lemonade_like.api.description.TAGS."


@EACH
def test_a_body_has_a_schema_and_examples_that_it_allows(name: str, operation: dict[str, Any]) -> None:
    if "requestBody" not in operation:
        return
    content = operation["requestBody"]["content"]["application/json"]
    assert content["schema"].get("properties"), f"{name} does not say what its body is: use json_body."
    assert content.get("examples"), f"{name} has no examples: give json_body(..., examples={{...}}) some."
    registry = Registry().with_resource("urn:api", Resource(contents=OPEN, specification=DRAFT202012))
    verb, path = name.lower().split(" ")
    path = path.replace("/", "~1")
    schema = {"$ref": f"urn:api#/paths/{path}/{verb}/requestBody/content/application~1json/schema"}
    for title, example in content["examples"].items():
        errors = [
            error.message for error in Draft202012Validator(schema, registry=registry).iter_errors(example["value"])
        ]
        assert errors == [], f"{name}, example {title!r}"


@EACH
def test_a_success_has_a_schema_that_says_something(name: str, operation: dict[str, Any]) -> None:
    success = [response for status, response in operation["responses"].items() if status.startswith("2")]
    assert success, f"{name} documents no success."
    for response in success:
        assert "x-request-id" in resolved(response)["headers"]
        for kind, content in resolved(response).get("content", {}).items():
            said = resolved(content["schema"])
            told = {"properties", "items", "anyOf", "oneOf"} if kind == "application/json" else {"properties", "type"}
            assert told & set(said), f"{name} does not say what it answers: responses=answers(Model) in the decorator."


@EACH
def test_an_error_has_the_error_object_of_its_api_and_the_headers_that_go_with_it(
    name: str, operation: dict[str, Any]
) -> None:
    errors = {status: resolved(each) for status, each in operation["responses"].items() if int(status) >= 400}
    for status, response in errors.items():
        assert response["description"]
        assert "x-request-id" in response["headers"]
        assert references(response["content"]) & ERRORS, f"{name}: {status}"
        assert ("Retry-After" in response["headers"]) == (status in ("429", "503", "529"))


def of(name: str, document: dict[str, Any] = OPEN) -> set[int]:
    return {int(status) for status in dict(operations(document))[name]["responses"]}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("POST /v1/chat/completions", {200, 400, 404, 413, 429, 500, 503}),
        ("POST /v1/messages", {200, 400, 404, 413, 429, 500, 529}),
        ("GET /v1/models", {200, 400, 500, 503}),
        ("GET /v1/models/{model_id}", {200, 404, 500, 503}),
        ("DELETE /v1/responses/{response_id}", {200, 404, 500, 503}),
        ("POST /v1/load", {200, 400, 404, 413, 500, 503}),
        ("POST /v1/unload", {200, 400, 404, 409, 413, 500, 503}),
        ("GET /v1/stats", {200, 500, 503}),
        ("GET /v1/live", {200}),
    ],
)
def test_an_operation_has_the_statuses_that_it_can_answer_with_and_no_others(name: str, expected: set[int]) -> None:
    assert of(name) == expected | REFUSALS


def test_only_what_wants_a_key_can_refuse_one() -> None:
    for name, operation in operations(KEYED):
        method, path = name.split(" ")
        is_open = level_of(method, path) is Level.OPEN
        assert (401 in of(name, KEYED)) != is_open, name
        assert ("security" in operation) != is_open, name
    assert set(KEYED["components"]["securitySchemes"]) == {"bearer", "x-api-key"}
    assert "WWW-Authenticate" in KEYED["components"]["responses"]["Error401"]["headers"]


def test_a_server_without_a_key_asks_for_none() -> None:
    assert "securitySchemes" not in OPEN["components"]
    assert not any(401 in of(name) or "security" in operation for name, operation in operations())


NAMES_A_MODEL = {"properties": {"model": {}, "n": {}}}
TEXT_IN_PATH = {"in": "path", "schema": {"type": "string"}}


@pytest.mark.parametrize(
    ("operation", "body", "expected"),
    [
        ({}, None, {500, 503}),
        (ALWAYS_ANSWERS, None, set()),
        ({}, {"properties": {}}, {400, 413, 500, 503}),
        ({}, NAMES_A_MODEL, {400, 404, 413, 500, 503}),
        ({}, {**NAMES_A_MODEL, "required": ["model"]}, {400, 404, 413, 429, 500, 503}),
        ({"parameters": [TEXT_IN_PATH]}, None, {404, 500, 503}),
        ({"parameters": [{"in": "path", "schema": {"type": "integer"}}]}, None, {400, 404, 500, 503}),
        ({"parameters": [{"in": "query", "schema": {"type": "string"}}]}, None, {400, 500, 503}),
    ],
)
def test_statuses_follow_from_what_an_operation_is(
    operation: dict[str, Any], body: dict[str, Any] | None, expected: set[int]
) -> None:
    assert set(statuses(operation, body, "/v1/what")) == expected


def test_what_an_endpoint_says_of_an_error_of_its_own_stays() -> None:
    app = FastAPI()

    @app.get("/v1/things", responses={404: {"description": "No engine runs."}, 409: {}}, openapi_extra=ALWAYS_ANSWERS)
    async def list_things() -> None: ...

    install_description(app, lambda *_: ())
    responses = app.openapi()["paths"]["/v1/things"]["get"]["responses"]
    assert responses["404"]["description"] == "No engine runs."
    assert references(responses["404"]["content"]) & ERRORS
    assert responses["409"] == {"$ref": "#/components/responses/Error409"}


def test_two_models_of_one_name_are_noticed() -> None:
    with pytest.raises(RuntimeError, match="Two models of the API are called One"):
        _define({"One": {"type": "string"}}, {"One": {"type": "integer"}})


def test_it_says_where_the_api_is_how_to_get_in_and_where_to_read_on() -> None:
    info = OPEN["info"]
    for word in ("base_url", "/v1", "/api/v1", "Bearer", "x-api-key", "docs/api/errors.md"):
        assert word in info["description"]
    assert info["license"] == {"name": "Apache License 2.0", "identifier": "Apache-2.0"}
    assert info["version"] and OPEN["servers"] and OPEN["externalDocs"]["url"]
