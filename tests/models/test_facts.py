from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import gguf as reference
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_like.models import facts
from lemonade_like.models.gguf import GGUFError, NotAGGUF
from tests.support.ggufs import write_gguf

SHAPE = {"block_count": 12, "embedding_length": 64, "attention__head_count": 4}


def test_the_bundled_model_is_described(tiny_model: Path) -> None:
    found = facts.of(tiny_model)

    assert (found.architecture, found.context_length, found.quantisation) == ("gpt-oss", 131_072, "Q8_0")
    assert found.file_bytes == tiny_model.stat().st_size
    assert found.vocabulary_size == 201_088
    assert found.has_chat_template
    assert found.labels == {"gpt-oss", "reasoning", "tool-calling"}


@pytest.mark.parametrize("number", sorted(reference.LlamaFileType))
def test_every_quantisation_has_the_name_that_llama_cpp_gives_it(number: int, tmp_path: Path) -> None:
    name = reference.LlamaFileType(number).name.removeprefix("MOSTLY_").removeprefix("ALL_").removesuffix("_MOE")
    found = facts.of(write_gguf(tmp_path / "m.gguf", file_type=int(number)))
    assert found.quantisation == (None if name == "GUESSED" else name) or name == "GUESSED"


def test_where_the_file_does_not_say_its_name_tells_the_quantisation(tmp_path: Path) -> None:
    assert facts.of(write_gguf(tmp_path / "m-UD-Q4_K_XL.gguf")).quantisation == "UD-Q4_K_XL"
    assert facts.of(write_gguf(tmp_path / "m.gguf")).quantisation is None


@pytest.mark.parametrize(
    ("architecture", "keys", "whole", "window"),
    [
        pytest.param("llama", {}, 12 * 4 * 32 * 2, 0, id="a head of keys and values for each of queries"),
        pytest.param("llama", {"attention__head_count_kv": 2}, 12 * 2 * 32 * 2, 0, id="grouped queries"),
        pytest.param(
            "llama", {"attention__head_count_kv": 2, "attention__key_length": 40}, 12 * 2 * 56 * 2, 0, id="long keys"
        ),
        pytest.param("llama", {"attention__head_count_kv": [1, 0, 2] * 4}, 4 * 3 * 32 * 2, 0, id="layer by layer"),
        pytest.param("qwen3next", {"full_attention_interval": 4}, 3 * 4 * 32 * 2, 0, id="most layers recurrent"),
        pytest.param("gpt-oss", {"attention__sliding_window": 128}, 6 * 4 * 32 * 2, 6 * 4 * 32 * 2, id="gpt-oss"),
        pytest.param("gemma3", {"attention__sliding_window": 512}, 2 * 4 * 32 * 2, 10 * 4 * 32 * 2, id="gemma3"),
        pytest.param("llama", {"attention__sliding_window": 512}, 12 * 4 * 32 * 2, 0, id="a window that is not used"),
        pytest.param(
            "new",
            {"attention__sliding_window": 512, "attention__sliding_window_pattern": [True, True, False] * 4},
            4 * 4 * 32 * 2,
            8 * 4 * 32 * 2,
            id="the file says which layers",
        ),
        pytest.param(
            "new",
            {"attention__sliding_window": 512, "attention__sliding_window_pattern": 3},
            4 * 4 * 32 * 2,
            8 * 4 * 32 * 2,
            id="the file says how many layers",
        ),
        pytest.param("bert", {}, 0, 0, id="an encoder"),
    ],
)
def test_what_a_token_costs_is_counted_layer_by_layer(
    architecture: str, keys: dict[str, Any], whole: int, window: int, tmp_path: Path
) -> None:
    found = facts.of(write_gguf(tmp_path / "m.gguf", architecture, **SHAPE, **keys))
    assert (found.kv_bytes_per_token, found.window_kv_bytes_per_token) == (whole, window)
    assert bool(found.sliding_window) == bool(window)


