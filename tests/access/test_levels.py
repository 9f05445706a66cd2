"""What each endpoint asks of whoever calls it."""

from __future__ import annotations

import pytest

from lemonade_like.access.levels import LEVELS, PREFIXES, Level, is_classified, level_of
from tests.support.routes import endpoints, filled_in
from tests.support.turns import scripted_app


def test_somebody_has_decided_who_may_call_each_endpoint() -> None:
    assert [endpoint for endpoint in endpoints(scripted_app()) if not is_classified(*endpoint)] == []


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("endpoint", LEVELS)
def test_the_table_is_read_as_it_is_written(endpoint: str, prefix: str) -> None:
    method, path = endpoint.split()
    assert level_of(method, prefix + filled_in(path)) == LEVELS[endpoint]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/nowhere"),
        ("POST", "/v1/health"),
        ("PUT", "/v1/models"),
        ("POST", "/v1/responses/x/y"),
        ("POST", "/v1/tools/a/b"),
        ("GET", "/v2/models"),
        ("GET", "/v1/v1/models"),
        ("GET", "//v1/models"),
        ("GET", "/v1/models/"),
        ("GET", "/v1/MODELS"),
        ("POST", "/v1/load"),
        ("websocket", "/v1/models"),
    ],
)
def test_what_nobody_has_decided_is_for_admins(method: str, path: str) -> None:
    assert level_of(method, path) is Level.ADMIN


def test_to_ask_for_the_head_takes_what_it_takes_to_read_it() -> None:
    assert level_of("HEAD", "/health") is Level.OPEN
    assert level_of("HEAD", "/v1/models") is Level.USER


def test_a_name_with_line_breaks_is_still_a_name() -> None:
    assert level_of("GET", "/v1/models/a\nb") is Level.USER
