"""``lemonade-like backends`` as users run it, against a release server of this machine."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lemonade_like.engine.backends.installed import installed_engine
from tests.support.releases import ReleaseServer, engine_archive, release_of, release_server

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"), reason="the releases are for Linux"
)


def environment(server: ReleaseServer, folder: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    kept.pop("GITHUB_TOKEN", None)
    return kept | {
        "LEMONADE_LIKE_RELEASES_URL": server.url,
        "LEMONADE_LIKE_CACHE_DIR": str(folder),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "COLUMNS": "200",
        **more,
    }


def backends(server: ReleaseServer, folder: Path, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run the command; ``more`` is for subprocess."""
    return subprocess.run(
        [sys.executable, "-m", "lemonade_like", "backends", *arguments],
        env=environment(server, folder),
        capture_output=True,
        text=True,
        check=False,
        **more,
    )


def listed(server: ReleaseServer, folder: Path) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(backends(server, folder, "--json").stdout)
    return {"used": said["used"], **{state["name"]: state for state in said["backends"]}}


def test_an_engine_is_installed_listed_updated_and_removed(tmp_path: Path) -> None:
    with release_server({"b99": release_of("b99"), "b100": release_of("b100")}) as server:
        assert listed(server, tmp_path)["vulkan"]["state"] in ("installable", "unsupported")
        assert server.asked == []  # nothing is installed that could be out of date

        done = backends(server, tmp_path, "install", "vulkan", "--version", "b99")
        assert done.returncode == 0, done.stderr
        assert "lemonade-like serve --backend vulkan" in done.stdout
        assert "Fetching llama-b99-bin-ubuntu-vulkan-" in done.stderr

        before = listed(server, tmp_path)
        assert (before["vulkan"]["state"], before["vulkan"]["version"]) == ("update_available", "b99")
        assert before["vulkan"]["latest"] == "b100"
        assert before["used"]["backend"] == "vulkan"
        assert before["used"]["command"] == [before["vulkan"]["path"]]

        assert backends(server, tmp_path, "install", "vulkan").returncode == 0
        table = backends(server, tmp_path).stdout
        row = next(line for line in table.splitlines() if line.strip().startswith("vulkan"))
        assert "installed" in row
        assert "b100" in row
        assert "with auto" in row

        removed = backends(server, tmp_path, "uninstall", "vulkan")
        assert (removed.returncode, removed.stdout) == (0, "vulkan is removed.\n")
        assert listed(server, tmp_path)["vulkan"]["path"] is None


def test_what_fails_is_said_in_three_lines(tmp_path: Path) -> None:
    with release_server() as server:
        server.digests.update(dict.fromkeys(server.releases["b100"], "wrong"))
        wrong = backends(server, tmp_path, "install", "cpu")
        unknown = backends(server, tmp_path, "install", "vulcan")
        missing = backends(server, tmp_path, "uninstall", "cpu")
    for failed, part in ((wrong, "not what the release says"), (unknown, "'vulcan'"), (missing, "no cpu engine")):
        assert failed.returncode == 1
        assert failed.stdout == ""
        assert part in failed.stderr
        assert "Traceback" not in failed.stderr
        assert len([line for line in failed.stderr.splitlines() if not line.startswith("Fetching")]) <= 3


def test_without_the_release_server_the_list_is_shown_all_the_same(tmp_path: Path) -> None:
    with release_server() as server:
        assert backends(server, tmp_path, "install", "cpu").returncode == 0
    alone = backends(server, tmp_path)
    assert alone.returncode == 0
    assert "Updates are not known" in alone.stderr
    assert "b100" in alone.stdout


def test_what_nobody_vouches_for_is_said_to_be_so(tmp_path: Path) -> None:
    with release_server() as server:
        server.digests.update(dict.fromkeys(server.releases["b100"]))
        refused = backends(server, tmp_path, "install", "cpu")
        taken = backends(server, tmp_path, "install", "cpu", "--allow-unverified")
    assert refused.returncode == 1
    assert "--allow-unverified" in refused.stderr
    assert taken.returncode == 0
    assert "Nobody has vouched" in taken.stderr


def test_an_install_that_is_killed_leaves_the_engine_before_it_and_blocks_nobody(tmp_path: Path) -> None:
    folder = tmp_path / "backends"
    with release_server({"b99": release_of("b99"), "b100": release_of("b100")}) as server:
        assert backends(server, tmp_path, "install", "cpu", "--version", "b99").returncode == 0
        before = installed_engine(folder, "cpu")
        server.stalls = True
        killed = subprocess.Popen(
            [sys.executable, "-m", "lemonade_like", "backends", "install", "cpu"],
            env=environment(server, tmp_path),
            stderr=subprocess.DEVNULL,
        )
        assert server.held.wait(30)
        also = backends(server, tmp_path, "install", "cpu")
        killed.kill()
        killed.wait()
        assert also.returncode == 1
        assert "Somebody else" in also.stderr
        assert installed_engine(folder, "cpu") == before

        server.stalls = False
        assert backends(server, tmp_path, "install", "cpu").returncode == 0
    after = installed_engine(folder, "cpu")
    assert after is not None
    assert after.version == "b100"
    assert not list(folder.glob(".cpu-*"))


def test_a_disk_that_takes_no_more_leaves_the_engine_before_it(tmp_path: Path) -> None:
    import resource  # noqa: PLC0415 - not on Windows

    large = engine_archive("b100", b"#!/bin/sh\n#" + os.urandom(400_000) + b"\n")
    with release_server({"b99": release_of("b99"), "b100": dict.fromkeys(release_of("b100"), large)}) as server:
        assert backends(server, tmp_path, "install", "cpu", "--version", "b99").returncode == 0
        full = backends(
            server,
            tmp_path,
            *("install", "cpu"),
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
        )
    assert full.returncode == 1
    assert "File too large" in full.stderr
    assert "Traceback" not in full.stderr
    left = installed_engine(tmp_path / "backends", "cpu")
    assert left is not None
    assert left.version == "b99"
    assert not list((tmp_path / "backends").glob(".cpu-*"))
