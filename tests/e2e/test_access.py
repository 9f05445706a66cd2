"""A real server that is guarded: who gets in, what is kept from whom, and that no secret is told."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import httpx
import openai
import pytest

from lemonade_like.access.door import MAX_HEAD_BYTES, MAX_HEADERS
from tests.e2e.conftest import ONE_THREAD
from tests.support.server_process import address, server_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HELLO: Any = [{"role": "user", "content": "Hello"}]

#: By where it is set. None of them may be read anywhere.
SECRETS: Final = {
    "environment": "sk-in-the-environment-8a02",
    "environment, too": "sk-in-the-environment-41f1",
    "file": "sk-in-a-file-77c3",
    "admin": "sk-given-as-an-option-19d4",
    "hub token": "hf_TokenOfTheHub5e5",
    "mirror token": "ghp_TokenOfTheMirror4a4",
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


def test_on_a_network_a_server_without_a_key_does_not_start(tmp_path: Path) -> None:
    refused = start("--host", "0.0.0.0", LEMONADE_LIKE_CACHE_DIR=str(tmp_path), LEMONADE_LIKE_ADMIN_KEY="boss")
    assert (refused.returncode, refused.stdout) == (2, "")
    what, why, instead = refused.stderr.splitlines()
    assert what.startswith("Error: There is no API key") and "0.0.0.0" in what
    assert "LEMONADE_LIKE_API_KEY" in why
    assert "--insecure" in instead


def test_a_file_of_keys_without_keys_does_not_start_an_open_server(tmp_path: Path) -> None:
    (tmp_path / "keys").touch()
    refused = start("--api-key-file", str(tmp_path / "keys"), LEMONADE_LIKE_CACHE_DIR=str(tmp_path))
    assert refused.returncode == 2
    assert "There is no key" in refused.stderr


def test_on_a_network_it_starts_if_somebody_insists_and_says_so_and_can_be_told_to_stop(
    cache_dir: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with (
        log.open("w") as stderr,
        server_process(cache_dir, "--host", "0.0.0.0", "--insecure", stderr=stderr.fileno()) as process,
    ):
        url = address(process)
        assert httpx.get(f"{url}/v1/models").status_code == 200
        assert httpx.post(f"{url}/v1/shutdown").json()["status"] == "success"
        assert process.wait(timeout=30) == 0
    assert "there is no API key" in log.read_text()
    assert "Traceback" not in log.read_text()


@dataclass(frozen=True)
class Guarded:
    """A running server with keys from everywhere, and all that it has told so far."""

    client: httpx.Client
    log: Path
    engine_logs: Path
    told: list[str] = field(default_factory=list)

    def ask(self, method: str, path: str, key: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key}", **more.pop("headers", {})}
        answer = self.client.request(method, path, headers=headers, **more)
        self.told.append(f"{answer.headers} {answer.text}")
        return answer

    def leaks(self) -> dict[str, list[str]]:
        """The lines that tell a secret, by which it is."""
        texts = [*self.told, self.log.read_text(), *(file.read_text("utf-8", "replace") for file in self.engines())]
        lines = [line for text in texts for line in text.splitlines()]
        found = {name: [line for line in lines if secret in line] for name, secret in SECRETS.items()}
        return {name: lines for name, lines in found.items() if lines}

    def engines(self) -> list[Path]:
        return list(self.engine_logs.iterdir())


@pytest.fixture(scope="module")
def guarded(cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("guarded")
    keys, log, broken = folder / "keys", folder / "log", folder / "broken.gguf"
    keys.touch(mode=0o600)
    keys.write_text(f"# ours\nalice {SECRETS['file']}\n")
    broken.write_bytes(b"no model" * 100)
    environ = {
        "LEMONADE_LIKE_API_KEY": f"{SECRETS['environment']}, {SECRETS['environment, too']}",
        "LEMONADE_LIKE_LOG_DIR": str(folder / "logs"),
        "LEMONADE_LIKE_RELEASES_URL": f"http://me:{SECRETS['mirror login']}@{NOWHERE}/mirror",
        "HF_TOKEN": SECRETS["hub token"],
        "GITHUB_TOKEN": SECRETS["mirror token"],
        "HF_ENDPOINT": f"http://me:{SECRETS['hub login']}@{NOWHERE}",
        "HTTPS_PROXY": f"http://me:{SECRETS['proxy login']}@{NOWHERE}",
        "NO_PROXY": "127.0.0.1",
    }
    options = (
        *("--log-level", "debug", "--model", "tiny-gpt-oss", "--model", str(broken), *ONE_THREAD),
        *("--api-key-file", str(keys), "--admin-key", SECRETS["admin"]),
    )
    with contextlib.ExitStack() as opened:
        stderr = opened.enter_context(log.open("w"))
        # Of this server's environment only, and of no other's that is started meanwhile.
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environ.items():
                patch.setenv(name, value)
            process = opened.enter_context(server_process(cache_dir, *options, stderr=stderr.fileno()))
        client = opened.enter_context(httpx.Client(base_url=address(process), timeout=60))
        yield Guarded(client, log, folder / "logs")


def test_no_secret_is_in_a_log_or_an_answer(guarded: Guarded) -> None:
    def ask(method: str, path: str, key: str, **more: Any) -> int:
        return guarded.ask(method, path, key, **more).status_code

    admin, wrong = SECRETS["admin"], SECRETS["wrong"]
    chat = {"messages": HELLO, "max_tokens": 2}
    for name in ("environment", "environment, too", "file"):
        assert ask("POST", "/v1/chat/completions", SECRETS[name], json={"model": "tiny-gpt-oss", **chat}) == 200
        assert ask("POST", "/v1/load", SECRETS[name], json={"model_name": "tiny-gpt-oss"}) == 403
    for path in ("/v1/models", f"/v1/models?api_key={wrong}&key={admin}"):
        assert ask("GET", path, wrong) == 401
    assert ask("GET", "/nowhere", wrong, headers={"x-api-key": admin}) == 404
    for path in ("/v1/health", "/v1/system-info", "/v1/stats", "/v1/models?show_all=true"):
        assert ask("GET", path, admin) == 200
    # What fails, and might say why in too many words.
    assert ask("POST", "/v1/chat/completions", admin, content=b"{") == 400
    assert ask("POST", "/v1/chat/completions", admin, json={"model": "broken", **chat}) == 500
    assert ask("POST", "/v1/pull", admin, json={"model_name": "org/repo:Q4_0"}) == 502
    assert ask("GET", "/v1/pull/variants?checkpoint=org/repo", admin) == 502
    assert ask("POST", "/v1/install", admin, json={"backend": "cpu"}) >= 400
    assert ask("GET", "/v1/models", admin, headers={"Host": "evil.example"}) == 403

    assert "key=alice" in guarded.log.read_text()
    assert guarded.engines()
    assert guarded.leaks() == {}


def test_what_one_key_has_kept_is_not_there_for_another(guarded: Guarded) -> None:
    mine, yours = SECRETS["environment"], SECRETS["file"]
    kept = guarded.ask("POST", "/v1/responses", mine, json={"model": "tiny-gpt-oss", "input": "Hello"}).json()["id"]
    assert guarded.ask("GET", f"/v1/responses/{kept}", mine).status_code == 200
    # An admin has no part in it either: it shows a prompt, but it is somebody's own.
    for other in (yours, SECRETS["admin"]):
        assert guarded.ask("GET", f"/v1/responses/{kept}", other).status_code == 404
        assert guarded.ask("DELETE", f"/v1/responses/{kept}", other).status_code == 404
        body = {"model": "tiny-gpt-oss", "input": "Again", "previous_response_id": kept}
        refused = guarded.ask("POST", "/v1/responses", other, json=body)
        assert refused.json()["error"]["code"] == "previous_response_not_found"


def test_that_somebody_has_sent_the_same_before_shows_as_the_docs_say(guarded: Guarded) -> None:
    body = {"model": "tiny-gpt-oss", "messages": [{"role": "user", "content": "My diary. " * 20}], "max_tokens": 1}

    def cached(key: str) -> int:
        usage = guarded.ask("POST", "/v1/chat/completions", SECRETS[key], json=body).json()["usage"]
        found: int = usage["prompt_tokens_details"]["cached_tokens"]
        return found

    before, after = cached("environment"), cached("file")
    assert after > before


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
