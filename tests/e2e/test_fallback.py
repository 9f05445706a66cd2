"""GPT-OSS models where Harmony cannot be had: served through their own template, or not at all."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.e2e.conftest import ONE_THREAD
from tests.support.server_process import address, server_process

if TYPE_CHECKING:
    from pathlib import Path

TINY = "tiny-gpt-oss"
MISSING = "openai-harmony is not installed (no such thing here). Install it with: pip install openai-harmony==0.0.8"


@pytest.fixture
def without_harmony(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers find a package in place of openai-harmony that cannot be imported, as if there were none."""
    package = tmp_path / "openai_harmony"
    package.mkdir()
    (package / "__init__.py").write_text('raise ImportError("no such thing here")\n')
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH")))))


def _served(cache_dir: Path, log: Path, model: str, *options: str) -> tuple[httpx.Response, dict[str, Any], str]:
    """What a server answers with, what its health says then, and what it has logged."""
    named = ("--model", model, *ONE_THREAD, "--log-level", "debug", *options)
    body: dict[str, Any] = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 8, "temperature": 0}
    with log.open("w") as stderr, server_process(cache_dir, *named, stderr=stderr.fileno()) as process:
        url = address(process)
        body["model"] = model.rpartition("/")[2].removesuffix(".gguf")
        answer = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60)
        health = httpx.get(f"{url}/v1/health").json()
    return answer, health, log.read_text()


def test_with_harmony_the_log_says_so(cache_dir: Path, tmp_path: Path) -> None:
    answer, health, log = _served(cache_dir, tmp_path / "log", TINY)

    assert answer.status_code == 200
    assert [(model["harmony"], model["harmony_reason"]) for model in health["models"]] == [(True, None)]
    assert f"Using Harmony formatting for {TINY} on bundled backend" in log
    assert "Harmony formatting not available" not in log


@pytest.mark.usefixtures("without_harmony")
def test_without_harmony_the_model_goes_through_its_template(cache_dir: Path, tmp_path: Path) -> None:
    answer, health, log = _served(cache_dir, tmp_path / "log", TINY)

    assert answer.status_code == 200
    assert answer.json()["usage"]["completion_tokens"] > 0
    assert [(model["harmony"], model["harmony_reason"]) for model in health["models"]] == [(False, MISSING)]
    assert "--jinja" in health["models"][0]["command"]
    assert f"Harmony formatting not available: {MISSING}" in log
    warning = next(line for line in log.splitlines() if "is served through its chat template" in line)
    assert "WARNING" in warning.upper()
    assert warning.endswith(f"{TINY} is served through its chat template, without Harmony: {MISSING}")


@pytest.mark.usefixtures("without_harmony")
def test_where_harmony_is_demanded_the_model_is_not_served(cache_dir: Path, tmp_path: Path) -> None:
    answer, health, log = _served(cache_dir, tmp_path / "log", TINY, "--harmony", "always")

    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["message"]) == (500, "harmony_unavailable", MISSING)
    assert health["models"] == []
    assert f"Harmony formatting not available: {MISSING}" in log
    assert "is served through its chat template" not in log


def test_a_vocabulary_that_is_not_that_of_gpt_oss_is_not_spoken(cache_dir: Path, tmp_path: Path, smollm: Path) -> None:
    disguised = tmp_path / "gpt-oss-in-name-only.gguf"
    disguised.symlink_to(smollm)

    answer, health, log = _served(cache_dir, tmp_path / "log", str(disguised))

    assert answer.status_code == 200
    assert health["models"][0]["harmony"] is False
    assert "another vocabulary" in health["models"][0]["harmony_reason"]
    assert f"Harmony formatting not available: {health['models'][0]['harmony_reason']}" in log


def test_a_chat_that_cannot_be_said_is_logged_and_never_falls_back(cache_dir: Path, tmp_path: Path) -> None:
    image = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}
    log = tmp_path / "log"
    options = ("--model", TINY, *ONE_THREAD, "--log-level", "debug")
    with log.open("w") as stderr, server_process(cache_dir, *options, stderr=stderr.fileno()) as process:
        body = {"model": TINY, "messages": [image]}
        answer = httpx.post(f"{address(process)}/v1/chat/completions", json=body, timeout=60)

    assert answer.status_code == 400
    assert "Error with Harmony formatting: messages[0] has a part of type 'image_url'" in log.read_text()
