"""A tiny Hugging Face Hub: real HTTP, a few repositories, and every way in which a line or a hub can fail.

Large files are in LFS, as on the Hub: an address on the hub redirects to one on another host ("the CDN"), whose answers
can be resumed.
"""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
GATED = "org/gated"

_PIECE = 64 * 1024


@dataclass(frozen=True)
class Seen:
    """A request: what was asked for, from which byte on, and with which token."""

    method: str
    path: str
    start: int
    authorization: str | None
    cdn: bool


@dataclass
class Gate:
    """Holds an answer back after so many bytes, until it is opened."""

    after: int
    reached: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)


@dataclass
class Faults:
    """What is wrong. By file: bytes after which each answer breaks off, a gate, other content, statuses to answer."""

    breaks: dict[str, deque[int]] = field(default_factory=lambda: defaultdict(deque))
    gates: dict[str, Gate] = field(default_factory=dict)
    content: dict[str, bytes] = field(default_factory=dict)
    statuses: dict[str, deque[int]] = field(default_factory=lambda: defaultdict(deque))
    api_statuses: deque[int] = field(default_factory=deque)
    ignores_ranges: bool = False
    #: What it answers when asked for a repository, in place of a description.
    api_page: bytes | None = None
    #: The list of files has names only, as on a simple mirror.
    lists_names_only: bool = False
    #: Nor do the headers say a hash.
    has_no_hashes: bool = False


class Hub(ThreadingHTTPServer):
    """Serves ``repos``: repository -> file -> content.

    ``fetched`` lists the files that were sent, ``seen`` all requests. Files named in ``in_git`` are not in LFS. A
    repository in ``tokens`` is for those who have the token.
    """

    daemon_threads = True

    def __init__(self, repos: dict[str, dict[str, bytes]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repos = repos
        self.commits: dict[str, str] = defaultdict(lambda: COMMIT)
        self.in_git: set[str] = set()
        self.tokens: dict[str, str] = {GATED: "hf_accepted"}
        self.faults = Faults()
        self.seen: list[Seen] = []
        self.fetched: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def cdn(self) -> str:
        """Another host, as far as a client can tell."""
        return f"http://localhost:{self.server_address[1]}"

    def starts(self, name: str) -> list[int]:
        """From which byte on each answer with the file's content was asked for."""
        return [seen.start for seen in self.seen if seen.cdn and seen.method == "GET" and seen.path.endswith(name)]

    def digest(self, name: str, content: bytes) -> str:
        """The hash that names the content."""
        if name in self.in_git:
            return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        return hashlib.sha256(content).hexdigest()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no error here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def do_HEAD(self) -> None:
        self.answer(send_body=False)

    def do_GET(self) -> None:
        self.answer(send_body=True)

    def answer(self, *, send_body: bool) -> None:
        # As a proxy, it is asked for whole addresses.
        path = unquote(urlsplit(self.path).path)
        cdn = path.startswith("/cdn/")
        unit, _, start = self.headers.get("Range", "bytes=0-").partition("=")
        first = int(start.partition("-")[0]) if unit == "bytes" else 0
        self.server.seen.append(Seen(self.command, path, first, self.headers.get("Authorization"), cdn))
        if path.startswith("/api/models/"):
            self.describe(path.removeprefix("/api/models/"), send_body)
        elif cdn:
            repo, _, name = path.removeprefix("/cdn/").partition("/resolve/")
            self.send_content(repo, name.partition("/")[2], first, send_body)
        else:
            repo, _, rest = path.lstrip("/").partition("/resolve/")
            self.resolve(repo, rest.partition("/")[2], first, send_body)

    def refused(self, repo: str, send_body: bool) -> bool:
        given = self.headers.get("Authorization")
        if repo in self.server.tokens and given != f"Bearer {self.server.tokens[repo]}":
            status = 403 if given is None or given == "Bearer hf_other" else 401
            self.send(status, b"{}", {"X-Error-Code": "GatedRepo"} if status == 403 else _BAD_TOKEN, send_body)
        elif repo not in self.server.repos:
            self.send(404, b"{}", {"X-Error-Code": "RepoNotFound"}, send_body)
        else:
            return False
        return True

    def describe(self, repo: str, send_body: bool) -> None:
        if self.server.faults.api_page is not None:
            self.send(200, self.server.faults.api_page, {"Content-Type": "text/html"}, send_body)
        elif self.server.faults.api_statuses:
            self.send(self.server.faults.api_statuses.popleft(), b"{}", {}, send_body)
        elif not self.refused(repo, send_body):
            files = [self.listed(name, content) for name, content in self.server.repos[repo].items()]
            body = json.dumps({"id": repo, "sha": self.server.commits[repo], "siblings": files})
            self.send(200, body.encode(), {"Content-Type": "application/json"}, send_body)

    def listed(self, name: str, content: bytes) -> dict[str, object]:
        if self.server.faults.lists_names_only:
            return {"rfilename": name}
        entry: dict[str, object] = {"rfilename": name, "size": len(content), "blobId": "f" * 40}
        if name in self.server.in_git:
            return {**entry, "blobId": self.server.digest(name, content)}
        lfs = {"sha256": self.server.digest(name, content), "size": len(content), "pointerSize": 135}
        return {**entry, "lfs": lfs}

    def resolve(self, repo: str, name: str, start: int, send_body: bool) -> None:
        if self.refused(repo, send_body):
            return
        content = self.server.repos[repo].get(name)
        statuses = self.server.faults.statuses[name]
        if content is None:
            self.send(404, b"", {"X-Error-Code": "EntryNotFound"}, send_body)
        elif statuses:
            self.send(statuses.popleft(), b"", {"Retry-After": "0"}, send_body)
        else:
            said = {"X-Repo-Commit": self.server.commits[repo], "X-Linked-Size": str(len(content))}
            if not self.server.faults.has_no_hashes:
                said["X-Linked-Etag"] = f'"{self.server.digest(name, content)}"'
            self.send(302, b"", {**said, "Location": f"{self.server.cdn}/cdn{self.path_only()}"}, send_body)

    def path_only(self) -> str:
        return urlsplit(self.path).path

    def send_content(self, repo: str, name: str, start: int, send_body: bool) -> None:
        faults = self.server.faults
        content = faults.content.get(name, self.server.repos[repo][name])
        if faults.ignores_ranges:
            start = 0
        if send_body:
            self.server.fetched.append(name)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if send_body:
            self.send_pieces(name, content, start)

    def send_pieces(self, name: str, content: bytes, start: int) -> None:
        faults = self.server.faults
        end = start + faults.breaks[name].popleft() if faults.breaks[name] else len(content)
        gate = faults.gates.get(name)
        for at in range(start, end, _PIECE):
            if gate is not None and at >= gate.after:
                gate.reached.set()
                gate.opened.wait()
            self.wfile.write(content[at : min(at + _PIECE, end)])
        if end < len(content):
            # Not an end of the answer, but of the line.
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

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


_BAD_TOKEN = {"X-Error-Message": "Invalid credentials in Authorization header"}


def weights(size: int = 1 << 20, seed: int = 0) -> bytes:
    """Something that looks like a GGUF file of so many bytes, and has no two alike pieces."""
    block = b"".join(hashlib.sha256(b"%d %d" % (seed, number)).digest() for number in range(size // 32 + 1))
    return (b"GGUF" + block)[:size]


@contextmanager
def running_hub(repos: dict[str, dict[str, bytes]]) -> Iterator[Hub]:
    """A hub that listens until the block is left; gates are opened then."""
    with Hub(repos) as hub:
        thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield hub
        finally:
            for gate in hub.faults.gates.values():
                gate.opened.set()
            hub.shutdown()
            thread.join()
