"""A real server that is guarded: who gets in, what is kept from whom, and that no secret is told."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import httpx
import openai
import pytest

from lemonade_like.access.door import MAX_HEAD_BYTES, MAX_HEADERS
from tests.e2e.conftest import ONE_THREAD
from tests.support.server_process import address, server_process

if TYPE_CHECKING:
    from pathlib import Path

HELLO: Any = [{"role": "user", "content": "Hello"}]

#: By where it is set. None of them may be read anywhere.
SECRETS: Final = {
    "environment": "sk-in-the-environment-8a02",
    "environment, too": "sk-in-the-environment-41f1",
    "file": "sk-in-a-file-77c3",
    "admin": "sk-given-as-an-option-19d4",
    "hub token": "hf_TokenOfTheHub5e5",
    "hub login": "password-of-the-hub-6b6",
    "mirror login": "password-of-the-mirror-0f7",
    "proxy login": "password-of-the-proxy-2c8",
    "wrong": "sk-of-somebody-else-3d9",
}
#: Nobody listens there.
NOWHERE: Final = "127.0.0.1:9"


def start(*options: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """A server that is not expected to come up."""
    return subprocess.run(
        [sys.executable, "-m", "lemonade_like", "serve", "--port", "0", *options],
        check=False,
        env=os.environ | environ,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_on_a_network_a_server_without_a_key_does_not_start(host: str, tmp_path: Path) -> None:
    refused = start("--host", host, LEMONADE_LIKE_CACHE_DIR=str(tmp_path), LEMONADE_LIKE_ADMIN_KEY="boss")
    assert (refused.returncode, refused.stdout) == (2, "")
    what, why, instead = refused.stderr.splitlines()
    assert what.startswith("Error: There is no API key") and host in what
    assert "LEMONADE_LIKE_API_KEY" in why
    assert "--insecure" in instead


def test_a_file_of_keys_without_keys_does_not_start_an_open_server(tmp_path: Path) -> None:
    (tmp_path / "keys").touch()
    refused = start("--api-key-file", str(tmp_path / "keys"), LEMONADE_LIKE_CACHE_DIR=str(tmp_path))
    assert refused.returncode == 2
    assert "There is no key" in refused.stderr


def test_on_a_network_it_starts_if_somebody_insists_and_says_so(cache_dir: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (
        log.open("w") as stderr,
        server_process(cache_dir, "--host", "0.0.0.0", "--insecure", stderr=stderr.fileno()) as process,
    ):
        assert httpx.get(f"{address(process)}/v1/models").status_code == 200
    assert "there is no API key" in log.read_text()


@pytest.fixture
def secrets_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of keys; the other secrets are in the environment."""
    keys = tmp_path / "keys"
    keys.touch(mode=0o600)
    keys.write_text(f"# ours\nalice {SECRETS['file']}\n")
    for name, value in {
        "LEMONADE_LIKE_API_KEY": f"{SECRETS['environment']}, {SECRETS['environment, too']}",
        "LEMONADE_LIKE_RELEASES_URL": f"http://me:{SECRETS['mirror login']}@{NOWHERE}/mirror",
        "HF_TOKEN": SECRETS["hub token"],
        "HF_ENDPOINT": f"http://me:{SECRETS['hub login']}@{NOWHERE}",
        "HTTPS_PROXY": f"http://me:{SECRETS['proxy login']}@{NOWHERE}",
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    return keys


def test_no_secret_is_in_a_log_or_an_answer(
    cache_dir: Path, tmp_path: Path, secrets_everywhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"no model" * 100)
    log = tmp_path / "log"
    told: list[str] = []
    options = ("--log-level", "debug", "--model", "tiny-gpt-oss", "--model", str(broken), *ONE_THREAD)
    monkeypatch.setenv("LEMONADE_LIKE_LOG_DIR", str(tmp_path / "logs"))
    with (
        log.open("w") as stderr,
        server_process(
            cache_dir,
            *options,
            *("--api-key-file", str(secrets_everywhere), "--admin-key", SECRETS["admin"]),
            stderr=stderr.fileno(),
        ) as process,
        httpx.Client(base_url=address(process), timeout=60) as client,
    ):

        def ask(method: str, path: str, key: str, **more: Any) -> int:
            headers = {"Authorization": f"Bearer {key}", **more.pop("headers", {})}
            answer = client.request(method, path, headers=headers, **more)
            told.append(f"{answer.headers} {answer.text}")
            return answer.status_code

        chat = {"messages": HELLO, "max_tokens": 2}
        for name in ("environment", "environment, too", "file"):
            assert ask("POST", "/v1/chat/completions", SECRETS[name], json={"model": "tiny-gpt-oss", **chat}) == 200
            assert ask("POST", "/v1/load", SECRETS[name], json={"model_name": "tiny-gpt-oss"}) == 403
        for path in ("/v1/models", f"/v1/models?api_key={SECRETS['wrong']}&key={SECRETS['admin']}"):
            assert ask("GET", path, SECRETS["wrong"]) == 401
        assert ask("GET", "/nowhere", SECRETS["wrong"], headers={"x-api-key": SECRETS["admin"]}) == 404
        admin = SECRETS["admin"]
        assert ask("GET", "/v1/health", admin) == 200
        assert ask("GET", "/v1/system-info", admin) == 200
        assert ask("GET", "/v1/stats", admin) == 200
        # What fails, and might say why in too many words.
        assert ask("POST", "/v1/chat/completions", admin, content=b"{") == 400
        assert ask("POST", "/v1/chat/completions", admin, json={"model": "broken", **chat}) == 500
        assert ask("POST", "/v1/pull", admin, json={"model_name": "org/repo:Q4_0"}) == 502
        assert ask("GET", "/v1/pull/variants?checkpoint=org/repo", admin) == 502
        assert ask("POST", "/v1/install", admin, json={"backend": "cpu"}) >= 400
        assert ask("GET", "/v1/models", admin, headers={"Host": "evil.example"}) == 403
        assert ask("POST", "/v1/shutdown", admin) == 200
        assert process.wait(timeout=30) == 0
        assert process.stdout is not None
        told.append(process.stdout.read())

    told.append(log.read_text())
    told += [file.read_text(errors="replace") for file in (tmp_path / "logs").iterdir()]
    assert "key=alice" in log.read_text()
    found = {name for name, secret in SECRETS.items() for text in told if secret in text}
    assert found == set(), [text for text in told if any(secret in text for secret in SECRETS.values())]


def raw(server: str, *pieces: bytes) -> bytes:
    """All that the server says to these bytes, until it closes the connection."""
    url = urlsplit(server)
    with socket.create_connection((url.hostname, url.port), timeout=30) as connection:
        for piece in pieces:
            connection.sendall(piece)
        said = b""
        while piece := connection.recv(65536):
            said += piece
    return said


GET: Final = b"GET /live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ([GET, b"\r\n"], 200),
        ([GET.replace(b"localhost", b"evil.example"), b"\r\n"], 403),
        ([GET, b"Host: localhost\r\n\r\n"], 400),
        ([GET, b"Origin: http://evil.example\r\n\r\n"], 403),
        ([GET, b"X: y\r\n" * MAX_HEADERS, b"\r\n"], 431),
        ([GET, b"X: " + b"y" * MAX_HEAD_BYTES, b"\r\n\r\n"], 431),
        # These never end; whoever sends them does not have them kept.
        ([GET, *[b"X: " + b"y" * 1000 + b"\r\n"] * 1000], 431),
        ([GET, b"X: ", *[b"y" * 1000] * 1000], 431),
        ([b"GET /", *[b"y" * 1000] * 1000], 431),
    ],
    ids=["fine", "host", "two hosts", "origin", "many", "large", "endless many", "endless large", "endless address"],
)
def test_what_no_client_of_good_faith_sends_is_refused_on_the_wire(
    server: str, pieces: list[bytes], status: int
) -> None:
    assert raw(server, *pieces).startswith(b"HTTP/1.1 %d " % status)


def test_a_body_that_is_too_large_is_refused_before_it_has_come(server: str) -> None:
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    assert raw(server, head, b"Content-Length: 999999999\r\n\r\n{").startswith(b"HTTP/1.1 413 ")


def test_a_websocket_is_not_spoken(server: str) -> None:
    upgrade = GET.replace(b"Connection: close", b"Connection: Upgrade, close\r\nUpgrade: websocket")
    upgrade += b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    assert not raw(server, upgrade).startswith(b"HTTP/1.1 101")


def test_where_the_page_comes_from_decides_and_not_what_it_says_it_sends(server: str) -> None:
    with openai.OpenAI(base_url=f"{server}/v1", api_key="none", max_retries=0) as client:
        page = client.with_options(default_headers={"Origin": "http://evil.example", "Content-Type": "text/plain"})
        with pytest.raises(openai.PermissionDeniedError, match="may not use this server"):
            page.chat.completions.create(model="tiny-gpt-oss", messages=HELLO)
