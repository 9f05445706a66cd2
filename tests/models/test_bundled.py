from __future__ import annotations

import errno
import hashlib
import lzma
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from lemonade_like.models import bundled
from lemonade_like.models.bundled import Bundle, BundledModelError, bundled_model_path, unpack

CONTENTS = bytes(range(256)) * 20_000


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    archive = tmp_path / "small.gguf.xz"
    archive.write_bytes(lzma.compress(CONTENTS))
    return Bundle(
        name="small.gguf",
        archive=archive,  # type: ignore[arg-type]
        archive_sha256=hashlib.sha256(archive.read_bytes()).hexdigest(),
        size=len(CONTENTS),
        sha256=hashlib.sha256(CONTENTS).hexdigest(),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "models"


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_bundled_model_is_what_its_hash_says(tmp_path: Path) -> None:
    path = bundled_model_path(tmp_path)

    assert path.stem == bundled.BUNDLED_MODEL
    assert path.stat().st_size == bundled.GGUF_SIZE
    assert hashlib.sha256(path.read_bytes()).hexdigest() == bundled.GGUF_SHA256


def test_processes_that_unpack_at_the_same_time_all_get_the_model(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from lemonade_like.models.bundled import bundled_model_path; "
        "print(bundled_model_path(Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    printed = {process.communicate()[0].strip() for process in started}

    assert [process.returncode for process in started] == [0, 0, 0]
    (path,) = printed
    assert hashlib.sha256(Path(path).read_bytes()).hexdigest() == bundled.GGUF_SHA256


def test_it_is_unpacked_once(bundle: Bundle, folder: Path) -> None:
    first = unpack(bundle, folder)
    inode = first.stat().st_ino

    assert unpack(bundle, folder).stat().st_ino == inode
    assert first.read_bytes() == CONTENTS


def test_a_file_of_the_wrong_size_is_replaced(bundle: Bundle, folder: Path) -> None:
    path = unpack(bundle, folder)
    path.write_bytes(CONTENTS[:-1])

    assert unpack(bundle, folder).read_bytes() == CONTENTS


def test_a_file_that_was_changed_in_place_is_replaced(bundle: Bundle, folder: Path) -> None:
    path = unpack(bundle, folder)
    path.write_bytes(b"!" + CONTENTS[1:])
    os.utime(path, (1, 1))

    assert unpack(bundle, folder).read_bytes() == CONTENTS


def test_a_right_file_without_its_mark_is_kept(bundle: Bundle, folder: Path) -> None:
    path = unpack(bundle, folder)
    inode = path.stat().st_ino
    for mark in folder.glob("*.checked"):
        mark.unlink()

    assert unpack(bundle, folder).stat().st_ino == inode
    assert list(folder.glob("*.checked"))


def test_threads_that_unpack_at_the_same_time_leave_nothing_behind(bundle: Bundle, folder: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        paths = set(pool.map(lambda _: unpack(bundle, folder), range(8)))

    assert paths == {folder / "small.gguf"}
    assert left_in(folder) == {"small.gguf", "small.gguf.checked"}


def test_a_full_disk_is_reported_and_leaves_nothing_that_looks_whole(
    bundle: Bundle, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with (
        monkeypatch.context() as patched,
        pytest.raises(BundledModelError, match=r"No space left.*LEMONADE_LIKE_CACHE_DIR"),
    ):
        patched.setattr(os, "fsync", full)
        unpack(bundle, folder)

    assert left_in(folder) == set()
    assert unpack(bundle, folder).read_bytes() == CONTENTS


def test_a_cache_that_is_no_folder_is_reported(bundle: Bundle, folder: Path) -> None:
    folder.parent.mkdir()
    folder.write_text("a file where a folder should be")

    with pytest.raises(BundledModelError, match="could not be unpacked into"):
        unpack(bundle, folder)


def test_a_damaged_archive_is_reported_and_nothing_is_unpacked(bundle: Bundle, folder: Path) -> None:
    archive = bundle.archive
    assert isinstance(archive, Path)
    archive.write_bytes(archive.read_bytes()[:-20])

    with pytest.raises(BundledModelError, match=r"damaged.*Install the package again"):
        unpack(bundle, folder)
    with pytest.raises(BundledModelError, match="damaged"):
        unpack(replace(bundle, archive_sha256=hashlib.sha256(archive.read_bytes()).hexdigest()), folder)

    assert left_in(folder) == set()


def test_an_archive_of_something_else_is_reported(bundle: Bundle, folder: Path) -> None:
    with pytest.raises(BundledModelError, match="damaged"):
        unpack(replace(bundle, sha256="0" * 64), folder)

    assert left_in(folder) == set()


def test_a_missing_archive_is_reported(bundle: Bundle, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BundledModelError):
        unpack(replace(bundle, archive=tmp_path / "gone.xz"), folder)  # type: ignore[arg-type]


def test_what_killed_processes_left_behind_is_cleared_away(bundle: Bundle, folder: Path) -> None:
    folder.mkdir(parents=True)
    old, recent = folder / ".small.gguf.old", folder / ".small.gguf.recent"
    for leftover in (old, recent):
        leftover.write_bytes(b"half")
    os.utime(old, (time.time() - 7200, time.time() - 7200))

    unpack(bundle, folder)

    assert left_in(folder) == {"small.gguf", "small.gguf.checked", ".small.gguf.recent"}
