"""docs/api/completions.md and docs/api/tokens.md tell what is so: their examples run, and the table of
tokenize is complete."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from lemonade_like.api.llamacpp.tokens import TokenizeBody

DOCS = Path(__file__).parents[2] / "docs" / "api"
COMPLETIONS = (DOCS / "completions.md").read_text()
TOKENS = (DOCS / "tokens.md").read_text()
CURLS = re.findall(r"^\$ (curl .*)$", COMPLETIONS + TOKENS, re.MULTILINE)


def test_the_example_runs(server: str) -> None:
    found = re.search(r"```python\n(.*?)```", COMPLETIONS, re.DOTALL)
    assert found is not None
    example = found[1].replace("http://localhost:8000", server)
    run = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stderr
    assert re.fullmatch(r"0 '.*' length\n1 '.*' length\n", run.stdout)


@pytest.mark.parametrize("line", CURLS)
def test_the_curl_lines_are_answered(server: str, line: str) -> None:
    command = shlex.split(line)
    url = f"http://{command[1]}".replace("http://localhost:8000", server)
    if "-d" in command:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = httpx.post(url, content=command[command.index("-d") + 1], headers=form)
    else:
        httpx.post(f"{server}/v1/load", json={"model": "tiny-gpt-oss"})
        answer = httpx.get(url)

    assert answer.status_code == 200, answer.text
    assert set(answer.json()[0] if isinstance(answer.json(), list) else answer.json()) & {
        "choices",
        "tokens",
        "content",
        "prompt",
        "is_processing",
        "total_slots",
    }


def test_what_the_lines_say_of_tokens_is_so(server: str) -> None:
    ids = httpx.post(f"{server}/v1/tokenize", json={"model": "tiny-gpt-oss", "content": "Hello there"}).json()["tokens"]
    assert f'"tokens": {ids}' in TOKENS


def test_the_table_has_every_field_of_tokenize() -> None:
    assert {name for name in TokenizeBody.model_fields if f"`{name}`" not in TOKENS} == set()
