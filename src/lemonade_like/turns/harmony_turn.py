"""A turn of a GPT-OSS model: rendered to ids, streamed as ids and text, read back as channels."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lemonade_like.errors import BadRequest
from lemonade_like.harmony.conversation import (
    EFFORTS,
    IDENTITY,
    KNOWLEDGE_CUTOFF,
    ConversationError,
    Effort,
    HarmonyConversation,
    Opening,
    SystemMessage,
    build_conversation,
)
from lemonade_like.harmony.messages import Message, Verbatim
from lemonade_like.harmony.parser import Parser
from lemonade_like.turns.assembler import Assembler
from lemonade_like.turns.call_ids import new_call_id
from lemonade_like.turns.constraint import constraint, told_format
from lemonade_like.turns.events import Event, Finish, FinishReason, Progress, Usage
from lemonade_like.turns.failures import context_exceeded
from lemonade_like.turns.logprobs import AnswerLogprobs
from lemonade_like.turns.payload import completion_payload
from lemonade_like.turns.size import is_long, refuse_what_cannot_fit
from lemonade_like.turns.transcript import Recording

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Mapping
    from datetime import date

    from lemonade_like.harmony.renderer import Prompt, Renderer
    from lemonade_like.pool.lease import Lease
    from lemonade_like.turns.formats import HarmonyFormat
    from lemonade_like.turns.memory import ReasoningMemory, Remembered
    from lemonade_like.turns.request import TurnRequest

_logger = logging.getLogger("lemonade_like.turns")


@dataclass(frozen=True)
class Plan:
    """What a request means in Harmony, decided before the engine is asked."""

    system: SystemMessage
    tools: bool

    @property
    def reasons(self) -> bool:
        """Whether the model may reason."""
        return self.system.effort != "none"


def plan(request: TurnRequest, *, default_effort: Effort, current_date: str) -> Plan:
    """Decide effort and tools. Raises ``BadRequest`` for an effort that nobody knows."""
    effort = default_effort
    if request.reasoning_effort is not None:
        known = EFFORTS.get(request.reasoning_effort)
        if known is None:
            raise BadRequest(
                f"reasoning_effort is {request.reasoning_effort!r}, but must be one of {', '.join(EFFORTS)}.",
                param="reasoning_effort",
            )
        effort = known
    if request.reasoning_budget == 0:
        effort = "none"
    offered = bool(request.tools) and request.tool_choice != "none"
    identity, cutoff = request.model_identity or IDENTITY, request.knowledge_cutoff or KNOWLEDGE_CUTOFF
    return Plan(SystemMessage(effort, current_date, identity, cutoff), offered)


async def render(
    request: TurnRequest, chosen: Plan, renderer: Renderer, recalled: Mapping[int, Remembered] | None = None
) -> Prompt:
    """Return the prompt's ids. Raises ``BadRequest`` for a chat that cannot be said in Harmony."""
    tools = request.tools if chosen.tools else ()
    response_format = told_format(request.response_format)
    generated = {place: Verbatim(tuple(turn.ids)) for place, turn in (recalled or {}).items()}

    def work() -> Prompt:
        conversation = build_conversation(
            request.messages, chosen.system, tools, generated, response_format=response_format
        )
        if conversation.opening.channel == "analysis" and (request.reasoning_budget is not None or not chosen.reasons):
            # The engine counts from where reasoning begins, so what the client began is ended here.
            conversation = _reasoning_ended(conversation, Opening() if chosen.reasons or tools else Opening("final"))
        return renderer.render_for_completion(conversation)

    try:
        return await asyncio.to_thread(work) if is_long(request) else work()
    except ConversationError as error:
        _logger.debug("Error with Harmony formatting: %s", error)
        raise BadRequest(str(error), param=error.param, code=error.code) from error


def _reasoning_ended(conversation: HarmonyConversation, opening: Opening) -> HarmonyConversation:
    """The conversation with the reasoning that it has begun as a message of its own."""
    begun = Message("assistant", conversation.opening.body, channel="analysis")
    return HarmonyConversation((*conversation.messages, begun), opening)


