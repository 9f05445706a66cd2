"""Runs the server's own tools: a turn, the calls that it ends with, their results, and the next turn.

The results are text to the model, like everything that a client's tool returns. What the model wrote is in the next
prompt as it was generated, so that the engine reads nothing again.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Protocol

from lemonade_like.errors import BadRequest, ContextLengthExceeded, QueueFull, ServerError, ShuttingDown
from lemonade_like.harmony.messages import ChatMessage, TextPart
from lemonade_like.tools.arguments import parsed_arguments
from lemonade_like.tools.errors import ToolFailed
from lemonade_like.tools.results import bounded, told
from lemonade_like.turns.answer_memory import AnswerMemory
from lemonade_like.turns.events import Event, Progress, ServerToolCall, ServerToolResult
from lemonade_like.turns.rounds import Account, Round
from lemonade_like.turns.server_tools import Equipped, equipped

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence
    from contextlib import AbstractContextManager

    from lemonade_like.harmony.messages import ToolCall
    from lemonade_like.tools.catalogue import Tool
    from lemonade_like.tools.toolbox import Toolbox
    from lemonade_like.turns.events import Finish, FinishReason
    from lemonade_like.turns.preview import RenderedPrompt
    from lemonade_like.turns.request import TurnRequest

_logger = logging.getLogger("lemonade_like.tools")

#: What is told of a call that was written but is not run.
_CUT_OFF: Final = "The tool was not run: the answer was cut off."
_ENOUGH: Final = "The tool was not run: no more calls are allowed in this answer. Answer with what you have."
_NO_BOUND: Final = 1 << 31


class Runner(Protocol):
    """Runs turns; see ``lemonade_like.turns.service.Turns``."""

    def run(self, request: TurnRequest) -> AsyncGenerator[list[Event], None]:
        """Yield the events of a turn in batches."""

    async def render(self, request: TurnRequest) -> RenderedPrompt:
        """Return the prompt that the turn would begin with."""


@dataclass(frozen=True)
class LoopLimits:
    """``rounds`` of calls in one answer; ``result_characters`` of a result that the model is shown;
    ``memory_bytes`` for what was done before a client's tool was called."""

    rounds: int = 8
    result_characters: int = 50_000
    memory_bytes: int = 64 << 20


@dataclass
class _Answer:
    """An answer in the making: ``added`` is what it has added to the chat; ``rounds`` and ``calls`` are left.

    ``refused`` says that the model has called although it may not: what offers it no tools cannot always forbid them.
    """

    equipped: Equipped
    rounds: int
    calls: int
    account: Account = field(default_factory=Account)
    added: list[ChatMessage] = field(default_factory=list)
    called: int = 0
    round: int = 0
    refused: bool = False

    @property
    def may_call(self) -> bool:
        """Whether the server runs any more calls."""
        return self.rounds > 0 and self.calls > 0

    def next_turn(self) -> TurnRequest:
        """Return the next turn. The tools stay, whether or not they may be called, and so the prompt stays, too."""
        asked = self.equipped.request
        turn = replace(asked, messages=asked.messages + tuple(self.added), continues=self.round > 0)
        if self.round and turn.tool_choice == "required":
            # One was called; held to another each time, the model would never come to an answer.
            turn = replace(turn, tool_choice="auto")
        if not self.may_call:
            allowed = self.equipped.own if turn.allowed_tools is None else turn.allowed_tools & self.equipped.own
            choice = turn.tool_choice if allowed or turn.tool_choice != "required" else "auto"
            turn = replace(turn, allowed_tools=allowed, tool_choice=choice)
        if asked.max_tokens is not None:
            turn = replace(turn, max_tokens=asked.max_tokens - self.account.completion_tokens)
        if asked.reasoning_budget is not None:
            turn = replace(turn, reasoning_budget=max(0, asked.reasoning_budget - self.account.reasoning_tokens))
        return turn

    def ending(self, turn: Round, finish: Finish) -> FinishReason | None:
        """Return why the answer is over after a turn that called tools of the server, or nothing if it goes on."""
        if finish.reason == "length":
            return "length"
        if turn.own_calls:
            return "tool_calls"
        if finish.stop_string is not None:
            return "stop"
        most = self.equipped.request.max_tokens
        spent = most is not None and self.account.completion_tokens >= most
        return "length" if spent or self.refused else None


