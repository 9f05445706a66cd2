#!/usr/bin/env python3
"""A llama-server that does what a test tells it: a real HTTP server in its own process, with nothing but the stdlib.

It takes ``--model --host --port --ctx-size --parallel --alias`` (and ignores other flags). The "model" is the scenario,
a JSON file that ``write_scenario`` writes::

    {"load": [STEP…], "replies": [[STEP…], …], "ignore_term": false, "props": {…}, "advances": false}

``load`` runs before /health answers 200 (503 until then). Each POST to /completion or /v1/chat/completions takes the
next list of ``replies``, an engine that was started again too; the last one is used again and again. A step is one of::

    {"frames": [{…}, …]}       server-sent events, all in one write
    {"raw": "text"}            these bytes (latin-1), as a chunk of the stream
    {"status": 400, "body": …} an answer that is no stream; must come first
    {"wait": true}             until POST /__release__ (each release lets one wait pass)
    {"hang": true}             until the client goes away
    {"drop": true}             close the connection in the middle of the stream
    {"print": "text"}          a line on stderr
    {"exit": 3}                end the process with this code; a negative number is a signal

An engine that ``advances`` says in /slots that it has generated a token more each time it is asked.

GET /__requests__ returns the requests so far as ``[{"path", "body", "headers"}]``; they are also appended to
``SCENARIO.requests.jsonl``, which outlives the process.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FAKE_LLAMA_SERVER = Path(__file__).resolve()

Frame = dict[str, Any]
Step = dict[str, Any]


def write_scenario(path: Path, *replies: Sequence[Step], load: Sequence[Step] = (), **more: Any) -> Path:
    """Write a scenario file, to be given to the fake as its model."""
    path.write_text(json.dumps({"load": list(load), "replies": [list(reply) for reply in replies], **more}))
    return path


def one_by_one(frames: Iterable[Frame]) -> list[Step]:
    """Steps that send each frame in a write of its own."""
    return [{"frames": [frame]} for frame in frames]


def requests_of(scenario: Path) -> list[dict[str, Any]]:
    """What the fake was asked, in order, even if it is dead by now."""
    record = scenario.with_name(scenario.name + ".requests.jsonl")
    return [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []


def frames_for(
    token_bytes: Sequence[tuple[int, bytes]],
    *,
    prompt_tokens: int = 10,
    cached: int = 0,
    stop_type: str = "eos",
    final: bool = True,
) -> list[Frame]:
    """The frames in which llama-server sends these tokens, each an id with the bytes that it stands for.

    A token that leaves an incomplete character sends no frame, and its id never comes: the next frame carries the whole
    text with the last id only, and ``tokens_predicted`` jumps. Progress frames come first, with a token 0 that is none.
    """
    same = {"index": 0, "stop": False, "id_slot": -1}
    frames: list[Frame] = [
        {
            **same,
            "content": "",
            "tokens": [0],
            "tokens_predicted": 0,
            "tokens_evaluated": prompt_tokens,
            "prompt_progress": {"total": prompt_tokens, "cache": cached, "processed": processed, "time_ms": 0},
        }
        for processed in (cached, prompt_tokens)
    ]
    unsent = b""
    for count, (token, text) in enumerate(token_bytes, 1):
        unsent += text
        if _ends_in_half_a_character(unsent):
            continue
        frames.append(
            {
                **same,
                "content": unsent.decode(errors="replace"),
                "tokens": [token],
                "tokens_predicted": count,
                "tokens_evaluated": prompt_tokens,
            }
        )
        unsent = b""
    if final:
        frames.append(final_frame(len(token_bytes), prompt_tokens=prompt_tokens, cached=cached, stop_type=stop_type))
    return frames


def final_frame(predicted: int, *, prompt_tokens: int = 10, cached: int = 0, stop_type: str = "eos") -> Frame:
    """The last frame of a /completion stream."""
    return {
        "content": "",
        "tokens": [],
        "stop": True,
        "stop_type": stop_type,
        "stopping_word": "",
        "truncated": False,
        "tokens_predicted": predicted,
        "tokens_evaluated": prompt_tokens,
        "tokens_cached": prompt_tokens + predicted - 1,
        "timings": {
            "cache_n": cached,
            "prompt_n": prompt_tokens - cached,
            "prompt_ms": 1.0,
            "prompt_per_second": 1000.0 * (prompt_tokens - cached),
            "predicted_n": predicted,
            "predicted_ms": 1.0,
            "predicted_per_second": 1000.0 * predicted,
        },
    }


def context_exceeded(prompt_tokens: int, context: int) -> Step:
    """The step that refuses a prompt as too long."""
    error = {
        "code": 400,
        "message": f"request ({prompt_tokens} tokens) exceeds the available context size ({context} tokens)",
        "type": "exceed_context_size_error",
        "n_prompt_tokens": prompt_tokens,
        "n_ctx": context,
    }
    return {"status": 400, "body": {"error": error}}


def _ends_in_half_a_character(text: bytes) -> bool:
    for back in range(1, min(4, len(text)) + 1):
        byte = text[-back]
        if byte & 0xC0 == 0x80:
            continue
        length = 4 if byte & 0xF8 == 0xF0 else 3 if byte & 0xF0 == 0xE0 else 2 if byte & 0xE0 == 0xC0 else 1
        return length > back
    return False


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, arguments: argparse.Namespace, scenario: dict[str, Any]) -> None:
        self.arguments = arguments
        self.scenario = scenario
        self.key = os.environ.get("LLAMA_API_KEY", "")
        self.record = arguments.model.with_name(arguments.model.name + ".requests.jsonl")
        self.ready = threading.Event()
        self.released = threading.Semaphore(0)
        self.lock = threading.Lock()
        self.requests: list[dict[str, Any]] = []
        self.answered_before = len(requests_of(arguments.model))
        self.busy = 0
        self.looks = 0
        super().__init__((arguments.host, arguments.port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves is nothing to speak of; a traceback would push out what the engine was told to print."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    def next_reply(self, path: str, body: Any, headers: dict[str, str]) -> list[Step]:
        with self.lock:
            self.requests.append({"path": path, "body": body, "headers": headers})
            with self.record.open("a") as file:
                file.write(json.dumps(self.requests[-1]) + "\n")
            replies = self.scenario.get("replies") or [one_by_one(frames_for([(1, b"Hello"), (2, b"")]))]
            return replies[min(self.answered_before + len(self.requests), len(replies)) - 1]

    def do(self, step: Step) -> None:
        """Carry out a step that needs no connection."""
        if "print" in step:
            print(step["print"], file=sys.stderr, flush=True)
        elif "wait" in step:
            self.released.acquire()
        elif "exit" in step:
            if step["exit"] < 0:
                os.kill(os.getpid(), -step["exit"])
                threading.Event().wait()
            os._exit(step["exit"])
        else:
            raise ValueError(f"no such step: {step}")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        print(f"srv  log_server_r: {format % args}", file=sys.stderr, flush=True)

    def do_GET(self) -> None:
        server = self.server
        if self.path == "/health":
            if server.ready.is_set():
                self.answer(200, {"status": "ok"})
            else:
                loading = {"code": 503, "message": "Loading model", "type": "unavailable_error"}
                self.answer(503, {"error": loading})
        elif self.path == "/__requests__":
            self.answer(200, server.requests)
        elif not self.may():
            return
        elif self.path == "/props":
            slot_context = server.arguments.ctx_size // max(1, server.arguments.parallel)
            self.answer(
                200,
                {
                    "default_generation_settings": {"n_ctx": slot_context},
                    "total_slots": server.arguments.parallel,
                    "model_alias": server.arguments.alias,
                    **server.scenario.get("props", {}),
                },
            )
        elif self.path == "/slots":
            server.looks += bool(server.scenario.get("advances"))
            slots = [{"id": slot, "is_processing": slot < server.busy} for slot in range(server.arguments.parallel)]
            self.answer(200, [{**slot, "next_token": [{"n_decoded": server.looks}]} for slot in slots])
        else:
            self.answer(404, {"error": {"code": 404, "message": "File Not Found", "type": "not_found_error"}})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/__release__":
            self.server.released.release()
            self.answer(200, {})
        elif self.may():
            with self.server.lock:
                self.server.busy += 1
            try:
                self.reply(self.server.next_reply(self.path, json.loads(body), dict(self.headers)))
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True
            finally:
                with self.server.lock:
                    self.server.busy -= 1

    def may(self) -> bool:
        if not self.server.key or self.headers.get("Authorization") == f"Bearer {self.server.key}":
            return True
        self.answer(401, {"error": {"code": 401, "message": "Invalid API Key", "type": "authentication_error"}})
        return False

    def answer(self, status: int, body: Any) -> None:
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def reply(self, steps: list[Step]) -> None:
        if steps and "status" in steps[0]:
            self.answer(steps[0]["status"], steps[0]["body"])
            return
        started = False
        for step in steps:
            if "hang" in step:
                self.connection.recv(1)
                self.close_connection = True
                return
            if "drop" in step:
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            if "frames" in step or "raw" in step:
                if not started:
                    started = True
                    self.send_response(200)
                    self.send_header("Content-Type", "text/event-stream")
                    self.send_header("Transfer-Encoding", "chunked")
                    self.end_headers()
                self.chunk(self.bytes_of(step))
            else:
                self.server.do(step)
        self.wfile.write(b"0\r\n\r\n")

    def bytes_of(self, step: Step) -> bytes:
        if "raw" in step:
            return step["raw"].encode("latin-1")
        return b"".join(
            b"data: " + json.dumps(frame, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"
            for frame in step["frames"]
        )

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))


def main() -> None:
    """Serve the scenario until killed, as llama-server would."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--version", action="version", version="version: 9999 (fake)")
    parser.add_argument("-m", "--model", type=Path, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("-c", "--ctx-size", type=int, default=0)
    parser.add_argument("-np", "--parallel", type=int, default=1)
    parser.add_argument("-a", "--alias", default="")
    arguments, _ = parser.parse_known_args()
    try:
        scenario = json.loads(arguments.model.read_bytes())
    except (OSError, ValueError) as error:
        sys.exit(f"srv    load_model: failed to load model, '{arguments.model}': {error}")
    if scenario.get("ignore_term"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    try:
        server = _Server(arguments, scenario)
    except OSError:
        sys.exit(f"srv  init: couldn't bind HTTP server socket, hostname: {arguments.host}, port: {arguments.port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for step in scenario.get("load", []):
        server.do(step)
    server.ready.set()
    print("srv          init: model loaded", file=sys.stderr, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
