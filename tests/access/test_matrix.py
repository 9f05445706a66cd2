"""The authentication matrix: every endpoint, by what keys the server has, and by what key the caller has."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

import pytest
from starlette.responses import Response

from lemonade_like.access.keys import Keyring
from lemonade_like.access.levels import Level, level_of
from lemonade_like.settings import Settings
from tests.support.routes import endpoints, filled_in
from tests.support.turns import client_of, scripted_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

KEYS: Final[dict[str, dict[str, Any]]] = {
    "no keys": {},
    "an API key": {"api_key": "user"},
    "an admin key": {"admin_key": "boss"},
    "both": {"api_key": "user", "admin_key": "boss"},
}
CALLERS: Final[dict[str, dict[str, str]]] = {
    "none": {},
    "a wrong one": {"x-api-key": "wrong"},
    "the API key": {"Authorization": "Bearer user"},
    "the admin key": {"Authorization": "Bearer boss"},
}
#: What each of the callers gets, in that order.
MATRIX: Final = {
    "no keys": {
        Level.OPEN: "in  in  in  in",
        Level.USER: "in  in  in  in",
        Level.ADMIN: "in  in  in  in",
    },
    "an API key": {
        Level.OPEN: "in  in  in  in",
        Level.USER: "401 401 in  401",
        Level.ADMIN: "401 401 403 401",
    },
    "an admin key": {
        Level.OPEN: "in  in  in  in",
        Level.USER: "in  in  in  in",
        Level.ADMIN: "401 401 401 in",
    },
    "both": {
        Level.OPEN: "in  in  in  in",
        Level.USER: "401 401 in  in",
        Level.ADMIN: "401 401 403 in",
    },
}
ENDPOINTS: Final = endpoints(scripted_app())


@pytest.fixture(scope="module")
async def servers() -> AsyncIterator[dict[str, httpx.AsyncClient]]:
    """A client for each server. Who gets in is told so, and nothing is done."""
    async with AsyncExitStack() as opened:
        clients = {}
        for keys, settings in KEYS.items():
            app = scripted_app(**settings)
            app.router.middleware_stack = Response("in")
            clients[keys] = await opened.enter_async_context(client_of(app, checked=False))
        yield clients


@pytest.mark.parametrize("keys", KEYS)
@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
async def test_who_gets_in(method: str, path: str, keys: str, servers: dict[str, httpx.AsyncClient]) -> None:
    path = filled_in(path)
    answers = [await servers[keys].request(method, path, headers=key) for key in CALLERS.values()]

    got = ["in" if answer.text == "in" else str(answer.status_code) for answer in answers]
    assert got == MATRIX[keys][level_of(method, path)].split()


@pytest.mark.parametrize("keys", KEYS)
@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
def test_what_is_told_of_refusals_is_what_the_matrix_has(method: str, path: str, keys: str) -> None:
    told = Keyring.from_settings(Settings(**KEYS[keys])).refusals(method, path)
    seen = MATRIX[keys][level_of(method, filled_in(path))].split()
    assert told == {int(status) for status in seen if status != "in"}


def test_the_matrix_has_every_level_in_it() -> None:
    assert {level_of(method, filled_in(path)) for method, path in ENDPOINTS} == set(Level)
