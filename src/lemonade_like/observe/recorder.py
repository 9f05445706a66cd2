"""Has every turn recorded, with the HTTP request that it belongs to."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from lemonade_like.observe.context import endpoint_var, new_request_id, request_id_var
from lemonade_like.turns.recorded.line import line_of
from lemonade_like.turns.recorded.tape import Tape

if TYPE_CHECKING:
    from lemonade_like.store.recordings import Recordings
    from lemonade_like.turns.request import CompletionRequest, TurnRequest


class Recorder:
    """A ``TurnRecorder`` that hands each tape to ``recordings``, which makes a line of it in a thread of its own.

    ``server`` is the version of this program.
    """

    def __init__(self, recordings: Recordings, server: str) -> None:
        self._recordings = recordings
        self._server = server

    def begin(self, request: TurnRequest | CompletionRequest) -> Tape:
        """Return a new tape."""
        return Tape(request, request_id_var.get() or new_request_id(), endpoint_var.get())

    def keep(self, tape: Tape) -> None:
        """Have the turn written."""
        tape.end()
        self._recordings.put(partial(line_of, tape, self._server))
