"""``agenerate`` and ``astream``: the same as ``generate`` and ``stream``, for programs with an event loop."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx

from lemonade_like.generation.answer import Answer, Delta, Generation
from lemonade_like.generation.wire import (
    BASE_URL,
    MODEL,
    TIMEOUT,
    Prompt,
    broken_off,
    chunk_in,
    explained,
    headers,
    json_object,
    refused,
    request_body,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence


class AsyncGenerationStream:
    """An answer that is being written: iterate for its pieces; ``result()`` is the whole, once they are all there."""

    def __init__(self, chunks: AsyncIterator[dict[str, Any]], *, capture_reasoning: bool) -> None:
        self._chunks = chunks
        self._answer = Answer(capture_reasoning)
        self._over = False

    async def __aiter__(self) -> AsyncIterator[Delta]:
        async for chunk in self._chunks:
            delta = self._answer.add(chunk)
            if delta.text or delta.reasoning:
                yield delta
        self._over = True

    async def result(self) -> Generation:
        """Return the whole answer; what has not been iterated over yet is read first."""
        if not self._over:
            async for _ in self:
                pass
        return self._answer.result()


async def agenerate(
    prompt: Prompt,
    *,
    model: str = MODEL,
    base_url: str = BASE_URL,
    api_key: str | None = None,
    reasoning_level: str | None = None,
    capture_reasoning: bool = True,
    instructions: str | None = None,
    tools: Sequence[Mapping[str, Any]] | None = None,
    timeout: float = TIMEOUT,
    http: httpx.AsyncClient | None = None,
    **options: Any,
) -> Generation:
    """Return a running server's answer; see :func:`lemonade_like.generate`. Cancelling it ends the turn."""
    body = request_body(prompt, model, reasoning_level, capture_reasoning, instructions, tools, options)
    async with _client(http, base_url, timeout) as client:
        response = await client.post(f"{base_url.rstrip('/')}/chat/completions", json=body, headers=headers(api_key))
        if response.is_error:
            raise refused(response)
        answer = Answer(capture_reasoning)
        answer.add_whole(json_object(response.text))
        return answer.result()


@asynccontextmanager
async def astream(
    prompt: Prompt,
    *,
    model: str = MODEL,
    base_url: str = BASE_URL,
    api_key: str | None = None,
    reasoning_level: str | None = None,
    capture_reasoning: bool = True,
    instructions: str | None = None,
    tools: Sequence[Mapping[str, Any]] | None = None,
    timeout: float = TIMEOUT,
    http: httpx.AsyncClient | None = None,
    **options: Any,
) -> AsyncIterator[AsyncGenerationStream]:
    """Ask as :func:`agenerate` does, but show the answer while it is written.

    ::

        async with astream("Tell me a story.") as answer:
            async for delta in answer:
                print(delta.text, end="")
        print((await answer.result()).usage)

    Leaving the block early ends the turn on the server.
    """
    body = request_body(prompt, model, reasoning_level, capture_reasoning, instructions, tools, options)
    body |= {"stream": True, "stream_options": {"include_usage": True}}
    async with (
        _client(http, base_url, timeout) as client,
        client.stream(
            "POST", f"{base_url.rstrip('/')}/chat/completions", json=body, headers=headers(api_key)
        ) as response,
    ):
        if response.is_error:
            await response.aread()
            raise refused(response)
        yield AsyncGenerationStream(_chunks(response), capture_reasoning=capture_reasoning)


@asynccontextmanager
async def _client(http: httpx.AsyncClient | None, base_url: str, timeout: float) -> AsyncIterator[httpx.AsyncClient]:
    with explained(base_url, timeout):
        if http is not None:
            yield http
        else:
            async with httpx.AsyncClient(timeout=timeout) as client:
                yield client


async def _chunks(response: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    async for line in response.aiter_lines():
        chunk = chunk_in(line)
        if chunk is None:
            return
        if chunk:
            yield chunk
    raise broken_off()
