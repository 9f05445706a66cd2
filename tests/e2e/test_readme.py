"""The README's examples run as they are written."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import httpx

README = (Path(__file__).parents[2] / "README.md").read_text()


def _block(language: str, containing: str) -> str:
    blocks: list[str] = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return next(block for block in blocks if containing in block)


def test_the_sdk_example_streams_a_tool_call(server: str) -> None:
    example = _block("python", "OpenAI").replace("http://localhost:8000", server)
    run = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stderr
    assert 'get_weather{"location":"Tokyo"}' in run.stdout


def test_the_curl_line_is_answered_with_reasoning(server: str) -> None:
    line = _block("console", "curl localhost:8000").removeprefix("$ ")
    command = shlex.split(line)
    url, body = command[1], command[command.index("-d") + 1]
    # As curl sends it: without a content type of JSON.
    answer = httpx.post(
        f"http://{url}".replace("http://localhost:8000", server),
        content=body,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    message = answer.json()["choices"][0]["message"]

    assert answer.status_code == 200
    assert message["reasoning_content"]
    assert "4" in message["content"]
    assert json.loads(body)["model"] == "tiny-gpt-oss"


def test_the_python_example_builds_and_parses() -> None:
    run = subprocess.run(
        [sys.executable, "-c", _block("python", "PromptBuilder")], capture_output=True, text=True, check=False
    )

    assert run.returncode == 0, run.stderr
    assert "Reasoning: high" in run.stdout
    assert run.stdout.splitlines()[-1] == "Easy. 4"
