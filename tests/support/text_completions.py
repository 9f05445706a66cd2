"""OpenAI's text completions, read as the documentation says, and strictly of the SDK's types."""

from __future__ import annotations

from typing import Any

from openai.types import Completion
from pydantic import TypeAdapter

from tests.support.chunks import is_whole, read

_WHOLE: TypeAdapter[Any] = TypeAdapter(Completion)


def checked(completion: dict[str, Any]) -> dict[str, Any]:
    """A whole answer, strictly of the SDK's type."""
    _WHOLE.validate_python(completion, strict=True)
    assert [choice["index"] for choice in completion["choices"]] == list(range(len(completion["choices"])))
    return completion


def chunks_of(stream: bytes) -> list[dict[str, Any]]:
    """The chunks of a stream, strictly of the SDK's types, each where it may stand; an error may be the last."""
    chunks = read(stream, _check_chunk)
    if is_whole(chunks):
        choices = [choice for chunk in chunks for choice in chunk["choices"]]
        for index in {choice["index"] for choice in choices}:
            *before, last = [choice["finish_reason"] for choice in choices if choice["index"] == index]
            assert last is not None
            assert set(before) <= {None}
    return chunks


def _check_chunk(chunk: dict[str, Any]) -> None:
    # The SDK has one type for both, in which an answer has always ended; OpenAI's chunks say null until it has.
    ended = [{**choice, "finish_reason": choice["finish_reason"] or "stop"} for choice in chunk["choices"]]
    _WHOLE.validate_python({**chunk, "choices": ended}, strict=True)
