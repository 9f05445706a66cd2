"""Everything that can go wrong in a way that a user should read about, and whose doing it was.

::

    ServerError                     500  server_error
    ├── BadRequest                  400  invalid_request_error: the client asked for something that cannot be
    │   └── ContextLengthExceeded   400  context_length_exceeded
    ├── ModelNotFound               404  model_not_found
    ├── ModelNotLoaded              404  model_not_loaded: there is nothing to unload
    ├── ModelBusy                   409  model_busy: turns still run on it
    ├── Unauthorized                401  invalid_api_key
    ├── Forbidden                   403  forbidden: the server knows who asks, or from where, and does not let them
    ├── QueueFull                   429  queue_full: too many wait already
    ├── NotOffered                  501  not_supported: the engine that runs has not what was asked for
    ├── HarmonyUnavailable          500  harmony_unavailable: Harmony was asked for and cannot be had
    └── EngineFailure               500  the engine could not load the model, or died
        ├── EngineNotFound          500  there is no engine to run
        ├── NotEnoughMemory         500  not_enough_memory: the model does not fit beside what may not be unloaded
        └── EngineUnavailable       503  the engine takes no turns now
            └── ShuttingDown        503  shutting_down: the server is, and takes no new turns

Every wire format writes the same four facts: message, type, param, code. A message says what happened, why, and what
to do; the logins of URLs are left out of it. Where it helps to come back later, ``retry_after`` says after how many
seconds; HTTP has a header for it.
"""

from __future__ import annotations

import re
from typing import ClassVar, Final

_LOGIN: Final = re.compile(r"(?<=://)[^/\s]*@")


def without_logins(text: str) -> str:
    """Return the text without the names and passwords in its URLs (of a mirror, a hub, a proxy)."""
    return _LOGIN.sub("", text) if "@" in text else text


class ServerError(Exception):
    """Base of all. ``param`` names the field of the request that is at fault, where one is."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    default_code: ClassVar[str | None] = None
    retry_after: int | None = None

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        self.message = without_logins(message)
        super().__init__(self.message)
        self.param = param
        self.code = code or self.default_code


class BadRequest(ServerError):
    """The request can be read, but asks for something that cannot be."""

    status = 400
    type = "invalid_request_error"


class ContextLengthExceeded(BadRequest):
    """The prompt does not fit into the context that the model is loaded with."""

    default_code = "context_length_exceeded"


class ModelNotFound(ServerError):
    """No model of that name is known here."""

    status = 404
    type = "invalid_request_error"
    default_code = "model_not_found"


class ModelNotLoaded(ServerError):
    """The model is known, but not loaded."""

    status = 404
    type = "invalid_request_error"
    default_code = "model_not_loaded"


class ModelBusy(ServerError):
    """The model cannot go yet: turns run on it, and none is ever cut off."""

    status = 409
    type = "invalid_request_error"
    default_code = "model_busy"


class Unauthorized(ServerError):
    """The request carries no API key, or a wrong one."""

    status = 401
    type = "invalid_request_error"
    default_code = "invalid_api_key"


class Forbidden(ServerError):
    """Who asks may not do this, or nobody may from there; the code says which."""

    status = 403
    type = "invalid_request_error"
    default_code = "forbidden"


class QueueFull(ServerError):
    """As many turns wait as may wait; ``retry_after`` is in how many seconds a place is likely to be free."""

    status = 429
    type = "rate_limit_error"
    default_code = "queue_full"

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NotOffered(ServerError):
    """The engine that runs has not what was asked for; another one, or the same started otherwise, may have it."""

    status = 501
    default_code = "not_supported"


class HarmonyUnavailable(ServerError):
    """openai-harmony is missing, or its vocabulary cannot be loaded; the message says how to mend it."""

    default_code = "harmony_unavailable"


class EngineFailure(ServerError):
    """The engine could not load the model, or died; ``log_tail`` is the end of what it printed while it loaded.

    What it printed later may tell of others' turns, and is for the server's log only.
    """

    default_code = "engine_failure"

    def __init__(self, message: str, *, log_tail: str = "", code: str | None = None) -> None:
        super().__init__(message if not log_tail else f"{message}\nThe engine's last lines:\n{log_tail}", code=code)
        self.log_tail = log_tail


class EngineNotFound(EngineFailure):
    """There is no engine to run: no llama-server was found, and the bundled one is not installed."""

    default_code = "engine_not_found"


class NotEnoughMemory(EngineFailure):
    """The model does not fit into the memory that models may take; the message says what stands in its way."""

    default_code = "not_enough_memory"


class EngineUnavailable(EngineFailure):
    """The engine takes no turns now: it is going away, or it keeps crashing and is given time."""

    status = 503
    default_code = "engine_unavailable"


class ShuttingDown(EngineUnavailable):
    """The server has been told to stop. Where another takes its place, it is soon there."""

    default_code = "shutting_down"
    retry_after = 5
