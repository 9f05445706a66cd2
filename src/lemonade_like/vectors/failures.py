"""What the engine's refusals mean to the client, and what is no answer of an engine's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from lemonade_like.errors import BadRequest, ContextLengthExceeded, EngineFailure, ServerError

if TYPE_CHECKING:
    from lemonade_like.pool.resident import EngineResponseError

#: llama-server says this with status 500 of a text that has to be read at once.
_TOO_LARGE: Final = re.compile(r"input \((\d+) tokens\) is too large.*current batch size: (\d+)")


def refused(error: EngineResponseError, model: str, field: str) -> ServerError:
    """Return what to tell the client of an error that the engine answered one input with; ``field`` is which."""
    if error.type == "exceed_context_size_error":
        return _too_long(model, field, error.details.get("n_prompt_tokens"), error.details.get("n_ctx"))
    if found := _TOO_LARGE.search(error.message):
        return _too_long(model, field, found[1], found[2])
    if error.status in (400, 413, 422):
        return BadRequest(f"The engine refused '{field}': {error.message}", param=field)
    return EngineFailure(f"The engine failed at '{field}': {error.message}")


def no_answer(model: str, field: str) -> EngineFailure:
    """Return the error for an answer without a number where there has to be one."""
    return EngineFailure(f"The engine of {model} answered '{field}' with no numbers; its log may say why.")


def _too_long(model: str, field: str, tokens: object, limit: object) -> ContextLengthExceeded:
    return ContextLengthExceeded(
        f"'{field}' has {tokens} tokens, but {model} is loaded to take {limit}. Cut the text into pieces, or, if the "
        "model was made for longer ones, load it with a larger ctx_size.",
        param=field,
    )
