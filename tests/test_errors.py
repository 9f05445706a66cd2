"""What is left out of every error."""

from __future__ import annotations

import pytest

from lemonade_like.errors import EngineFailure, ServerError, without_logins


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("http://me:secret@mirror/x cannot be reached", "http://mirror/x cannot be reached"),
        ("https://token@hub:8000", "https://hub:8000"),
        ("<ProxyError('socks5://me:p@ss@proxy:1')>", "<ProxyError('socks5://proxy:1')>"),
        ("http://a:secret@b and http://c:secret@d", "http://b and http://d"),
        ("http://mirror/@scope/file, write to me@example.com", "http://mirror/@scope/file, write to me@example.com"),
        ("://@", "://"),
    ],
)
def test_the_logins_of_urls_are_left_out(said: str, shown: str) -> None:
    assert without_logins(said) == shown
    assert (ServerError(said).message, str(ServerError(said))) == (shown, shown)
    assert shown in EngineFailure("It died.", log_tail=said).message
