from __future__ import annotations

import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_like.engine.backends.machine import Machine, detect_machine
from lemonade_like.engine.backends.memory import free_and_total
from lemonade_like.engine.backends.probe import run_quietly
from lemonade_like.engine.backends.support import RELEASED, rank, why_not
from tests.support.machines import NVIDIA_QUERY, NVIDIA_SMI, VULKANINFO, amd, mac, nvidia, recorded


def supported(machine: Machine) -> set[str]:
    return {backend for backend in RELEASED if why_not(backend, machine) is None}


def best(machine: Machine) -> str:
    return max(RELEASED, key=lambda backend: rank(backend, machine))


def test_a_machine_says_what_it_computes_with(tmp_path: Path) -> None:
    machine = detect_machine(nvidia(tmp_path))
    assert (machine.system, machine.architecture) == ("linux", "x64")
    assert machine.cpu.name == "AMD Ryzen 9 7950X 16-Core Processor"
    assert (machine.cpu.cores, machine.cpu.threads) == (16, 32)
    assert machine.cpu.features == (*("sse4_2", "avx", "f16c", "fma", "avx2", "avx512f", "avx512_vnni", "avx512_bf16"),)
    assert machine.cuda == (12, 8)
    assert len(machine.gpus) == 2


def test_an_arm_machine_is_named_by_its_device_tree(tmp_path: Path) -> None:
    files = {
        "proc/cpuinfo": "processor : 0\nFeatures : fp asimd asimddp sve\n",
        "proc/device-tree/model": "Raspberry Pi 5\0",
    }
    machine = detect_machine(recorded(tmp_path, architecture="aarch64", files=files))
    assert machine.architecture == "arm64"
    assert machine.cpu.name == "Raspberry Pi 5"
    assert machine.cpu.features == ("asimd", "asimddp", "sve")


def test_windows_names_its_processor(tmp_path: Path) -> None:
    probe = recorded(
        tmp_path, platform="win32", architecture="AMD64", environ={"PROCESSOR_IDENTIFIER": "AMD64 Family 25"}
    )
    machine = detect_machine(probe)
    assert (machine.system, machine.architecture, machine.cpu.name) == ("windows", "x64", "AMD64 Family 25")


@pytest.mark.parametrize(
    ("describe", "runs", "takes"),
    [
        (nvidia, {"cuda", "cpu"}, "cuda"),
        (amd, {"rocm", "vulkan", "cpu"}, "rocm"),
        (lambda folder: amd(folder, rocm=False), {"vulkan", "cpu"}, "vulkan"),
        (mac, {"metal"}, "metal"),
        (lambda folder: mac(folder, architecture="x86_64"), {"cpu"}, "cpu"),
        (recorded, {"cpu"}, "cpu"),
    ],
    ids=["nvidia", "amd", "amd without rocm", "apple silicon", "older mac", "no gpu"],
)
def test_what_a_machine_can_run_and_what_is_best_there(
    tmp_path: Path, describe: Any, runs: set[str], takes: str
) -> None:
    machine = detect_machine(describe(tmp_path))
    assert supported(machine) == runs
    assert best(machine) == takes


@pytest.mark.parametrize(
    ("describe", "backend", "reason"),
    [
        (recorded, "cuda", "No NVIDIA GPU"),
        (recorded, "rocm", "No AMD GPU"),
        (recorded, "vulkan", "Vulkan loader was not found"),
        (recorded, "metal", "for macOS"),
        (mac, "cuda", "for Linux and Windows"),
        (mac, "cpu", "metal"),
        (lambda folder: mac(folder, architecture="x86_64"), "metal", "Apple silicon"),
        (lambda folder: amd(folder, rocm=False), "rocm", "ROCm is not installed"),
    ],
)
def test_a_backend_that_does_not_fit_says_why(tmp_path: Path, describe: Any, backend: str, reason: str) -> None:
    said = why_not(backend, detect_machine(describe(tmp_path)))
    assert said is not None
    assert reason in said


