"""What the engine's refusals mean to the client."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from lemonade_like.errors import BadRequest, ContextLengthExceeded, EngineFailure, ServerError

#: llama-server answers some requests with 500 although it is the request that cannot be served.
_BLAMES_THE_REQUEST: Final = re.compile(r"input is not supported|jinja|template", re.IGNORECASE)

if TYPE_CHECKING:
    from lemonade_like.pool.resident import EngineResponseError


def context_exceeded(
    prompt_tokens: int, context_length: int, *, at_least: bool = False, param: str = "messages"
) -> ContextLengthExceeded:
    """Return the error for a prompt that leaves no room for an answer; ``param`` is the field that it is made of."""
    count = f"at least {prompt_tokens}" if at_least else prompt_tokens
    return ContextLengthExceeded(
        f"The prompt has {count} tokens, but this model is loaded with a context of {context_length} tokens. "
        f"Shorten the {param}, or start the server with a larger --ctx-size.",
        param=param,
    )


def from_engine(error: EngineResponseError) -> ServerError:
    """Return what to tell the client of an error that the engine answered with."""
    if error.type == "exceed_context_size_error":
        return context_exceeded(error.details.get("n_prompt_tokens", 0), error.details.get("n_ctx", 0))
    if error.status in (400, 413, 422) or _BLAMES_THE_REQUEST.search(error.message):
        return BadRequest(f"The engine refused the request: {error.message}")
    return EngineFailure(f"The engine failed: {error.message}")


def came_out_differently(model: str) -> EngineFailure:
    """Return the error for an answer that was begun, lost with its engine, and is another when it is begun again."""
    return EngineFailure(
        f"The engine of {model} died in the middle of the turn. The answer was generated again, but came out "
        "differently from what had been sent already, so it cannot go on from there. Please send the request again."
    )
