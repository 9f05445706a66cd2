"""Models that come, change and go under a real server, and under two that share a cache."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import httpx

from tests.e2e.conftest import ONE_THREAD
from tests.support.hub import running_hub
from tests.support.processes import wait_until_gone
from tests.support.server_process import address, server_process

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

STORY: Any = {"messages": [{"role": "user", "content": "Tell me a story."}], "max_tokens": 200, "stream": True}
HELLO: Any = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1}
ENTRY = {"model_name": "user.mine", "checkpoint": "org/tiny-GGUF:Q8_0"}


def _loaded(http: httpx.Client) -> dict[str, dict[str, Any]]:
    return {model["name"]: model for model in http.get("/health").json()["models"]}


def _chat(http: httpx.Client, name: str) -> httpx.Response:
    return http.post("/chat/completions", json={"model": name, **HELLO})


def test_a_registered_model_is_pulled_loaded_and_deleted_after_its_last_turn(
    cache_dir: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    log = tmp_path / "server.log"
    with running_hub({"org/tiny-GGUF": {"tiny-Q8_0.gguf": tiny_model.read_bytes()}}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        with (
            log.open("w") as stderr,
            server_process(cache_dir, *ONE_THREAD, stderr=stderr.fileno()) as one,
            server_process(cache_dir, *ONE_THREAD, stderr=stderr.fileno()) as other,
            httpx.Client(base_url=f"{address(one)}/v1", timeout=60) as http,
            httpx.Client(base_url=f"{address(other)}/v1", timeout=60) as beside,
        ):
            assert http.post("/models/register", json=ENTRY).status_code == 200
            assert beside.post("/load", json={"model_name": "user.mine"}).json()["error"]["code"] == (
                "model_not_downloaded"
            )
            assert beside.post("/pull", json={"model_name": "user.mine"}).status_code == 200
            for name in ("user.mine", "org/tiny-GGUF", "org/tiny-GGUF:tiny-Q8_0.gguf"):
                assert _chat(http, name).status_code == 200, name
            assert http.post("/pull", json={"model_name": "user.mine"}).status_code == 200
            before = _loaded(http)
            assert list(before) == ["user.mine"]

            assert _chat(http, "org/unknown:Q8_0").status_code == 404
            assert _loaded(http)["user.mine"]["pid"] == before["user.mine"]["pid"]
            assert "WARNING" not in log.read_text()

            lines: list[str] = []
            begun = threading.Event()

            def tell() -> None:
                with http.stream("POST", "/chat/completions", json={"model": "user.mine", **STORY}) as response:
                    for line in response.iter_lines():
                        lines.append(line)
                        begun.set()

            telling = threading.Thread(target=tell)
            telling.start()
            assert begun.wait(30)
            deleted = http.post("/delete", json={"model_name": "org/tiny-GGUF"})
            telling.join()
            assert (deleted.status_code, deleted.json()["model_name"]) == (200, "user.mine")
            assert deleted.json()["bytes_freed"] == tiny_model.stat().st_size
            assert "data: [DONE]" in lines
            assert not any('"error"' in line for line in lines)
            assert wait_until_gone(before["user.mine"]["pid"])
            for client in (http, beside):
                assert client.get("/models/user.mine").status_code == 404
    assert not list((tmp_path / "hf").rglob("*.gguf"))


def test_a_folder_of_models_is_served_by_their_names(cache_dir: Path, tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    (folder / "below").mkdir(parents=True)
    for name in ("One-Q8_0.gguf", "below/two.gguf"):
        (folder / name).symlink_to(tiny_model)
    (folder / "half-00001-of-00002.gguf").symlink_to(tiny_model)
    with (
        server_process(cache_dir, "--model", str(folder), *ONE_THREAD) as process,
        httpx.Client(base_url=f"{address(process)}/v1", timeout=60) as http,
    ):
        listed = {model["id"]: model for model in http.get("/models").json()["data"] if model["source"] == "local"}
        assert sorted(listed) == ["One-Q8_0", "two"]
        assert _chat(http, "one-q8_0").status_code == 200
        assert _chat(http, "half").status_code == 404
        everything = http.get("/models", params={"show_all": "true"}).json()["data"]
        assert {"gpt-oss-20b-GGUF", "One-Q8_0", "tiny-gpt-oss"} <= {model["id"] for model in everything}
        for model in everything:
            assert {"downloaded", "size", "labels", "context_length"} <= set(model)
