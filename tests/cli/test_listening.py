from __future__ import annotations

import os
import socket
from pathlib import Path

import psutil
import pytest

from lemonade_like.cli import listening
from lemonade_like.cli.listening import AddressError, holder_of, listen, port_of


def test_port_0_takes_a_free_port_and_says_which() -> None:
    with listen("127.0.0.1", 0) as bound:
        assert port_of(bound) > 0
        with socket.create_connection(("127.0.0.1", port_of(bound))):
            pass


def test_a_port_in_use_names_the_process_that_holds_it() -> None:
    with listen("127.0.0.1", 0) as bound, pytest.raises(AddressError) as error:
        listen("127.0.0.1", port_of(bound))
    me = psutil.Process()
    assert f"{me.name()} (process {os.getpid()})" in error.value.message
    assert "--port 0" in error.value.message
    assert len(error.value.message.splitlines()) <= 3


def test_a_port_in_use_by_a_process_that_cannot_be_seen_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(_kind: str) -> list[object]:
        raise psutil.AccessDenied

    monkeypatch.setattr(listening.psutil, "net_connections", denied)
    with listen("127.0.0.1", 0) as bound, pytest.raises(AddressError, match="may not see"):
        listen("127.0.0.1", port_of(bound))


def test_a_free_port_has_no_holder() -> None:
    with listen("127.0.0.1", 0) as bound:
        port = port_of(bound)
    assert holder_of(port) is None


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1", "not a host"])
def test_an_address_of_another_machine_is_refused(host: str) -> None:
    with pytest.raises(AddressError, match="not an address of this machine"):
        listen(host, 0)


def test_a_port_that_this_user_may_not_take_is_explained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(_self: socket.socket, _address: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(listening.socket.socket, "bind", refuse)
    with pytest.raises(AddressError, match="may not listen on port 80"):
        listen("127.0.0.1", 80)
