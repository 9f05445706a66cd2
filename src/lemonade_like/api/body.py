"""Reads a request's JSON body, whatever the client says that it is.

``curl -d`` calls everything a form, so the content type is not looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from lemonade_like.api.services import services
from lemonade_like.errors import BadRequest, ServerError

if TYPE_CHECKING:
    from fastapi import Request

    from lemonade_like.api.limits import BodyLimits

#: Far more than any schema needs, and few enough for whatever walks through it; orjson itself writes 254.
MAX_DEPTH: Final = 100

#: Far more than any chat has. To check so many takes a tenth of a second, in which nobody else is served.
MAX_OBJECTS: Final = 20_000

#: Where the APIs have their messages.
_MESSAGES: Final = ("messages", "input")


class BodyTooLarge(ServerError):
    """The body is larger than the server is willing to hold in memory."""

    status = 413
    type = "invalid_request_error"
    default_code = "request_too_large"


async def read_json_object(request: Request, limits: BodyLimits | None = None) -> dict[str, Any]:
    """Return the JSON object in the body, which keeps to the ``limits``: by default, those that the server is set to.

    Raises:
        BadRequest: the body is empty, is no JSON (the message says where it goes wrong), is JSON but no object, is
            nested more than ``MAX_DEPTH`` levels deep, or has more than ``MAX_OBJECTS`` objects and lists, or too many
            messages.
        BodyTooLarge: the body has too many bytes.
    """
    limits = limits or services(request).limits
    body = await _read(request, limits.max_bytes)
    if not body.strip():
        raise BadRequest("The body is empty: send a JSON object.", code="invalid_json")
    try:
        value = orjson.loads(body.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        encoding = request.headers.get("content-encoding", "identity")
        how = "" if encoding == "identity" else f" It is compressed ({encoding[:20]!r}): send it as it is."
        raise BadRequest(f"The body is not valid JSON: {error}.{how}", code="invalid_json") from None
    if not isinstance(value, dict):
        raise BadRequest(f"The body must be a JSON object, not {_kind(value)}.", code="invalid_json")
    _check_messages(value, limits.max_messages)
    _check_shape(value)
    return value


async def _read(request: Request, limit: int) -> bytes:
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body has more than {limit:,} bytes, which is as much as this server takes.")


def _check_messages(body: dict[str, Any], limit: int) -> None:
    for field in _MESSAGES:
        items = body.get(field)
        # What is no object is a text or a token to be embedded.
        if type(items) is list and len(items) > limit and sum(type(item) is dict for item in items) > limit:
            raise BadRequest(
                f"{field!r} has more than {limit:,} messages, which is as much as this server takes. "
                "Leave the oldest out, or sum them up.",
                param=field,
                code="request_too_large",
            )


def _check_shape(value: Any) -> None:
    layer, objects = [value], 1
    for _ in range(MAX_DEPTH):
        layer = [
            child
            for node in layer
            for child in (node.values() if type(node) is dict else node)
            if type(child) is dict or type(child) is list
        ]
        if not layer:
            return
        objects += len(layer)
        if objects > MAX_OBJECTS:
            raise BadRequest(
                f"The body has too many parts: it may have {MAX_OBJECTS:,} objects and lists. "
                "Send fewer messages, parts of messages, tool calls or tools.",
                code="request_too_large",
            )
    raise BadRequest(
        f"The body is nested too deeply: objects and lists may stand in each other {MAX_DEPTH} levels deep.",
        code="invalid_json",
    )


def _kind(value: object) -> str:
    names: dict[type, str] = {list: "a list", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), "null")
