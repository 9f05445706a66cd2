"""Completions as a model might write them: text and control tokens, cut into frames of all kinds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from lemonade_like.harmony import tokens
from lemonade_like.harmony.header import Header
from lemonade_like.harmony.parser import Body, MessageEnded, MessageStarted, Parser

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lemonade_like.harmony.conversation import Opening
    from lemonade_like.harmony.messages import Message

_CONTROL = (tokens.START, tokens.CHANNEL, tokens.MESSAGE, tokens.CONSTRAIN, tokens.END, *tokens.STOP_IDS, 200_013)
IDS = {tokens.spelling(token_id): token_id for token_id in _CONTROL}
_MARKER = re.compile("(" + "|".join(map(re.escape, IDS)) + ")")
#: Some ordinary id; which one does not matter to the parser, which takes the text from the text.
ORDINARY = 5
#: Control tokens whose text the engine leaves out.
_SILENT = {*tokens.STOP_IDS, 200_013}

Part = str | int
Frame = tuple[list[int], str]


def parts_of(written: str) -> list[Part]:
    """A completion written with its control tokens spelled out, as text and ids."""
    return [IDS.get(piece, piece) for piece in _MARKER.split(written) if piece]


def spelled(part: Part) -> str:
    """How a part looks in the engine's text."""
    if isinstance(part, str):
        return part
    return "" if part in _SILENT else tokens.spelling(part)


def one_frame_each(parts: Iterable[Part]) -> list[Frame]:
    """As engines send it: a control token is a frame of its own; text comes character by character."""
    frames: list[Frame] = []
    for part in parts:
        if isinstance(part, int):
            frames.append(([part], spelled(part)))
        else:
            frames += [([ORDINARY], character) for character in part]
    return frames


@dataclass
class Parsed:
    """What a parser made of a completion: the messages, and what a stream showed of each, by header."""

    messages: list[Message]
    streamed: list[tuple[Header, str]]
    recovered: dict[str, int]


def parse(frames: Iterable[Frame], opening: Opening | None = None) -> Parsed:
    """Feed frames to a parser, to the end."""
    parser = Parser(opening)
    begun = [(Header(channel=opening.channel), opening.body)] if opening else []
    parsed = Parsed([], begun, {})
    pieces = [piece for ids, text in frames for piece in parser.feed(ids, text)]
    for piece in [*pieces, *parser.finish()]:
        if isinstance(piece, MessageStarted):
            parsed.streamed.append((piece.header, ""))
        elif isinstance(piece, Body):
            header, text = parsed.streamed[-1]
            parsed.streamed[-1] = (header, text + piece.text)
        elif isinstance(piece, MessageEnded):
            parsed.messages.append(piece.message)
    parsed.recovered = dict(parser.recovered)
    return parsed


def parse_text(written: str) -> Parsed:
    """Parse a completion written with its control tokens spelled out."""
    return parse(one_frame_each(parts_of(written)))


_words = st.sampled_from(
    [
        *("assistant", "user", "python", "functions.f", "analysis", "commentary", "final", "thoughts"),
        *(" to=functions.f", " to=", "to=python", "json", " json", " code", " ", "\n"),
        *("Hello", " world", "{", '{"a": 1}', "漢字", "🙂", "<|end|>x", "A" * 600),
    ]
)
_texts = _words | st.text(min_size=1, max_size=5)
#: Any sequence at all; mostly of the words that headers are made of.
any_parts: st.SearchStrategy[list[Part]] = st.lists(_texts | st.sampled_from(_CONTROL), max_size=25)


@st.composite
def any_frames(draw: st.DrawFn, parts: Sequence[Part]) -> list[Frame]:
    """The same parts in frames cut anywhere: within text, and with several ids in one."""
    frames: list[Frame] = []
    for part in parts:
        if isinstance(part, int):
            frames.append(([part], spelled(part)))
            continue
        cuts = sorted(draw(st.sets(st.integers(0, len(part)), max_size=3)))
        for start, end in zip([0, *cuts], [*cuts, len(part)], strict=True):
            ids = draw(st.sampled_from([[], [ORDINARY], [ORDINARY, ORDINARY]]))
            frames.append((ids, part[start:end]))
    return frames


_names = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
_bodies = st.text(max_size=30).filter(lambda text: not _MARKER.search(text))


@st.composite
def well_formed(draw: st.DrawFn) -> str:
    """A completion as the format wants it."""
    written = ""
    for _ in range(draw(st.integers(0, 2))):
        channel = draw(st.sampled_from(["analysis", "commentary"]))
        written += f"<|channel|>{channel}<|message|>{draw(_bodies)}<|end|><|start|>assistant"
    if draw(st.booleans()):
        return f"{written}<|channel|>final<|message|>{draw(_bodies)}<|return|>"
    name = draw(_names)
    header = draw(
        st.sampled_from(
            [
                f" to=functions.{name}<|channel|>commentary <|constrain|>json",
                f"<|channel|>commentary to=functions.{name} <|constrain|>json",
                f"<|channel|>commentary to=functions.{name} json",
            ]
        )
    )
    return f"{written}{header}<|message|>{draw(_bodies)}<|call|>"
