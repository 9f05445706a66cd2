from __future__ import annotations

import logging
import os
import socket
import time
from pathlib import Path

import pytest

from lemonade_like.engine.output import EngineOutput, log_file


def test_lines_are_put_together_whatever_the_pieces(tmp_path: Path) -> None:
    output = EngineOutput(tmp_path / "a.log", "a")
    for piece in (b"one\ntw", b"o\nthr", b"ee"):
        output.write(piece)
    assert output.tail(5) == "one\ntwo"
    output.close()
    assert output.tail(5) == "one\ntwo\nthree"
    assert (tmp_path / "a.log").read_bytes() == b"one\ntwo\nthree"


def test_the_tail_leaves_out_noise(tmp_path: Path) -> None:
    output = EngineOutput(tmp_path / "a.log", "a")
    output.write(
        b"0.00.009.591 E bad magic\n\n.........\n\x1b[31m0.00.010.220 E bad magic\x1b[0m\n0.00.010.283 E gone\r\n"
    )
    assert output.tail(20) == "E bad magic\nE gone"
    assert output.tail(1) == "E gone"


def test_lines_are_repeated_in_the_debug_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="lemonade_like.engine"):
        EngineOutput(tmp_path / "a.log", "a-model").write(b"model loaded\n")
    assert caplog.messages == ["a-model: model loaded"]


def test_a_file_that_has_grown_large_is_started_anew(tmp_path: Path) -> None:
    output = EngineOutput(tmp_path / "a.log", "a", max_bytes=10)
    for line in (b"first line\n", b"second line\n", b"third line\n"):
        output.write(line)
    assert (tmp_path / "a.log").read_bytes() == b"third line\n"
    assert (tmp_path / "a.log.1").read_bytes() == b"second line\n"


def test_output_is_read_on_when_the_file_cannot_be_started_anew(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    output = EngineOutput(folder / "a.log", "a", max_bytes=10)
    output.write(b"first line\n")
    (folder / "a.log").unlink()
    folder.rmdir()
    output.write(b"second line\n")
    output.write(b"third line\n")
    assert output.tail(3) == "first line\nsecond line\nthird line"
    folder.mkdir()
    output.write(b"fourth line\n")
    output.close()
    assert (folder / "a.log").read_bytes() == b"fourth line\n"


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("gpt-oss-20b", "gpt-oss-20b-5.log"),
        ("../../etc/passwd", "etc_passwd-5.log"),
        ("org/repo:Q4 K", "org_repo_Q4_K-5.log"),
        ("漢字", "engine-5.log"),
    ],
)
def test_any_alias_makes_a_file_name_inside_the_folder(tmp_path: Path, alias: str, name: str) -> None:
    assert log_file(tmp_path / "new", alias, 5) == tmp_path / "new" / name


def test_only_the_latest_logs_of_a_model_are_kept(tmp_path: Path) -> None:
    for number in range(8):
        (tmp_path / f"m-{number}.log").write_text("x")
        os.utime(tmp_path / f"m-{number}.log", (number, number))
    (tmp_path / "m-other-1.log").write_text("x")
    (tmp_path / "server.log").write_text("x")
    log_file(tmp_path, "m", 99)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [
        *(f"m-{number}.log" for number in range(4, 8)),
        "m-other-1.log",
        "server.log",
    ]


def aged_log(path: Path, hours: float) -> Path:
    path.write_text("x")
    written = time.time() - hours * 3600
    os.utime(path, (written, written))
    return path


def test_the_log_of_an_engine_that_still_runs_is_never_deleted(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as engine:
        port = engine.getsockname()[1]
        live = [aged_log(tmp_path / f"m-{port}.log", 100), aged_log(tmp_path / f"m-{port}.log.1", 200)]
        dead = aged_log(tmp_path / "m-1.log", 50)
        for number in range(2, 6):
            aged_log(tmp_path / f"m-{number}.log", number)
        log_file(tmp_path, "m", 99)
    assert [log.exists() for log in live] == [True, True]
    assert not dead.exists()


def test_logs_of_the_last_hour_are_kept_however_many(tmp_path: Path) -> None:
    recent = [aged_log(tmp_path / f"m-{number}.log", 0.5) for number in range(9)]
    log_file(tmp_path, "m", 99)
    assert all(log.exists() for log in recent)


def test_a_log_that_another_server_deletes_meanwhile_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = [aged_log(tmp_path / f"m-{number}.log", 10 + number) for number in range(7)]
    listed = list(tmp_path.iterdir())
    monkeypatch.setattr(Path, "iterdir", lambda _self: iter(listed))
    old[0].unlink()
    assert log_file(tmp_path, "m", 99) == tmp_path / "m-99.log"
    assert not old[6].exists()
