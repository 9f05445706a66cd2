"""Text to ids and back without a turn, by the vocabulary that all GPT-OSS models share."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lemonade_like.errors import BadRequest
from lemonade_like.harmony import tokens
from lemonade_like.harmony.marked import encode_marked
from lemonade_like.turns.size import LONG_TEXT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lemonade_like.harmony.encoding import Encoder, HarmonyEncoding


@dataclass(frozen=True)
class TokenizeRequest:
    """A text to be told the tokens of.

    ``add_special`` puts before it what the model wants at the beginning of a prompt; GPT-OSS wants nothing.
    ``parse_special`` reads control tokens that are spelled out in it; ``None`` is as the model's prompts are read: as
    ordinary text for GPT-OSS, and as control tokens for other models. ``with_pieces`` asks for what each token stands
    for: its text, or its bytes where these are no text. ``client`` says who is in line, if the model must be loaded.
    """

    model: str
    text: str
    add_special: bool = False
    parse_special: bool | None = None
    with_pieces: bool = False
    client: str = ""


async def encode(encoder: Encoder, text: str, *, parse_special: bool) -> list[int]:
    """Return the ids of a text, a long one beside the event loop."""

    def work() -> list[int]:
        return encode_marked(encoder, text) if parse_special else encoder.encode(text)

    return await asyncio.to_thread(work) if len(text) > LONG_TEXT else work()


async def harmony_tokens(encoding: HarmonyEncoding, request: TokenizeRequest) -> list[Any]:
    """Return ids, or objects of ``id`` and ``piece``, as llama-server does."""
    ids = await encode(encoding, request.text, parse_special=request.parse_special is True)
    if not request.with_pieces:
        return ids

    def work() -> list[dict[str, Any]]:
        pieces = {token: _piece(encoding.token_bytes(token)) for token in set(ids)}
        return [{"id": token, "piece": pieces[token]} for token in ids]

    return await asyncio.to_thread(work) if len(ids) > LONG_TEXT else work()


async def harmony_text(encoder: Encoder, ids: Sequence[int]) -> str:
    """Return the text of ids. Raises ``BadRequest`` for one that GPT-OSS has not."""
    check_harmony_ids(ids, "tokens")
    return await asyncio.to_thread(encoder.decode, ids) if len(ids) > LONG_TEXT else encoder.decode(ids)


def check_harmony_ids(ids: Sequence[int], param: str) -> None:
    """Raise ``BadRequest`` for an id that GPT-OSS has not; ``param`` is the field that it is in."""
    if ids and not 0 <= min(ids) <= max(ids) < tokens.VOCABULARY_SIZE:
        wrong = next(token for token in ids if not 0 <= token < tokens.VOCABULARY_SIZE)
        raise BadRequest(
            f"'{param}' has the id {wrong}, but this model's tokens are 0 to {tokens.VOCABULARY_SIZE - 1}.",
            param=param,
            code="invalid_value",
        )


def _piece(spelled: bytes) -> str | list[int]:
    try:
        return spelled.decode()
    except UnicodeDecodeError:
        return list(spelled)
