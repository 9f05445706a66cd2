"""Clients of the official SDKs that check each answer strictly before the SDK sees it.

The SDKs take whatever comes and fill in nothing, so that a field which is missing, or of another type, would go unseen.
"""

from __future__ import annotations

import base64
import re
from array import array
from functools import partial
from typing import TYPE_CHECKING, Any

import anthropic
import httpx2
import openai
import orjson
from anthropic.types import ErrorResponse, MessageTokensCount
from openai.types import CreateEmbeddingResponse, Model
from openai.types.responses import ResponseItemList
from openai.types.responses.input_token_count_response import InputTokenCountResponse
from pydantic import TypeAdapter

from tests.support import chunks, messages, responses, text_completions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

_SECONDS = 60
#: What is asked for at the path of messages too, and answered with other types.
_BETA = "/messages, beta"


def _typed(form: Any) -> Callable[[Any], Any]:
    adapter: TypeAdapter[Any] = TypeAdapter(form)
    return lambda value: adapter.validate_python(value, strict=True)


def _vectors(body: Any) -> None:
    """The SDK's type is of numbers, which is what the SDK makes of base64, for which it asks by itself."""
    read = [
        {**each, "embedding": array("f", base64.b64decode(each["embedding"], validate=True)).tolist()}
        if isinstance(each["embedding"], str)
        else each
        for each in body["data"]
    ]
    _typed(CreateEmbeddingResponse)({**body, "data": read})
    assert [each["index"] for each in read] == list(range(len(read)))
    assert len({len(each["embedding"]) for each in read}) == 1


_WHOLE: Mapping[str, Callable[[Any], Any]] = {
    r"/chat/completions": chunks.checked,
    r"/completions": text_completions.checked,
    r"/embeddings": _vectors,
    r"/responses(/resp_\w+)?": lambda body: body.get("deleted") or responses.checked(body),
    r"/responses/input_tokens": _typed(InputTokenCountResponse),
    r"/responses/\w+/input_items": _typed(ResponseItemList),
    r"/messages": messages.checked,
    _BETA: partial(messages.checked, beta=True),
    r"/messages/count_tokens": _typed(MessageTokensCount),
    r"/models/.+": _typed(Model),
    r"/models": lambda body: [_typed(Model)(model) for model in body["data"]],
}
_STREAMS: Mapping[str, Callable[[bytes], Any]] = {
    "/chat/completions": chunks.chunks_of,
    "/completions": text_completions.chunks_of,
    "/responses": responses.events_of,
    "/messages": messages.events_of,
    _BETA: partial(messages.events_of, beta=True),
}


def check(path: str, status: int, content_type: str, body: bytes) -> None:
    """Check an answer to a request for that path. Raises whatever the check raises."""
    if content_type.startswith("text/event-stream"):
        _STREAMS[path](body)
        return
    value = orjson.loads(body)
    if status >= 400:
        (_typed(ErrorResponse) if path.startswith("/messages") else chunks.checked_error)(value)
        return
    [one(value) for pattern, one in _WHOLE.items() if re.fullmatch(pattern, path)] or _unknown(path)


def _unknown(path: str) -> None:
    raise AssertionError(f"nobody knows how an answer of {path} looks")


class _Kept(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """The body of an answer, which is checked once all of it has been read. SDKs read on where they left off."""

    def __init__(self, inner: Any, checked: Callable[[bytes], None]) -> None:
        self._inner = inner
        self._checked = checked
        self._kept = bytearray()
        self._ended = False

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._inner:
            self._kept += piece
            yield piece
        self._end()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._inner:
            self._kept += piece
            yield piece
        self._end()

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._checked(bytes(self._kept))

    def close(self) -> None:
        self._inner.close()

    async def aclose(self) -> None:
        await self._inner.aclose()


def _kept(request: httpx2.Request, response: httpx2.Response, *, beta: bool = False) -> httpx2.Response:
    path, status = re.sub(r"^(/api)?/v1", "", request.url.path), response.status_code
    if beta and path == "/messages":
        path = _BETA
    content_type = response.headers.get("content-type", "")
    stream = _Kept(response.stream, lambda body: check(path, status, content_type, body))
    return httpx2.Response(status, headers=response.headers, stream=stream, extensions=response.extensions)


class _Transport(httpx2.HTTPTransport):
    def __init__(self, *, beta: bool = False) -> None:
        super().__init__()
        self._beta = beta

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        return _kept(request, super().handle_request(request), beta=self._beta)


class _AsyncTransport(httpx2.AsyncHTTPTransport):
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return _kept(request, await super().handle_async_request(request))


def openai_client(server: str) -> openai.OpenAI:
    """OpenAI's, blocking."""
    http = httpx2.Client(transport=_Transport(), timeout=_SECONDS)
    return openai.OpenAI(base_url=f"{server}/v1", api_key="none", max_retries=0, http_client=http)


def async_openai_client(server: str) -> openai.AsyncOpenAI:
    """OpenAI's, asynchronous."""
    http = httpx2.AsyncClient(transport=_AsyncTransport(), timeout=_SECONDS)
    return openai.AsyncOpenAI(base_url=f"{server}/v1", api_key="none", max_retries=0, http_client=http)


def anthropic_client(server: str, *, beta: bool = False) -> anthropic.Anthropic:
    """Anthropic's, blocking; with ``beta`` messages are checked to be of its beta types, which know more blocks."""
    http = httpx2.Client(transport=_Transport(beta=beta), timeout=_SECONDS)
    return anthropic.Anthropic(base_url=server, api_key="none", max_retries=0, http_client=http)


def async_anthropic_client(server: str) -> anthropic.AsyncAnthropic:
    """Anthropic's, asynchronous."""
    http = httpx2.AsyncClient(transport=_AsyncTransport(), timeout=_SECONDS)
    return anthropic.AsyncAnthropic(base_url=server, api_key="none", max_retries=0, http_client=http)
