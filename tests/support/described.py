"""Holds answers against what ``/openapi.json`` says of them.

Whatever is sent must be described: the endpoint, the status, the content type, the headers that are always there, and
each field. A field that the description does not have is as wrong as one that has another type.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from functools import cache
from typing import Any

import httpx
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from lemonade_like.api.anthropic.errors import is_of_messages

_HERE = "urn:openapi"
#: What people and tools read; the rest is for clients, and described.
_PAGES = re.compile(r"/|/openapi\.json|/metrics|/docs(/.*)?")
_PROBES = re.compile(r"/(health|live)")


class Undescribed(AssertionError):
    """An answer is not what ``/openapi.json`` says."""


class Described:
    """A description, ready to be held against answers. ``document`` is what ``/openapi.json`` answers."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = closed(document)
        self._registry = Registry().with_resource(_HERE, Resource(contents=self._document, specification=DRAFT202012))
        self._operations = [
            (_pattern(path, name), path, set(operations))
            # The names of models may have slashes in them: what else fits a path goes before that.
            for name in ("[^/]+", ".+")
            for path, operations in sorted(document["paths"].items(), key=lambda each: "{" in each[0])
        ]

    def check(self, method: str, path: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Check a whole answer. Raises ``Undescribed``."""
        if _PAGES.fullmatch(path) or method == "OPTIONS":
            return
        at = self._operation(method, path)
        what = f"{method} {path} was answered with {status}"
        if at is None:
            if status < 400:
                raise Undescribed(f"{what}, but /openapi.json has no such endpoint.")
            error = "MessagesError" if is_of_messages(path) else "ErrorAnswer"
            if method != "HEAD":
                self._validate(what, f"#/components/schemas/{error}", json.loads(body))
            return
        responses = self._at(f"{at}/responses")
        if str(status) not in responses:
            raise Undescribed(f"{what}, but /openapi.json has only {', '.join(responses)} for it.")
        response, at = self._resolved(responses[str(status)], f"{at}/responses/{status}")
        for name, header in response.get("headers", {}).items():
            if self._resolved(header, "")[0].get("required") and name.lower() not in headers:
                raise Undescribed(f"{what} without the header {name}.")
        content = response.get("content", {})
        kind = headers.get("content-type", "").partition(";")[0]
        if kind not in content and (content or body):
            raise Undescribed(
                f"{what} as {kind or 'nothing'}, but /openapi.json has {', '.join(content) or 'nothing'}."
            )
        if method == "HEAD" or "schema" not in content.get(kind, {}):
            return
        at = f"{at}/content/{kind.replace('/', '~1')}/schema"
        if kind == "application/json":
            self._validate(what, at, json.loads(body))
        elif self._at(at).get("type") == "string":
            self._validate(what, at, body.decode())
        elif kind == "text/event-stream":
            for event in events(body):
                self._check_event(what, at, event)

    def _check_event(self, what: str, at: str, event: Mapping[str, str]) -> None:
        self._validate(what, at, event)
        data = f"{at}/properties/data"
        for place in (data, *(f"{data}/anyOf/{index}" for index, _ in enumerate(self._at(data).get("anyOf", ())))):
            form = self._at(place)
            if form.get("const") == event["data"]:
                return
            if "contentSchema" in form:
                said = json.loads(event["data"])
                self._validate(f"{what}, and the event {event['data'][:200]}", f"{place}/contentSchema", said)
                return

    def _operation(self, method: str, path: str) -> str | None:
        verb = "get" if method == "HEAD" else method.lower()
        path = path.removeprefix("/api") if path.startswith("/api/v1/") else path
        path = f"/v1{path}" if _PROBES.fullmatch(path) else path
        for form, template, verbs in self._operations:
            if form.fullmatch(path):
                return f"#/paths/{template.replace('/', '~1')}/{verb}" if verb in verbs else None
        return None

    def _at(self, pointer: str) -> Any:
        found: Any = self._document
        for step in pointer.removeprefix("#/").split("/"):
            found = found[int(step) if isinstance(found, list) else step.replace("~1", "/")]
        return found

    def _resolved(self, part: Mapping[str, Any], at: str) -> tuple[Mapping[str, Any], str]:
        return (self._at(part["$ref"]), part["$ref"]) if "$ref" in part else (part, at)

    def _validate(self, what: str, at: str, value: Any) -> None:
        error = best_match(_validator(self, at).iter_errors(value))
        if error is not None:
            raise Undescribed(f"{what}, but by /openapi.json {error.json_path} is wrong: {error.message[:1000]}")

    def validator(self, at: str) -> Draft202012Validator:
        """What validates values by the schema at that place of the document."""
        return Draft202012Validator({"$ref": _HERE + at}, registry=self._registry)


def _pattern(path: str, name: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{\w+\\\}", name, re.escape(path)))


@cache
def _validator(described: Described, at: str) -> Draft202012Validator:
    return described.validator(at)


def closed(part: Any) -> Any:
    """Return a copy of a schema, or of all that are in it, that allows no other fields than those it names."""
    if isinstance(part, list):
        return [closed(each) for each in part]
    if not isinstance(part, Mapping):
        return part
    copy = {name: closed(each) for name, each in part.items()}
    if isinstance(copy.get("properties"), dict) and copy.get("type") == "object":
        copy.setdefault("additionalProperties", False)
    return copy


def events(body: bytes) -> Iterator[dict[str, str]]:
    """Yield the server-sent events of a stream; what was cut off in the middle is left out."""
    for block in body.decode().split("\n\n")[:-1]:
        lines = [line.partition(": ") for line in block.split("\n") if not line.startswith(":")]
        if lines:
            yield {name: value for name, _, value in lines}


class CheckedTransport(httpx.AsyncBaseTransport):
    """Calls an app without a network, and checks each of its answers."""

    def __init__(self, app: Callable[..., Any], described: Described) -> None:
        self._transport = httpx.ASGITransport(app)
        self._described = described

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._transport.handle_async_request(request)
        body = await response.aread()
        self._described.check(request.method, request.url.path, response.status_code, response.headers, body)
        return httpx.Response(response.status_code, headers=response.headers, stream=_Whole(body))


class _Whole(httpx.AsyncByteStream):
    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body
