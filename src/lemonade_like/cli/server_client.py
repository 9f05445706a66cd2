"""What a command asks of a running server, and with which key: the caller names it, so none goes where it must not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import httpx

from lemonade_like.errors import ServerError

#: A load or an answer may take minutes, and the server bounds it.
_TIMEOUT: Final = httpx.Timeout(10.0, read=None)


class ServerRefused(ServerError):
    """The running server cannot be reached, or does not do what it was asked to."""


@dataclass(frozen=True)
class RunningServer:
    """A server at ``url``, with or without ``/v1``. ``key`` goes with each request.

    ``if_away`` and ``if_locked`` are what to do where no server answers, and where the key is not let in.
    """

    url: str
    key: str | None = None
    if_away: str = ""
    if_locked: str = ""

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the server answers at ``path`` below ``/v1``. Raises ``ServerRefused``."""
        base = self.url.rstrip("/").removesuffix("/v1")
        headers = {b"Authorization": f"Bearer {self.key}".encode()} if self.key else {}
        try:
            answer = httpx.request(method, f"{base}/v1{path}", json=body, headers=headers, timeout=_TIMEOUT)
            told = answer.json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            why = f"No server answers at {self.url} ({str(error) or type(error).__name__})."
            raise ServerRefused(_lines(why, self.if_away)) from None
        if not isinstance(told, dict) or not answer.is_success:
            wrong = told.get("error") if isinstance(told, dict) else None
            message = wrong.get("message") if isinstance(wrong, dict) else None
            message = str(message or f"The server at {self.url} answered with HTTP {answer.status_code}.")
            raise ServerRefused(_lines(message, self.if_locked if answer.status_code in (401, 403) else ""))
        return told


def _lines(*lines: str) -> str:
    return "\n".join(filter(None, lines))
