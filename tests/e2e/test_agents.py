"""OpenAI's agents for JavaScript run their tool loops against a real server."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = Path(__file__).parent / "agents"

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or shutil.which("npm") is None, reason="node and npm are not installed"
)


@pytest.fixture(scope="module")
def installed(request: pytest.FixtureRequest) -> Path:
    """A folder with the program and the packages that it is locked to; kept in pytest's cache for the next run."""
    lock = hashlib.sha256((PROGRAM / "package-lock.json").read_bytes()).hexdigest()[:16]
    cache: Path = request.config.cache.mkdir("agents")  # type: ignore[union-attr]
    folder = cache / lock
    if not folder.exists():
        fresh = Path(shutil.copytree(PROGRAM, cache / f"{lock}.new", dirs_exist_ok=True))
        install = subprocess.run(
            ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=fresh,
            capture_output=True,
            text=True,
            check=False,
        )
        assert install.returncode == 0, install.stderr
        fresh.rename(folder)
    shutil.copytree(PROGRAM, folder, dirs_exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def runs(installed: Path, server: str) -> Iterator[list[dict[str, Any]]]:
    """What came of the agent, once for each API, whole and streamed."""
    program = subprocess.run(
        ["node", "weather.mjs", f"{server}/v1"], cwd=installed, capture_output=True, text=True, check=False
    )
    assert program.returncode == 0, program.stderr
    yield [json.loads(line) for line in program.stdout.splitlines()]


@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize("stream", [False, True])
def test_an_agent_calls_its_tool_and_answers(runs: list[dict[str, Any]], api: str, stream: bool) -> None:
    (run,) = [run for run in runs if (run["api"], run["stream"]) == (api, stream)]

    assert run["asked"] == ["Tokyo"]
    assert "sunny in Tokyo" in run["output"]
    assert run["text"] == (run["output"] if stream else "")
    assert run["tokens"] > 0
    assert run["items"] == [
        "reasoning_item",
        "tool_call_item",
        "tool_call_output_item",
        "reasoning_item",
        "message_output_item",
    ]


def test_the_lock_names_no_place_and_what_each_package_is() -> None:
    packages = json.loads((PROGRAM / "package-lock.json").read_text())["packages"]
    del packages[""]
    assert packages
    assert all(
        "resolved" not in package and package["integrity"].startswith("sha512-") for package in packages.values()
    )
