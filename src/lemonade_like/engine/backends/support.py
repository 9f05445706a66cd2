"""Which engines can run on a machine, and which of them is the better one. Pure decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lemonade_like.engine.backends.machine import Machine

#: Backends that llama.cpp is released for, the better ones first: on a machine that can run several.
RELEASED: Final = ("metal", "cuda", "rocm", "vulkan", "cpu")

_SYSTEMS: Final = {"linux": "Linux", "windows": "Windows", "macos": "macOS"}
_NEEDS: Final = {
    "metal": frozenset({"macos"}),
    "cuda": frozenset({"linux", "windows"}),
    "rocm": frozenset({"linux", "windows"}),
    "vulkan": frozenset({"linux", "windows"}),
    "cpu": frozenset({"linux", "windows", "macos"}),
}


def no_release(backend: str, machine: Machine) -> str | None:
    """Return why there cannot be a release of ``backend`` for the machine, in one sentence; ``None`` if there can."""
    if machine.system not in _NEEDS[backend]:
        return f"It is for {' and '.join(_SYSTEMS[name] for name in sorted(_NEEDS[backend]))}."
    if machine.system == "macos":
        silicon = machine.architecture == "arm64"
        if backend == "metal" and not silicon:
            return "It needs a Mac with Apple silicon."
        if backend == "cpu" and silicon:
            return "For Apple silicon there is one build, metal, that computes on both."
    return None


def why_not(backend: str, machine: Machine) -> str | None:
    """Return why the machine cannot run ``backend`` well, in one sentence, or ``None`` if it looks as if it can."""
    if reason := no_release(backend, machine):
        return reason
    if backend == "cuda":
        return None if machine.has_gpu("nvidia") else "No NVIDIA GPU with a driver was found."
    if backend == "rocm":
        return _why_not_rocm(machine)
    if backend == "vulkan":
        return _why_not_vulkan(machine)
    return None


def rank(backend: str, machine: Machine) -> tuple[bool, int]:
    """Return a sort key: the greatest is the backend to take. What the machine cannot run comes after all it can."""
    return why_not(backend, machine) is None, -RELEASED.index(backend)


def _why_not_rocm(machine: Machine) -> str | None:
    if not machine.has_gpu("amd"):
        return "No AMD GPU was found."
    # Windows' releases bring their own; Linux' use what is installed.
    if machine.system == "linux" and machine.rocm is None:
        return "ROCm is not installed (there is no /opt/rocm, amd-smi or rocm-smi); vulkan runs on this GPU without it."
    return None


def _why_not_vulkan(machine: Machine) -> str | None:
    vulkan = machine.vulkan
    if not vulkan.loader:
        return "The Vulkan loader was not found (Debian and Ubuntu: apt install libvulkan1 mesa-vulkan-drivers)."
    if vulkan.devices or (vulkan.devices is None and machine.gpus):
        return None
    return "Vulkan sees no GPU."
