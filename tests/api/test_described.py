"""The check that every answer of the other tests goes through finds what is not as /openapi.json says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.described import Described, Undescribed
from tests.support.turns import scripted_app

APP = Described(scripted_app().openapi())
JSON = {"content-type": "application/json", "x-request-id": "req"}
STREAM = {"content-type": "text/event-stream; charset=utf-8", "x-request-id": "req"}
NOT_FOUND = {"error": {"message": "No.", "type": "invalid_request_error", "param": None, "code": "model_not_found"}}
CHUNK = {
    "id": "chatcmpl-1",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "tiny",
    "system_fingerprint": "x",
    "choices": [{"index": 0, "delta": {"content": "Hi"}, "logprobs": None, "finish_reason": None}],
}


def check(method: str, path: str, status: int, said: Any, headers: dict[str, str] = JSON) -> None:
    APP.check(method, path, status, headers, json.dumps(said).encode())


def check_stream(*events: str) -> None:
    APP.check("POST", "/v1/chat/completions", 200, STREAM, "".join(f"{event}\n\n" for event in events).encode())


@pytest.mark.parametrize("path", ["/v1/live", "/api/v1/live", "/live"])
def test_what_is_described_passes_under_every_prefix(path: str) -> None:
    check("GET", path, 200, {"status": "ok"})


def test_an_error_of_a_path_or_method_that_is_not_there_passes() -> None:
    check("GET", "/v1/nothing", 404, NOT_FOUND)
    check("PUT", "/v1/models", 405, NOT_FOUND)


def test_a_stream_that_is_described_passes() -> None:
    check_stream(": waiting", f"data: {json.dumps(CHUNK)}", f"data: {json.dumps(NOT_FOUND)}", "data: [DONE]")


@pytest.mark.parametrize(
    ("method", "path", "status", "said", "headers", "why"),
    [
        ("GET", "/v1/nothing", 200, {}, JSON, "no such endpoint"),
        ("GET", "/v1/live", 404, NOT_FOUND, JSON, "has only 200"),
        ("GET", "/v1/live", 200, {"status": "well"}, JSON, "status is wrong: 'ok' was expected"),
        ("GET", "/v1/live", 200, {"status": "ok", "more": 1}, JSON, "'more' was unexpected"),
        ("GET", "/v1/live", 200, {}, JSON, "'status' is a required property"),
        (
            "GET",
            "/v1/live",
            200,
            {"status": "ok"},
            {"content-type": "application/json"},
            "without the header x-request-id",
        ),
        ("GET", "/v1/live", 200, {"status": "ok"}, {**JSON, "content-type": "text/plain"}, "as text/plain"),
        ("GET", "/v1/models/x", 404, {"error": "no"}, JSON, "is not of type 'object'"),
        ("GET", "/v1/nothing", 404, {"detail": "Not Found"}, JSON, "'error' is a required property"),
        ("POST", "/v1/messages", 404, NOT_FOUND, {**JSON, "request-id": "req"}, "is a required property"),
    ],
)
def test_what_is_not_described_is_found(
    method: str, path: str, status: int, said: Any, headers: dict[str, str], why: str
) -> None:
    with pytest.raises(Undescribed, match=why):
        check(method, path, status, said, headers)


@pytest.mark.parametrize(
    "event",
    [
        f"data: {json.dumps({**CHUNK, 'model': 7})}",
        f"data: {json.dumps({**CHUNK, 'more': 1})}",
        f"data: {json.dumps({**CHUNK, 'choices': [{'index': 0}]})}",
        "data: {}",
        "event: alone",
    ],
)
def test_an_event_that_is_not_described_is_found(event: str) -> None:
    with pytest.raises(Undescribed):
        check_stream(f"data: {json.dumps(CHUNK)}", event)
