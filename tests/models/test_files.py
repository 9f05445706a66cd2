from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from lemonade_like.models.files import written_at_once


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_file_is_there_only_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "new" / "file"
    with written_at_once(target) as file:
        file.write(b"whole")
        assert not target.exists()
    assert target.read_bytes() == b"whole"
    assert left_in(target.parent) == {"file"}


def test_a_file_that_could_not_be_finished_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), written_at_once(target) as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert target.read_bytes() == b"old"
    assert left_in(tmp_path) == {"file"}


def test_what_killed_processes_left_behind_is_cleared_away(tmp_path: Path) -> None:
    old, recent, other = tmp_path / ".file.old", tmp_path / ".file.recent", tmp_path / ".other.old"
    for leftover, hours in ((old, 2), (recent, 0), (other, 2)):
        leftover.write_bytes(b"half")
        os.utime(leftover, (time.time() - hours * 3600,) * 2)
    with written_at_once(tmp_path / "file"):
        pass
    assert left_in(tmp_path) == {"file", ".file.recent", ".other.old"}
