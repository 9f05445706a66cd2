from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lemonade_like.engine import find
from lemonade_like.engine.find import FoundEngine, bundled_command, find_engine
from lemonade_like.errors import EngineNotFound


def executable(path: Path, mode: int = 0o755) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)
    return path


def nothing(_name: str, path: str | None = None) -> None:
    return None


def on_path(_name: str, path: str | None = None) -> str:
    return "/usr/bin/llama-server"


def test_the_named_engine_comes_first(tmp_path: Path) -> None:
    named = executable(tmp_path / "my-server.py")
    found = find_engine(str(named), which=on_path)
    assert found == FoundEngine((str(named),), "system", "explicit")


def test_an_engine_may_be_named_as_on_path() -> None:
    assert find_engine("llama-server", which=on_path).command == ("/usr/bin/llama-server",)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "There is no engine at"),
        (lambda path: executable(path, 0o644), "chmod"),
        (lambda path: path.mkdir(), "is a folder"),
    ],
    ids=["missing", "not executable", "a folder"],
)
def test_a_named_engine_that_cannot_be_run_is_an_error(tmp_path: Path, make: object, reason: str) -> None:
    path = tmp_path / "engine"
    make(path)  # type: ignore[operator]
    if reason == "chmod" and os.access(path, os.X_OK):
        pytest.skip("everything is executable here")
    with pytest.raises(EngineNotFound, match=reason):
        find_engine(str(path), which=on_path)


def test_an_installed_engine_comes_before_path(tmp_path: Path) -> None:
    installed = executable(tmp_path / "vulkan" / "b9999" / "bin" / "llama-server")
    found = find_engine(None, which=on_path, installed_dir=tmp_path)
    assert found == FoundEngine((str(installed),), "vulkan", "installed")


def test_a_backend_is_looked_for_in_its_own_folder_only(tmp_path: Path) -> None:
    executable(tmp_path / "vulkan" / "llama-server")
    with pytest.raises(EngineNotFound, match="lemonade-like backends install cuda"):
        find_engine(None, "cuda", which=on_path, installed_dir=tmp_path)


def test_path_comes_before_the_bundled_engine() -> None:
    found = find_engine(None, which=on_path, bundled_available=lambda: True)
    assert found == FoundEngine(("/usr/bin/llama-server",), "system", "path")


def test_the_bundled_engine_comes_last() -> None:
    found = find_engine(None, which=nothing, bundled_available=lambda: True)
    assert found == FoundEngine(bundled_command(), "bundled", "bundled")
    assert found.command[0] == sys.executable


def test_the_bundled_backend_is_taken_whatever_else_there_is(tmp_path: Path) -> None:
    named = executable(tmp_path / "llama-server")
    assert find_engine(str(named), "bundled", which=on_path, bundled_available=lambda: True).backend == "bundled"


def test_the_system_backend_is_never_the_bundled_engine() -> None:
    with pytest.raises(EngineNotFound, match="llama-server on PATH"):
        find_engine(None, "system", which=nothing, bundled_available=lambda: True)


def test_without_any_engine_the_error_says_what_was_tried_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(EngineNotFound) as missing:
        find_engine(None, which=nothing, installed_dir=tmp_path, bundled_available=lambda: False)
    for part in (str(tmp_path), "PATH", "xllamacpp", "pip install 'lemonade-like[engine]'", "--llama-server"):
        assert part in missing.value.message


@pytest.mark.parametrize("command", [bundled_command(), (sys.executable, "-c", find._BUNDLED_WITHOUT_P)])
def test_the_bundled_engine_is_not_taken_from_the_current_folder(tmp_path: Path, command: tuple[str, ...]) -> None:
    for name in ("lemonade_like", "argparse", "xllamacpp"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('out of the current folder')")
    done = subprocess.run([*command, "--no-such-flag"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "out of the current folder" not in done.stderr
    assert "--no-such-flag" in done.stderr
