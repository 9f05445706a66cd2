"""Runs the examples of a page of the docs against a server that runs."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

import httpx

_DOCUMENTED = "http://localhost:8000"


def run_python(page: str, server: str) -> str:
    """What the first Python example prints."""
    example = _block(page, "python").replace(_DOCUMENTED, server)
    run = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


def run_curl(page: str, server: str) -> httpx.Response:
    """What the first curl line is answered."""
    command = shlex.split(_block(page, "console").removeprefix("$ "))
    answer = httpx.post(
        f"http://{command[1]}".replace(_DOCUMENTED, server),
        content=command[command.index("-d") + 1],
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    return answer


def _block(page: str, language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", page, re.DOTALL)
    assert found is not None
    return found[1]
