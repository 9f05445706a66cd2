"""Models loaded and unloaded by hand, on a real engine that has room for one of them at a time."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import httpx

from tests.e2e.conftest import ONE_THREAD
from tests.support.processes import wait_until_gone
from tests.support.server_process import address, server_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TINY = "tiny-gpt-oss"


@contextlib.contextmanager
def _server(cache_dir: Path, folder: Path, smollm: Path) -> Iterator[httpx.Client]:
    """A client of a server that keeps one model in memory."""
    options = ("--model", TINY, "--model", str(smollm), "--max-loaded-models", "1", *ONE_THREAD)
    with (
        (folder / "server.log").open("a") as stderr,
        server_process(cache_dir, *options, stderr=stderr.fileno()) as process,
        httpx.Client(base_url=f"{address(process)}/v1", timeout=60) as client,
    ):
        yield client


def _loaded(http: httpx.Client) -> list[dict[str, Any]]:
    return [model for model in http.get("/health").json()["models"] if model["state"] == "ready"]


def test_models_take_each_others_place_and_say_why(cache_dir: Path, tmp_path: Path, smollm: Path) -> None:
    with _server(cache_dir, tmp_path, smollm) as http:
        first = http.post("/load", json={"model_name": TINY.upper(), "ctx_size": 1024, "llamacpp_args": "--threads 1"})
        assert first.status_code == 200
        model = first.json()["model"]
        assert (model["name"], model["ctx_size"], first.json()["evicted"]) == (TINY, 1024, [])
        assert model["memory"]["estimate"] > 10_000_000
        assert model["memory"]["resident"] > 10_000_000

        chat = {"model": smollm.stem, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1}
        assert http.post("/chat/completions", json=chat).status_code == 200
        assert wait_until_gone(model["pid"])
        assert [each["name"] for each in _loaded(http)] == [smollm.stem]

        (why,) = http.post("/load", json={"model_name": TINY}).json()["evicted"]
        assert why.startswith(f"evicting {smollm.stem} (")
        assert why.endswith("s): at most one model may be loaded")

        assert http.post("/unload", json={"model_name": smollm.stem}).status_code == 404
        assert http.post("/unload").json()["unloaded"] == [TINY]
        assert _loaded(http) == []


def test_options_that_were_saved_hold_after_a_restart(cache_dir: Path, tmp_path: Path, smollm: Path) -> None:
    with _server(cache_dir, tmp_path, smollm) as http:
        body = {"model_name": TINY, "ctx_size": 512, "pinned": True, "save_options": True}
        assert http.post("/load", json=body).json()["options_saved"]
    with _server(cache_dir, tmp_path, smollm) as http:
        chat = {"model": TINY, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1}
        assert http.post("/chat/completions", json=chat).status_code == 200
        (model,) = _loaded(http)
        assert (model["ctx_size"], model["pinned"]) == (512, True)

        refused = http.post("/chat/completions", json={**chat, "model": smollm.stem})
        assert refused.json()["error"]["code"] == "not_enough_memory"
        assert f"unload {TINY}, which is pinned" in refused.json()["error"]["message"]
