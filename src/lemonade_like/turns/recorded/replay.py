"""A recorded turn once more: on an engine, or only what the model wrote through the parser."""

from __future__ import annotations

import json
from array import array
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from lemonade_like.errors import ServerError
from lemonade_like.harmony import tokens
from lemonade_like.harmony.completion import parts_of
from lemonade_like.harmony.conversation import Opening, SystemMessage
from lemonade_like.harmony.renderer import Prompt
from lemonade_like.turns.completion import completion_turn
from lemonade_like.turns.harmony_turn import harmony_turn, plan, render
from lemonade_like.turns.jinja_turn import jinja_turn
from lemonade_like.turns.memory import ReasoningMemory, Remembered
from lemonade_like.turns.payload import chat_payload
from lemonade_like.turns.prepared import Plan, Prepared, PreparedCompletion
from lemonade_like.turns.reader import TurnReader
from lemonade_like.turns.recorded.compact import compact
from lemonade_like.turns.recorded.difference import Difference, common_length, first_difference, text_difference
from lemonade_like.turns.recorded.line import line_of
from lemonade_like.turns.recorded.schema import SCHEMA, Record
from lemonade_like.turns.recorded.tape import Tape
from lemonade_like.turns.request import TurnRequest
from lemonade_like.turns.service import worked_in
from lemonade_like.turns.told import TurnLog

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from lemonade_like.pool.lease import Lease
    from lemonade_like.turns.events import Event
    from lemonade_like.turns.formats import HarmonyFormat
    from lemonade_like.turns.recorded.schema import RecordedPrompt, RecordedSystem
    from lemonade_like.turns.request import ReasoningFormat


class NoRecord(ServerError):
    """A line is no recorded turn, or one that is not known here."""


class CannotReplay(ServerError):
    """There is nothing in a recorded turn that could be run again; the message says why."""


@dataclass(frozen=True)
class Replayed:
    """What came of running a turn again. ``difference`` is ``None`` if it came out the same; ``prompt_difference`` is
    there if it was rendered anew and that is another prompt, or another body for the engine."""

    record: Record
    now: Record
    difference: Difference | None
    prompt_difference: Difference | None = None

    @property
    def verdict(self) -> Literal["same", "different"]:
        """The outcome in a word."""
        return "same" if self.difference is None and self.prompt_difference is None else "different"


def read_record(line: bytes) -> Record:
    """Return the turn that a line holds. Raises ``NoRecord``."""
    try:
        plain = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise NoRecord(f"no JSON ({error})") from None
    if not isinstance(plain, dict) or "schema" not in plain:
        raise NoRecord("no recorded turn")
    if plain["schema"] != SCHEMA:
        raise NoRecord(f"a recorded turn of version {plain['schema']}; this program reads version {SCHEMA}")
    try:
        return Record.model_validate(plain)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise NoRecord(f"no whole recorded turn ({where}: {first['msg']})") from None


def why_not(record: Record) -> str | None:
    """Return why there is nothing in a turn to run again; ``None`` if there is."""
    how = f"it {record.outcome}" + (f": {record.error.message}" if record.error else "")
    if record.payload is None:
        return f"its engine was never asked ({how})"
    if record.outcome != "finished" and not any(event.get("type") != "progress" for event in record.events):
        return f"the model had written nothing yet ({how})"
    return None


def parse_again(record: Record) -> Replayed:
    """Read what the model wrote with the parser of today; needs no engine. Raises ``CannotReplay``."""
    request, output, prompt = record.request, record.output, record.prompt
    if not isinstance(request, TurnRequest):
        raise CannotReplay("a raw completion is not parsed")
    if output is None or prompt is None or prompt.system is None:
        raise CannotReplay(why_not(record) or "what the model wrote is not recorded: its engine has parsed it")
    tape = Tape(request, record.id)
    reader = TurnReader(request, _prompt(prompt, prompt.system))
    tape.add(reader.read(_frames(output.parts or [part.value for part in parts_of(output.text)])))
    if record.outcome == "finished":
        reader.read([{"stop": True, "stop_type": "limit" if record.finish_reason == "length" else "eos"}])
        tape.add(reader.finish())
    changed: dict[str, Any] = {"events": compact(tape.batches, 0.0)}
    if finish := tape.finish:
        changed |= {"finish_reason": finish.reason, "stop_string": finish.stop_string, "recovered": finish.recovered}
    now = record.model_copy(update=changed)
    return Replayed(record, now, first_difference(record, now))


