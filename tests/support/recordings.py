"""Turns that are recorded in tests: kept in memory, and as lines."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lemonade_like.turns.recorded.line import line_of
from lemonade_like.turns.recorded.replay import read_record
from lemonade_like.turns.recorded.tape import Tape
from lemonade_like.turns.service import TurnOptions, Turns
from tests.support.rig import DATE

if TYPE_CHECKING:
    from lemonade_like.turns.recorded.schema import Record
    from lemonade_like.turns.request import CompletionRequest, TurnRequest
    from tests.support.rig import Rig


class KeptTapes:
    """A recorder that keeps the tapes."""

    def __init__(self) -> None:
        self.tapes: list[Tape] = []

    def begin(self, request: TurnRequest | CompletionRequest) -> Tape:
        return Tape(request, f"req_{len(self.tapes)}", "/v1/chat/completions")

    def keep(self, tape: Tape) -> None:
        tape.end()
        self.tapes.append(tape)

    def lines(self) -> list[bytes]:
        return [line_of(tape, "1.2.3") for tape in self.tapes]

    def records(self) -> list[Record]:
        return [read_record(line) for line in self.lines()]


def recording(rig: Rig) -> tuple[Rig, KeptTapes]:
    """The rig with its turns recorded."""
    kept = KeptTapes()
    return replace(rig, turns=Turns(rig.pool, TurnOptions(today=lambda: DATE), kept)), kept
