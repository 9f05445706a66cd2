"""Runs turns: leases the model, and picks the way that it is spoken to."""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from lemonade_like.errors import BadRequest
from lemonade_like.pool.resident import EngineConnectionLost, EngineResponseError
from lemonade_like.turns.completion import completion_turn, prepare_completion
from lemonade_like.turns.events import Event, Progress
from lemonade_like.turns.failures import from_engine
from lemonade_like.turns.harmony_turn import harmony_turn, prepare
from lemonade_like.turns.jinja_turn import jinja_turn, prepare_chat
from lemonade_like.turns.memory import ReasoningMemory
from lemonade_like.turns.presets import with_preset
from lemonade_like.turns.preview import RenderedPrompt, harmony_preview, jinja_preview
from lemonade_like.turns.size import LONGEST_CONTEXT
from lemonade_like.turns.tokens import harmony_text, harmony_tokens
from lemonade_like.turns.told import TurnLog
from lemonade_like.turns.visibility import ReasoningView, untagged

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence

    from lemonade_like.harmony.conversation import Effort
    from lemonade_like.pool.lease import Lease
    from lemonade_like.pool.pool import Pool
    from lemonade_like.pool.resident import EngineClient
    from lemonade_like.turns.formats import HarmonyFormat
    from lemonade_like.turns.recorded.tape import Tape, TurnRecorder
    from lemonade_like.turns.request import CompletionRequest, ReasoningFormat, TurnRequest
    from lemonade_like.turns.tokens import TokenizeRequest

    _Work = Callable[[Lease[HarmonyFormat], TurnLog], Awaitable[AsyncGenerator[list[Event], None]]]

_T = TypeVar("_T")
_RequestT = TypeVar("_RequestT", "TurnRequest", "CompletionRequest")


