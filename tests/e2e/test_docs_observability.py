"""The commands of docs/observability.md, against a running server."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import httpx
import pytest

from tests.support.asking import request_for
from tests.support.observed import samples_of

PAGE = (Path(__file__).parents[2] / "docs" / "observability.md").read_text(encoding="utf-8")
URLS = [shlex.split(line)[-1] for line in re.findall(r"^\$ (curl .*)", PAGE, re.MULTILINE)]


@pytest.fixture(scope="module", autouse=True)
def loaded(server: str) -> None:
    """A model that has answered, so that there is something to see."""
    httpx.post(f"{server}/v1/chat/completions", json=request_for("Hi", max_tokens=1), timeout=60).raise_for_status()


def test_there_are_commands() -> None:
    assert len(URLS) == 4


@pytest.mark.parametrize("url", URLS)
def test_a_command_is_answered(url: str, server: str) -> None:
    with httpx.stream("GET", url.replace("localhost:8000", server), timeout=60) as answer:
        assert answer.status_code == 200
        kind = answer.headers["content-type"].partition(";")[0]
        if kind == "text/event-stream":
            line = next(line for line in answer.iter_lines() if line.startswith("data: "))
            assert json.loads(line.removeprefix("data: "))["message"] is not None
        elif kind == "application/json":
            assert json.loads(answer.read())["totals"]["finished"] > 0
        else:
            assert samples_of(answer.read().decode())
