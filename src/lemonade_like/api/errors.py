"""Every error as OpenAI's object: ``{"error": {"message", "type", "param", "code"}}``, or in its client's own form."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from lemonade_like.api.anthropic import errors as anthropic
from lemonade_like.api.hints import hint
from lemonade_like.api.json_answer import json_answer
from lemonade_like.api.validation import as_bad_request
from lemonade_like.errors import ServerError, ShuttingDown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger: Final = logging.getLogger(__name__)


class _EndpointNotFound(ServerError):
    status = 404
    type = "invalid_request_error"
    default_code = "unknown_url"


class _MethodNotAllowed(ServerError):
    status = 405
    type = "invalid_request_error"
    default_code = "method_not_allowed"


def error_object(error: ServerError) -> dict[str, Any]:
    """Return the error as OpenAI's object."""
    return {
        "error": {"message": error.message, "type": error.type, "param": error.param, "code": error.code},
    }


def error_response(error: ServerError) -> Response:
    """Return the answer that says what went wrong."""
    headers: dict[str, str] = {}
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    return _ErrorResponse(error, headers)


class _ErrorResponse(Response):
    """An error in OpenAI's form, unless it is sent to somebody who reads Anthropic's: the path tells."""

    def __init__(self, error: ServerError, headers: dict[str, str]) -> None:
        super().__init__(orjson.dumps(error_object(error)), error.status, headers, media_type="application/json")
        self._error = error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        if anthropic.is_of_messages(scope["path"]):
            request_id = scope.get("state", {}).get("request_id", "")
            self.status_code = anthropic.error_status(self._error)
            self.body = orjson.dumps(anthropic.error_object(self._error, request_id))
            self.headers["content-length"] = str(len(self.body))
            self.headers["request-id"] = request_id
        await super().__call__(scope, receive, send)


def unexpected(scope: Scope) -> ServerError:
    """Return what a client learns of an error that nobody foresaw: the id under which the log has the rest."""
    request_id = scope.get("state", {}).get("request_id", "unknown")
    return ServerError(
        f"The server made a mistake while it answered. Its log has the details under request id {request_id}.",
        code="internal_error",
    )


def shutting_down() -> ShuttingDown:
    """Return what a client learns whose answer was still under way when the server had to stop."""
    return ShuttingDown("The server shut down before the answer was complete. Send the request again.")


class UnexpectedErrors:
    """ASGI middleware that logs an error which nobody foresaw, with its traceback, and answers without it.

    A request that the server cancels because it stops gets an answer too, if it has none yet. One whose client has left
    gets none.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, come what may."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except asyncio.CancelledError:
            if started:
                raise
            # With the answer out, nothing is left to be cancelled.
            await error_response(shutting_down())(scope, receive, send)
        except ClientDisconnect:
            pass
        except Exception:
            logger.exception(
                "Unexpected error in %s %s", scope["method"], scope["path"].encode("unicode_escape").decode()
            )
            if started:
                raise
            await error_response(unexpected(scope))(scope, receive, send)


def install_error_handlers(
    app: FastAPI, known_paths: Sequence[str] = (), methods: Callable[[str], Collection[str]] | None = None
) -> None:
    """Make every error that an endpoint raises an answer of the one shape; a wrong path is told the nearest known.

    ``methods`` returns all methods that a path takes; otherwise those of the first endpoint there are told.
    """

    async def http_exception(request: Request, error: HTTPException) -> Response:
        if error.status_code == 405:
            known = methods(request.url.path) if methods is not None else ()
            of_the_first = (error.headers or {}).get("Allow", "").split(", ")
            return _method_not_allowed(request, ", ".join(sorted(known or of_the_first)))
        return _http_exception(request, error, known_paths)

    app.exception_handler(ServerError)(_server_error)
    app.exception_handler(RequestValidationError)(_validation_error)
    app.exception_handler(HTTPException)(http_exception)


async def _server_error(request: Request, error: ServerError) -> Response:
    if error.status >= 500:
        logger.error("%s", error.message)
    return error_response(error)


async def _validation_error(request: Request, error: RequestValidationError) -> Response:
    # The first step of FastAPI's locations says where the field was: "query", "path", "body".
    return error_response(as_bad_request([{**each, "loc": each["loc"][1:]} for each in error.errors()]))


def _http_exception(request: Request, error: HTTPException, known_paths: Sequence[str]) -> Response:
    method, path = request.method, request.url.path
    if error.status_code == 404:
        return error_response(_EndpointNotFound(f"There is no {method} {path} here. {hint(path, known_paths)}"))
    said = {"message": str(error.detail), "type": "invalid_request_error", "param": None, "code": None}
    return json_answer({"error": said}, error.status_code, error.headers)


def _method_not_allowed(request: Request, allowed: str) -> Response:
    if request.method == "OPTIONS":
        return Response(status_code=204, headers={"Allow": allowed})
    response = error_response(_MethodNotAllowed(f"{request.url.path} takes {allowed}, not {request.method}."))
    response.headers["Allow"] = allowed
    return response
