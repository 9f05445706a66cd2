from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lemonade_like.engine import guard
from lemonade_like.engine.find import bundled_command
from tests.engine.conftest import QUICK
from tests.support.fake_llama_server import FAKE_LLAMA_SERVER, write_scenario
from tests.support.processes import is_running, wait_until_gone

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
MODES = [pytest.param("deathsig", marks=linux_only), "watch"]


def kill_the_server_of(mode: str, model: Path, logs: Path, *command: str) -> list[int]:
    """Start a server with an engine, kill the server with -9, and return the pids of what it had started."""
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.support.engine_parent", mode, str(model), str(logs), *command],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    with server:
        assert server.stdout is not None
        pids: list[int] = json.loads(server.stdout.readline())
        assert all(map(is_running, pids))
        server.kill()
    return pids


@pytest.mark.parametrize("mode", MODES)
def test_no_engine_outlives_a_server_that_is_killed(tmp_path: Path, mode: str) -> None:
    scenario = write_scenario(tmp_path / "scenario.json")
    pids = kill_the_server_of(mode, scenario, tmp_path, str(FAKE_LLAMA_SERVER))
    assert len(pids) == (1 if mode == "deathsig" else 2)
    assert all(map(wait_until_gone, pids))


def test_no_bundled_engine_outlives_a_server_that_is_killed(tmp_path: Path, smollm: Path) -> None:
    mode = "deathsig" if sys.platform == "linux" else "watch"
    assert all(map(wait_until_gone, kill_the_server_of(mode, smollm, tmp_path, *bundled_command(), *QUICK)))


def run_guarded(*arguments: str, **more: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-I", "-S", guard.__file__, *arguments], **more)  # type: ignore[call-overload]


@linux_only
def test_an_engine_is_not_started_for_a_server_that_is_already_gone() -> None:
    not_our_pid = os.getppid()
    with run_guarded("deathsig", str(not_our_pid), "echo", "started", stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read() == b""
    assert process.returncode == 1


@linux_only
def test_the_engine_takes_the_guards_place_and_pid() -> None:
    with run_guarded("deathsig", str(os.getpid()), "sh", "-c", "echo $$", stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert int(process.stdout.read()) == process.pid


@pytest.mark.parametrize(("script", "code"), [("exit 7", 7), ("kill -11 $$", -signal.SIGSEGV)])
def test_the_watching_guard_ends_as_the_engine_ended(script: str, code: int) -> None:
    with run_guarded("watch", "sh", "-c", script, stdin=subprocess.PIPE) as process:
        assert process.wait() == code


def test_the_watching_guard_passes_signals_on() -> None:
    script = "import signal,sys,time; signal.signal(15, lambda *_: sys.exit(5)); print(flush=True); signal.pause()"
    with run_guarded("watch", sys.executable, "-c", script, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.terminate()
        assert process.wait() == 5


@pytest.mark.parametrize("arguments", [["watch"], pytest.param(["deathsig", str(os.getpid())], marks=linux_only)])
def test_a_command_that_cannot_be_run_is_named(arguments: list[str]) -> None:
    with run_guarded(*arguments, "/no/such/engine", stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert b"Cannot run /no/such/engine" in process.stderr.read()
    assert process.returncode == 127
