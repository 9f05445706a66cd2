"""The socket that the server listens on, taken before anything else is started; and who has it if it is taken."""

from __future__ import annotations

import errno
import socket
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final

import psutil

from lemonade_like.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Iterator


#: Where to try an address that stands for every network of the machine.
_EVERY_NETWORK: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - it is not listened on here


class AddressError(ServerError):
    """The server cannot listen where it is told to; three lines at most."""


def url_of(host: str, port: int) -> str:
    """Where a server that listens on ``host`` can be reached from this machine."""
    host = _EVERY_NETWORK.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


@contextmanager
def listen(host: str, port: int) -> Iterator[list[socket.socket]]:
    """Sockets for uvicorn to listen on, one for each address of the host, which all have the same port.

    Raises :class:`AddressError`.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError):
        raise AddressError(
            f"{host!r} is not an address of this machine.\nUse --host 127.0.0.1, or 0.0.0.0 for every network."
        ) from None
    with ExitStack() as opened:
        sockets: list[socket.socket] = []
        unavailable: OSError | None = None
        for family, kind, protocol, _, address in dict.fromkeys(found):
            # With port 0 the first address gets any free port, and the others the same.
            wanted = port_of(sockets[0]) if sockets else port
            try:
                bound = opened.enter_context(socket.socket(family, kind, protocol))
                _bind(bound, (address[0], wanted, *address[2:]), alone=len(found) == 1)
            except OSError as error:
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise AddressError(_explain(error, host, wanted)) from None
                unavailable = error  # a name may stand for an address that this machine has not (::1 without IPv6)
            else:
                sockets.append(bound)
        if unavailable is not None and not sockets:
            raise AddressError(_explain(unavailable, host, port)) from None
        yield sockets


def _bind(bound: socket.socket, address: tuple[Any, ...], *, alone: bool) -> None:
    # On Windows SO_REUSEADDR would let two servers share one port; there, the default refuses.
    if sys.platform != "win32":
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if bound.family == socket.AF_INET6 and not alone:
        bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    bound.bind(address)
    # From here on nobody else can take the port, and early clients wait instead of being refused.
    bound.listen(2048)


def port_of(bound: socket.socket) -> int:
    """The port that a socket has, also when the system chose it."""
    return int(bound.getsockname()[1])


def holder_of(port: int) -> tuple[int, str] | None:
    """The process id and name of who listens on that TCP port, if this user may see it."""
    try:
        connections = psutil.net_connections("tcp")
    except (psutil.Error, OSError):
        return None
    for connection in connections:
        listens = connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
        if listens and connection.pid:
            try:
                return connection.pid, psutil.Process(connection.pid).name()
            except psutil.Error:
                continue
    return None


def _explain(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        holder = holder_of(port)
        if holder is None:
            who, stop = "a process that this user may not see", "Stop it"
        else:
            who, stop = f"{holder[1]} (process {holder[0]})", f"Stop it (kill {holder[0]})"
        return f"Port {port} on {host} is in use by {who}.\n{stop}, or take another port: --port 0 finds a free one."
    if error.errno == errno.EACCES:
        return f"This user may not listen on port {port} of {host}.\nPorts from 1024 up are free for everybody."
    if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
        return f"{host} is not an address of this machine.\nUse --host 127.0.0.1, or 0.0.0.0 for every network."
    return f"Cannot listen on port {port} of {host}: {error.strerror}."
