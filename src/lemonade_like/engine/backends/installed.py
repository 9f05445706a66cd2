"""What is installed, and where: ``FOLDER/BACKEND/manifest.json`` names the engine that counts.

Replacing that one file is what installs an engine and what removes it: an engine's own folder is whole before it is
named, and is deleted when it is no longer. Engines that somebody put there by hand have no manifest and count too.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from lemonade_like.engine.backends.support import RELEASED

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MANIFEST: Final = "manifest.json"
EXECUTABLES: Final = ("llama-server", "llama-server.exe")

#: The latest release that was heard of, so that those who may not ask the network know of updates.
_LATEST: Final = ".latest.json"


@dataclass(frozen=True)
class InstalledAsset:
    """``sha256`` is of what was unpacked; ``verified`` says whether the release published the same."""

    name: str
    sha256: str
    verified: bool


@dataclass(frozen=True)
class Manifest:
    """``executable`` is relative to the backend's folder. ``reported`` is what the engine says of its version."""

    version: str
    executable: str
    assets: tuple[InstalledAsset, ...]
    source: str
    installed_at: str
    reported: str


@dataclass(frozen=True)
class Installed:
    """An engine that can be run. ``manifest`` is ``None`` if it was put there by hand."""

    backend: str
    executable: Path
    manifest: Manifest | None

    @property
    def version(self) -> str | None:
        """The release that it is of, where that is known."""
        return self.manifest.version if self.manifest else None


def installed_engines(folder: Path | None) -> list[Installed]:
    """Return the engines below ``folder``, one for each backend."""
    found = [installed_engine(folder, backend) for backend in RELEASED]
    return [engine for engine in found if engine is not None]


def installed_engine(folder: Path | None, backend: str) -> Installed | None:
    """Return the engine of one backend: the one that its manifest names, else the newest that lies in its folder."""
    if folder is None:
        return None
    place = folder / backend
    if manifest := read_manifest(place):
        executable = place / manifest.executable
        return Installed(backend, executable.absolute(), manifest) if _can_run(executable) else None
    executables = list(executables_below(place))
    if not executables:
        return None
    newest = max(executables, key=lambda file: (file.stat().st_mtime, str(file)))
    return Installed(backend, newest.absolute(), None)


def executables_below(folder: Path) -> Iterable[Path]:
    """Return every llama-server in the folder, at any depth."""
    return [file for name in EXECUTABLES for file in folder.rglob(name) if _can_run(file)]


def read_manifest(place: Path) -> Manifest | None:
    """Return the manifest in a backend's folder, or ``None`` where there is none that can be read."""
    try:
        data: Any = json.loads((place / MANIFEST).read_text(encoding="utf-8"))
        assets = tuple(InstalledAsset(**asset) for asset in data.pop("assets"))
        manifest = Manifest(**data, assets=assets)
        # Whatever it says, it names something in its own folder.
        return manifest if (place / manifest.executable).resolve().is_relative_to(place.resolve()) else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def write_manifest(place: Path, manifest: Manifest) -> None:
    """Put the manifest in place, in one step."""
    place.mkdir(parents=True, exist_ok=True)
    _replace(place / MANIFEST, asdict(manifest))


def remember_latest(folder: Path, tag: str) -> None:
    """Write down the latest release, for ``known_latest``."""
    _replace(folder / _LATEST, {"tag": tag})


def known_latest(folder: Path) -> str | None:
    """Return the latest release that was heard of."""
    try:
        tag = json.loads((folder / _LATEST).read_text(encoding="utf-8"))["tag"]
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return tag if isinstance(tag, str) else None


def is_newer(tag: str, than: str) -> bool:
    """Return whether one release is newer than another; builds are numbered, of others only equality is known."""
    numbers = [int(name[1:]) if name[:1] == "b" and name[1:].isdecimal() else None for name in (tag, than)]
    if numbers[0] is None or numbers[1] is None:
        return tag != than
    return numbers[0] > numbers[1]


def _can_run(file: Path) -> bool:
    return file.is_file() and os.access(file, os.X_OK)


def _replace(path: Path, data: dict[str, Any]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    temporary.replace(path)
