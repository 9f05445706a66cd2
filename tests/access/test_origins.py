"""Which web pages may use the server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_like.access.origins import Origins, is_same

header = st.text(st.characters(codec="latin-1"))


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://localhost:8000", "localhost:8000"),
        ("http://LocalHost:8000", "localhost:8000"),
        ("http://[::1]:8000", "[::1]:8000"),
        ("http://box", "box:80"),
        ("http://box:80", "box"),
        # A proxy speaks TLS, and passes the host on.
        ("https://ai.example.com", "ai.example.com"),
        ("https://ai.example.com", "ai.example.com:443"),
        ("https://ai.example.com:8443", "ai.example.com:8443"),
    ],
)
def test_the_servers_own_pages_may(origin: str, host: str) -> None:
    assert is_same(origin, host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://evil.example", "localhost:8000"),
        ("http://localhost:3000", "localhost:8000"),
        ("http://localhost", "localhost:8000"),
        ("http://127.0.0.1:8000", "localhost:8000"),
        ("https://ai.example.com", "ai.example.com:80"),
        ("null", "null"),
        ("null", ""),
        ("", ""),
        ("file://", ""),
        ("http://", ""),
        ("chrome-extension://localhost:8000", "localhost:8000"),
        ("http://evil.example@localhost:8000", "localhost:8000"),
        ("http://localhost:8000/evil", "localhost:8000"),
        ("localhost:8000", "localhost:8000"),
    ],
)
def test_no_other_pages_may_unless_they_are_listed(origin: str, host: str) -> None:
    assert not is_same(origin, host)
    assert not Origins(["https://chat.example.com"]).allow(origin, host)
    assert Origins(["*"]).allow(origin, host)


def test_listed_pages_may() -> None:
    origins = Origins(["https://chat.example.com", "chrome-extension://abc", "http://localhost:3000"])
    for origin in ("https://chat.example.com", "HTTPS://chat.example.com", "chrome-extension://abc"):
        assert origins.allow(origin, "localhost:8000")
    for origin in ("http://chat.example.com", "https://chat.example.com:444", "https://chat.example.com.evil.example"):
        assert not origins.allow(origin, "localhost:8000")


@given(header, header)
def test_any_headers_are_answered_for(origin: str, host: str) -> None:
    is_same(origin, host)
