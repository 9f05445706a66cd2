"""Events of raw completions as OpenAI's text completions, streamed or whole.

Both are written from the same events, so that a stream and a whole answer cannot differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from lemonade_like.api.openai.chunks import ChunkStream
from lemonade_like.api.openai.objects import times_resumed, total_usage, usage_object
from lemonade_like.turns.events import ContentDelta, Event, Finish, Progress, TokenLogprob, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lemonade_like.api.openai.objects import AnswerHeader, Batch

OBJECT: Final = "text_completion"


class CompletionChunks(ChunkStream):
    """Writes completions as a stream of chunks; ``candidates`` is how many there are of each prompt."""

    def __init__(
        self, header: AnswerHeader, *, choices: int = 1, candidates: int = 1, include_usage: bool = False
    ) -> None:
        opening = header.opening(OBJECT)
        written = [_ChoiceChunks(opening, index, include_usage) for index in range(choices)]
        super().__init__(opening, written, candidates=candidates, include_usage=include_usage)


class _ChoiceChunks:
    """The chunks of one choice: the hot path, so what all have in common is encoded once."""

    def __init__(self, header: bytes, index: int, include_usage: bool) -> None:
        self.finish: Finish | None = None
        self.progress: Progress | None = None
        self._open = b'data: %b,"choices":[{"index":%d,"text":' % (header, index)
        self._usage = b',"usage":null}\n\n' if include_usage else b"}\n\n"
        self._close = b',"logprobs":null,"finish_reason":null}]' + self._usage

    def write(self, events: Iterable[Event]) -> bytes:
        out: list[bytes] = []
        dumps = orjson.dumps
        for event in events:
            if isinstance(event, ContentDelta):
                out += (self._open, dumps(event.text), self._close)
                if event.logprobs:
                    logprobs = dumps(_logprobs_object(event.logprobs))
                    out[-1] = b',"logprobs":%b,"finish_reason":null}]%b' % (logprobs, self._usage)
            elif isinstance(event, Progress):
                self.progress = event
            elif isinstance(event, Finish):
                self.finish = event
                timings = b',"timings":' + dumps(event.timings) if event.timings else b""
                ending = b'"","logprobs":null,"finish_reason":"%b"}]%b%b'
                out += (self._open, ending % (event.reason.encode(), timings, self._usage))
        return b"".join(out)


class CompletionFold:
    """Folds the same events into a whole answer, which gives the likeliest ``choices`` of the ``candidates`` that are
    made of each prompt, the likeliest first; if it gives all, as they were numbered. ``with_logprobs`` tells those."""

    def __init__(
        self, header: AnswerHeader, *, prompts: int = 1, choices: int = 1, candidates: int = 1, with_logprobs: bool
    ) -> None:
        self._header = header
        self._given = choices
        self._candidates = candidates
        self._with_logprobs = with_logprobs
        self._choices = [_FoldedChoice() for _ in range(prompts * candidates)]

    def add(self, batch: Batch) -> None:
        """Take a batch in."""
        index, events = batch
        choice = self._choices[index]
        for event in events:
            if isinstance(event, ContentDelta):
                choice.texts.append(event.text)
                choice.logprobs += event.logprobs or ()
            elif isinstance(event, Finish):
                choice.finish = event

    def answer(self) -> dict[str, Any]:
        """Return the whole answer, once every choice has finished."""
        answer = self._header.fields(OBJECT)
        step = self._candidates
        given = [
            choice
            for first in range(0, len(self._choices), step)
            for choice in self._best(self._choices[first : first + step])
        ]
        answer["choices"] = [
            choice.choice(index, with_logprobs=self._with_logprobs) for index, choice in enumerate(given)
        ]
        answer["usage"] = usage_object(self.usage())
        finish = self._choices[0].finish
        if len(self._choices) == 1 and finish is not None and finish.timings:
            answer["timings"] = finish.timings
        return answer

    def usage(self) -> Usage:
        """Return what has been used so far, also for candidates that are not given."""
        return total_usage([choice.finish for choice in self._choices], self._candidates)

    def resumed(self) -> int:
        """Return how many times an engine was lost in the middle of it."""
        return times_resumed(choice.finish for choice in self._choices)

    def _best(self, candidates: list[_FoldedChoice]) -> list[_FoldedChoice]:
        if self._given == len(candidates):
            return candidates
        return sorted(candidates, key=_FoldedChoice.likelihood, reverse=True)[: self._given]


class _FoldedChoice:
    def __init__(self) -> None:
        self.finish: Finish | None = None
        self.texts: list[str] = []
        self.logprobs: list[TokenLogprob] = []

    def likelihood(self) -> float:
        """The log probability of a token, on average; of no token at all there is none, so that comes last."""
        if not self.logprobs:
            return float("-inf")
        return sum(one.logprob for one in self.logprobs) / len(self.logprobs)

    def choice(self, index: int, *, with_logprobs: bool) -> dict[str, Any]:
        if self.finish is None:
            raise RuntimeError(f"The turn of choice {index} ended without a finish.")
        return {
            "text": "".join(self.texts),
            "index": index,
            "logprobs": _logprobs_object(self.logprobs) if with_logprobs else None,
            "finish_reason": self.finish.reason,
        }


def _logprobs_object(logprobs: Iterable[TokenLogprob]) -> dict[str, Any]:
    """The lists of the legacy form. The token itself is always among the likeliest, as OpenAI has it."""
    shown: dict[str, Any] = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
    for one in logprobs:
        # Two tokens may be spelled alike: of those, the likelier is the first.
        top = {_spelling(token, spelled): logprob for token, spelled, logprob in reversed(one.top)}
        shown["tokens"].append(one.token)
        shown["token_logprobs"].append(one.logprob)
        shown["top_logprobs"].append({**top, one.token: one.logprob})
        shown["text_offset"].append(one.offset)
    return shown


def _spelling(token: str, spelled: list[int]) -> str:
    """Return a token's text, or as OpenAI writes one that is none: ``bytes:\\xf0\\x9f``."""
    try:
        bytes(spelled).decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in spelled)
    return token
