"""What /docs says of the bodies."""

from __future__ import annotations

from typing import Any

from lemonade_like.api.routes import _FAMILIES
from tests.support.turns import client_of, scripted_app


async def described() -> dict[str, Any]:
    async with client_of(scripted_app()) as client:
        description: dict[str, Any] = (await client.get("/openapi.json")).json()
    return description


def references(part: Any) -> set[str]:
    """The names of all definitions that are referred to."""
    if isinstance(part, dict):
        own = {part["$ref"].rpartition("/")[2]} if isinstance(part.get("$ref"), str) else set()
        return own.union(*map(references, part.values()))
    return set().union(*map(references, part)) if isinstance(part, list) else set()


async def test_every_definition_that_is_referred_to_is_there() -> None:
    description = await described()
    assert references(description) <= set(description["components"]["schemas"])


def test_two_bodies_do_not_share_a_name_for_different_things() -> None:
    found: dict[str, Any] = {}
    for route in (route for family in _FAMILIES for route in family.routes):
        extra = getattr(route, "openapi_extra", None) or {}
        for name, definition in extra.get("x-body-definitions", {}).items():
            assert found.setdefault(name, definition) == definition, name
    assert found