async def run_again(
    record: Record, lease: Lease[HarmonyFormat], *, rendered_for: ReasoningFormat | None = None
) -> Replayed:
    """Have the engine generate the turn again from the recorded prompt with the recorded seed.

    The prompt cache is left out, so that what ran before makes no difference. With ``rendered_for``, which is where
    this server shows reasoning if a request does not say, the prompt is rendered anew from the request.

    Raises:
        CannotReplay: the turn ended before the engine was asked, or the model is not spoken to in the same way here.
        EngineConnectionLost, EngineResponseError, ServerError: as for any turn.
    """
    if why := why_not(record):
        raise CannotReplay(why)
    request, prompt = record.request, record.prompt
    tape = Tape(request, record.id, record.endpoint)
    tape.lease = lease
    anew = None
    if not isinstance(request, TurnRequest):
        turn = completion_turn(request, lease, _completion(record), _log(lease), tape)
    elif prompt is not None and prompt.system is not None:
        turn, anew = await _harmony(record, request, prompt, prompt.system, lease, tape, rendered_for)
    else:
        turn, anew = _chat(record, request, lease, tape, rendered_for)
    async with aclosing(turn) as batches:
        async for batch in batches:
            tape.add(batch)
    tape.end()
    now = read_record(line_of(tape, record.server))
    return Replayed(record, now, first_difference(record, now), anew)


_Turn = tuple["AsyncGenerator[list[Event], None]", Difference | None]


async def _harmony(
    record: Record,
    request: TurnRequest,
    recorded: RecordedPrompt,
    told: RecordedSystem,
    lease: Lease[HarmonyFormat],
    tape: Tape,
    rendered_for: ReasoningFormat | None,
) -> _Turn:
    if lease.prompt_format is None:
        raise CannotReplay(f"{request.model} was spoken to in Harmony, and is not here")
    renderer = lease.prompt_format.renderer
    system = SystemMessage(told.effort, told.current_date, told.model_identity, told.knowledge_cutoff)
    recalled = {one.place: Remembered(array("I", one.ids), "", (), told.current_date) for one in told.recalled}
    # No tools: nothing of this turn is to be remembered.
    prompt, chosen, anew = _prompt(recorded, told), Plan(system, tools=False), None
    if rendered_for is not None:
        asked = replace(
            worked_in(request, request.reasoning_format or rendered_for),
            reasoning_effort=told.effort,
            model_identity=told.model_identity,
            knowledge_cutoff=told.knowledge_cutoff,
        )
        decided = plan(asked, default_effort=told.effort, current_date=told.current_date)
        prompt = await render(asked, decided, renderer, recalled)
        anew = _other_prompt(recorded, prompt, renderer.encoder.decode(prompt.ids))
    payload = _without_cache(record, prompt.ids)
    prepared = Prepared(chosen, prompt, payload, told.current_date, recalled)
    turn = harmony_turn(request, lease, prepared, renderer.encoder, _log(lease), memory=ReasoningMemory(0), tape=tape)
    return turn, anew


def _chat(
    record: Record,
    request: TurnRequest,
    lease: Lease[HarmonyFormat],
    tape: Tape,
    rendered_for: ReasoningFormat | None,
) -> _Turn:
    if lease.prompt_format is not None:
        raise CannotReplay(f"{request.model} went through its chat template, and is spoken to in Harmony here")
    payload, anew = record.payload or {}, None
    if rendered_for is not None:
        asked = worked_in(request, request.reasoning_format or rendered_for)
        other = chat_payload(asked, seed=payload.get("seed"))
        anew = text_difference("payload", _sorted(payload), _sorted(other))
        payload = other
    payload = {**payload, "cache_prompt": False}
    tape.chat(payload)
    return jinja_turn(request, lease, payload, _log(lease)), anew


def _log(lease: Lease[HarmonyFormat]) -> TurnLog:
    return TurnLog(lease.model.name, texts=False)


def _completion(record: Record) -> PreparedCompletion:
    ids = record.prompt.ids if record.prompt else []
    payload = _without_cache(record, ids)
    if "input_suffix" in payload:
        del payload["prompt"]
    return PreparedCompletion(ids, payload)


def _without_cache(record: Record, ids: list[int]) -> dict[str, Any]:
    """What was posted, but that what ran before must not matter, and that nothing is generated beyond what was."""
    payload = {**(record.payload or {}), "prompt": ids, "cache_prompt": False}
    if record.outcome != "finished" and record.output is not None:
        payload["n_predict"] = record.output.tokens
    return payload


def _other_prompt(recorded: RecordedPrompt, prompt: Prompt, text: str) -> Difference | None:
    if recorded.ids == prompt.ids:
        return None
    token = common_length(recorded.ids, prompt.ids)
    found = text_difference("prompt", recorded.text or "", text)
    if found is None:
        # The same text in other tokens.
        found = Difference("prompt", str(recorded.ids[token : token + 1]), str(prompt.ids[token : token + 1]))
    return replace(found, token=token)


def _prompt(recorded: RecordedPrompt, told: RecordedSystem) -> Prompt:
    opening = told.opening
    return Prompt(recorded.ids, Opening(opening.channel, opening.body, opening.content_type))


def _frames(parts: list[str | int]) -> Iterator[dict[str, Any]]:
    for count, part in enumerate(parts, 1):
        if isinstance(part, int):
            yield {"tokens": [part], "content": tokens.spelling(part), "tokens_predicted": count}
        else:
            yield {"tokens": [], "content": part, "tokens_predicted": count}


def _sorted(payload: dict[str, Any]) -> str:
    return json.dumps(payload, sort_keys=True, ensure_ascii=False)
