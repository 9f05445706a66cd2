"""Events as Anthropic's messages: event by event, or folded into the whole message.

Both are told of the same blocks, which is why a stream and a whole message cannot differ.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import orjson

from lemonade_like.api.anthropic.blocks import SIGNATURE, Blocks
from lemonade_like.api.anthropic.errors import error_object
from lemonade_like.turns.events import Usage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from lemonade_like.api.anthropic.blocks import BlockKind, TextKind, ThinkingView
    from lemonade_like.errors import ServerError
    from lemonade_like.turns.events import Event, Finish

_PING: Final = b'event: ping\ndata: {"type":"ping"}\n\n'
_STOP: Final = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


@dataclass(frozen=True)
class MessageHeader:
    """What is known of a message before it is written. ``model`` is the name that the client used."""

    model: str
    max_tokens: int
    request_id: str = ""
    id: str = field(default_factory=lambda: f"msg_{secrets.token_hex(12)}")

    def message(self, content: list[Any], usage: Usage, ending: dict[str, str | None]) -> dict[str, Any]:
        """Return Anthropic's object."""
        return {
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": content,
            **ending,
            "usage": _usage_object(usage),
        }

    def ending(self, finish: Finish) -> dict[str, str | None]:
        """Return why the message ends, in Anthropic's words."""
        if finish.reason == "length":
            full = finish.usage.completion_tokens < self.max_tokens
            return _ending("model_context_window_exceeded" if full else "max_tokens")
        if finish.reason == "tool_calls":
            return _ending("tool_use")
        if finish.stop_string is not None:
            return _ending("stop_sequence", finish.stop_string)
        return _ending("end_turn")


class EventWriter:
    """Writes a message as a stream of events, in the order that Anthropic documents.

    ``live`` names the tools whose input is streamed as the model writes it.
    """

    def __init__(
        self, header: MessageHeader, *, live: AbstractSet[str] = frozenset(), thinking: ThinkingView = "shown"
    ) -> None:
        self._header = header
        self._blocks = Blocks(self, live=live, thinking=thinking)
        self._out: list[bytes] = []
        self._index = -1
        self._delta = b""
        self._started = False
        self._finish: Finish | None = None

    def write(self, batch: Sequence[Event]) -> bytes:
        """Return the events of a batch, joined; nothing, if it only says that something is under way."""
        self._blocks.add(batch)
        return self._written()

    def keep_alive(self) -> bytes:
        """Return a ping. What opens the message comes before it, as clients expect."""
        self._start()
        self._out.append(_PING)
        return self._written()

    def fail(self, error: ServerError) -> bytes:
        """Return the error, which is the end of the stream."""
        return b"event: error\ndata: %b\n\n" % orjson.dumps(error_object(error, self._header.request_id))

    def end(self) -> bytes:
        """Return the end of the stream."""
        return _STOP

    def usage(self) -> Usage:
        """Return what has been used, once that is known."""
        return self._finish.usage if self._finish is not None else Usage()

    def resumed(self) -> int:
        """Return how many times an engine was lost in the middle of it."""
        return self._finish.resumed if self._finish is not None else 0

    def start_text(self, kind: TextKind) -> None:
        """Begin a block of text or of thinking."""
        said = b'"text":""' if kind == "text" else b'"thinking":"","signature":""'
        self._start_block(b'{"type":"%b",%b}' % (kind.encode(), said))
        self._delta = self._delta_of(b'{"type":"%b_delta","%b":' % (kind.encode(), kind.encode()))

    def text(self, kind: TextKind, text: str) -> None:
        """Add to that block."""
        self._out += (self._delta, orjson.dumps(text), b"}}\n\n")

    def start_call(self, call_id: str, name: str) -> None:
        """Begin a call."""
        call = b'{"type":"tool_use","id":%b,"name":%b,"input":{}}' % (orjson.dumps(call_id), orjson.dumps(name))
        self._start_block(call)
        self._delta = self._delta_of(b'{"type":"input_json_delta","partial_json":')

    def input(self, json: str) -> None:
        """Add to the JSON text of the call's input."""
        self._out += (self._delta, orjson.dumps(json), b"}}\n\n")

    def start_server_call(self, call_id: str, server: str, name: str) -> None:
        """Begin a call that the server runs."""
        self._start_block(orjson.dumps(_server_call(call_id, server, name) | {"input": {}}))
        self._delta = self._delta_of(b'{"type":"input_json_delta","partial_json":')

    def server_result(self, call_id: str, text: str, *, is_error: bool) -> None:
        """Add a block with what such a call returned."""
        self._start_block(orjson.dumps(_server_result(call_id, text, is_error=is_error)))
        self._stop_block()

    def stop(self, kind: BlockKind) -> None:
        """End the block."""
        if kind == "thinking":
            signature = self._delta_of(b'{"type":"signature_delta","signature":')
            self._out += (signature, orjson.dumps(SIGNATURE), b"}}\n\n")
        self._stop_block()

    def finish(self, finish: Finish) -> None:
        """End the message."""
        self._start()
        self._finish = finish
        said = orjson.dumps(self._header.ending(finish)), orjson.dumps(_usage_object(finish.usage))
        self._out.append(b'event: message_delta\ndata: {"type":"message_delta","delta":%b,"usage":%b}\n\n' % said)

    def _written(self) -> bytes:
        written = b"".join(self._out)
        self._out.clear()
        return written

    def _start(self) -> None:
        if self._started:
            return
        self._started = True
        usage = Usage(prompt_tokens=self._blocks.prompt_tokens)
        message = orjson.dumps(self._header.message([], usage, _ending(None)))
        self._out.append(b'event: message_start\ndata: {"type":"message_start","message":%b}\n\n' % message)

    def _stop_block(self) -> None:
        self._out.append(b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n' % self._index)

    def _start_block(self, block: bytes) -> None:
        self._start()
        self._index += 1
        self._out.append(
            b'event: content_block_start\ndata: {"type":"content_block_start","index":%d,"content_block":%b}\n\n'
            % (self._index, block)
        )

    def _delta_of(self, delta: bytes) -> bytes:
        return b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":%b' % (
            self._index,
            delta,
        )


