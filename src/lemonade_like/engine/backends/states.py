"""How each backend stands on this machine, for people and programs to read."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from lemonade_like.engine.backends.installed import installed_engine, is_newer, known_latest
from lemonade_like.engine.backends.support import RELEASED, why_not
from lemonade_like.engine.find import BUNDLED, INSTALL_BUNDLED, SYSTEM, bundled_version, find_engine
from lemonade_like.engine.spec import child_environment
from lemonade_like.errors import EngineNotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from lemonade_like.engine.backends.machine import Machine
    from lemonade_like.engine.find import FoundEngine

State = Literal["unsupported", "installable", "installed", "update_available"]

_VERSION: Final = re.compile(r"^version:\s*(.+)$", re.MULTILINE)
_ASK_SECONDS: Final = 10.0


@dataclass(frozen=True)
class BackendState:
    """``message`` says in a sentence why, where the state leaves that open; ``action`` is a command that goes on.

    ``path`` is the executable. ``used`` says whether this is what models run on with the present settings.
    """

    name: str
    state: State
    message: str = ""
    action: str = ""
    version: str | None = None
    latest: str | None = None
    path: str | None = None
    used: bool = False


@dataclass(frozen=True)
class Engines:
    """Where engines are looked for: as the settings say, with what the tests put in the place of the real machine."""

    explicit: str | None
    backend: str
    folder: Path
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    which: Callable[..., str | None] = shutil.which
    bundled: Callable[[], str | None] = bundled_version

    def states(self, machine: Machine, ask: Callable[[Sequence[str]], str | None] | None = None) -> list[BackendState]:
        """Return all backends, the better ones first; blocking. ``ask`` returns the version of an executable."""
        used = self.used(machine)
        ask = ask or (lambda command: engine_version(command, self.environ))
        released = [self._released(name, machine, used, ask) for name in RELEASED]
        return [*released, self._system(used, ask), self._bundled(used)]

    def used(self, machine: Machine) -> FoundEngine | None:
        """Return what models run on, or ``None`` where there is nothing to run them on."""
        try:
            return find_engine(
                self.explicit,
                self.backend,
                environ=self.environ,
                which=self.which,
                installed_dir=self.folder,
                bundled_available=lambda: self.bundled() is not None,
                machine=lambda: machine,
            )
        except EngineNotFound:
            return None

    def _released(
        self, name: str, machine: Machine, used: FoundEngine | None, ask: Callable[[Sequence[str]], str | None]
    ) -> BackendState:
        reason = why_not(name, machine)
        install = f"lemonade-like backends install {name}"
        engine = installed_engine(self.folder, name)
        if engine is None:
            if reason is None:
                return BackendState(name, "installable", "Not installed.", install)
            return BackendState(name, "unsupported", reason)
        latest = known_latest(self.folder) if engine.manifest else None
        update = latest is not None and engine.version is not None and is_newer(latest, engine.version)
        path = str(engine.executable)
        return BackendState(
            name,
            "update_available" if update else "installed",
            # It was installed all the same, and may run on the CPU.
            message=reason or (f"{latest} is there." if update else ""),
            action=install if update else "",
            version=engine.version or ask([path]),
            latest=latest,
            path=path,
            used=_is_used(used, path),
        )

    def _system(self, used: FoundEngine | None, ask: Callable[[Sequence[str]], str | None]) -> BackendState:
        named = used.command[0] if used and used.source == "explicit" else None
        path = named or self.which("llama-server", path=self.environ.get("PATH"))
        if path is None:
            return BackendState(SYSTEM, "unsupported", "There is no llama-server on PATH.")
        return BackendState(SYSTEM, "installed", version=ask([path]), path=path, used=_is_used(used, path))

    def _bundled(self, used: FoundEngine | None) -> BackendState:
        version = self.bundled()
        if version is None:
            return BackendState(BUNDLED, "installable", "xllamacpp is not installed.", INSTALL_BUNDLED)
        is_used = used is not None and used.backend == BUNDLED
        return BackendState(BUNDLED, "installed", version=f"xllamacpp {version}", used=is_used)


def engine_version(command: Sequence[str], environ: Mapping[str, str] = os.environ) -> str | None:
    """Return what a llama-server says of its version, such as ``6123 (0123abc)``; ``None`` where it does not."""
    try:
        done = subprocess.run(
            [*command, "--version"],
            env=child_environment(environ, ""),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_ASK_SECONDS,
            check=False,
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    said = _VERSION.search(done.stdout.decode(errors="replace"))
    return said[1].strip()[:80] if said else None


def _is_used(used: FoundEngine | None, path: str) -> bool:
    return used is not None and used.backend != BUNDLED and used.command[0] == path
