from __future__ import annotations

from pathlib import Path

import pytest

from lemonade_like.engine.backends.gpus import Gpu, cuda_version, detect_gpus
from lemonade_like.engine.backends.probe import this_machine
from tests.support.machines import GB, NVIDIA_SMI, amd, mac, nvidia, recorded

MIB = 1024 * 1024


def test_nvidia_cards_are_described_by_nvidia_smi(tmp_path: Path) -> None:
    probe = nvidia(tmp_path)
    assert detect_gpus(probe) == [
        Gpu("NVIDIA GeForce RTX 4090", "nvidia", 24564 * MIB, 23500 * MIB, driver="570.133.20"),
        Gpu("NVIDIA GeForce RTX 3060", "nvidia", 12288 * MIB, 12000 * MIB, driver="570.133.20"),
    ]
    assert cuda_version(probe) == (12, 8)


def test_a_newer_nvidia_smi_spells_the_cuda_version_otherwise(tmp_path: Path) -> None:
    said = NVIDIA_SMI.replace("CUDA Version: 12.8", "CUDA UMD Version: 13.1")
    assert cuda_version(recorded(tmp_path, outputs={"nvidia-smi": said})) == (13, 1)


def test_a_card_that_computes_in_the_machines_memory_has_none_of_its_own(tmp_path: Path) -> None:
    probe = recorded(tmp_path, outputs={"nvidia-smi --query-gpu": "NVIDIA GB10, [N/A], [N/A], 580.95\n"})
    assert detect_gpus(probe) == [Gpu("NVIDIA GB10", "nvidia", shared=True, driver="580.95")]


def test_without_nvidia_smi_the_driver_still_says_which_cards_there_are(tmp_path: Path) -> None:
    files = {
        "proc/driver/nvidia/gpus/0000:01:00.0/information": "Model: \t\t NVIDIA L4\nIRQ:   \t\t 90\n",
        "proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5",
    }
    assert detect_gpus(recorded(tmp_path, files=files)) == [Gpu("NVIDIA L4", "nvidia", driver="550.54.15")]


def test_an_amd_card_is_found_in_sysfs_and_named_by_the_list_of_pci_devices(tmp_path: Path) -> None:
    name = "AMD Navi 31 [Radeon RX 7900 XT/7900 XTX/7900 GRE/7900M]"
    assert detect_gpus(amd(tmp_path)) == [Gpu(name, "amd", 24 * GB, 23 * GB)]


def test_without_the_list_a_card_is_named_by_its_number(tmp_path: Path) -> None:
    probe = amd(tmp_path)
    (tmp_path / "usr/share/misc/pci.ids").unlink()
    assert [gpu.name for gpu in detect_gpus(probe)] == ["AMD 0x744c"]


def test_intel_graphics_use_the_machines_memory(tmp_path: Path) -> None:
    device = "sys/class/drm/card0/device"
    probe = recorded(tmp_path, files={f"{device}/vendor": "0x8086", f"{device}/device": "0x46a6"})
    assert detect_gpus(probe) == [Gpu("Intel 0x46a6", "intel", shared=True)]


def test_the_screen_of_a_virtual_machine_is_no_gpu(tmp_path: Path) -> None:
    device = "sys/class/drm/card0/device"
    probe = recorded(tmp_path, files={f"{device}/vendor": "0x1af4", f"{device}/device": "0x1050"})
    assert detect_gpus(probe) == []


def test_a_card_that_two_drivers_know_is_counted_once(tmp_path: Path) -> None:
    device = "sys/class/drm/card0/device"
    probe = recorded(
        tmp_path,
        files={f"{device}/vendor": "0x10de", f"{device}/device": "0x2684"},
        outputs={"nvidia-smi --query-gpu": "NVIDIA GeForce RTX 4090, 24564, 23500, 570.133.20\n"},
    )
    assert [gpu.name for gpu in detect_gpus(probe)] == ["NVIDIA GeForce RTX 4090"]


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ('{"Name":"AMD Radeon(TM) 890M Graphics","DriverVersion":"32.0.1"}', ["AMD Radeon(TM) 890M Graphics"]),
        ('[{"Name":"Intel(R) Arc(TM) A770"},{"Name":"Microsoft Basic Display Adapter"}]', ["Intel(R) Arc(TM) A770"]),
        ('[{"Name":null},"what",7]', []),
        ("7", []),
        ("not JSON", []),
        ("", []),
    ],
)
def test_windows_tells_its_display_adapters(tmp_path: Path, said: str, names: list[str]) -> None:
    probe = recorded(tmp_path, platform="win32", architecture="AMD64", outputs={"powershell": said})
    assert [gpu.name for gpu in detect_gpus(probe)] == names


def test_apple_silicon_has_a_gpu_in_the_machines_memory_and_an_older_mac_has_none_for_us(tmp_path: Path) -> None:
    assert detect_gpus(mac(tmp_path)) == [Gpu("Apple M2 Pro GPU", "apple", shared=True)]
    assert detect_gpus(mac(tmp_path, architecture="x86_64")) == []


@pytest.mark.parametrize("said", ["", "No devices were found\n", "a, b\n", ", , ,\n", "\ufffd\n,,,,,\n"])
def test_odd_answers_of_a_driver_are_no_gpus(tmp_path: Path, said: str) -> None:
    probe = recorded(tmp_path, outputs={"nvidia-smi": said, "nvidia-smi --query-gpu": said})
    assert detect_gpus(probe) == []
    assert cuda_version(probe) is None


def test_this_machine_can_be_asked() -> None:
    assert isinstance(detect_gpus(this_machine()), list)
