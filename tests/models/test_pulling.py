"""The server's pulls: real worker processes against the local hub."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import pytest

from lemonade_like.errors import EngineUnavailable
from lemonade_like.models import pulling as pulling_module
from lemonade_like.models.hub_errors import BadCheckpoint, DamagedDownload, DownloadError, NotEnoughSpace, PullCancelled
from lemonade_like.models.progress import Progress
from lemonade_like.models.pull import Wanted
from lemonade_like.models.pull_worker import Job
from lemonade_like.models.pulling import PlannedFile, Pull, Pulls
from tests.support.hub import Gate, Hub, running_hub, weights
from tests.support.processes import running_children, wait_until_gone
from tests.support.pulls import Puller

ONE = "m-Q4_K_M.gguf"
OTHER = "m-Q8_0.gguf"
WANTED = Wanted("org/repo:Q4_K_M")
HALF = 1 << 20
SIZE = 2 * HALF


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running_hub({"org/repo": {ONE: weights(SIZE), OTHER: weights(5000, seed=1)}}) as running:
        yield running


@pytest.fixture
def puller(hub: Hub, tmp_path: Path) -> Puller:
    return Puller(hub, tmp_path / "cache")


@pytest.fixture
async def pulls(puller: Puller) -> AsyncIterator[Pulls]:
    pulls = Pulls(puller.place, reserve=0)
    yield pulls
    await pulls.close()


async def until(pull: Pull, done: int) -> Progress:
    """The first progress that has so many bytes."""
    async with contextlib.aclosing(pull.watch()) as watched:
        async for progress in watched:
            if progress.total_bytes_downloaded >= done:
                return progress
    raise AssertionError("it ended before")


async def reached(gate: Gate) -> None:
    assert await asyncio.to_thread(gate.reached.wait, 20)


async def test_a_pull_tells_what_it_fetches_and_how_far_it_is(hub: Hub, puller: Puller, pulls: Pulls) -> None:
    gate = hub.faults.gates[ONE] = Gate(after=HALF)
    pull = pulls.start("m", WANTED)
    assert [(file.file, file.size) for file in await pull.planned()] == [(ONE, SIZE)]
    half = await until(pull, HALF)
    assert (half.file, half.file_index, half.total_files) == (ONE, 1, 1)
    assert (half.bytes_downloaded, half.bytes_total, half.percent) == (HALF, SIZE, 50)
    assert half.rate > 0
    assert half.eta is not None
    gate.opened.set()
    seen = [progress async for progress in pull.watch()]
    assert seen[-1].percent == 100
    assert await pull.result() == puller.found("org/repo:Q4_K_M")
    assert pulls.running(WANTED) is None


async def test_those_who_ask_for_the_same_get_the_same_pull(hub: Hub, pulls: Pulls) -> None:
    gate = hub.faults.gates[ONE] = Gate(after=HALF)
    first = pulls.start("m", WANTED)
    await until(first, HALF)
    second = pulls.start("another-name", WANTED)
    assert second is first
    assert (await until(second, 1)).bytes_downloaded == HALF
    gate.opened.set()
    assert await first.result() == await second.result()
    assert hub.starts(ONE) == [0]


async def test_a_client_that_goes_away_ends_nothing(hub: Hub, puller: Puller, pulls: Pulls) -> None:
    gate = hub.faults.gates[ONE] = Gate(after=HALF)
    pull = pulls.start("m", WANTED)
    waiting = asyncio.create_task(pull.result())
    await until(pull, HALF)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    gate.opened.set()
    await pull.result()
    assert puller.found("org/repo:Q4_K_M")


async def test_a_cancelled_pull_leaves_nothing_that_looks_whole_and_goes_on_the_next_time(
    hub: Hub, puller: Puller, pulls: Pulls
) -> None:
    gate = hub.faults.gates[ONE] = Gate(after=HALF)
    pull = pulls.start("m", WANTED)
    watching = asyncio.create_task(until(pull, SIZE))
    await until(pull, HALF)
    # The line is silent: nothing wakes the worker but the signal.
    assert await pulls.cancel(WANTED)
    for waiting in (watching, pull.result()):
        with pytest.raises(PullCancelled, match="goes on where it stopped"):
            await waiting
    assert not await pulls.cancel(WANTED)
    assert puller.found("org/repo:Q4_K_M") is None
    (left,) = puller.files()
    assert left.endswith(".incomplete")

    gate.opened.set()
    path = await pulls.start("m", WANTED).result()
    assert path.read_bytes() == hub.repos["org/repo"][ONE]
    assert hub.starts(ONE) == [0, HALF]


async def test_a_pull_can_be_cancelled_before_the_hub_has_answered(hub: Hub, pulls: Pulls) -> None:
    pull = pulls.start("m", WANTED)
    assert await pulls.cancel(WANTED)
    with pytest.raises(PullCancelled):
        await pull.planned()


async def test_closing_ends_all_pulls_and_starts_none(hub: Hub, pulls: Pulls) -> None:
    gates = [hub.faults.gates.setdefault(name, Gate(after=0)) for name in (ONE, OTHER)]
    running = [pulls.start("m", WANTED), pulls.start("n", Wanted("org/repo:Q8_0"))]
    for gate in gates:
        await reached(gate)
    await pulls.close()
    for pull in running:
        with pytest.raises(EngineUnavailable, match="shutting down"):
            await pull.result()
    with pytest.raises(EngineUnavailable):
        pulls.start("m", WANTED)
    assert workers() == []


async def test_what_another_pull_is_still_going_to_write_is_not_free(hub: Hub, puller: Puller, pulls: Pulls) -> None:
    gate = hub.faults.gates[ONE] = Gate(after=0)
    pull = pulls.start("m", WANTED)
    await reached(gate)
    # No test can have a file as large as the disk.
    pull.files = (PlannedFile(ONE, psutil.disk_usage(str(puller.cache)).total),)
    with pytest.raises(NotEnoughSpace, match="must stay free"):
        await pulls.start("n", Wanted("org/repo:Q8_0")).result()


@pytest.mark.parametrize(
    ("checkpoint", "kind", "code"),
    [("org/repo", BadCheckpoint, "ambiguous_quant"), ("org/repo:Q4_K_M", DamagedDownload, "checksum_mismatch")],
)
async def test_an_error_comes_through_as_what_it_is(
    checkpoint: str, kind: type[DownloadError], code: str, hub: Hub, pulls: Pulls
) -> None:
    hub.faults.content[ONE] = weights(SIZE, seed=7)
    with pytest.raises(kind) as error:
        await pulls.start("m", Wanted(checkpoint)).result()
    assert error.value.code == code
    assert pulls.running(Wanted(checkpoint)) is None


async def test_a_worker_that_dies_is_an_error_with_its_last_words(
    pulls: Pulls, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying = (sys.executable, "-c", "import sys; sys.exit('cannot import anything')")
    monkeypatch.setattr(pulling_module, "_WORKER", dying)
    with pytest.raises(DownloadError, match="cannot import anything") as error:
        await pulls.start("m", WANTED).result()
    assert error.value.code == "pull_died"


def test_a_worker_ends_when_its_server_is_killed(hub: Hub, puller: Puller) -> None:
    gate = hub.faults.gates[ONE] = Gate(after=0)
    server = (
        "import subprocess, sys\n"
        "worker = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "worker.stdin.write(sys.argv[1].encode() + b'\\n')\n"
        "worker.stdin.flush()\n"
        "print(worker.pid, flush=True)\n"
        "worker.wait()\n"
    )
    job = Job(WANTED, puller.place.endpoint, str(puller.cache), 0).as_line().decode().strip()
    command = [sys.executable, "-c", server, job, *pulling_module._WORKER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert gate.reached.wait(20)
        process.kill()
        assert wait_until_gone(pid)


def workers() -> list[psutil.Process]:
    return running_children(pulling_module._WORKER[-1])
