"""docs/api/messages.md tells what is so: its examples run, and its errors are those that come."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import anthropic
import pytest

from tests.support.pages import run_curl, run_python

PAGE = (Path(__file__).parents[2] / "docs" / "api" / "messages.md").read_text()


def test_the_example_runs_a_tool_loop(server: str) -> None:
    said = run_python(PAGE, server)

    assert "tool_use {'location': 'Tokyo'}" in said
    assert said.split()[-1] == "text"


def test_the_curl_line_counts(server: str) -> None:
    assert run_curl(PAGE, server).json()["input_tokens"] > 0


def test_the_errors_are_those_that_are_told(server: str) -> None:
    told = dict(re.findall(r"^\| (\d{3}) \| `(\w+)` \|", PAGE, re.MULTILINE))
    with anthropic.Anthropic(base_url=server, api_key="none", max_retries=0) as client:
        for wrong in ({"model": "nobody"}, {"max_tokens": 0}):
            with pytest.raises(anthropic.APIStatusError) as caught:
                client.messages.create(**{"model": "tiny-gpt-oss", "max_tokens": 1, "messages": [], **wrong})
            error: Any = json.loads(caught.value.response.text)["error"]
            assert told[str(caught.value.status_code)] == error["type"]
