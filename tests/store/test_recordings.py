"""Recorded turns on disk: whole lines or none, whatever happens to the disk and to the process."""

from __future__ import annotations

import errno
import gzip
import json
import logging
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from lemonade_like.store.recordings import RecordingLimits, Recordings, read_lines, recordings_in

if TYPE_CHECKING:
    from collections.abc import Iterator

unix_only = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes and signals")


LIMITS = RecordingLimits()


def _line(number: int, size: int = 0) -> bytes:
    return json.dumps({"number": number, "text": "x" * size}).encode() + b"\n"


def _record(place: Path, *numbers: int, size: int = 0, limits: RecordingLimits = LIMITS) -> None:
    recordings = Recordings(place, limits)
    for number in numbers:
        recordings.put(lambda number=number: _line(number, size))
    recordings.close()


def _numbers(place: Path) -> list[int]:
    return [json.loads(line.text)["number"] for line in read_lines(place)]


def test_lines_are_there_in_order_when_it_is_closed(tmp_path: Path) -> None:
    _record(tmp_path / "turns", *range(200))
    _record(tmp_path / "turns", 200)
    assert _numbers(tmp_path / "turns") == list(range(201))
    assert [file.name for file in recordings_in(tmp_path / "turns")] == ["turns.jsonl"]


def test_a_name_that_ends_in_jsonl_is_a_file(tmp_path: Path) -> None:
    _record(tmp_path / "deep" / "audit.jsonl", 1)
    assert _numbers(tmp_path / "deep" / "audit.jsonl") == [1]


