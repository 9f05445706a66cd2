"""GET /health and /live."""

from __future__ import annotations

import pytest

from lemonade_like.pool.resident import LoadedModel
from tests.support.turns import FakePool, client_of, scripted_app, scripted_services

LOADED = LoadedModel(
    name="tiny",
    path="/models/tiny.gguf",
    backend="bundled",
    harmony=True,
    harmony_reason=None,
    pid=4711,
    ctx_size=4096,
    parallel=4,
    since=1_700_000_001.5,
    command=["llama-server", "--port", "1"],
)


@pytest.mark.parametrize("prefix", ["", "/v1", "/api/v1"])
async def test_live_answers_everywhere(prefix: str) -> None:
    async with client_of(scripted_app()) as client:
        assert (await client.get(f"{prefix}/live")).json() == {"status": "ok"}


@pytest.mark.parametrize("prefix", ["", "/v1", "/api/v1"])
async def test_health_tells_what_runs(prefix: str) -> None:
    services = scripted_services(pool=FakePool([LOADED], ["other"]))
    async with client_of(scripted_app(services)) as client:
        answer = await client.get(f"{prefix}/health")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ok",
        "version": "1.2.3",
        "models": [
            {
                "state": "ready",
                "name": "tiny",
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
            {"state": "loading", "name": "other"},
        ],
    }
