"""A text that a model goes on with as it stands: no chat, no channels, nothing read into what comes.

It survives its engine: see ``survival``.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from lemonade_like.errors import BadRequest
from lemonade_like.pool.resident import EngineResponseError
from lemonade_like.turns.constraint import format_grammar
from lemonade_like.turns.events import ContentDelta, Event, Finish, Progress, Usage
from lemonade_like.turns.failures import context_exceeded
from lemonade_like.turns.logprobs import AnswerLogprobs
from lemonade_like.turns.payload import completion_payload, new_seed
from lemonade_like.turns.prepared import PreparedCompletion
from lemonade_like.turns.reader import FrameReader
from lemonade_like.turns.size import LONGEST_TOKEN
from lemonade_like.turns.stop import StopMatcher
from lemonade_like.turns.survival import read_through
from lemonade_like.turns.tokens import check_harmony_ids, encode
from lemonade_like.turns.told import spelled
from lemonade_like.turns.transcript import PlainTranscript, Transcript

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from lemonade_like.harmony.encoding import Encoder
    from lemonade_like.pool.lease import Lease
    from lemonade_like.turns.formats import HarmonyFormat
    from lemonade_like.turns.recorded.tape import Tape
    from lemonade_like.turns.request import CompletionRequest
    from lemonade_like.turns.told import TurnLog


async def prepare_completion(
    request: CompletionRequest, lease: Lease[HarmonyFormat], log: TurnLog
) -> PreparedCompletion:
    """Decide what is posted.

    Raises:
        BadRequest: the prompt is empty, has ids that the model has not, or leaves no room for an answer.
    """
    encoder = lease.prompt_format.encoding if lease.prompt_format is not None else None
    grammar = request.grammar
    if request.response_format is not None:
        grammar = await format_grammar(request.response_format)
    prompt: list[int] = []
    if request.suffix is None:
        prompt = await _prompt_ids(request, lease, encoder)
    log.raw_prompt(request.prompt, len(prompt))
    if request.max_tokens == 0:
        # The engine would generate one all the same.
        return PreparedCompletion(prompt, None)
    payload = completion_payload(
        prompt,
        request.sampling,
        seed=new_seed(),
        max_tokens=-1 if request.max_tokens is None else request.max_tokens,
        grammar=grammar,
        top_logprobs=request.top_logprobs,
        gpt_oss=encoder is not None,
    )
    if request.suffix is not None:
        del payload["prompt"]
        payload |= {"input_prefix": request.prompt, "input_suffix": request.suffix}
    return PreparedCompletion(prompt, payload)


async def completion_turn(
    request: CompletionRequest,
    lease: Lease[HarmonyFormat],
    prepared: PreparedCompletion,
    log: TurnLog,
    tape: Tape | None = None,
) -> AsyncGenerator[list[Event], None]:
    """Run the completion; yields the events of each network read, and ``Finish`` last.

    Raises:
        BadRequest: the prompt has ids that the model has not, or wants the middle filled in by a model that cannot; or
            the grammar is wrong.
    """
    if prepared.payload is None:
        yield [Finish("length", Usage(prompt_tokens=len(prepared.ids)))]
        return
    encoder = lease.prompt_format.encoding if lease.prompt_format is not None else None
    transcript = Transcript() if encoder is not None else PlainTranscript()
    reader = CompletionReader(request, len(prepared.ids), transcript)
    if tape is not None:
        tape.completion(prepared, transcript, encoder)
    try:
        async with aclosing(read_through(prepared.payload, reader, lease, encoder, path=prepared.path)) as batches:
            async for events in batches:
                yield events
    except EngineResponseError as error:
        raise _refusal(error, request) from error
    last = reader.finish()
    if log.texts:
        log.output_text(spelled(reader.transcript.parts(), encoder))
    log.finished(last)
    yield last


async def _prompt_ids(request: CompletionRequest, lease: Lease[HarmonyFormat], encoder: Encoder | None) -> list[int]:
    """Return the ids to begin with. Raises ``BadRequest`` where the model cannot go on from them."""
    text = request.prompt
    if not isinstance(text, str):
        ids = list(text)
        if encoder is not None:
            check_harmony_ids(ids, "prompt")
    elif len(text) // LONGEST_TOKEN >= lease.context_length:
        raise context_exceeded(len(text) // LONGEST_TOKEN, lease.context_length, at_least=True, param="prompt")
    elif encoder is not None:
        ids = await encode(encoder, text, parse_special=request.parse_special is True)
    else:
        ids = await lease.answered(
            lambda engine: engine.tokenize(text, parse_special=request.parse_special is not False)
        )
    if not ids:
        raise BadRequest("'prompt' has no token for the model to go on from.", param="prompt", code="invalid_value")
    if len(ids) >= lease.context_length:
        raise context_exceeded(len(ids), lease.context_length, param="prompt")
    return ids


def _refusal(error: EngineResponseError, request: CompletionRequest) -> Exception:
    """Return what the engine's refusal means, where the field at fault is known; otherwise the error itself."""
    if request.suffix is not None and error.type == "not_supported_error":
        return BadRequest(
            f"'suffix' needs a model that can fill in the middle, which {request.model} cannot: {error.message}",
            param="suffix",
            code="unsupported_parameter",
        )
    if "invalid tokens" in error.message:
        return BadRequest(
            f"'prompt' has an id that {request.model} has not: {error.message}.", param="prompt", code="invalid_value"
        )
    if request.grammar is not None and "grammar" in error.message:
        return BadRequest(
            f"'grammar' cannot be followed by the engine: {error.message}.", param="grammar", code="invalid_value"
        )
    return error


