"""Archives as releases have them, and as nobody but an attacker would make them."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_like.engine.backends.assets import BackendError
from lemonade_like.engine.backends.unpack import unpack
from tests.support.releases import tar, zipped

Pack = Callable[..., bytes]
KINDS = pytest.mark.parametrize("pack", [tar, zipped])


def take_apart(content: bytes, folder: Path, **more: int) -> Path:
    """Unpack in a folder of its own, with something beside it that must stay as it is."""
    folder.mkdir(exist_ok=True)
    (folder / "treasure").write_text("untouched")
    archive, inside = folder / "archive", folder / "inside"
    archive.write_bytes(content)
    inside.mkdir()
    try:
        unpack(archive, inside, **more)
    finally:
        assert (folder / "treasure").read_text() == "untouched"
        assert sorted(path.name for path in folder.iterdir()) == ["archive", "inside", "treasure"]
    return inside


def raw_tar(*members: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(b"x" * member.size))
    return buffer.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, size
    return info


@KINDS
def test_files_links_and_what_is_executable_are_kept(tmp_path: Path, pack: Pack) -> None:
    files = {"top/bin/llama-server": b"engine", "top/lib/libggml.so.0": b"ggml", "./top/./LICENSE": b"MIT"}
    links = {"top/lib/libggml.so": "libggml.so.0", "top/server": "bin/llama-server", "top/bin/lib": "../lib"}
    inside = take_apart(pack(files, links), tmp_path)
    assert (inside / "top/bin/llama-server").read_bytes() == b"engine"
    assert (inside / "top/bin/llama-server").stat().st_mode & 0o777 == 0o755
    assert (inside / "top/LICENSE").read_bytes() == b"MIT"
    assert (inside / "top/lib/libggml.so").readlink() == Path("libggml.so.0")
    assert (inside / "top/bin/lib/libggml.so").read_bytes() == b"ggml"
    assert (inside / "top/server").read_bytes() == b"engine"


def test_a_hard_link_becomes_a_copy(tmp_path: Path) -> None:
    inside = take_apart(raw_tar(member("a", size=3), member("b/c", tarfile.LNKTYPE, "a")), tmp_path)
    assert (inside / "b/c").read_bytes() == b"xxx"


def test_no_file_may_do_more_than_be_run(tmp_path: Path) -> None:
    inside = take_apart(tar({"a": b"x"}, mode=0o4755), tmp_path / "a")
    assert (inside / "a").stat().st_mode & 0o7777 == 0o755
    inside = take_apart(zipped({"b": b"x"}, mode=0o100666), tmp_path / "b")
    assert (inside / "b").stat().st_mode & 0o7777 == 0o644


BAD_NAMES = [
    *("/etc/evil", "../evil", "a/../../evil", "a/..", "..", "C:/evil", "C:evil", "a\\..\\..\\evil", "\\\\host\\evil"),
    *("a/file.txt:stream", "a\nb", "a\x1b[2Jb", "a/dot.", "a/space "),
]


@KINDS
@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_leads_or_means_elsewhere_is_refused(tmp_path: Path, pack: Pack, name: str) -> None:
    with pytest.raises(BackendError, match="may be an attack"):
        take_apart(pack({name: b"evil"}), tmp_path / "file")
    with pytest.raises(BackendError, match="may be an attack"):
        take_apart(pack({"a/file": b""}, {name: "file"}), tmp_path / "link")


@KINDS
@pytest.mark.parametrize(
    "links",
    [
        {"link": "/etc/passwd"},
        {"link": "../treasure"},
        {"link": ".."},
        {"a/link": "../../treasure"},
        {"a/b/c": "../..", "link": "a/b/c/.."},  # by its words it stays inside
        {"link": "other", "other": "../treasure"},
        {"link": "link"},
        {"link": "\\\\host\\share"},
        {"link": "C:\\"},
        {"link": ""},
    ],
    ids=str,
)
def test_a_link_that_leads_out_is_refused(tmp_path: Path, pack: Pack, links: dict[str, str]) -> None:
    with pytest.raises(BackendError):
        take_apart(pack({"file": b"x"}, links), tmp_path)


@KINDS
def test_nothing_is_written_through_a_link(tmp_path: Path, pack: Pack) -> None:
    # Files come first in these archives: turn the order round.
    attack = {"link": ".."}
    with pytest.raises(BackendError, match="may be an attack"):
        take_apart(pack({"link/treasure": b"gone"}, attack), tmp_path)


def test_nothing_is_written_through_a_link_that_comes_first(tmp_path: Path) -> None:
    first = member("link", tarfile.SYMTYPE, "..")
    with pytest.raises(BackendError, match="two entries"):
        take_apart(raw_tar(first, member("link/treasure", size=3)), tmp_path)


@pytest.mark.parametrize(
    "members",
    [
        [member("pipe", tarfile.FIFOTYPE)],
        [member("device", tarfile.CHRTYPE)],
        [member("disk", tarfile.BLKTYPE)],
        [member("hard", tarfile.LNKTYPE, "/etc/passwd")],
        [member("hard", tarfile.LNKTYPE, "../treasure")],
        [member("hard", tarfile.LNKTYPE, "hard")],
        [member("a", tarfile.SYMTYPE, "b"), member("b", tarfile.SYMTYPE, "a"), member("c", tarfile.LNKTYPE, "a")],
        [member("folder", tarfile.DIRTYPE), member("hard", tarfile.LNKTYPE, "folder")],
        [member("twice", size=1), member("twice", size=2)],
        [member("twice", size=1), member("twice/below", size=2)],
        [member("twice/below", size=1), member("twice", size=2)],
    ],
    ids=lambda members: "+".join(f"{info.name}:{info.type.decode()}" for info in members),
)
def test_what_no_release_holds_is_refused(tmp_path: Path, members: list[tarfile.TarInfo]) -> None:
    with pytest.raises(BackendError):
        take_apart(raw_tar(*members), tmp_path)


@pytest.mark.parametrize("mode", [0o010644, 0o020644, 0o060644, 0o140644])
def test_a_zip_holds_no_devices(tmp_path: Path, mode: int) -> None:
    with pytest.raises(BackendError, match="neither file, folder nor link"):
        take_apart(zipped({"odd": b""}, mode=mode), tmp_path)


@KINDS
def test_an_archive_that_swells_is_stopped(tmp_path: Path, pack: Pack) -> None:
    bomb = pack({"a": bytes(600_000), "b": bytes(600_000)})
    assert len(bomb) < 10_000
    with pytest.raises(BackendError, match="more than can be right"):
        take_apart(bomb, tmp_path / "bomb", largest=1_000_000)
    take_apart(bomb, tmp_path / "fits", largest=1_200_000)


def test_a_zip_that_lies_about_its_size_is_stopped(tmp_path: Path) -> None:
    bomb = bytearray(zipped({"a": bytes(600_000)}))
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = bomb.index(signature) + offset
        bomb[at : at + 4] = struct.pack("<I", 10)
    with pytest.raises(BackendError):
        take_apart(bytes(bomb), tmp_path, largest=1_000)


def test_a_long_link_is_no_link(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="a link of"):
        take_apart(zipped({}, {"link": "a/" * 4000}), tmp_path)


def test_an_encrypted_zip_is_said(tmp_path: Path) -> None:
    content = bytearray(zipped({"a": b"secret"}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    with pytest.raises(BackendError, match="encrypted"):
        take_apart(bytes(content), tmp_path)


PARTS = st.sampled_from(["a", "b", "..", ".", "", "/", "a\\b", "lnk", "c:", "treasure", "inside"])
NAMES = st.lists(PARTS, min_size=1, max_size=4).map("/".join)


FILES = st.dictionaries(NAMES, st.just(b"x"), max_size=4)
LINKS = st.dictionaries(NAMES, NAMES, max_size=4)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@given(st.sampled_from([tar, zipped]), FILES, LINKS)
def test_whatever_the_names_nothing_gets_out(
    tmp_path_factory: pytest.TempPathFactory, pack: Pack, files: dict[str, bytes], links: dict[str, str]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    try:
        inside = take_apart(pack(files, links), folder)
    except BackendError:
        return
    for path in inside.rglob("*"):
        assert path.resolve().is_relative_to(inside.resolve())


WHOLE = {
    tar: tar({"top/llama-server": b"engine" * 50}, {"top/link": "llama-server"}),
    zipped: zipped({"top/llama-server": b"engine" * 50}, {"top/link": "llama-server"}),
}


@given(st.sampled_from([tar, zipped]), st.data())
def test_a_damaged_archive_is_an_error_that_says_so(
    tmp_path_factory: pytest.TempPathFactory, pack: Pack, data: st.DataObject
) -> None:
    content = bytearray(WHOLE[pack])
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[at] ^= data.draw(st.integers(1, 255))
    del content[data.draw(st.integers(0, len(content))) :]
    try:
        take_apart(bytes(content), tmp_path_factory.mktemp("damaged"))
    except BackendError as error:
        assert len(error.message.splitlines()) <= 3


def test_a_tar_may_be_packed_in_other_ways(tmp_path: Path) -> None:
    for packing in ("w", "w:xz", "w:bz2"):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode=packing) as archive:  # type: ignore[call-overload]
            archive.addfile(member("a", size=3), io.BytesIO(b"abc"))
        inside = take_apart(buffer.getvalue(), tmp_path / packing.replace(":", "-"))
        assert (inside / "a").read_bytes() == b"abc"


def test_an_empty_zip_is_an_archive_of_nothing(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    zipfile.ZipFile(buffer, "w").close()
    assert list(take_apart(buffer.getvalue(), tmp_path).iterdir()) == []
