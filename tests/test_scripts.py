from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = [path for path in (ROOT / "scripts").iterdir() if path.is_file() and path.suffix in ("", ".sh")]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the scripts are for a POSIX shell")

# What stands for Python here: it answers the two questions that the scripts put to it before they install anything.
OLD_PYTHON = """#!/bin/sh
case "$*" in
    -V) echo 'Python 3.9.2' ;;
    *) exit 1 ;;
esac
"""
PYTHON_WITHOUT_VENV = """#!/bin/sh
case "$*" in
    -V) echo 'Python 3.12.1' ;;
    '-m venv'*) mkdir -p "$3"; echo 'ensurepip is not available' >&2; exit 1 ;;
    *) exit 0 ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the scripts need, in a folder with a space in its name, without an environment."""
    folder = tmp_path / "a checkout"
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def run_serve(checkout: Path, **programs: str) -> subprocess.CompletedProcess[str]:
    """Runs ``scripts/serve`` from elsewhere, where the only Python is the given one."""
    folder = checkout.parent / "bin"
    folder.mkdir()
    for tool in ("sh", "cat", "cksum", "cut", "dirname", "rm", "mkdir", "echo"):
        found = shutil.which(tool)
        assert found
        (folder / tool).symlink_to(found)
    for name, text in programs.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return subprocess.run(
        [checkout / "scripts" / "serve"],
        cwd="/",
        env={"PATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_every_script_is_valid_posix_shell(script: Path) -> None:
    subprocess.run(["sh", "-n", script], check=True)
    assert script.suffix or os.access(script, os.X_OK)


def test_a_python_that_is_too_old_is_named_with_what_is_needed(checkout: Path) -> None:
    done = run_serve(checkout, python3=OLD_PYTHON)
    assert done.returncode == 1
    assert "Python 3.10 to 3.13 is needed; python3 here is 3.9.2." in done.stderr
    assert not (checkout / ".venv").exists()


def test_no_python_at_all_is_said(checkout: Path) -> None:
    assert "there is no python3 here" in run_serve(checkout).stderr


def test_a_newer_python_is_found_beside_an_old_python3(checkout: Path) -> None:
    done = run_serve(checkout, **{"python3": OLD_PYTHON, "python3.12": PYTHON_WITHOUT_VENV})
    assert "Making .venv with Python 3.12.1" in done.stderr


def test_a_python_without_venv_says_what_to_install_and_leaves_nothing_behind(checkout: Path) -> None:
    done = run_serve(checkout, python3=PYTHON_WITHOUT_VENV)
    assert done.returncode == 1
    assert "sudo apt install python3-venv" in done.stderr
    assert not (checkout / ".venv").exists()
