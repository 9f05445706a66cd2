"""``lemonade-like pull``, ``delete`` and ``variants`` as users run them, against the local hub."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console

from lemonade_like.cli import pull
from lemonade_like.models.progress import Tracker
from lemonade_like.models.remote import Plan, RemoteFile
from tests.support.hub import GATED, Gate, Hub, running_hub, weights

NAME = "gpt-oss-20b-GGUF"
REPO = "ggml-org/gpt-oss-20b-GGUF"
FILE = "some-name-MXFP4.gguf"
HALF = 1 << 20


@pytest.fixture
def hub() -> Iterator[Hub]:
    repos = {
        REPO: {FILE: weights(2 * HALF), "mmproj.gguf": weights(10)},
        "org/eyes": {"m-Q4_0.gguf": weights(700_000), "m-Q8_0.gguf": weights(900_000), "mmproj-F16.gguf": weights(300)},
        GATED: {"m-Q4_0.gguf": weights(700)},
    }
    with running_hub(repos) as running:
        yield running


class CommandLine:
    """Runs the program with the hub at ``endpoint``, and a home of its own."""

    def __init__(self, endpoint: str, folder: Path) -> None:
        own = {
            "HF_ENDPOINT": endpoint,
            "HF_HOME": str(folder / "hf"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "APPDATA": str(folder / "config"),
            "COLUMNS": "200",
        }
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("HF_")} | own

    @contextmanager
    def start(self, *arguments: str, **environ: str) -> Iterator[subprocess.Popen[str]]:
        """The process, killed at the end if it still runs."""
        with subprocess.Popen(
            [sys.executable, "-m", "lemonade_like", *arguments],
            env=self.environ | environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        with self.start(*arguments, **environ) as process:
            stdout, stderr = process.communicate()
        return subprocess.CompletedProcess(arguments, process.returncode, stdout, stderr)

    def state(self, name: str) -> str:
        """What the list of models says of the model."""
        row = next(line for line in self.run("models").stdout.splitlines() if line.strip().startswith(name))
        return "not downloaded" if "not downloaded" in row else "downloaded"


@pytest.fixture
def cli(hub: Hub, tmp_path: Path) -> CommandLine:
    return CommandLine(hub.url, tmp_path)


def test_after_a_pull_the_model_is_on_this_machine_until_it_is_deleted(
    hub: Hub, cli: CommandLine, tmp_path: Path
) -> None:
    pulled = cli.run("pull", NAME.lower())
    assert pulled.returncode == 0, pulled.stderr
    assert f"Fetching {FILE} (1 of 1)" in pulled.stderr
    assert f"lemonade-like serve --model {NAME}" in pulled.stdout
    assert str(tmp_path / "hf" / "hub") in pulled.stdout
    assert hub.fetched == [FILE]
    assert cli.state(NAME) == "downloaded"

    deleted = cli.run("delete", NAME)
    assert deleted.returncode == 0, deleted.stderr
    assert f"Deleted {NAME}: 2.1 MB are free again." in deleted.stdout
    assert cli.state(NAME) == "not downloaded"
    assert cli.run("delete", NAME).returncode == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process")
def test_ctrl_c_stops_a_pull_and_the_next_one_goes_on(hub: Hub, cli: CommandLine, tmp_path: Path) -> None:
    gate = hub.faults.gates[FILE] = Gate(after=HALF)
    with cli.start("pull", NAME) as process:
        assert gate.reached.wait(30)
        # What is on the line is not on the disk yet.
        while not any(part.stat().st_size == HALF for part in tmp_path.rglob("*.incomplete")):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate()
    assert process.returncode == 130
    assert "goes on from there" in stderr
    assert "Traceback" not in stderr
    gate.opened.set()
    assert cli.run("pull", NAME).returncode == 0
    assert hub.starts(FILE) == [0, HALF]


def test_two_processes_that_pull_the_same_fetch_it_once(hub: Hub, cli: CommandLine) -> None:
    gate = hub.faults.gates[FILE] = Gate(after=HALF)
    with cli.start("pull", NAME) as first:
        assert gate.reached.wait(30)
        with cli.start("pull", NAME) as second:
            assert second.stderr is not None
            assert any("another process" in line for line in second.stderr)
            gate.opened.set()
            outputs = [process.communicate()[0] for process in (first, second)]
    assert first.returncode == second.returncode == 0
    assert outputs[0] == outputs[1]
    assert hub.starts(FILE) == [0]


def test_a_pull_without_network_says_so_in_three_lines(tmp_path: Path) -> None:
    with running_hub({}) as gone:
        pass
    failed = CommandLine(gone.url, tmp_path).run("pull", NAME)
    assert failed.returncode == 1
    assert "cannot be reached" in failed.stderr
    assert len(failed.stderr.splitlines()) <= 3


def test_a_proxy_is_gone_through(hub: Hub, cli: CommandLine) -> None:
    # There is no such host: only the proxy, which the hub plays, can know it.
    environ = dict.fromkeys(("HTTP_PROXY", "http_proxy"), hub.url) | {"NO_PROXY": "", "no_proxy": ""}
    pulled = cli.run("pull", NAME, **environ, HF_ENDPOINT="http://hub.invalid")
    assert pulled.returncode == 0, pulled.stderr
    assert hub.fetched == [FILE]


def test_offline_mode_is_named(cli: CommandLine) -> None:
    failed = cli.run("pull", NAME, HF_HUB_OFFLINE="1")
    assert failed.returncode == 1
    assert "Unset HF_HUB_OFFLINE" in failed.stderr


def test_the_token_of_the_environment_is_used(hub: Hub, cli: CommandLine) -> None:
    refused = cli.run("pull", f"{GATED}:Q4_0")
    assert refused.returncode == 1
    assert "accepted its licence" in refused.stderr
    assert cli.run("pull", f"{GATED}:Q4_0", HF_TOKEN=hub.tokens[GATED]).returncode == 0


def test_a_users_model_is_pulled_with_its_projector(hub: Hub, cli: CommandLine) -> None:
    pulled = cli.run("pull", "user.eyes", "--checkpoint", "org/eyes:Q4_0", "--label", "vision")
    assert pulled.returncode == 0, pulled.stderr
    assert "lemonade-like serve --model user.eyes" in pulled.stdout
    assert hub.fetched == ["mmproj-F16.gguf", "m-Q4_0.gguf"]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("pull", "two eyes", "--checkpoint", "org/eyes:Q4_0"), "user.NAME"),
        (("pull", "user.eyes", "--checkpoint", "org/eyes:Q4_0", "--label", "invented"), "no label"),
        (("pull", "user.eyes", "--checkpoint", "nonsense"), "org/repo:QUANT"),
        (("pull", "org/eyes"), "org/eyes:Q4_0, org/eyes:Q8_0."),
        (("delete", "tiny-gpt-oss"), "part of this package"),
    ],
)
def test_a_mistake_is_explained_without_a_traceback(arguments: tuple[str, ...], part: str, cli: CommandLine) -> None:
    failed = cli.run(*arguments)
    assert failed.returncode in (1, 2)
    assert part in failed.stderr
    assert "Traceback" not in failed.stderr


def test_the_bundled_model_needs_no_pull(cli: CommandLine) -> None:
    pulled = cli.run("pull", "tiny-gpt-oss")
    assert pulled.returncode == 0
    assert "nothing to download" in pulled.stdout


def test_variants_are_listed_with_their_sizes(cli: CommandLine) -> None:
    listed = cli.run("variants", "org/eyes")
    assert listed.returncode == 0, listed.stderr
    rows = [line.split() for line in listed.stdout.splitlines() if "_0" in line]
    assert rows == [["Q8_0", "0.9", "MB", "1", "recommended"], ["Q4_0", "0.7", "MB", "1"]]


def test_on_a_terminal_a_bar_shows_all_files_together() -> None:
    files = tuple(RemoteFile("org/repo", "main", name, 1000, "0" * 64) for name in ("mmproj.gguf", "m.gguf"))
    drawn = io.StringIO()
    shown, listener = pull._progress_on(Console(file=drawn, force_terminal=True, width=120), Plan(files))
    tracker = Tracker(Plan(files))
    with shown:
        tracker.begin(1, files[1])
        tracker.at(500, "verifying")
        listener(tracker.progress(1.0))
    assert "checking m.gguf (2 of 2)" in drawn.getvalue()
    assert "1.5/2.0 kB" in drawn.getvalue()
