"""OpenAI's chat completions, read as the documentation says, and strictly of the SDK's types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from openai.types import ErrorObject
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import TypeAdapter

if TYPE_CHECKING:
    from collections.abc import Callable

_WHOLE: TypeAdapter[Any] = TypeAdapter(ChatCompletion)
_CHUNK: TypeAdapter[Any] = TypeAdapter(ChatCompletionChunk)
_ERROR: TypeAdapter[Any] = TypeAdapter(ErrorObject)


def checked(completion: dict[str, Any]) -> dict[str, Any]:
    """A whole answer, strictly of the SDK's type."""
    _WHOLE.validate_python(completion, strict=True)
    return completion


def checked_error(body: dict[str, Any]) -> dict[str, Any]:
    """What went wrong, strictly of the SDK's type; nothing stands beside it."""
    assert list(body) == ["error"]
    _ERROR.validate_python(body["error"], strict=True)
    assert set(body["error"]) == {"message", "type", "param", "code"}
    return body


def chunks_of(stream: bytes) -> list[dict[str, Any]]:
    """The chunks of a stream, strictly of the SDK's types, each where it may stand; an error may be the last."""
    chunks = read(stream, lambda chunk: _CHUNK.validate_python(chunk, strict=True))
    if is_whole(chunks):
        _check_choices([choice for chunk in chunks for choice in chunk["choices"]])
    return chunks


def read(stream: bytes, check: Callable[[dict[str, Any]], Any]) -> list[dict[str, Any]]:
    """The chunks of a stream, each of which is checked; all have one header, and the usage stands where it may."""
    *written, rest = stream.decode().split("\n\n")
    assert rest == ""
    data = [event.removeprefix("data: ") for event in written if not event.startswith(":")]
    assert data.pop() == "[DONE]"
    chunks = [orjson.loads(each) for each in data]
    whole = is_whole(chunks)
    for chunk in chunks if whole else chunks[:-1]:
        check(chunk)
    if not whole:
        checked_error(chunks[-1])
        return chunks
    said = ("id", "created", "model", "object", "system_fingerprint")
    assert len({tuple(chunk[name] for name in said) for chunk in chunks}) == 1
    _check_usage(chunks)
    return chunks


def is_whole(chunks: list[dict[str, Any]]) -> bool:
    """Whether a stream went well to its end."""
    return bool(chunks) and "error" not in chunks[-1]


def _check_usage(chunks: list[dict[str, Any]]) -> None:
    if not chunks[-1]["choices"]:
        # Asked for: null everywhere, and last by itself.
        assert chunks[-1]["usage"] is not None
        assert all(chunk["usage"] is None and chunk["choices"] for chunk in chunks[:-1])
    else:
        assert all("usage" not in chunk for chunk in chunks)


def _check_choices(choices: list[dict[str, Any]]) -> None:
    for index in {choice["index"] for choice in choices}:
        first, *others = [choice for choice in choices if choice["index"] == index]
        assert first["delta"]["role"] == "assistant"
        assert all("role" not in choice["delta"] for choice in others)
        assert [choice["finish_reason"] is None for choice in (first, *others)][-2:] in ([True, False], [False])