class ToolLoop:
    """Runs turns as ``turns`` does, and what their models call of the server's own tools.

    Where a turn calls tools of the server and of the client, the server's are run, and the answer ends with the
    client's calls. What was done until then is remembered by their ids, since the client has seen it in another form.
    An answer is made in the context that ``answering`` gives, its tools included; see ``Pool.answer``.
    """

    def __init__(
        self,
        turns: Runner,
        toolbox: Toolbox,
        limits: LoopLimits = LoopLimits(),
        answering: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._turns = turns
        self._toolbox = toolbox
        self._limits = limits
        self._answering = answering
        self._memory = AnswerMemory(limits.memory_bytes)

    def run(self, request: TurnRequest) -> AsyncGenerator[list[Event], None]:
        """Run an answer; see ``Turns.run``. Without tools of the server it is one turn, and nothing is done to it.

        Raises:
            BadRequest, ToolServerUnavailable: also for the tools that the request asks for, before the first event.
        """
        return self._answer(request) if request.tool_servers else self._turns.run(request)

    async def render(self, request: TurnRequest) -> RenderedPrompt:
        """Return the prompt that the answer would begin with; see ``Turns.render``."""
        if request.tool_servers:
            request = (await self._equipped(request)).request
        return await self._turns.render(request)

    async def _equipped(self, request: TurnRequest) -> Equipped:
        most = self._limits.rounds
        if request.max_tool_rounds is not None and request.max_tool_rounds > most:
            raise BadRequest(
                f"'max_tool_rounds' is {request.max_tool_rounds}, but this server's bound is {most}.",
                param="max_tool_rounds",
                code="invalid_value",
            )
        return await equipped(self._memory.restored(request), self._toolbox)

    async def _answer(self, request: TurnRequest) -> AsyncGenerator[list[Event], None]:
        tools = await self._equipped(request)
        with self._answering():
            async with aclosing(self._rounds(request, tools)) as batches:
                async for batch in batches:
                    yield batch

    async def _rounds(self, request: TurnRequest, tools: Equipped) -> AsyncGenerator[list[Event], None]:
        answer = _Answer(
            tools,
            self._limits.rounds if request.max_tool_rounds is None else request.max_tool_rounds,
            _NO_BOUND if request.max_server_calls is None else request.max_server_calls,
        )
        offers: list[Event] = list(tools.offers)
        seen: set[type[Event]] = set()
        while True:
            turn = Round(tools.names, seen)
            try:
                async with aclosing(self._turns.run(answer.next_turn())) as batches:
                    async for batch in batches:
                        shown = turn.take(batch)
                        if offers and not all(isinstance(event, Progress) for event in batch):
                            # Until the turn has begun, what goes wrong is to have a status of its own.
                            shown, offers = offers + shown, []
                        if shown:
                            yield shown
            except (ContextLengthExceeded, QueueFull, ShuttingDown):
                if not answer.round:
                    raise
                # What the tools returned leaves no room, or the server stops at last; what was said and done before is
                # not to be lost for that.
                yield [answer.account.finish("length")]
                return
            finish = turn.finish
            if finish is None:
                raise RuntimeError("The turn ended without a finish.")
            answer.account.add(finish)
            reason: FinishReason | None = finish.reason
            message = turn.message(len(request.messages))
            answer.added.append(message)
            if calls := turn.server_calls:
                results: dict[str, str] = {}
                async with aclosing(self._called(answer, calls, finish)) as batches:
                    async for batch in batches:
                        results |= {
                            event.id: told(event.text, failed=event.failed)
                            for event in batch
                            if isinstance(event, ServerToolResult)
                        }
                        yield batch
                answer.added += [_result(call, results[call.id], message.index) for call in calls]
                reason = answer.ending(turn, finish)
            if reason is not None:
                if turn.own_calls and len(answer.added) > 1:
                    self._memory.remember(request, answer.added, turn.own_calls)
                yield [answer.account.finish(reason)]
                return

    async def _called(
        self, answer: _Answer, calls: Sequence[ToolCall], finish: Finish
    ) -> AsyncGenerator[list[Event], None]:
        """Run the calls of one turn, side by side; yields each call, and each result as soon as it is there."""
        names = answer.equipped.names
        events: list[Event] = []
        why_not: dict[str, str] = {}
        cut_off = finish.reason == "length" or finish.stop_string is not None
        answer.refused = not answer.may_call
        for place, call in enumerate(calls):
            tool = names[call.name]
            index = answer.called + place
            events.append(ServerToolCall(index, call.id, tool.label, tool.name, call.arguments, answer.round))
            if cut_off or answer.refused or place >= answer.calls:
                why_not[call.id] = _CUT_OFF if cut_off else _ENOUGH
        events += [
            ServerToolResult(answer.called + place, call.id, why_not[call.id], failed=True)
            for place, call in enumerate(calls)
            if call.id in why_not
        ]
        yield [*events, Progress("tools")]
        first = answer.called
        answer.called += len(calls)
        answer.calls -= len(calls) - len(why_not)
        answer.rounds -= 1
        answer.round += 1
        running = [
            asyncio.create_task(self._result(first + place, call, names[call.name]))
            for place, call in enumerate(calls)
            if call.id not in why_not
        ]
        try:
            for result in asyncio.as_completed(running):
                yield [await result]
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _result(self, index: int, call: ToolCall, tool: Tool) -> ServerToolResult:
        """Run one call. What goes wrong is for the model to read, which may know another way."""
        limit = self._limits.result_characters
        try:
            outcome = await self._toolbox.call(tool, parsed_arguments(call.arguments, tool.name))
            return ServerToolResult(index, call.id, bounded(outcome.text, limit))
        except ToolFailed as error:
            text = error.text or error.message
        except ServerError as error:
            text = error.message
        except Exception:
            _logger.exception("Unexpected error in the tool %s of %s", tool.name, tool.label)
            text = "The tool could not be run."
        return ServerToolResult(index, call.id, bounded(text, limit), failed=True)


def _result(call: ToolCall, text: str, index: int) -> ChatMessage:
    return ChatMessage("tool", (TextPart(text),), tool_call_id=call.id, index=index)
