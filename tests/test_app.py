"""The application as a whole: what joins the rooms."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lemonade_like.app import _loop_limits, _turn_options, create_app, open_services
from lemonade_like.engine.find import FoundEngine
from lemonade_like.errors import ModelNotFound, ServerError
from lemonade_like.harmony.messages import ChatMessage, TextPart
from lemonade_like.models.bundled import bundled_model_path
from lemonade_like.models.registry import Model, Registry
from lemonade_like.models.vocabulary import vocabulary_dir
from lemonade_like.observe.observation import Observation
from lemonade_like.pool.pool import Pool
from lemonade_like.settings import Settings
from lemonade_like.settings.tools import ToolServer
from lemonade_like.store.recordings import Recordings, read_lines
from lemonade_like.tools.toolbox import Toolbox
from lemonade_like.turns.request import TurnRequest
from tests.support.fake_llama_server import FAKE_LLAMA_SERVER, one_by_one, write_scenario
from tests.support.turns import client_of, scripted_app

if TYPE_CHECKING:
    from tests.support.written import Writer


def _settings(tmp_path: Path, *models: str) -> Settings:
    return Settings(cache_dir=tmp_path, models=models)


async def test_the_root_says_what_this_is_and_where_the_api_is() -> None:
    async with client_of(scripted_app()) as client:
        said = (await client.get("/")).json()
        assert (await client.head("/")).status_code == 200
    assert said["name"] == "lemonade-like"
    assert said["base_url"] == "http://server/v1"


async def test_a_model_of_the_settings_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    for missing in ("no-such-model", str(tmp_path / "missing.gguf")):
        with pytest.raises(ModelNotFound):
            async with client_of(create_app(_settings(tmp_path, missing))):
                pass


async def test_nothing_is_loaded_before_it_is_asked_for(tmp_path: Path) -> None:
    async with client_of(create_app(_settings(tmp_path))) as client:
        assert (await client.get("/health")).json()["models"] == []
        assert "tiny-gpt-oss" in [model["id"] for model in (await client.get("/v1/models")).json()["data"]]
        unknown = await client.post(
            "/v1/chat/completions", json={"model": "nobody", "messages": [{"role": "user", "content": "Hi"}]}
        )
    assert unknown.status_code == 404


async def test_what_the_caller_has_looked_up_is_what_is_used(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    registry = Registry([Model("mine", path=write_scenario(tmp_path / "mine.gguf"))], cache_dir=tmp_path)
    engine = FoundEngine((str(FAKE_LLAMA_SERVER),), "system", "explicit")
    async with open_services(settings, Observation(), registry=registry, engine=engine) as services:
        assert [model.name for model in services.catalogue.models()] == ["mine"]
        asked = TurnRequest("mine", (ChatMessage("user", (TextPart("Hi"),)),))
        async with aclosing(services.turns.run(asked)) as turn:
            with pytest.raises(ServerError):
                async for _ in turn:
                    pass
        (loaded,) = services.pool.loaded()
    assert loaded.command[0] == str(FAKE_LLAMA_SERVER)


async def test_an_engine_that_was_updated_since_the_start_is_found_in_its_new_place(tmp_path: Path) -> None:
    updated = tmp_path / "backends" / "vulkan" / "b101" / "llama-server"
    updated.parent.mkdir(parents=True)
    updated.symlink_to(FAKE_LLAMA_SERVER)
    settings = Settings(cache_dir=tmp_path, backend="vulkan")
    registry = Registry([Model("mine", path=write_scenario(tmp_path / "mine.gguf"))], cache_dir=tmp_path)
    gone = FoundEngine(("/gone/llama-server",), "vulkan", "installed")
    async with open_services(settings, Observation(), registry=registry, engine=gone) as services:
        asked = TurnRequest("mine", (ChatMessage("user", (TextPart("Hi"),)),))
        async with aclosing(services.turns.run(asked)) as turn:
            with pytest.raises(ServerError):
                async for _ in turn:
                    pass
        (loaded,) = services.pool.loaded()
    assert (loaded.backend, loaded.command[0]) == ("vulkan", str(updated))


async def test_what_the_settings_say_of_turns_holds_where_a_request_says_nothing(tmp_path: Path) -> None:
    said = {"model_identity": "You are Bo.", "knowledge_cutoff": "2025-01", "current_date": "2026-02-03"}
    settings = Settings(cache_dir=tmp_path, reasoning_level="high", **said)
    body = {"model": "tiny-gpt-oss", "messages": [{"role": "user", "content": "Hi"}]}
    async with client_of(create_app(settings)) as client:
        usual = (await client.post("/v1/chat/completions/render", json=body)).json()["prompt"]
        asked = (await client.post("/v1/chat/completions/render", json={**body, "reasoning_effort": "low"})).json()

    system = "<|message|>You are Bo.\nKnowledge cutoff: 2025-01\nCurrent date: 2026-02-03\n\nReasoning: high\n"
    assert system in usual
    assert "Reasoning: low" in asked["prompt"]


@pytest.mark.parametrize("megabytes", [1, 0])
async def test_the_memory_of_reasoning_is_as_large_as_it_is_set(
    tmp_path: Path, cache_dir: Path, writer: Writer, megabytes: int
) -> None:
    called = "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant to=functions.f<|channel|>commentary"
    frames = writer.frames(called + " <|constrain|>json<|message|>{}<|call|>")
    scenario = write_scenario(tmp_path / "gpt-oss-fake.gguf", one_by_one(frames))
    settings = Settings(
        cache_dir=cache_dir,
        models=(str(scenario),),
        llama_server=str(FAKE_LLAMA_SERVER),
        reasoning_memory=megabytes,
    )
    question = {"role": "user", "content": "Hi"}
    body: dict[str, Any] = {"model": "gpt-oss-fake", "tools": [{"type": "function", "function": {"name": "f"}}]}
    formats = "lemonade_like.app.vocabulary_dir"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(formats, lambda *_, **__: vocabulary_dir(bundled_model_path(cache_dir), cache_dir))
        async with client_of(create_app(settings)) as client:
            answer = (await client.post("/v1/chat/completions", json={**body, "messages": [question]})).json()
            (call,) = answer["choices"][0]["message"]["tool_calls"]
            result = {"role": "tool", "tool_call_id": call["id"], "content": "1"}
            grown = [question, {"role": "assistant", "content": None, "tool_calls": [call]}, result]
            shown = (await client.post("/v1/chat/completions/render", json={**body, "messages": grown})).json()

    assert ("<|channel|>analysis<|message|>Hm.<|end|>" in shown["prompt"]) == (megabytes > 0)


@pytest.mark.parametrize("tool_servers", [{}, {"off": ToolServer(command="false", enabled=False)}])
def test_all_that_is_remembered_takes_no_more_than_is_set(tool_servers: dict[str, ToolServer]) -> None:
    settings = Settings(reasoning_memory=10, tool_servers=tool_servers)
    reasoning, tools = _turn_options(settings).reasoning_memory_bytes, _loop_limits(settings).memory_bytes
    assert reasoning + (tools if tool_servers else 0) == 10_000_000


def _recorded_below(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line.text) for file in folder.rglob("*.jsonl") for line in read_lines(file)]


@pytest.mark.parametrize("recording", [True, False])
async def test_turns_are_recorded_only_if_that_is_asked_for_and_are_all_there_when_the_server_has_stopped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, recording: bool
) -> None:
    settings = Settings(cache_dir=tmp_path / "cache", data_dir=tmp_path / "data", log_dir=tmp_path / "log")
    if recording:
        settings = settings.model_copy(update={"record_turns": tmp_path / "turns"})
    body = {"model": "nobody", "messages": [{"role": "user", "content": "Hi"}]}
    with caplog.at_level(logging.INFO):
        async with client_of(create_app(settings)) as client:
            for number in range(3):
                headers = {"x-request-id": f"req-{number}"}
                answer = await client.post("/api/v1/chat/completions", json=body, headers=headers)
                assert answer.status_code == 404
    told = "Every turn is recorded in" in caplog.text
    recorded = _recorded_below(tmp_path)
    assert told == recording
    assert [(one["id"], one["endpoint"]) for one in recorded] == [
        (f"req-{number}", "/api/v1/chat/completions") for number in range(3) if recording
    ]


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[Recordings]:
    """The recordings that were closed."""
    close, closed = Recordings.close, []

    def closing(recordings: Recordings) -> None:
        close(recordings)
        closed.append(recordings)

    monkeypatch.setattr(Recordings, "close", closing)
    return closed


async def test_tool_servers_that_take_their_time_to_end_do_not_hold_up_what_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed: list[Recordings]
) -> None:
    ended = []

    async def after_the_recordings(_: Toolbox) -> None:
        while not closed:
            await asyncio.sleep(0)
        ended.append(True)

    monkeypatch.setattr(Toolbox, "close", after_the_recordings)
    settings = Settings(cache_dir=tmp_path / "cache", data_dir=tmp_path / "data", record_turns=tmp_path / "turns")
    async with open_services(settings, Observation()):
        pass
    assert ended


async def test_recordings_are_closed_although_an_engine_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed: list[Recordings]
) -> None:
    async def broken(_: Pool[Any]) -> None:
        raise OSError("no")

    monkeypatch.setattr(Pool, "close", broken)
    settings = Settings(cache_dir=tmp_path / "cache", data_dir=tmp_path / "data", record_turns=tmp_path / "turns")
    with pytest.raises(OSError, match="no"):
        async with open_services(settings, Observation()):
            pass
    assert len(closed) == 1


async def test_to_be_told_to_stop_twice_is_no_second_signal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signals: list[int] = []
    monkeypatch.setattr("lemonade_like.app.signal.raise_signal", signals.append)
    async with client_of(create_app(_settings(tmp_path))) as client:
        for _ in range(2):
            assert (await client.post("/v1/shutdown")).status_code == 200
    assert signals == [signal.SIGTERM]


def test_the_app_can_be_imported_without_engine_harmony_and_mcp() -> None:
    blocked = (
        "import sys; sys.modules.update(xllamacpp=None, openai_harmony=None, mcp=None); "
        "from lemonade_like.app import create_app; from lemonade_like.settings import Settings; "
        "from lemonade_like.tools.toolbox import open_toolbox; create_app(Settings()); open_toolbox({}, None)"
    )
    subprocess.run([sys.executable, "-c", blocked], check=True)
