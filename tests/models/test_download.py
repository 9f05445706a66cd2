from __future__ import annotations

from pathlib import Path

import pytest

from lemonade_like.models.download import (
    Checkpoint,
    NoSuchFiles,
    choose_files,
    files_of,
    find_in_cache,
)
from tests.support.hub import COMMIT

SHARDS = [f"UD-Q8_K_XL/m-UD-Q8_K_XL-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
FILES = [
    ".gitattributes",
    "README.md",
    "m-F16.gguf",
    "m-BF16.gguf",
    "m-Q4_K.gguf",
    "m-Q4_K_M.gguf",
    "m-UD-Q4_K_M.gguf",
    "m-IQ4_XS.gguf",
    "m.Q5_K_S.gguf",
    "m_Q6_K.GGUF",
    "mmproj-F16.gguf",
    "m-mmproj-BF16.gguf",
    "mtp-m-Q4_K_M.gguf",
    "m-MTP-Q6_K.gguf",
    "m-draft-Q4_K_M.gguf",
    "drafter/m-Q5_K_S.gguf",
    "imatrix.gguf",
    SHARDS[2],
    SHARDS[0],
    SHARDS[1],
]


@pytest.mark.parametrize(
    ("quant", "expected"),
    [
        ("F16", ["m-F16.gguf"]),
        ("bf16", ["m-BF16.gguf"]),
        ("Q4_K", ["m-Q4_K.gguf"]),
        ("Q4_K_M", ["m-Q4_K_M.gguf"]),
        ("UD-Q4_K_M", ["m-UD-Q4_K_M.gguf"]),
        ("IQ4_XS", ["m-IQ4_XS.gguf"]),
        ("Q5_K_S", ["m.Q5_K_S.gguf"]),
        ("q6_k", ["m_Q6_K.GGUF"]),
        ("UD-Q8_K_XL", SHARDS),
        ("mmproj-F16.gguf", ["mmproj-F16.gguf"]),
        ("m-draft-Q4_K_M.gguf", ["m-draft-Q4_K_M.gguf"]),
        ("m-UD-Q8_K_XL-00001-of-00003.gguf", SHARDS),
    ],
)
def test_exactly_the_files_of_the_quantisation_are_chosen_with_shards_in_order(quant: str, expected: list[str]) -> None:
    assert choose_files(FILES, quant) == expected
    assert choose_files(reversed(FILES), quant) == expected


@pytest.mark.parametrize("quant", ["Q4", "XS", "4_K_M", "Q4_XS", "Q8_K", "Q8_K_XL", "missing.gguf", "K_M"])
def test_a_part_of_a_name_is_no_quantisation(quant: str) -> None:
    with pytest.raises(NoSuchFiles, match=r"no \.gguf file") as error:
        choose_files([file for file in FILES if file != "m-Q4_K_M.gguf"], quant)
    assert "m-F16" in error.value.choices


def test_of_two_files_that_differ_in_case_only_the_one_spelt_as_asked_is_chosen() -> None:
    files = ["big-MXFP4.gguf", "big-mxfp4-00001-of-00002.gguf", "big-mxfp4-00002-of-00002.gguf"]
    assert choose_files(files, "MXFP4") == files[:1]
    assert choose_files(files, "mxfp4") == files[1:]


def test_a_repository_with_one_model_needs_no_quantisation() -> None:
    assert choose_files(["only.gguf", "mmproj-only.gguf"], None) == ["only.gguf"]


def test_several_matches_are_ambiguous_and_listed() -> None:
    with pytest.raises(NoSuchFiles, match="2 models match Q4_0") as error:
        choose_files(["a-Q4_0.gguf", "b-Q4_0.gguf"], "Q4_0")
    assert error.value.choices == ("a-Q4_0", "b-Q4_0")
    assert error.value.ambiguous
    with pytest.raises(NoSuchFiles, match="models match"):
        choose_files(FILES, None)


def test_a_model_with_a_missing_shard_is_refused() -> None:
    with pytest.raises(NoSuchFiles, match="shard 2 of 3 is missing"):
        choose_files([SHARDS[0], SHARDS[2]], "UD-Q8_K_XL")


def test_a_checkpoint_is_a_repository_and_perhaps_a_quantisation() -> None:
    assert Checkpoint.parse("org/repo:Q4_K_M") == Checkpoint("org/repo", "Q4_K_M")
    assert Checkpoint.parse("org/repo") == Checkpoint("org/repo", None)


def put_into_cache(cache: Path, revision: str, *names: str) -> Path:
    snapshot = cache / "models--org--repo" / "snapshots" / revision
    for name in names:
        (snapshot / name).parent.mkdir(parents=True, exist_ok=True)
        (snapshot / name).write_text(name)
    return snapshot


def test_other_quantisations_in_the_cache_are_not_mistaken_for_the_one_asked_for(tmp_path: Path) -> None:
    put_into_cache(tmp_path, COMMIT, "m-Q4_K_M.gguf", "m-UD-Q5_K_M.gguf", "m-draft-Q8_0.gguf", "mmproj-F16.gguf")
    assert find_in_cache(Checkpoint("org/repo", "Q4_K_M"), tmp_path) is not None
    for quant in ("Q4_K", "Q5_K_M", "Q8_0", "F16"):
        assert find_in_cache(Checkpoint("org/repo", quant), tmp_path) is None
    assert find_in_cache(Checkpoint("org/other", "Q4_K_M"), tmp_path) is None


def test_a_model_that_lacks_a_shard_is_not_taken_for_whole(tmp_path: Path) -> None:
    snapshot = put_into_cache(tmp_path, COMMIT, *SHARDS)
    checkpoint = Checkpoint("org/repo", "UD-Q8_K_XL")
    assert find_in_cache(checkpoint, tmp_path) == snapshot / SHARDS[0]
    (snapshot / SHARDS[1]).unlink()
    assert find_in_cache(checkpoint, tmp_path) is None
    assert files_of(SHARDS[1:], "UD-Q8_K_XL") == SHARDS[1:]


def test_a_model_of_an_older_revision_is_found_when_main_has_moved_on(tmp_path: Path) -> None:
    snapshot = put_into_cache(tmp_path, COMMIT, "m-F16.gguf")
    put_into_cache(tmp_path, "feed", "README.md")
    (tmp_path / "models--org--repo" / "refs").mkdir()
    (tmp_path / "models--org--repo" / "refs" / "main").write_text("feed")
    assert find_in_cache(Checkpoint("org/repo", "F16"), tmp_path) == snapshot / "m-F16.gguf"
