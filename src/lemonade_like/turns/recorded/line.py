"""A tape as one line of JSON. It takes milliseconds for a long turn, so it is done away from the event loop."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields, is_dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from lemonade_like.errors import ServerError
from lemonade_like.harmony import tokens
from lemonade_like.harmony.completion import parts_of
from lemonade_like.turns.call_ids import new_turn_id
from lemonade_like.turns.events import ContentDelta, ReasoningDelta, ToolCallStart
from lemonade_like.turns.recorded.compact import compact
from lemonade_like.turns.recorded.schema import SCHEMA
from lemonade_like.turns.transcript import joined

if TYPE_CHECKING:
    from lemonade_like.turns.prepared import Prepared
    from lemonade_like.turns.recorded.tape import Tape
    from lemonade_like.turns.request import CompletionRequest, TurnRequest

#: The owner is told by itself, the client's name has its address in it, and the last is no data.
_LEFT_OUT: Final = ("owner", "client", "continues", "on_slot")
_SHOWN: Final = (ReasoningDelta, ContentDelta, ToolCallStart)


def line_of(tape: Tape, server: str) -> bytes:
    """Return the turn as a line, with its line end; ``server`` is the version of this program."""
    record = as_record(tape, server)
    try:
        return orjson.dumps(record, default=_plain, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        # Half a surrogate pair, or a number of more than 64 bits: JSON can say them, orjson does not.
        return json.dumps(record, default=_plain).encode() + b"\n"


def as_record(tape: Tape, server: str) -> dict[str, Any]:
    """Return the turn as values that ``line_of`` can write; see ``schema`` for what each is."""
    finish, ended = tape.finish, tape.began if tape.ended is None else tape.ended
    shown = next((at for at, batch in tape.batches if any(isinstance(event, _SHOWN) for event in batch)), None)
    return {
        "schema": SCHEMA,
        "id": tape.id,
        "turn": new_turn_id(),
        "started": datetime.fromtimestamp(tape.started, timezone.utc).isoformat(timespec="milliseconds"),
        "seconds": round(ended - tape.began, 4),
        "first_token_seconds": None if shown is None else round(shown - tape.began, 4),
        "server": server,
        "endpoint": tape.endpoint,
        "owner": tape.request.owner,
        "model": _model(tape),
        "engine": _engine(tape),
        "request": _request(tape.request),
        "prompt": _prompt(tape),
        "payload": tape.payload and {name: value for name, value in tape.payload.items() if name != "prompt"},
        "output": _output(tape),
        "events": compact(tape.batches, tape.began),
        "outcome": tape.outcome,
        "finish_reason": finish and finish.reason,
        "stop_string": finish and finish.stop_string,
        "error": _error(tape),
        "usage": finish and asdict(finish.usage),
        "timings": finish and finish.timings,
        "recovered": finish and finish.recovered,
        "resumed": finish and finish.resumed,
    }


def _model(tape: Tape) -> dict[str, Any] | None:
    if tape.lease is None:
        return None
    path = Path(tape.lease.describe().path)
    return {
        "name": tape.lease.model.name,
        "checkpoint": tape.lease.model.checkpoint,
        "path": str(path),
        "bytes": path.stat().st_size if path.is_file() else None,
    }


def _engine(tape: Tape) -> dict[str, Any] | None:
    if tape.lease is None:
        return None
    loaded = tape.lease.describe()
    return {
        "backend": loaded.backend,
        "version": tape.lease.engine_version(),
        "command": loaded.command,
        "ctx_size": loaded.ctx_size,
        "parallel": loaded.parallel,
    }


def _request(request: TurnRequest | CompletionRequest) -> dict[str, Any]:
    return {field.name: getattr(request, field.name) for field in fields(request) if field.name not in _LEFT_OUT}


def _prompt(tape: Tape) -> dict[str, Any] | None:
    if tape.prompt_ids is None:
        return None
    text = tape.encoder and tape.encoder.decode(tape.prompt_ids)
    return {"ids": tape.prompt_ids, "text": text, "system": tape.prepared and _system(tape.prepared)}


def _system(prepared: Prepared) -> dict[str, Any]:
    system = prepared.chosen.system
    return {
        "opening": prepared.prompt.opening,
        "effort": system.effort,
        "current_date": prepared.current_date,
        "model_identity": system.identity,
        "knowledge_cutoff": system.knowledge_cutoff,
        "recalled": [{"place": place, "ids": list(turn.ids)} for place, turn in prepared.recalled.items()],
    }


def _output(tape: Tape) -> dict[str, Any] | None:
    if tape.transcript is None:
        return None
    ids = tape.transcript.ids(tape.encoder) if tape.transcript.predicted else array("I")
    parts = list(joined(tape.transcript.parts()))
    text = "".join(tokens.spelling(part) if isinstance(part, int) else part for part in parts)
    unambiguous = parts == [part.value for part in parts_of(text)]
    return {
        "exact": ids is not None,
        "ids": None if ids is None else ids.tolist(),
        "tokens": tape.transcript.predicted,
        "text": text,
        "parts": None if unambiguous else parts,
    }


def _error(tape: Tape) -> dict[str, Any] | None:
    if tape.outcome != "failed":
        return None
    error = tape.error
    if isinstance(error, ServerError):
        return {"type": error.type, "message": str(error), "code": error.code, "param": error.param}
    return {"type": "server_error", "message": repr(error), "code": None, "param": None}


def _plain(value: object) -> Any:
    """Say what JSON has no form for."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, Iterable) else repr(value)
