from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lemonade_like.observe.context import request_id_var
from lemonade_like.observe.logging import setup_logging
from lemonade_like.settings import LogLevel
from tests.support.process_state import process_state_kept


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    with process_state_kept():
        yield


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def logged(level: LogLevel, speak: object, stream: io.StringIO | None = None) -> str:
    stream = stream or io.StringIO()
    setup_logging(level, stream)
    speak()  # type: ignore[operator]
    return stream.getvalue()


def test_a_line_has_time_level_room_and_message() -> None:
    text = logged("info", lambda: logging.getLogger("lemonade_like.pool").info("loading %s", "tiny"))
    assert re.fullmatch(r"\d\d:\d\d:\d\d INFO    pool: loading tiny\n", text)


def test_a_line_within_a_request_has_the_requests_id() -> None:
    def speak() -> None:
        token = request_id_var.set("req_1")
        logging.getLogger("lemonade_like.turns").warning("cut")
        request_id_var.reset(token)
        logging.getLogger("lemonade_like.turns").warning("after")

    first, second = logged("info", speak).splitlines()
    assert first.endswith("WARNING turns: [req_1] cut")
    assert second.endswith("WARNING turns: after")


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_only_the_level_asked_for_and_worse_is_logged(level: LogLevel, expected: list[str]) -> None:
    def speak() -> None:
        for name in ("debug", "info", "warning", "error"):
            getattr(logging.getLogger("lemonade_like.x"), name)(name)

    assert [line.split(": ")[1] for line in logged(level, speak).splitlines()] == expected


def test_uvicorn_and_warnings_speak_through_the_same_lines() -> None:
    def speak() -> None:
        logging.getLogger("uvicorn.error").info("Uvicorn running on …")
        logging.getLogger("uvicorn.error").error("bad")
        warnings.warn("old", DeprecationWarning, stacklevel=1)

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        text = logged("info", speak)
    assert "ERROR   uvicorn.error: bad\n" in text
    assert "DeprecationWarning: old" in text
    assert "Uvicorn running" not in text


def test_a_traceback_follows_its_message() -> None:
    def speak() -> None:
        try:
            raise ValueError("why")
        except ValueError:
            logging.getLogger("lemonade_like.x").exception("failed")

    assert logged("info", speak).splitlines()[-1] == "ValueError: why"


def speak_of_a_login() -> None:
    try:
        raise ValueError("http://me:secret@mirror failed")
    except ValueError:
        logging.getLogger("some.library").exception("asking %s", "https://secret@hub/x")


def test_a_login_in_a_url_is_left_out_of_messages_and_tracebacks() -> None:
    text = logged("info", speak_of_a_login)
    assert "asking https://hub/x" in text
    assert text.splitlines()[-1] == "ValueError: http://mirror failed"
    assert "secret" not in text


def test_a_login_in_a_url_is_left_out_of_json_too() -> None:
    (line,) = json_lines(speak_of_a_login)
    assert line["message"] == "asking https://hub/x"
    assert line["exception"].endswith("ValueError: http://mirror failed")
    assert "secret" not in str(line)


def test_an_answer_that_a_shutdown_cut_off_leaves_no_traceback() -> None:
    def speak() -> None:
        try:
            raise asyncio.CancelledError("Task cancelled, timeout graceful shutdown exceeded")
        except asyncio.CancelledError:
            logging.getLogger("uvicorn.error").exception("Exception in ASGI application\n")
        logging.getLogger("uvicorn.error").error("Cancel 1 running task(s)")

    assert [line.split(": ")[1] for line in logged("info", speak).splitlines()] == ["Cancel 1 running task(s)"]


def test_setting_up_again_does_not_repeat_lines() -> None:
    stream = io.StringIO()
    setup_logging("info", stream)
    assert logged("info", lambda: logging.getLogger("lemonade_like.x").info("once"), stream).count("once") == 1


def test_colours_are_for_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)

    def speak() -> None:
        logging.getLogger("lemonade_like.x").error("red")

    assert "\x1b[" in logged("info", speak, Terminal())
    assert "\x1b[" not in logged("info", speak)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in logged("info", speak, Terminal())


def json_lines(speak: object) -> list[dict[str, Any]]:
    stream = io.StringIO()
    setup_logging("info", stream, "json")
    speak()  # type: ignore[operator]
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_has_an_object_in_each_line_with_the_facts_as_fields() -> None:
    def speak() -> None:
        token = request_id_var.set("req_1")
        logging.getLogger("lemonade_like.x").info("%d tokens", 3, extra={"facts": {"tokens": 3}})
        request_id_var.reset(token)
        logging.getLogger("lemonade_like.x").warning("two\nlines")

    first, second = json_lines(speak)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first.pop("time"))
    assert first == {
        "level": "info", "logger": "lemonade_like.x", "message": "3 tokens", "request_id": "req_1", "tokens": 3
    }  # fmt: skip
    assert second["message"] == "two\nlines"
    assert "request_id" not in second


def test_json_has_a_traceback_within_its_line() -> None:
    def speak() -> None:
        try:
            raise ValueError("why")
        except ValueError:
            logging.getLogger("lemonade_like.x").exception("failed")

    (line,) = json_lines(speak)
    assert line["message"] == "failed"
    assert line["exception"].startswith("Traceback") and line["exception"].endswith("ValueError: why")


@pytest.mark.parametrize("fact", ["\ud800", "\x1b[31m", object(), Path("/x"), b"bytes", {"a": {1, 2}}, "\u2028"])
def test_json_takes_whatever_is_a_fact(fact: object) -> None:
    (line,) = json_lines(lambda: logging.getLogger("lemonade_like.x").info("said", extra={"facts": {"fact": fact}}))
    assert "fact" in line


def test_facts_cannot_take_the_place_of_what_every_line_has() -> None:
    facts = {"message": "forged", "level": "debug", "time": "never", "logger": "root"}
    (line,) = json_lines(lambda: logging.getLogger("lemonade_like.x").info("said", extra={"facts": facts}))
    assert (line["message"], line["level"], line["logger"]) == ("said", "info", "lemonade_like.x")
    assert line["time"] != "never"


def test_json_is_the_same_on_a_terminal() -> None:
    stream = Terminal()
    setup_logging("info", stream, "json")
    logging.getLogger("lemonade_like.x").error("red")
    assert json.loads(stream.getvalue())["message"] == "red"
