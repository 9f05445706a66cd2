"""Which web pages may use the server from a browser. Pure.

A browser says with ``Origin`` which page sends a request that is not a plain GET, whatever its content type; that is
checked before anything is done, so that no page can have a visitor's browser load models or use them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from lemonade_like.access.addresses import ANY

if TYPE_CHECKING:
    from collections.abc import Iterable

_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}
_PORT: Final = re.compile(r":(\d+)$")


class Origins:
    """Those from which requests are taken: ``listed`` ones, or any with ``*``, and the server's own."""

    def __init__(self, listed: Iterable[str] = ()) -> None:
        self._listed = frozenset(listed)

    def allow(self, origin: str, host: str) -> bool:
        """Tell whether a page of that origin may send this request, which came to that ``Host``."""
        return ANY in self._listed or origin.lower() in self._listed or is_same(origin, host)


def is_same(origin: str, host: str) -> bool:
    """Tell whether a page of that origin came from the server itself.

    Only hosts and ports are compared: behind a proxy that speaks TLS, the page's scheme is not ours.
    """
    scheme, separator, authority = origin.lower().partition("://")
    default = _DEFAULT_PORTS.get(scheme)
    if not separator or default is None or not host:
        return False
    return _with_port(authority, default) == _with_port(host.lower(), default)


def _with_port(authority: str, default: str) -> str:
    return authority if _PORT.search(authority) else f"{authority.rstrip(':')}:{default}"
