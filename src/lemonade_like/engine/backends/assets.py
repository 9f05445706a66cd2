"""Which files of a llama.cpp release make an engine for a machine, read out of their names. Pure decisions.

Names are not fixed anywhere, and have changed often: ``.zip`` became ``.tar.gz``, ``hip-radeon`` became ``rocm-10.0``,
``cuda-cu12.2.0`` became ``cuda-12.4``. So a name is taken apart into words, and what the words say is compared.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lemonade_like.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Iterable

_NAME: Final = re.compile(r"(?P<cudart>cudart-)?llama-(?:.+?-)?bin-(?P<words>.+?)\.(?P<kind>zip|tar\.gz|tgz|tar\.xz)")
_SYSTEMS: Final = {
    **{"ubuntu": "linux", "linux": "linux", "win": "windows", "windows": "windows"},
    **{"macos": "macos", "darwin": "macos"},
}
_ARCHITECTURES: Final = {"x64": "x64", "x86_64": "x64", "amd64": "x64", "arm64": "arm64", "aarch64": "arm64"}
_BACKENDS: Final = {"cpu": "cpu", "vulkan": "vulkan", "cuda": "cuda", "rocm": "rocm", "hip": "rocm", "metal": "metal"}
_SHOWN: Final = 24


class BackendError(ServerError):
    """A backend could not be installed or removed; three lines at most."""

    default_code = "backend_error"


class BackendNotInstalled(BackendError):
    """There is nothing of that backend to be removed."""

    status = 404
    type = "invalid_request_error"
    default_code = "backend_not_installed"


class NoSuchBuild(BackendError):
    """Nobody builds that backend for this machine."""

    status = 404
    type = "invalid_request_error"
    default_code = "build_not_found"


class NoSuchVersion(BackendError):
    """There is no release of llama.cpp of that name."""

    status = 404
    type = "invalid_request_error"
    default_code = "version_not_found"


class ReleasesFailed(BackendError):
    """Where releases come from cannot be reached, or answers what is none, or what nobody should trust."""

    status = 502
    default_code = "releases_failed"


@dataclass(frozen=True)
class _Named:
    """What a file's name says. ``version`` is that of CUDA or ROCm, as numbers."""

    name: str
    runtime: bool
    system: str
    architecture: str
    backend: str
    version: tuple[int, ...]
    is_tar: bool


def choose_assets(
    names: Iterable[str], backend: str, *, system: str, architecture: str, cuda: tuple[int, int] | None = None
) -> list[str]:
    """Return the archives to unpack into one folder: the engine's, then CUDA's libraries where it needs them.

    ``cuda`` is the newest version that the driver runs: a newer build of the same major version runs too, one of a
    newer major version does not. Where the version is not known the oldest build is taken. Raises ``BackendError``,
    which lists what there is.
    """
    everything = list(names)
    here = [
        named
        for name in everything
        if (named := _read(name)) and (named.system, named.architecture) == (system, architecture)
    ]
    fitting = [named for named in here if named.backend == backend and not named.runtime]
    if backend == "cuda":
        fitting = _for_driver(fitting, cuda)
    if not fitting:
        wanted = f"{backend} on {system} {architecture}"
        driver = f" with a driver for CUDA {cuda[0]}.{cuda[1]}" if backend == "cuda" and cuda else ""
        raise NoSuchBuild(f"The release has no build for {wanted}{driver}.\nIt has: {_list(everything)}.")
    # A tar keeps links and modes; of ROCm the newest.
    chosen = max(fitting, key=lambda named: (named.version, named.is_tar))
    if backend != "cuda":
        return [chosen.name]
    runtimes = [named for named in here if named.runtime and named.version == chosen.version]
    if not runtimes:
        # Without them the engine starts all the same, and computes on the CPU.
        raise NoSuchBuild(f"The release lacks CUDA's libraries for {chosen.name}.\nIt has: {_list(everything)}.")
    return [chosen.name, max(runtimes, key=lambda named: named.is_tar).name]


def has_engines(names: Iterable[str]) -> bool:
    """Return whether any of the files is an engine's archive."""
    return any(named is not None and not named.runtime for named in map(_read, names))


def _read(name: str) -> _Named | None:
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    first, *middle, last = match["words"].split("-") if "-" in match["words"] else ("", "")
    system, architecture = _SYSTEMS.get(first), _ARCHITECTURES.get(last)
    if system is None or architecture is None:
        return None
    # A name that says no backend is of the platform's plain one.
    plain = "metal" if (system, architecture) == ("macos", "arm64") else "cpu"
    backend = _BACKENDS.get(middle[0]) if middle else plain
    if backend is None:
        return None
    version = re.search(r"\d+(?:\.\d+)*", "-".join(middle[1:]))
    return _Named(
        name=name,
        runtime=bool(match["cudart"]),
        system=system,
        architecture=architecture,
        backend=backend,
        version=tuple(int(part) for part in version[0].split(".")) if version else (),
        is_tar=match["kind"] != "zip",
    )


def _for_driver(builds: list[_Named], cuda: tuple[int, int] | None) -> list[_Named]:
    if not builds:
        return []
    if cuda is None:
        oldest = min(named.version for named in builds)
        return [named for named in builds if named.version == oldest]
    exact = [named for named in builds if named.version[:2] <= cuda]
    newest = max((named.version for named in exact), default=None)
    if newest is not None and newest[:1] == cuda[:1]:
        return [named for named in exact if named.version == newest]
    # Within a major version an older driver runs newer builds.
    return [named for named in builds if named.version[:1] == cuda[:1]] or [
        named for named in exact if named.version == newest
    ]


def _list(names: list[str]) -> str:
    shown = sorted(names)
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return (", ".join(shown[:_SHOWN]) or "nothing") + more
