"""How somebody is turned away, over HTTP and over WebSocket."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from lemonade_like.errors import ServerError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

#: Makes an answer out of an error, in the wire format of the server.
Refuse = Callable[[ServerError], "ASGIApp"]

_POLICY_VIOLATION: Final = 1008


async def turn_away(error: ServerError, refuse: Refuse, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the error. A WebSocket is closed before it is open, which its client sees as a 403."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": ""})
    else:
        await refuse(error)(scope, receive, send)
