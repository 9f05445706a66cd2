"""How a turn goes on when its engine died in the middle of it: pure decisions over what has been received.

A free turn goes on from the prompt and the ids generated so far: the parser lives on and sees one output. Where that
cannot be, because a grammar cannot be entered half-way or because the ids are not certain, the turn is generated again
from its prompt with the same seed, and what has been received already is matched and dropped.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lemonade_like.turns.transcript import joined

if TYPE_CHECKING:
    from lemonade_like.harmony.encoding import Encoder
    from lemonade_like.turns.transcript import Transcript

Frame = dict[str, Any]


class Differs(Exception):
    """What was generated again is not what had been received."""


@dataclass
class Attempt:
    """One stream of the engine that is part of a turn.

    ``payload`` is what to post. ``generated`` tokens have come in attempts before, which this one goes on from. With a
    ``replay`` it begins anew instead, and the frames must be passed through that.
    """

    payload: dict[str, Any]
    generated: int = 0
    replay: Replay | None = None

    def new_in(self, frames: list[Frame]) -> list[Frame]:
        """Return what is new in these frames, counted from the turn's beginning. Raises ``Differs``."""
        if self.replay is not None:
            return self.replay.rest(frames)
        if self.generated:
            for frame in frames:
                if "tokens_predicted" in frame:
                    frame["tokens_predicted"] += self.generated
        return frames


def next_attempt(
    payload: dict[str, Any], transcript: Transcript, encoder: Encoder | None, *, context_length: int
) -> Attempt | Frame:
    """Return how to go on with the turn that began with ``payload``; a last frame, if nothing is missing but that.

    A payload without a ``prompt`` of ids is one of /infill, which can only be posted again as it was.
    """
    predicted, limit = transcript.predicted, payload["n_predict"]
    if transcript.ended:
        return _last_frame(predicted, "eos")
    if predicted and (0 <= limit <= predicted or len(payload.get("prompt", ())) + predicted >= context_length):
        return _last_frame(predicted, "limit")
    if not predicted:
        return Attempt(payload)
    fixed = "grammar" in payload or "reasoning_budget_tokens" in payload or "prompt" not in payload
    ids = None if fixed else transcript.ids(encoder)
    if ids is None:
        return Attempt(payload, replay=Replay(transcript))
    left = limit if limit < 0 else limit - predicted
    return Attempt({**payload, "prompt": [*payload["prompt"], *ids], "n_predict": left}, predicted)


def _last_frame(predicted: int, stop_type: str) -> Frame:
    return {"content": "", "tokens": [], "tokens_predicted": predicted, "stop": True, "stop_type": stop_type}


class Replay:
    """Drops what has been received already from a turn that is generated again.

    Control tokens must be the same by id and everything else by text; how it is cut into frames may differ.
    Once it is ``over``, the transcript that was received has become the one of what is generated now.
    """

    def __init__(self, received: Transcript) -> None:
        self._received = received
        self._anew = type(received)()
        self._expected = deque(joined(received.parts()))
        #: How much of the first text that is expected has come.
        self._matched = 0

    @property
    def over(self) -> bool:
        """Whether all that had been received has come again."""
        return not self._expected

    def rest(self, frames: list[Frame]) -> list[Frame]:
        """Return what is new in these frames; progress always is. Raises ``Differs``."""
        rest: list[Frame] = []
        for place, frame in enumerate(frames):
            if self.over:
                return rest + frames[place:]
            if "prompt_progress" in frame:
                rest.append(frame)
            elif new := self._match(frame):
                rest.append(new)
            elif frame.get("stop") and not self.over:
                raise Differs
        return rest

    def _match(self, frame: Frame) -> Frame | None:
        """Match a frame with what is expected next; return a frame of what goes beyond it."""
        ids, text = frame.get("tokens", ()), frame.get("content", "")
        beyond = ""
        for part in self._anew.parts_of(ids, text):
            if beyond or (isinstance(part, int) and (not self._expected or self._expected.popleft() != part)):
                # A control token shares no frame with other tokens, so it cannot be where the new begins.
                raise Differs
            if isinstance(part, str):
                beyond = self._match_text(part)
        anew = self._anew
        if beyond:
            anew.add((), text.removesuffix(beyond), anew.predicted)
        else:
            anew.add(ids, text, frame.get("tokens_predicted", anew.predicted))
        if self.over:
            self._received.become(anew)
        return {**frame, "content": beyond} if beyond else None

    def _match_text(self, text: str) -> str:
        """Match text with what is expected next; return what goes beyond all that is."""
        expected = self._expected
        if not text or not expected:
            return text
        head = expected[0]
        if isinstance(head, int):
            raise Differs
        wanted = len(head) - self._matched
        if not head.startswith(text[:wanted], self._matched) or (len(text) > wanted and len(expected) > 1):
            raise Differs
        self._matched += len(text)
        if self._matched >= len(head):
            expected.popleft()
            self._matched = 0
        return text[wanted:]