def test_vulkan_that_only_draws_on_the_cpu_is_no_gpu(tmp_path: Path) -> None:
    only_cpu = VULKANINFO[: VULKANINFO.index("GPU0")] + VULKANINFO[VULKANINFO.index("GPU1") :]
    machine = detect_machine(recorded(tmp_path, outputs={"vulkaninfo": only_cpu}))
    assert machine.vulkan.devices == ()
    assert why_not("vulkan", machine) == "Vulkan sees no GPU."


def test_vulkan_without_vulkaninfo_is_believed_if_there_is_a_gpu(tmp_path: Path) -> None:
    probe = replace(amd(tmp_path), run=lambda command: None)
    assert why_not("vulkan", detect_machine(probe)) is None


def test_rocm_tells_its_version(tmp_path: Path) -> None:
    assert detect_machine(amd(tmp_path)).rocm == "6.4.1"


def test_rocm_elsewhere_is_found_by_its_tools(tmp_path: Path) -> None:
    probe = recorded(tmp_path, outputs={"rocm-smi --version": "ROCM-SMI version: 3.0"})
    assert detect_machine(probe).rocm == ""


def test_an_amd_card_on_windows_needs_no_rocm_of_its_own(tmp_path: Path) -> None:
    probe = recorded(
        tmp_path,
        platform="win32",
        architecture="AMD64",
        files={"Windows/System32/vulkan-1.dll": ""},
        outputs={"powershell": '{"Name":"AMD Radeon RX 7900 XTX"}'},
    )
    assert supported(detect_machine(probe)) == {"rocm", "vulkan", "cpu"}


def test_detectors_that_fail_leave_the_rest_as_it_is(tmp_path: Path) -> None:
    def broken(*_: object) -> Any:
        raise ZeroDivisionError

    machine = detect_machine(replace(amd(tmp_path), run=broken, ram=broken, cores=broken))
    assert machine.gpus == ()
    assert machine.cuda is None
    assert machine.ram == (0, 0)
    assert supported(machine) == {"cpu"}


def test_a_driver_that_hangs_holds_nothing_up(tmp_path: Path) -> None:
    hanging = [sys.executable, "-c", "import time; time.sleep(600)"]
    asked = threading.Semaphore(0)

    def run(command: Any) -> str | None:
        asked.release()
        return run_quietly(hanging, seconds=0.2)

    machine = detect_machine(replace(nvidia(tmp_path), run=run))
    assert asked.acquire(blocking=False)
    assert machine.gpus == ()
    assert supported(machine) == {"cpu"}


def test_this_machine_is_something() -> None:
    machine = detect_machine()
    assert machine.cpu.name
    assert machine.ram.total > 0
    assert {"linux": "linux", "darwin": "macos", "win32": "windows"}.get(sys.platform, sys.platform) == machine.system


_TOLD = st.one_of(
    st.text(max_size=200),
    st.lists(st.sampled_from([VULKANINFO, NVIDIA_QUERY, NVIDIA_SMI, "[", "{}", ",", "\n", "\t", "0x", "-1"])).map(
        "".join
    ),
)


@given(
    platform=st.sampled_from(["linux", "win32", "darwin", "freebsd14"]),
    outputs=st.dictionaries(st.sampled_from(["nvidia-smi", "vulkaninfo", "powershell", "sysctl", "amd-smi"]), _TOLD),
    files=st.dictionaries(
        st.sampled_from(
            [
                *("proc/cpuinfo", "proc/self/cgroup", "sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory.current"),
                *("sys/class/drm/card0/device/vendor", "sys/class/drm/card0/device/mem_info_vram_total"),
                *("usr/share/misc/pci.ids", "proc/driver/nvidia/gpus/0/information", "opt/rocm/.info/version"),
            ]
        ),
        _TOLD,
    ),
)
def test_whatever_a_machine_says_there_is_an_answer(
    tmp_path_factory: pytest.TempPathFactory, platform: str, outputs: dict[str, str], files: dict[str, str]
) -> None:
    probe = recorded(tmp_path_factory.mktemp("odd"), platform=platform, outputs=outputs, files=files)
    machine = detect_machine(probe)
    assert machine.ram.total >= machine.ram.available >= 0
    for backend in RELEASED:
        why_not(backend, machine)
    memory = free_and_total(probe)
    assert memory.free_for("cuda") >= memory.free_for("cpu") >= 0
