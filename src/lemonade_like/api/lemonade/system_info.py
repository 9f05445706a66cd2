"""``GET /v1/system-info``: the machine, its memory and GPUs, and what models can run on.

What Lemonade's clients read is there under the same names (``OS Version``, ``devices``, ``recipes``); the rest says
the same, and more, in bytes and lists.
"""

from __future__ import annotations

import platform
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, Request, Response

from lemonade_like.api.json_answer import json_answer
from lemonade_like.api.lemonade.answers import SystemInfo
from lemonade_like.api.openapi import answers
from lemonade_like.api.services import services

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lemonade_like.engine.backends.gpus import Gpu
    from lemonade_like.engine.backends.report import SystemReport
    from lemonade_like.engine.backends.states import BackendState

router = APIRouter(tags=["system"])

_GIB: Final = 1024**3
#: On which devices of this machine a backend computes, by Lemonade's names for them.
_VENDORS: Final = {
    "cuda": ("nvidia",),
    "rocm": ("amd",),
    "metal": ("apple",),
    "vulkan": ("nvidia", "amd", "intel", "other"),
}


@router.get(
    "/system-info",
    response_model=None,
    summary="Tell what the machine is, and what models can run on",
    responses=answers(SystemInfo),
)
async def get_system_info(request: Request) -> Response:
    """Tell the machine's processor, memory and GPUs, and each backend's state; detected at most about a minute ago."""
    rooms = services(request)
    said = describe(await rooms.system.report(), rooms.version)
    return json_answer(said)


def describe(report: SystemReport, version: str) -> dict[str, Any]:
    """Return the answer's body."""
    machine, storage = report.machine, report.storage
    cpu = asdict(machine.cpu)
    return {
        "version": version,
        "python": platform.python_version(),
        "OS Version": platform.platform(),
        "Processor": machine.cpu.name,
        "Physical Memory": f"{report.ram.total / _GIB:.1f} GB",
        "os": {"system": machine.system, "release": machine.release, "platform": sys.platform},
        "architecture": machine.architecture,
        "cpu": cpu,
        "memory": {"total_bytes": report.ram.total, "available_bytes": report.ram.available},
        "gpus": [_gpu(gpu) for gpu in machine.gpus],
        "vulkan": {"loader": machine.vulkan.loader, "devices": machine.vulkan.devices},
        "cuda": None if machine.cuda is None else ".".join(map(str, machine.cuda)),
        "rocm": machine.rocm,
        "model_storage": None
        if storage is None
        else {
            "path": storage.path,
            "total_bytes": storage.total,
            "free_bytes": storage.free,
            "used_bytes": storage.total - storage.free,
        },
        "devices": {
            "cpu": {
                "name": cpu["name"],
                "cores": cpu["cores"],
                "threads": cpu["threads"],
                "available": True,
                "family": machine.architecture,
            },
            **_gpus_by_vendor(machine.gpus),
        },
        "recipes": {"llamacpp": _recipe(report)},
        "backends": [asdict(state) for state in report.states],
    }


def _gpu(gpu: Gpu) -> dict[str, Any]:
    return {
        "name": gpu.name,
        "vendor": gpu.vendor,
        "memory_total_bytes": gpu.memory_total,
        "memory_free_bytes": gpu.memory_free,
        "shared_memory": gpu.shared,
        "driver": gpu.driver,
    }


def _gpus_by_vendor(gpus: tuple[Gpu, ...]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for gpu in gpus:
        vram = None if gpu.memory_total is None else round(gpu.memory_total / _GIB, 1)
        one = {"name": gpu.name, "vram_gb": vram, "driver_version": gpu.driver, "available": True}
        found.setdefault(f"{gpu.vendor}_gpu", []).append(one)
    return found


def _recipe(report: SystemReport) -> dict[str, Any]:
    vendors = [gpu.vendor for gpu in report.machine.gpus]
    return {
        "default_backend": None if report.used is None else report.used.backend,
        "backends": {state.name: _backend(state, vendors) for state in report.states},
    }


def _backend(state: BackendState, vendors: Sequence[str]) -> dict[str, Any]:
    gpus = list(dict.fromkeys(f"{vendor}_gpu" for vendor in vendors if vendor in _VENDORS.get(state.name, ())))
    on_cpu = ["cpu"] if state.name in ("cpu", "bundled", "system", "vulkan", "metal") else []
    return {
        "devices": [] if state.state == "unsupported" else on_cpu + gpus,
        "state": state.state,
        "message": state.message,
        "action": state.action,
        "version": state.version,
    }
