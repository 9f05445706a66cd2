"""Events as OpenAI's chat completions, chunk by chunk.

A whole answer is folded from the same events (``fold``), which is why it and a stream cannot differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from lemonade_like.api.openai.chunks import ChunkStream
from lemonade_like.api.openai.objects import (
    AnswerHeader,
    finish_reason,
    harmony_object,
    logprobs_object,
    server_call_delta,
)
from lemonade_like.turns.events import (
    ContentDelta,
    Event,
    Finish,
    MessageEnd,
    Progress,
    ReasoningDelta,
    ServerToolCall,
    ServerToolResult,
    ServerTools,
    TokenLogprob,
    ToolCallArgumentsDelta,
    ToolCallStart,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lemonade_like.api.openai.objects import Batch


_SILENT: Final = (Progress, MessageEnd, ServerTools)


class ChunkWriter(ChunkStream):
    """Writes an answer as a stream of chunks. With ``function_call`` a call has the form that it had before tools."""

    def __init__(
        self,
        header: AnswerHeader,
        *,
        choices: int = 1,
        include_usage: bool = False,
        include_harmony: bool = False,
        function_call: bool = False,
    ) -> None:
        opening = header.opening("chat.completion.chunk")
        written = [
            _ChoiceChunks(opening, index, include_usage, include_harmony, function_call) for index in range(choices)
        ]
        super().__init__(opening, written, candidates=choices, include_usage=include_usage)
        #: The choices, until the first of them speaks.
        self._silent = written if choices > 1 else []

    def write(self, batch: Batch) -> bytes:
        """Return the chunks of a batch, joined; nothing, if it only says that something is under way.

        With the first words of any choice all of them begin, in their order: OpenAI's SDK knows no choice 1 before 0.
        """
        written = super().write(batch)
        if not (written and self._silent):
            return written
        (place, _), others = batch, [choice.begin() for choice in self._silent]
        self._silent = []
        return b"".join([*others[:place], written, *others[place + 1 :]])


class _ChoiceChunks:
    """The chunks of one choice.

    This is the hot path. What all chunks have in common is encoded once, and the pieces of a batch are joined once.
    """

    def __init__(
        self, header: bytes, index: int, include_usage: bool, include_harmony: bool, function_call: bool
    ) -> None:
        self._raw: list[dict[str, Any]] | None = [] if include_harmony else None
        self._function_call = function_call
        self.finish: Finish | None = None
        self.progress: Progress | None = None
        self._open = b'data: %b,"choices":[{"index":%d,"delta":{' % (header, index)
        self._usage = b',"usage":null}\n\n' if include_usage else b"}\n\n"
        self._close = b'},"logprobs":null,"finish_reason":null}]' + self._usage
        self._role_is_due = True
        self._has_answer = False
        self._begin_deltas_with(b'"role":"assistant",')

    def _begin_deltas_with(self, role: bytes) -> None:
        self._delta = self._open + role
        self._content = self._delta + b'"content":'
        self._reasoning = self._delta + b'"reasoning_content":'
        self._tool_call = self._delta + b'"tool_calls":[{"index":%d,"function":{"arguments":'
        self._after_arguments = b"}}]"
        if self._function_call:
            self._tool_call = self._delta + b'"function_call":{"arguments":'
            self._after_arguments = b"}"

    def begin(self) -> bytes:
        """The chunk that says whose message it is; nothing, if that has been said."""
        if not self._role_is_due:
            return b""
        first = self._content + b'""' + self._close
        self._role_is_due = False
        self._begin_deltas_with(b"")
        return first

    def write(self, events: Sequence[Event]) -> bytes:
        if self._role_is_due:
            return self._write_first(events)
        return self._write(events)

    def _write_first(self, events: Sequence[Event]) -> bytes:
        for place, event in enumerate(events):
            if isinstance(event, _SILENT):
                self._write((event,))
                continue
            first = self._write((event,))
            self._role_is_due = False
            self._begin_deltas_with(b"")
            return first + self._write(events[place + 1 :])
        return b""

    def _write(self, events: Iterable[Event]) -> bytes:
        out: list[bytes] = []
        dumps = orjson.dumps
        close = self._close
        for event in events:
            kind = type(event)
            if kind is ContentDelta:
                self._has_answer = True
                out += (self._content, dumps(event.text), close)  # type: ignore[union-attr]
                if event.logprobs:  # type: ignore[union-attr]
                    out[-1] = self._close_with(event.logprobs)  # type: ignore[union-attr]
            elif kind is ReasoningDelta:
                text = dumps(event.text)  # type: ignore[union-attr]
                out += (self._reasoning, text, b',"reasoning":', text, close)
            elif isinstance(event, ToolCallArgumentsDelta):
                if self._function_call and event.index:  # this form has room for one
                    continue
                call = self._tool_call if self._function_call else self._tool_call % event.index
                out += (call, dumps(event.text), self._after_arguments, close)
            elif isinstance(event, ToolCallStart):
                if self._function_call and event.index:
                    continue
                self._has_answer = True
                out += (self._delta, self._call_start(event), close)
            else:
                out.append(self._other(event))
        return b"".join(out)

    def _other(self, event: Event) -> bytes:
        """What comes seldom."""
        if isinstance(event, Finish):
            self.finish = event
            return self._finish_chunk(event)
        if isinstance(event, ServerToolCall | ServerToolResult):
            # A field of its own: what stands in tool_calls, a client would run.
            said = orjson.dumps(server_call_delta(event))
            return b'%b"server_tool_calls":[%b]%b' % (self._delta, said, self._close)
        if isinstance(event, Progress):
            self.progress = event
        elif isinstance(event, MessageEnd) and self._raw is not None:
            self._raw.append(harmony_object(event.message))
        return b""

    def _call_start(self, event: ToolCallStart) -> bytes:
        name = orjson.dumps(event.name)
        if self._function_call:
            return b'"function_call":{"name":%b,"arguments":""}' % name
        return b'"tool_calls":[{"index":%d,"id":%b,"type":"function","function":{"name":%b,"arguments":""}}]' % (
            event.index,
            orjson.dumps(event.id),
            name,
        )

    def _close_with(self, logprobs: list[TokenLogprob]) -> bytes:
        return b'},"logprobs":%b,"finish_reason":null}]%b' % (orjson.dumps(logprobs_object(logprobs)), self._usage)

    def _finish_chunk(self, finish: Finish) -> bytes:
        # An answer without a word is an empty string, here as in the whole answer.
        delta = self._delta.removesuffix(b",") if self._has_answer else self._content + b'""'
        if self._raw is not None:
            separator = b"" if delta.endswith(b"{") else b","
            delta = b'%b%b"harmony":%b' % (delta, separator, orjson.dumps(self._raw))
        timings = b',"timings":' + orjson.dumps(finish.timings) if finish.timings else b""
        reason = orjson.dumps(finish_reason(finish, self._function_call))
        return b'%b},"logprobs":null,"finish_reason":%b}]%b%b' % (delta, reason, timings, self._usage)
