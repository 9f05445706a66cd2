"""The socket that the server listens on, taken before anything else is started; and who has it if it is taken."""

from __future__ import annotations

import errno
import socket
import sys

import psutil

from lemonade_like.errors import ServerError


class AddressError(ServerError):
    """The server cannot listen where it is told to; three lines at most."""


def listen(host: str, port: int) -> socket.socket:
    """A socket bound to that address, for uvicorn to listen on. Raises :class:`AddressError`."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError):
        raise AddressError(
            f"{host!r} is not an address of this machine.\nUse --host 127.0.0.1, or 0.0.0.0 for every network."
        ) from None
    bound = socket.socket(family, kind, protocol)
    try:
        # On Windows SO_REUSEADDR would let two servers share one port; there, the default refuses.
        if sys.platform != "win32":
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        # From here on nobody else can take the port, and early clients wait instead of being refused.
        bound.listen(2048)
    except OSError as error:
        bound.close()
        raise AddressError(_explain(error, host, port)) from None
    return bound


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
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is not an address of this machine.\nUse --host 127.0.0.1, or 0.0.0.0 for every network."
    return f"Cannot listen on port {port} of {host}: {error.strerror}."
