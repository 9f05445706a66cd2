"""What is sent to a server, and what its lines and its errors mean."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import httpx

from lemonade_like.generation.answer import GenerationError

BASE_URL: Final = "http://127.0.0.1:8000/v1"
MODEL: Final = "tiny-gpt-oss"
#: Seconds without a byte from the server. A model may have to be loaded first, and long prompts take their time.
TIMEOUT: Final = 600.0

#: A prompt as one string, or a chat as OpenAI's messages.
Prompt = str | Sequence[Mapping[str, Any]]


def request_body(
    prompt: Prompt,
    model: str,
    reasoning_level: str | None,
    capture_reasoning: bool,
    instructions: str | None,
    tools: Sequence[Mapping[str, Any]] | None,
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the body of the request; ``options`` go before everything else."""
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
    if instructions:
        messages.insert(0, {"role": "developer", "content": instructions})
    body: dict[str, Any] = {"model": model, "messages": messages, "include": ["harmony"]}
    if reasoning_level is not None:
        body["reasoning_effort"] = reasoning_level
    if not capture_reasoning:
        body["include_reasoning"] = False
    if tools:
        body["tools"] = list(tools)
    return {**body, **options}


def headers(api_key: str | None) -> dict[str, str]:
    """Return the headers that open the door."""
    return {"Authorization": f"Bearer {api_key}"} if api_key else {}


@contextmanager
def explained(base_url: str, timeout: float) -> Iterator[None]:
    """Raise what goes wrong with a connection as a ``GenerationError`` that says what to do."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise GenerationError(
            f"No server answers at {base_url} ({error}). Start one with `lemonade-like serve`, or say where it is with "
            "base_url."
        ) from error
    except httpx.TimeoutException as error:
        raise GenerationError(f"The server at {base_url} said nothing for {timeout:g} seconds.") from error
    except httpx.InvalidURL as error:
        raise GenerationError(f"{base_url!r} is no address of a server: {error}.") from error
    except httpx.HTTPError as error:
        raise GenerationError(f"The connection to {base_url} broke: {error}") from error


def refused(response: httpx.Response) -> GenerationError:
    """Return what an answer with an error status says, read to its end."""
    try:
        error = response.json()["error"]
        return error_of(error, response.status_code)
    except (ValueError, KeyError, TypeError):
        return GenerationError(
            f"{response.url} answered with status {response.status_code} and no error that can be read: is it an "
            "OpenAI-compatible server, and does base_url end with /v1?",
            status=response.status_code,
        )


def error_of(error: Mapping[str, Any], status: int | None) -> GenerationError:
    """Return OpenAI's error object as an error."""
    return GenerationError(str(error["message"]), status=status, code=error.get("code"))


def json_object(text: str) -> dict[str, Any]:
    """Return the object. Raises ``GenerationError`` for anything else."""
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise GenerationError(f"The server's answer is no JSON object: {text[:80]!r}")
    return value


def chunk_in(line: str) -> dict[str, Any] | None:
    """Return the chunk that a line of the stream carries; ``{}`` for a line without one, ``None`` for its end.

    Raises:
        GenerationError: the line carries an error, or no JSON.
    """
    data = line.removeprefix("data:").strip()
    if not line.startswith("data:") or not data:
        return {}
    if data == "[DONE]":
        return None
    chunk = json_object(data)
    if chunk.get("error"):
        raise error_of(chunk["error"], None)
    return chunk


def broken_off() -> GenerationError:
    """Return the error of a stream that has no end."""
    return GenerationError("The connection ended before the answer did.")
