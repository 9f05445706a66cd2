"""Wherever a request names a model, the name leads nowhere else."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import quote

import httpx
import pytest

from lemonade_like.api.services import Services
from lemonade_like.app import create_app, open_services
from lemonade_like.models.hub import HubPlace
from lemonade_like.observe.observation import Observation
from lemonade_like.settings import Settings
from tests.support.evil_names import COMMON, SECRET, spelt
from tests.support.hub import Hub, running_hub
from tests.support.models import Machine, put_file
from tests.support.turns import client_of

CHAT: Final = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
#: Every way in which a name comes in: method, path, and the body around the name.
WAYS: Final[dict[str, tuple[str, str, Any]]] = {
    "chat": ("POST", "/chat/completions", lambda name: {"model": name, **CHAT}),
    "render": ("POST", "/chat/completions/render", lambda name: {"model": name, **CHAT}),
    "messages": ("POST", "/messages", lambda name: {"model": name, **CHAT}),
    "count": ("POST", "/messages/count_tokens", lambda name: {"model": name, **CHAT}),
    "responses": ("POST", "/responses", lambda name: {"model": name, "input": "Hi"}),
    "load": ("POST", "/load", lambda name: {"model_name": name}),
    "unload": ("POST", "/unload", lambda name: {"model_name": name}),
    "pull": ("POST", "/pull", lambda name: {"model_name": name}),
    "pull, a checkpoint": ("POST", "/pull", lambda name: {"model_name": "user.x", "checkpoint": name}),
    "pull, a projector": (
        "POST",
        "/pull",
        lambda name: {"model_name": "user.x", "checkpoint": "org/repo:Q4_0", "mmproj": name},
    ),
    "pull, a name": ("POST", "/pull", lambda name: {"model_name": name, "checkpoint": "org/repo:Q4_0"}),
    "cancel": ("POST", "/pull/cancel", lambda name: {"model_name": name}),
    "delete": ("POST", "/delete", lambda name: {"model_name": name}),
    "register": ("POST", "/models/register", lambda name: {"model_name": name, "checkpoint": "org/repo:Q4_0"}),
    "register, a checkpoint": ("POST", "/models/register", lambda name: {"model_name": "user.x", "checkpoint": name}),
    "register, a projector": (
        "POST",
        "/models/register",
        lambda name: {"model_name": "user.x", "checkpoint": "org/repo:Q4_0", "mmproj": name},
    ),
    "install": ("POST", "/install", lambda name: {"backend": name}),
    "uninstall": ("POST", "/uninstall", lambda name: {"backend": name}),
    "variants": ("GET", "/pull/variants?checkpoint=", None),
    "a model": ("GET", "/models/", None),
    "a response": ("GET", "/responses/", None),
}


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with running_hub({}) as running:
        yield running


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    machine = Machine(tmp_path_factory.mktemp("machine"))
    machine.cached("org/repo", "m-Q4_0.gguf")
    put_file(machine.folder / SECRET)
    return machine


@pytest.fixture(scope="module")
async def client(machine: Machine, hub: Hub) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server with real rooms, on a machine with a secret beside its folders."""
    place = HubPlace(hub.url, machine.hub_cache)

    @asynccontextmanager
    async def opened(settings: Settings, observation: Observation) -> AsyncIterator[Services]:
        async with open_services(settings, observation, registry=machine.registry(), hub=place) as services:
            yield services

    async with client_of(create_app(machine.settings(), opened)) as client:
        yield client


@pytest.mark.parametrize("way", WAYS)
async def test_it_is_refused_as_the_clients_mistake(
    way: str, client: httpx.AsyncClient, machine: Machine, hub: Hub
) -> None:
    method, path, body = WAYS[way]
    before = sorted(file for file in machine.folder.rglob("*") if "logs" not in file.parts)
    for common in COMMON:
        name = spelt(common, machine.folder / SECRET)
        if body is None and len(name) > 1000:  # no URL is so long
            continue
        # With the dots, too, or the client would follow them itself.
        where = path if body is not None else path + quote(name, safe="").replace(".", "%2E")
        answer = await client.request(
            method, f"/v1{where}", content=json.dumps(body(name)) if body is not None else None
        )
        assert 400 <= answer.status_code < 500, (name[:100], answer.text[:500])
        assert len(answer.text) < 2_000
    assert sorted(file for file in machine.folder.rglob("*") if "logs" not in file.parts) == before
    assert [seen.path for seen in hub.seen if ".." in seen.path] == []
