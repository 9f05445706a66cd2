from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import gguf as reference
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lemonade_like.models.bundled import bundled_model_path
from lemonade_like.models.gguf import GGUFError, NotAGGUF, read_header, read_tokens

U8, U32, F32, BOOL, STRING, ARRAY, U64 = 0, 4, 6, 7, 8, 9, 10


def text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def entry(key: str, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def strings(values: list[str]) -> bytes:
    return struct.pack("<IQ", STRING, len(values)) + b"".join(map(text, values))


def header(*entries: bytes, version: int = 3, count: int | None = None, tensors: int = 0) -> bytes:
    return struct.pack("<4sIQQ", b"GGUF", version, tensors, len(entries) if count is None else count) + b"".join(
        entries
    )


ORDINARY = (
    entry("general.architecture", STRING, text("llama")),
    entry("general.name", STRING, text("A model")),
    entry("tokenizer.ggml.tokens", ARRAY, strings([f"token{n}" for n in range(100)])),
    entry("llama.context_length", U32, struct.pack("<I", 4096)),
    entry("llama.rope.freq_base", F32, struct.pack("<f", 0.5)),
    entry("tokenizer.ggml.add_bos_token", BOOL, b"\x01"),
    entry("tokenizer.ggml.token_type", ARRAY, struct.pack("<IQ", U8, 3) + bytes([1, 2, 3])),
    entry("tokenizer.chat_template", STRING, text("{{ messages }}")),
)


@pytest.fixture
def written(tmp_path: Path) -> Any:
    def write(contents: bytes) -> Path:
        path = tmp_path / "model.gguf"
        path.write_bytes(contents)
        return path

    return write


@pytest.mark.parametrize("version", [2, 3])
def test_the_header_is_read_past_the_vocabulary(written: Any, version: int) -> None:
    found = read_header(written(header(*ORDINARY, version=version)))

    assert (found.architecture, found.own("context_length")) == ("llama", 4096)


def test_the_vocabulary_is_read_when_asked_for(written: Any) -> None:
    assert read_tokens(written(header(*ORDINARY))) == [f"token{n}" for n in range(100)]


def test_a_model_without_vocabulary_says_so(written: Any) -> None:
    with pytest.raises(GGUFError, match="holds no vocabulary"):
        read_tokens(written(header(ORDINARY[0])))


def test_a_model_without_optional_facts_can_be_read(written: Any) -> None:
    found = read_header(written(header(ORDINARY[0])))

    assert (found.architecture, found.own("context_length")) == ("llama", None)


@pytest.mark.parametrize("contents", [b"", b"GG", b"#!/bin/sh\nexit 1\n", b"PK\x03\x04" + bytes(100)])
def test_another_kind_of_file_is_called_what_it_is(written: Any, contents: bytes) -> None:
    with pytest.raises(NotAGGUF, match="is not a GGUF file"):
        read_header(written(contents))


def test_a_file_cut_off_anywhere_in_its_header_is_an_error_and_not_a_crash(written: Any) -> None:
    whole = header(*ORDINARY)
    for length in range(8, len(whole)):
        with pytest.raises(GGUFError):
            read_header(written(whole[:length]))


@pytest.mark.parametrize(
    "hostile",
    [
        pytest.param(header(count=2**63), id="more keys than bytes"),
        pytest.param(header(struct.pack("<Q", 2**63) + b"x"), id="a key longer than the file"),
        pytest.param(header(entry("a", STRING, struct.pack("<Q", 2**64 - 1))), id="a text longer than the file"),
        pytest.param(header(entry("a", ARRAY, struct.pack("<IQ", U8, 2**62))), id="an array longer than the file"),
        pytest.param(header(entry("a", ARRAY, struct.pack("<IQ", STRING, 2**62))), id="texts more than the file"),
        pytest.param(
            header(entry("a", ARRAY, struct.pack("<IQ", STRING, 100) + b"\xff" * 2000)), id="texts out of the file"
        ),
        pytest.param(header(entry("a", ARRAY, struct.pack("<IQ", ARRAY, 1) * 50 + bytes(99))), id="nested arrays"),
        pytest.param(header(entry("a", 77, bytes(8))), id="an unknown type"),
        pytest.param(header(*ORDINARY, version=1), id="version 1"),
        pytest.param(header(*ORDINARY, version=99), id="version 99"),
        pytest.param(header(*ORDINARY[1:]), id="no architecture"),
        pytest.param(header(*ORDINARY, tensors=2**62), id="more tensors than bytes"),
        pytest.param(header(*ORDINARY, tensors=1), id="no tensor where one is claimed"),
        pytest.param(
            header(*ORDINARY, tensors=1) + text("t") + struct.pack("<I", 2**31) + bytes(99), id="too many dimensions"
        ),
    ],
)
def test_a_damaged_or_hostile_header_is_an_error_and_not_a_crash(written: Any, hostile: bytes) -> None:
    with pytest.raises(GGUFError):
        read_header(written(hostile))


def test_a_big_endian_file_is_named_as_such(written: Any) -> None:
    with pytest.raises(GGUFError, match="big-endian"):
        read_header(written(struct.pack(">4sIQQ", b"GGUF", 3, 0, 0)))


@given(st.data())
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_damage_is_either_harmless_or_an_error(written: Any, data: st.DataObject) -> None:
    damaged = bytearray(header(*ORDINARY))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(8, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path = written(bytes(damaged))
    for read in (read_header, read_tokens):
        try:
            read(path)
        except GGUFError as error:
            assert str(path) in str(error)


@pytest.mark.nightly
def test_the_bundled_model_reads_as_the_reference_reader_has_it(tmp_path: Path) -> None:
    path = bundled_model_path(tmp_path)
    expected = reference.GGUFReader(path)

    found = read_header(path)

    assert found.architecture == "gpt-oss" == expected.fields["general.architecture"].contents()
    assert found.own("context_length") == 131_072 == expected.fields["gpt-oss.context_length"].contents()
    assert found.parameters == sum(int(tensor.n_elements) for tensor in expected.tensors)
    assert read_tokens(path)[::997] == expected.fields["tokenizer.ggml.tokens"].contents()[::997]
