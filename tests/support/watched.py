"""Watches what the clients of this process get from real servers, and holds it against ``/openapi.json``.

Both generations of httpx are watched, so that the SDKs' answers are checked as those of plain requests are.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import httpx
import httpx2
import pytest

from lemonade_like.app import create_app
from lemonade_like.settings import Settings
from tests.support.described import Described, Undescribed


@contextmanager
def watched_answers() -> Iterator[list[Undescribed]]:
    """Yield the list to which all that is not described is added as it is read."""
    # Some servers have a key, so this says what any may answer.
    watch = Watch(Described(create_app(Settings(api_key="any")).openapi()))
    with pytest.MonkeyPatch.context() as patch:
        for library in (httpx, httpx2):
            _watch(patch, library, watch)
        yield watch.found


class Watch:
    """Checks answers, and keeps what it finds: an error inside of a client might be taken for one of the network."""

    def __init__(self, described: Described) -> None:
        self.found: list[Undescribed] = []
        self._described = described

    def is_ours(self, response: Any) -> bool:
        """Whether a lemonade-like server sent this: the places that models come from are fakes with other headers."""
        return "x-request-id" in response.headers

    def ended(self, request: Any, response: Any, body: bytes, whole: bool) -> None:
        """Check an answer as far as it was read; of one that was cut off, the events that are complete."""
        kind = response.headers.get("content-type", "")
        if not whole and not kind.startswith("text/event-stream"):
            return
        try:
            self._described.check(request.method, request.url.path, response.status_code, response.headers, body)
        except Undescribed as error:
            self.found.append(error)


def _watch(patch: pytest.MonkeyPatch, library: Any, watch: Watch) -> None:
    send = library.HTTPTransport.handle_request
    send_async = library.AsyncHTTPTransport.handle_async_request

    class Blocking(library.SyncByteStream):  # type: ignore[misc]
        def __init__(self, stream: Any, ended: Any) -> None:
            self._stream, self._ended = stream, ended

        def __iter__(self) -> Iterator[bytes]:
            body = bytearray()
            whole = False
            try:
                for part in self._stream:
                    body += part
                    yield part
                whole = True
            finally:
                self._ended(bytes(body), whole)

        def close(self) -> None:
            self._stream.close()

    class Asynchronous(library.AsyncByteStream):  # type: ignore[misc]
        def __init__(self, stream: Any, ended: Any) -> None:
            self._stream, self._ended = stream, ended

        async def __aiter__(self) -> AsyncIterator[bytes]:
            body = bytearray()
            whole = False
            try:
                async for part in self._stream:
                    body += part
                    yield part
                whole = True
            finally:
                self._ended(bytes(body), whole)

        async def aclose(self) -> None:
            await self._stream.aclose()

    def handle_request(transport: Any, request: Any) -> Any:
        response = send(transport, request)
        if watch.is_ours(response):
            response.stream = Blocking(response.stream, partial(watch.ended, request, response))
        return response

    async def handle_async_request(transport: Any, request: Any) -> Any:
        response = await send_async(transport, request)
        if watch.is_ours(response):
            response.stream = Asynchronous(response.stream, partial(watch.ended, request, response))
        return response

    patch.setattr(library.HTTPTransport, "handle_request", handle_request)
    patch.setattr(library.AsyncHTTPTransport, "handle_async_request", handle_async_request)
