"""Every error as Anthropic's object: ``{"type": "error", "error": {"type", "message"}, "request_id"}``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from lemonade_like.errors import ContextLengthExceeded, ModelNotFound

if TYPE_CHECKING:
    from lemonade_like.errors import ServerError

#: Anthropic's types by the status that each stands for. 529 is its own, and what its clients wait for and retry.
_TYPES: Final = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
_OVERLOADED: Final = 529

#: The code at which Anthropic's SDK goes on by sending the whole conversation.
THREAD_UNSUPPORTED: Final = "thread_unsupported_request"

#: Also where a client has put a base URL before it that ends in ``/v1`` already.
_PATHS: Final = re.compile(r".*/v1/messages(/.*)?")

#: How a turn calls the parts of a request that Anthropic's clients know by other names.
_NAMES: Final = ((".function.parameters", ".input_schema"), ("'response_format'", "'output_config.format'"))


def is_of_messages(path: str) -> bool:
    """Whether whoever asks for this path reads Anthropic's errors."""
    return _PATHS.fullmatch(path) is not None


def error_status(error: ServerError) -> int:
    """Return the status that Anthropic's clients know the error by."""
    return _OVERLOADED if error.status == 503 else error.status


def error_object(error: ServerError, request_id: str) -> dict[str, Any]:
    """Return the error as Anthropic's object."""
    kind = _TYPES.get(error.status) or ("api_error" if error.status >= 500 else "invalid_request_error")
    said: dict[str, Any] = {"type": kind, "message": _message(error)}
    if error.code == THREAD_UNSUPPORTED:
        said["details"] = {"error_code": error.code, "unsupported": []}
    return {"type": "error", "error": said, "request_id": request_id}


def _message(error: ServerError) -> str:
    message = error.message
    if isinstance(error, ContextLengthExceeded):
        # The words by which Claude Code knows that it has to make the conversation shorter.
        return f"prompt is too long: {message}"
    if isinstance(error, ModelNotFound) and "claude" in message.lower():
        return (
            f"{message} Claude Code asks for other models with ANTHROPIC_MODEL, ANTHROPIC_DEFAULT_OPUS_MODEL, "
            "ANTHROPIC_DEFAULT_SONNET_MODEL and ANTHROPIC_DEFAULT_HAIKU_MODEL in its environment; model_aliases in the "
            "server's configuration gives a model such a name."
        )
    for ours, theirs in _NAMES:
        message = message.replace(ours, theirs)
    return message
