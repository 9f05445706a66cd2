"""A turn of any other model: llama-server applies the chat template and parses; its stream becomes events here."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from lemonade_like.pool.resident import EngineConnectionLost
from lemonade_like.turns.call_ids import new_call_id
from lemonade_like.turns.constraint import check_format
from lemonade_like.turns.events import (
    ContentDelta,
    Event,
    Finish,
    FinishReason,
    Progress,
    ReasoningDelta,
    ToolCallArgumentsDelta,
    ToolCallStart,
    Usage,
)
from lemonade_like.turns.logprobs import AnswerLogprobs
from lemonade_like.turns.payload import chat_payload, new_seed
from lemonade_like.turns.stop import StopMatcher
from lemonade_like.turns.told import shown

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from lemonade_like.pool.lease import Lease
    from lemonade_like.turns.formats import HarmonyFormat
    from lemonade_like.turns.request import TurnRequest
    from lemonade_like.turns.told import TurnLog


async def prepare_chat(request: TurnRequest) -> dict[str, Any]:
    """Return what is posted. Raises ``BadRequest`` for what cannot be asked of the model."""
    await check_format(request.response_format)
    return chat_payload(request, seed=new_seed())


async def jinja_turn(
    request: TurnRequest, lease: Lease[HarmonyFormat], payload: dict[str, Any], log: TurnLog
) -> AsyncGenerator[list[Event], None]:
    """Run the turn; yields the events of each network read, and ``Finish`` last.

    If its engine dies before anything was sent, the turn begins again; of a whole answer, nothing is sent before it is
    complete. What has been sent cannot be gone on from: what the engine made of the model's output does not tell what
    that was. Then this raises ``EngineConnectionLost``.
    """
    log.messages(request.messages, len(request.callable_tools))
    if log.texts:
        log.prompt_text(await lease.engine.apply_template(payload))
    resumed, sent = 0, False
    while True:
        reader, held, written = ChatReader(request, resumed), list[Event](), list[str]()
        try:
            async with aclosing(lease.engine.stream_chat(payload)) as stream:
                async for frames in stream:
                    events = reader.read(frames)
                    if log.texts:
                        written.append(shown(events))
                    if request.whole:
                        held += events
                    elif events:
                        sent = sent or not isinstance(events[-1], Progress)
                        yield events
                    if reader.done:
                        break
            break
        except EngineConnectionLost as error:
            if sent:
                raise
            lost = error
        yield [Progress("loading")]
        await lease.recover(lost)
        resumed += 1
    last = [*held, *reader.finish()]
    if log.texts:
        log.output_text("".join(written))
    log.finished(last)
    yield last


class ChatReader:
    """Chunks of llama-server's ``/v1/chat/completions`` to events."""

    def __init__(self, request: TurnRequest, resumed: int = 0) -> None:
        self.done = False
        self._resumed = resumed
        self._stop = StopMatcher(request.stop)
        self._calls: set[int] = set()
        self._usage = Usage()
        self._reason: FinishReason = "stop"
        self._timings: dict[str, Any] = {}
        self._logprobs = None if request.top_logprobs is None else AnswerLogprobs(request.top_logprobs)

    def read(self, frames: Iterable[dict[str, Any]]) -> list[Event]:
        """Return the events that these chunks make."""
        events: list[Event] = []
        for frame in frames:
            if progress := frame.get("prompt_progress"):
                self._usage.prompt_tokens = progress.get("total", 0)
                self._usage.cached_tokens = progress.get("cache", 0)
                events.append(Progress("prefill", progress.get("processed", 0), progress.get("total", 0)))
            for choice in frame.get("choices", ()):
                self._choice(choice, events)
                self._reason = choice.get("finish_reason") or self._reason
            if usage := frame.get("usage"):
                self._usage.prompt_tokens = usage.get("prompt_tokens", 0)
                self._usage.completion_tokens = usage.get("completion_tokens", 0)
                details = usage.get("prompt_tokens_details") or {}
                self._usage.cached_tokens = details.get("cached_tokens", self._usage.cached_tokens)
            self._timings = frame.get("timings", self._timings)
            if self.done:
                break
        return events

    def finish(self) -> list[Event]:
        """Return the last events, ``Finish`` among them."""
        events: list[Event] = []
        if held := self._stop.flush():
            events.append(ContentDelta(held))
            if self._logprobs is not None:
                self._logprobs.attach(events)
        reason = "stop" if self.done else self._reason
        if self._calls and reason == "stop":
            reason = "tool_calls"
        events.append(Finish(reason, self._usage, self._timings, stop_string=self._stop.matched, resumed=self._resumed))
        return events

    def _choice(self, choice: dict[str, Any], events: list[Event]) -> None:
        delta = choice.get("delta", {})
        before = len(events)
        self._delta(delta, events)
        if self._logprobs is not None and delta.get("content"):
            self._logprobs.written((choice.get("logprobs") or {}).get("content") or (), delta["content"])
            self._logprobs.attach(events[before:])

    def _delta(self, delta: dict[str, Any], events: list[Event]) -> None:
        # The engine sends a token a chunk and counts none of this itself.
        if reasoning := delta.get("reasoning_content"):
            self._usage.reasoning_tokens += 1
            self._usage.completion_tokens += 1
            events.append(ReasoningDelta(reasoning))
        if content := delta.get("content"):
            self._usage.completion_tokens += 1
            if shown := self._stop.feed(content):
                events.append(ContentDelta(shown))
            self.done = self._stop.matched is not None
        for call in delta.get("tool_calls") or ():
            self._call(call, events)

    def _call(self, call: dict[str, Any], events: list[Event]) -> None:
        index, function = call.get("index", 0), call.get("function", {})
        if index not in self._calls:
            self._calls.add(index)
            call_id = call.get("id") or new_call_id()
            events.append(ToolCallStart(index, call_id, function.get("name", "")))
        if arguments := function.get("arguments"):
            events.append(ToolCallArgumentsDelta(index, arguments))
