"""The machine's GPUs, as their drivers describe them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lemonade_like.engine.backends.probe import Probe

Vendor = Literal["nvidia", "amd", "intel", "apple", "other"]

_MIB: Final = 1024 * 1024
_PCI_VENDORS: Final[dict[int, Vendor]] = {0x10DE: "nvidia", 0x1002: "amd", 0x8086: "intel"}
_SPOKEN: Final[dict[Vendor, str]] = {"nvidia": "NVIDIA", "amd": "AMD", "intel": "Intel"}
_WINDOWS_WORDS: Final[dict[str, Vendor]] = {"nvidia": "nvidia", "amd": "amd", "radeon": "amd", "intel": "intel"}
_PCI_NAMES: Final = ("usr/share/misc/pci.ids", "usr/share/hwdata/pci.ids")

_NVIDIA_QUERY: Final = (
    "nvidia-smi",
    "--query-gpu=name,memory.total,memory.free,driver_version",
    "--format=csv,noheader,nounits",
)
_WINDOWS_QUERY: Final = (
    "powershell",
    "-NoProfile",
    "-NonInteractive",
    "-Command",
    "Get-CimInstance Win32_VideoController | Select-Object Name,DriverVersion | ConvertTo-Json -Compress",
)
_CUDA_VERSION: Final = re.compile(r"CUDA(?: UMD)? Version\s*:\s*(\d+)\.(\d+)")


@dataclass(frozen=True)
class Gpu:
    """One GPU. Memory is in bytes, ``None`` where the driver does not say; ``shared`` means that it uses the RAM."""

    name: str
    vendor: Vendor
    memory_total: int | None = None
    memory_free: int | None = None
    shared: bool = False
    driver: str | None = None


def detect_gpus(probe: Probe) -> list[Gpu]:
    """Return the GPUs that can be found, NVIDIA's first; none where nothing says that there is one."""
    if probe.platform == "darwin":
        return _apple(probe)
    nvidia = _from_nvidia_smi(probe) or _from_nvidia_driver(probe)
    others = _from_windows(probe) if probe.platform == "win32" else _from_drm(probe)
    # What NVIDIA's own driver says is better than what the kernel knows of the same card.
    return nvidia + [gpu for gpu in others if not (nvidia and gpu.vendor == "nvidia")]


def gpus_with_memory(probe: Probe) -> list[Gpu]:
    """Return those that have memory of their own and say how much; asks only who knows of memory."""
    nvidia = _from_nvidia_smi(probe)
    others = _from_drm(probe) if probe.platform == "linux" else []
    return [gpu for gpu in nvidia + others if gpu.memory_total is not None and not gpu.shared]


def cuda_version(probe: Probe) -> tuple[int, int] | None:
    """Return the newest CUDA that the installed driver can run, such as (12, 8)."""
    found = _CUDA_VERSION.search(probe.run(["nvidia-smi"]) or "")
    return (int(found[1]), int(found[2])) if found else None


def _from_nvidia_smi(probe: Probe) -> list[Gpu]:
    gpus = []
    for line in (probe.run(_NVIDIA_QUERY) or "").splitlines():
        fields = [field.strip() for field in line.split(",")]
        if len(fields) != 4 or not fields[0]:
            continue
        name, total, free, driver = fields
        # One that computes in the machine's own memory says [N/A].
        gpus.append(Gpu(name, "nvidia", _mebibytes(total), _mebibytes(free), _mebibytes(total) is None, driver))
    return gpus


def _mebibytes(text: str) -> int | None:
    return int(text) * _MIB if text.isdecimal() else None


def _from_nvidia_driver(probe: Probe) -> list[Gpu]:
    """The driver without its tools: names only."""
    texts = [
        probe.read(str(path.relative_to(probe.root))) for path in probe.glob("proc/driver/nvidia/gpus/*/information")
    ]
    names = [match[1] for text in texts if (match := re.search(r"^Model:\s*(.+)$", text or "", re.MULTILINE))]
    version = re.search(r"Kernel Module\s+(?:for \S+\s+)?([\d.]+)", probe.read("proc/driver/nvidia/version") or "")
    return [Gpu(name.strip(), "nvidia", driver=version[1] if version else None) for name in names]


def _from_drm(probe: Probe) -> list[Gpu]:
    return [gpu for card in probe.glob("sys/class/drm/card[0-9]*") for gpu in _drm_card(probe, card)]


def _drm_card(probe: Probe, card: Path) -> Iterator[Gpu]:
    # card0-HDMI-A-1 is a plug of card0.
    if "-" in card.name:
        return
    device = f"{card.relative_to(probe.root).as_posix()}/device"
    vendor_id, device_id = probe.number(f"{device}/vendor"), probe.number(f"{device}/device")
    vendor = _PCI_VENDORS.get(vendor_id or 0)
    # Screens of virtual machines and servers' management chips have a card, too, and compute nothing.
    if vendor is None or vendor_id is None:
        return
    total = probe.number(f"{device}/mem_info_vram_total")
    used = probe.number(f"{device}/mem_info_vram_used")
    name = probe.read(f"{device}/product_name") or _pci_name(probe, vendor_id, device_id) or f"{device_id or 0:#06x}"
    yield Gpu(
        name=f"{_SPOKEN[vendor]} {name}",
        vendor=vendor,
        memory_total=total,
        memory_free=None if total is None or used is None else max(0, total - used),
        # Intel's say nothing of memory; nearly all of them share it.
        shared=total is None and vendor == "intel",
    )


def _pci_name(probe: Probe, vendor: int, device: int | None) -> str | None:
    """Look the device up in the list of all PCI devices, where the system has it."""
    listed = next((text for path in _PCI_NAMES if (text := probe.read(path))), "")
    of_vendor = re.search(rf"^{vendor:04x}  .*\n((?:[\t#].*\n?|\n)*)", listed, re.MULTILINE)
    found = re.search(rf"^\t{device:04x}  (.+)$", of_vendor[1], re.MULTILINE) if of_vendor and device else None
    return found[1].strip() if found else None


def _from_windows(probe: Probe) -> list[Gpu]:
    try:
        said: Any = json.loads(probe.run(_WINDOWS_QUERY) or "[]")
    except ValueError:
        return []
    gpus = []
    for card in said if isinstance(said, list) else [said]:
        name = str(card.get("Name") or "") if isinstance(card, dict) else ""
        vendor = next((vendor for word, vendor in _WINDOWS_WORDS.items() if word in name.lower()), None)
        if vendor is not None:
            gpus.append(Gpu(name, vendor, driver=str(card.get("DriverVersion") or "") or None))
    return gpus


def _apple(probe: Probe) -> list[Gpu]:
    if probe.architecture != "arm64":
        return []
    chip = (probe.run(["sysctl", "-n", "machdep.cpu.brand_string"]) or "").strip() or "Apple silicon"
    return [Gpu(f"{chip} GPU", "apple", shared=True)]