@pytest.mark.parametrize(
    ("architecture", "template", "keys", "labels"),
    [
        ("llama", None, {}, set()),
        ("llama", "{{ messages }}", {}, set()),
        ("llama", "{% if tools %}{{ tools }}{% endif %}", {}, {"tool-calling"}),
        ("qwen3", "{% if tools %}<think>{% endif %}", {}, {"tool-calling", "reasoning"}),
        ("nomic-bert", None, {}, {"embeddings"}),
        ("qwen3", None, {"pooling_type": 3}, {"embeddings"}),
        ("qwen3", None, {"pooling_type": 4}, {"reranking"}),
        ("gpt-oss", None, {}, {"gpt-oss", "reasoning", "tool-calling"}),
    ],
)
def test_the_file_gives_away_what_a_model_is_good_for(
    architecture: str, template: str | None, keys: dict[str, Any], labels: set[str], tmp_path: Path
) -> None:
    found = facts.of(write_gguf(tmp_path / "m.gguf", architecture, template=template, **keys))
    assert found.labels == labels
    assert found.has_chat_template == bool(template)


@pytest.mark.parametrize(
    ("architecture", "keys", "pooling", "encoder"),
    [
        ("llama", {}, None, False),
        ("bert", {"pooling_type": 1}, "mean", True),
        ("nomic-bert", {}, None, True),
        ("bert", {"pooling_type": 2}, "cls", True),
        ("qwen3", {"pooling_type": 3}, "last", False),
        ("qwen3", {"pooling_type": 4}, "rank", False),
        ("llama", {"pooling_type": 0}, "none", False),
        ("llama", {"pooling_type": 77}, None, False),
    ],
)
def test_the_file_says_how_a_text_becomes_one_vector(
    architecture: str, keys: dict[str, Any], pooling: str | None, encoder: bool, tmp_path: Path
) -> None:
    found = facts.of(write_gguf(tmp_path / "m.gguf", architecture, **keys))
    assert (found.pooling, found.encoder) == (pooling, encoder)


def test_shards_are_counted_together_whichever_is_named(tmp_path: Path) -> None:
    first = write_gguf(tmp_path / "m-00001-of-00002.gguf", context_length=4096)
    second = write_gguf(tmp_path / "m-00002-of-00002.gguf", "other")
    for shard in (first, second):
        found = facts.of(shard)
        assert (found.architecture, found.context_length) == ("llama", 4096)
        assert found.file_bytes == first.stat().st_size + second.stat().st_size
        assert found.parameters == 2 * 32
    second.unlink()
    with pytest.raises(FileNotFoundError):
        facts.of(first)


def test_a_file_is_read_again_only_when_it_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []
    read = facts.read_header
    monkeypatch.setattr(facts, "read_header", lambda path: reads.append(path) or read(path))
    path = write_gguf(tmp_path / "m.gguf", context_length=1024)

    assert facts.of(path) is facts.of(path)
    assert len(reads) == 1

    write_gguf(path, context_length=2048)
    os.utime(path, ns=(0, 1))
    assert facts.of(path).context_length == 2048


def test_a_context_length_that_is_no_number_counts_as_none(tmp_path: Path) -> None:
    assert facts.of(write_gguf(tmp_path / "m.gguf", context_length="long")).context_length == 0


def test_the_vocabulary_is_never_made_into_texts(tmp_path: Path) -> None:
    found = facts.read_header(write_gguf(tmp_path / "m.gguf", tokens=5000))
    assert found.values["tokenizer.ggml.tokens"] == 5000


def test_another_kind_of_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(b"#!/bin/sh\n")
    with pytest.raises(NotAGGUF):
        facts.of(path)


@given(st.data())
def test_damage_is_harmless_or_an_error(tmp_path: Path, data: st.DataObject) -> None:
    whole = write_gguf(tmp_path / "whole.gguf", "gemma3", attention__sliding_window=512, tokens=3, **SHAPE).read_bytes()
    damaged = bytearray(whole[: data.draw(st.integers(24, len(whole)))])
    for _ in range(data.draw(st.integers(0, 3))):
        damaged[data.draw(st.integers(8, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.gguf"
    path.write_bytes(bytes(damaged))
    os.utime(path, ns=(0, data.draw(st.integers(0, 2**60))))
    try:
        found = facts.of(path)
    except GGUFError:
        return
    assert found.kv_bytes_per_token >= 0
