from __future__ import annotations

import base64
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lemonade_like.harmony import tokens
from lemonade_like.models.bundled import bundled_model_path
from lemonade_like.models.gguf import GGUFError, read_tokens
from lemonade_like.models.vocabulary import (
    FILE_NAME,
    RANKS,
    SHA256,
    VocabularyError,
    byte_spelling,
    tiktoken_file,
    vocabulary_dir,
)
from tests.models.test_gguf import ARRAY, ORDINARY, entry, header, strings


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundled_model_path(tmp_path_factory.mktemp("bundled"))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_bundled_model_gives_the_file_that_openai_harmony_would_download(model: Path, tmp_path: Path) -> None:
    folder = vocabulary_dir(model, tmp_path)

    assert sha256(folder / FILE_NAME) == SHA256
    assert [path.name for path in folder.iterdir()] == [FILE_NAME]


def test_it_is_written_only_once(model: Path, tmp_path: Path) -> None:
    first = (vocabulary_dir(model, tmp_path) / FILE_NAME).stat()

    assert (vocabulary_dir(model, tmp_path) / FILE_NAME).stat().st_ino == first.st_ino


def test_another_vocabulary_is_refused_although_the_file_is_there(model: Path, tmp_path: Path) -> None:
    vocabulary_dir(model, tmp_path)
    spelled = read_tokens(model)
    spelled[tokens.START], spelled[tokens.END] = spelled[tokens.END], spelled[tokens.START]
    for name, those in {"other": spelled, "small": spelled[:5_000]}.items():
        other = tmp_path / f"{name}.gguf"
        other.write_bytes(header(ORDINARY[0], entry("tokenizer.ggml.tokens", ARRAY, strings(those))))

        with pytest.raises(VocabularyError, match="another vocabulary"):
            vocabulary_dir(other, tmp_path)


def test_a_file_that_only_the_engine_can_read_is_taken_for_what_its_name_says(model: Path, tmp_path: Path) -> None:
    odd = tmp_path / "gpt-oss.gguf"
    odd.write_bytes(b"something new")
    with pytest.raises(GGUFError):
        vocabulary_dir(odd, tmp_path)

    assert vocabulary_dir(model, tmp_path) == vocabulary_dir(odd, tmp_path)


def test_a_damaged_file_is_replaced(model: Path, tmp_path: Path) -> None:
    path = vocabulary_dir(model, tmp_path) / FILE_NAME
    path.write_bytes(path.read_bytes()[:-1] + b"!")

    vocabulary_dir(model, tmp_path)

    assert sha256(path) == SHA256


def test_several_writers_at_once_leave_one_whole_file(model: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        folders = set(pool.map(lambda _: vocabulary_dir(model, tmp_path), range(3)))

    assert [path.name for path in folders.pop().iterdir()] == [FILE_NAME]
    assert not folders


def test_another_vocabulary_is_refused_and_nothing_is_written(model: Path, tmp_path: Path) -> None:
    spelled = read_tokens(model)
    spelled[1000], spelled[1001] = spelled[1001], spelled[1000]
    other = tmp_path / "other.gguf"
    other.write_bytes(header(ORDINARY[0], entry("tokenizer.ggml.tokens", ARRAY, strings(spelled))))

    with pytest.raises(VocabularyError, match="another vocabulary"):
        vocabulary_dir(other, tmp_path / "cache")

    assert not (tmp_path / "cache" / "vocabulary").exists()


def test_a_small_vocabulary_is_refused() -> None:
    with pytest.raises(VocabularyError, match="100 tokens"):
        tiktoken_file(["a"] * 100)


def test_a_token_that_is_not_spelled_byte_by_byte_is_refused() -> None:
    with pytest.raises(VocabularyError, match="token 7"):
        tiktoken_file([*"abcdefg", "▁the", *["a"] * RANKS])


def test_a_cache_that_cannot_be_written_is_an_os_error(model: Path, tmp_path: Path) -> None:
    (tmp_path / "vocabulary").write_text("a file where a folder should be")

    with pytest.raises(OSError):
        vocabulary_dir(model, tmp_path)


def test_every_byte_has_a_spelling_of_its_own() -> None:
    spelling = byte_spelling()

    assert sorted(spelling) == list(range(256))
    assert len(set(spelling.values())) == 256
    assert (spelling[ord("a")], spelling[ord(" ")], spelling[ord("\n")]) == ("a", "Ġ", "Ċ")


def test_the_bundled_model_names_every_control_token_as_harmony_does(model: Path) -> None:
    spelled = read_tokens(model)

    assert len(spelled) == tokens.VOCABULARY_SIZE
    for token in range(tokens.FIRST_SPECIAL, tokens.VOCABULARY_SIZE):
        assert spelled[token] == tokens.spelling(token)


def test_each_line_is_base64_and_rank(model: Path) -> None:
    lines = tiktoken_file(read_tokens(model)).splitlines()

    assert len(lines) == RANKS
    assert lines[0] == base64.b64encode(b"!") + b" 0"


def test_what_killed_processes_left_behind_is_cleared_away(model: Path, tmp_path: Path) -> None:
    leftover = tmp_path / "vocabulary" / f".{FILE_NAME}.old"
    leftover.parent.mkdir()
    leftover.write_bytes(b"half")
    os.utime(leftover, (1, 1))

    assert [path.name for path in vocabulary_dir(model, tmp_path).iterdir()] == [FILE_NAME]
