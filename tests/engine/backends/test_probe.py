from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lemonade_like.engine.backends.probe import run_quietly, this_machine


def test_a_program_says_what_it_prints() -> None:
    assert run_quietly([sys.executable, "-c", "print('hello')"]) == "hello\n"


@pytest.mark.parametrize(
    "command",
    [
        ["/no/such/program"],
        ["a\0b"],
        [sys.executable, "-c", "import sys; print('half'); sys.exit(1)"],
        [sys.executable, "-c", "import time; time.sleep(60)"],
    ],
    ids=["missing", "no name", "fails", "hangs"],
)
def test_a_program_that_is_missing_fails_or_hangs_says_nothing(command: list[str]) -> None:
    assert run_quietly(command, seconds=0.5) is None


def test_what_a_program_prints_need_not_be_text() -> None:
    said = run_quietly([sys.executable, "-c", r"import sys; sys.stdout.buffer.write(b'\xff GPU')"])
    assert said is not None
    assert said.endswith(" GPU")


def test_files_that_are_missing_or_hold_something_else_are_none(tmp_path: Path) -> None:
    probe = this_machine()
    assert probe.read("no/such/file") is None
    assert probe.number("no/such/file") is None
    (tmp_path / "word").write_text("many")
    assert probe.number(str((tmp_path / "word").relative_to(probe.root))) is None
    assert probe.glob("no/such/*") == []
