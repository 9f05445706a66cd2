"""Text to token ids, with openai-harmony's tokenizer.

Text becomes ordinary tokens only: whatever a user writes, ``<|end|>`` included, cannot become a control token.
"""

from __future__ import annotations

import os
import re
import threading
import unicodedata
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

#: The tokenizer is quadratic in the length of a piece without a boundary (8.8 s for 160,000 times "a"), and the
#: interpreter is held meanwhile. Longer runs are cut; 512 characters of Chinese cost about 1 ms.
MAX_RUN: Final = 512
#: A native call is given no more than about this many characters, so that other threads have their turn.
MAX_CALL: Final = 16_384

_LONG_RUN = re.compile(rf"[^\s\d]{{{MAX_RUN},}}|\s{{{MAX_RUN},}}")
# The pre-tokenizer always splits between a letter and a space that a letter follows.
_SAFE_CUT = re.compile(r"(?<=[A-Za-z])(?= [A-Za-z])")
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


def bounded_pieces(text: str) -> Iterator[str]:
    """Cut ``text`` so that no piece is slow to encode; the pieces joined are ``text``.

    Cuts are made where the tokenizer cuts too, so that the ids stay the same, except inside runs of more than
    ``MAX_RUN`` characters of one kind, where there is no such place.
    """
    cuts = sorted({*_cuts_in_long_runs(text), *_safe_cuts(text)})
    start = 0
    for cut in cuts:
        yield text[start:cut]
        start = cut
    yield text[start:]


def _safe_cuts(text: str) -> Iterator[int]:
    position = 0
    while len(text) - position > MAX_CALL:
        cut = _SAFE_CUT.search(text, position + MAX_CALL // 2)
        if cut is None:
            return
        position = cut.start()
        yield position


def _cuts_in_long_runs(text: str) -> Iterator[int]:
    for run in _LONG_RUN.finditer(text):
        kind, since = "", run.start()
        for at in range(run.start(), run.end()):
            kind_here = _kind(text[at])
            if kind_here != kind:
                kind, since = kind_here, at
            elif at - since >= MAX_RUN:
                yield at
                since = at


def _kind(character: str) -> str:
    """Letters and marks, whitespace, and the rest: the tokenizer never joins two of these beyond one character."""
    category = unicodedata.category(character)
    if category[0] in "LM":
        return "L"
    return "Z" if character.isspace() else "P"
