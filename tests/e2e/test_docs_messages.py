"""docs/api/messages.md tells what is so: its examples run, and its table has every field and every block."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import anthropic
import httpx
import pytest
from anthropic.types import ContentBlockParam
from anthropic.types.beta import message_create_params as beta_params
from anthropic.types.message_create_params import MessageCreateParamsBase
from typing_extensions import get_type_hints

from lemonade_like.api.anthropic.schema import MessagesRequest
from lemonade_like.api.anthropic.turn import turn_request
from lemonade_like.api.validation import validated

PAGE = (Path(__file__).parents[2] / "docs" / "api" / "messages.md").read_text()


def _block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def _row(containing: str) -> str:
    return next(line for line in PAGE.splitlines() if line.startswith("|") and containing in line)


def test_the_example_runs_a_tool_loop(server: str) -> None:
    example = _block("python").replace("http://localhost:8000", server)
    run = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stderr
    assert "tool_use {'location': 'Tokyo'}" in run.stdout
    assert run.stdout.split()[-1] == "text"


def test_the_curl_line_counts(server: str) -> None:
    command = shlex.split(_block("console").removeprefix("$ "))
    answer = httpx.post(
        f"http://{command[1]}".replace("http://localhost:8000", server),
        content=command[command.index("-d") + 1],
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )

    assert answer.status_code == 200
    assert answer.json()["input_tokens"] > 0


def test_the_table_has_every_field_that_the_sdk_knows() -> None:
    fields = {*MessageCreateParamsBase.__annotations__, *beta_params.MessageCreateParamsBase.__annotations__}
    request = PAGE.partition("## The request")[2].partition("| Block |")[0]
    assert {name for name in fields if f"`{name}`" not in request} == set()


def test_the_table_has_every_field_that_is_read() -> None:
    assert {name for name in MessagesRequest.model_fields if f"`{name}`" not in PAGE} == set()


def test_the_table_has_every_block_that_the_sdk_knows() -> None:
    kinds = [get_args(get_type_hints(block)["type"])[0] for block in get_args(ContentBlockParam)]
    table = PAGE.partition("| Block |")[2].partition("##")[0]
    missing = {kind for kind in kinds if f"`{kind}`" not in table}
    assert all(kind.endswith("_tool_result") for kind in missing), missing


@pytest.mark.parametrize("field", re.findall(r"`(\w+)`", _row("`metadata`").partition("| Harmless")[0]))
def test_what_is_called_harmless_changes_nothing(field: str) -> None:
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    plain = turn_request(validated(MessagesRequest, body))
    for value in ("auto", {"type": "what"}, [1]):
        assert turn_request(validated(MessagesRequest, {**body, field: value})) == plain


def test_the_errors_are_those_that_are_told(server: str) -> None:
    told = dict(re.findall(r"^\| (\d{3}) \| `(\w+)` \|", PAGE, re.MULTILINE))
    with anthropic.Anthropic(base_url=server, api_key="none", max_retries=0) as client:
        for wrong in ({"model": "nobody"}, {"max_tokens": 0}):
            with pytest.raises(anthropic.APIStatusError) as caught:
                client.messages.create(**{"model": "tiny-gpt-oss", "max_tokens": 1, "messages": [], **wrong})
            error: Any = json.loads(caught.value.response.text)["error"]
            assert told[str(caught.value.status_code)] == error["type"]
