"""Runs turns: leases the model, and picks the way that it is spoken to."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

from lemonade_like.pool.resident import EngineConnectionLost, EngineResponseError
from lemonade_like.turns.events import Event, Progress
from lemonade_like.turns.failures import from_engine
from lemonade_like.turns.harmony_turn import harmony_turn, prepare
from lemonade_like.turns.jinja_turn import jinja_turn, prepare_chat
from lemonade_like.turns.memory import ReasoningMemory
from lemonade_like.turns.presets import with_preset
from lemonade_like.turns.preview import RenderedPrompt, harmony_preview, jinja_preview
from lemonade_like.turns.size import LONGEST_CONTEXT
from lemonade_like.turns.visibility import ReasoningView, untagged

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from lemonade_like.harmony.conversation import Effort
    from lemonade_like.pool.lease import Lease
    from lemonade_like.pool.pool import Pool
    from lemonade_like.turns.formats import HarmonyFormat
    from lemonade_like.turns.recorded.tape import Tape, TurnRecorder
    from lemonade_like.turns.request import ReasoningFormat, TurnRequest


@dataclass(frozen=True)
class TurnOptions:
    """What holds for all turns.

    ``default_effort`` and ``reasoning_format`` are for requests that do not say. ``today`` gives the date that the
    system message names, and ``model_identity`` and ``knowledge_cutoff`` are what it says else; ``None`` is GPT-OSS's
    own. ``reasoning_memory_bytes`` is what the reasoning before tool calls may take; 0 remembers none.
    """

    default_effort: Effort = "medium"
    reasoning_format: ReasoningFormat = "separate"
    reasoning_memory_bytes: int = 64 << 20
    model_identity: str | None = None
    knowledge_cutoff: str | None = None
    today: Callable[[], date] = date.today


class Turns:
    """The one way to have a model answer. A ``recorder``, if there is one, gets a tape of each turn."""

    def __init__(self, pool: Pool[HarmonyFormat], options: TurnOptions, recorder: TurnRecorder | None = None) -> None:
        self._pool = pool
        self._options = options
        self._recorder = recorder
        self._memory = ReasoningMemory(options.reasoning_memory_bytes)

    def run(self, request: TurnRequest) -> AsyncGenerator[list[Event], None]:
        """Run a turn; yields its events in batches, one for each network read of the engine.

        ``aclose()``, or cancelling the task that iterates, ends the turn on the engine at once.

        Raises:
            ModelNotFound, QueueFull, EngineUnavailable: before the first event.
            BadRequest, EngineFailure: before the first event or between two.
        """
        return self._run(request) if self._recorder is None else self._recorded(request, self._recorder)

    async def _recorded(self, request: TurnRequest, recorder: TurnRecorder) -> AsyncGenerator[list[Event], None]:
        tape = recorder.begin(request)
        try:
            async with aclosing(self._run(request, tape)) as batches:
                async for batch in batches:
                    yield batch
        except BaseException as error:
            tape.error = error
            raise
        finally:
            recorder.keep(tape)

    async def _run(self, request: TurnRequest, tape: Tape | None = None) -> AsyncGenerator[list[Event], None]:
        request = self._with_defaults(request)
        view = ReasoningView(self._format(request))
        async with self._pool.ticket(request.model, request.client or request.owner) as ticket:
            async for waiting in ticket.waiting():
                progress: list[Event] = [Progress(waiting.stage, waiting.place if waiting.stage == "queued" else 0)]
                if tape is not None:
                    tape.add(progress)
                yield progress
            lease = ticket.lease
            if tape is not None:
                tape.lease = lease
            try:
                async with aclosing(await self._turn(request, lease, tape)) as events:
                    async for batch in events:
                        if tape is not None:
                            tape.add(batch)
                        if shown := view.apply(batch):
                            yield shown
            except EngineResponseError as error:
                raise from_engine(error) from error
            except EngineConnectionLost as error:
                await lease.lost()
                raise lease.explain(error) from error

    async def render(self, request: TurnRequest) -> RenderedPrompt:
        """Return the prompt that the turn would begin with. Nothing is generated.

        The model is loaded for this only if it goes through its own chat template, which its engine applies.

        Raises:
            BadRequest, ModelNotFound, EngineFailure: as for the turn itself.
        """
        request = self._with_defaults(request)
        name, prompt_format = await self._pool.prompt_format(request.model)
        if prompt_format is not None:
            loaded = (model.ctx_size for model in self._pool.loaded() if model.name == name)
            return await harmony_preview(
                request,
                prompt_format.renderer,
                # What is kept from the client is not to be seen in the next prompt either.
                memory=self._memory if self._format(request) != "hidden" else ReasoningMemory(0),
                model_name=name,
                context_length=next(loaded, LONGEST_CONTEXT),
                default_effort=self._options.default_effort,
                today=self._options.today(),
            )
        async with self._pool.lease(request.model, request.client or request.owner) as lease:
            while True:
                try:
                    return await jinja_preview(request, lease)
                except EngineResponseError as error:
                    raise from_engine(error) from error
                except EngineConnectionLost as error:
                    lost = error
                await lease.recover(lost)

    def _format(self, request: TurnRequest) -> ReasoningFormat:
        return request.reasoning_format or self._options.reasoning_format

    def _with_defaults(self, request: TurnRequest) -> TurnRequest:
        return replace(
            worked_in(request, self._format(request)),
            model_identity=request.model_identity or self._options.model_identity,
            knowledge_cutoff=request.knowledge_cutoff or self._options.knowledge_cutoff,
        )

    async def _turn(
        self, request: TurnRequest, lease: Lease[HarmonyFormat], tape: Tape | None
    ) -> AsyncGenerator[list[Event], None]:
        if lease.prompt_format is None:
            payload = await prepare_chat(request)
            if tape is not None:
                tape.chat(payload)
            return jinja_turn(request, lease, payload)
        renderer = lease.prompt_format.renderer
        prepared = await prepare(
            request,
            lease,
            renderer,
            memory=self._memory,
            default_effort=self._options.default_effort,
            today=self._options.today(),
        )
        return harmony_turn(request, lease, prepared, renderer.encoder, memory=self._memory, tape=tape)


def worked_in(request: TurnRequest, reasoning_format: ReasoningFormat) -> TurnRequest:
    """Return the request with its preset in its messages, and with reasoning that was shown inline as such again."""
    if reasoning_format == "inline":
        request = replace(request, messages=untagged(request.messages))
    return with_preset(request)