class CompletionReader(FrameReader):
    """Frames to events: all text is content."""

    def __init__(self, request: CompletionRequest, prompt_tokens: int, transcript: Transcript) -> None:
        super().__init__(prompt_tokens, transcript)
        self._stop = StopMatcher(request.stop)
        self._logprobs = None if request.top_logprobs is None else AnswerLogprobs(request.top_logprobs)

    @property
    def done(self) -> bool:
        """Whether a stop string has come."""
        return self._stop.matched is not None

    def read(self, frames: Iterable[dict[str, Any]]) -> list[Event]:
        """Return the events that these frames make."""
        events: list[Event] = []
        usage, stop, logprobs, write_down = self._usage, self._stop, self._logprobs, self.transcript.add
        for frame in frames:
            progress = frame.get("prompt_progress")
            if progress is not None:
                self._timings.prefill(progress)
                total = progress.get("total", 0)
                # Only the engine knows how long a prompt is that has its suffix put in.
                usage.prompt_tokens = usage.prompt_tokens or total
                events.append(Progress("prefill", progress.get("processed", 0), total))
                continue
            text = frame.get("content", "")
            usage.completion_tokens = frame.get("tokens_predicted", usage.completion_tokens)
            write_down(frame.get("tokens", ()), text, usage.completion_tokens)
            if text:
                if logprobs is not None:
                    logprobs.written(frame.get("completion_probabilities", ()), text)
                if shown := stop.feed(text):
                    events.append(ContentDelta(shown, None))
                    if logprobs is not None:
                        logprobs.attach(events[-1:])
            if frame.get("stop"):
                self._final = frame
            if stop.matched is not None:
                break
        self._timings.tick(usage.completion_tokens)
        return events

    def finish(self) -> list[Event]:
        """Return the last events, ``Finish`` among them."""
        events: list[Event] = []
        if held := self._stop.flush():
            events.append(ContentDelta(held, None))
            if self._logprobs is not None:
                self._logprobs.attach(events)
        cut = self._final.get("stop_type") == "limit" and not self.done
        events.append(self._end("length" if cut else "stop", {}, self._stop.matched))
        return events
