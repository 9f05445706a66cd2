"""A turn of a GPT-OSS model: rendered to ids, streamed as ids and text, read back as channels.

It survives its engine: see ``survival``.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from typing import TYPE_CHECKING

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
from lemonade_like.turns.constraint import constraint, told_format
from lemonade_like.turns.failures import context_exceeded
from lemonade_like.turns.payload import completion_payload, new_seed
from lemonade_like.turns.prepared import Plan, Prepared
from lemonade_like.turns.reader import TurnReader
from lemonade_like.turns.size import is_long, refuse_what_cannot_fit
from lemonade_like.turns.survival import read_through
from lemonade_like.turns.told import spelled
from lemonade_like.turns.transcript import Recording

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from datetime import date

    from lemonade_like.harmony.encoding import Encoder
    from lemonade_like.harmony.renderer import Prompt, Renderer
    from lemonade_like.pool.lease import Lease
    from lemonade_like.turns.events import Event
    from lemonade_like.turns.formats import HarmonyFormat
    from lemonade_like.turns.memory import ReasoningMemory, Remembered
    from lemonade_like.turns.recorded.tape import Tape
    from lemonade_like.turns.request import TurnRequest
    from lemonade_like.turns.told import TurnLog

_logger = logging.getLogger("lemonade_like.turns")


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


async def prepare(
    request: TurnRequest,
    lease: Lease[HarmonyFormat],
    renderer: Renderer,
    log: TurnLog,
    *,
    memory: ReasoningMemory,
    default_effort: Effort,
    today: date,
) -> Prepared:
    """Render the prompt and decide what is posted. Raises ``BadRequest`` for what cannot be asked of the model."""
    refuse_what_cannot_fit(request, lease.context_length)
    recalled = memory.recall(request.owner, lease.model.name, request.messages)
    day = request.current_date or next((turn.current_date for turn in recalled.values()), today.isoformat())
    chosen = plan(request, default_effort=default_effort, current_date=day)
    prompt = await render(request, chosen, renderer, recalled)
    if len(prompt.ids) >= lease.context_length:
        raise context_exceeded(len(prompt.ids), lease.context_length)
    grammar = await constraint(request, prompt.opening, reasons=chosen.reasons)
    log.prompt(prompt.ids, renderer.encoder)
    _logger.debug(
        "%s: effort %s, %d tools, %s",
        lease.model.name,
        chosen.system.effort,
        len(request.tools) if chosen.tools else 0,
        "with a grammar" if grammar else "no grammar",
    )
    payload = completion_payload(
        prompt.ids,
        request.sampling,
        seed=new_seed(),
        max_tokens=-1 if request.max_tokens is None else request.max_tokens,
        grammar=grammar,
        reasoning_budget=request.reasoning_budget if chosen.reasons else None,
        top_logprobs=request.top_logprobs,
    )
    return Prepared(chosen, prompt, payload, day, recalled)


async def harmony_turn(
    request: TurnRequest,
    lease: Lease[HarmonyFormat],
    prepared: Prepared,
    encoder: Encoder,
    log: TurnLog,
    *,
    memory: ReasoningMemory,
    tape: Tape | None = None,
) -> AsyncGenerator[list[Event], None]:
    """Run the turn; yields the events of each network read, and ``Finish`` last."""
    prompt, payload = prepared.prompt, prepared.payload
    # What continues a message that the client began is not the whole of it.
    recording = Recording() if prepared.chosen.tools and prompt.opening.channel is None else None
    reader = TurnReader(request, prompt, recording)
    if tape is not None:
        tape.harmony(prepared, reader.transcript, encoder)
    async with aclosing(read_through(payload, reader, lease, encoder)) as batches:
        async for events in batches:
            yield events
    last = reader.finish()
    if log.texts:
        log.output_text(spelled(reader.transcript.parts(), encoder))
    log.finished(last)
    if recording is not None and (turn := recording.remembered(reader.transcript, encoder, prepared.current_date)):
        memory.remember(request.owner, lease.model.name, turn)
    yield last
