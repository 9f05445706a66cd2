"""Events as OpenAI's responses: event by event, or folded into the whole response.

Both are told of the same items, which is why a stream and a whole response cannot differ.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import orjson

from lemonade_like.api.openai.responses.ids import new_response_id
from lemonade_like.api.openai.responses.output import ItemKind, Output, OutputItem, logprob_objects
from lemonade_like.api.openai.responses.words import own_words
from lemonade_like.errors import BadRequest, QueueFull, ServerError
from lemonade_like.turns.events import Event, Progress, TokenLogprob, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from lemonade_like.api.openai.responses.server_items import CallItem, ListItem

_NAMES: Final[dict[ItemKind, str]] = {
    "reasoning": "response.reasoning_text",
    "message": "response.output_text",
    "function_call": "response.function_call_arguments",
    "custom_tool_call": "response.custom_tool_call_input",
}
_WHOLE: Final[dict[ItemKind, str]] = {
    "reasoning": "text",
    "message": "text",
    "function_call": "arguments",
    "custom_tool_call": "input",
}


@dataclass(frozen=True)
class ResponseHeader:
    """What is known of a response before it is written; ``asked`` is what it repeats of the request.

    ``custom`` are the tools that take text, ``namespaces`` the namespace and the name of those that stand in one, both
    by what the model calls them.
    """

    asked: dict[str, Any]
    custom: AbstractSet[str] = frozenset()
    packed: bool = False
    listed: AbstractSet[str] = frozenset()
    namespaces: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    id: str = field(default_factory=new_response_id)
    created_at: int = field(default_factory=lambda: int(time.time()))
    clock: Callable[[], float] = time.time

    @cached_property
    def completed_at(self) -> int:
        """When the response was completed: what is answered and what is kept say the same."""
        return max(self.created_at, int(self.clock()))

    def response(self, output: Output | None = None, error: ServerError | None = None) -> dict[str, Any]:
        """Return OpenAI's object: in progress without an output, and finished as the output says with one."""
        finish = output.finish if output is not None else None
        status = "in_progress"
        if error is not None:
            status = "failed"
        elif finish is not None:
            status = "incomplete" if finish.reason == "length" else "completed"
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created_at,
            "status": status,
            "completed_at": self.completed_at if status == "completed" else None,
            "error": None if error is None else {"code": _error_code(error), "message": error.message},
            "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
            **self.asked,
            "output": output.written() if output is not None else [],
            "usage": _usage_object(finish.usage) if finish is not None else None,
        }

    def output(self, sink: EventWriter | None = None) -> Output:
        """Return an output without items."""
        return Output(
            self.id,
            custom=self.custom,
            namespaces=self.namespaces,
            packed=self.packed,
            listed=self.listed,
            sink=sink,
        )


