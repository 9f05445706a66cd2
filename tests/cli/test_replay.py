"""``lemonade-like replay`` picks turns, compares them, and says by its exit code what came of it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from rich.console import Console

from lemonade_like.cli.replay import Choice, replay_turns
from lemonade_like.settings import Settings
from tests.cli.test_commands import Outcome
from tests.support.record import line

if TYPE_CHECKING:
    from lemonade_like.harmony.encoding import HarmonyEncoding

ANSWER = "<|channel|>analysis<|message|>Two and two.<|end|><|start|>assistant<|channel|>final<|message|>4.<|return|>"


@pytest.fixture(autouse=True)
def users_machine(tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("XDG_CONFIG_HOME", "APPDATA"):
        monkeypatch.setenv(variable, str(tmp_path / "config"))
    monkeypatch.setenv("LEMONADE_LIKE_CACHE_DIR", str(cache_dir))


@pytest.fixture
def file(tmp_path: Path, encoder: HarmonyEncoding) -> Path:
    """Three turns: one as it must be, one of an older parser, one of another model that was refused."""
    lost = [{"type": "content", "at": 1.0, "channel": "final", "text": "5.", "pieces": 1}]
    refused: dict[str, Any] = dict.fromkeys(["prompt", "payload", "output", "usage", "finish_reason", "model"])
    error = {"type": "invalid_request_error", "message": "There is no such model.", "code": None, "param": None}
    lines = [
        line(ANSWER, encoder),
        line(ANSWER, encoder, id="req_2", turn="turn_2", events=lost),
        line(
            ANSWER,
            encoder,
            **{**refused, "id": "req_3", "outcome": "failed", "error": error},
            request={"model": "nobody", "messages": [{"role": "user", "content": [{"text": "Hi [b]you[/b]"}]}]},
        ),
    ]
    path = tmp_path / "turns.jsonl"
    path.write_bytes(b"".join(lines))
    return path


@pytest.mark.parametrize(
    ("options", "code", "verdicts"),
    [
        (["--id", "req_1"], 0, {"req_1": "same"}),
        (["--id", "turn_2"], 1, {"req_2": "different"}),
        (["--last", "2"], 1, {"req_2": "different", "req_3": "left out"}),
        (["--all"], 1, {"req_1": "same", "req_2": "different", "req_3": "left out"}),
        (["--model", "tiny-gpt-oss", "--last", "1"], 1, {"req_2": "different"}),
        (["--model", "tiny-gpt-oss"], 1, {"req_1": "same", "req_2": "different"}),
        ([], 2, {"req_3": "left out"}),
    ],
)
def test_the_chosen_turns_are_compared_and_the_exit_code_tells(
    file: Path, capsys: pytest.CaptureFixture[str], options: list[str], code: int, verdicts: dict[str, str]
) -> None:
    outcome = Outcome(capsys, "replay", str(file), "--parse-only", "--json", *options)
    told = [json.loads(each) for each in outcome.out.splitlines()]
    assert {one["id"]: one["verdict"] for one in told} == verdicts
    assert outcome.code == code


def test_the_first_difference_is_shown_with_what_stands_before_it(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = Outcome(capsys, "replay", str(file), "--parse-only", "--id", "req_2")
    assert outcome.out.split() == [
        *("different", "req_2", "turn_2", "tiny-gpt-oss"),
        *("first", "difference", "in", "reasoning", "at", "character", "0:"),
        *("recorded", "(the", "end)", "now", "Two", "and", "two."),
    ]


def test_on_a_terminal_it_is_in_colour(file: Path) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, color_system="standard", width=200)
    replay_turns(str(file), Settings(), Choice(everything=True), parse_only=True, console=console)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b[32msame" in shown
    assert "\x1b[1;31mdifferent" in shown


def test_the_list_shows_all_turns(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = Outcome(capsys, "replay", str(file), "--list")
    rows = [row.split() for row in outcome.out.splitlines() if "req_" in row]
    assert [row[1] for row in rows] == ["req_1", "req_2", "req_3"]
    assert "Hi [b]you[/b]" in outcome.out
    assert outcome.code == 0
    as_json = Outcome(capsys, "replay", str(file), "--list", "--json", "--last", "1").out
    assert json.loads(as_json)["id"] == "req_3"


def test_lines_that_cannot_be_read_are_named_and_left_out(
    file: Path, encoder: HarmonyEncoding, capsys: pytest.CaptureFixture[str]
) -> None:
    good = line(ANSWER, encoder)
    file.write_bytes(good + b'{"schema": 9}\n\n' + b"\x00\xff not JSON\n" + good + b'{"schema": 1, "id')
    outcome = Outcome(capsys, "replay", str(file), "--all", "--parse-only")
    assert outcome.code == 0
    assert outcome.out.count("same") == 2
    named = [row.partition(", is left out: ")[0] for row in outcome.err.splitlines()]
    assert named == [f"{file}, line {number}" for number in (2, 4, 6)]
    assert "of version 9" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["/no/such/turns.jsonl"], "/no/such/turns.jsonl: No such file"),
        (["FILE", "--id", "req_9", "--parse-only"], "no such turn in this recording"),
        (["FILE", "--last", "0"], "--last"),
        (["FILE", "--parse-only", "--render"], "nothing is generated"),
        (["FILE", "--server", "http://127.0.0.1:9", "--id", "req_1", "--config", "/no/such"], "no configuration file"),
        ([], "FILE"),
    ],
)
def test_what_cannot_be_done_is_trouble_and_no_difference(
    file: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], part: str
) -> None:
    outcome = Outcome(capsys, "replay", *(str(file) if each == "FILE" else each for each in arguments))
    assert outcome.code == 2
    assert part in outcome.err
    assert len(outcome.err.splitlines()) <= 3


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "nonsense", "http://[", "ftp://x"])
def test_a_server_that_is_not_there_is_told(file: Path, capsys: pytest.CaptureFixture[str], url: str) -> None:
    outcome = Outcome(capsys, "replay", str(file), "--id", "req_1", "--server", url)
    assert outcome.code == 2
    assert f"No server answers at {url}" in outcome.out


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        (["--api-key", "theirs"], "Bearer theirs"),
        ([], "Bearer mine"),
        (["--api-key", "theirs", "--render"], "Bearer theirs"),
    ],
)
def test_the_server_gets_the_key_that_is_meant_for_it_and_never_that_of_an_admin(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, options: list[str], sent: str
) -> None:
    monkeypatch.setenv("LEMONADE_LIKE_ADMIN_KEY", "boss")
    monkeypatch.setenv("LEMONADE_LIKE_API_KEY", "mine")
    sent_keys: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent_keys.append(request.headers.get("authorization"))
        return httpx.Response(503, json={"error": {"message": "Not now."}})

    def request(method: str, url: str, **asked: Any) -> httpx.Response:
        with httpx.Client(transport=httpx.MockTransport(answer)) as client:
            return client.request(method, url, **asked)

    monkeypatch.setattr(httpx, "request", request)
    outcome = Outcome(capsys, "replay", str(file), "--id", "req_1", "--server", "http://elsewhere", *options)
    assert "Not now." in outcome.out
    assert sent_keys == [sent]


def test_a_model_that_is_not_here_is_told(
    tmp_path: Path, encoder: HarmonyEncoding, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = {"name": "gone", "checkpoint": None, "path": "/models/gone.gguf", "bytes": 1}
    (tmp_path / "turns.jsonl").write_bytes(line(ANSWER, encoder, model=gone))
    outcome = Outcome(capsys, "replay", str(tmp_path / "turns.jsonl"))
    assert outcome.code == 2
    assert "/models/gone.gguf does not exist" in outcome.out
