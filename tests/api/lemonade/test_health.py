"""GET /health and /live."""

from __future__ import annotations

import pytest

from lemonade_like.pool.status import Crash, ModelStatus
from tests.support.loaded import READY
from tests.support.turns import FakePool, client_of, scripted_app, scripted_services

LOADING = ModelStatus(
    name="other",
    state="loading",
    detail="other waits until tiny is done: at most one model may be loaded",
    seconds=2.5,
    pinned=False,
    slots_busy=0,
    slots_total=4,
    waiting=(2.0, 1.5),
    memory_estimate=9_000_000_000,
    crashes=(Crash(1_700_000_000.0, 4700, "was killed by SIGSEGV"),),
)


@pytest.mark.parametrize("prefix", ["", "/v1", "/api/v1"])
async def test_live_answers_everywhere(prefix: str) -> None:
    async with client_of(scripted_app()) as client:
        assert (await client.get(f"{prefix}/live")).json() == {"status": "ok"}


async def test_a_server_that_drains_wants_no_requests() -> None:
    pool = FakePool(READY)
    await pool.drain()
    async with client_of(scripted_app(scripted_services(pool=pool))) as client:
        answer = await client.get("/health")
    assert (answer.status_code, answer.json()["status"]) == (503, "draining")


@pytest.mark.parametrize("prefix", ["", "/v1", "/api/v1"])
async def test_health_tells_what_runs_and_what_is_waited_for(prefix: str) -> None:
    services = scripted_services(pool=FakePool(READY, LOADING))
    async with client_of(scripted_app(services)) as client:
        answer = await client.get(f"{prefix}/health")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ok",
        "version": "1.2.3",
        "models": [
            {
                "name": "tiny",
                "state": "ready",
                "detail": "",
                "seconds": 30.0,
                "pinned": True,
                "slots": {"busy": 0, "total": 4},
                "queue": {"length": 0, "waiting": []},
                "memory": {"estimate": 60_000_000, "resident": 55_000_000},
                "idle_seconds": 12.0,
                "load_seconds": 1.25,
                "options": {"ctx_size": 4096},
                "crashes": [],
                "mode": "chat",
                "path": "/models/tiny.gguf",
                "backend": "bundled",
                "harmony": True,
                "harmony_reason": None,
                "pid": 4711,
                "ctx_size": 4096,
                "parallel": 4,
                "since": 1_700_000_001.5,
                "command": ["llama-server", "--port", "1"],
            },
            {
                "name": "other",
                "state": "loading",
                "detail": "other waits until tiny is done: at most one model may be loaded",
                "seconds": 2.5,
                "pinned": False,
                "slots": {"busy": 0, "total": 4},
                "queue": {"length": 2, "waiting": [{"place": 1, "seconds": 2.0}, {"place": 2, "seconds": 1.5}]},
                "memory": {"estimate": 9_000_000_000, "resident": None},
                "idle_seconds": None,
                "load_seconds": None,
                "options": None,
                "crashes": [{"at": 1_700_000_000.0, "pid": 4700, "how": "was killed by SIGSEGV"}],
            },
        ],
        "model_loaded": "tiny",
        "all_models_loaded": [
            {
                "model_name": "tiny",
                "loaded": True,
                "type": "llm",
                "recipe": "llamacpp",
                "recipe_options": {"ctx_size": 4096},
                "pinned": True,
            }
        ],
    }
