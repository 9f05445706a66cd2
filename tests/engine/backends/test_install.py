"""Installing against a server that answers as GitHub does, with engines that run."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import filelock
import httpx
import pytest

from lemonade_like.engine.backends.assets import BackendError
from lemonade_like.engine.backends.install import Installer
from lemonade_like.engine.backends.installed import installed_engine, installed_engines, is_newer, known_latest
from lemonade_like.engine.backends.machine import Machine, detect_machine
from lemonade_like.engine.backends.releases import Releases
from lemonade_like.engine.find import find_engine
from tests.support.machines import amd, mac, nvidia
from tests.support.releases import (
    BROKEN,
    ENGINE,
    VULKAN,
    ReleaseServer,
    engine_archive,
    release_of,
    release_server,
    tar,
    zipped,
)

B100 = VULKAN.format(tag="b100")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return detect_machine(amd(tmp_path_factory.mktemp("machine")))


@contextlib.contextmanager
def installer(server: ReleaseServer, folder: Path, machine: Machine, token: str | None = None) -> Iterator[Installer]:
    with httpx.Client(trust_env=False) as client:
        yield Installer(folder, Releases(server.url, client, token), machine, server.url, os.environ)


def leftovers(folder: Path) -> list[str]:
    """What is in the folder besides engines, locks and notes."""
    return [path.name for path in folder.glob(".*") if path.suffix not in (".lock", ".json")]


def test_an_installed_engine_is_found_and_runs(tmp_path: Path, machine: Machine) -> None:
    told: list[tuple[str, int, int]] = []
    with release_server() as server, installer(server, tmp_path, machine) as install:
        engine = install.install("vulkan", progress=lambda *step: told.append(step))
        size = len(server.releases["b100"][B100])

    assert told[0] == (B100, 0, size)
    assert told[-1] == (B100, size, size)
    assert find_engine(None, installed_dir=tmp_path).command == (str(engine.executable),)
    assert find_engine(None, "vulkan", installed_dir=tmp_path).backend == "vulkan"
    assert subprocess.run([engine.executable, "--version"], capture_output=True, check=True).stdout
    assert (engine.executable.parent / "libllama.so").readlink() == Path("libllama.so.0.1")
    assert engine.manifest is not None
    assert (engine.version, engine.manifest.reported, engine.manifest.source) == (
        "b100",
        "version: 9999 (fake)",
        server.url,
    )
    assert [(asset.name, asset.verified) for asset in engine.manifest.assets] == [(B100, True)]
    assert installed_engines(tmp_path) == [engine]
    assert leftovers(tmp_path) == []


def test_a_newer_release_takes_the_place_of_the_older_which_stays_for_those_who_run_it(
    tmp_path: Path, machine: Machine
) -> None:
    releases = {tag: release_of(tag) for tag in ("b99", "b100")}
    with release_server(releases) as server, installer(server, tmp_path, machine) as install:
        older = install.install("vulkan", "b99")
        newer = install.install("vulkan")
        assert installed_engine(tmp_path, "vulkan") == newer
        assert older.executable.exists()
        again = install.install("vulkan")

    assert (older.version, newer.version) == ("b99", "b100")
    assert installed_engine(tmp_path, "vulkan") == again
    assert not older.executable.exists()
    assert newer.executable.exists()
    assert len(list((tmp_path / "vulkan").glob("b*"))) == 2
    assert known_latest(tmp_path) == "b100"


def test_a_release_for_people_names_the_build_that_has_the_engines(tmp_path: Path, machine: Machine) -> None:
    releases = {"v0.7.0": {"nightly-tag.txt": b"b100\n"}, "b100": release_of("b100")}
    with release_server(releases, latest="v0.7.0") as server, installer(server, tmp_path, machine) as install:
        assert install.install("vulkan").version == "b100"
        assert install.install("vulkan", "v0.7.0").version == "b100"
        assert known_latest(tmp_path) == "b100"

        server.digests["nightly-tag.txt"] = "wrong"
        with pytest.raises(BackendError, match="not what the release says"):
            install.install("vulkan")
        server.digests["nightly-tag.txt"] = None
        with pytest.raises(BackendError, match="--allow-unverified"):
            install.install("vulkan")
        del server.digests["nightly-tag.txt"]
        for content in (b"../../somewhere", b"b100 " * 1000, b""):
            releases["v0.7.0"]["nightly-tag.txt"] = content
            with pytest.raises(BackendError, match="does not name a version"):
                install.install("vulkan")


def broken(server: ReleaseServer, how: str) -> None:
    """Break the release that is served."""
    files = server.releases["b100"]
    if how == "drop":
        server.drops.add(B100)
    elif how == "wrong digest":
        server.digests[B100] = "wrong"
    elif how == "no digest":
        server.digests[B100] = None
    elif how == "another kind of digest":
        server.digests[B100] = "md5:0123"
    elif how == "no asset":
        del files[B100]
    elif how == "no archive":
        files[B100] = b"<html>Log in to our proxy</html>" * 100
    elif how == "half an archive":
        files[B100] = files[B100][: len(files[B100]) // 2]
    elif how == "no engine":
        files[B100] = tar({"llama-b100/README": b"hello"})
    elif how == "not executable":
        files[B100] = tar({"llama-b100/llama-server": ENGINE}, mode=0o644)
    elif how == "does not run":
        files[B100] = engine_archive(engine=BROKEN)
    elif how == "is no program":
        files[B100] = engine_archive(engine=b"\x7fELF of another machine")
    elif how == "evil":
        files[B100] = tar({"llama-b100/llama-server": ENGINE, "../../evil": b"!"})
    elif how == "rate limit":
        headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1900000000"}
        server.answers["latest"] = (403, headers, '{"message": "API rate limit exceeded"}')
    elif how == "forbidden":
        server.answers["latest"] = (403, {}, "")
    elif how == "missing":
        server.answers["latest"] = (404, {}, '{"message": "Not Found"}')
    elif how == "server error":
        server.answers["latest"] = (502, {}, "<html>")
    else:
        bodies = {"no JSON": "<html>", "no release": "[]", "odd tag": '{"tag_name": "../x", "assets": []}'}
        server.answers["latest"] = (200, {}, bodies[how])


@pytest.mark.parametrize(
    ("how", "part"),
    [
        ("drop", "could not be fetched"),
        ("wrong digest", "not what the release says"),
        ("no digest", "--allow-unverified"),
        ("another kind of digest", "--allow-unverified"),
        ("no asset", "llama-b100-bin-ubuntu-x64.tar.gz"),
        ("no archive", "cannot be unpacked"),
        ("half an archive", "cannot be unpacked"),
        ("no engine", "holds no llama-server"),
        ("not executable", "holds no llama-server"),
        ("does not run", "libfancy.so.1"),
        ("is no program", "does not run here"),
        ("evil", "may be an attack"),
        ("rate limit", "GITHUB_TOKEN"),
        ("forbidden", "answered 403"),
        ("missing", "There is no release"),
        ("server error", "answered 502"),
        ("no JSON", "did not answer with a release"),
        ("no release", "did not answer with a release"),
        ("odd tag", "names a release"),
    ],
)
def test_an_install_that_fails_says_why_and_leaves_the_engine_before_it(
    tmp_path: Path, machine: Machine, how: str, part: str
) -> None:
    folder = tmp_path / "backends"
    releases = {"b99": release_of("b99"), "b100": release_of("b100")}
    with release_server(releases) as server, installer(server, folder, machine) as install:
        before = install.install("vulkan", "b99")
        broken(server, how)
        with pytest.raises(BackendError) as failed:
            install.install("vulkan")

    assert part in failed.value.message
    assert len(failed.value.message.splitlines()) <= 3
    assert installed_engine(folder, "vulkan") == before
    assert sorted(path.name for path in (folder / "vulkan").iterdir()) == sorted(
        ["manifest.json", before.executable.parent.parent.name]
    )
    assert leftovers(folder) == []
    assert [path.name for path in tmp_path.iterdir()] == ["backends"]


def test_what_nobody_vouches_for_is_installed_if_that_is_wanted(tmp_path: Path, machine: Machine) -> None:
    with release_server() as server, installer(server, tmp_path, machine) as install:
        server.digests[B100] = None
        engine = install.install("vulkan", allow_unverified=True)
        server.digests[B100] = "wrong"
        with pytest.raises(BackendError, match="not what the release says"):
            install.install("vulkan", allow_unverified=True)
    assert engine.manifest is not None
    assert [asset.verified for asset in engine.manifest.assets] == [False]


def test_a_version_that_is_not_there_is_said(tmp_path: Path, machine: Machine) -> None:
    with release_server() as server, installer(server, tmp_path, machine) as install:
        with pytest.raises(BackendError, match="There is no release b7 "):
            install.install("vulkan", "b7")
        for nonsense in ("../latest", "", "b1?x=y"):
            with pytest.raises(BackendError, match="is no version"):
                install.install("vulkan", nonsense)


def test_what_cannot_be_for_this_machine_is_refused_without_asking(tmp_path: Path, machine: Machine) -> None:
    with release_server() as server, installer(server, tmp_path, machine) as install:
        with pytest.raises(BackendError, match="It is for macOS"):
            install.install("metal")
        for name in ("bundled", "../x", "vulcan"):
            with pytest.raises(BackendError, match="must be one of"):
                install.install(name)
            with pytest.raises(BackendError, match="must be one of"):
                install.uninstall(name)
        assert server.asked == []


def test_no_server_is_said_with_what_to_do(tmp_path: Path, machine: Machine) -> None:
    with release_server() as gone:
        pass
    with installer(gone, tmp_path, machine) as install, pytest.raises(BackendError, match="HTTPS_PROXY") as failed:
        install.install("vulkan")
    assert len(failed.value.message.splitlines()) <= 3


def test_the_token_goes_to_the_api_and_to_nobody_else(tmp_path: Path, machine: Machine) -> None:
    with release_server() as server, installer(server, tmp_path, machine, token="s3cret") as install:
        install.install("vulkan")
    api, *downloads = server.asked
    assert api == ("/repos/ggml-org/llama.cpp/releases/latest", "Bearer s3cret")
    assert downloads == [(f"/{place}/b100/{B100}", None) for place in ("download", "elsewhere")]


def test_the_token_is_not_sent_unencrypted_over_a_network(machine: Machine) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={"tag_name": "b1", "assets": []})

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        for url in ("http://mirror.example", "https://mirror.example", "http://10.0.0.1", "http://localhost:1"):
            Releases(url, client, "s3cret").find(None)
    assert ["Authorization" in request.headers for request in asked] == [False, True, False, True]


def test_cuda_gets_its_libraries_beside_it(tmp_path: Path) -> None:
    machine = detect_machine(nvidia(tmp_path / "machine"))
    libraries = tar({"cudart/libcudart.so.12": b"cuda", "cudart/LICENSE": b"EULA"})
    archives = {
        "llama-b100-bin-ubuntu-cuda-12.8-x64.tar.gz": engine_archive(),
        "cudart-llama-b100-bin-ubuntu-cuda-12.8-x64.tar.gz": libraries,
    }
    with release_server({"b100": archives}) as server, installer(server, tmp_path, machine) as install:
        engine = install.install("cuda")
    assert (engine.executable.parent / "libcudart.so.12").read_bytes() == b"cuda"
    assert (engine.executable.parent / "LICENSE").read_bytes() == b"MIT"
    assert engine.manifest is not None
    assert [asset.name for asset in engine.manifest.assets] == list(archives)


@pytest.mark.skipif(sys.platform == "win32", reason="a script is no .exe")
def test_a_zip_keeps_what_is_executable(tmp_path: Path) -> None:
    machine = detect_machine(mac(tmp_path / "machine"))
    archive = zipped({"build/bin/llama-server": ENGINE}, {"build/bin/llama": "llama-server"})
    releases = {"b100": {"llama-b100-bin-macos-arm64.zip": archive}}
    with release_server(releases) as server, installer(server, tmp_path, machine) as install:
        assert install.install("metal").executable.parts[-3:] == ("build", "bin", "llama-server")


def test_only_one_installs_a_backend_at_a_time(tmp_path: Path, machine: Machine) -> None:
    with (
        release_server() as server,
        installer(server, tmp_path, machine) as install,
        filelock.FileLock(tmp_path / ".vulkan.lock"),
    ):
        with pytest.raises(BackendError, match="Somebody else"):
            install.install("vulkan")
        with pytest.raises(BackendError, match="Somebody else"):
            install.uninstall("vulkan")
        assert install.install("cpu").version == "b100"


def test_what_a_killed_install_left_is_cleared_by_the_next(tmp_path: Path, machine: Machine) -> None:
    (tmp_path / ".vulkan-abc" / "engine").mkdir(parents=True)
    (tmp_path / ".cpu-abc").mkdir()
    with release_server() as server, installer(server, tmp_path, machine) as install:
        install.install("vulkan")
    assert leftovers(tmp_path) == [".cpu-abc"]


def test_an_uninstalled_engine_is_gone(tmp_path: Path, machine: Machine) -> None:
    with release_server() as server, installer(server, tmp_path, machine) as install:
        install.install("vulkan")
        install.install("cpu")
        install.uninstall("vulkan")
        assert [engine.backend for engine in installed_engines(tmp_path)] == ["cpu"]
        assert not (tmp_path / "vulkan").exists()
        with pytest.raises(BackendError, match="There is no vulkan engine"):
            install.uninstall("vulkan")


def test_what_somebody_put_there_by_hand_is_used_and_never_deleted(tmp_path: Path, machine: Machine) -> None:
    mine = tmp_path / "vulkan" / "mine" / "llama-server"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(ENGINE)
    mine.chmod(0o755)
    assert find_engine(None, "vulkan", installed_dir=tmp_path).command == (str(mine),)
    with release_server() as server, installer(server, tmp_path, machine) as install:
        with pytest.raises(BackendError, match="delete it yourself"):
            install.uninstall("vulkan")
        installed = install.install("vulkan")
        assert installed_engine(tmp_path, "vulkan") == installed
        install.uninstall("vulkan")
    assert find_engine(None, "vulkan", installed_dir=tmp_path).command == (str(mine),)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: "no JSON",
        lambda data: [],
        lambda data: {},
        lambda data: data | {"executable": "../../somewhere/else"},
        lambda data: data | {"executable": 7},
        lambda data: data | {"assets": [{}]},
    ],
)
def test_a_damaged_manifest_does_not_hide_the_engine(tmp_path: Path, machine: Machine, change: Any) -> None:
    with release_server() as server, installer(server, tmp_path, machine) as install:
        engine = install.install("vulkan")
        path = tmp_path / "vulkan" / "manifest.json"
        path.write_text(json.dumps(change(json.loads(path.read_text()))))
        assert installed_engine(tmp_path, "vulkan") == replace(engine, manifest=None)
        assert install.install("vulkan").manifest is not None


def test_the_best_of_several_is_taken_for_this_machine(tmp_path: Path, machine: Machine) -> None:
    with release_server() as server, installer(server, tmp_path, machine) as install:
        install.install("vulkan")
        install.install("cpu")
    assert find_engine(None, installed_dir=tmp_path, machine=lambda: machine).backend == "vulkan"
    without_gpu = replace(machine, gpus=(), vulkan=replace(machine.vulkan, devices=()))
    assert find_engine(None, installed_dir=tmp_path, machine=lambda: without_gpu).backend == "cpu"


@pytest.mark.parametrize(
    ("tag", "than", "newer"),
    [
        ("b101", "b99", True),
        ("b99", "b101", False),
        ("b100", "b100", False),
        ("v1", "b100", True),
        ("b\u00b2", "b1", True),
    ],
)
def test_builds_are_compared_by_their_numbers(tag: str, than: str, newer: bool) -> None:
    assert is_newer(tag, than) is newer
