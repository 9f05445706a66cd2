"""Frames of ``/completion`` to events."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from lemonade_like.harmony.parser import Parser
from lemonade_like.turns.assembler import Assembler
from lemonade_like.turns.call_ids import new_call_id
from lemonade_like.turns.events import Event, Finish, FinishReason, Progress, Usage
from lemonade_like.turns.logprobs import AnswerLogprobs
from lemonade_like.turns.timings import TurnTimings
from lemonade_like.turns.transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lemonade_like.harmony.renderer import Prompt
    from lemonade_like.turns.request import TurnRequest
    from lemonade_like.turns.transcript import Recording

_logger = logging.getLogger("lemonade_like.turns")


class FrameReader:
    """What every reader of ``/completion`` keeps of one turn, however many engines it takes: its counts, and its
    transcript."""

    def __init__(self, prompt_tokens: int, transcript: Transcript) -> None:
        self.transcript = transcript
        self.resumed = 0
        self._usage = Usage(prompt_tokens=prompt_tokens)
        self._timings = TurnTimings()
        self._final: dict[str, Any] = {}

    def resume(self, *, goes_on: bool) -> None:
        """Take note that the engine is gone; the next one goes on from what there is, or begins again."""
        self.resumed += 1
        self._timings.lost(self._usage.completion_tokens, goes_on=goes_on)

    def _end(self, reason: FinishReason, recovered: dict[str, int], stop_string: str | None) -> Finish:
        timings = self._timings.of_turn(self._final.get("timings", {}), self._usage.completion_tokens)
        self._usage.cached_tokens = timings.get("cache_n", self._timings.cached)
        return Finish(reason, self._usage, timings, recovered, stop_string, self.resumed)


class TurnReader(FrameReader):
    """Reads the channels of a turn; a ``recording`` is told of all that the client sees."""

    def __init__(self, request: TurnRequest, prompt: Prompt, recording: Recording | None = None) -> None:
        super().__init__(len(prompt.ids), Transcript())
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
        self._logprobs = None if request.top_logprobs is None else AnswerLogprobs(request.top_logprobs)

    @property
    def done(self) -> bool:
        """Whether nothing more is wanted, although the model would go on."""
        return self._assembler.done

    def read(self, frames: Iterable[dict[str, Any]]) -> list[Event]:
        """Return the events that these frames make."""
        events: list[Event] = []
        parser, assembler, usage, write_down = self._parser, self._assembler, self._usage, self.transcript.add
        logprobs, recording = self._logprobs, self._recording
        for frame in frames:
            progress = frame.get("prompt_progress")
            if progress is not None:
                # Its "tokens" are no tokens of the answer.
                self._timings.prefill(progress)
                events.append(Progress("prefill", progress.get("processed", 0), progress.get("total", 0)))
                continue
            ids, text = frame.get("tokens", ()), frame.get("content", "")
            predicted = frame.get("tokens_predicted", usage.completion_tokens)
            write_down(ids, text, predicted)
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
                recording.add(events[before:])
            if was_reasoning and assembler.reasoning:
                # Ids may be missing from the stream, but the count is not: it says how many they were.
                usage.reasoning_tokens += predicted - usage.completion_tokens
            usage.completion_tokens = predicted
            if frame.get("stop"):
                self._final = frame
            if assembler.done:
                break
        self._timings.tick(usage.completion_tokens)
        return events

    def finish(self) -> list[Event]:
        """Return the last events, ``Finish`` among them."""
        events = self._assembler.add(self._parser.finish())
        events += self._assembler.finish()
        if self._logprobs is not None:
            self._logprobs.attach(events)
        recovered = dict(self._parser.recovered + self._assembler.hidden)
        if recovered:
            _logger.debug("malformed output was mended: %s", recovered)
            if self._recording is not None:
                self._recording.spoil()
        events.append(self._end(self._reason(), recovered, self._assembler.stop_string))
        return events

    def _reason(self) -> FinishReason:
        if self._final.get("stop_type") == "limit" and not self._assembler.done:
            return "length"
        return "tool_calls" if self._assembler.calls else "stop"
