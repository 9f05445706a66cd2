"""Finds the engine: the one that was named, else an installed one, else llama-server on PATH, else the bundled."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lemonade_like.engine.backends.installed import installed_engine, installed_engines
from lemonade_like.engine.backends.machine import detect_machine
from lemonade_like.engine.backends.support import rank
from lemonade_like.errors import EngineNotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lemonade_like.engine.backends.machine import Machine

#: Backends that are not folders of installed engines.
AUTO, BUNDLED, SYSTEM = "auto", "bundled", "system"

_EXECUTABLE = "llama-server"
#: What -P does, for Python 3.10, which has it not: the current folder, put first in the search path, goes.
_BUNDLED_WITHOUT_P = "import sys; sys.path.pop(0); from lemonade_like.engine.bundled import main; sys.exit(main())"
INSTALL_BUNDLED = "pip install 'lemonade-like[engine]'"


@dataclass(frozen=True)
class FoundEngine:
    """``command`` starts the engine; ``backend`` names it; ``source`` says where it was found."""

    command: tuple[str, ...]
    backend: str
    source: Literal["explicit", "installed", "path", "bundled"]


def find_engine(
    explicit: str | None,
    backend: str = AUTO,
    *,
    environ: Mapping[str, str] = os.environ,
    which: Callable[..., str | None] = shutil.which,
    installed_dir: Path | None = None,
    bundled_available: Callable[[], bool] | None = None,
    machine: Callable[[], Machine] = detect_machine,
) -> FoundEngine:
    """Return the first engine there is, in the order of this module's first line.

    ``explicit`` is a path, or a name on PATH. It is run under whatever backend is asked for, except ``bundled``, and
    one that is not there is an error: nobody who names an engine wants another. A ``backend`` other than ``auto`` is
    looked for in its one place only. Installed engines are found in ``installed_dir/BACKEND``; of several, ``auto``
    takes the best that ``machine`` can run. Raises ``EngineNotFound``, which says all that was tried and what to do.
    """
    path = environ.get("PATH")
    if explicit and backend != BUNDLED:
        return FoundEngine((_named(explicit, path, which),), SYSTEM if backend == AUTO else backend, "explicit")

    tried: list[str] = []
    if backend not in (BUNDLED, SYSTEM):
        if found := _installed(backend, installed_dir, machine):
            return found
        tried.append(f"an installed engine in {installed_dir or 'no folder'}")
    if backend in (AUTO, SYSTEM):
        if executable := which(_EXECUTABLE, path=path):
            return FoundEngine((executable,), SYSTEM, "path")
        tried.append(f"{_EXECUTABLE} on PATH")
    if backend in (AUTO, BUNDLED):
        if (bundled_available or _xllamacpp_is_there)():
            return FoundEngine(bundled_command(), BUNDLED, "bundled")
        tried.append("the bundled engine (xllamacpp is not installed)")
    raise EngineNotFound(
        f"There is no engine to run for backend {backend!r}. Looked for: {'; '.join(tried)}. {_what_to_do(backend)}"
    )


def bundled_command() -> tuple[str, ...]:
    """Return what starts the bundled engine: this Python, and nothing from the folder that we happen to be in."""
    if sys.version_info >= (3, 11):
        return (sys.executable, "-P", "-m", "lemonade_like.engine.bundled")
    return (sys.executable, "-c", _BUNDLED_WITHOUT_P)


def _named(name: str, path: str | None, which: Callable[..., str | None]) -> str:
    candidate = Path(name).expanduser()
    if candidate.is_dir():
        raise EngineNotFound(f"The engine {name} is a folder. Give the path of the llama-server executable in it.")
    if candidate.is_file():
        if not os.access(candidate, os.X_OK):
            raise EngineNotFound(f"The engine {name} is not executable. Run: chmod +x {candidate}")
        return str(candidate.absolute())
    if candidate.name == name and (found := which(name, path=path)):
        return found
    raise EngineNotFound(f"There is no engine at {name}. Check --llama-server, or LEMONADE_LIKE_LLAMA_SERVER.")


def _installed(backend: str, folder: Path | None, machine: Callable[[], Machine]) -> FoundEngine | None:
    """Return the installed engine for ``backend``; for ``auto`` the best of them for this machine."""
    engines = installed_engines(folder) if backend == AUTO else [installed_engine(folder, backend)]
    if len(engines) > 1:
        # Only now: to look at the machine takes time.
        here = machine()
        engines.sort(key=lambda engine: rank(engine.backend, here) if engine else (False, 0))
    found = engines[-1] if engines else None
    return FoundEngine((str(found.executable),), found.backend, "installed") if found else None


def _xllamacpp_is_there() -> bool:
    return bundled_version() is not None


def bundled_version() -> str | None:
    """Return the version of xllamacpp, the bundled engine, or ``None`` where it is not installed."""
    try:
        return version("xllamacpp")
    except PackageNotFoundError:
        return None


def _what_to_do(backend: str) -> str:
    if backend in (AUTO, BUNDLED):
        return f"Install the bundled engine with {INSTALL_BUNDLED}, or name a llama-server with --llama-server PATH."
    if backend == SYSTEM:
        return "Put llama-server on PATH, or name it with --llama-server PATH."
    return f"Install it with `lemonade-like backends install {backend}`, or leave --backend at auto."
