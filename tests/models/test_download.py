from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lemonade_like.models.download import (
    Checkpoint,
    DownloadError,
    NoSuchFiles,
    choose_files,
    download,
    find_in_cache,
)
from tests.support.hub import COMMIT, GATED, Hub, running_hub

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
        ("Q8_K_XL", SHARDS),
        ("mmproj-F16.gguf", ["mmproj-F16.gguf"]),
        ("m-draft-Q4_K_M.gguf", ["m-draft-Q4_K_M.gguf"]),
        ("m-UD-Q8_K_XL-00001-of-00003.gguf", SHARDS),
    ],
)
def test_exactly_the_files_of_the_quantisation_are_chosen_with_shards_in_order(quant: str, expected: list[str]) -> None:
    assert choose_files(FILES, quant) == expected
    assert choose_files(reversed(FILES), quant) == expected


@pytest.mark.parametrize("quant", ["Q4", "XS", "4_K_M", "Q4_XS", "Q8_K", "missing.gguf", "K_M"])
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
    with pytest.raises(NoSuchFiles, match="models match"):
        choose_files(FILES, None)


def test_a_model_with_a_missing_shard_is_refused() -> None:
    with pytest.raises(NoSuchFiles, match="shard 2 of 3 is missing"):
        choose_files([SHARDS[0], SHARDS[2]], "Q8_K_XL")


def test_a_checkpoint_is_a_repository_and_perhaps_a_quantisation() -> None:
    assert Checkpoint.parse("org/repo:Q4_K_M") == Checkpoint("org/repo", "Q4_K_M")
    assert Checkpoint.parse("org/repo") == Checkpoint("org/repo", None)


@pytest.fixture
def hub() -> Iterator[Hub]:
    repos = {"org/repo": {name: name.encode() for name in FILES}, "org/empty": {"README.md": b"hello"}}
    with running_hub(repos) as running:
        yield running


def fetch(checkpoint: str, hub: Hub, cache: Path) -> Path:
    return download(Checkpoint.parse(checkpoint), endpoint=hub.url, hub_cache=cache)


def test_a_download_fetches_the_files_once_and_the_cache_has_them_then(hub: Hub, tmp_path: Path) -> None:
    checkpoint = Checkpoint("org/repo", "UD-Q8_K_XL")
    assert find_in_cache(checkpoint, tmp_path) is None
    told: list[tuple[str, int, int]] = []

    path = download(checkpoint, endpoint=hub.url, hub_cache=tmp_path, on_file=lambda *file: told.append(file))

    assert hub.fetched == SHARDS
    assert told == [(SHARDS[0], 1, 3), (SHARDS[1], 2, 3), (SHARDS[2], 3, 3)]
    assert path == find_in_cache(checkpoint, tmp_path)
    assert [(path.parents[1] / name).read_text() for name in SHARDS] == SHARDS
    assert fetch("org/repo:UD-Q8_K_XL", hub, tmp_path) == path
    assert hub.fetched == SHARDS


def test_other_quantisations_in_the_cache_are_not_mistaken_for_the_one_asked_for(hub: Hub, tmp_path: Path) -> None:
    fetch("org/repo:Q4_K_M", hub, tmp_path)
    assert find_in_cache(Checkpoint("org/repo", "Q4_K"), tmp_path) is None
    assert find_in_cache(Checkpoint("org/other", "Q4_K_M"), tmp_path) is None


def test_a_download_that_was_cut_off_between_shards_is_not_taken_for_whole(hub: Hub, tmp_path: Path) -> None:
    path = fetch("org/repo:UD-Q8_K_XL", hub, tmp_path)
    (path.parent / Path(SHARDS[1]).name).unlink()
    assert find_in_cache(Checkpoint("org/repo", "UD-Q8_K_XL"), tmp_path) is None


def test_a_model_of_an_older_revision_is_found_when_main_has_moved_on(hub: Hub, tmp_path: Path) -> None:
    path = fetch("org/repo:F16", hub, tmp_path)
    snapshots = path.parent.parent
    (snapshots / "feed").mkdir()
    (snapshots / "feed" / "README.md").write_text("new")
    (snapshots.parent / "refs").mkdir()
    (snapshots.parent / "refs" / "main").write_text("feed")
    assert path.parent.name == COMMIT
    assert find_in_cache(Checkpoint("org/repo", "F16"), tmp_path) == path


@pytest.mark.parametrize(
    ("checkpoint", "parts"),
    [
        ("org/missing:Q4_K_M", ["There is no repository org/missing", "HF_TOKEN"]),
        (f"{GATED}:Q4_K_M", ["accepted its licence", "HF_TOKEN"]),
        ("org/repo:Q3_K_M", ["no .gguf file of Q3_K_M", "m-Q4_K_M"]),
        ("org/repo", ["models match", "m-Q4_K_M"]),
        ("org/empty:Q4_K_M", ["no .gguf file of Q4_K_M", "no .gguf file at all"]),
    ],
)
def test_what_the_hub_does_not_have_is_explained_in_three_lines(
    checkpoint: str, parts: list[str], hub: Hub, tmp_path: Path
) -> None:
    with pytest.raises(DownloadError) as error:
        fetch(checkpoint, hub, tmp_path)
    assert len(error.value.message.splitlines()) <= 3
    for part in parts:
        assert part in error.value.message


def test_a_hub_that_cannot_be_reached_is_explained(tmp_path: Path) -> None:
    with running_hub({}) as gone:
        pass
    with pytest.raises(DownloadError, match="cannot be reached") as error:
        fetch("org/repo:Q4_K_M", gone, tmp_path)
    assert len(error.value.message.splitlines()) <= 3
