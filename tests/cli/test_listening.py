from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import psutil
import pytest

from lemonade_like.cli import listening
from lemonade_like.cli.listening import AddressError, holder_of, listen, port_of


def test_port_0_takes_a_free_port_and_says_which() -> None:
    with listen("127.0.0.1", 0) as bound:
        assert port_of(bound[0]) > 0
        with socket.create_connection(("127.0.0.1", port_of(bound[0]))):
            pass


def test_a_port_in_use_names_the_process_that_holds_it() -> None:
    with listen("127.0.0.1", 0) as bound, pytest.raises(AddressError) as error, listen("127.0.0.1", port_of(bound[0])):
        pass
    me = psutil.Process()
    assert f"{me.name()} (process {os.getpid()})" in error.value.message
    assert "--port 0" in error.value.message
    assert len(error.value.message.splitlines()) <= 3


def test_a_port_in_use_by_a_process_that_cannot_be_seen_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(_kind: str) -> list[object]:
        raise psutil.AccessDenied

    monkeypatch.setattr(listening.psutil, "net_connections", denied)
    with (
        listen("127.0.0.1", 0) as bound,
        pytest.raises(AddressError, match="may not see"),
        listen("127.0.0.1", port_of(bound[0])),
    ):
        pass


def test_a_free_port_has_no_holder() -> None:
    with listen("127.0.0.1", 0) as bound:
        port = port_of(bound[0])
    assert holder_of(port) is None


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1", "not a host"])
def test_an_address_of_another_machine_is_refused(host: str) -> None:
    with pytest.raises(AddressError, match="not an address of this machine"), listen(host, 0):
        pass


def test_a_port_that_this_user_may_not_take_is_explained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(_self: socket.socket, _address: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(listening.socket.socket, "bind", refuse)
    with pytest.raises(AddressError, match="may not listen on port 80"), listen("127.0.0.1", 80):
        pass


def resolves_to(monkeypatch: pytest.MonkeyPatch, *hosts: str) -> None:
    def answers(_host: str, port: int, **_: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in hosts]

    monkeypatch.setattr(listening.socket, "getaddrinfo", answers)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere 127.0.0.1 is the only such address")
def test_a_name_with_several_addresses_is_listened_on_at_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    resolves_to(monkeypatch, "127.0.0.1", "127.0.0.2", "127.0.0.1")
    with listen("a-name", 0) as bound:
        assert [each.getsockname()[0] for each in bound] == ["127.0.0.1", "127.0.0.2"]
        assert len({port_of(each) for each in bound}) == 1


def test_an_address_of_a_name_that_is_not_there_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    resolves_to(monkeypatch, "192.0.2.1", "127.0.0.1")
    with listen("a-name", 0) as bound:
        assert [each.getsockname()[0] for each in bound] == ["127.0.0.1"]
    assert all(each.fileno() == -1 for each in bound)
