"""POST /pull, POST /pull/cancel, POST /delete and GET /pull/variants, from the local hub over a real connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from fastapi import FastAPI

from lemonade_like.app import create_app, open_services
from lemonade_like.models.registry import Registry
from lemonade_like.settings import Settings
from tests.support.hub import GATED, Gate, Hub, running_hub, weights
from tests.support.pulls import Puller
from tests.support.server import serving
from tests.support.sse import named_events
from tests.support.turns import client_of

BUILT_IN = "gpt-oss-20b-GGUF"
HALF = 1 << 20
SIZE = 2 * HALF
FILE = "gpt-oss-20b-mxfp4.gguf"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    repos = {
        "ggml-org/gpt-oss-20b-GGUF": {FILE: weights(SIZE)},
        "org/eyes": {"m-Q4_0.gguf": weights(700), "m-Q8_0.gguf": weights(900), "mmproj-F16.gguf": weights(300)},
    }
    with running_hub(repos) as running:
        yield running


@pytest.fixture
def puller(hub: Hub, tmp_path: Path) -> Puller:
    return Puller(hub, tmp_path / "cache")


def app_of(puller: Puller, folder: Path, **settings: Any) -> FastAPI:
    chosen = Settings(cache_dir=folder / "own", **settings)
    registry = Registry.from_settings(chosen, puller.place.cache)
    return create_app(chosen, partial(open_services, registry=registry, hub=puller.place))


@pytest.fixture
async def client(puller: Puller, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Gets each answer when it is whole."""
    async with client_of(app_of(puller, tmp_path), base_url="http://server/v1") as client:
        yield client


