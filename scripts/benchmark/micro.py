"""What Harmony costs by itself: rendering and parsing, without an engine and without a network."""

from __future__ import annotations

import itertools
import statistics
import time
from typing import TYPE_CHECKING, Any, Final

import orjson

from lemonade_like.api.openai.writer import AnswerHeader, ChunkWriter
from lemonade_like.engine.client import EventStreamDecoder
from lemonade_like.harmony import tokens
from lemonade_like.harmony.conversation import SystemMessage, build_conversation
from lemonade_like.harmony.messages import ChatMessage, TextPart
from lemonade_like.harmony.parser import Parser
from lemonade_like.harmony.renderer import Renderer
from lemonade_like.turns.reader import TurnReader
from lemonade_like.turns.request import TurnRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lemonade_like.harmony.encoding import HarmonyEncoding

_PARAGRAPH: Final = (
    "The lighthouse keeper wrote down the weather every morning: wind from the north-west, 14 knots; 1,013 hPa. "
    "In winter the lamp burned for sixteen hours, and the log says how much oil that took. Nobody read it since.\n\n"
)
_MESSAGE_TOKENS: Final = 1_000
_REPEATS: Final = 5
_OUTPUT_TOKENS: Final = 10_000


def micro_rows(encoding: HarmonyEncoding) -> dict[str, float]:
    """Return, by name, what each piece of work takes, in ms; the median of some repetitions."""
    rows: dict[str, float] = {}
    for size in (1_000, 100_000):
        chat = _chat(encoding, size)
        rows[f"render a prompt of {size:,} tokens, cold"] = _median_ms(lambda: Renderer(encoding), _render(chat))
        rows[f"render its follow-up turn ({size:,} tokens cached)"] = _follow_up_ms(encoding, chat)
    frames = _frames(encoding)
    rows[f"parse {_OUTPUT_TOKENS:,} tokens"] = _median_ms(Parser, lambda parser: _parse(parser, frames))
    reads = [b"data: %b\n\n" % orjson.dumps(_as_sent(frame, place)) for place, frame in enumerate(frames)]
    prompt = Renderer(encoding).render_for_completion(build_conversation(_chat(encoding, 0), SystemMessage()))
    rows[f"{_OUTPUT_TOKENS:,} tokens from the engine's bytes to the client's"] = _median_ms(
        lambda: TurnReader(TurnRequest("bench", ()), prompt), lambda reader: _pipe(reader, reads)
    )
    return rows


def _chat(encoding: HarmonyEncoding, size: int) -> list[ChatMessage]:
    """A chat of ``size`` tokens and a few, in messages of 1,000."""
    paragraph = len(encoding.encode(_PARAGRAPH))
    chat = []
    for place in range(size // _MESSAGE_TOKENS):
        # Each is another one, or all but the first would come from the renderer's memory.
        text = f"Page {place}. " + _PARAGRAPH * (_MESSAGE_TOKENS // paragraph)
        chat.append(ChatMessage("assistant" if place % 2 else "user", (TextPart(text),)))
    return [*chat, ChatMessage("user", (TextPart("And what does it say of that winter?"),))]


def _render(chat: Sequence[ChatMessage]) -> Callable[[Renderer], Any]:
    return lambda renderer: renderer.render_for_completion(build_conversation(chat, SystemMessage()))


def _follow_up_ms(encoding: HarmonyEncoding, chat: Sequence[ChatMessage]) -> float:
    renderer = Renderer(encoding)
    _render(chat)(renderer)
    asked = itertools.count()

    def work(_: None) -> None:
        answered = ChatMessage("assistant", (TextPart(f"That the ice held for {next(asked)} days."),))
        _render([*chat, answered, ChatMessage("user", (TextPart("And after it?"),))])(renderer)

    return _median_ms(lambda: None, work)


def _frames(encoding: HarmonyEncoding) -> list[tuple[list[int], str]]:
    """What a model writes: some reasoning, then an answer; ids and text as the engine sends them."""
    body = encoding.encode(_PARAGRAPH * (_OUTPUT_TOKENS // len(encoding.encode(_PARAGRAPH)) + 1))
    half = _OUTPUT_TOKENS // 2
    analysis, final = encoding.encode("analysis"), encoding.encode("final")
    ids = [tokens.CHANNEL, *analysis, tokens.MESSAGE, *body[:half], tokens.END, tokens.START]
    ids += [*encoding.encode("assistant"), tokens.CHANNEL, *final, tokens.MESSAGE]
    ids += [*body[half : half + _OUTPUT_TOKENS - len(ids) - 1], tokens.RETURN]
    return [([token], "" if token == tokens.RETURN else encoding.decode([token])) for token in ids]


def _as_sent(frame: tuple[list[int], str], place: int) -> dict[str, Any]:
    ids, text = frame
    return {
        "index": 0,
        "content": text,
        "tokens": ids,
        "stop": False,
        "id_slot": -1,
        "tokens_predicted": place + 1,
        "tokens_evaluated": 100,
    }


def _parse(parser: Parser, frames: Sequence[tuple[list[int], str]]) -> None:
    for ids, text in frames:
        parser.feed(ids, text)
    parser.finish()


def _pipe(reader: TurnReader, reads: Sequence[bytes]) -> None:
    decoder = EventStreamDecoder()
    writer = ChunkWriter(AnswerHeader("bench", "bench"))
    for read in reads:
        frames, _ = decoder.feed(read)
        if events := reader.read(frames):
            writer.write((0, events))
    writer.write((0, reader.finish()))


def _median_ms(prepare: Callable[[], Any], work: Callable[[Any], Any]) -> float:
    times = []
    for _ in range(_REPEATS):
        prepared = prepare()
        began = time.perf_counter()
        work(prepared)
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)
