"""Files of keys."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from lemonade_like.access.key_files import NamedKey, read_keys
from lemonade_like.settings import SettingsError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.touch(mode=0o600)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(SettingsError) as error:
        read_keys(path, "api_key_file")
    assert len(error.value.message.splitlines()) <= 3
    return error.value.message


def test_a_line_is_a_key_or_a_name_and_a_key(path: Path) -> None:
    path.write_text("\ufeff# of the team\n\none\r\n  alice\ttwo:with#signs  \n#bob three\nключ\n", encoding="utf-8")
    assert read_keys(path, "api_key_file") == [NamedKey("one"), NamedKey("two:with#signs", "alice"), NamedKey("ключ")]


@pytest.mark.parametrize("line", ["alice has sesame", "al/ice sesame", f"{'a' * 65} sesame"])
def test_a_line_that_is_neither_is_refused_by_its_number_and_not_shown(path: Path, line: str) -> None:
    path.write_text(f"# comment\n{line}\n")
    message = refusal(path)
    assert f"Line 2 of {path}" in message
    assert "sesame" not in message


def test_a_file_without_a_key_does_not_leave_the_server_open(path: Path) -> None:
    path.write_text("# none yet\n")
    assert "There is no key in" in refusal(path)


def test_a_file_that_cannot_be_read_is_refused(path: Path) -> None:
    assert "No such file" in refusal(path.with_name("missing"))
    assert "Is a directory" in refusal(path.parent)
    path.write_bytes(b"\xff\xfe\x00s3cret")
    assert "no text in UTF-8" in refusal(path)
    assert "LEMONADE_LIKE_API_KEY_FILE" in refusal(path)


@pytest.mark.skipif(os.name == "nt", reason="Windows has other rights")
@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, False), (0o644, True)])
def test_a_file_that_everybody_can_read_is_warned_of(
    path: Path, mode: int, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_text("sesame\n")
    path.chmod(mode)
    read_keys(path, "api_key_file")
    assert ("chmod 600" in caplog.text) == warned
    assert "sesame" not in caplog.text
