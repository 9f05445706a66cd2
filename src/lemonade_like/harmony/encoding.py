"""Text to token ids, with openai-harmony's tokenizer.

Text becomes ordinary tokens only: whatever a user writes, ``<|end|>`` included, cannot become a control token.
"""

from __future__ import annotations

import os
import re
import threading
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

#: The tokenizer is quadratic in the length of a piece without a boundary (8.8 s for 160,000 times "a"), and the
#: interpreter is held meanwhile. Longer runs are cut; this many characters of Chinese cost about 1 ms. A multiple of
#: three, since the tokenizer takes digits by threes.
MAX_RUN: Final = 510
#: A native call is given no more than about this many characters, so that other threads have their turn: about 1 ms.
MAX_CALL: Final = 8 * MAX_RUN

#: Where the pre-tokenizer always begins a new piece, whatever stands around: before a blank; between a letter or digit
#: and a line break or punctuation (but the apostrophe); between ASCII letters and digits; between a line break and an
#: ASCII letter or digit. Source: the regular expression of o200k_base.
#: The boundary is at the end of the match.
_BOUNDARY: Final = re.compile(
    r"\S(?=[ \t])"
    r"|[^\W_](?=[\r\n!-&(-/:-@\[-`{-~\u2010-\u2027\u3000-\u3003\u3008-\u3011\uff01-\uff06\uff08-\uff0f\uff1a-\uff20])"
    r"|[0-9](?=[A-Za-z])|[A-Za-z](?=[0-9])|[\r\n](?=[A-Za-z0-9])"
)
#: How far before the end of a window a boundary is looked for first: ordinary words are shorter.
_NEAR: Final = 60
#: From the beginning of a gap only, so that the search is linear.
_LONG_GAP: Final = re.compile(rf"(?:\A|(?<=\S))\s{{{MAX_RUN + 1}}}")
_LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")
_load_lock = threading.Lock()


class HarmonyUnavailable(Exception):
    """openai-harmony is not installed, or its encoding could not be loaded; the message says what to do."""


class Encoder(Protocol):
    """What rendering needs of a tokenizer."""

    def encode(self, text: str) -> list[int]:
        """Return the ids of ``text`` as ordinary text; no control token is ever among them."""

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ``ids``, control tokens spelled out; bytes that are no UTF-8 become U+FFFD."""


class _LibraryEncoding(Protocol):
    """The part of ``openai_harmony.HarmonyEncoding`` that is used."""

    def encode(self, text: str, *, disallowed_special: tuple[()] = ...) -> list[int]: ...
    def decode(self, tokens: Sequence[int], errors: str = ...) -> str: ...


class HarmonyEncoding:
    """The o200k_harmony encoding; safe to share between threads."""

    def __init__(self, library: _LibraryEncoding) -> None:
        self._library = library

    @classmethod
    def load(cls, vocabulary_dir: Path) -> HarmonyEncoding:
        """Load from a folder that holds ``o200k_base.tiktoken`` (0.15 s, about 60 MB).

        Raises:
            HarmonyUnavailable: openai-harmony is missing, or the vocabulary cannot be read.
        """
        try:
            import openai_harmony  # noqa: PLC0415 - an install without it must still serve other models
        except ImportError as error:
            raise HarmonyUnavailable(
                f"openai-harmony is not installed ({error}). Install it with: pip install openai-harmony==0.0.8"
            ) from error
        # The library takes its folder from the environment only, and reads it while it loads.
        with _load_lock:
            before = os.environ.get("TIKTOKEN_ENCODINGS_BASE")
            os.environ["TIKTOKEN_ENCODINGS_BASE"] = str(vocabulary_dir)
            try:
                library = openai_harmony.load_harmony_encoding(openai_harmony.HarmonyEncodingName.HARMONY_GPT_OSS)
            except Exception as error:
                raise HarmonyUnavailable(f"openai-harmony could not load its vocabulary: {error}") from error
            finally:
                if before is None:
                    os.environ.pop("TIKTOKEN_ENCODINGS_BASE", None)
                else:
                    os.environ["TIKTOKEN_ENCODINGS_BASE"] = before
        return cls(library)

    def encode(self, text: str) -> list[int]:
        """Return the ids of ``text`` as ordinary text. Lone surrogates, which no UTF-8 has, become U+FFFD."""
        try:
            text.encode()
        except UnicodeEncodeError:
            text = _LONE_SURROGATE.sub("\ufffd", text)
        if len(text) <= MAX_RUN:
            return self._library.encode(text, disallowed_special=())
        ids: list[int] = []
        for piece in bounded_pieces(text):
            ids += self._library.encode(piece, disallowed_special=())
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ``ids``, control tokens spelled out; bytes that are no UTF-8 become U+FFFD."""
        return self._library.decode(ids, errors="replace")

    def token_bytes(self, token: int) -> bytes:
        """Return what one token stands for, which may end within a character."""
        return self._library.decode([token], errors="surrogateescape").encode(errors="surrogateescape")


def bounded_pieces(text: str) -> Iterator[str]:
    """Cut ``text`` so that no piece is slow to encode; the pieces joined are ``text``.

    Cuts are made where the tokenizer cuts too, so that the ids stay the same, except inside runs of more than
    ``MAX_RUN`` characters that have no such place. The cost is linear in the text.
    """
    for window in _windows(text):
        if _may_have_long_run(window):
            yield from _short_runs(window)
        else:
            yield window


def _windows(text: str) -> Iterator[str]:
    """Cut at a boundary every ``MAX_CALL`` characters or so; within a run only where it fills a whole window."""
    start = 0
    while len(text) - start > MAX_CALL:
        end = start + MAX_CALL
        near = _BOUNDARY.search(text, end - _NEAR, end) or _last_boundary(text, start, end)
        cut = near.end() if near else end
        yield text[start:cut]
        start = cut
    if start < len(text):
        yield text[start:]


def _last_boundary(text: str, start: int, end: int) -> re.Match[str] | None:
    last = None
    for match in _BOUNDARY.finditer(text, start, end):
        last = match
    return last


def _may_have_long_run(window: str) -> bool:
    words = window.split()
    if any(len(word) > MAX_RUN for word in words):
        return True
    # More blanks than words need: then it is worth a look at whether they stand in one place.
    blanks = len(window) - sum(map(len, words))
    return blanks - len(words) > MAX_RUN and _LONG_GAP.search(window) is not None


def _short_runs(window: str) -> Iterator[str]:
    """Cut out every run of more than ``MAX_RUN`` characters, and cut it."""
    start = since = 0
    for boundary in (*(match.end() for match in _BOUNDARY.finditer(window)), len(window)):
        if boundary - since > MAX_RUN:
            if start < since:
                yield window[start:since]
            for at in range(since, boundary, MAX_RUN):
                yield window[at : min(at + MAX_RUN, boundary)]
            start = boundary
        since = boundary
    if start < len(window):
        yield window[start:]
