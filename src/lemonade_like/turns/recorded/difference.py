"""Whether a turn came out as it was recorded, and where not: a pure comparison of two records."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from lemonade_like.harmony.completion import parts_of
from lemonade_like.harmony.conversation import Opening
from lemonade_like.harmony.parser import Parser

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lemonade_like.turns.recorded.schema import Record, RecordedOutput

#: Characters of text that are shown before and after a difference.
_AROUND: Final = 60
_OF_A_MESSAGE: Final = ("role", "channel", "recipient", "content_type", "end", "characters")


@dataclass(frozen=True)
class Difference:
    """The first one. ``what`` differs: ``output`` (what the model wrote), ``reasoning``, ``content``, ``call 1``, …

    ``before`` is the end of what both have in common, and ``recorded`` and ``now`` how it goes on. ``character``
    and ``token`` count from 0; ``token`` is there where both ids are known. ``channel`` is that of the output at this
    place, ``header`` between two messages.
    """

    what: str
    recorded: str
    now: str
    before: str = ""
    character: int | None = None
    token: int | None = None
    channel: str | None = None


@dataclass(frozen=True)
class _Said:
    """What a client gets of a turn. ``messages`` is ``None`` where it is not told."""

    reasoning: str
    content: str
    calls: list[tuple[str, str]] = field(default_factory=list)
    messages: list[dict[str, Any]] | None = None


def first_difference(recorded: Record, now: Record) -> Difference | None:
    """Return the first place where ``now`` is not as ``recorded``; ``None`` if it is the same.

    Times, counts of cached tokens and the ids of calls are no differences. A turn that was cut short is the same as far
    as it went. What one of both does not tell is not compared: the output of models that use their own chat template.
    """
    whole = recorded.outcome == "finished"
    return next(_differences(recorded, now, whole=whole), None)


def text_difference(what: str, recorded: str, now: str, *, whole: bool = True) -> Difference | None:
    """Return the first difference of two texts; if not ``whole``, it is none that the second goes on."""
    if recorded == now or (not whole and now.startswith(recorded)):
        return None
    place = common_length(recorded, now)
    before = recorded[max(0, place - _AROUND) : place]
    return Difference(what, recorded[place : place + _AROUND], now[place : place + _AROUND], before, place)


def common_length(one: Sequence[Any], other: Sequence[Any]) -> int:
    """Return how much both have in common from the beginning."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def _differences(recorded: Record, now: Record, *, whole: bool) -> Iterator[Difference]:
    if recorded.output is not None and now.output is not None:
        yield from _in_output(recorded, recorded.output, now.output, whole=whole)
    then, again = _said(recorded), _said(now)
    for what in ("reasoning", "content"):
        if found := text_difference(what, getattr(then, what), getattr(again, what), whole=whole):
            yield found
    yield from _in_calls(then.calls, again.calls, whole=whole)
    if not whole:
        return
    if then.messages is not None and again.messages is not None and then.messages != again.messages:
        yield Difference("messages", str(then.messages), str(again.messages))
    for what in ("finish_reason", "stop_string", "recovered"):
        one, other = getattr(recorded, what), getattr(now, what)
        if one != other:
            yield Difference(what, str(one), str(other))


def _in_output(record: Record, recorded: RecordedOutput, now: RecordedOutput, *, whole: bool) -> Iterator[Difference]:
    token = None
    if recorded.ids is not None and now.ids is not None:
        token = common_length(recorded.ids, now.ids)
        if token == len(recorded.ids) and (not whole or token == len(now.ids)):
            return
    found = text_difference("output", recorded.text, now.text, whole=whole)
    if found is None and token is not None and recorded.ids is not None and now.ids is not None:
        # The same text in other tokens.
        found = Difference("output", str(recorded.ids[token : token + 1]), str(now.ids[token : token + 1]))
    if found is not None:
        written = recorded.text[: found.character]
        channel = None if found.character is None else _channel_at(record, written)
        yield Difference("output", found.recorded, found.now, found.before, found.character, token, channel)


def _in_calls(
    recorded: Sequence[tuple[str, str]], now: Sequence[tuple[str, str]], *, whole: bool
) -> Iterator[Difference]:
    for number, ((name, arguments), (name_now, arguments_now)) in enumerate(zip(recorded, now, strict=False), 1):
        if name != name_now:
            yield Difference(f"call {number}", name, name_now)
        cut = not whole and number == len(recorded)
        if found := text_difference(f"call {number}", arguments, arguments_now, whole=not cut):
            yield found
    if len(recorded) > len(now) or (whole and len(recorded) < len(now)):
        yield Difference("calls", ", ".join(name for name, _ in recorded), ", ".join(name for name, _ in now))


def _said(record: Record) -> _Said:
    def joined(kind: str) -> str:
        return "".join(str(event.get("text", "")) for event in record.events if event.get("type") == kind)

    return _Said(
        joined("reasoning"),
        joined("content"),
        [
            (str(event.get("name", "")), str(event.get("arguments", "")))
            for event in record.events
            if event.get("type") == "tool_call"
        ],
        [{name: event.get(name) for name in _OF_A_MESSAGE} for event in record.events if event.get("type") == "message"]
        or None,
    )


def _channel_at(record: Record, written: str) -> str | None:
    if record.prompt is None or record.prompt.system is None:
        return None
    opening = record.prompt.system.opening
    parser = Parser(Opening(opening.channel, opening.body, opening.content_type))
    for part in parts_of(written):
        if isinstance(part.value, int):
            parser.feed([part.value], "")
        else:
            parser.feed([], part.value)
    header = parser.in_body
    return "header" if header is None else header.channel or "no channel"
