"""What a GGUF file says about itself: a small reader of its metadata.

Only the header is read, through a memory map, and what is not asked for is stepped over. Every length in
the file is checked against the file's size before it is believed, so a cut-off or hostile file gives an error at once.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little endian.
"""

from __future__ import annotations

import math
import mmap
import struct
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MAGIC: Final = b"GGUF"
_VERSIONS: Final = (2, 3)
_STRING: Final = 8
_ARRAY: Final = 9
_SCALARS: Final = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<?"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
_U32: Final = struct.Struct("<I")
_U64: Final = struct.Struct("<Q")
_MAX_NESTING: Final = 4
_ARCHITECTURE: Final = "general.architecture"
#: More items than any model has layers, and fewer than any has tokens.
_LONGEST: Final = 1024
_MAX_DIMENSIONS: Final = 4
_TOKENS: Final = "tokenizer.ggml.tokens"
#: How llama.cpp names what is on top of a model that scores texts.
_SCORING_HEAD: Final = b"cls."


class GGUFError(ValueError):
    """A GGUF file that cannot be read: it is cut off, damaged, or of a kind that is not known here."""


class NotAGGUF(GGUFError):
    """The file is no GGUF file at all."""


@dataclass(frozen=True)
class GGUFHeader:
    """All that a header says but its vocabulary.

    ``values`` are by key; of an array of more than ``_LONGEST`` items the value is their number. ``parameters`` is the
    number of weights in the file's tensors, and ``scores`` whether some of them are a head that scores texts.
    """

    architecture: str
    values: dict[str, Any]
    parameters: int
    scores: bool = False

    def own(self, key: str) -> Any:
        """The value of the architecture's own key, such as ``block_count``; ``None`` if there is none."""
        return self.values.get(f"{self.architecture}.{key}")


def read_header(path: Path) -> GGUFHeader:
    """Read the header of a GGUF file. The vocabulary is stepped over: its texts are neither copied nor decoded.

    Raises:
        NotAGGUF: the file is something else.
        GGUFError: it is cut off, damaged or too new.
        OSError: it cannot be opened.
    """
    with _opened(path) as reader:
        values = {key: reader.value(kind, at, longest=_LONGEST) for key, kind, at in reader.entries()}
        parameters, scores = 0, False
        for name, weights in reader.tensors():
            parameters += weights
            scores = scores or name.startswith(_SCORING_HEAD)
    architecture = values.get(_ARCHITECTURE)
    if not isinstance(architecture, str):
        raise GGUFError(f"{path} names no architecture ({_ARCHITECTURE}), so no engine could load it.")
    return GGUFHeader(architecture, values, parameters, scores)


def read_tokens(path: Path) -> list[str]:
    """Read the vocabulary: every token as the file spells it, its place in the list being its id.

    Raises:
        GGUFError: as ``read_header``, or the file has no vocabulary.
    """
    with _opened(path) as reader:
        for key, kind, at in reader.entries():
            if key != _TOKENS:
                continue
            tokens = reader.value(kind, at)
            if isinstance(tokens, list) and all(isinstance(token, str) for token in tokens):
                return tokens
            break
    raise GGUFError(f"{path} holds no vocabulary ({_TOKENS}).")


@contextmanager
def _opened(path: Path) -> Iterator[_Reader]:
    with path.open("rb") as file:
        start = file.read(8)
        if start[:4] != _MAGIC:
            shown = "it is empty" if not start else f"it starts with {start!r}, not {_MAGIC!r}"
            raise NotAGGUF(f"{path} is not a GGUF file: {shown}.")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                yield _Reader(data, path)
            except (struct.error, IndexError, OverflowError) as error:
                raise GGUFError(f"{path} is cut off within its header ({len(data):,} bytes).") from error