class EventWriter:
    """Writes a response as a stream of events, in the order that OpenAI documents."""

    def __init__(self, header: ResponseHeader) -> None:
        self._header = header
        self._output = header.output(self)
        self._out: list[bytes] = []
        self._next = 0
        self._delta = b""

    def write(self, batch: Sequence[Event]) -> bytes:
        """Return the events of a batch, joined; nothing, if it only says that something is under way."""
        output = self._output
        if self._next or not all(isinstance(event, Progress) for event in batch):
            self._begin()
        was_finished = output.finish is not None
        output.add(batch)
        if output.finish is not None and not was_finished:
            response = self._header.response(output)
            self._event(f"response.{response['status']}", response=response)
        return self._written()

    def keep_alive(self) -> bytes:
        """Return a comment that says what the response waits for. What opens the response comes before it."""
        self._begin()
        self._out.append(_comment(self._output.progress))
        return self._written()

    def fail(self, error: ServerError) -> bytes:
        """Return the error, and the end of the response."""
        error = own_words(error)
        self._begin()
        self._output.cut()
        self._event("error", code=error.code, message=error.message, param=error.param)
        self._event("response.failed", response=self._header.response(self._output, error))
        return self._written()

    def end(self) -> bytes:
        """Return nothing: the last event has said that it is the last."""
        return b""

    def usage(self) -> Usage:
        """Return what has been used, once that is known."""
        return _used(self._output)

    def resumed(self) -> int:
        """Return how many times an engine was lost in the middle of it."""
        return _resumed(self._output)

    def start(self, item: OutputItem) -> None:
        """Begin an item."""
        self._event("response.output_item.added", output_index=item.index, item=item.written())
        where: dict[str, Any] = {"item_id": item.id, "output_index": item.index}
        if item.kind in ("reasoning", "message"):
            where["content_index"] = 0
            self._event("response.content_part.added", **where, part=item.part(""))
        kind = f"{_NAMES[item.kind]}.delta"
        # The hot path: what all deltas of an item have in common is encoded once.
        said = orjson.dumps({"type": kind, **where}).removesuffix(b"}")
        self._delta = b'event: %b\ndata: %b,"delta":' % (kind.encode(), said)

    def delta(self, item: OutputItem, text: str, logprobs: Sequence[TokenLogprob]) -> None:
        """Add to its text."""
        told = b',"logprobs":[]' if item.kind == "message" else b""
        if logprobs:
            told = b',"logprobs":' + orjson.dumps(logprob_objects(logprobs))
        self._out += (self._delta, orjson.dumps(text), told, b',"sequence_number":%d}\n\n' % self._next)
        self._next += 1

    def stop(self, item: OutputItem) -> None:
        """End the item."""
        where: dict[str, Any] = {"item_id": item.id, "output_index": item.index}
        if item.kind in ("reasoning", "message"):
            where["content_index"] = 0
        whole: dict[str, Any] = {_WHOLE[item.kind]: item.text}
        if item.kind == "message":
            whole["logprobs"] = logprob_objects(item.logprobs)
        elif item.kind == "function_call":
            whole["name"] = item.name
        self._event(f"{_NAMES[item.kind]}.done", **where, **whole)
        if item.kind in ("reasoning", "message"):
            self._event("response.content_part.done", **where, part=item.part(item.text))
        self._event("response.output_item.done", output_index=item.index, item=item.written())

    def listed(self, item: ListItem) -> None:
        """Tell of a tool server's tools."""
        self._event("response.output_item.added", output_index=item.index, item=item.written())
        self._event("response.mcp_list_tools.in_progress", item_id=item.id, output_index=item.index)
        self._event("response.mcp_list_tools.completed", item_id=item.id, output_index=item.index)
        whole = replace(item, status="completed").written()
        self._event("response.output_item.done", output_index=item.index, item=whole)

    def called(self, item: CallItem) -> None:
        """Begin a call that the server runs."""
        where: dict[str, Any] = {"item_id": item.id, "output_index": item.index}
        arguments = item.call.arguments
        self._event("response.output_item.added", output_index=item.index, item=item.written())
        self._event("response.mcp_call.in_progress", **where)
        if arguments:
            self._event("response.mcp_call_arguments.delta", **where, delta=arguments)
        self._event("response.mcp_call_arguments.done", **where, arguments=arguments)

    def returned(self, item: CallItem) -> None:
        """End such a call."""
        self._event(f"response.mcp_call.{item.status}", item_id=item.id, output_index=item.index)
        self._event("response.output_item.done", output_index=item.index, item=item.written())

    def _begin(self) -> None:
        if self._next == 0:
            response = self._header.response()
            self._event("response.created", response=response)
            self._event("response.in_progress", response=response)

    def _event(self, kind: str, **fields: Any) -> None:
        said = orjson.dumps({"type": kind, **fields, "sequence_number": self._next})
        self._out.append(b"event: %b\ndata: %b\n\n" % (kind.encode(), said))
        self._next += 1

    def _written(self) -> bytes:
        written = b"".join(self._out)
        self._out.clear()
        return written


class ResponseFold:
    """Folds the same events into a whole response."""

    def __init__(self, header: ResponseHeader) -> None:
        self._header = header
        self._output = header.output()

    @property
    def finished(self) -> bool:
        """Whether the turn has finished."""
        return self._output.finish is not None

    def add(self, batch: Sequence[Event]) -> None:
        """Take a batch in."""
        self._output.add(batch)

    def response(self) -> dict[str, Any]:
        """Return the whole response, once the turn has finished."""
        if not self.finished:
            raise RuntimeError("The turn ended without a finish.")
        return self._header.response(self._output)

    def usage(self) -> Usage:
        """Return what has been used, once that is known."""
        return _used(self._output)

    def resumed(self) -> int:
        """Return how many times an engine was lost in the middle of it."""
        return _resumed(self._output)


def _used(output: Output) -> Usage:
    return output.finish.usage if output.finish is not None else Usage()


def _resumed(output: Output) -> int:
    return output.finish.resumed if output.finish is not None else 0


def _error_code(error: ServerError) -> str:
    """OpenAI's word for why a response failed; that the context is full is told by the error's own code."""
    if error.code == "context_length_exceeded":
        return error.code
    if isinstance(error, QueueFull):
        return "rate_limit_exceeded"
    return "invalid_prompt" if isinstance(error, BadRequest) else "server_error"


def _comment(progress: Progress | None) -> bytes:
    if progress is None:
        return b": waiting\n\n"
    if progress.stage == "prefill" and progress.total:
        return b": prefill %d/%d\n\n" % (progress.done, progress.total)
    return b": %b\n\n" % progress.stage.encode()


def _usage_object(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.prompt_tokens,
        # What goes into the cache costs nothing here.
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }
