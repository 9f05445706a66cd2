"""A server of llama.cpp's releases that answers as GitHub's API does, and archives for it to serve."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.fake_llama_server import FAKE_LLAMA_SERVER

#: An engine that serves, and one that only tells its version, which is quicker.
SERVING_ENGINE = FAKE_LLAMA_SERVER.read_bytes()
ENGINE = b"#!/bin/sh\necho 'version: 9999 (fake)'\n"
#: An engine that starts and is none.
BROKEN = b"#!/bin/sh\necho 'error while loading shared libraries: libfancy.so.1' >&2\nexit 127\n"

VULKAN = "llama-{tag}-bin-ubuntu-vulkan-x64.tar.gz"
_OTHERS = ("ubuntu-x64.tar.gz", "ubuntu-vulkan-arm64.tar.gz", "ubuntu-arm64.tar.gz")


def tar(files: Mapping[str, bytes], links: Mapping[str, str] | None = None, mode: int = 0o755) -> bytes:
    """A .tar.gz of these files, all with the same mode, and symbolic links."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), mode
            archive.addfile(info, io.BytesIO(content))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    return buffer.getvalue()


def zipped(files: Mapping[str, bytes], links: Mapping[str, str] | None = None, mode: int = 0o100755) -> bytes:
    """The same as a .zip."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
        for name, target in (links or {}).items():
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o120777 << 16
            archive.writestr(info, target)
    return buffer.getvalue()


def engine_archive(tag: str = "b100", engine: bytes = ENGINE) -> bytes:
    """What a release's archive looks like, with links between libraries and all."""
    files = {
        f"llama-{tag}/llama-server": engine,
        f"llama-{tag}/libllama.so.0.1": b"library",
        f"llama-{tag}/LICENSE": b"MIT",
    }
    return tar(files, {f"llama-{tag}/libllama.so": "libllama.so.0.1"})


@dataclass
class ReleaseServer:
    """``releases`` is tag -> file -> content. Everything that goes wrong is by file name.

    ``digests`` replaces what is published: ``None`` is nothing, ``wrong`` is of something else.
    """

    releases: dict[str, dict[str, bytes]]
    latest: str
    digests: dict[str, Any] = field(default_factory=dict)
    drops: set[str] = field(default_factory=set)
    #: Files that stop half-way, until the server ends; ``held`` says that one has.
    stalls: bool = False
    held: threading.Event = field(default_factory=threading.Event)
    ends: threading.Event = field(default_factory=threading.Event)
    #: Answers to API calls, by the end of the path: status, headers, body.
    answers: dict[str, tuple[int, dict[str, str], str]] = field(default_factory=dict)
    #: What was asked, and with which Authorization.
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    url: str = ""

    def describe(self, tag: str) -> dict[str, Any]:
        """What the API says of a release."""
        return {"tag_name": tag, "assets": [self._asset(tag, *item) for item in self.releases[tag].items()]}

    def _asset(self, tag: str, name: str, content: bytes) -> dict[str, Any]:
        digest = self.digests.get(name, "sha256:" + hashlib.sha256(content).hexdigest())
        if digest == "wrong":
            digest = "sha256:" + hashlib.sha256(b"something else").hexdigest()
        url = f"{self.url}/download/{tag}/{name}"
        return {"name": name, "size": len(content), "digest": digest, "browser_download_url": url}


def release_of(tag: str, engine: bytes = ENGINE) -> dict[str, bytes]:
    """A release with builds for Linux."""
    archive = engine_archive(tag, engine)
    names = [VULKAN.format(tag=tag), *(f"llama-{tag}-bin-{name}" for name in _OTHERS)]
    return {**dict.fromkeys(names, archive), f"llama-{tag}-ui.tar.gz": b"ui"}


@contextmanager
def release_server(
    releases: dict[str, dict[str, bytes]] | None = None, latest: str = "b100"
) -> Iterator[ReleaseServer]:
    """A release server that listens until the block is left; with release b100, if nothing else is asked for."""
    served = ReleaseServer(releases if releases is not None else {"b100": release_of("b100")}, latest)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            served.asked.append((self.path, self.headers.get("Authorization")))
            api = "/repos/ggml-org/llama.cpp/releases/"
            if self.path.startswith(api):
                self.answer(self.path.removeprefix(api))
            elif self.path.startswith("/download/"):
                # GitHub keeps files on another host, and sends there.
                self.send(302, b"", {"Location": self.path.replace("/download/", "/elsewhere/", 1)})
            else:
                _, _, tag, name = self.path.split("/")
                self.send_content(name, served.releases[tag][name])

        def answer(self, which: str) -> None:
            tag = served.latest if which == "latest" else which.removeprefix("tags/")
            if which in served.answers:
                status, headers, body = served.answers[which]
                self.send(status, body.encode(), headers)
            elif tag in served.releases:
                self.send(200, json.dumps(served.describe(tag)).encode(), {})
            else:
                self.send(404, b'{"message": "Not Found"}', {})

        def send_content(self, name: str, content: bytes) -> None:
            if served.stalls:
                self.send(200, content[: len(content) // 2], {"Content-Length": str(len(content))})
                self.wfile.flush()
                served.held.set()
                served.ends.wait()
                self.close_connection = True
            elif name in served.drops:
                self.send(200, content[: len(content) // 2], {"Content-Length": str(len(content))})
                self.close_connection = True
            else:
                self.send(200, content, {})

        def send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        served.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield served
        finally:
            served.ends.set()
            server.shutdown()
            thread.join()