class _Reader:
    """Walks through the header; every read is within the file or raises."""

    def __init__(self, data: mmap.mmap, path: Path) -> None:
        self._data = data
        self._path = path
        self._size = len(data)
        self._end = 24  # where the value read last ends
        version = _U32.unpack_from(data, 4)[0]
        if version not in _VERSIONS:
            if version.to_bytes(4, "little") in (b"\0\0\0\x02", b"\0\0\0\x03"):
                raise GGUFError(f"{path} is a big-endian GGUF file; only little-endian ones can be read.")
            raise GGUFError(f"{path} is GGUF version {version}; versions 2 and 3 can be read.")
        self._tensors = _U64.unpack_from(data, 8)[0]
        self._count = _U64.unpack_from(data, 16)[0]

    def entries(self) -> Iterator[tuple[str, int, int]]:
        """Yield each key, the type of its value, and where the value begins.

        A value that nobody read meanwhile is stepped over.
        """
        at = self._end
        # The shortest entry there is takes 13 bytes: an empty key, a type and one byte.
        if self._count > self._size // 13:
            raise self._damaged(f"it claims {self._count:,} keys")
        for _ in range(self._count):
            raw, at = self._string(at)
            kind = _U32.unpack_from(self._data, at)[0]
            at += 4
            self._end = -1
            yield raw.decode("utf-8", "replace"), kind, at
            if self._end < 0:
                self.value(kind, at, longest=0)
            at = self._end

    def value(self, kind: int, at: int, *, longest: int | None = None) -> Any:
        """Return the value at ``at``; of an array of more than ``longest`` items, which is stepped over, how many."""
        value, self._end = self._value(kind, at, longest, _MAX_NESTING)
        return value

    def tensors(self) -> Iterator[tuple[bytes, int]]:
        """Yield each tensor's name and number of weights; to be called when all entries have been stepped through."""
        at = self._end
        # The shortest description of a tensor takes 24 bytes: an empty name, no dimensions, its type and place.
        if self._tensors > self._size // 24:
            raise self._damaged(f"it claims {self._tensors:,} tensors")
        for _ in range(self._tensors):
            name, at = self._string(at)
            dimensions = _U32.unpack_from(self._data, at)[0]
            if dimensions > _MAX_DIMENSIONS:
                raise self._damaged(f"a tensor in it claims {dimensions:,} dimensions")
            yield name, math.prod(struct.unpack_from(f"<{dimensions}Q", self._data, at + 4))
            at += 4 + 8 * dimensions + 4 + 8

    def _value(self, kind: int, at: int, longest: int | None, nesting: int) -> tuple[Any, int]:
        if kind == _STRING:
            raw, end = self._string(at)
            return raw.decode("utf-8", "replace"), end
        if kind == _ARRAY:
            return self._array(at, longest, nesting)
        scalar = _SCALARS.get(kind)
        if scalar is None:
            raise self._damaged(f"it has a value of unknown type {kind}")
        return scalar.unpack_from(self._data, at)[0], at + scalar.size

    def _array(self, at: int, longest: int | None, nesting: int) -> tuple[Any, int]:
        if nesting == 0:
            raise self._damaged("its arrays are nested too deeply")
        kind = _U32.unpack_from(self._data, at)[0]
        count = _U64.unpack_from(self._data, at + 4)[0]
        at += 12
        scalar = _SCALARS.get(kind)
        smallest = scalar.size if scalar else 8
        if count > (self._size - at) // smallest:
            raise self._damaged(f"it claims an array of {count:,} items")
        wanted = longest is None or count <= longest
        if scalar is not None:
            end = at + count * scalar.size
            if not wanted:
                return count, end
            return [scalar.unpack_from(self._data, place)[0] for place in range(at, end, scalar.size)], end
        if kind == _STRING and not wanted:
            return count, self._past_strings(at, count)
        items = []
        for _ in range(count):
            item, at = self._value(kind, at, longest, nesting - 1)
            if wanted:
                items.append(item)
        return items if wanted else count, at

    def _past_strings(self, at: int, count: int) -> int:
        length_at, data = _U64.unpack_from, self._data
        for _ in range(count):
            at += 8 + length_at(data, at)[0]
        if at > self._size:
            raise self._damaged("a text in it runs past its end")
        return at

    def _string(self, at: int) -> tuple[bytes, int]:
        length = _U64.unpack_from(self._data, at)[0]
        start = at + 8
        if length > self._size - start:
            raise self._damaged(f"a text in it claims {length:,} bytes")
        return self._data[start : start + length], start + length

    def _damaged(self, what: str) -> GGUFError:
        return GGUFError(f"{self._path} is damaged or cut off: {what}, and the file has {self._size:,} bytes.")
