"""Which request the running code belongs to, so that each log line can say so."""

from __future__ import annotations

import re
import secrets
from contextvars import ContextVar
from typing import Final

#: The id of the request being answered; ``None`` outside of one. Tasks started for a request inherit it.
request_id_var: ContextVar[str | None] = ContextVar("request_id", default=None)

#: The path that the request asked for; ``None`` outside of one.
endpoint_var: ContextVar[str | None] = ContextVar("endpoint", default=None)

#: What a client may call its request: nothing that could break a header or forge a log line.
_SANE: Final = re.compile(r"[A-Za-z0-9._:\-]{1,128}")


def new_request_id(wished: str | None = None) -> str:
    """Return the client's own id for its request if it is a sane one, else a new one."""
    if wished is not None and _SANE.fullmatch(wished):
        return wished
    return f"req_{secrets.token_hex(12)}"
