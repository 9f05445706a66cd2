from __future__ import annotations

import os
import signal
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from lemonade_like.access.keys import Keyring
from lemonade_like.cli.serve import banner, warn_of_pages, warn_of_prompts
from lemonade_like.engine.find import FoundEngine
from lemonade_like.settings import Settings
from tests.support.server_process import address, server_process

BUNDLED = FoundEngine((sys.executable, "-m", "lemonade_like.engine.bundled"), "bundled", "bundled")
SYSTEM = FoundEngine(("/usr/bin/llama-server",), "system", "path")


def test_the_banner_says_where_what_and_on_which_engine_and_gives_a_line_to_try() -> None:
    text = banner(Settings(), 8123, ["vectors", "tiny-gpt-oss"], SYSTEM, "tiny-gpt-oss")
    assert "http://127.0.0.1:8123/v1" in text
    assert "vectors, tiny-gpt-oss" in text
    assert "system (/usr/bin/llama-server)" in text
    assert "curl http://127.0.0.1:8123/v1/chat/completions" in text
    assert '"model":"tiny-gpt-oss"' in text
    assert "Authorization" not in text


def test_where_no_model_chats_the_models_are_listed() -> None:
    assert "curl http://127.0.0.1:8123/v1/models" in banner(Settings(), 8123, ["vectors"], SYSTEM, None)


def test_the_banner_never_shows_the_key() -> None:
    text = banner(Settings(api_key="s3cret"), 1, ["a"], BUNDLED, "a")
    assert "s3cret" not in text
    assert "Authorization: Bearer YOUR_KEY" in text


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, ""),
        ({"log_prompts": True, "log_level": "debug"}, "all that models are asked and answer is logged"),
        ({"log_prompts": True}, "nothing comes of it"),
    ],
)
def test_that_prompts_are_logged_is_said_at_the_start(
    settings: dict[str, Any], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    warn_of_prompts(Settings(**settings))
    assert said in caplog.text
    assert bool(caplog.records) == bool(said)


@pytest.mark.parametrize(
    ("origins", "key", "warned"),
    [
        (["*"], None, True),
        (["https://chat.example.com", "*"], None, True),
        (["*"], "sesame", False),
        (["https://chat.example.com"], None, False),
        ([], None, False),
    ],
)
def test_that_all_web_pages_may_do_everything_is_said_at_the_start(
    origins: list[str], key: str | None, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(cors_origins=origins, **({"admin_key": key} if key else {}))
    warn_of_pages(settings, protected=bool(Keyring.from_settings(settings)))
    assert ("any web page" in caplog.text) == warned


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:1/"),
        ("::", "http://[::1]:1/"),
        ("::1", "http://[::1]:1/"),
        ("box", "http://box:1/"),
    ],
)
def test_the_banner_gives_an_address_that_can_be_tried(host: str, url: str) -> None:
    assert f"curl {url}" in banner(Settings(host=host), 1, ["a"], BUNDLED, "a")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals to send to one process")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_told_to_stop_ends_with_0_and_no_traceback(number: signal.Signals, tmp_path: Path) -> None:
    with server_process(tmp_path) as process:
        url = address(process)
        with urllib.request.urlopen(f"{url}/live") as answer:
            assert answer.status == 200
            assert "server" not in answer.headers
        process.send_signal(number)
        _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "Traceback" not in errors


def test_a_second_server_on_the_same_port_names_the_first(tmp_path: Path) -> None:
    with server_process(tmp_path) as first:
        port = address(first).rpartition(":")[2]
        with server_process(tmp_path, "--port", port) as second:
            out, errors = second.communicate()
    assert (second.returncode, out) == (1, "")
    assert f"(process {first.pid})" in errors
    assert len(errors.splitlines()) <= 3
