"""Responses are kept for their owner, within bounds, whatever happens to the file."""

from __future__ import annotations

import asyncio
import logging
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from lemonade_like.store.responses import ResponseStore, StoredResponse, StoreLimits, StoreUnavailable


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file is to be; its folder does not exist yet."""
    return tmp_path / "data" / "responses.sqlite3"


def stored(name: str, previous: str | None = None, text: str = "Hi") -> StoredResponse:
    return StoredResponse(name, {"id": name, "output": [{"text": text}]}, [{"id": f"in-{name}"}], previous)


def written(path: Path) -> bytes:
    """What is in the file; nothing, if there is none."""
    return path.read_bytes() if path.exists() else b""


async def kept(store: ResponseStore, *names: str, owner: str = "me") -> list[str]:
    """Which of them are kept, without a look that would count as a use."""
    connection = store._connection
    assert connection is not None
    rows = connection.execute("SELECT id FROM responses WHERE owner = ?", (owner,)).fetchall()
    return [name for name in names if (name,) in rows]


async def test_a_response_comes_back_as_it_was_kept(path: Path) -> None:
    store = ResponseStore(path)
    one = stored("a", text="漢字 🙂 \x00")
    await store.put("me", one)
    assert await store.get("me", "a") == one
    store.close()


async def test_what_is_kept_survives_a_restart(path: Path) -> None:
    for name in ("a", "b"):
        store = ResponseStore(path)
        await store.put("me", stored(name))
        store.close()
    store = ResponseStore(path)
    assert await store.get("me", "a") == stored("a")
    assert await store.get("me", "b") == stored("b")
    store.close()


async def test_two_servers_may_share_a_file(path: Path) -> None:
    one, other = ResponseStore(path), ResponseStore(path)
    await one.put("me", stored("a"))
    await other.put("me", stored("b"))
    assert await one.get("me", "b") == stored("b")
    assert await other.get("me", "a") == stored("a")
    one.close()
    other.close()


async def test_nobody_sees_deletes_or_continues_what_is_anothers(path: Path) -> None:
    store = ResponseStore(path)
    await store.put("me", stored("a"))
    await store.put("you", stored("b", previous="a"))
    assert await store.get("you", "a") is None
    assert await store.delete("you", "a") is False
    assert await store.chain("you", "b") == [stored("b", previous="a")]
    assert await store.get("me", "a") == stored("a")
    store.close()


async def test_a_chain_is_the_whole_conversation_oldest_first(path: Path) -> None:
    store = ResponseStore(path)
    conversation = [stored("a"), stored("b", "a"), stored("c", "b")]
    for one in [*conversation, stored("fork", "a")]:
        await store.put("me", one)
    assert await store.chain("me", "c") == conversation
    assert await store.chain("me", "nobody") == []
    store.close()


async def test_a_chain_with_a_gap_tells_that_something_is_missing(path: Path) -> None:
    store = ResponseStore(path)
    for one in (stored("a"), stored("b", "a"), stored("c", "b")):
        await store.put("me", one)
    assert await store.delete("me", "a") is True
    first, *_ = await store.chain("me", "c")
    assert (first.id, first.previous_id) == ("b", "a")
    store.close()


async def test_responses_that_continue_each_other_are_no_endless_chain(path: Path) -> None:
    store = ResponseStore(path)
    await store.put("me", stored("a", "a"))
    assert [one.id for one in await store.chain("me", "a")][-1] == "a"
    store.close()


async def test_what_is_deleted_is_gone_from_the_file_too(path: Path) -> None:
    store = ResponseStore(path)
    await store.put("me", stored("a", text="swordfish"))
    await store.put("me", stored("b"))
    assert b"swordfish" in written(path)
    assert await store.delete("me", "a") is True
    assert await store.delete("me", "a") is False
    assert await store.get("me", "a") is None
    store.close()
    assert b"swordfish" not in written(path)


async def test_the_least_recently_used_make_room_by_count(path: Path) -> None:
    clock = Clock()
    store = ResponseStore(path, StoreLimits(max_count=3), clock)
    for name in "abc":
        clock.now += 1
        await store.put("me", stored(name))
    clock.now += 1
    await store.get("me", "a")
    clock.now += 1
    await store.put("you", stored("d"))
    assert await kept(store, *"abc") == ["a", "c"]
    store.close()


async def test_the_least_recently_used_make_room_by_bytes(path: Path) -> None:
    clock = Clock()
    store = ResponseStore(path, StoreLimits(max_bytes=5_000), clock)
    for name in "abcd":
        clock.now += 1
        await store.put("me", stored(name, text="x" * 1_500))
    assert await kept(store, *"abcd") == ["c", "d"]
    store.close()


async def test_the_file_becomes_smaller_again(path: Path) -> None:
    store = ResponseStore(path)
    await store.put("me", stored("a", text="x" * 1_000_000))
    large = len(written(path))
    await store.delete("me", "a")
    assert len(written(path)) < large / 10
    store.close()


async def test_a_conversation_that_goes_on_keeps_its_beginning(path: Path) -> None:
    clock = Clock()
    store = ResponseStore(path, StoreLimits(max_count=3), clock)
    await store.put("me", stored("a"))
    for name, previous in (("b", "a"), ("other", None)):
        clock.now += 1
        await store.put("me", stored(name, previous))
    clock.now += 1
    assert len(await store.chain("me", "b")) == 2
    clock.now += 1
    await store.put("me", stored("c", "b"))
    assert await kept(store, "a", "b", "c", "other") == ["a", "b", "c"]
    store.close()


async def test_what_is_too_old_is_not_found_and_is_forgotten(path: Path) -> None:
    clock = Clock()
    store = ResponseStore(path, StoreLimits(max_age=100), clock)
    await store.put("me", stored("a"))
    clock.now += 99
    assert await store.get("me", "a") is not None
    clock.now += 101
    assert await store.get("me", "a") is None
    assert await store.chain("me", "a") == []
    await store.put("me", stored("b"))
    assert await kept(store, "a", "b") == ["b"]
    store.close()


async def test_a_response_that_is_larger_than_everything_drives_nothing_out(path: Path) -> None:
    store = ResponseStore(path, StoreLimits(max_bytes=2_000))
    await store.put("me", stored("a"))
    await store.put("me", stored("b", text="x" * 3_000))
    assert await kept(store, "a", "b") == ["a"]
    store.close()


@pytest.mark.parametrize("limits", [StoreLimits(max_bytes=0), StoreLimits(max_count=0)])
async def test_a_store_that_keeps_nothing_makes_no_file(path: Path, limits: StoreLimits) -> None:
    store = ResponseStore(path, limits)
    await store.put("me", stored("a"))
    assert await store.get("me", "a") is None
    assert not written(path)
    store.close()


async def test_looking_for_something_makes_no_file(path: Path) -> None:
    store = ResponseStore(path)
    assert await store.get("me", "a") is None
    assert await store.chain("me", "a") == []
    assert await store.delete("me", "a") is False
    assert not written(path)
    store.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_nobody_else_may_read_the_file(path: Path) -> None:
    store = ResponseStore(path)
    asyncio.run(store.put("me", stored("a")))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    store.close()


def _overwritten(path: Path, content: bytes, at: int) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:at] + content + whole[at + len(content) :])


@pytest.mark.parametrize("at", [0, 100, 4096], ids=["the header", "the schema", "the rows"])
async def test_a_damaged_file_is_put_aside_and_a_new_one_begun(
    path: Path, at: int, caplog: pytest.LogCaptureFixture
) -> None:
    store = ResponseStore(path)
    await store.put("me", stored("a", text="x" * 50_000))
    store.close()
    _overwritten(path, b"\xff" * 4_000, at)

    store = ResponseStore(path)
    with caplog.at_level(logging.ERROR):
        assert await store.get("me", "a") is None
    await store.put("me", stored("b"))
    assert await store.get("me", "b") == stored("b")
    store.close()
    assert path.with_name("responses.sqlite3.damaged").exists()
    assert "is damaged" in caplog.text


async def test_a_file_that_cannot_be_written_costs_no_answer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    store = ResponseStore(in_the_way / "responses.sqlite3")
    with caplog.at_level(logging.ERROR):
        await store.put("me", stored("a"))
    assert "could not be kept" in caplog.text
    store.close()


async def test_a_file_that_cannot_be_read_is_told_to_whoever_asks_for_it(tmp_path: Path) -> None:
    store = ResponseStore(tmp_path)
    for look in (store.get, store.chain, store.delete):
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            await look("me", "a")
    store.close()


async def test_without_a_file_everything_is_kept_in_memory(path: Path) -> None:
    store: Any = ResponseStore(None)
    await store.put("me", stored("a"))
    assert await store.get("me", "a") == stored("a")
    store.close()
    assert not written(path)
