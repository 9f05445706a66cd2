from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[1]
SMALL = ("--rounds", "1", "--turns", "2", "--tokens", "8", "--parallel", "2")

pytestmark = pytest.mark.skipif(sys.platform == "darwin", reason="macOS does not show the environment of processes")


@contextlib.contextmanager
def bench(cache_dir: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A run of the benchmark, and a mark that all its processes carry in their environment."""
    mark = uuid.uuid4().hex
    process = subprocess.Popen(
        [sys.executable, ROOT / "scripts" / "bench.py", *SMALL, *options],
        env=os.environ | {"LEMONADE_LIKE_CACHE_DIR": str(cache_dir), "BENCH_TEST_MARK": mark},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process, mark
    finally:
        process.kill()
        process.communicate()


def running(mark: str) -> list[psutil.Process]:
    """The processes of that run that exist still."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get("BENCH_TEST_MARK") == mark:
                found.append(process)
    return found


def test_a_tiny_run_prints_the_table_and_leaves_no_process_behind(cache_dir: Path, tmp_path: Path) -> None:
    with bench(cache_dir, "--markdown", "--json", str(tmp_path / "found.json")) as (process, mark):
        printed, errors = process.communicate()
        assert process.returncode == 0, errors
        assert running(mark) == []
    lines = printed.splitlines()
    assert lines[0] == "|  | raw /completion | llama-server chat | lemonade-like | ours to raw | budget |"
    cells = {line.split("|")[1].strip(): line.split("|")[2:-1] for line in lines if line.startswith("| ")}
    for streams in ("1 stream", "2 streams"):
        rates = [float(cell.replace(",", "")) for cell in cells[f"tokens/s, {streams}"][:3]]
        assert all(rate > 0 for rate in rates)
        assert float(cells[f"CPU of our process per chunk, {streams} (µs)"][2]) >= 0
    assert float(cells["memory of our process, resident (MB)"][2]) > 10
    assert float(cells["render a prompt of 100,000 tokens, cold"][0]) > 0
    assert int(cells['200,000 × "a", /render'][1]) > 0
    found = json.loads((tmp_path / "found.json").read_text())
    assert {held["status"] for held in found["hostile"].values()} <= {200, 400}
    ways = found["ways"]
    assert {name: way["throughput"]["2"]["tokens"] for name, way in ways.items()} == dict.fromkeys(ways, 16)
    assert all(len(way["first_text"]) == 2 for way in ways.values())


@pytest.mark.nightly
@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals to send to one process")
def test_ctrl_c_stops_everything(cache_dir: Path) -> None:
    with bench(cache_dir, "--rounds", "1000") as (process, mark):
        assert process.stderr is not None
        while "Round 1" not in (line := process.stderr.readline()):
            assert line, "it ended too soon"
        assert len(running(mark)) == 4
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
        assert running(mark) == []


def test_a_model_that_is_not_there_is_said_in_one_line(cache_dir: Path) -> None:
    with bench(cache_dir, "--model", "no-such-model") as (process, _):
        printed, errors = process.communicate()
    assert (process.returncode, printed) == (1, "")
    assert "no-such-model" in errors
    assert "Traceback" not in errors
