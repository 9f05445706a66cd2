"""A server as it is run: killed, misconfigured, with a key, without Harmony, on an engine of one's own."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import openai
import pytest

from lemonade_like.models.vocabulary import vocabulary_dir
from tests.e2e.conftest import ONE_THREAD
from tests.support.answers import whole
from tests.support.fake_llama_server import FAKE_LLAMA_SERVER, one_by_one, write_scenario
from tests.support.processes import wait_until_gone
from tests.support.releases import SERVING_ENGINE, release_of, release_server
from tests.support.server_process import address, server_process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.written import Writer

HELLO: Any = [{"role": "user", "content": "Hello"}]


@contextlib.contextmanager
def _server(cache_dir: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], openai.OpenAI]]:
    log = cache_dir / "operations.log"
    with (
        log.open("w") as stderr,
        server_process(cache_dir, *options, stderr=stderr.fileno()) as process,
        openai.OpenAI(base_url=f"{address(process)}/v1", api_key="sesame", max_retries=0) as client,
    ):
        yield process, client


def _health(client: openai.OpenAI) -> list[dict[str, Any]]:
    models: list[dict[str, Any]] = httpx.get(f"{client.base_url}health", headers=client.auth_headers).json()["models"]
    return models


def _running(pid: int) -> tuple[list[str], str]:
    """The command of a process, and the key that it was given in its environment."""
    command, environ = (Path(f"/proc/{pid}/{what}").read_text().split("\0")[:-1] for what in ("cmdline", "environ"))
    return command, next(
        entry.removeprefix("LLAMA_API_KEY=") for entry in environ if entry.startswith("LLAMA_API_KEY=")
    )


def test_a_server_that_is_killed_leaves_no_engine(cache_dir: Path) -> None:
    with _server(cache_dir, *ONE_THREAD) as (process, client):
        client.chat.completions.create(model="tiny-gpt-oss", messages=HELLO, max_tokens=1)
        engine = _health(client)[0]["pid"]
        process.kill()
        process.wait()

        assert wait_until_gone(engine)


def test_a_file_that_is_no_model_is_explained_and_the_server_lives_on(cache_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"This is not the model that you are looking for." * 100)
    with _server(cache_dir, "--model", str(tmp_path / "broken.gguf"), *ONE_THREAD) as (_, client):
        for _ in range(2):
            with pytest.raises(openai.InternalServerError) as caught:
                client.chat.completions.create(model="broken", messages=HELLO)
            assert "not a GGUF file" in caught.value.message
            assert "last lines" in caught.value.message

        assert whole(client.chat.completions.create(model="tiny-gpt-oss", messages=HELLO, temperature=0)).content


def test_a_key_opens_the_server_and_no_other_does(cache_dir: Path) -> None:
    with _server(cache_dir, "--api-key", "sesame", *ONE_THREAD) as (_, client):
        assert [model.id for model in client.models.list()]
        with pytest.raises(openai.AuthenticationError):
            client.with_options(api_key="simsim").models.list()


def test_without_harmony_the_models_own_template_is_used(cache_dir: Path) -> None:
    with _server(cache_dir, "--no-harmony", *ONE_THREAD) as (_, client):
        completion = client.chat.completions.create(model="tiny-gpt-oss", messages=HELLO, temperature=0, max_tokens=40)
        health = _health(client)[0]

    assert whole(completion).content or whole(completion).reasoning
    assert health["harmony"] is False
    assert "--jinja" in health["command"]


def test_any_executable_that_speaks_like_llama_server_is_an_engine_and_its_crashes_are_told_in_the_stream(
    cache_dir: Path, tmp_path: Path, writer: Writer
) -> None:
    frames = writer.frames("<|channel|>final<|message|>Once upon a time<|return|>")
    crash = [*one_by_one(frames[:8]), {"print": "out of memory, alas"}, {"exit": 7}]
    scenario = write_scenario(tmp_path / "gpt-oss-fake.gguf", crash)
    with _server(cache_dir, "--llama-server", str(FAKE_LLAMA_SERVER), "--model", str(scenario)) as (_, client):
        seen = ""
        with pytest.raises(openai.APIError, match="exited with code 7") as caught:
            for chunk in client.chat.completions.create(model="gpt-oss-fake", messages=HELLO, stream=True):
                seen += chunk.choices[0].delta.content or ""
        # What it printed after it was loaded may be of others' turns.
        assert "out of memory, alas" not in caught.value.message
        assert seen.startswith("Once")
        with pytest.raises(openai.InternalServerError, match="exited with code 7") as refused:
            client.chat.completions.create(model="gpt-oss-fake", messages=HELLO)
        assert refused.value.status_code == 503
        assert int(refused.value.response.headers["retry-after"]) > 0


@pytest.mark.skipif(sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"), reason="Linux' names")
def test_an_engine_that_was_installed_serves(tmp_path: Path, tiny_model: Path, writer: Writer) -> None:
    # A cache of its own: installed in the one of all tests, it would be every test's engine.
    vocabulary_dir(tiny_model, tmp_path)
    frames = writer.frames("<|channel|>final<|message|>Hello from vulkan<|return|>")
    scenario = write_scenario(tmp_path / "gpt-oss-fake.gguf", one_by_one(frames))
    with release_server({"b100": release_of("b100", SERVING_ENGINE)}) as releases:
        install = [sys.executable, "-m", "lemonade_like", "backends", "install", "vulkan"]
        environ = {"LEMONADE_LIKE_RELEASES_URL": releases.url, "LEMONADE_LIKE_CACHE_DIR": str(tmp_path)}
        subprocess.run(install, env=os.environ | environ | {"NO_PROXY": "127.0.0.1"}, check=True)

    options = ("--backend", "vulkan", "--model", str(scenario), "--llamacpp-args", "--n-gpu-layers 99")
    with _server(tmp_path, *options) as (_, client):
        completion = client.chat.completions.create(model="gpt-oss-fake", messages=HELLO)
        health = _health(client)[0]
        running = _running(health["pid"])
        system = httpx.get(f"{client.base_url}system-info", headers=client.auth_headers).json()

    assert whole(completion).content == "Hello from vulkan"
    assert health["backend"] == "vulkan"
    assert health["harmony"] is True
    assert health["command"][0].startswith(str(tmp_path / "backends" / "vulkan" / "b100-"))
    assert health["command"][-2:] == ["--n-gpu-layers", "99"]
    command, key = running
    assert command[-len(health["command"]) :] == health["command"]
    assert key
    assert key not in json.dumps(health)
    log = (tmp_path / "operations.log").read_text()
    assert shlex.join(health["command"]) in log
    assert key not in log
    state = next(state for state in system["backends"] if state["name"] == "vulkan")
    assert (state["state"], state["version"], state["path"]) == ("installed", "b100", health["command"][0])
    assert system["recipes"]["llamacpp"]["default_backend"] == "vulkan"
