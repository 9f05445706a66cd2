"""What the machine is, as far as it decides which engines it can run."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lemonade_like.engine.backends.gpus import cuda_version, detect_gpus
from lemonade_like.engine.backends.memory import usable_ram
from lemonade_like.engine.backends.probe import Ram, guarded, this_machine

if TYPE_CHECKING:
    from lemonade_like.engine.backends.gpus import Gpu
    from lemonade_like.engine.backends.probe import Probe

_ARCHITECTURES: Final = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}
_SYSTEMS: Final = {"linux": "linux", "win32": "windows", "darwin": "macos"}

#: The instructions that llama.cpp has code of its own for, as Linux names them.
_FEATURES: Final = (
    *("sse4_2", "avx", "f16c", "fma", "avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8"),
    *("asimd", "asimddp", "i8mm", "sve", "sme"),
)
_VULKAN_LOADERS: Final = (
    *("usr/lib/*/libvulkan.so.1", "usr/lib64/libvulkan.so.1", "usr/lib/libvulkan.so.1"),
    *("usr/local/lib/libvulkan.so.1", "run/opengl-driver/lib/libvulkan.so.1"),
    "Windows/System32/vulkan-1.dll",
)


@dataclass(frozen=True)
class Cpu:
    """``cores`` are physical. ``features`` is empty where the system does not tell."""

    name: str
    cores: int | None
    threads: int | None
    features: tuple[str, ...]


@dataclass(frozen=True)
class Vulkan:
    """``devices`` are the GPUs that vulkaninfo names, ``None`` where it cannot be asked."""

    loader: bool
    devices: tuple[str, ...] | None


@dataclass(frozen=True)
class Machine:
    """``system`` and ``architecture`` are spelt as in the names of releases. ``cuda`` is what the driver can run.

    ``rocm`` is the version of the ROCm that is installed, empty where it does not say, ``None`` where there is none.
    """

    system: str
    architecture: str
    release: str
    cpu: Cpu
    ram: Ram
    gpus: tuple[Gpu, ...]
    vulkan: Vulkan
    cuda: tuple[int, int] | None
    rocm: str | None

    def has_gpu(self, vendor: str) -> bool:
        """Return whether a GPU of that vendor was found."""
        return any(gpu.vendor == vendor for gpu in self.gpus)


def detect_machine(probe: Probe | None = None) -> Machine:
    """Return what the machine is; blocking, for some seconds at the worst.

    What cannot be found out is left open: nothing that a driver or a tool does wrong gets out of here.
    """
    probe = probe or this_machine()
    # The programs that are asked may each take their time.
    with ThreadPoolExecutor(max_workers=4, thread_name_prefix="detect") as pool:
        gpus = pool.submit(guarded, lambda: tuple(detect_gpus(probe)), ())
        cuda = pool.submit(guarded, lambda: cuda_version(probe), None)
        vulkan = pool.submit(guarded, lambda: _vulkan(probe), Vulkan(False, None))
        rocm = pool.submit(guarded, lambda: _rocm(probe), None)
        return Machine(
            system=_SYSTEMS.get(probe.platform, probe.platform),
            architecture=_ARCHITECTURES.get(probe.architecture.lower(), probe.architecture),
            release=probe.release,
            cpu=guarded(lambda: _cpu(probe), Cpu(probe.architecture, None, None, ())),
            ram=guarded(lambda: usable_ram(probe), Ram(0, 0)),
            gpus=gpus.result(),
            cuda=cuda.result(),
            vulkan=vulkan.result(),
            rocm=rocm.result(),
        )


def _cpu(probe: Probe) -> Cpu:
    cores, threads = probe.cores()
    listed = [line.partition(":") for line in (probe.read("proc/cpuinfo") or "").splitlines()]
    # The same is said of every core.
    said = {key.strip().lower(): value.strip() for key, _, value in reversed(listed)}
    flags = set((said.get("flags") or said.get("features") or "").split())
    name = said.get("model name")
    if probe.platform == "darwin":
        name = (probe.run(["sysctl", "-n", "machdep.cpu.brand_string"]) or "").strip()
        told = probe.run(["sysctl", "-n", "machdep.cpu.features", "machdep.cpu.leaf7_features"]) or ""
        flags = {flag.lower().replace("avx1.0", "avx").replace("sse4.2", "sse4_2") for flag in told.split()}
    elif probe.platform == "win32":
        name = probe.environ.get("PROCESSOR_IDENTIFIER")
    name = name or probe.read("proc/device-tree/model") or probe.architecture
    return Cpu(name.strip("\0 "), cores, threads, tuple(feature for feature in _FEATURES if feature in flags))


def _vulkan(probe: Probe) -> Vulkan:
    devices = None
    if (said := probe.run(["vulkaninfo", "--summary"])) is not None:
        # llvmpipe is a device, too: it draws on the CPU.
        blocks = [dict(_pairs(block)) for block in said.split("\nGPU")[1:]]
        devices = tuple(
            block.get("deviceName", "?") for block in blocks if "DEVICE_TYPE_CPU" not in block.get("deviceType", "")
        )
    return Vulkan(devices is not None or any(probe.glob(pattern) for pattern in _VULKAN_LOADERS), devices)


def _pairs(block: str) -> list[tuple[str, str]]:
    split = [line.partition("=") for line in block.splitlines()]
    return [(key.strip(), value.strip()) for key, _, value in split]


def _rocm(probe: Probe) -> str | None:
    if probe.platform != "linux":
        return None
    installed = [*probe.glob("opt/rocm"), *probe.glob("opt/rocm-[0-9]*")]
    version = next((text for folder in installed if (text := _rocm_version(probe, folder.name))), "")
    if installed or probe.run(["amd-smi", "version"]) is not None or probe.run(["rocm-smi", "--version"]) is not None:
        return version
    return None


def _rocm_version(probe: Probe, folder: str) -> str:
    return (probe.read(f"opt/{folder}/.info/version") or "").partition("-")[0]