@dataclass(frozen=True)
class TurnOptions:
    """What holds for all turns.

    ``default_effort`` and ``reasoning_format`` are for requests that do not say. ``today`` gives the date that the
    system message names, and ``model_identity`` and ``knowledge_cutoff`` are what it says else; ``None`` is GPT-OSS's
    own. ``reasoning_memory_bytes`` is what the reasoning before tool calls may take; 0 remembers none. ``log_prompts``
    has the debug log say what models are asked and answer.
    """

    default_effort: Effort = "medium"
    reasoning_format: ReasoningFormat = "separate"
    reasoning_memory_bytes: int = 64 << 20
    model_identity: str | None = None
    knowledge_cutoff: str | None = None
    log_prompts: bool = False
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
            ModelNotFound, WrongMode, QueueFull, EngineUnavailable: before the first event.
            BadRequest, EngineFailure: before the first event or between two.
        """
        return self._run(request) if self._recorder is None else _recorded(self._recorder, request, self._run)

    async def _run(self, request: TurnRequest, tape: Tape | None = None) -> AsyncGenerator[list[Event], None]:
        request = self._with_defaults(request)
        view = ReasoningView(self._format(request))
        work = partial(self._turn, request, tape)
        async with aclosing(self._on_slot(request, work, tape, continues=request.continues)) as batches:
            async for batch in batches:
                if shown := view.apply(batch):
                    yield shown

    def complete(self, request: CompletionRequest) -> AsyncGenerator[list[Event], None]:
        """Go on with a text as it stands; yields, raises and ends as ``run`` does."""
        if self._recorder is None:
            return self._complete(request)
        return _recorded(self._recorder, request, self._complete)

    def _complete(self, request: CompletionRequest, tape: Tape | None = None) -> AsyncGenerator[list[Event], None]:
        return self._on_slot(request, partial(_completion, request, tape), tape)

    async def tokenize(self, request: TokenizeRequest) -> list[Any]:
        """Return the ids of a text, or objects of ``id`` and ``piece``: see ``TokenizeRequest``.

        Only a model without Harmony is loaded for this; it needs no free slot.

        Raises:
            ModelNotFound, EngineFailure: as for a turn.
        """
        _, prompt_format = await self._pool.prompt_format(request.model)
        if prompt_format is not None:
            return await harmony_tokens(prompt_format.encoding, request)
        return await self._ask(
            request.model,
            request.client,
            lambda engine: engine.tokenize(
                request.text,
                add_special=request.add_special,
                parse_special=request.parse_special is not False,
                with_pieces=request.with_pieces,
            ),
        )

    async def detokenize(self, model: str, ids: Sequence[int], client: str = "") -> str:
        """Return the text of ids, control tokens spelled out; loads and raises as ``tokenize`` does.

        Raises:
            BadRequest: the model has no such token.
        """
        _, prompt_format = await self._pool.prompt_format(model)
        if prompt_format is not None:
            return await harmony_text(prompt_format.encoding, ids)

        async def text(engine: EngineClient) -> str:
            try:
                return await engine.detokenize(ids)
            except EngineResponseError as error:
                if error.status not in (400, 500):
                    raise
                # It says this with 500, and there is nothing else that it could refuse.
                raise BadRequest(
                    f"'tokens' has an id that {model} has not: {error.message}", param="tokens", code="invalid_value"
                ) from error

        return await self._ask(model, client, text)

    async def render(self, request: TurnRequest) -> RenderedPrompt:
        """Return the prompt that the turn would begin with. Nothing is generated.

        The model is loaded for this only if it goes through its own chat template, which its engine applies.

        Raises:
            BadRequest, ModelNotFound, EngineFailure: as for the turn itself.
        """
        request = self._with_defaults(request)
        await self._pool.require_mode(request.model, "chat")
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
        return await self._ask(
            request.model, request.client or request.owner, lambda engine: jinja_preview(request, engine)
        )

    async def _ask(self, model: str, client: str, question: Callable[[EngineClient], Awaitable[_T]]) -> _T:
        """Return what the model's engine answers to a question that takes no slot; the model is loaded if need be."""
        try:
            if (engine := self._pool.glance(model)) is not None:
                # It may be busy for long, and about to be unloaded.
                with suppress(EngineConnectionLost):
                    return await question(engine)
            async with self._pool.lease(model, client) as lease:
                return await lease.answered(question)
        except EngineResponseError as error:
            raise from_engine(error) from error

    async def _on_slot(
        self, request: TurnRequest | CompletionRequest, work: _Work, tape: Tape | None, *, continues: bool = False
    ) -> AsyncGenerator[list[Event], None]:
        """Yield what is waited for, and then what ``work`` yields under its lease."""
        await self._pool.require_mode(request.model, "chat")
        line = self._pool.ticket(request.model, request.client or request.owner, continues=continues)
        async with line as ticket:
            log = TurnLog(ticket.place.model, texts=self._options.log_prompts)
            async for waiting in ticket.waiting():
                log.waits(waiting)
                progress: list[Event] = [Progress(waiting.stage, waiting.place if waiting.stage == "queued" else 0)]
                if tape is not None:
                    tape.add(progress)
                yield progress
            lease = ticket.lease
            if tape is not None:
                tape.lease = lease
            if request.on_slot is not None:
                request.on_slot()
            log.has_slot(harmony=lease.prompt_format is not None)
            async with _explaining(lease), aclosing(await work(lease, log)) as events:
                async for batch in events:
                    if tape is not None:
                        tape.add(batch)
                    yield batch

    def _format(self, request: TurnRequest) -> ReasoningFormat:
        return request.reasoning_format or self._options.reasoning_format

    def _with_defaults(self, request: TurnRequest) -> TurnRequest:
        return replace(
            worked_in(request, self._format(request)),
            model_identity=request.model_identity or self._options.model_identity,
            knowledge_cutoff=request.knowledge_cutoff or self._options.knowledge_cutoff,
        )

    async def _turn(
        self, request: TurnRequest, tape: Tape | None, lease: Lease[HarmonyFormat], log: TurnLog
    ) -> AsyncGenerator[list[Event], None]:
        if lease.prompt_format is None:
            payload = await prepare_chat(request)
            if tape is not None:
                tape.chat(payload)
            return jinja_turn(request, lease, payload, log)
        renderer = lease.prompt_format.renderer
        prepared = await prepare(
            request,
            lease,
            renderer,
            log,
            memory=self._memory,
            default_effort=self._options.default_effort,
            today=self._options.today(),
        )
        return harmony_turn(request, lease, prepared, renderer.encoder, log, memory=self._memory, tape=tape)


async def _completion(
    request: CompletionRequest, tape: Tape | None, lease: Lease[HarmonyFormat], log: TurnLog
) -> AsyncGenerator[list[Event], None]:
    return completion_turn(request, lease, await prepare_completion(request, lease, log), log, tape)


async def _recorded(
    recorder: TurnRecorder, request: _RequestT, run: Callable[[_RequestT, Tape], AsyncGenerator[list[Event], None]]
) -> AsyncGenerator[list[Event], None]:
    tape = recorder.begin(request)
    try:
        async with aclosing(run(request, tape)) as batches:
            async for batch in batches:
                yield batch
    except BaseException as error:
        tape.error = error
        raise
    finally:
        recorder.keep(tape)


def worked_in(request: TurnRequest, reasoning_format: ReasoningFormat) -> TurnRequest:
    """Return the request with its preset in its messages, and with reasoning that was shown inline as such again."""
    if reasoning_format == "inline":
        request = replace(request, messages=untagged(request.messages))
    return with_preset(request)


@asynccontextmanager
async def _explaining(lease: Lease[HarmonyFormat]) -> AsyncIterator[None]:
    """Say what an engine's error means to the client."""
    try:
        yield
    except EngineResponseError as error:
        raise from_engine(error) from error
    except EngineConnectionLost as error:
        await lease.lost()
        raise lease.explain(error) from error
