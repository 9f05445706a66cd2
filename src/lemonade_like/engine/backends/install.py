"""Installs a released engine: fetched, checked, unpacked, tried, and only then put in the place of the one before."""

from __future__ import annotations

import contextlib
import logging
import re
import shutil
import subprocess
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import filelock

from lemonade_like.engine.backends.assets import BackendError, BackendNotInstalled, NoSuchBuild, choose_assets
from lemonade_like.engine.backends.installed import (
    MANIFEST,
    Installed,
    InstalledAsset,
    Manifest,
    executables_below,
    installed_engine,
    remember_latest,
    write_manifest,
)
from lemonade_like.engine.backends.support import RELEASED, no_release
from lemonade_like.engine.backends.unpack import add_beside, unpack
from lemonade_like.engine.spec import child_environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lemonade_like.engine.backends.machine import Machine
    from lemonade_like.engine.backends.releases import Progress, Release, Releases

_logger = logging.getLogger("lemonade_like.engine")

#: A GPU's driver may take long to wake, and a virus scanner to look at everything.
_TRIAL_SECONDS: Final = 120.0
#: What an installed engine's folder is called: its release, and something that no other has.
_HOME: Final = re.compile(r".+-[0-9a-f]{8}")


class BackendBusy(BackendError):
    """Somebody else is installing or removing the same backend."""

    status = 409
    type = "invalid_request_error"
    default_code = "backend_busy"


@dataclass(frozen=True)
class Installer:
    """Installs below ``folder``, from ``releases``, what fits ``machine``. One at a time for each backend."""

    folder: Path
    releases: Releases
    machine: Machine
    source: str
    environ: Mapping[str, str]

    def install(
        self,
        backend: str,
        version: str | None = None,
        *,
        allow_unverified: bool = False,
        progress: Progress = lambda name, done, total: None,
    ) -> Installed:
        """Return the engine when it has been tried. The one before is used until then, and afterwards if this fails.

        ``version`` is a release's tag, ``None`` the latest. Raises ``BackendError``; ``OSError`` if the disk fails.
        """
        _check_name(backend)
        if reason := no_release(backend, self.machine):
            raise NoSuchBuild(f"There is no {backend} engine for this machine. {reason}")
        place = self.folder / backend
        with self._locked(backend), self._workshop(backend) as workshop:
            release = self.releases.find(version, allow_unverified=allow_unverified)
            assets = self._unpack(backend, release, workshop, allow_unverified=allow_unverified, progress=progress)
            executable, reported = self._try(workshop / "engine", release.tag)
            before = installed_engine(self.folder, backend)
            # Never the name of one that was there: engines may still run from it.
            home = place / f"{release.tag}-{uuid.uuid4().hex[:8]}"
            place.mkdir(parents=True, exist_ok=True)
            (workshop / "engine").rename(home)
            manifest = Manifest(
                version=release.tag,
                executable=(home / executable).relative_to(place).as_posix(),
                assets=assets,
                source=self.source,
                installed_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                reported=reported,
            )
            write_manifest(place, manifest)
            if version is None:
                remember_latest(self.folder, release.tag)
            # A server may have to start again what it has started from the one before.
            kept = {home.name} | ({before.executable.relative_to(place.absolute()).parts[0]} if before else set())
            _delete_older(place, kept)
        return Installed(backend, (home / executable).absolute(), manifest)

    def uninstall(self, backend: str) -> None:
        """Remove what ``install`` has installed. Raises ``BackendError`` if there is nothing of it."""
        _check_name(backend)
        place = self.folder / backend
        with self._locked(backend):
            if not (place / MANIFEST).exists():
                found = installed_engine(self.folder, backend)
                if found:
                    raise BackendError(f"{found.executable} was not installed by this program; delete it yourself.")
                raise BackendNotInstalled(
                    f"There is no {backend} engine in {self.folder}. `lemonade-like backends` lists what is installed.",
                    param="backend",
                )
            (place / MANIFEST).unlink()
            _delete_older(place, set())
            with contextlib.suppress(OSError):
                place.rmdir()

    @contextlib.contextmanager
    def _locked(self, backend: str) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(self.folder / f".{backend}.lock")
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            raise BackendBusy(f"Somebody else is installing or removing {backend}; wait for it.") from None
        try:
            yield
        finally:
            lock.release()

    @contextlib.contextmanager
    def _workshop(self, backend: str) -> Iterator[Path]:
        """Lend a folder on the disk that the engine will be on; what a killed install left there goes, too."""
        for left in self.folder.glob(f".{backend}-*"):
            shutil.rmtree(left, ignore_errors=True)
        workshop = Path(tempfile.mkdtemp(prefix=f".{backend}-", dir=self.folder))
        try:
            yield workshop
        finally:
            shutil.rmtree(workshop, ignore_errors=True)

    def _unpack(
        self, backend: str, release: Release, workshop: Path, *, allow_unverified: bool, progress: Progress
    ) -> tuple[InstalledAsset, ...]:
        machine = self.machine
        names = choose_assets(
            [asset.name for asset in release.assets],
            backend,
            system=machine.system,
            architecture=machine.architecture,
            cuda=machine.cuda,
        )
        engine = workshop / "engine"
        unpacked: list[InstalledAsset] = []
        for number, name in enumerate(names):
            archive = workshop / name
            asset = release.asset(name)
            sha256 = self.releases.fetch(asset, archive, allow_unverified=allow_unverified, progress=progress)
            unpacked.append(InstalledAsset(name, sha256, verified=asset.sha256 is not None))
            folder = engine if number == 0 else workshop / f"more-{number}"
            folder.mkdir()
            unpack(archive, folder)
            archive.unlink()
            if number > 0:
                add_beside(folder, _executable(engine, release.tag).parent)
        return tuple(unpacked)

    def _try(self, engine: Path, tag: str) -> tuple[Path, str]:
        """Return the executable, relative to ``engine``, and what it says of its version."""
        executable = _executable(engine, tag)
        try:
            done = subprocess.run(
                [str(executable), "--version"],
                env=child_environment(self.environ, ""),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_TRIAL_SECONDS,
                check=False,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise BackendError(f"The engine of {tag} does not run here: {error}\nNothing was changed.") from error
        said = [line for line in done.stdout.decode(errors="replace").splitlines() if line.strip()]
        if done.returncode != 0:
            last = said[-1][:300] if said else "it says nothing"
            raise BackendError(
                f"The engine of {tag} does not run here (exit code {done.returncode}): {last}\n"
                "Nothing was changed. Another --version may run."
            )
        reported = next((line for line in said if line.startswith("version")), said[0] if said else "")
        return executable.relative_to(engine), reported[:200]


def _check_name(backend: str) -> None:
    if backend not in RELEASED:
        raise BackendError(f"{backend!r} cannot be installed or removed.\nIt must be one of {', '.join(RELEASED)}.")


def _executable(engine: Path, tag: str) -> Path:
    found = sorted(executables_below(engine), key=lambda file: (len(file.parts), str(file)))
    if not found:
        raise BackendError(f"The archive of {tag} holds no llama-server.\nNothing was changed.")
    return found[0]


def _delete_older(place: Path, kept: set[str]) -> None:
    """Delete engines that were installed before. On Windows one that runs stays until the next install."""
    for entry in place.iterdir():
        if entry.is_dir() and _HOME.fullmatch(entry.name) and entry.name not in kept:
            shutil.rmtree(entry, ignore_errors=True)
