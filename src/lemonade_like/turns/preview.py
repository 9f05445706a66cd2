"""What a turn would send to the engine, without sending it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lemonade_like.harmony import tokens
from lemonade_like.turns.failures import context_exceeded
from lemonade_like.turns.harmony_turn import plan, render
from lemonade_like.turns.payload import chat_payload
from lemonade_like.turns.size import refuse_what_cannot_fit

if TYPE_CHECKING:
    from datetime import date

    from lemonade_like.harmony.conversation import Effort
    from lemonade_like.harmony.renderer import Renderer
    from lemonade_like.pool.resident import EngineClient
    from lemonade_like.turns.memory import ReasoningMemory
    from lemonade_like.turns.request import TurnRequest


@dataclass(frozen=True)
class RenderedPrompt:
    """A prompt, as text with its control tokens spelled out and as ids. ``stop_ids`` end the turn."""

    text: str
    ids: list[int]
    harmony: bool
    stop_ids: tuple[int, ...] = ()


async def harmony_preview(
    request: TurnRequest,
    renderer: Renderer,
    *,
    memory: ReasoningMemory,
    model_name: str,
    context_length: int,
    default_effort: Effort,
    today: date,
) -> RenderedPrompt:
    """Render as a turn does, with what is remembered of this client's tool calls.

    Raises:
        BadRequest: as for the turn, also for a prompt that leaves no room for an answer.
    """
    refuse_what_cannot_fit(request, context_length)
    recalled = memory.recall(request.owner, model_name, request.messages)
    day = request.current_date or next((turn.current_date for turn in recalled.values()), today.isoformat())
    chosen = plan(request, default_effort=default_effort, current_date=day)
    prompt = await render(request, chosen, renderer, recalled)
    if len(prompt.ids) >= context_length:
        raise context_exceeded(len(prompt.ids), context_length)
    text = await asyncio.to_thread(renderer.encoder.decode, prompt.ids)
    return RenderedPrompt(text, prompt.ids, True, tokens.STOP_IDS)


async def jinja_preview(request: TurnRequest, engine: EngineClient) -> RenderedPrompt:
    """Have the engine apply the model's own chat template. What ends the turn is the engine's to know."""
    text = await engine.apply_template(chat_payload(request))
    return RenderedPrompt(text, await engine.tokenize(text), False)