@unix_only
def test_only_the_owner_may_read_them_whatever_they_were_before(tmp_path: Path) -> None:
    wide = tmp_path / "old" / "turns.jsonl"
    wide.parent.mkdir()
    wide.write_bytes(_line(1))
    wide.chmod(0o644)
    for folder in (tmp_path / "new", tmp_path / "old"):
        _record(folder, 2)
        assert stat.S_IMODE((folder / "turns.jsonl").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


@unix_only
def test_a_link_in_the_place_of_the_file_is_not_followed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    target = tmp_path / "theirs"
    target.write_text("mine")
    target.chmod(0o644)
    (tmp_path / "turns.jsonl").symlink_to(target)
    _record(tmp_path, 1)
    assert (target.read_text(), stat.S_IMODE(target.stat().st_mode)) == ("mine", 0o644)
    assert "Turns are not recorded for now" in caplog.text


@unix_only
def test_a_folder_that_is_made_again_is_the_owners_alone(tmp_path: Path) -> None:
    recordings = Recordings(tmp_path / "turns")

    def moved() -> bytes:
        (tmp_path / "turns").rename(tmp_path / "gone")
        return _line(1)

    recordings.put(moved)
    recordings.close()
    assert _numbers(tmp_path / "turns") == [1]
    assert stat.S_IMODE((tmp_path / "turns").stat().st_mode) == 0o700


def test_a_full_file_makes_room_for_a_new_one_and_the_oldest_goes(tmp_path: Path) -> None:
    limits = RecordingLimits(max_bytes=2_500, max_files=3)
    _record(tmp_path, *range(12), size=1_000, limits=limits)

    files = recordings_in(tmp_path)
    assert len(files) == 3
    assert files[-1].name == "turns.jsonl"
    assert all(file.stat().st_size <= 2_500 for file in files)
    assert _numbers(tmp_path) == [6, 7, 8, 9, 10, 11]


def test_a_line_that_is_larger_than_a_file_has_one_to_itself(tmp_path: Path) -> None:
    _record(tmp_path, 1, 2, 3, size=1_000, limits=RecordingLimits(max_bytes=10, max_files=10))
    assert [len(list(read_lines(file))) for file in recordings_in(tmp_path)] == [1, 1, 1]


def test_one_file_is_enough(tmp_path: Path) -> None:
    _record(tmp_path, 1, 2, size=1_000, limits=RecordingLimits(max_bytes=10, max_files=1))
    assert _numbers(tmp_path) == [2]


def test_a_line_that_was_cut_off_is_dropped_before_the_next(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "turns.jsonl"
    file.write_bytes(_line(1) + _line(2, size=200_000)[:-1])
    _record(tmp_path, 3)
    assert _numbers(tmp_path) == [1, 3]
    assert f"The last line of {file} was cut off" in caplog.text


def test_a_file_of_which_no_line_is_whole_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "turns.jsonl").write_bytes(b'{"num')
    _record(tmp_path, 1)
    assert _numbers(tmp_path) == [1]


@pytest.mark.parametrize("moved", [True, False])
def test_a_file_that_was_moved_or_deleted_is_begun_again(tmp_path: Path, moved: bool) -> None:
    recordings = Recordings(tmp_path)
    written = threading.Event()

    def first() -> bytes:
        return _line(1)

    def second() -> bytes:
        file = tmp_path / "turns.jsonl"
        file.replace(tmp_path / "elsewhere") if moved else file.unlink()
        written.set()
        return _line(2)

    recordings.put(first)
    recordings.put(second)
    recordings.close()
    assert written.is_set()
    assert _numbers(tmp_path) == [2]


def test_two_servers_with_one_place_write_to_files_of_their_own(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = Recordings(tmp_path), Recordings(tmp_path)
    writing = threading.Barrier(3)

    def both_write(number: int) -> bytes:
        writing.wait(20)
        return _line(number)

    for number, recordings in enumerate([one, other, one, other]):
        recordings.put(lambda number=number: both_write(number) if number < 2 else _line(number))
    writing.wait(20)
    one.close()
    other.close()
    assert sorted(file.name for file in recordings_in(tmp_path)) == ["turns.2.jsonl", "turns.jsonl"]
    assert sorted(_numbers(tmp_path)) == [0, 1, 2, 3]
    assert "Another server records here, too" in caplog.text
    # A place is free again when its server has gone.
    _record(tmp_path, 4)
    assert 4 in _numbers(tmp_path / "turns.jsonl")


def test_a_place_that_cannot_be_written_to_is_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("no folder")
    _record(tmp_path / "file" / "turns", 1, 2, 3)
    (warning,) = caplog.records
    assert warning.levelno == logging.WARNING
    assert "Turns are not recorded for now" in warning.message
    assert "are answered all the same" in warning.message


def test_when_the_place_is_there_at_last_what_is_missing_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "turns").write_text("in the way")
    recordings = Recordings(tmp_path / "turns")

    def third() -> bytes:
        (tmp_path / "turns").unlink()
        return _line(3)

    recordings.put(lambda: _line(1))
    recordings.put(lambda: _line(2))
    recordings.put(third)
    recordings.close()
    assert _numbers(tmp_path / "turns") == [3]
    assert [record.message for record in caplog.records][-1] == "Turns are recorded again; 2 are missing."


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 kB; only root can have one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = sys.platform == "linux" and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("no disk can be mounted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_leaves_no_half_line_and_goes_on_when_there_is_room(
    tiny_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recordings = Recordings(tiny_disk)

    def after_room_was_made() -> bytes:
        (tiny_disk / "ballast").unlink()
        return _line(5, size=10_000)

    (tiny_disk / "ballast").write_bytes(b"x" * 30_000)
    for number in range(5):
        recordings.put(lambda number=number: _line(number, size=10_000))
    recordings.put(after_room_was_made)
    recordings.close()

    numbers = _numbers(tiny_disk)
    assert numbers[0] == 0
    assert numbers[-1] == 5
    assert len(numbers) < 6
    assert (tiny_disk / "turns.jsonl").read_bytes().endswith(b"\n")
    told = [record.message for record in caplog.records]
    assert [os.strerror(errno.ENOSPC) in message for message in told] == [True, False]
    assert told[1] == f"Turns are recorded again; {6 - len(numbers)} are missing."


def test_a_slow_disk_holds_nobody_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    recordings = Recordings(tmp_path)
    writing, free = threading.Event(), threading.Event()

    def slow() -> bytes:
        writing.set()
        assert free.wait(20)
        return _line(0)

    recordings.put(slow)
    assert writing.wait(20)
    for number in range(1, 300):
        recordings.put(lambda number=number: _line(number))
    free.set()
    recordings.close()
    numbers = _numbers(tmp_path)
    assert numbers == list(range(257))
    assert "too many turns wait to be written" in caplog.text
    assert "43 are missing" in caplog.text


def test_a_turn_that_cannot_be_told_does_not_end_the_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    recordings = Recordings(tmp_path)

    def broken() -> bytes:
        raise KeyError("what?")

    recordings.put(broken)
    recordings.put(lambda: _line(2))
    recordings.close()
    assert _numbers(tmp_path) == [2]
    assert "A turn could not be recorded" in caplog.text


def test_whatever_goes_wrong_at_the_start_the_turns_are_recorded_when_it_is_well(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    acquire, failed = FileLock.acquire, threading.Event()

    def once(lock: FileLock, **how: bool) -> object:
        if not failed.is_set():
            failed.set()
            raise NotImplementedError("this file system has no locks")
        return acquire(lock, **how)

    monkeypatch.setattr(FileLock, "acquire", once)
    _record(tmp_path, 1)
    assert _numbers(tmp_path) == [1]
    assert "this file system has no locks" in caplog.text


@unix_only
def test_a_process_that_is_killed_leaves_whole_lines(tmp_path: Path) -> None:
    code = (
        "import sys, itertools\n"
        "from pathlib import Path\n"
        "from lemonade_like.store.recordings import Recordings, RecordingLimits\n"
        "recordings = Recordings(Path(sys.argv[1]), RecordingLimits(max_bytes=1_000_000, max_files=3))\n"
        "line = b'{\"number\": 1, \"text\": \"' + b'x' * 50_000 + b'\"}\\n'\n"
        "counter = itertools.count(1)\n"
        "def made():\n"
        "    if next(counter) == 50:\n"
        "        print('under way', flush=True)\n"
        "    recordings.put(made)\n"
        "    return line\n"
        "recordings.put(made)\n"
        "sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.communicate()

    lines = list(read_lines(tmp_path))
    torn = [line for line in lines if not line.text.endswith(b"}")]
    assert len(lines) > 10
    assert len(torn) <= 1
    _record(tmp_path, 7)
    assert set(_numbers(tmp_path)) == {1, 7}


def test_files_that_were_packed_are_read_too(tmp_path: Path) -> None:
    _record(tmp_path, 1, 2)
    packed = tmp_path / "turns-20260101T000000.000000Z.jsonl.gz"
    packed.write_bytes(gzip.compress(_line(0) + b"\n"))
    os.utime(packed, (0, 0))
    assert _numbers(tmp_path) == [0, 1, 2]


def test_what_is_written_while_it_is_read_is_for_the_next_time(tmp_path: Path) -> None:
    _record(tmp_path, 1, 2)
    lines = read_lines(tmp_path)
    first = next(lines)
    _record(tmp_path, 3)
    assert first.number == 1
    assert [line.number for line in lines] == [2]


def test_no_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        next(read_lines(tmp_path / "missing.jsonl"))