@pytest.fixture
async def live(puller: Puller, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Has a real connection."""
    async with (
        serving(app_of(puller, tmp_path)) as url,
        httpx.AsyncClient(base_url=f"{url}/v1", timeout=30) as client,
    ):
        yield client


async def events_of(client: httpx.AsyncClient, **body: Any) -> list[tuple[str, dict[str, Any]]]:
    async with client.stream("POST", "/pull", json={"stream": True, **body}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        return [event async for event in named_events(response)]


async def opening(gate: Gate, response: httpx.Response) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """The events; the gate is opened when the first has come."""
    async for event in named_events(response):
        gate.opened.set()
        yield event


async def downloaded(client: httpx.AsyncClient, name: str) -> bool:
    return (await client.get(f"/models/{name}")).json()["downloaded"] is True


def error_of(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return dict(error)


@pytest.mark.parametrize("field", ["model_name", "model"])
async def test_a_pull_answers_when_the_model_is_there(field: str, client: httpx.AsyncClient) -> None:
    assert not await downloaded(client, BUILT_IN)
    answer = await client.post("/pull", json={field: BUILT_IN})
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "success",
        "message": f"Installed model: {BUILT_IN}",
        "model_name": BUILT_IN,
    }
    assert await downloaded(client, BUILT_IN)


async def test_a_stream_has_progress_and_then_complete(live: httpx.AsyncClient, hub: Hub) -> None:
    gate = hub.faults.gates[FILE] = Gate(after=HALF)
    seen: list[tuple[str, dict[str, Any]]] = []
    async with live.stream("POST", "/pull", json={"model_name": BUILT_IN, "stream": True}) as response:
        async for name, said in named_events(response):
            seen.append((name, said))
            if name == "progress" and said["bytes_downloaded"] == HALF:
                gate.opened.set()
    half = next(said for _, said in seen if said.get("bytes_downloaded") == HALF)
    assert half.pop("rate") > 0
    assert half.pop("eta") is not None
    assert half == {
        "file": FILE,
        "file_index": 1,
        "total_files": 1,
        "bytes_downloaded": HALF,
        "bytes_total": SIZE,
        "total_bytes_downloaded": HALF,
        "total_bytes": SIZE,
        "percent": 50,
        "stage": "downloading",
    }
    *progress, (last, done) = seen
    assert {name for name, _ in progress} == {"progress"}
    assert (last, done["status"], done["model_name"], done["percent"]) == ("complete", "success", BUILT_IN, 100)


async def test_two_clients_see_the_same_pull_and_one_that_leaves_ends_nothing(
    live: httpx.AsyncClient, hub: Hub
) -> None:
    gate = hub.faults.gates[FILE] = Gate(after=HALF)
    async with live.stream("POST", "/pull", json={"model_name": BUILT_IN, "stream": True}) as leaves:
        async for name, said in named_events(leaves):
            if name == "progress" and said["bytes_downloaded"] == HALF:
                break
    # It has gone. Whoever comes now sees how far it is.
    async with live.stream("POST", "/pull", json={"model_name": BUILT_IN, "stream": True}) as joins:
        joined = named_events(joins)
        name, said = await anext(joined)
        assert (name, said["bytes_downloaded"]) == ("progress", HALF)
        whole = asyncio.create_task(live.post("/pull", json={"model_name": BUILT_IN}))
        gate.opened.set()
        assert [name async for name, _ in joined][-1] == "complete"
    assert (await whole).status_code == 200
    assert hub.starts(FILE) == [0]


async def test_a_cancelled_pull_is_told_to_all_and_the_next_one_goes_on(live: httpx.AsyncClient, hub: Hub) -> None:
    gate = hub.faults.gates[FILE] = Gate(after=HALF)
    whole = asyncio.create_task(live.post("/pull", json={"model_name": BUILT_IN}))
    async with live.stream("POST", "/pull", json={"model_name": BUILT_IN, "stream": True}) as response:
        events = named_events(response)
        while (await anext(events))[1].get("bytes_downloaded") != HALF:
            pass
        answer = await live.post("/pull/cancel", json={"model_name": BUILT_IN})
        assert (answer.status_code, answer.json()["status"]) == (200, "success")
        name, said = await anext(events)
    assert (name, said["error"]["code"]) == ("error", "pull_cancelled")
    assert error_of(await whole, 409)["code"] == "pull_cancelled"
    assert not await downloaded(live, BUILT_IN)
    gate.opened.set()
    assert (await live.post("/pull", json={"model_name": BUILT_IN})).status_code == 200
    assert hub.starts(FILE) == [0, HALF]


async def test_what_is_not_being_pulled_cannot_be_cancelled(client: httpx.AsyncClient) -> None:
    answer = await client.post("/pull/cancel", json={"model_name": BUILT_IN})
    assert error_of(answer, 404)["code"] == "no_such_pull"


async def test_a_silent_line_is_kept_alive_with_comments(puller: Puller, hub: Hub, tmp_path: Path) -> None:
    gate = hub.faults.gates[FILE] = Gate(after=HALF)
    body = {"model_name": BUILT_IN, "stream": True}
    async with (
        serving(app_of(puller, tmp_path, keep_alive=0.01)) as url,
        httpx.AsyncClient(timeout=30) as client,
        client.stream("POST", f"{url}/v1/pull", json=body) as response,
    ):
        async for name, _ in named_events(response):
            if name == "" and gate.reached.is_set():
                gate.opened.set()
    assert gate.opened.is_set()
    assert name == "complete"


async def test_the_bundled_model_is_there_already(client: httpx.AsyncClient, hub: Hub) -> None:
    assert (await client.post("/pull", json={"model_name": "tiny-gpt-oss"})).status_code == 200
    ((name, _),) = await events_of(client, model_name="tiny-gpt-oss")
    assert name == "complete"
    assert hub.seen == []


async def test_a_users_model_is_registered_and_pulled_with_its_projector(client: httpx.AsyncClient, hub: Hub) -> None:
    body = {"model_name": "user.eyes", "checkpoint": "org/eyes:Q4_0", "recipe": "llamacpp", "vision": True}
    assert [name for name, _ in await events_of(client, **body)][-1] == "complete"
    assert hub.fetched == ["mmproj-F16.gguf", "m-Q4_0.gguf"]
    model = (await client.get("/models/user.eyes")).json()
    assert (model["checkpoint"], model["labels"], model["downloaded"]) == ("org/eyes:Q4_0", ["vision"], True)
    # By its name alone it is pulled as before.
    assert (await client.post("/pull", json={"model_name": "user.eyes"})).status_code == 200
    assert hub.fetched == ["mmproj-F16.gguf", "m-Q4_0.gguf"]


@pytest.mark.parametrize("fields", [("model_name",), ("checkpoint",), ("model_name", "checkpoint")])
@pytest.mark.parametrize("spelt", ["org/eyes:Q4_0", "hf.co/org/eyes:q4_0", "org/eyes:m-Q4_0.gguf"])
async def test_a_checkpoint_is_pulled_without_being_registered(
    fields: tuple[str, ...], spelt: str, client: httpx.AsyncClient, hub: Hub
) -> None:
    answer = await client.post("/pull", json=dict.fromkeys(fields, spelt))
    assert answer.status_code == 200, answer.text
    assert hub.fetched == ["m-Q4_0.gguf"]
    assert await downloaded(client, answer.json()["model_name"])
    assert [model["id"] for model in (await client.get("/models")).json()["data"]] == ["tiny-gpt-oss", "org/eyes:Q4_0"]


@pytest.mark.parametrize("name", ["user.eyes", "USER.eyes", "eyes"])
async def test_a_model_is_registered_under_one_name_however_that_is_spelt(name: str, client: httpx.AsyncClient) -> None:
    answer = await client.post("/pull", json={"model_name": name, "checkpoint": "https://hf.co/org/eyes:q4_0"})
    assert answer.json()["model_name"] == "user.eyes"
    assert (await client.get("/models/user.eyes")).json()["checkpoint"] == "org/eyes:Q4_0"


@pytest.mark.parametrize(
    ("body", "status", "code", "part"),
    [
        ({}, 400, "missing_required_parameter", "model_name"),
        ({"model_name": 5}, 400, "invalid_value", "'model_name' must be a string"),
        ({"model_name": ""}, 400, "invalid_value", "must not be an empty string"),
        ({"model_name": "a", "model": "b"}, 400, "invalid_value", "differ"),
        ({"model_name": "user.x", "checkpoint": "nonsense"}, 400, "invalid_value", "org/repo:QUANT"),
        ({"model_name": "user.x", "checkpoint": "org/r", "recipe": "oga"}, 400, "invalid_value", "llamacpp"),
        ({"model_name": "user.a b", "checkpoint": "org/eyes:Q4_0"}, 400, "invalid_value", "user.NAME"),
        (
            {"model_name": "user.x", "checkpoint": "org/eyes:Q4_0", "labels": ["invented"]},
            400,
            "invalid_value",
            "labels",
        ),
        ({"model_name": "user.", "checkpoint": "org/eyes:Q4_0"}, 400, "invalid_value", "user.NAME"),
        ({"model_name": "nobody"}, 404, "model_not_found", "There is no model"),
        ({"model_name": "user.x", "checkpoint": "org/eyes"}, 400, "ambiguous_quant", "org/eyes:Q4_0, org/eyes:Q8_0."),
        (
            {"model_name": "user.x", "checkpoint": "org/eyes:Q5_0"},
            400,
            "quant_not_found",
            "org/eyes:Q4_0, org/eyes:Q8_0.",
        ),
        ({"model_name": "user.x", "checkpoint": "org/none:Q4_0"}, 404, "repository_not_found", "org/none"),
        ({"model_name": "user.x", "checkpoint": f"{GATED}:Q4_0"}, 403, "gated_repository", "HF_TOKEN"),
    ],
)
async def test_a_mistake_has_its_own_status_and_registers_nothing(
    body: dict[str, Any], status: int, code: str, part: str, client: httpx.AsyncClient
) -> None:
    error = error_of(await client.post("/pull", json=body), status)
    assert error["code"] == code
    assert part in error["message"]
    assert (await client.get("/models/user.x")).status_code == 404


async def test_a_mistake_has_its_own_status_for_a_stream_too(client: httpx.AsyncClient) -> None:
    unknown = await client.post("/pull", json={"model_name": "nobody", "stream": True})
    assert error_of(unknown, 404)["code"] == "model_not_found"
    ambiguous = await client.post("/pull", json={"checkpoint": "org/eyes", "stream": True})
    assert error_of(ambiguous, 400)["code"] == "ambiguous_quant"


async def test_a_file_that_is_wrong_ends_the_stream_with_an_error(live: httpx.AsyncClient, hub: Hub) -> None:
    hub.faults.content[FILE] = weights(SIZE, seed=3)
    answer = await live.post("/pull", json={"model_name": BUILT_IN})
    assert error_of(answer, 502)["code"] == "checksum_mismatch"
    gate = hub.faults.gates[FILE] = Gate(after=HALF)
    async with live.stream("POST", "/pull", json={"model_name": BUILT_IN, "stream": True}) as response:
        events = [event async for event in opening(gate, response)]
    name, said = events[-1]
    assert (name, said["error"]["code"]) == ("error", "checksum_mismatch")
    assert not await downloaded(live, BUILT_IN)


async def test_a_server_that_stops_ends_its_pulls_and_tells_the_clients(
    puller: Puller, hub: Hub, tmp_path: Path
) -> None:
    before = set(psutil.Process().children())
    gate = hub.faults.gates[FILE] = Gate(after=HALF)
    async with httpx.AsyncClient(timeout=30) as client:
        async with serving(app_of(puller, tmp_path)) as url:
            client.base_url = f"{url}/v1"
            streamed = asyncio.create_task(events_of(client, model_name=BUILT_IN))
            whole = asyncio.create_task(client.post("/pull", json={"model_name": BUILT_IN}))
            assert await asyncio.to_thread(gate.reached.wait, 20)
        name, said = (await streamed)[-1]
        assert (name, said["error"]["code"]) == ("error", "shutting_down")
        assert error_of(await whole, 503)["code"] == "shutting_down"
    assert puller.found("ggml-org/gpt-oss-20b-GGUF:MXFP4") is None
    assert set(psutil.Process().children()) <= before


async def test_variants_are_listed(client: httpx.AsyncClient) -> None:
    await client.post("/pull", json={"checkpoint": "org/eyes:Q8_0"})
    answer = (await client.get("/pull/variants", params={"checkpoint": "org/eyes"})).json()
    assert answer["suggested_name"] == "eyes"
    assert answer["suggested_labels"] == ["vision"]
    assert answer["mmproj_files"] == ["mmproj-F16.gguf"]
    told = [(v["name"], v["size_bytes"], v["downloaded"], v["recommended"]) for v in answer["variants"]]
    assert told == [("Q8_0", 900, True, True), ("Q4_0", 700, False, False)]


async def test_variants_are_found_by_any_checkpoint_of_the_repository(client: httpx.AsyncClient) -> None:
    answer = await client.get("/pull/variants", params={"checkpoint": "https://hf.co/org/eyes:Q4_0"})
    assert answer.status_code == 200
    assert answer.json()["suggested_name"] == "eyes"


async def test_variants_of_what_is_no_repository_are_refused(client: httpx.AsyncClient) -> None:
    assert error_of(await client.get("/pull/variants"), 400)["param"] == "checkpoint"
    wrong = await client.get("/pull/variants", params={"checkpoint": "nonsense"})
    assert error_of(wrong, 400)["code"] == "invalid_checkpoint"
    missing = await client.get("/pull/variants", params={"checkpoint": "org/none"})
    assert error_of(missing, 404)["code"] == "repository_not_found"


async def test_a_deleted_model_is_gone_and_can_be_pulled_again(client: httpx.AsyncClient, hub: Hub) -> None:
    await client.post("/pull", json={"model_name": BUILT_IN})
    answer = await client.post("/delete", json={"model_name": BUILT_IN.upper()})
    assert answer.json() == {
        "status": "success",
        "message": f"Deleted model: {BUILT_IN}",
        "model_name": BUILT_IN,
        "bytes_freed": SIZE,
        "kept_files": [],
    }
    assert not await downloaded(client, BUILT_IN)
    again = await client.post("/delete", json={"model_name": BUILT_IN})
    assert error_of(again, 404)["code"] == "model_not_downloaded"
    assert (await client.post("/pull", json={"model_name": BUILT_IN})).status_code == 200


async def test_a_deleted_users_model_is_forgotten_but_not_the_files_of_another(
    client: httpx.AsyncClient, puller: Puller
) -> None:
    for name in ("user.a", "user.b"):
        await client.post("/pull", json={"model_name": name, "checkpoint": "org/eyes:Q4_0"})
    answer = (await client.post("/delete", json={"model_name": "user.a"})).json()
    assert (answer["bytes_freed"], answer["kept_files"]) == (0, ["m-Q4_0.gguf"])
    assert (await client.get("/models/user.a")).status_code == 404
    assert await downloaded(client, "user.b")
    assert (await client.post("/delete", json={"model_name": "user.b"})).json()["bytes_freed"] == 700
    assert puller.files() == []


async def test_a_built_in_model_whose_files_are_a_users_too_is_not_deleted(client: httpx.AsyncClient) -> None:
    same = {"model_name": "user.same", "checkpoint": "ggml-org/gpt-oss-20b-GGUF:mxfp4"}
    await client.post("/pull", json=same)
    error = error_of(await client.post("/delete", json={"model_name": BUILT_IN}), 409)
    assert error["code"] == "files_are_shared"
    assert "user.same" in error["message"]


async def test_what_is_not_ours_to_delete_stays(puller: Puller, tmp_path: Path) -> None:
    own = tmp_path / "mine.gguf"
    own.write_bytes(b"GGUF")
    app = app_of(puller, tmp_path, models=(str(own),))
    async with client_of(app, base_url="http://server/v1") as client:
        bundled = await client.post("/delete", json={"model_name": "tiny-gpt-oss"})
        local = await client.post("/delete", json={"model_name": "mine"})
        unknown = await client.post("/delete", json={"model_name": "nobody"})
        nameless = await client.post("/delete", json={})
    assert error_of(bundled, 400)["code"] == "model_is_bundled"
    assert error_of(local, 400)["code"] == "model_is_local"
    assert error_of(unknown, 404)["code"] == "model_not_found"
    assert error_of(nameless, 400)["param"] == "model_name"
    assert own.is_file()


async def test_a_model_that_is_being_pulled_is_not_deleted(client: httpx.AsyncClient, hub: Hub) -> None:
    gate = hub.faults.gates[FILE] = Gate(after=HALF)
    pulling = asyncio.create_task(client.post("/pull", json={"model_name": BUILT_IN}))
    assert await asyncio.to_thread(gate.reached.wait, 20)
    error = error_of(await client.post("/delete", json={"model_name": BUILT_IN}), 409)
    assert error["code"] == "model_is_pulled"
    gate.opened.set()
    assert (await pulling).status_code == 200
