"""docs/api/chat.md tells what is so: its examples run."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.pages import run_curl, run_python

PAGE = (Path(__file__).parents[2] / "docs" / "api" / "chat.md").read_text()


def test_the_example_streams_an_answer_and_its_usage(server: str) -> None:
    assert re.search(r"4.*\n\d+ tokens\n$", run_python(PAGE, server))


def test_the_curl_line_is_answered(server: str) -> None:
    assert "4" in run_curl(PAGE, server).json()["choices"][0]["message"]["content"]
