"""A completion as ordinary text and control tokens, whether it is given as ids or as text.

Ids are read by id: a marker that the model spelled out in ordinary tokens stays text. **Text has no such difference**:
in text every spelled-out marker is taken for the control token, which is right for what was copied from a log, and
wrong where the text quotes a marker. Use ids where you have them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from operator import index
from typing import TYPE_CHECKING, Final, SupportsIndex

from lemonade_like.harmony import tokens

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lemonade_like.harmony.encoding import Encoder

#: Text with its control tokens spelled out, or ids.
Completion = str | Sequence[int]

_SPELLED: Final = {
    tokens.spelling(token_id): token_id for token_id in range(tokens.FIRST_SPECIAL, tokens.VOCABULARY_SIZE)
}
_MARKER: Final = re.compile(r"(<\|[a-z]+(?:_\d{6})?\|>)")


@dataclass(frozen=True)
class Part:
    """A control token, by id, or a run of text between two.

    ``position`` counts characters where text was given, and ids where ids were. ``count`` is how many ids it is; 0
    where text was given.
    """

    value: str | int
    position: int
    count: int = 0


def parts_of(completion: Completion, encoder: Encoder | None = None) -> list[Part]:
    """Return the parts of a completion in order.

    Raises:
        TypeError: ids, but no encoder to read them with.
        ValueError: a number that is no id of the vocabulary.
    """
    return list(_in_text(completion) if isinstance(completion, str) else _in_ids(completion, encoder))


def without_request(parts: list[Part]) -> list[Part]:
    """Return the parts without the ``<|start|>assistant`` at the very end of a prompt, which says nothing yet."""
    asks = [part.value for part in parts[-2:]] == [tokens.START, "assistant"]
    return parts[:-2] if asks else parts


def _in_text(text: str) -> Iterator[Part]:
    position = run = 0
    for found in _MARKER.finditer(text):
        token_id = _SPELLED.get(found[0])
        if token_id is None:
            continue
        if found.start() > run:
            yield Part(text[run : found.start()], run)
        position, run = found.start(), found.end()
        yield Part(token_id, position)
    if run < len(text):
        yield Part(text[run:], run)


def _in_ids(ids: Sequence[int], encoder: Encoder | None) -> Iterator[Part]:
    if encoder is None:
        raise TypeError("Ids can be read only with an encoder; this parser was made without one.")
    run: list[int] = []
    for position, given in enumerate(ids):
        one = _as_id(given)
        if one < tokens.FIRST_SPECIAL:
            run.append(one)
            continue
        if run:
            yield Part(encoder.decode(run), position - len(run), len(run))
            run = []
        yield Part(one, position, 1)
    if run:
        yield Part(encoder.decode(run), len(ids) - len(run), len(run))


def _as_id(given: SupportsIndex) -> int:
    """Return a number as an id; arrays and tensors have numbers of their own kind."""
    try:
        one = index(given)
    except TypeError:
        one = -1
    if not 0 <= one < tokens.VOCABULARY_SIZE:
        raise ValueError(f"{given!r} is no id of o200k_harmony, whose ids are 0 to {tokens.VOCABULARY_SIZE - 1}.")
    return one
