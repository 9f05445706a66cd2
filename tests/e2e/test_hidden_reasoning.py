"""Hidden reasoning is in no answer and in no log, however much the server is made to tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.e2e.conftest import ONE_THREAD
from tests.support.asking import WEATHER, request_for
from tests.support.server_process import address, server_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lemonade_like.harmony.encoding import HarmonyEncoding


@pytest.fixture(scope="module")
def talkative(cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A server that hides reasoning and logs all it can; its base URL, and the folder of its logs."""
    logs = tmp_path_factory.mktemp("logs")
    options = ("--model", "tiny-gpt-oss", "--log-level", "debug", "--reasoning-format", "hidden", *ONE_THREAD)
    config = logs / "config.yaml"
    config.write_text(f"log_dir: {logs}\n")
    with (
        (logs / "server.log").open("w") as stderr,
        server_process(cache_dir, *options, "--config", str(config), stderr=stderr.fileno()) as process,
    ):
        yield address(process), logs
        process.terminate()
        process.wait()


def test_hidden_reasoning_is_in_no_answer_and_in_no_log(talkative: tuple[str, Path], encoder: HarmonyEncoding) -> None:
    url, logs = talkative
    answers: list[str] = []

    def ask(path: str = "", **more: Any) -> dict[str, Any]:
        body = request_for("What is the weather in Tokyo?", tools=[WEATHER], include=["harmony"], **more)
        answer = httpx.post(f"{url}/v1/chat/completions{path}", json=body, timeout=60)
        answers.append(answer.text)
        return {} if more.get("stream") else answer.json()

    thoughts = ask(reasoning_format="separate")["choices"][0]["message"]["reasoning_content"]
    assert len(thoughts) > 10
    answers.clear()

    called = ask(temperature=0)["choices"][0]["message"]
    assert called["tool_calls"]
    ask(stream=True)
    ask(stream=True, n=2)
    ask(reasoning_budget=3)
    ask(max_tokens=8)  # cut in the middle of it
    ask(response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": 3}}})
    (start,) = (str(one) for one in encoder.encode("<|")[:1])
    ask(logit_bias={start: 5}, temperature=1.5, seed=3)
    result = {"role": "tool", "tool_call_id": called["tool_calls"][0]["id"], "content": "sunny"}
    question = {"role": "user", "content": "What is the weather in Tokyo?"}
    again = [question, {"role": "assistant", **called}, result]
    ask(messages=again)
    ask("/render", messages=again)

    telling = [piece for piece in (thoughts, thoughts[:12], "analysis") if any(piece in text for text in answers[:-1])]
    assert telling == []
    assert thoughts[:12] not in answers[-1]
    assert "analysis<|message|>" not in answers[-1]
    for log in logs.rglob("*.log*"):
        written = log.read_text(errors="replace")
        assert written
        assert thoughts[:12] not in written, log
    assert len(list(logs.rglob("*.log"))) >= 2