async def harmony_turn(
    request: TurnRequest,
    lease: Lease[HarmonyFormat],
    renderer: Renderer,
    *,
    memory: ReasoningMemory,
    default_effort: Effort,
    today: date,
) -> AsyncGenerator[list[Event], None]:
    """Run the turn; yields the events of each network read, and ``Finish`` last."""
    refuse_what_cannot_fit(request, lease.context_length)
    recalled = memory.recall(request.owner, lease.model.name, request.messages)
    day = request.current_date or next((turn.current_date for turn in recalled.values()), today.isoformat())
    chosen = plan(request, default_effort=default_effort, current_date=day)
    prompt = await render(request, chosen, renderer, recalled)
    if len(prompt.ids) >= lease.context_length:
        raise context_exceeded(len(prompt.ids), lease.context_length)
    grammar = await constraint(request, prompt.opening, reasons=chosen.reasons)
    _logger.debug(
        "%s: prompt of %d tokens, effort %s, %d tools, %s",
        request.model,
        len(prompt.ids),
        chosen.system.effort,
        len(request.tools) if chosen.tools else 0,
        "with a grammar" if grammar else "no grammar",
    )
    payload = completion_payload(
        prompt.ids,
        request.sampling,
        max_tokens=-1 if request.max_tokens is None else request.max_tokens,
        grammar=grammar,
        reasoning_budget=request.reasoning_budget if chosen.reasons else None,
        top_logprobs=request.top_logprobs,
    )
    # What continues a message that the client began is not the whole of it.
    recording = Recording(renderer.encoder) if chosen.tools and prompt.opening.channel is None else None
    reader = TurnReader(request, prompt, recording)
    async with aclosing(lease.engine.stream_completion(payload)) as stream:
        async for frames in stream:
            events = reader.read(frames)
            if events:
                yield events
            if reader.done:
                break
    last = reader.finish()
    if recording is not None and (turn := recording.remembered(day)):
        memory.remember(request.owner, lease.model.name, turn)
    yield last


class TurnReader:
    """Frames of ``/completion`` to events. Keeps the turn's counts; a ``recording`` is told all of it."""

    def __init__(self, request: TurnRequest, prompt: Prompt, recording: Recording | None = None) -> None:
        self._recording = recording
        self._parser = Parser(prompt.opening)
        self._assembler = Assembler(
            new_call_id=new_call_id,
            opening=prompt.opening,
            declared=frozenset(tool.name for tool in request.tools),
            calls_allowed=request.tool_choice != "none",
            parallel_calls=request.parallel_tool_calls,
            stop=request.stop,
        )
        self._usage = Usage(prompt_tokens=len(prompt.ids))
        self._final: dict[str, Any] = {}
        self._logprobs = None if request.top_logprobs is None else AnswerLogprobs(request.top_logprobs)

    @property
    def done(self) -> bool:
        """Whether nothing more is wanted, although the model would go on."""
        return self._assembler.done

    def read(self, frames: Iterable[dict[str, Any]]) -> list[Event]:
        """Return the events that these frames make."""
        events: list[Event] = []
        parser, assembler, usage = self._parser, self._assembler, self._usage
        logprobs, recording = self._logprobs, self._recording
        for frame in frames:
            progress = frame.get("prompt_progress")
            if progress is not None:
                # Its "tokens" are no tokens of the answer.
                usage.cached_tokens = progress.get("cache", 0)
                events.append(Progress("prefill", progress.get("processed", 0), progress.get("total", 0)))
                continue
            ids, text = frame.get("tokens", ()), frame.get("content", "")
            predicted = frame.get("tokens_predicted", usage.completion_tokens)
            was_reasoning, was_answering = assembler.reasoning, assembler.answering
            before = len(events)
            if not parser.feed_body(ids, text):
                events += assembler.add(parser.feed(ids, text))
            elif text:
                assembler.add_body(text, events)
            if logprobs is not None:
                if was_answering and assembler.answering:
                    logprobs.written(frame.get("completion_probabilities", ()), text)
                logprobs.attach(events[before:])
            if recording is not None:
                recording.add(ids, text, predicted, events[before:])
            if was_reasoning and assembler.reasoning:
                # Ids may be missing from the stream, but the count is not: it says how many they were.
                usage.reasoning_tokens += predicted - usage.completion_tokens
            usage.completion_tokens = predicted
            if frame.get("stop"):
                self._final = frame
            if assembler.done:
                break
        return events

    def finish(self) -> list[Event]:
        """Return the last events, ``Finish`` among them."""
        events = self._assembler.add(self._parser.finish())
        events += self._assembler.finish()
        if self._logprobs is not None:
            self._logprobs.attach(events)
        timings = self._final.get("timings", {})
        self._usage.cached_tokens = timings.get("cache_n", self._usage.cached_tokens)
        recovered = dict(self._parser.recovered + self._assembler.hidden)
        if recovered:
            _logger.debug("malformed output was mended: %s", recovered)
            if self._recording is not None:
                self._recording.spoil()
        events.append(Finish(self._reason(), self._usage, timings, recovered, self._assembler.stop_string))
        return events

    def _reason(self) -> FinishReason:
        if self._final.get("stop_type") == "limit" and not self._assembler.done:
            return "length"
        return "tool_calls" if self._assembler.calls else "stop"
