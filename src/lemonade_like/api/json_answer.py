"""Writes an answer as JSON."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson
from fastapi import Response

if TYPE_CHECKING:
    from collections.abc import Mapping


def json_answer(
    content: dict[str, Any] | bytes, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return ``content`` as an answer; bytes are JSON already."""
    written = content if isinstance(content, bytes) else orjson.dumps(content)
    return Response(written, status, headers, media_type="application/json")


async def large_json_answer(content: dict[str, Any]) -> Response:
    """Return ``content`` as an answer, written in a thread: it may be so large that others would have to wait."""
    return json_answer(await asyncio.to_thread(orjson.dumps, content))
