"""A tiny Hugging Face Hub: real HTTP, a few repositories, and the two calls that a download makes."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"
GATED = "org/gated"


class Hub(ThreadingHTTPServer):
    """Serves ``repos``: repository -> file -> content. ``fetched`` lists the files that were sent."""

    daemon_threads = True

    def __init__(self, repos: dict[str, dict[str, bytes]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repos = repos
        self.fetched: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def do_HEAD(self) -> None:
        self.answer(send_body=False)

    def do_GET(self) -> None:
        self.answer(send_body=True)

    def answer(self, *, send_body: bool) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("/api/models/"):
            self.describe(path.removeprefix("/api/models/"), send_body)
        else:
            repo, _, rest = path.lstrip("/").partition("/resolve/")
            self.send_content(repo, rest.partition("/")[2], send_body)

    def describe(self, repo: str, send_body: bool) -> None:
        if repo == GATED:
            self.send(403, b"{}", {"X-Error-Code": "GatedRepo"}, send_body)
        elif repo not in self.server.repos:
            self.send(404, b"{}", {"X-Error-Code": "RepoNotFound"}, send_body)
        else:
            files = [{"rfilename": name} for name in self.server.repos[repo]]
            body = json.dumps({"id": repo, "sha": COMMIT, "siblings": files})
            self.send(200, body.encode(), {"Content-Type": "application/json"}, send_body)

    def send_content(self, repo: str, name: str, send_body: bool) -> None:
        content = self.server.repos.get(repo, {}).get(name)
        if content is None:
            self.send(404, b"", {"X-Error-Code": "EntryNotFound"}, send_body)
            return
        if send_body:
            self.server.fetched.append(name)
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha256(content).hexdigest()}"'}
        self.send(200, content, headers, send_body)

    def send(self, status: int, body: bytes, headers: dict[str, str], send_body: bool) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if send_body:
            self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Says nothing."""


@contextmanager
def running_hub(repos: dict[str, dict[str, bytes]]) -> Iterator[Hub]:
    """A hub that listens until the block is left."""
    with Hub(repos) as hub:
        thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()
