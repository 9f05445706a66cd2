"""Whose a key is, and how it is compared."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_like.access import keys as keys_module
from lemonade_like.access.key_files import NamedKey
from lemonade_like.access.keys import Caller, Keyring, best_key, user_key
from lemonade_like.access.levels import Level
from lemonade_like.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def keyring(users: str = "", admins: str = "") -> Keyring:
    return Keyring(map(NamedKey, users.split()), map(NamedKey, admins.split()))


@pytest.mark.parametrize(
    ("ring", "level"),
    [(keyring(), Level.ADMIN), (keyring(admins="boss"), Level.USER), (keyring("a"), Level.OPEN)],
    ids=["no keys", "admin key", "API key"],
)
def test_what_a_stranger_may_do_depends_on_what_keys_there_are(ring: Keyring, level: Level) -> None:
    assert ring.caller([]) == ring.caller([b"wrong", b""]) == Caller(level)


def test_any_of_several_keys_opens_and_the_strongest_that_is_offered_counts() -> None:
    ring = keyring("a b", "boss chief")
    assert [ring.caller([key]).level for key in (b"a", b"b", b"boss", b"chief")] == [1, 1, 2, 2]
    assert ring.caller([b"x", b"b"]) == ring.caller([b"b"])
    assert ring.caller([b"a", b"boss"]) == ring.caller([b"boss", b"a"]) == ring.caller([b"boss"])


def test_a_key_that_is_both_is_an_admins_and_lets_nobody_in_without_it() -> None:
    ring = keyring("same", "same")
    assert ring.caller([b"same"]).level is Level.ADMIN
    assert ring.caller([]).level is Level.OPEN
    assert ring.has_users and ring.has_admins


@given(texts, texts)
def test_only_the_very_key_opens(key: str, offered: str) -> None:
    known = Keyring([NamedKey(key)]).caller([offered.encode()]).level is Level.USER
    assert known == (key == offered)


@given(st.lists(texts, unique=True, min_size=2))
def test_owners_are_told_apart_and_no_key_is_in_what_they_are_called(some: list[str]) -> None:
    callers = [Keyring(map(NamedKey, some)).caller([key.encode()]) for key in some]
    assert len({caller.owner for caller in callers}) == len(some)
    assert all(caller.label == caller.owner[:6] for caller in callers)


def test_an_owner_is_called_by_name_where_the_file_has_one() -> None:
    assert Keyring([NamedKey("k", "alice")]).caller([b"k"]).label == "alice"
    assert "secret" not in repr(NamedKey("secret", "alice"))


def test_every_key_is_compared_in_constant_time_whichever_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths: list[tuple[int, int]] = []
    compare = hmac.compare_digest

    def compared(one: bytes, other: bytes) -> bool:
        lengths.append((len(one), len(other)))
        return compare(one, other)

    ring = keyring("first a-much-longer-one", "boss")
    monkeypatch.setattr(keys_module.hmac, "compare_digest", compared)
    for offered in (b"first", b"boss", b"f", b"x" * 10_000):
        ring.caller([offered])
    assert lengths == [(32, 32)] * 12


def test_a_command_sends_the_admin_key_if_it_has_one(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("alice from-file\n")
    assert best_key(Settings()) is None
    assert best_key(Settings(api_key_file=path)) == "from-file"
    assert best_key(Settings(api_key=["one", "two"], api_key_file=path)) == "one"
    assert best_key(Settings(api_key="one", admin_key_file=path)) == "from-file"


def test_another_server_never_gets_the_admin_key(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("alice from-file\n")
    assert user_key(Settings(admin_key="boss")) is None
    assert user_key(Settings(api_key="one", admin_key_file=path)) == "one"
    assert user_key(Settings(api_key_file=path, admin_key="boss")) == "from-file"
