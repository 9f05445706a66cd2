"""Every example runs as it stands and prints what it is there to show."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lemonade_like.harmony import tokens
from tests.support.server_process import address, server_process

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = Path(__file__).parents[1] / "examples"
NEED_A_SERVER = {"chat.py", "generate.py", "several_at_once.py", "streaming.py", "tool_loop.py"}
NEED_NONE = {"prompt_builder.py", "response_parser.py", "training_data.py"}


@pytest.fixture(scope="module")
def server_url(cache_dir: Path, tiny_model: Path) -> Iterator[str]:
    """The address of a running server, ``/v1`` included."""
    log = cache_dir / "examples.log"
    threads = ("--llamacpp-args", "--threads 1")
    with log.open("w") as stderr, server_process(cache_dir, *threads, stderr=stderr.fileno()) as process:
        yield f"{address(process)}/v1"
        process.terminate()
        assert process.wait() == 0, log.read_text()


def _run(name: str, cache_dir: Path, url: str = "http://127.0.0.1:1/v1", *arguments: str) -> str:
    environ = os.environ | {
        "LEMONADE_LIKE_URL": url,
        "LEMONADE_LIKE_CACHE_DIR": str(cache_dir),
        "XDG_CONFIG_HOME": str(cache_dir / "config"),
        "APPDATA": str(cache_dir / "config"),
    }
    done = subprocess.run(
        [sys.executable, EXAMPLES / name, *arguments], capture_output=True, text=True, env=environ, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_is_tested() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == NEED_A_SERVER | NEED_NONE


def test_chat(cache_dir: Path, server_url: str) -> None:
    reasoning, answer, counted = _run("chat.py", cache_dir, server_url).splitlines()

    assert len(reasoning) > len("Reasoning: None")
    assert "4" in answer.removeprefix("Answer: ")
    assert int(counted.removeprefix("Tokens: ")) > 0


def test_streaming_says_what_the_whole_answer_says(cache_dir: Path, server_url: str) -> None:
    reasoning, answer = _run("streaming.py", cache_dir, server_url).splitlines()

    assert reasoning.startswith("Reasoning: ")
    assert answer == _run("chat.py", cache_dir, server_url).splitlines()[1]


def test_tool_loop(cache_dir: Path, server_url: str) -> None:
    call, answer = _run("tool_loop.py", cache_dir, server_url).splitlines()

    assert call.startswith("Call: get_weather ")
    assert '"condition": "sunny"' in call
    assert "sunny in Tokyo" in answer


def test_generate(cache_dir: Path, server_url: str) -> None:
    reasoning, commentary, answer, _, streamed, finished = _run("generate.py", cache_dir, server_url).splitlines()

    assert len(reasoning) > len("Reasoning:  None")
    assert commentary == "Commentary: none"
    assert "4" in answer
    assert len(streamed) > len("Stream:     ")
    assert finished == "Finished:   stop"


def test_several_at_once(cache_dir: Path, server_url: str) -> None:
    four, ten, hello = _run("several_at_once.py", cache_dir, server_url).splitlines()

    assert "4" in four.removeprefix("What is 2+2? ")
    assert "three, four" in ten
    assert len(hello) > len("Hello ")


def test_generate_without_a_server_says_how_to_start_one(cache_dir: Path) -> None:
    environ = os.environ | {"LEMONADE_LIKE_URL": "http://127.0.0.1:1/v1"}
    done = subprocess.run(
        [sys.executable, EXAMPLES / "generate.py"], capture_output=True, text=True, env=environ, check=False
    )

    assert done.returncode == 1
    assert "lemonade-like serve" in done.stderr
    assert "Traceback" not in done.stderr


def test_prompt_builder(cache_dir: Path) -> None:
    printed = _run("prompt_builder.py", cache_dir)

    assert "Reasoning: high" in printed
    assert "# Instructions\n\nAnswer in one sentence." in printed
    # Three messages end; the fourth marker in the text is the user's own.
    assert printed.count("<|end|>") - 1 == 4
    assert "of which 3 are <|end|>" in printed


def test_response_parser(cache_dir: Path) -> None:
    lines = [line.split(maxsplit=1) for line in _run("response_parser.py", cache_dir).splitlines()]

    assert ["Call:", "get_weather {'location': 'Tokyo'}"] in lines
    assert ["Commentary:", "Let me look."] in lines
    assert ["Mended:", "4"] in lines
    assert sum(line[0] == "Problem:" for line in lines) == 2


def test_training_data(cache_dir: Path, tmp_path: Path) -> None:
    samples = [json.loads(line) for line in _run("training_data.py", cache_dir).splitlines()]
    arithmetic, weather = (sample["text"] for sample in samples)

    assert all(sample["input_ids"][-1] == tokens.RETURN for sample in samples)
    assert "Two and two is four." not in arithmetic
    assert "Three and three is six." in arithmetic
    assert weather.count("<|channel|>analysis") == 2

    own = tmp_path / "own.jsonl"
    own.write_text('{"messages": [{"role": "user", "content": "Hi"}]}\n', encoding="utf-8")
    assert '"input_ids"' in _run("training_data.py", cache_dir, "http://127.0.0.1:1/v1", str(own))
