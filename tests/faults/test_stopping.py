"""A server that is told to stop finishes what it has begun, and takes nothing new."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import openai
import pytest

from tests.support.answers import Collector
from tests.support.fake_llama_server import FAKE_LLAMA_SERVER, one_by_one, write_scenario
from tests.support.processes import wait_until_gone
from tests.support.server_process import address, server_process

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.written import Writer

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no signals to send to one process")

HELLO: Any = [{"role": "user", "content": "Hello"}]


@dataclass
class Stopping:
    """A server with an answer under way that waits in its middle for ``go_on``."""

    process: subprocess.Popen[str]
    url: str
    engine: dict[str, Any]

    def go_on(self) -> None:
        """Let the engine finish the answer."""
        command = self.engine["command"]
        httpx.post(f"http://127.0.0.1:{command[command.index('--port') + 1]}/__release__")

    def health(self) -> httpx.Response:
        return httpx.get(f"{self.url}/health")

    def drains(self) -> None:
        """Wait until the server has taken note of the signal."""
        while self.health().status_code == 200:
            pass


class Reading(threading.Thread):
    """Reads a stream beside the test."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self._collector = Collector()
        self.begun = threading.Event()
        self.error: openai.APIError | None = None

    def run(self) -> None:
        with openai.OpenAI(base_url=f"{self._url}/v1", api_key="none", max_retries=0) as client:
            try:
                for chunk in client.chat.completions.create(model="gpt-oss-fake", messages=HELLO, stream=True):
                    self._collector.add(chunk)
                    self.begun.set()
            except openai.APIError as error:
                self.error = error

    @property
    def content(self) -> str:
        return self._collector.answer.content


@contextlib.contextmanager
def _answering(cache_dir: Path, folder: Path, writer: Writer, drain_timeout: int) -> Iterator[tuple[Stopping, Reading]]:
    frames = one_by_one(writer.frames("<|channel|>final<|message|>Once upon a time<|return|>"))
    scenario = write_scenario(folder / "gpt-oss-fake.gguf", [*frames[:7], {"wait": True}, *frames[7:]])
    config = folder / "config.yaml"
    config.write_text(json.dumps({"drain_timeout": drain_timeout, "models": [str(scenario)]}))
    log = folder / "server.log"
    options = ("--config", str(config), "--llama-server", str(FAKE_LLAMA_SERVER))
    with log.open("w") as stderr, server_process(cache_dir, *options, stderr=stderr.fileno()) as process:
        url = address(process)
        reading = Reading(url)
        reading.start()
        reading.begun.wait()
        engine = httpx.get(f"{url}/v1/health").json()["models"][0]
        yield Stopping(process, url, engine), reading
        reading.join()
        assert process.wait() == 0, log.read_text()
        assert "Traceback" not in log.read_text()
        assert wait_until_gone(engine["pid"])


def test_running_answers_are_finished_and_new_ones_refused(cache_dir: Path, tmp_path: Path, writer: Writer) -> None:
    with _answering(cache_dir, tmp_path, writer, drain_timeout=60) as (server, reading):
        server.process.terminate()
        server.drains()
        refused = httpx.post(f"{server.url}/v1/chat/completions", json={"model": "gpt-oss-fake", "messages": HELLO})
        health = server.health()
        server.go_on()

    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "shutting_down")
    assert int(refused.headers["retry-after"]) > 0
    assert (health.status_code, health.json()["status"]) == (503, "draining")
    assert (reading.content, reading.error) == ("Once upon a time", None)


def test_an_answer_that_takes_too_long_is_ended_with_an_error(cache_dir: Path, tmp_path: Path, writer: Writer) -> None:
    with _answering(cache_dir, tmp_path, writer, drain_timeout=0) as (server, reading):
        server.process.terminate()

    assert reading.content.startswith("Once")
    assert reading.error is not None
    assert reading.error.code == "shutting_down"


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_hurries(cache_dir: Path, tmp_path: Path, writer: Writer, second: signal.Signals) -> None:
    with _answering(cache_dir, tmp_path, writer, drain_timeout=600) as (server, reading):
        server.process.terminate()
        server.drains()
        server.process.send_signal(second)

    assert reading.error is not None
    assert reading.error.code == "shutting_down"
