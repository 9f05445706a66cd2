"""``generate``: asks a running server, and gives back the answer, the reasoning and the commentary apart.

It speaks OpenAI's chat completions over HTTP, so it works against any such server that lets fields pass which it does
not know. What only this one tells (the raw channel messages, asked for with ``"include": ["harmony"]``) is used where
it is there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import httpx

from lemonade_like.harmony.header import Header
from lemonade_like.harmony.messages import ToolCall
from lemonade_like.harmony.routing import Kind, route

if TYPE_CHECKING:
    from collections.abc import Iterator

BASE_URL: Final = "http://127.0.0.1:8000/v1"
MODEL: Final = "tiny-gpt-oss"
#: Seconds without a byte from the server. A model may have to be loaded first, and long prompts take their time.
TIMEOUT: Final = 600.0

#: A prompt as one string, or a chat as OpenAI's messages.
Prompt = str | Sequence[Mapping[str, Any]]


class GenerationError(Exception):
    """The server could not be reached, or answered with an error; the message says what to do.

    ``status`` is the HTTP status, ``code`` the error's own code, each ``None`` where there is none.
    """

    def __init__(self, message: str, *, status: int | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True)
class Generation:
    """What the model answered.

    ``text`` is the answer. ``reasoning`` is ``None`` if it was not captured, and empty if there was none.
    ``commentary`` is what the model says to the user beside its calls; ``None`` if the server does not tell it apart,
    in which case it is part of ``text``. ``finish_reason`` is ``stop``, ``length`` or ``tool_calls``. ``usage`` is
    OpenAI's usage object, in tokens. ``messages`` are the raw channel messages, each with role, channel, recipient,
    content_type and content; empty if the server does not tell them.
    """

    text: str
    reasoning: str | None = None
    commentary: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str | None = None
    usage: dict[str, Any] = field(default_factory=dict)
    messages: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Delta:
    """A piece of an answer in the making: of its visible text, or of its reasoning."""

    text: str = ""
    reasoning: str = ""


class GenerationStream:
    """An answer that is being written: iterate for its pieces; ``result`` is the whole, once they are all there."""

    def __init__(self, chunks: Iterator[dict[str, Any]], *, capture_reasoning: bool) -> None:
        self._chunks = chunks
        self._answer = _Answer(capture_reasoning)
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
    body = _body(prompt, model, reasoning_level, capture_reasoning, instructions, tools, options)
    with _connected(http, base_url, timeout) as client:
        response = client.post(f"{base_url.rstrip('/')}/chat/completions", json=body, headers=_headers(api_key))
        if response.is_error:
            raise _refused(response)
        answer = _Answer(capture_reasoning)
        answer.add_whole(_json(response.text))
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
    body = _body(prompt, model, reasoning_level, capture_reasoning, instructions, tools, options)
    body |= {"stream": True, "stream_options": {"include_usage": True}}
    with (
        _connected(http, base_url, timeout) as client,
        client.stream(
            "POST", f"{base_url.rstrip('/')}/chat/completions", json=body, headers=_headers(api_key)
        ) as response,
    ):
        if response.is_error:
            response.read()
            raise _refused(response)
        yield GenerationStream(_chunks(response), capture_reasoning=capture_reasoning)


def _body(
    prompt: Prompt,
    model: str,
    reasoning_level: str | None,
    capture_reasoning: bool,
    instructions: str | None,
    tools: Sequence[Mapping[str, Any]] | None,
    options: Mapping[str, Any],
) -> dict[str, Any]:
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


def _headers(api_key: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {api_key}"} if api_key else {}


@contextmanager
def _connected(http: httpx.Client | None, base_url: str, timeout: float) -> Iterator[httpx.Client]:
    try:
        if http is not None:
            yield http
        else:
            with httpx.Client(timeout=timeout) as client:
                yield client
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


def _refused(response: httpx.Response) -> GenerationError:
    try:
        error = response.json()["error"]
        return _error(error, response.status_code)
    except (ValueError, KeyError, TypeError):
        return GenerationError(
            f"{response.url} answered with status {response.status_code} and no error that can be read: is it an "
            "OpenAI-compatible server, and does base_url end with /v1?",
            status=response.status_code,
        )


def _error(error: Mapping[str, Any], status: int | None) -> GenerationError:
    return GenerationError(str(error["message"]), status=status, code=error.get("code"))


def _json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise GenerationError(f"The server's answer is no JSON object: {text[:80]!r}")
    return value


def _chunks(response: httpx.Response) -> Iterator[dict[str, Any]]:
    for line in response.iter_lines():
        data = line.removeprefix("data:").strip()
        if not line.startswith("data:") or not data:
            continue
        if data == "[DONE]":
            return
        chunk = _json(data)
        if chunk.get("error"):
            raise _error(chunk["error"], None)
        yield chunk
    raise GenerationError("The connection ended before the answer did.")


class _Answer:
    """An answer as it comes together, in one piece or in many."""

    def __init__(self, capture_reasoning: bool) -> None:
        self._capture_reasoning = capture_reasoning
        self._content: list[str] = []
        self._reasoning: list[str] = []
        self._calls: dict[int, list[str]] = {}
        self._messages: list[dict[str, Any]] = []
        self._finish_reason: str | None = None
        self._usage: dict[str, Any] = {}

    def add_whole(self, completion: Mapping[str, Any]) -> None:
        """Take a whole completion."""
        choices = completion.get("choices")
        if not choices:
            raise GenerationError("The server's answer has no choices.")
        self.add({**completion, "choices": [{**choices[0], "delta": choices[0].get("message", {})}]})

    def add(self, chunk: Mapping[str, Any]) -> Delta:
        """Take a chunk; return what it shows."""
        self._usage = chunk.get("usage") or self._usage
        choice = next(iter(chunk.get("choices") or ()), None)
        if choice is None:
            return Delta()
        self._finish_reason = choice.get("finish_reason") or self._finish_reason
        delta = choice.get("delta") or {}
        self._messages += delta.get("harmony") or choice.get("harmony") or ()
        for place, call in enumerate(delta.get("tool_calls") or ()):
            function = call.get("function") or {}
            known = self._calls.setdefault(call.get("index", place), ["", "", ""])
            known[0] = known[0] or call.get("id") or ""
            known[1] = known[1] or function.get("name") or ""
            known[2] += function.get("arguments") or ""
        text = delta.get("content") or ""
        reasoning = delta.get("reasoning_content") or delta.get("reasoning") or ""
        self._content.append(text)
        if not self._capture_reasoning:
            return Delta(text)
        self._reasoning.append(reasoning)
        return Delta(text, reasoning)

    def result(self) -> Generation:
        """Return the answer as it stands."""
        content = "".join(self._content)
        text, commentary = apart(content, self._messages) if self._messages else (content, None)
        return Generation(
            text=text,
            reasoning="".join(self._reasoning) if self._capture_reasoning else None,
            commentary=commentary,
            tool_calls=tuple(ToolCall(*self._calls[index]) for index in sorted(self._calls)),
            finish_reason=self._finish_reason,
            usage=self._usage,
            messages=tuple(
                one for one in self._messages if self._capture_reasoning or one.get("channel") != "analysis"
            ),
        )


def apart(content: str, messages: Sequence[Mapping[str, Any]]) -> tuple[str, str | None]:
    """Return the answer and the commentary of a content in which they are joined.

    What is visible is the content, not the messages: a stop string cuts the one and not the other. Where they do not
    go together, the content is the answer and nothing is said of the commentary.
    """
    blocks: dict[bool, list[str]] = {True: [], False: []}
    rest, first = content, True
    for message in messages:
        header = Header(message.get("role", "assistant"), message.get("channel"), message.get("recipient"))
        said = message.get("content") or ""
        if route(header).kind is not Kind.CONTENT or not said or not rest:
            continue
        if not first:
            rest = rest.removeprefix("\n")
        piece, rest, first = rest[: len(said)], rest[len(said) :], False
        if not said.startswith(piece):
            return content, None
        blocks[message.get("channel") == "commentary"].append(piece)
    if rest:
        return content, None
    return "\n".join(blocks[False]), "\n".join(blocks[True])
