"""Which addresses are this machine's own, and by which names it may be called."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_like.access import addresses
from lemonade_like.access.addresses import Hosts, is_own_address, listens_for_itself, require_protection
from lemonade_like.settings import Settings, SettingsError

NOBODY_ELSES = [
    "",
    "localhost",
    "LOCALHOST:8000",
    "localhost.",
    "app.localhost",
    "127.0.0.1",
    "127.0.0.1:8000",
    "192.168.1.20:8000",
    "203.0.113.7",
    "[::1]",
    "[::1]:8000",
    "[2001:db8::1]:80",
    "lemonade",
    "lemonade:8000",
    "host.docker.internal:8000",
    "box.local",
    "box.home.arpa",
]
SOMEBODYS = [
    "evil.example",
    "evil.example:8000",
    "evil.example.",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "local.evil.com:80",
    "notlocal.notinternal.com",
    "1.2.3.4.5",
    "127.0.0.1.nip.io",
]


@pytest.mark.parametrize("host", NOBODY_ELSES)
def test_names_that_no_web_page_can_have_are_allowed(host: str) -> None:
    assert Hosts().allow(host)


@pytest.mark.parametrize("host", SOMEBODYS)
def test_names_of_the_public_dns_are_not_unless_they_are_ours(host: str) -> None:
    assert not Hosts().allow(host)
    assert not Hosts(["other.example", "*.other.example"]).allow(host)
    assert Hosts(["*"]).allow(host)


def test_our_own_names_are_allowed() -> None:
    hosts = Hosts(["ai.example.com", "*.lab.example.com", "Box.Example."])
    for host in ("ai.example.com", "AI.example.com:443", "a.lab.example.com", "a.b.lab.example.com:1", "box.example"):
        assert hosts.allow(host)
    for host in ("x.ai.example.com", "lab.example.com", "evillab.example.com", "example.com"):
        assert not hosts.allow(host)


def test_the_host_that_is_listened_on_and_the_machines_name_are_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses.socket, "gethostname", lambda: "Box.example.com")
    hosts = Hosts.from_settings(Settings(host="ai.example.com", allowed_hosts="other.example.com"))
    assert all(hosts.allow(f"{name}:8000") for name in ("ai.example.com", "box.example.com", "other.example.com"))
    assert not hosts.allow("example.com")


@given(st.text(st.characters(codec="latin-1")))
def test_any_host_header_is_answered_for(host: str) -> None:
    Hosts().allow(host)


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("/run/lemonade.sock", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("fe80::1", False),
    ],
)
def test_only_loopback_is_this_machines_alone(address: str, own: bool) -> None:
    assert is_own_address(address) == own


def resolves_to(monkeypatch: pytest.MonkeyPatch, *found: str) -> None:
    def answers(*_: object, **__: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in found]

    monkeypatch.setattr(addresses.socket, "getaddrinfo", answers)


def test_a_name_is_this_machines_alone_if_all_its_addresses_are(monkeypatch: pytest.MonkeyPatch) -> None:
    assert listens_for_itself("localhost")
    assert listens_for_itself("no.such.host.invalid")  # which is refused when it is listened on
    resolves_to(monkeypatch, "127.0.0.1", "10.0.0.1")
    assert not listens_for_itself("box")
    resolves_to(monkeypatch, "127.0.1.1")
    assert listens_for_itself("box")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_on_loopback_no_key_is_needed(host: str) -> None:
    require_protection(Settings(host=host), protected=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_off_loopback_a_key_is_needed_unless_somebody_insists(host: str, caplog: pytest.LogCaptureFixture) -> None:
    require_protection(Settings(host=host), protected=True)
    assert not caplog.messages
    require_protection(Settings(host=host, insecure=True), protected=False)
    assert "there is no API key" in caplog.text
    with pytest.raises(SettingsError) as refused:
        require_protection(Settings(host=host), protected=False)
    message = refused.value.message
    assert len(message.splitlines()) == 3
    assert all(word in message for word in (host, "LEMONADE_LIKE_API_KEY", "docker run -e", "--insecure"))
