"""Which addresses are this machine's own, and which names of hosts nobody else can have.

A web page can have its own name lead to 127.0.0.1 and so make a browser talk to this server (DNS rebinding). The
browser then sends that name as the Host. What cannot be such a name is let through: see :class:`Hosts`.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
from typing import TYPE_CHECKING, Final

from lemonade_like.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lemonade_like.settings import Settings

_logger: Final = logging.getLogger(__name__)

#: No public DNS server has names that end so: RFC 6761, RFC 6762, RFC 8375, and ICANN's resolution on .internal.
_PRIVATE: Final = (".localhost", ".local", ".internal", ".home.arpa")
ANY: Final = "*"


class Hosts:
    """By which names the server may be called.

    Those are addresses, and names that are not in the public DNS: they cannot be somebody's who means harm. Of the
    names that are, it takes those in ``own``, where ``*.example.com`` is all below; ``*`` is any.
    """

    def __init__(self, own: Iterable[str] = ()) -> None:
        named = {name.lower().rstrip(".") for name in own}
        self._any = ANY in named
        self._names = frozenset(named)
        self._below = (*_PRIVATE, *(name[1:] for name in named if name.startswith("*.")))

    @classmethod
    def from_settings(cls, settings: Settings) -> Hosts:
        """Return those of the settings, and the machine's own name."""
        return cls([*settings.allowed_hosts, settings.host, socket.gethostname()])

    def allow(self, host: str) -> bool:
        """Tell whether a Host header (``name``, or ``name:port``) is one of these."""
        if self._any:
            return True
        name = name_of(host)
        return "." not in name or name in self._names or name.endswith(self._below) or _address(name) is not None


def name_of(host: str) -> str:
    """Return what a Host header names, without the port, in small letters."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower().rstrip(".")


def is_own_address(address: str) -> bool:
    """Tell whether only this machine can reach that address; what is no address (a socket's path) only it can."""
    found = _address(address)
    if found is None:
        return True
    mapped = getattr(found, "ipv4_mapped", None)
    return bool((mapped or found).is_loopback)


def require_protection(settings: Settings, *, protected: bool) -> None:
    """See that a server which can be reached from a network wants a key, or that somebody wants it not to.

    Raises:
        SettingsError: it does not.
    """
    if protected or listens_for_itself(settings.host):
        return
    if settings.insecure:
        _logger.warning(
            "there is no API key: whoever can reach %s may use the server, and load and delete models", settings.host
        )
        return
    raise SettingsError(
        f"There is no API key, and other machines can reach {settings.host}: whoever does could use the server.\n"
        "Set LEMONADE_LIKE_API_KEY (docker run -e LEMONADE_LIKE_API_KEY=…), api_key_file or --api-key; "
        "`openssl rand -hex 32` makes a key.\n"
        "Or listen on 127.0.0.1; or, if everybody there may use it, add --insecure (LEMONADE_LIKE_INSECURE=1)."
    )


def listens_for_itself(host: str) -> bool:
    """Tell whether only this machine can reach a server that listens on that host: an address, or a name of some."""
    if _address(host) is not None:
        return is_own_address(host)
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        return True  # nobody can listen there at all, which says whoever tries
    return all(is_own_address(str(each[4][0])) for each in found)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
