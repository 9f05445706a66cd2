"""Pulls in this process, from a hub that fails in every way."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub import file_download

from lemonade_like.models import fetch as fetch_module
from lemonade_like.models.hub import HubPlace
from lemonade_like.models.hub_errors import (
    AccessDenied,
    BadCheckpoint,
    DamagedDownload,
    DownloadError,
    HubUnreachable,
    NoSuchRepository,
    NotEnoughSpace,
)
from lemonade_like.models.progress import Progress, Tracker
from lemonade_like.models.pull import Pulling, Wanted
from tests.support.hub import COMMIT, GATED, Gate, Hub, running_hub, weights
from tests.support.pulls import Disk, Puller

ONE = "m-Q4_K_M.gguf"
SHARDS = [f"UD-Q8_K_XL/m-UD-Q8_K_XL-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
PROJECTORS = ["mmproj-BF16.gguf", "mmproj-F16.gguf"]
OTHERS = ["m-Q4_K_S.gguf", "m-UD-Q4_K_M.gguf", "mtp-m-Q4_K_M.gguf", "m-draft-Q4_K_M.gguf", "imatrix.gguf"]
PIECE = 256 * 1024
SIZE = 4 * PIECE


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr(fetch_module.constants, "DOWNLOAD_CHUNK_SIZE", PIECE)
    # The library waits a second before it takes up a line that broke.
    monkeypatch.setattr(file_download, "time", SimpleNamespace(sleep=lambda _: None))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    names = [ONE, *SHARDS, *PROJECTORS, *OTHERS]
    repos = {
        "org/repo": {name: weights(SIZE if name == ONE else 1000 + number) for number, name in enumerate(names)},
        "org/empty": {"README.md": b"hello"},
        GATED: {ONE: weights(100)},
    }
    with running_hub(repos) as running:
        yield running


@pytest.fixture
def puller(hub: Hub, tmp_path: Path) -> Puller:
    return Puller(hub, tmp_path / "cache")


def test_a_pull_fetches_the_model_and_nothing_else_and_it_is_found_then(hub: Hub, puller: Puller) -> None:
    assert puller.found(f"org/repo:{ONE}") is None
    path = puller.pull("org/repo:Q4_K_M")
    assert hub.fetched == [ONE]
    assert path.name == ONE
    assert path.parent.name == COMMIT
    assert path.read_bytes() == hub.repos["org/repo"][ONE]
    assert puller.found("org/repo:Q4_K_M") == path


def test_huggingface_hub_itself_finds_what_was_pulled(hub: Hub, puller: Puller) -> None:
    path = puller.pull("org/repo:Q4_K_M")
    code = (
        "import sys, huggingface_hub as h\n"
        "print(h.hf_hub_download('org/repo', sys.argv[1]))\n"
        "assert not h.scan_cache_dir().warnings"
    )
    environ = os.environ | {"HF_ENDPOINT": hub.url, "HF_HUB_CACHE": str(puller.cache)}
    found = subprocess.run([sys.executable, "-c", code, ONE], env=environ, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == str(path)
    assert hub.fetched == [ONE]


def test_shards_are_fetched_from_one_revision_and_the_first_comes_last(hub: Hub, puller: Puller) -> None:
    pulling = puller.begin("org/repo:UD-Q8_K_XL")
    plan = pulling.plan()
    hub.commits["org/repo"] = "f" * 40  # somebody pushes meanwhile
    path = pulling.run(plan, Tracker(plan))
    assert hub.fetched == list(reversed(SHARDS))
    assert path == puller.found("org/repo:UD-Q8_K_XL")
    assert {COMMIT} == {seen.path.split("/resolve/")[1].partition("/")[0] for seen in hub.seen if seen.cdn}


def test_a_model_of_which_a_shard_is_missing_does_not_look_whole(hub: Hub, puller: Puller) -> None:
    hub.faults.statuses[SHARDS[0]].append(404)
    with pytest.raises(DownloadError):
        puller.pull("org/repo:UD-Q8_K_XL")
    assert hub.fetched == [SHARDS[2], SHARDS[1]]
    assert puller.found("org/repo:UD-Q8_K_XL") is None


def test_a_vision_model_is_fetched_with_its_projector_first(hub: Hub, puller: Puller) -> None:
    puller.pull("org/repo:Q4_K_M", vision=True)
    assert hub.fetched == ["mmproj-F16.gguf", ONE]


def test_a_projector_that_is_named_is_fetched_wherever_it_is(hub: Hub, puller: Puller) -> None:
    hub.repos["org/eyes"] = {"mmproj-x.gguf": weights(500)}
    puller.pull("org/repo:Q4_K_M", "mmproj-BF16.gguf", vision=True)
    puller.pull("org/repo:Q4_K_M", "org/eyes:mmproj-x.gguf")
    assert hub.fetched == ["mmproj-BF16.gguf", ONE, "mmproj-x.gguf"]


def test_a_line_that_breaks_is_taken_up_where_it_broke(hub: Hub, puller: Puller) -> None:
    hub.faults.breaks[ONE].extend([PIECE + 1000, 2 * PIECE])
    path = puller.pull("org/repo:Q4_K_M")
    assert hub.starts(ONE) == [0, PIECE, 3 * PIECE]
    assert path.read_bytes() == hub.repos["org/repo"][ONE]


def test_a_pull_goes_on_where_the_last_one_stopped(hub: Hub, puller: Puller) -> None:
    # The hub is unwell after the first answer has broken off, for longer than anybody waits.
    hub.faults.breaks[ONE].append(2 * PIECE)
    hub.faults.statuses[ONE].clear()
    cut_off_after_first_answer(hub)
    with pytest.raises(DownloadError):
        puller.pull("org/repo:Q4_K_M")
    assert puller.found("org/repo:Q4_K_M") is None
    assert puller.files() == [f"{digest_of(hub)}.incomplete"]

    hub.faults.statuses[ONE].clear()
    path = puller.pull("org/repo:Q4_K_M")
    assert hub.starts(ONE) == [0, 2 * PIECE]
    assert path.read_bytes() == hub.repos["org/repo"][ONE]


def test_a_hub_that_cannot_go_on_in_the_middle_is_begun_anew(hub: Hub, puller: Puller) -> None:
    hub.faults.breaks[ONE].append(2 * PIECE)
    hub.faults.ignores_ranges = True
    path = puller.pull("org/repo:Q4_K_M")
    assert hub.starts(ONE) == [0, 2 * PIECE]
    assert path.read_bytes() == hub.repos["org/repo"][ONE]


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_hub_that_is_unwell_for_a_moment_is_asked_again(status: int, hub: Hub, puller: Puller) -> None:
    hub.faults.statuses[ONE].extend([status] * 2)
    assert puller.pull("org/repo:Q4_K_M").is_file()


def test_a_hub_that_is_busy_is_asked_again(hub: Hub, puller: Puller) -> None:
    hub.faults.statuses[ONE].append(429)
    assert puller.pull("org/repo:Q4_K_M").is_file()


def test_a_file_with_a_wrong_hash_is_removed_and_fetched_anew_the_next_time(hub: Hub, puller: Puller) -> None:
    whole = hub.repos["org/repo"][ONE]
    hub.faults.content[ONE] = whole[:-1] + bytes([whole[-1] ^ 1])
    with pytest.raises(DamagedDownload, match="has been removed") as error:
        puller.pull("org/repo:Q4_K_M")
    assert error.value.code == "checksum_mismatch"
    assert puller.found("org/repo:Q4_K_M") is None
    assert puller.files() == []

    hub.faults.content.clear()
    assert puller.pull("org/repo:Q4_K_M").read_bytes() == whole
    assert hub.starts(ONE) == [0, 0]


def test_what_was_fetched_before_and_is_wrong_is_not_built_upon(hub: Hub, puller: Puller) -> None:
    blobs = puller.cache / "models--org--repo" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{digest_of(hub)}.incomplete").write_bytes(b"GGUF" + b"x" * PIECE)
    with pytest.raises(DamagedDownload):
        puller.pull("org/repo:Q4_K_M")
    assert puller.pull("org/repo:Q4_K_M").is_file()


def test_an_error_page_is_refused_with_its_first_bytes(hub: Hub, puller: Puller) -> None:
    hub.faults.content[ONE] = b"<html>Please sign in to the network</html>".ljust(SIZE)
    with pytest.raises(DamagedDownload, match="something else than a GGUF") as error:
        puller.pull("org/repo:Q4_K_M")
    assert error.value.code == "not_a_gguf"
    assert puller.files() == []


def test_a_model_that_is_there_is_checked_and_not_fetched_again(hub: Hub, puller: Puller) -> None:
    puller.pull("org/repo:Q4_K_M")
    puller.pull("org/repo:Q4_K_M")
    assert hub.fetched == [ONE]


def test_a_file_in_the_cache_that_was_damaged_is_replaced(hub: Hub, puller: Puller) -> None:
    path = puller.pull("org/repo:Q4_K_M")
    blob = path.resolve()
    blob.write_bytes(b"GGUF" + blob.read_bytes()[4:].swapcase())
    elsewhere = path.parents[1] / ("a" * 40) / ONE
    elsewhere.parent.mkdir()
    elsewhere.symlink_to(os.path.relpath(blob, elsewhere.parent))
    hub.faults.content[ONE] = b"GGUF".ljust(SIZE)
    with pytest.raises(DamagedDownload):
        puller.pull("org/repo:Q4_K_M")
    assert not path.exists()
    assert not elsewhere.is_symlink()
    assert puller.files() == ["main"]

    hub.faults.content.clear()
    assert puller.pull("org/repo:Q4_K_M").read_bytes() == hub.repos["org/repo"][ONE]


def test_a_new_revision_with_the_same_file_is_linked_and_not_fetched(hub: Hub, puller: Puller) -> None:
    old = puller.pull("org/repo:Q4_K_M")
    hub.commits["org/repo"] = "f" * 40
    new = puller.pull("org/repo:Q4_K_M")
    assert hub.fetched == [ONE]
    assert new != old
    assert new.resolve() == old.resolve()
    assert puller.found("org/repo:Q4_K_M") == new


def test_where_links_cannot_be_made_the_file_itself_is_there(
    hub: Hub, puller: Puller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EPERM, "A required privilege is not held by the client")

    monkeypatch.setattr(Path, "symlink_to", refused)
    path = puller.pull("org/repo:Q4_K_M")
    assert not path.is_symlink()
    assert puller.pull("org/repo:Q4_K_M") == path
    assert hub.fetched == [ONE]


def test_a_small_file_that_is_not_in_lfs_is_checked_by_gits_hash(hub: Hub, puller: Puller) -> None:
    hub.in_git.add("imatrix.gguf")
    assert puller.pull("org/repo:imatrix.gguf").is_file()
    hub.faults.content["m-Q4_K_S.gguf"] = weights(len(hub.repos["org/repo"]["m-Q4_K_S.gguf"]), seed=9)
    hub.in_git.add("m-Q4_K_S.gguf")
    with pytest.raises(DamagedDownload):
        puller.pull("org/repo:Q4_K_S")


def test_a_mirror_that_lists_no_hashes_is_asked_for_each_files(hub: Hub, puller: Puller) -> None:
    hub.faults.lists_names_only = True
    assert puller.pull("org/repo:Q4_K_M").is_file()
    assert next(seen.method for seen in hub.seen if ONE in seen.path) == "HEAD"


def test_a_mirror_without_any_hashes_is_not_trusted(hub: Hub, puller: Puller) -> None:
    hub.faults.lists_names_only = hub.faults.has_no_hashes = True
    with pytest.raises(DownloadError, match="cannot be checked") as error:
        puller.pull("org/repo:Q4_K_M")
    assert error.value.code == "hub_without_hashes"
    assert hub.fetched == []


def test_a_file_that_the_hub_hands_out_to_its_own_tools_only_says_how_to_get_it(
    hub: Hub, puller: Puller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch_module.constants, "MAX_HTTP_DOWNLOAD_SIZE", SIZE - 1)
    with pytest.raises(DownloadError, match=f"hf download org/repo {ONE}"):
        puller.pull("org/repo:Q4_K_M")


@pytest.mark.parametrize(
    ("checkpoint", "kind", "code", "parts"),
    [
        ("org/missing:Q4_K_M", NoSuchRepository, "repository_not_found", ["There is no repository org/missing"]),
        (f"{GATED}:Q4_K_M", AccessDenied, "gated_repository", ["accepted its licence", "HF_TOKEN"]),
        ("org/repo:Q3_K_M", BadCheckpoint, "quant_not_found", ["no .gguf file of Q3_K_M", "org/repo:Q4_K_M"]),
        ("org/repo", BadCheckpoint, "ambiguous_quant", ["models match", "org/repo:Q4_K_M", "org/repo:Q4_K_S"]),
        ("org/empty:Q4_K_M", BadCheckpoint, "quant_not_found", ["no complete model"]),
        ("repo:Q4_K_M", BadCheckpoint, "invalid_checkpoint", ["org/repo"]),
        ("../etc/passwd:Q4_K_M", BadCheckpoint, "invalid_checkpoint", ["org/repo"]),
    ],
)
def test_what_the_hub_does_not_have_is_explained_in_three_lines(
    checkpoint: str, kind: type[DownloadError], code: str, parts: list[str], puller: Puller
) -> None:
    with pytest.raises(kind) as error:
        puller.pull(checkpoint)
    assert error.value.code == code
    assert len(error.value.message.splitlines()) <= 3
    for part in parts:
        assert part in error.value.message
    assert not puller.cache.exists()


def test_the_token_opens_a_gated_repository_and_is_not_shown_to_the_cdn(
    hub: Hub, puller: Puller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", hub.tokens[GATED])
    assert puller.pull(f"{GATED}:Q4_K_M").is_file()
    assert {seen.authorization for seen in hub.seen if not seen.cdn} == {f"Bearer {hub.tokens[GATED]}"}
    assert {seen.authorization for seen in hub.seen if seen.cdn} == {None}


def test_a_token_that_the_hub_refuses_is_explained(hub: Hub, puller: Puller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_expired")
    with pytest.raises(AccessDenied, match="valid token") as error:
        puller.pull(f"{GATED}:Q4_K_M")
    assert error.value.code == "hub_token_refused"


def test_a_hub_that_cannot_be_reached_is_explained(tmp_path: Path) -> None:
    with running_hub({}) as gone:
        pass
    with pytest.raises(HubUnreachable, match="cannot be reached") as error:
        Puller(gone, tmp_path).pull("org/repo:Q4_K_M")
    assert len(error.value.message.splitlines()) <= 3


@pytest.mark.parametrize("status", [429, 500])
def test_a_hub_that_refuses_the_list_of_files_is_explained(status: int, hub: Hub, puller: Puller) -> None:
    hub.faults.api_statuses.append(status)
    with pytest.raises(DownloadError, match=f"status {status}") as error:
        puller.pull("org/repo:Q4_K_M")
    assert error.value.status == 502


@pytest.mark.parametrize(
    "page",
    [b"<html>Please sign in</html>", b"[]", b"{}", b'{"id": "org/repo", "sha": "../../../evil", "siblings": []}'],
)
def test_an_answer_that_no_hub_gives_is_explained(page: bytes, hub: Hub, puller: Puller) -> None:
    hub.faults.api_page = page
    with pytest.raises(DownloadError, match="not what a hub answers"):
        puller.pull("org/repo:Q4_K_M")


@pytest.mark.parametrize(
    "name", ["../../../evil-Q9_0.gguf", "/evil-Q9_0.gguf", "a\\..\\evil-Q9_0.gguf", "C:evil-Q9_0.gguf"]
)
def test_a_file_whose_name_leads_out_of_the_cache_does_not_exist(name: str, hub: Hub, puller: Puller) -> None:
    hub.repos["org/repo"][name] = weights(100)
    with pytest.raises(BadCheckpoint, match="Q9_0"):
        puller.pull("org/repo:Q9_0")
    assert hub.fetched == []


def test_a_model_that_does_not_fit_is_refused_before_anything_is_fetched(hub: Hub, puller: Puller) -> None:
    with pytest.raises(NotEnoughSpace, match="must stay free") as error:
        puller.pull("org/repo:Q4_K_M", disk_usage=Disk(SIZE + 99), reserve=100)
    assert error.value.status == 507
    assert "HF_HOME" in error.value.message
    assert hub.fetched == []
    assert puller.pull("org/repo:Q4_K_M", disk_usage=Disk(SIZE + 100), reserve=100).is_file()


def test_only_what_is_still_to_be_fetched_must_fit(hub: Hub, puller: Puller) -> None:
    hub.faults.breaks[ONE].append(3 * PIECE)
    cut_off_after_first_answer(hub)
    with pytest.raises(DownloadError):
        puller.pull("org/repo:Q4_K_M")
    hub.faults.statuses[ONE].clear()
    with pytest.raises(NotEnoughSpace):
        puller.pull("org/repo:Q4_K_M", disk_usage=Disk(PIECE - 1))
    assert puller.pull("org/repo:Q4_K_M", disk_usage=Disk(PIECE)).is_file()
    # What is whole needs nothing, not even the reserve.
    assert puller.pull("org/repo:Q4_K_M", disk_usage=Disk(0), reserve=100).is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on a file's size")
def test_a_disk_that_becomes_full_keeps_what_came_and_leaves_nothing_that_looks_whole(hub: Hub, puller: Puller) -> None:
    # Python ignores SIGXFSZ, so that writing over the limit fails as on a full disk: first short, then with an error.
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from lemonade_like.models.fetch import read_little_at_a_time\n"
        "from lemonade_like.models.hub import HubPlace\n"
        "from lemonade_like.models.hub_errors import NotEnoughSpace\n"
        "from lemonade_like.models.progress import Tracker\n"
        "from lemonade_like.models.pull import Pulling, Wanted\n"
        "url, cache, limit = sys.argv[1:]\n"
        "read_little_at_a_time()\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))\n"
        "pulling = Pulling(Wanted('org/repo:Q4_K_M'), HubPlace(url, Path(cache)), reserve=0)\n"
        "plan = pulling.plan()\n"
        "try:\n"
        "    pulling.run(plan, Tracker(plan))\n"
        "except NotEnoughSpace as error:\n"
        "    print(error.message)\n"
    )
    limit = 2 * PIECE + 1000
    command = [sys.executable, "-c", code, hub.url, str(puller.cache), str(limit)]
    failed = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "became full" in failed.stdout
    assert puller.found("org/repo:Q4_K_M") is None
    assert puller.files() == [f"{digest_of(hub)}.incomplete"]
    assert puller.pull("org/repo:Q4_K_M").read_bytes() == hub.repos["org/repo"][ONE]
    assert hub.starts(ONE) == [0, limit]


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of half a megabyte; only root can have one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = sys.platform == "linux" and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE // 2}", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("no disk can be mounted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_disk_that_others_have_filled_meanwhile_keeps_what_came(hub: Hub, tiny_disk: Path) -> None:
    puller = Puller(hub, tiny_disk)
    with pytest.raises(NotEnoughSpace, match="became full"):
        puller.pull("org/repo:Q4_K_M", disk_usage=Disk(2 * SIZE))
    assert puller.found("org/repo:Q4_K_M") is None
    (left,) = puller.files()
    assert left == f"{digest_of(hub)}.incomplete"
    with pytest.raises(NotEnoughSpace, match="more, and"):
        puller.pull("org/repo:Q4_K_M")
    assert hub.starts(ONE) == [0]


def test_a_cache_that_cannot_be_written_to_is_explained(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    pulling = Pulling(Wanted("org/repo:Q4_K_M"), HubPlace(hub.url, tmp_path / "file" / "cache"), reserve=0)
    plan = pulling.plan()
    with pytest.raises(DownloadError, match="could not be stored") as error:
        pulling.run(plan, Tracker(plan))
    assert error.value.code == "cache_not_writable"


def test_two_that_pull_the_same_fetch_it_once(hub: Hub, puller: Puller) -> None:
    gate = hub.faults.gates[ONE] = Gate(after=2 * PIECE)
    first = threading.Thread(target=puller.pull, args=("org/repo:Q4_K_M",))
    first.start()
    assert gate.reached.wait(10)
    pulling = puller.begin("org/repo:Q4_K_M")
    plan = pulling.plan()
    tracker = Tracker(plan)
    second = threading.Thread(target=pulling.run, args=(plan, tracker))
    second.start()
    while tracker.progress(0.0).stage != "waiting":
        second.join(0.01)
    seen = tracker.progress(0.0)
    gate.opened.set()
    first.join()
    second.join()
    # It shows how far the other one is.
    assert 0 < seen.bytes_downloaded < seen.bytes_total
    assert hub.starts(ONE) == [0]
    assert tracker.progress(1.0).stage == "verifying"
    assert tracker.progress(1.0).percent == 100


def test_the_progress_tells_files_bytes_and_rate(hub: Hub, puller: Puller) -> None:
    pulling = puller.begin("org/repo:Q4_K_M", vision=True)
    plan = pulling.plan()
    tracker = Tracker(plan)
    tracker.progress(0.0)
    pulling.run(plan, tracker)
    total = plan.size
    assert tracker.progress(2.0) == Progress(ONE, 2, 2, SIZE, SIZE, total, total, "downloading", total / 2, 0.0)


def digest_of(hub: Hub, name: str = ONE) -> str:
    return hashlib.sha256(hub.repos["org/repo"][name]).hexdigest()


def cut_off_after_first_answer(hub: Hub) -> None:
    """The hub refuses the file from its second answer on."""

    class Statuses(list[int]):
        def __bool__(self) -> bool:
            return bool(hub.starts(ONE)) and bool(len(self))

        def popleft(self) -> int:
            return self[0]

    hub.faults.statuses[ONE] = Statuses([404])  # type: ignore[assignment]
