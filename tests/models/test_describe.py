from __future__ import annotations

from pathlib import Path

import pytest

from lemonade_like.models.bundled import GGUF_SIZE
from lemonade_like.models.model import FileEntry, Model
from tests.support.ggufs import write_gguf
from tests.support.models import Machine

TEMPLATE = "{% if tools %}{{ tools }}{% endif %}<think>"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_model_that_is_here_is_described_by_its_file(machine: Machine) -> None:
    (path, projector) = machine.cached("org/repo", "m-Q4_K_M.gguf", "mmproj-F16.gguf")
    write_gguf(path, "qwen3", template=TEMPLATE, context_length=40_960, file_type=15)
    registry = machine.registry()

    told = registry.describe(registry.find("org/repo:Q4_K_M")).as_json()

    assert told == {
        "id": "org/repo:Q4_K_M",
        "checkpoint": "org/repo:Q4_K_M",
        "recipe": "llamacpp",
        "labels": ["reasoning", "tool-calling", "vision"],
        "mode": "chat",
        "source": "hub",
        "suggested": False,
        "downloaded": True,
        "size": round((path.stat().st_size + projector.stat().st_size) / 1e9, 3),
        "context_length": 40_960,
        "quantization": "Q4_K_M",
        "parameters": 32,
        "architecture": "qwen3",
        "recipe_options": {},
    }


def test_a_model_that_is_not_here_is_described_by_its_entry(machine: Machine) -> None:
    registry = machine.registry()
    told = registry.describe(registry.find("Qwen3.5-4B-GGUF")).as_json()
    assert told["downloaded"] is False
    assert told["labels"] == ["hot", "reasoning", "tool-calling", "vision"]
    assert (told["size"], told["context_length"], told["quantization"]) == (None, None, "UD-Q4_K_XL")
    known = Model("x", checkpoint="org/repo:Q4_0", size=1.5)
    assert registry.describe(known).as_json()["size"] == 1.5


def test_the_bundled_model_is_described_before_it_is_unpacked_and_after(machine: Machine) -> None:
    registry = machine.registry()
    model = registry.find("tiny-gpt-oss")
    packed = registry.describe(model)
    assert (packed.size_bytes, packed.facts) == (GGUF_SIZE, None)
    assert not (machine.folder / "cache").exists()
    registry.locate(model)
    unpacked = registry.describe(model).as_json()
    assert (unpacked["size"], unpacked["context_length"]) == (round(GGUF_SIZE / 1e9, 3), 131_072)


@pytest.mark.parametrize(
    ("name", "architecture", "keys", "mode"),
    [
        ("nomic-embed-text-v1.5-GGUF", None, {}, "embeddings"),
        ("bge-reranker-v2-m3-GGUF", None, {}, "reranking"),
        ("org/repo:Q4_0", "nomic-bert", {}, "embeddings"),
        ("org/repo:Q4_0", "qwen3", {"pooling_type": 4}, "reranking"),
        ("org/repo:Q4_0", "qwen3", {}, "chat"),
        ("org/repo:Q4_0", None, {}, "chat"),
    ],
)
def test_what_a_model_is_for_is_told_by_its_entry_or_its_file(
    name: str, architecture: str | None, keys: dict[str, int], mode: str, machine: Machine
) -> None:
    if architecture is not None:
        write_gguf(machine.cached("org/repo", "m-Q4_0.gguf")[0], architecture, **keys)
    registry = machine.registry()
    assert registry.describe(registry.find(name)).as_json()["mode"] == mode


def test_a_built_in_models_labels_are_those_of_its_entry(machine: Machine) -> None:
    (path,) = machine.cached("ggml-org/gemma-3-4b-it-GGUF", "gemma-3-4b-it-Q4_K_M.gguf")
    write_gguf(path, "gemma3", template=TEMPLATE)
    registry = machine.registry()
    assert registry.describe(registry.find("gemma-3-4b-it-GGUF")).labels == ["vision"]


def test_a_file_that_has_gone_is_not_called_there(machine: Machine) -> None:
    path = write_gguf(machine.folder / "m.gguf")
    registry = machine.registry(models=[str(path)])
    assert registry.describe(registry.find("m")).as_json()["downloaded"] is True
    path.unlink()
    assert registry.describe(registry.find("m")).as_json()["downloaded"] is False


def test_a_file_that_cannot_be_read_is_listed_all_the_same(machine: Machine) -> None:
    path = machine.folder / "bad.gguf"
    path.write_bytes(b"#!/bin/sh")
    registry = machine.registry()
    registry.register("bad", FileEntry(path=path))
    told = registry.describe(registry.find("user.bad"))
    assert "is not a GGUF file" in (told.unreadable or "")
    assert told.as_json()["downloaded"] is True
