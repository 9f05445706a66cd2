"""``generate`` and ``stream``: ask a running server, and wait for it."""

from __future__ import annotations

from contextlib import contextmanager
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
    from collections.abc import Iterator, Mapping, Sequence


class GenerationStream:
    """An answer that is being written: iterate for its pieces; ``result`` is the whole, once they are all there."""

    def __init__(self, chunks: Iterator[dict[str, Any]], *, capture_reasoning: bool) -> None:
        self._chunks = chunks
        self._answer = Answer(capture_reasoning)
        self._over = False

    def __iter__(self) -> Iterator[Delta]:
        for chunk in self._chunks:
            delta = self._answer.add(chunk)
            if delta.text or delta.reasoning:
                yield delta
        self._over = True

    @property
    def result(self) -> Generation:
        """The whole answer; what has not been iterated over yet is read first."""
        if not self._over:
            for _ in self:
                pass
        return self._answer.result()


def generate(
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
    http: httpx.Client | None = None,
    **options: Any,
) -> Generation:
    """Return a running server's answer.

    Args:
        prompt: one question, or a chat as OpenAI's messages.
        model: a name from the server's list of models.
        base_url: where the server is, ``/v1`` included.
        api_key: the server's key, if it wants one.
        reasoning_level: ``none``, ``low``, ``medium``, ``high``; by default as the server is set.
        capture_reasoning: whether the result has the reasoning; without it the server is asked to keep it to itself.
        instructions: a developer message to stand first.
        tools: functions that the model may call, as OpenAI's dicts.
        timeout: seconds without a byte from the server after which it is given up.
        http: a client of your own, for proxies, certificates or tests; it stays open.
        options: any further field of a chat completion request: ``temperature``, ``max_tokens``, ``seed``, ``stop``,
            ``tool_choice``, ``response_format``, …

    Raises:
        GenerationError: no server there, a broken connection, or an error as the answer.
    """
    body = request_body(prompt, model, reasoning_level, capture_reasoning, instructions, tools, options)
    with _client(http, base_url, timeout) as client:
        response = client.post(f"{base_url.rstrip('/')}/chat/completions", json=body, headers=headers(api_key))
        if response.is_error:
            raise refused(response)
        answer = Answer(capture_reasoning)
        answer.add_whole(json_object(response.text))
        return answer.result()


@contextmanager
def stream(
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
    http: httpx.Client | None = None,
    **options: Any,
) -> Iterator[GenerationStream]:
    """Ask as :func:`generate` does, but show the answer while it is written.

    ::

        with stream("Tell me a story.") as answer:
            for delta in answer:
                print(delta.text, end="")
        print(answer.result.usage)

    Leaving the block early ends the turn on the server. Arguments and errors are those of :func:`generate`.
    """
    body = request_body(prompt, model, reasoning_level, capture_reasoning, instructions, tools, options)
    body |= {"stream": True, "stream_options": {"include_usage": True}}
    with (
        _client(http, base_url, timeout) as client,
        client.stream(
            "POST", f"{base_url.rstrip('/')}/chat/completions", json=body, headers=headers(api_key)
        ) as response,
    ):
        if response.is_error:
            response.read()
            raise refused(response)
        yield GenerationStream(_chunks(response), capture_reasoning=capture_reasoning)


@contextmanager
def _client(http: httpx.Client | None, base_url: str, timeout: float) -> Iterator[httpx.Client]:
    with explained(base_url, timeout):
        if http is not None:
            yield http
        else:
            with httpx.Client(timeout=timeout) as client:
                yield client


def _chunks(response: httpx.Response) -> Iterator[dict[str, Any]]:
    for line in response.iter_lines():
        chunk = chunk_in(line)
        if chunk is None:
            return
        if chunk:
            yield chunk
    raise broken_off()
