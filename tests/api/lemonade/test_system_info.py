"""GET /system-info."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lemonade_like.app import create_app
from lemonade_like.engine.backends.probe import Probe
from lemonade_like.engine.backends.report import Reporter
from lemonade_like.engine.backends.states import Engines
from lemonade_like.settings import Settings
from tests.support.machines import GB, amd, mac, nvidia, recorded
from tests.support.turns import client_of, scripted_app, scripted_services


def nothing(_name: str, path: str | None = None) -> None:
    return None


def reporter(folder: Path, probe: Probe) -> Reporter:
    engines = Engines(None, "auto", folder / "backends", environ={}, which=nothing, bundled=lambda: "1.2")
    return Reporter(engines, folder / "models", probe)


async def ask(system: Reporter, prefix: str = "/v1") -> dict[str, Any]:
    async with client_of(scripted_app(scripted_services(system=system))) as client:
        answer = await client.get(f"{prefix}/system-info")
    assert answer.status_code == 200
    body: dict[str, Any] = answer.json()
    return body


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
async def test_the_machine_is_told_in_bytes_and_as_lemonades_clients_read_it(tmp_path: Path, prefix: str) -> None:
    said = await ask(reporter(tmp_path, nvidia(tmp_path / "machine")), prefix)
    assert said["version"] == "1.2.3"
    assert said["Processor"] == said["cpu"]["name"] == "AMD Ryzen 9 7950X 16-Core Processor"
    assert said["Physical Memory"] == "32.0 GB"
    assert said["memory"] == {"total_bytes": 32 * GB, "available_bytes": 20 * GB}
    assert said["os"]["system"] == "linux"
    assert "avx512f" in said["cpu"]["features"]
    assert said["devices"]["cpu"]["cores"] == 16
    assert said["devices"]["nvidia_gpu"][0] == {
        "name": "NVIDIA GeForce RTX 4090",
        "vram_gb": 24.0,
        "driver_version": "570.133.20",
        "available": True,
    }
    assert said["gpus"][1]["memory_total_bytes"] == 12288 * 1024 * 1024
    assert said["cuda"] == "12.8"
    assert said["model_storage"]["total_bytes"] >= said["model_storage"]["free_bytes"] > 0
    llamacpp = said["recipes"]["llamacpp"]
    assert llamacpp["default_backend"] == "bundled"
    assert llamacpp["backends"]["cuda"] == {
        "devices": ["nvidia_gpu"],
        "state": "installable",
        "message": "Not installed.",
        "action": "lemonade-like backends install cuda",
        "version": None,
    }
    assert llamacpp["backends"]["metal"]["state"] == "unsupported"
    assert [backend["name"] for backend in said["backends"] if backend["used"]] == ["bundled"]


async def test_gpus_are_listed_by_who_made_them(tmp_path: Path) -> None:
    said = await ask(reporter(tmp_path, amd(tmp_path / "machine")))
    assert [gpu["vram_gb"] for gpu in said["devices"]["amd_gpu"]] == [24.0]
    assert said["recipes"]["llamacpp"]["backends"]["vulkan"]["devices"] == ["cpu", "amd_gpu"]
    assert (said["rocm"], said["vulkan"]["loader"]) == ("6.4.1", True)
    said = await ask(reporter(tmp_path, mac(tmp_path / "mac")))
    assert [gpu["name"] for gpu in said["devices"]["apple_gpu"]] == ["Apple M2 Pro GPU"]
    assert said["gpus"][0]["shared_memory"] is True


async def test_a_machine_that_tells_nothing_is_no_error(tmp_path: Path) -> None:
    def broken(*_: object) -> Any:
        raise ZeroDivisionError

    probe = replace(recorded(tmp_path), run=broken, ram=broken, cores=broken)
    engines = Engines(None, "auto", tmp_path, environ={}, which=broken, bundled=broken)
    said = await ask(Reporter(engines, Path("\0"), probe))
    assert said["gpus"] == said["backends"] == []
    assert said["recipes"]["llamacpp"]["default_backend"] is None


async def test_the_real_server_tells_of_the_real_machine(tmp_path: Path) -> None:
    async with client_of(create_app(Settings(cache_dir=tmp_path))) as client:
        said = (await client.get("/v1/system-info")).json()
        assert said["memory"]["total_bytes"] > 0
        assert "bundled" in said["recipes"]["llamacpp"]["backends"]


async def test_with_a_key_it_is_told_to_nobody_without(tmp_path: Path) -> None:
    async with client_of(create_app(Settings(cache_dir=tmp_path, api_key="sesame"))) as client:
        assert (await client.get("/v1/system-info")).status_code == 401
