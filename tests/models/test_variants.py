from __future__ import annotations

from pathlib import Path

import pytest

from lemonade_like.models.download import choose_files
from lemonade_like.models.remote import RemoteFile, Repository
from lemonade_like.models.variants import suggested_labels, variants_of

SHARDS = [f"BF16/m-BF16-0000{number}-of-00002.gguf" for number in (1, 2)]
NAMES = [
    "README.md",
    "m-Q8_0.gguf",
    "m-UD-Q4_K_XL.gguf",
    "m-IQ4_XS.gguf",
    "m-Q4_K_M.gguf",
    *reversed(SHARDS),
    "F16/m-F16-00002-of-00002.gguf",
    "mmproj-F16.gguf",
    "m-draft-Q4_K_M.gguf",
]


def repository(*names: str, repo: str = "org/repo") -> Repository:
    return Repository(repo, "main", tuple(RemoteFile(repo, "main", name, 10, "0" * 64) for name in names))


def test_each_complete_model_is_listed_under_a_name_that_means_just_it(tmp_path: Path) -> None:
    found = variants_of(repository(*NAMES), tmp_path)
    assert [variant.name for variant in found] == ["Q4_K_M", "UD-Q4_K_XL", "Q8_0", "BF16", "IQ4_XS"]
    for variant in found:
        assert choose_files(NAMES, variant.name) == list(variant.files)
    assert [variant.name for variant in found if variant.recommended] == ["Q4_K_M"]
    bf16 = next(variant for variant in found if variant.name == "BF16")
    assert bf16.as_json() == {
        "name": "BF16",
        "primary_file": SHARDS[0],
        "files": SHARDS,
        "sharded": True,
        "size_bytes": 20,
        "downloaded": False,
        "recommended": False,
    }


def test_models_that_share_a_quantisation_are_told_apart_by_their_files(tmp_path: Path) -> None:
    names = ["a-Q4_0.gguf", "b-Q4_0.gguf", "nameless.gguf"]
    assert [variant.name for variant in variants_of(repository(*names), tmp_path)] == names


def test_a_model_that_is_here_is_shown_as_downloaded(tmp_path: Path) -> None:
    snapshot = tmp_path / "models--org--repo" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "m-Q8_0.gguf").write_bytes(b"GGUF")
    downloaded = [variant.name for variant in variants_of(repository(*NAMES), tmp_path) if variant.downloaded]
    assert downloaded == ["Q8_0"]


def test_gpt_oss_is_recommended_as_it_was_trained(tmp_path: Path) -> None:
    names = ["gpt-oss-20b-Q4_K_M.gguf", "gpt-oss-20b-mxfp4.gguf", "gpt-oss-20b-F16.gguf"]
    assert variants_of(repository(*names), tmp_path)[0].name == "MXFP4"


@pytest.mark.parametrize(
    ("repo", "files", "labels"),
    [
        ("ggml-org/gpt-oss-20b-GGUF", ["m.gguf"], ["gpt-oss"]),
        ("org/eyes", ["m.gguf", "mmproj-m.gguf"], ["vision"]),
        ("org/nomic-embed-text", ["m.gguf"], ["embeddings"]),
        ("org/bge-Reranker", ["m.gguf"], ["reranking"]),
        ("org/plain", ["m.gguf"], []),
    ],
)
def test_what_a_model_can_do_is_guessed_from_its_files_and_name(repo: str, files: list[str], labels: list[str]) -> None:
    assert suggested_labels(repository(*files, repo=repo)) == labels
