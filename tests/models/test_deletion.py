"""Deleting out of a cache that the local hub has filled."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub.utils import WeakFileLock

from lemonade_like.models.deletion import Deleted, delete_model
from lemonade_like.models.pull import Wanted
from tests.support.hub import COMMIT, Hub, running_hub, weights
from tests.support.pulls import Puller

SHARDS = [f"BF16/m-BF16-0000{number}-of-00002.gguf" for number in (1, 2)]
FILES = ["m-Q4_K_M.gguf", "m-UD-Q4_K_M.gguf", "m-Q8_0.gguf", *SHARDS, "mmproj-F16.gguf"]
NEWER = "f" * 40


@pytest.fixture
def hub() -> Iterator[Hub]:
    contents = {name: weights(1000 + number, seed=number) for number, name in enumerate(FILES)}
    with running_hub({"org/repo": contents, "org/eyes": {"mmproj-x.gguf": weights(10)}}) as running:
        yield running


@pytest.fixture
def puller(hub: Hub, tmp_path: Path) -> Puller:
    return Puller(hub, tmp_path / "cache")


def delete(puller: Puller, checkpoint: str, *others: Wanted, **more: Any) -> Deleted:
    return delete_model(Wanted(checkpoint, **more), others, puller.cache)


def repository(puller: Puller) -> Path:
    return puller.cache / "models--org--repo"


def test_the_last_model_of_a_repository_leaves_nothing_behind(puller: Puller) -> None:
    puller.pull("org/repo:BF16", vision=True)
    deleted = delete(puller, "org/repo:BF16", vision=True)
    assert deleted == Deleted(3, 1003 + 1004 + 1005, ())
    assert not repository(puller).exists()
    assert puller.files() == []


def test_another_quantisation_stays_and_so_does_the_projector_that_both_have(puller: Puller) -> None:
    puller.pull("org/repo:Q4_K_M", vision=True)
    other = puller.pull("org/repo:Q8_0", vision=True)
    deleted = delete(puller, "org/repo:Q4_K_M", vision=True)
    assert deleted == Deleted(1, 1000, ("mmproj-F16.gguf",))
    assert puller.found("org/repo:Q4_K_M") is None
    assert puller.found("org/repo:Q8_0") == other
    assert (other.parent / "mmproj-F16.gguf").is_file()

    assert delete(puller, "org/repo:Q8_0", vision=True).files == 2
    assert not repository(puller).exists()


def test_a_variant_is_not_mistaken_for_the_plain_quantisation(puller: Puller) -> None:
    path = puller.pull("org/repo:UD-Q4_K_M")
    assert delete(puller, "org/repo:Q4_K_M").files == 0
    assert path.is_file()


def test_a_file_that_was_linked_in_from_elsewhere_stays_and_only_the_link_goes(puller: Puller, tmp_path: Path) -> None:
    mine = tmp_path / "mine" / "precious.gguf"
    mine.parent.mkdir()
    mine.write_bytes(b"GGUF")
    linked = repository(puller) / "snapshots" / COMMIT / "m-Q4_K_M.gguf"
    linked.parent.mkdir(parents=True)
    linked.symlink_to(mine)
    assert delete(puller, "org/repo:Q4_K_M") == Deleted(1, 0, ())
    assert mine.read_bytes() == b"GGUF"
    assert puller.files() == []


def test_a_folder_that_was_linked_in_from_elsewhere_loses_nothing(puller: Puller, tmp_path: Path) -> None:
    mine = tmp_path / "mine" / "m-Q4_K_M.gguf"
    mine.parent.mkdir()
    mine.write_bytes(b"GGUF")
    snapshots = repository(puller) / "snapshots"
    snapshots.mkdir(parents=True)
    (snapshots / COMMIT).symlink_to(mine.parent)
    delete(puller, "org/repo:Q4_K_M")
    assert mine.read_bytes() == b"GGUF"


def test_a_repository_that_lies_elsewhere_is_deleted_there(puller: Puller, tmp_path: Path) -> None:
    puller.pull("org/repo:Q4_K_M")
    moved = tmp_path / "large disk"
    repository(puller).rename(moved)
    repository(puller).symlink_to(moved)
    assert delete(puller, "org/repo:Q4_K_M") == Deleted(1, 1000, ())
    assert not list(moved.rglob("*.gguf"))


def test_files_that_another_model_is_made_of_stay(puller: Puller) -> None:
    path = puller.pull("org/repo:Q4_K_M")
    same = Wanted("org/repo:m-Q4_K_M.gguf")
    assert delete(puller, "org/repo:Q4_K_M", same) == Deleted(0, 0, ("m-Q4_K_M.gguf",))
    assert path.is_file()


def test_all_revisions_go_but_not_a_blob_that_has_another_name(hub: Hub, puller: Puller) -> None:
    old = puller.pull("org/repo:Q4_K_M")
    hub.commits["org/repo"] = NEWER
    # In the new revision the same content is another model, too.
    hub.repos["org/repo"]["renamed-Q5_0.gguf"] = hub.repos["org/repo"]["m-Q4_K_M.gguf"]
    new = puller.pull("org/repo:Q4_K_M")
    renamed = puller.pull("org/repo:Q5_0")
    assert delete(puller, "org/repo:Q4_K_M").files == 2
    assert not old.is_symlink()
    assert not old.parent.exists()
    assert not new.is_symlink()
    assert renamed.read_bytes() == hub.repos["org/repo"]["m-Q4_K_M.gguf"]
    assert puller.found("org/repo:Q5_0") == renamed


def test_a_projector_of_another_repository_goes_with_the_model(puller: Puller) -> None:
    puller.pull("org/repo:Q4_K_M", "org/eyes:mmproj-x.gguf")
    assert delete(puller, "org/repo:Q4_K_M", mmproj="org/eyes:mmproj-x.gguf").files == 2
    assert puller.files() == []


def test_what_was_begun_goes_unless_somebody_is_fetching_it(puller: Puller) -> None:
    puller.pull("org/repo:Q4_K_M")
    blobs = repository(puller) / "blobs"
    (blobs / "abandoned.incomplete").write_bytes(b"x" * 7)
    (blobs / "running.incomplete").write_bytes(b"x")
    lock = puller.cache / ".locks" / "models--org--repo" / "running.lock"
    with WeakFileLock(lock):
        assert delete(puller, "org/repo:Q4_K_M") == Deleted(2, 1007, ())
    assert puller.files() == ["running.incomplete"]


def test_a_model_that_lacks_a_shard_can_be_deleted(puller: Puller) -> None:
    first = puller.pull("org/repo:BF16")
    first.unlink()
    assert delete(puller, "org/repo:BF16").files == 1
    assert not list(repository(puller).rglob("*.gguf"))


def test_files_of_other_programs_and_repositories_stay(puller: Puller) -> None:
    path = puller.pull("org/repo:Q4_K_M")
    (path.parent / "config.json").write_text("{}")
    eyes = puller.pull("org/eyes:mmproj-x.gguf")
    assert delete(puller, "org/repo:Q4_K_M").files == 1
    assert (path.parent / "config.json").read_text() == "{}"
    assert (repository(puller) / "refs" / "main").read_text() == COMMIT
    assert eyes.is_file()


def test_files_that_are_no_links_are_deleted_too(puller: Puller) -> None:
    path = puller.pull("org/repo:Q4_K_M")
    blob = path.resolve()
    path.unlink()
    shutil.move(blob, path)
    assert delete(puller, "org/repo:Q4_K_M") == Deleted(1, 1000, ())
    assert not repository(puller).exists()


def test_a_blob_that_repositories_share_stays_if_nobody_knows_who_else_has_it(puller: Puller) -> None:
    # As huggingface-hub lays it out: blobs/XX/HASH, with a list of who refers to it.
    path = puller.pull("org/repo:Q4_K_M")
    blob = path.resolve()
    name = "ab" * 32
    store = puller.cache / "blobs"
    entry = store / name[:2] / name
    entry.parent.mkdir(parents=True)
    (store / ".huggingface-shared-blobs").write_text("1\n")
    shutil.move(blob, entry)
    blob.symlink_to(os.path.relpath(entry, blob.parent))
    assert delete(puller, "org/repo:Q4_K_M").files == 1
    assert not blob.is_symlink()
    # Without the list nobody can tell who else refers to it.
    assert entry.is_file()


def test_nothing_is_deleted_where_nothing_is(puller: Puller) -> None:
    assert delete(puller, "org/repo:Q4_K_M") == Deleted(0, 0, ())
