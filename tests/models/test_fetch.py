from __future__ import annotations

import hashlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_like.models.fetch import _Checked
from lemonade_like.models.hub_errors import DamagedDownload
from lemonade_like.models.remote import RemoteFile

CONTENT = st.binary(max_size=200).map(lambda rest: b"GGUF" + rest)


def expected(content: bytes, *, in_git: bool = False) -> RemoteFile:
    digest = hashlib.sha1(b"blob %d\0" % len(content) + content) if in_git else hashlib.sha256(content)
    return RemoteFile("org/repo", "main", "m.gguf", len(content), digest.hexdigest())


@given(content=CONTENT, in_git=st.booleans(), data=st.data())
def test_however_often_the_line_breaks_a_file_is_whole_just_when_it_is_what_it_should_be(
    content: bytes, in_git: bool, data: st.DataObject
) -> None:
    disk = io.BytesIO()
    written = _Checked(disk, expected(content, in_git=in_git), lambda _: None)
    while written.position < len(content):
        assert not written.is_whole()
        what = data.draw(st.sampled_from(["bytes", "bytes", "another process", "from the start"]))
        if what == "bytes":
            written.write(content[written.position :][: data.draw(st.integers(4, 64))])
        elif what == "another process":
            written = _Checked(disk, expected(content, in_git=in_git), lambda _: None)
            written.read_whole()
        else:
            written.seek(max(written.tell() - written.position, 0))
            written.truncate()
            assert written.position == 0
    assert written.is_whole()
    assert disk.getvalue() == content


@given(content=CONTENT, data=st.data())
def test_a_single_bit_that_is_wrong_is_found(content: bytes, data: st.DataObject) -> None:
    bit = data.draw(st.integers(0, len(content) * 8 - 1))
    wrong = bytearray(content)
    wrong[bit // 8] ^= 1 << bit % 8
    written = _Checked(io.BytesIO(), expected(content), lambda _: None)
    if bit < 32:
        with pytest.raises(DamagedDownload):
            written.write(bytes(wrong))
    else:
        written.write(bytes(wrong))
    assert not written.is_whole()
    assert not _Checked(io.BytesIO(bytes(wrong)), expected(content), lambda _: None).read_whole()
