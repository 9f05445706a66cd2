from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lemonade_like.engine.backends.installed import InstalledAsset, Manifest, remember_latest, write_manifest
from lemonade_like.engine.backends.machine import Machine, detect_machine
from lemonade_like.engine.backends.states import BackendState, Engines, engine_version
from tests.support.fake_llama_server import FAKE_LLAMA_SERVER
from tests.support.machines import amd, recorded


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return detect_machine(amd(tmp_path_factory.mktemp("machine")))


@pytest.fixture
def engines(tmp_path: Path) -> Engines:
    return Engines(
        None, "auto", tmp_path, environ={"PATH": "/bin"}, which=lambda *_, **__: None, bundled=lambda: "2026.1"
    )


def put(folder: Path, backend: str, version: str | None) -> Path:
    """An engine, by hand if it has no version."""
    executable = folder / backend / "home" / "llama-server"
    executable.parent.mkdir(parents=True)
    executable.write_text("#!/bin/sh\n")
    executable.chmod(0o755)
    if version:
        assets = (InstalledAsset("a.zip", "0" * 64, True),)
        write_manifest(folder / backend, Manifest(version, "home/llama-server", assets, "url", "now", "version"))
    return executable


def by_name(states: list[BackendState]) -> dict[str, BackendState]:
    return {state.name: state for state in states}


def asked(command: Any) -> str:
    return f"asked {Path(command[0]).name}"


def test_every_backend_has_a_state_and_says_what_to_do(engines: Engines, machine: Machine) -> None:
    states = engines.states(machine)
    assert [(state.name, state.state) for state in states] == [
        ("metal", "unsupported"),
        ("cuda", "unsupported"),
        ("rocm", "installable"),
        ("vulkan", "installable"),
        ("cpu", "installable"),
        ("system", "unsupported"),
        ("bundled", "installed"),
    ]
    for state in states:
        assert state.message or state.state == "installed"
        assert (state.state == "installable") == state.action.startswith("lemonade-like backends install ")
    assert by_name(states)["bundled"].used


def test_an_installed_engine_has_a_version_and_a_path(engines: Engines, machine: Machine) -> None:
    path = put(engines.folder, "vulkan", "b100")
    state = by_name(engines.states(machine, asked))["vulkan"]
    assert state == BackendState("vulkan", "installed", version="b100", path=str(path), used=True)


def test_an_update_is_seen_without_the_network(engines: Engines, machine: Machine) -> None:
    put(engines.folder, "vulkan", "b100")
    remember_latest(engines.folder, "b101")
    state = by_name(engines.states(machine, asked))["vulkan"]
    assert (state.state, state.version, state.latest) == ("update_available", "b100", "b101")
    assert state.action == "lemonade-like backends install vulkan"
    remember_latest(engines.folder, "b99")
    assert by_name(engines.states(machine, asked))["vulkan"].state == "installed"


def test_an_engine_put_there_by_hand_is_asked_for_its_version(engines: Engines, machine: Machine) -> None:
    put(engines.folder, "rocm", None)
    remember_latest(engines.folder, "b101")
    state = by_name(engines.states(machine, asked))["rocm"]
    assert (state.state, state.version) == ("installed", "asked llama-server")


def test_an_engine_that_does_not_fit_the_machine_is_installed_all_the_same(engines: Engines, tmp_path: Path) -> None:
    put(engines.folder, "cuda", "b100")
    state = by_name(engines.states(detect_machine(recorded(tmp_path / "machine")), asked))["cuda"]
    assert (state.state, state.message) == ("installed", "No NVIDIA GPU with a driver was found.")


def test_the_engine_of_the_settings_is_the_system_one(engines: Engines, machine: Machine, tmp_path: Path) -> None:
    on_path = replace(engines, which=lambda *_, **__: "/usr/bin/llama-server")
    states = by_name(on_path.states(machine, asked))
    assert (states["system"].path, states["system"].used) == ("/usr/bin/llama-server", True)
    assert not states["bundled"].used

    mine = put(tmp_path / "elsewhere", "mine", None)
    named = replace(on_path, explicit=str(mine))
    assert by_name(named.states(machine, asked))["system"].path == str(mine)


def test_what_is_asked_for_and_not_there_is_not_used(engines: Engines, machine: Machine) -> None:
    wanted = replace(engines, backend="cuda")
    assert wanted.used(machine) is None
    assert not any(state.used for state in wanted.states(machine))


def test_without_the_bundled_engine_it_says_how_to_get_it(engines: Engines, machine: Machine) -> None:
    state = by_name(replace(engines, bundled=lambda: None).states(machine))["bundled"]
    assert state.state == "installable"
    assert state.action == "pip install 'lemonade-like[engine]'"


def test_an_engine_tells_its_version_or_nothing(tmp_path: Path) -> None:
    assert engine_version([str(FAKE_LLAMA_SERVER)]) == "9999 (fake)"
    assert engine_version(["/no/such/engine"]) is None
    assert engine_version([str(put(tmp_path, "silent", None))]) is None
