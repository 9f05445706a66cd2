"""A real server, asked for models by the names that people use, and for files that are none of theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.e2e.conftest import ONE_THREAD
from tests.support.models import Machine
from tests.support.server_process import address, server_process

if TYPE_CHECKING:
    from pathlib import Path


ONE_SLOT = {"parallel": 1}


@pytest.fixture
def machine(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """The bundled model's file is in the Hub's cache, as another program would have put it there."""
    machine = Machine(tmp_path)
    (placed,) = machine.cached("someone/tiny-GGUF", "tiny-Q8_0.gguf")
    placed.unlink()
    placed.symlink_to(tiny_model)
    monkeypatch.setenv("HF_HUB_CACHE", str(machine.hub_cache))
    return machine


def test_one_engine_serves_a_model_by_all_its_names(
    cache_dir: Path, machine: Machine, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEMONADE_LIKE_MODEL_ALIASES", "claude-*=someone/tiny-GGUF:Q8_0")

    def ask(name: str) -> httpx.Response:
        body: dict[str, Any] = {"model": name, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4}
        return client.post("/chat/completions", json=body)

    with server_process(cache_dir, *ONE_THREAD) as process:
        client = httpx.Client(base_url=f"{address(process)}/v1", timeout=60)
        with client:
            listed = {model["id"]: model for model in client.get("/models").json()["data"]}
            assert listed["someone/tiny-GGUF:Q8_0"]["architecture"] == "gpt-oss"
            assert listed["someone/tiny-GGUF:Q8_0"]["context_length"] == 131_072

            entry = {
                "model_name": "user.mine",
                "checkpoint": "someone/tiny-GGUF:Q8_0",
                "recipe_options": {"parallel": 1},
            }
            assert client.post("/models/register", json=entry).status_code == 200
            for name in ("user.mine", "USER.Mine", "someone/tiny-GGUF:q8_0", "hf.co/someone/tiny-GGUF:Q8_0"):
                assert ask(name).status_code == 200, name
            # The answer says what the client said.
            assert ask("claude-haiku-4-5").json()["model"] == "claude-haiku-4-5"
            (loaded,) = client.get("/health").json()["models"]
            assert (loaded["name"], loaded["harmony"], loaded["parallel"]) == ("user.mine", True, 1)

            for name in (str(tiny_model), f"..{tiny_model}", "someone/tiny-GGUF:../../../../secret.gguf", "tiny-Q8_0"):
                refused = ask(name)
                assert (refused.status_code, refused.json()["error"]["code"]) == (404, "model_not_found"), name
            assert ask("someone/else:Q8_0").json()["error"]["code"] == "model_not_downloaded"
