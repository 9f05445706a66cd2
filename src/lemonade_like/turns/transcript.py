"""What a turn has been made of so far: its exact ids, although the stream leaves some out, and its text."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from lemonade_like.harmony import tokens
from lemonade_like.harmony.messages import ToolCall
from lemonade_like.harmony.parser import segments
from lemonade_like.turns.events import ContentDelta, Event, ToolCallArgumentsDelta, ToolCallStart
from lemonade_like.turns.memory import Remembered

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lemonade_like.harmony.encoding import Encoder


class Transcript:
    """Every frame of a turn's output. Writing one down is the hot path; reading is for crashes and tool loops.

    ``predicted`` is how many tokens the engine has generated up to the last frame, those included that it did not send.
    """

    def __init__(self) -> None:
        self.predicted = 0
        # By frame. One that does not carry just one id is told in full in ``_odd``: its ids, and how many are missing.
        self._ids = array("I")
        self._texts: list[str] = []
        self._odd: dict[int, tuple[Sequence[int], int]] = {}

    @property
    def ended(self) -> bool:
        """Whether the model has ended its turn, whether or not the engine has said so."""
        ids, _ = self._odd.get(len(self._texts) - 1, (self._ids[-1:], 0))
        return bool(ids) and ids[-1] in tokens.STOP_IDS

    def add(self, ids: Sequence[int], text: str, predicted: int) -> None:
        """Take a frame: its ids, its text, and how many tokens were generated up to its end."""
        if len(ids) == 1 and predicted - self.predicted == 1:
            self._ids.append(ids[0])
        elif ids or text or predicted != self.predicted:
            self._odd[len(self._texts)] = (ids, predicted - self.predicted - len(ids))
            self._ids.append(0)
        else:
            return
        self._texts.append(text)
        self.predicted = predicted

    def become(self, other: Transcript) -> None:
        """Take the place of another, which is not to be written to any more."""
        self.predicted = other.predicted
        self._ids, self._texts, self._odd = other._ids, other._texts, other._odd

    def ids(self, encoder: Encoder | None) -> array[int] | None:
        """Return the ids of all that was generated, or ``None`` where they are not certain.

        llama-server sends no frame for a token that ends within a character, so its id is lost; but the next frame
        carries the text of both, and the count of tokens jumps. If that text, encoded anew, has just that many ids and
        the same last ones, those were they.
        """
        if not self._odd:
            return self._ids
        exact = array("I")
        done = 0
        for place, (ids, missing) in self._odd.items():
            exact += self._ids[done:place]
            done = place + 1
            found = list(ids) if missing == 0 else []
            if missing > 0 and encoder is not None:
                found = encoder.encode(self._texts[place])
            if len(found) != missing + len(ids) or found[missing:] != list(ids):
                return None
            exact.extend(found)
        return exact + self._ids[done:]

    def parts(self) -> Iterator[str | int]:
        """Yield all that was generated as text and control tokens, in order; how it was cut into frames is no matter
        but for where the text is cut."""
        for place, text in enumerate(self._texts):
            ids, _ = self._odd.get(place) or (self._ids[place : place + 1], 0)
            yield from self.parts_of(ids, text)

    def parts_of(self, ids: Sequence[int], text: str) -> Iterator[str | int]:
        """Yield what one frame has, in the same form."""
        return segments(ids, text)


class PlainTranscript(Transcript):
    """The output of a model whose vocabulary is known to its engine only: text, and ids that say nothing."""

    @property
    def ended(self) -> bool:
        """Whether the model has ended its turn: only the engine knows."""
        return False

    def ids(self, encoder: Encoder | None) -> array[int] | None:
        """Return the ids of all that was generated, or ``None`` where some are missing, or the last one may be the end:
        it is the one that has no text."""
        return self._ids if not self._odd and self._texts[-1] else None

    def parts_of(self, ids: Sequence[int], text: str) -> Iterator[str | int]:
        """Yield the text."""
        yield text


def joined(parts: Iterable[str | int]) -> Iterator[str | int]:
    """Yield the parts with texts that stand side by side as one."""
    texts: list[str] = []
    for part in parts:
        if isinstance(part, str):
            texts.append(part)
            continue
        if text := "".join(texts):
            yield text
        texts.clear()
        yield part
    if text := "".join(texts):
        yield text


class Recording:
    """What the client saw of a turn with tools, to be remembered if it ends in calls."""

    def __init__(self) -> None:
        self._spoilt = False
        self._content: list[str] = []
        self._starts: list[ToolCallStart] = []
        self._arguments: list[list[str]] = []

    def add(self, events: Iterable[Event]) -> None:
        """Take what was made of a frame."""
        for event in events:
            if isinstance(event, ContentDelta):
                self._content.append(event.text)
            elif isinstance(event, ToolCallStart):
                self._starts.append(event)
                self._arguments.append([])
            elif isinstance(event, ToolCallArgumentsDelta):
                self._arguments[event.index].append(event.text)

    def spoil(self) -> None:
        """Give up: what was generated is not to be shown to the model again."""
        self._spoilt = True

    def remembered(self, transcript: Transcript, encoder: Encoder, current_date: str) -> Remembered | None:
        """Return the turn if it ended in calls, was ended by the model, and its ids are certain."""
        if self._spoilt or not self._starts:
            return None
        ids = transcript.ids(encoder)
        if not ids or ids[-1] not in (tokens.CALL, tokens.END):
            return None
        calls = tuple(
            ToolCall(start.id, start.name, "".join(pieces))
            for start, pieces in zip(self._starts, self._arguments, strict=True)
        )
        return Remembered(ids, "".join(self._content), calls, current_date)
