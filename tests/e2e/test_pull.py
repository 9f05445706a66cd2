"""A real model from the local hub, over a line that breaks, through a server that is killed, to an answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest

from lemonade_like.models.fetch import READ_BYTES
from tests.e2e.conftest import ONE_THREAD
from tests.support.hub import Gate, running_hub
from tests.support.processes import wait_until_gone
from tests.support.server_process import address, server_process

if TYPE_CHECKING:
    from pathlib import Path

FILE = "gpt-oss-tiny-F16.gguf"
BODY = {"model_name": "user.gpt-oss-pulled", "checkpoint": "org/gpt-oss-tiny-GGUF:F16", "recipe": "llamacpp"}
SUM: Any = [{"role": "user", "content": "What is 2+2?"}]


def test_a_pulled_model_answers_after_a_broken_line_and_a_killed_server(
    cache_dir: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tiny_model.read_bytes()
    third = len(whole) // 3
    log = tmp_path / "server.log"
    with running_hub({"org/gpt-oss-tiny-GGUF": {FILE: whole}}) as hub, log.open("w") as stderr:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        monkeypatch.delenv("HF_HUB_CACHE", raising=False)
        gate = hub.faults.gates[FILE] = Gate(after=2 * third)
        hub.faults.breaks[FILE].append(third)
        with server_process(cache_dir, *ONE_THREAD, stderr=stderr.fileno()) as process:
            url = address(process)
            with (
                httpx.Client(base_url=url, timeout=30) as client,
                client.stream("POST", "/v1/pull", json=BODY | {"stream": True}) as response,
            ):
                assert response.status_code == 200
                lines = response.iter_lines()
                fetched = 0
                # The line has broken once, and now it is silent; what came before is on the disk.
                while not gate.reached.is_set() or fetched < 2 * third - READ_BYTES:
                    line = next(lines)
                    if line.startswith("data: "):
                        fetched = json.loads(line.removeprefix("data: "))["bytes_downloaded"]
                (worker,) = [
                    child.pid
                    for child in psutil.Process(process.pid).children()
                    if "pull_worker" in str(child.cmdline())
                ]
                process.kill()
                assert wait_until_gone(worker)
        gate.opened.set()

        with server_process(cache_dir, *ONE_THREAD, stderr=stderr.fileno()) as process:
            with httpx.Client(base_url=address(process), timeout=60) as client:
                pulled = client.post("/api/v1/pull", json=BODY)
                assert pulled.status_code == 200, pulled.text
                model = client.get("/v1/models/user.gpt-oss-pulled").json()
                answer = client.post(
                    "/v1/chat/completions",
                    json={"model": "user.gpt-oss-pulled", "messages": SUM, "temperature": 0},
                ).json()
            process.terminate()
            assert process.wait() == 0, log.read_text()
    assert model["downloaded"] is True
    assert "4" in answer["choices"][0]["message"]["content"]
    starts = hub.starts(FILE)
    assert starts[0] == 0
    assert third - READ_BYTES < starts[1] <= third
    assert 2 * third - 2 * READ_BYTES < starts[2] <= 2 * third + READ_BYTES
    assert len(starts) == 3