class MessageFold:
    """Folds the same events into a whole message; texts are kept in pieces and joined once."""

    def __init__(self, header: MessageHeader, *, thinking: ThinkingView = "shown") -> None:
        self._header = header
        self._blocks = Blocks(self, thinking=thinking)
        self._content: list[dict[str, Any]] = []
        self._pieces: list[str] = []
        self._finish: Finish | None = None

    def add(self, batch: Sequence[Event]) -> None:
        """Take a batch in."""
        self._blocks.add(batch)

    def answer(self) -> bytes:
        """Return the whole message as JSON, once the turn has finished."""
        if self._finish is None:
            raise RuntimeError("The turn ended without a finish.")
        return orjson.dumps(self._header.message(self._content, self.usage(), self._header.ending(self._finish)))

    def usage(self) -> Usage:
        """Return what has been used, once that is known."""
        return self._finish.usage if self._finish is not None else Usage()

    def resumed(self) -> int:
        """Return how many times an engine was lost in the middle of it."""
        return self._finish.resumed if self._finish is not None else 0

    def start_text(self, kind: TextKind) -> None:
        """Begin a block of text or of thinking."""
        self._start_block({"type": kind})

    def text(self, kind: TextKind, text: str) -> None:
        """Add to that block."""
        self._pieces.append(text)

    def start_call(self, call_id: str, name: str) -> None:
        """Begin a call."""
        self._start_block({"type": "tool_use", "id": call_id, "name": name})

    def input(self, json: str) -> None:
        """Add to the JSON text of the call's input."""
        self._pieces.append(json)

    def start_server_call(self, call_id: str, server: str, name: str) -> None:
        """Begin a call that the server runs."""
        self._start_block(_server_call(call_id, server, name))

    def server_result(self, call_id: str, text: str, *, is_error: bool) -> None:
        """Add a block with what such a call returned."""
        self._start_block(_server_result(call_id, text, is_error=is_error))

    def stop(self, kind: BlockKind) -> None:
        """End the block."""
        block, said = self._content[-1], "".join(self._pieces)
        if kind in ("tool_use", "mcp_tool_use"):
            # The model's own text goes out, number for number.
            block["input"] = orjson.Fragment(said)
            return
        block[kind] = said
        if kind == "thinking":
            block["signature"] = SIGNATURE

    def finish(self, finish: Finish) -> None:
        """End the message."""
        self._finish = finish

    def _start_block(self, block: dict[str, Any]) -> None:
        self._content.append(block)
        self._pieces = []


def _server_call(call_id: str, server: str, name: str) -> dict[str, Any]:
    return {"type": "mcp_tool_use", "id": call_id, "server_name": server, "name": name}


def _server_result(call_id: str, text: str, *, is_error: bool) -> dict[str, Any]:
    content = [{"type": "text", "text": text}]
    return {"type": "mcp_tool_result", "tool_use_id": call_id, "is_error": is_error, "content": content}


def _ending(reason: str | None, stop_sequence: str | None = None) -> dict[str, str | None]:
    return {"stop_reason": reason, "stop_sequence": stop_sequence}


def _usage_object(usage: Usage) -> dict[str, Any]:
    """Anthropic counts apart what was read from the cache; what goes into it costs nothing here."""
    return {
        "input_tokens": usage.prompt_tokens - usage.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"thinking_tokens": usage.reasoning_tokens},
    }
