from __future__ import annotations

import asyncio
import logging
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from lemonade_like.engine import client as client_module
from lemonade_like.engine import process as process_module
from lemonade_like.engine.find import bundled_command
from lemonade_like.engine.process import EngineProcess
from lemonade_like.errors import EngineFailure
from tests.engine.conftest import QUICK, StartFake, spec_for
from tests.support.fake_llama_server import FAKE_LLAMA_SERVER, write_scenario
from tests.support.processes import is_running, wait_until_gone


async def test_a_real_engine_starts_has_its_slots_and_stops(
    smollm: Path, tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    spec = spec_for(smollm, bundled_command(), backend="bundled", ctx_size=1024, parallel=2, extra_args=QUICK)
    engine = await EngineProcess.start(spec, log_dir=tmp_path, session=session)
    try:
        assert engine.exit_code() is None
        assert engine.props["total_slots"] == 2
        assert engine.props["default_generation_settings"]["n_ctx"] == 512
        assert engine.props["model_alias"] == "a-model"
    finally:
        await engine.stop()
    assert engine.exit_code() == 0
    assert not is_running(engine.pid)
    assert "model loaded" in engine.log_path.read_text()


async def test_a_file_that_is_no_gguf_is_reported_with_the_engines_reason(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    (tmp_path / "no.gguf").write_text("not a GGUF")
    spec = spec_for(tmp_path / "no.gguf", bundled_command(), backend="bundled")
    with pytest.raises(EngineFailure, match="exited with code 1") as failed:
        await EngineProcess.start(spec, log_dir=tmp_path, session=session)
    assert "invalid magic characters" in failed.value.log_tail


def with_a_broken_template(model: Path, copy: Path) -> Path:
    data = model.read_bytes()
    template = data.index(b"{%", data.index(b"tokenizer.chat_template"))
    copy.write_bytes(data[:template] + b"{% fro" + data[template + 6 :])
    return copy


def logs_in(folder: Path) -> dict[int, str]:
    """What each engine that logs there has printed, by its port."""
    return {int(log.stem.rsplit("-", 1)[1]): log.read_text() for log in folder.glob("a-model-*.log")}


async def test_a_chat_template_that_nobody_needs_does_not_stop_the_load(
    smollm: Path, tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    model = with_a_broken_template(smollm, tmp_path / "broken.gguf")
    spec = spec_for(model, bundled_command(), ctx_size=256, parallel=1, extra_args=QUICK)
    engine = await EngineProcess.start(spec, log_dir=tmp_path, session=session)
    await engine.stop()
    assert any("chat template parsing error" in log for log in logs_in(tmp_path).values())


async def test_the_log_file_and_the_debug_log_hold_what_the_engine_printed(
    start_fake: StartFake, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, logger="lemonade_like.engine"):
        engine = await start_fake(load=[{"print": "reading the tensors"}])
        await engine.stop()
    assert "reading the tensors" in engine.log_path.read_text()
    assert "a-model: reading the tensors" in caplog.messages
    assert "reading the tensors" in engine.log_tail()
    assert any("--ctx-size 1024 --parallel 2 --alias a-model" in message for message in caplog.messages)


async def test_an_engine_that_loads_is_waited_for(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    scenario = write_scenario(tmp_path / "s.json", load=[{"wait": True}])
    starting = asyncio.create_task(
        EngineProcess.start(spec_for(scenario, (str(FAKE_LLAMA_SERVER),)), log_dir=tmp_path, session=session)
    )
    port = await port_in(tmp_path)
    async with session.get(f"http://127.0.0.1:{port}/health") as response:
        assert response.status == 503
    assert not starting.done()
    async with session.post(f"http://127.0.0.1:{port}/__release__"):
        pass
    engine = await starting
    await engine.stop()


async def port_in(log_dir: Path) -> int:
    """The port of the engine that is starting there, once it listens."""
    while True:
        await asyncio.sleep(0)
        for port, log in logs_in(log_dir).items():
            if "/health" in log:
                return port


@pytest.mark.parametrize(("code", "words"), [(3, "exited with code 3"), (-11, "killed by SIGSEGV")])
async def test_a_crash_while_loading_is_reported_with_the_last_log_lines(
    start_fake: StartFake, code: int, words: str
) -> None:
    with pytest.raises(EngineFailure, match=words) as failed:
        await start_fake(load=[{"print": "loading"}, {"print": "ggml: out of memory"}, {"exit": code}])
    assert failed.value.log_tail.endswith("ggml: out of memory")
    assert "ggml: out of memory" in failed.value.message


async def test_an_executable_that_cannot_be_run_is_a_failure_that_names_it(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    with pytest.raises(EngineFailure, match="/no/such/engine"):
        await EngineProcess.start(spec_for(tmp_path, ("/no/such/engine",)), log_dir=tmp_path, session=session)


async def test_an_engine_that_is_not_ready_in_time_is_stopped(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    scenario = write_scenario(tmp_path / "s.json", load=[{"wait": True}])
    with pytest.raises(EngineFailure, match=r"within 0\.3 s"):
        await EngineProcess.start(
            spec_for(scenario, (str(FAKE_LLAMA_SERVER),)), log_dir=tmp_path, session=session, load_timeout=0.3
        )


async def test_a_cancelled_start_leaves_no_process(
    tmp_path: Path, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids: list[int] = []
    spawn = process_module._spawn

    async def recorded(*arguments: Any) -> Any:
        transport, child = await spawn(*arguments)
        pids.append(transport.get_pid())
        return transport, child

    monkeypatch.setattr(process_module, "_spawn", recorded)
    starting = asyncio.create_task(
        EngineProcess.start(
            spec_for(write_scenario(tmp_path / "s.json", load=[{"wait": True}]), (str(FAKE_LLAMA_SERVER),)),
            log_dir=tmp_path,
            session=session,
        )
    )
    await port_in(tmp_path)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert [is_running(pid) for pid in pids] == [False]


async def test_another_port_is_tried_when_somebody_else_got_it_first(
    tmp_path: Path, session: aiohttp.ClientSession, start_fake: StartFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    winner = await start_fake()
    taken = int(winner.client.base_url.rsplit(":", 1)[1])
    free = process_module._free_port
    ports = iter([taken, free()])
    monkeypatch.setattr(process_module, "_free_port", lambda: next(ports))
    engine = await EngineProcess.start(
        spec_for(write_scenario(tmp_path / "s.json"), (str(FAKE_LLAMA_SERVER),)), log_dir=tmp_path, session=session
    )
    assert engine.client.base_url != winner.client.base_url
    await engine.stop()


async def test_an_engine_that_dies_is_noticed(start_fake: StartFake) -> None:
    engine = await start_fake([{"print": "GGML_ASSERT failed"}, {"exit": -6}])
    with pytest.raises(Exception, match=r"ended|broke|answer"):
        async for _ in engine.client.stream_completion({}):
            pass
    assert await engine.wait() == -6
    assert engine.how_it_ended() == "was killed by SIGABRT"
    assert "GGML_ASSERT failed" in engine.log_tail()


async def test_an_engine_that_ignores_term_is_killed(start_fake: StartFake) -> None:
    engine = await start_fake(ignore_term=True)
    await engine.stop(grace=0.2)
    assert engine.exit_code() == -9


async def test_several_may_stop_an_engine_at_once_and_again(start_fake: StartFake) -> None:
    engine = await start_fake()
    await asyncio.gather(*(engine.stop() for _ in range(3)))
    await engine.stop()
    assert engine.exit_code() == 0


async def test_what_the_engine_has_started_is_killed_with_it(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    wrapper = tmp_path / "wrapper"
    wrapper.write_text(f'#!/bin/sh\n"{FAKE_LLAMA_SERVER}" "$@" &\necho "child $!"\nwait\n')
    wrapper.chmod(0o755)
    engine = await EngineProcess.start(
        spec_for(write_scenario(tmp_path / "s.json"), (str(wrapper),)), log_dir=tmp_path, session=session
    )
    child = int(next(line for line in engine.log_tail().splitlines() if line.startswith("child")).split()[1])
    assert is_running(child)
    await engine.stop()
    assert wait_until_gone(child)
    assert not is_running(engine.pid)


async def test_the_watching_guard_starts_and_stops_an_engine(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    engine = await EngineProcess.start(
        spec_for(write_scenario(tmp_path / "s.json"), (str(FAKE_LLAMA_SERVER),)),
        log_dir=tmp_path,
        session=session,
        guard="watch",
    )
    await engine.stop()
    assert engine.exit_code() == 0


async def test_what_the_fake_printed_is_not_pushed_out_by_clients_that_leave(start_fake: StartFake) -> None:
    engine = await start_fake(load=[{"print": "hello"}])
    port = int(engine.client.base_url.rsplit(":", 1)[1])
    for _ in range(2):
        with socket.create_connection(("127.0.0.1", port)) as leaving:
            # Closed with a reset, as it is when what was sent has not been read.
            leaving.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            leaving.sendall(b"GET /health HTTP/1.1\r\n\r\n")
    await engine.stop()
    assert "hello" in engine.log_tail()
    assert "Traceback" not in engine.log_path.read_text()


def test_it_works_on_uvloop(tmp_path: Path) -> None:
    scenario = write_scenario(tmp_path / "s.json", load=[{"print": "hello"}])
    program = f"""
import aiohttp, uvloop
from pathlib import Path
from lemonade_like.engine.process import EngineProcess
from lemonade_like.engine.spec import EngineSpec

async def main():
    async with aiohttp.ClientSession() as session:
        for guard in ("watch", {"deathsig" if sys.platform == "linux" else "watch"!r}):
            spec = EngineSpec(({str(FAKE_LLAMA_SERVER)!r},), "system", Path({str(scenario)!r}), "m", 0, 1, False)
            engine = await EngineProcess.start(spec, log_dir=Path({str(tmp_path)!r}), session=session, guard=guard)
            async for frames in engine.client.stream_completion({{}}):
                pass
            await engine.stop()
            print(engine.exit_code(), "hello" in engine.log_tail())

uvloop.run(main())
"""
    pytest.importorskip("uvloop")
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.stdout.split("\n")[:2] == ["0 True", "0 True"], result.stderr


async def test_the_age_does_not_jump_with_the_clock(start_fake: StartFake, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = await start_fake()
    before = engine.age()
    monkeypatch.setattr(process_module.time, "time", lambda: 0.0)
    assert 0 <= before <= engine.age()


async def test_props_that_are_no_object_are_as_good_as_none(
    start_fake: StartFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module.orjson, "loads", lambda _body: [1])
    engine = await start_fake()
    assert (engine.props, engine.slot_context()) == ({}, None)
