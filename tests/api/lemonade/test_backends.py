"""POST /install and /uninstall, with real engines from a server that answers as GitHub does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from lemonade_like.engine.backends.assets import BackendError
from lemonade_like.engine.backends.installed import installed_engine
from lemonade_like.engine.backends.manager import EngineManager
from tests.support.machines import amd, recorded
from tests.support.releases import VULKAN, ReleaseServer, release_of, release_server
from tests.support.server import serving
from tests.support.turns import client_of, scripted_app, scripted_services

B100 = VULKAN.format(tag="b100")


class Bench:
    """A server with an engine manager, on a machine with an AMD card unless another is given."""

    def __init__(self, server: ReleaseServer, folder: Path, machine: Any = amd) -> None:
        self.changes = 0
        self.folder = folder / "backends"
        probe = machine(folder / "machine")
        self.manager = EngineManager(self.folder, server.url, self._count, probe=probe, environ={"NO_PROXY": "*"})
        self.app = scripted_app(scripted_services(engines=self.manager))

    def _count(self) -> None:
        self.changes += 1

    async def post(self, path: str, **body: Any) -> httpx.Response:
        async with client_of(self.app) as client:
            return await client.post(path, json=body)

    def version(self, backend: str = "vulkan") -> str | None:
        engine = installed_engine(self.folder, backend)
        return engine.version if engine else None


@asynccontextmanager
async def bench(folder: Path, server: ReleaseServer, **more: Any) -> AsyncIterator[Bench]:
    one = Bench(server, folder, **more)
    try:
        yield one
    finally:
        await one.manager.close()


def events(text: str) -> list[tuple[str, Any]]:
    blocks = [block.split("\n", 1) for block in text.strip().split("\n\n") if not block.startswith(":")]
    return [(name.removeprefix("event: "), orjson.loads(data.removeprefix("data: "))) for name, data in blocks]


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
async def test_an_engine_is_installed_and_removed(tmp_path: Path, prefix: str) -> None:
    with release_server() as server:
        async with bench(tmp_path, server) as one:
            done = await one.post(f"{prefix}/install", recipe="llamacpp", backend="vulkan")
            assert (done.status_code, done.json()) == (
                200,
                {"status": "success", "recipe": "llamacpp", "backend": "vulkan"},
            )
            assert (one.version(), one.changes) == ("b100", 1)

            gone = await one.post(f"{prefix}/uninstall", recipe="llamacpp", backend="vulkan")
            assert gone.status_code == 200
            assert (one.version(), one.changes) == (None, 2)
            again = await one.post(f"{prefix}/uninstall", backend="vulkan")
            assert again.status_code == 404
            assert "There is no vulkan engine" in again.json()["error"]["message"]


async def test_a_stream_tells_how_far_it_is(tmp_path: Path) -> None:
    with release_server({"b99": release_of("b99"), "b100": release_of("b100")}) as server:
        async with bench(tmp_path, server) as one:
            told = events((await one.post("/v1/install", backend="vulkan", version="b99", stream=True)).text)
        size = len(server.releases["b99"][VULKAN.format(tag="b99")])
    assert one.version() == "b99"
    assert [name for name, _ in told] == ["progress", "progress", "complete"]
    assert told[1][1] == {
        "file": VULKAN.format(tag="b99"),
        "bytes_downloaded": size,
        "bytes_total": size,
        "percent": 100,
    }
    assert told[2][1] == {"status": "success", "recipe": "llamacpp", "backend": "vulkan", "percent": 100}


async def test_what_fails_is_told_with_the_reason(tmp_path: Path) -> None:
    with release_server() as server:
        server.digests[B100] = "wrong"
        async with bench(tmp_path, server) as one:
            whole = await one.post("/v1/install", backend="vulkan")
            told = events((await one.post("/v1/install", backend="vulkan", stream=True)).text)
            assert (one.version(), one.changes) == (None, 0)
    assert whole.status_code == 502
    assert "not what the release says" in whole.json()["error"]["message"]
    assert told[-1][0] == "error"
    assert "not what the release says" in told[-1][1]["error"]["message"]


@pytest.mark.parametrize("version", ["", "latest", "b7", "../b100"])
async def test_a_version_that_is_not_there_is_the_clients_mistake(tmp_path: Path, version: str) -> None:
    with release_server() as server:
        async with bench(tmp_path, server) as one:
            answer = await one.post("/v1/install", backend="vulkan", version=version)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "version_not_found")


async def test_what_does_not_fit_the_machine_needs_force(tmp_path: Path) -> None:
    with release_server() as server:
        async with bench(tmp_path, server, machine=recorded) as one:
            refused = await one.post("/v1/install", backend="vulkan", stream=True)
            assert refused.status_code == 400
            assert refused.json()["error"]["code"] == "unsupported_backend"
            assert "force" in refused.json()["error"]["message"]
            assert server.asked == []
            assert (await one.post("/v1/install", backend="vulkan", force=True)).status_code == 200
            assert one.version() == "b100"


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/install", {}, "backend"),
        ("/v1/install", {"backend": "bundled"}, "backend"),
        ("/v1/install", {"backend": 7}, "backend"),
        ("/v1/install", {"backend": "cpu", "recipe": "whispercpp"}, "recipe"),
        ("/v1/install", {"backend": "cpu", "version": 7}, "version"),
        ("/v1/install", {"backend": "cpu", "stream": "yes"}, "stream"),
        ("/v1/uninstall", {"backend": "../x"}, "backend"),
    ],
)
async def test_a_request_that_makes_no_sense_names_the_field(path: str, body: dict[str, Any], param: str) -> None:
    async with client_of(scripted_app()) as client:
        answer = await client.post(path, json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


async def test_a_client_that_goes_away_ends_nothing_and_a_second_one_is_told(tmp_path: Path) -> None:
    with release_server() as server:
        server.stalls = True
        async with bench(tmp_path, server) as one, serving(one.app) as url, httpx.AsyncClient() as client:
            body = {"backend": "vulkan", "stream": True}
            async with client.stream("POST", f"{url}/v1/install", json=body) as response:
                assert (await anext(response.aiter_lines())) == "event: progress"
            busy = await client.post(f"{url}/v1/install", json={"backend": "vulkan"})
            assert (busy.status_code, busy.json()["error"]["code"]) == (409, "backend_busy")
            # What has come so far is half; the server ends it there.
            assert len(one.manager._jobs) == 1
            server.ends.set()
            while one.manager._jobs:
                await asyncio.sleep(0.01)
            server.stalls = False
            assert (await client.post(f"{url}/v1/install", json={"backend": "vulkan"})).status_code == 200
    assert one.version() == "b100"


async def test_a_server_that_stops_does_not_wait_for_a_silent_mirror_and_leaves_nothing_half_installed(
    tmp_path: Path,
) -> None:
    with release_server() as server:
        server.stalls = True
        async with bench(tmp_path, server) as one:
            steps = one.manager.install("vulkan")
            await anext(steps)
            assert await asyncio.to_thread(server.held.wait, 30)
            await one.manager.close()
            assert len(one.manager._jobs) == 1
            server.ends.set()
            with pytest.raises(BackendError, match=r"stopping|could not be fetched"):
                async for _ in steps:
                    pass
    assert one.version() is None
    assert not list(one.folder.glob(".vulkan-*"))
