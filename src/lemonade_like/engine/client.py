"""Talks to one llama-server over HTTP: the hot path, where every microsecond is paid once per token.

So there is no model object per frame, no growing string, and no waiting to batch: each read from the network is cut
into frames, decoded by orjson, and handed on in one piece, exactly as the engine wrote them.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, Final, Literal

import aiohttp
import orjson

#: One server-sent ``data`` object of llama-server, decoded and untouched.
Frame = dict[str, Any]
_IsFinal = Callable[[Frame], bool]

#: Whatever aiohttp raises when the other end is gone, slow to connect, or speaks nonsense.
_CONNECTION_ERRORS: Final = (aiohttp.ClientError, OSError, asyncio.TimeoutError)

#: A token may be minutes away (a long prefill, a full queue), and a watchdog elsewhere knows the difference between
#: slow and dead. Only the connect is bounded: the engine listens on this machine or not at all.
_STREAM_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=5.0, sock_read=None)
#: How long an answer of /health or /slots is waited for.
PROBE_SECONDS: Final = 5.0
_CONTROL_TIMEOUT: Final = aiohttp.ClientTimeout(total=30.0)

#: What the last frame of /completion is asked to carry. By default llama-server adds the whole prompt as text and all
#: its settings, which for a long prompt is a megabyte that nobody reads.
_FINAL_FIELDS: Final = (
    "content",
    "tokens",
    "stop",
    "stop_type",
    "stopping_word",
    "truncated",
    "tokens_predicted",
    "tokens_evaluated",
    "tokens_cached",
    "timings",
)

#: aiohttp wants larger bodies as a file, which it sends piece by piece.
_LARGE_BODY: Final = 1 << 20


class EngineResponseError(Exception):
    """The engine answered with an error: a status other than 200, or an error frame inside a stream.

    ``status`` is the HTTP status, or the frame's code. ``type`` is llama-server's (``exceed_context_size_error``,
    ``invalid_request_error``, …). ``details`` holds what else the error object said (``n_prompt_tokens``, ``n_ctx``).
    """

    def __init__(self, status: int, message: str, type: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(f"{type} ({status}): {message}")
        self.status = status
        self.message = message
        self.type = type
        self.details = details or {}


class EngineConnectionLost(Exception):
    """The stream broke, could not be read, or ended before the engine said that it was done."""


class EventStreamDecoder:
    """Cuts a server-sent event stream into JSON objects, whatever the size of the pieces it arrives in.

    Takes LF and CRLF, comments, other fields, and ``data`` spread over several lines. The cost is linear in the bytes:
    an unfinished line is kept as a list of pieces until its end has come. ``done`` turns true at ``[DONE]``.
    """

    def __init__(self) -> None:
        self.done = False
        self._line: list[bytes] = []  # the pieces of a line whose end has not come yet
        self._data: list[bytes] = []  # the data lines of an event whose blank line has not come yet

    def feed(self, chunk: bytes) -> tuple[list[Frame], ValueError | None]:
        """Return the objects that ``chunk`` completes, and the error that ended them if one is not JSON.

        The objects before the bad one are good, and come back with the error so that nothing received is lost.
        """
        lines = chunk.split(b"\n")
        if self._line:
            self._line.append(lines[0])
            if len(lines) == 1:
                return [], None
            lines[0] = b"".join(self._line)
            self._line.clear()
        if rest := lines.pop():
            self._line.append(rest)
        frames: list[Frame] = []
        data = self._data
        for line in lines:
            if line.startswith(b"data:"):
                data.append(line[5:])
            elif not line or line == b"\r":
                if data:
                    event = data[0] if len(data) == 1 else b"\n".join(data)
                    data.clear()
                    try:
                        frame = orjson.loads(event)
                    except orjson.JSONDecodeError as error:
                        if event.strip() == b"[DONE]":
                            self.done = True
                            continue
                        return frames, error
                    if type(frame) is not dict:
                        return frames, ValueError("JSON, but not an object")
                    frames.append(frame)
            elif line.startswith(b"error:"):
                # Older llama-servers name the field after what it holds.
                data.append(b'{"error":' + line[6:] + b"}")
        return frames, None


class EngineClient:
    """A llama-server at ``base_url``. The session is shared and not closed here; its connector must not limit how many
    connections there are (``limit=0``), or turns would wait for each other."""

    def __init__(self, base_url: str, api_key: str, session: aiohttp.ClientSession) -> None:
        self.base_url = base_url.rstrip("/")
        self._session = session
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._post_headers = {**self._headers, "Content-Type": "application/json"}
        #: How many streams are open, from the request on; and what has come on all that there ever were, in reads.
        self.streams = 0
        self.reads = 0

    def stream_completion(
        self, payload: dict[str, Any], path: Literal["/completion", "/infill"] = "/completion"
    ) -> AsyncGenerator[list[Frame], None]:
        """POST /completion, or /infill, and yield, for each network read, all the frames that it completes.

        Streaming, ids and progress are always asked for: the engine notices that its client has gone only while results
        flow. Iterate to the end to keep the connection for the next turn; ``aclose()`` (or cancelling) closes it at
        once, which frees the slot. Raises ``EngineResponseError`` or ``EngineConnectionLost``, after all frames that
        came before.
        """
        forced = {"stream": True, "return_tokens": True, "return_progress": True}
        return self._stream(path, {"response_fields": _FINAL_FIELDS, **payload, **forced}, _completion_is_final)

    def stream_chat(self, payload: dict[str, Any]) -> AsyncGenerator[list[Frame], None]:
        """POST /v1/chat/completions, for models that go through their own Jinja template; as ``stream_completion``.

        The closing ``[DONE]`` is swallowed. The frame after the one with a finish reason carries usage and timings.
        """
        forced = {"stream": True, "return_progress": True, "stream_options": {"include_usage": True}}
        return self._stream("/v1/chat/completions", {**payload, **forced}, _chat_is_final)

    async def embeddings(self, payload: dict[str, Any]) -> dict[str, Any]:
        """POST /v1/embeddings; return the answer as it is when it is there, however long that takes.

        To the watchdog it is a stream that says one thing only. Cancelling closes the connection. Raises
        ``EngineResponseError`` or ``EngineConnectionLost``.
        """
        return await self._whole("/v1/embeddings", payload)

    async def rerank(self, payload: dict[str, Any]) -> dict[str, Any]:
        """POST /v1/rerank; as ``embeddings``."""
        return await self._whole("/v1/rerank", payload)

    async def health(self, patience: float = PROBE_SECONDS) -> bool:
        """Return whether the engine answers within so many seconds, and is ready. One that is loading, or is not there,
        is not."""
        answer = await self._probe("/health", patience)
        return answer is not None and answer[0] == 200

    async def slots(self, patience: float = PROBE_SECONDS) -> bytes | None:
        """Return /slots as it is; empty if the engine does not have it, ``None`` if it does not answer in time."""
        answer = await self._probe("/slots", patience)
        return answer if answer is None else answer[1] if answer[0] == 200 else b""

    async def props(self) -> dict[str, Any]:
        """Return /props: context per slot, number of slots, the chat template, and more."""
        return await self._control("GET", "/props")

    async def apply_template(self, payload: dict[str, Any]) -> str:
        """Return the prompt that the model's chat template makes of the body of a chat completion request."""
        return str((await self._control("POST", "/apply-template", payload))["prompt"])

    async def tokenize(
        self, text: str, *, add_special: bool = True, parse_special: bool = True, with_pieces: bool = False
    ) -> list[Any]:
        """Return the ids of a text; by default of a prompt as the engine reads one: with what it puts first
        (``add_special``), control tokens parsed. ``with_pieces`` they are objects of ``id`` and ``piece``, which is a
        text, or a list of bytes where it is none."""
        payload = {
            "content": text,
            "add_special": add_special,
            "parse_special": parse_special,
            "with_pieces": with_pieces,
        }
        tokens: list[Any] = (await self._control("POST", "/tokenize", payload))["tokens"]
        return tokens

    async def detokenize(self, ids: Sequence[int]) -> str:
        """Return the text of ids, control tokens spelled out. The engine refuses ids that it has not."""
        return str((await self._control("POST", "/detokenize", {"tokens": ids}))["content"])

    async def inspect(self, path: Literal["/props", "/slots"]) -> bytes:
        """Return what the engine says of itself, as JSON. Raises as the other calls do."""
        return await self._request("GET", path)

    async def _probe(self, path: str, patience: float) -> tuple[int, bytes] | None:
        """Return the status and the body, or ``None`` where no answer comes in time."""
        try:
            async with self._session.get(
                f"{self.base_url}{path}", headers=self._headers, timeout=aiohttp.ClientTimeout(total=patience)
            ) as response:
                return response.status, await response.read()
        except _CONNECTION_ERRORS:
            return None

    async def _control(self, method: str, path: str, payload: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = orjson.loads(await self._request(method, path, payload))
        return answer if isinstance(answer, dict) else {}

    async def _request(self, method: str, path: str, payload: dict[str, Any] | None = None) -> bytes:
        data = None if payload is None else orjson.dumps(payload)
        try:
            async with self._session.request(
                method, f"{self.base_url}{path}", data=data, headers=self._post_headers, timeout=_CONTROL_TIMEOUT
            ) as response:
                body = await response.read()
                if response.status != 200:
                    raise _response_error(response.status, body)
                return body
        except _CONNECTION_ERRORS as error:
            raise EngineConnectionLost(f"The engine at {self.base_url} does not answer: {_say(error)}") from error

    async def _stream(
        self, path: str, payload: dict[str, Any], is_final: _IsFinal
    ) -> AsyncGenerator[list[Frame], None]:
        self.streams += 1
        try:
            response = await self._post(path, payload)
        except BaseException:
            self.streams -= 1
            raise
        finished = False
        try:
            decoder = EventStreamDecoder()
            read = response.content.readany
            while chunk := await read():
                self.reads += 1
                frames, broken = decoder.feed(chunk)
                for position, frame in enumerate(frames):
                    if "error" in frame:
                        if position:
                            yield frames[:position]
                        raise _error_in(frame, 500)
                    if not finished and is_final(frame):
                        finished = True
                if frames:
                    yield frames
                if broken is not None:
                    raise EngineConnectionLost(f"The engine at {self.base_url} sent what is no frame: {broken}")
            if not (finished or decoder.done):
                raise EngineConnectionLost(f"The engine at {self.base_url} ended the stream before it was done.")
        except _CONNECTION_ERRORS as error:
            if not finished:
                raise EngineConnectionLost(f"The stream from {self.base_url} broke: {_say(error)}") from error
        finally:
            # A response that was read to its end has already given its connection back; any other is closed with it.
            response.close()
            self.streams -= 1

    async def _whole(self, path: str, payload: dict[str, Any]) -> dict[str, Any]:
        self.streams += 1
        try:
            response = await self._post(path, payload)
            try:
                answer = orjson.loads(await response.read())
            finally:
                # As for a stream.
                response.close()
            self.reads += 1
        except _CONNECTION_ERRORS as error:
            raise EngineConnectionLost(f"The answer from {self.base_url} broke off: {_say(error)}") from error
        except orjson.JSONDecodeError as error:
            raise EngineConnectionLost(f"The engine at {self.base_url} sent what is no JSON: {error}") from error
        finally:
            self.streams -= 1
        return answer if isinstance(answer, dict) else {}

    async def _post(self, path: str, payload: dict[str, Any]) -> aiohttp.ClientResponse:
        body = orjson.dumps(payload)
        try:
            try:
                response = await self._send(path, body)
            except aiohttp.ClientConnectorError:
                raise
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                # llama-server drops a connection after 5 idle seconds or 100 requests, which may cross with a request
                # on it. No byte of an answer has come, so asking again cannot double anything.
                response = await self._send(path, body)
        except _CONNECTION_ERRORS as error:
            raise EngineConnectionLost(f"The engine at {self.base_url} does not answer: {_say(error)}") from error
        if response.status == 200:
            return response
        try:
            answer = await response.read()
        except _CONNECTION_ERRORS as error:
            raise EngineConnectionLost(f"The engine at {self.base_url} broke off: {_say(error)}") from error
        finally:
            response.close()
        raise _response_error(response.status, answer)

    async def _send(self, path: str, body: bytes) -> aiohttp.ClientResponse:
        return await self._session.post(
            self.base_url + path,
            data=body if len(body) < _LARGE_BODY else io.BytesIO(body),
            headers=self._post_headers,
            timeout=_STREAM_TIMEOUT,
        )


def _completion_is_final(frame: Frame) -> bool:
    return frame.get("stop") is True


def _chat_is_final(frame: Frame) -> bool:
    return any(choice.get("finish_reason") for choice in frame.get("choices", ()))


def _response_error(status: int, body: bytes) -> EngineResponseError:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        answer = None
    if isinstance(answer, dict) and "error" in answer:
        return _error_in(answer, status)
    return EngineResponseError(status, body.decode(errors="replace")[:500] or "no reason given", "server_error")


def _error_in(frame: Frame, status: int) -> EngineResponseError:
    error = frame["error"]
    if not isinstance(error, dict):
        return EngineResponseError(status, str(error), "server_error")
    known = {"code", "message", "type"}
    code = error.get("code")
    return EngineResponseError(
        status=code if isinstance(code, int) else status,
        message=str(error.get("message", "no reason given")),
        type=str(error.get("type", "server_error")),
        details={key: value for key, value in error.items() if key not in known},
    )


def _say(error: BaseException) -> str:
    return str(error) or type(error).__name__
