"""The Harmony vocabulary out of a GPT-OSS GGUF, in the form that openai-harmony reads.

Every GPT-OSS GGUF carries all of o200k_base, each token spelled in the printable letters of byte-level BPE, its place
being its rank. Written back as bytes it is the very file that openai-harmony would download.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Final

from lemonade_like.models.files import written_at_once
from lemonade_like.models.gguf import GGUFError, read_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

#: Ordinary tokens; what follows them in the vocabulary are control tokens.
RANKS: Final = 199_998
#: Some that Harmony needs, by id.
_CONTROL_TOKENS: Final = {
    199_999: "<|endoftext|>",
    200_002: "<|return|>",
    200_003: "<|constrain|>",
    200_005: "<|channel|>",
    200_006: "<|start|>",
    200_007: "<|end|>",
    200_008: "<|message|>",
    200_012: "<|call|>",
}
FILE_NAME: Final = "o200k_base.tiktoken"
SHA256: Final = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"


class VocabularyError(ValueError):
    """A GGUF whose vocabulary is not the one that GPT-OSS uses."""


def byte_spelling() -> dict[int, str]:
    """Return how byte-level BPE writes each byte: printable ones as themselves, the rest from U+0100 on.

    Source: ``bytes_to_unicode`` in OpenAI's GPT-2 encoder.
    """
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    spelling = {byte: chr(byte) for byte in printable}
    others = (byte for byte in range(256) if byte not in spelling)
    spelling.update({byte: chr(256 + place) for place, byte in enumerate(others)})
    return spelling


def tiktoken_file(tokens: Sequence[str]) -> bytes:
    """Return the contents of ``o200k_base.tiktoken``: one line of base64 and rank for each ordinary token.

    Raises:
        VocabularyError: a token is not spelled in byte-level BPE, or there are too few.
    """
    if len(tokens) < RANKS:
        raise VocabularyError(f"the vocabulary has {len(tokens):,} tokens; that of GPT-OSS has more than {RANKS:,}")
    as_latin = {ord(letter): byte for byte, letter in byte_spelling().items()}
    encode = base64.b64encode
    lines = []
    try:
        for rank in range(RANKS):
            raw = tokens[rank].translate(as_latin).encode("latin-1")
            lines.append(b"%s %d\n" % (encode(raw), rank))
    except UnicodeEncodeError as error:
        raise VocabularyError(f"token {rank} ({tokens[rank]!r}) is not spelled in byte-level BPE") from error
    return b"".join(lines)


def vocabulary_dir(gguf_path: Path, cache_dir: Path) -> Path:
    """Return a folder for ``TIKTOKEN_ENCODINGS_BASE`` that holds ``o200k_base.tiktoken``, written from a GPT-OSS GGUF.

    It is written once (about 0.4 s) and checked by its hash; several processes may do so at once. Where it is there
    already, the GGUF's own vocabulary is told by its control tokens, which no other has in these places.

    Raises:
        VocabularyError: the GGUF has another vocabulary.
        GGUFError: the GGUF cannot be read.
        OSError: the cache cannot be written to.
    """
    folder = cache_dir / "vocabulary"
    target = folder / FILE_NAME
    try:
        tokens = read_tokens(gguf_path)
    except GGUFError:
        if _is_whole(target):
            # Whether it is a model at all, the engine says, which may read files that we cannot.
            return folder
        raise
    if any(tokens[at : at + 1] != [spelled] for at, spelled in _CONTROL_TOKENS.items()):
        raise _other_vocabulary(gguf_path, "its control tokens are others")
    if _is_whole(target):
        return folder
    contents = tiktoken_file(tokens)
    if hashlib.sha256(contents).hexdigest() != SHA256:
        raise _other_vocabulary(gguf_path, "its hash is not the expected one")
    with written_at_once(target) as file:
        file.write(contents)
    return folder


def _other_vocabulary(gguf_path: Path, how: str) -> VocabularyError:
    return VocabularyError(
        f"{gguf_path} has another vocabulary than GPT-OSS (o200k_base): {how}. "
        "Harmony can only be spoken with the vocabulary that the model was trained on."
    )


def _is_whole(path: Path) -> bool:
    try:
        contents = path.read_bytes()
    except OSError:
        return False
    return hashlib.sha256(contents).hexdigest() == SHA256
