"""What a server holds after many turns is what it held after few."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import openai
import psutil
import pytest

from tests.support.fake_llama_server import FAKE_LLAMA_SERVER, one_by_one, write_scenario
from tests.support.server_process import address, server_process

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.written import Writer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows counts handles, of everything")

HELLO: Any = [{"role": "user", "content": "Hello"}]


def _level(count: Callable[[], int], most: int) -> bool:
    """Whether it comes down to so much: the far ends of connections close a moment after ours."""
    deadline = time.monotonic() + 30
    while count() > most:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _a_round(client: openai.OpenAI, model: str, number: int) -> None:
    """One turn of each kind in turn: whole, streamed, left in the middle, refused."""
    ask: Any = {"model": model, "messages": HELLO, "max_tokens": 20}
    if number % 4 == 0:
        client.chat.completions.create(**ask)
    elif number % 4 == 1:
        list(client.chat.completions.create(**ask, stream=True))
    elif number % 4 == 2:
        with client.chat.completions.create(**ask, stream=True) as chunks:
            next(iter(chunks))
    else:
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(**{**ask, "max_tokens": -5})


def test_file_descriptors_are_level_after_many_turns_and_a_crash(
    cache_dir: Path, tmp_path: Path, writer: Writer
) -> None:
    frames = one_by_one(writer.frames("<|channel|>final<|message|>Once upon a time<|return|>"))
    dies = [*frames[:6], {"exit": 9}]
    scenario = write_scenario(tmp_path / "gpt-oss-fake.gguf", *[frames] * 30, dies, frames)
    with (
        (tmp_path / "server.log").open("w") as stderr,
        server_process(
            cache_dir, "--llama-server", str(FAKE_LLAMA_SERVER), "--model", str(scenario), stderr=stderr.fileno()
        ) as process,
        openai.OpenAI(base_url=f"{address(process)}/v1", api_key="none", max_retries=0) as client,
    ):
        for number in range(20):
            _a_round(client, "gpt-oss-fake", number)
        server = psutil.Process(process.pid)
        before = server.num_fds()
        for number in range(100):
            _a_round(client, "gpt-oss-fake", number)

        assert _level(server.num_fds, before)


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_memory_and_file_descriptors_are_level_after_a_thousand_turns(cache_dir: Path, tmp_path: Path) -> None:
    with (
        (tmp_path / "server.log").open("w") as stderr,
        server_process(cache_dir, "--llamacpp-args", "--threads 1", stderr=stderr.fileno()) as process,
        openai.OpenAI(base_url=f"{address(process)}/v1", api_key="none", max_retries=0) as client,
    ):
        server = psutil.Process(process.pid)
        for number in range(200):
            _a_round(client, "tiny-gpt-oss", number)
        files, memory = server.num_fds(), server.memory_info().rss
        for number in range(1_000):
            _a_round(client, "tiny-gpt-oss", number)

        assert _level(server.num_fds, files)
        # An allocator keeps some of what it has once had. A leak of what one turn holds would be ten times as much.
        assert server.memory_info().rss - memory < 5_000_000
