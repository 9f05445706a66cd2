"""Machines as they describe themselves: files below a folder, and what their programs printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lemonade_like.engine.backends.probe import Probe, Ram

GB = 1024**3
RAM = Ram(32 * GB, 20 * GB)

NVIDIA_SMI = """\
Tue Nov 24 10:00:00 2026
+-----------------------------------------------------------------------------------------+
| NVIDIA-SMI 570.133.20             Driver Version: 570.133.20     CUDA Version: 12.8     |
|-----------------------------------------+------------------------+----------------------+
"""
NVIDIA_QUERY = "NVIDIA GeForce RTX 4090, 24564, 23500, 570.133.20\nNVIDIA GeForce RTX 3060, 12288, 12000, 570.133.20\n"

CPUINFO = """\
processor	: 0
model name	: AMD Ryzen 9 7950X 16-Core Processor
flags		: fpu sse4_2 avx f16c fma avx2 avx512f avx512_vnni avx512_bf16
"""

PCI_IDS = """\
# a comment
1002  Advanced Micro Devices, Inc. [AMD/ATI]
	73bf  Navi 21 [Radeon RX 6800/6800 XT / 6900 XT]
		1002 0e3a  a card
	744c  Navi 31 [Radeon RX 7900 XT/7900 XTX/7900 GRE/7900M]
8086  Intel Corporation
	744c  Something of Intel's
"""

VULKANINFO = """\
==========
VULKANINFO
==========
Devices:
========
GPU0:
	apiVersion         = 1.4.303
	deviceType         = PHYSICAL_DEVICE_TYPE_DISCRETE_GPU
	deviceName         = AMD Radeon RX 7900 XTX (RADV NAVI31)
GPU1:
	deviceType         = PHYSICAL_DEVICE_TYPE_CPU
	deviceName         = llvmpipe (LLVM 19.1.1, 256 bits)
"""


def recorded(
    folder: Path,
    *,
    platform: str = "linux",
    architecture: str = "x86_64",
    files: Mapping[str, str] | None = None,
    outputs: Mapping[str, str] | None = None,
    ram: Ram = RAM,
    environ: Mapping[str, str] | None = None,
) -> Probe:
    """A machine with these files; ``outputs`` is by the beginning of the command, the longest that fits first."""
    for name, text in (files or {}).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def run(command: Sequence[str]) -> str | None:
        line = " ".join(command)
        fitting = [start for start in outputs or {} if line.startswith(start)]
        return (outputs or {})[max(fitting, key=len)] if fitting else None

    return Probe(
        platform=platform,
        architecture=architecture,
        release="6.8.0",
        root=folder,
        environ=environ or {},
        run=run,
        ram=lambda: ram,
        cores=lambda: (16, 32),
    )


def nvidia(folder: Path, **more: Any) -> Probe:
    """A workstation with two NVIDIA cards and a driver for CUDA 12.8."""
    outputs = {"nvidia-smi": NVIDIA_SMI, "nvidia-smi --query-gpu": NVIDIA_QUERY}
    return recorded(folder, files={"proc/cpuinfo": CPUINFO}, outputs=outputs, **more)


def amd(folder: Path, *, rocm: bool = True, **more: Any) -> Probe:
    """A workstation with an AMD card, the Vulkan loader and, if wanted, ROCm."""
    device = "sys/class/drm/card1/device"
    files = {
        "proc/cpuinfo": CPUINFO,
        f"{device}/vendor": "0x1002\n",
        f"{device}/device": "0x744c\n",
        f"{device}/mem_info_vram_total": f"{24 * GB}\n",
        f"{device}/mem_info_vram_used": f"{GB}\n",
        "sys/class/drm/card1-DP-1/status": "connected\n",
        "usr/share/misc/pci.ids": PCI_IDS,
        "usr/lib/x86_64-linux-gnu/libvulkan.so.1": "",
    }
    if rocm:
        files |= {"opt/rocm/.info/version": "6.4.1-83\n", "dev/kfd": ""}
    return recorded(folder, files=files, outputs={"vulkaninfo": VULKANINFO}, **more)


def mac(folder: Path, *, architecture: str = "arm64", **more: Any) -> Probe:
    """A Mac."""
    outputs = {
        "sysctl -n machdep.cpu.brand_string": "Apple M2 Pro\n" if architecture == "arm64" else "Intel(R) Core(TM) i7\n"
    }
    return recorded(folder, platform="darwin", architecture=architecture, outputs=outputs, **more)
