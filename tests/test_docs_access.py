"""docs/access.md says what is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lemonade_like.access.addresses import require_protection
from lemonade_like.access.door import MAX_HEAD_BYTES, MAX_HEADERS
from lemonade_like.access.key_files import read_keys
from lemonade_like.access.levels import LEVELS, Level
from lemonade_like.access.protocol import BoundedHttpProtocol
from lemonade_like.api.body import MAX_DEPTH, MAX_OBJECTS
from lemonade_like.configuration import load_settings
from lemonade_like.settings import Settings, SettingsError, flag, is_file_only
from lemonade_like.settings.access import Access
from tests.access.test_matrix import MATRIX

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "access.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


@pytest.mark.parametrize(("who", "level"), [("Anybody", Level.OPEN), ("Users", Level.USER), ("Admins", Level.ADMIN)])
def test_the_page_says_of_every_endpoint_whose_it_is(who: str, level: Level) -> None:
    (row,) = re.findall(rf"^\| {who} \| (.*) \|$", PAGE, re.MULTILINE)
    # What a part of a path is called there is not worth a word in a page.
    in_table = {re.sub(r"\{\w+?_?(id|name)(:path)?\}", r"{\1}", each) for each, its in LEVELS.items() if its == level}
    assert set(re.findall(r"`([A-Z]+ /.*?)`", row)) == in_table


def rows() -> Iterator[tuple[str, str, list[str]]]:
    """Of the matrix: keys, levels, and what the four callers get."""
    keys = ""
    for line in PAGE.partition("| Keys of the server |")[2].partition("\n\n")[0].splitlines()[2:]:
        first, levels, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        keys = first or keys
        yield keys, levels, cells


def test_the_matrix_is_the_one_that_is_tested() -> None:
    names = {"none": "no keys", "API key only": "an API key", "admin key only": "an admin key", "both": "both"}
    levels = {"anybody": Level.OPEN, "users": Level.USER, "admins": Level.ADMIN}
    told = {(names[keys], levels[level.strip()]): cells for keys, some, cells in rows() for level in some.split(",")}
    assert told == {(keys, level): row.split() for keys, by_level in MATRIX.items() for level, row in by_level.items()}


def test_the_page_has_every_option() -> None:
    for name in Access.model_fields:
        assert f"`{name}`" in PAGE, name
        assert is_file_only(name) or f"`{flag(name)}" in PAGE, name


def test_the_page_has_the_bounds_as_they_are() -> None:
    defaults = Settings()
    for said in (
        f"| body | {defaults.max_body_mb} MiB",
        f"{defaults.max_messages:,} (`max_messages`)",
        f"{MAX_OBJECTS:,}, at most {MAX_DEPTH} deep",
        f"{MAX_HEAD_BYTES:,} bytes, {MAX_HEADERS} headers",
        f"| {BoundedHttpProtocol.head_seconds:g} s |",
        f"| {BoundedHttpProtocol.body_seconds:g} s |",
    ):
        assert said in PAGE


def test_the_refusal_to_start_is_shown_as_it_is() -> None:
    with pytest.raises(SettingsError) as refused:
        require_protection(Settings(host="0.0.0.0"), protected=False)
    assert f"Error: {refused.value.message}" in block("console")


def test_the_examples_are_read(tmp_path: Path) -> None:
    keys, config = tmp_path / "keys.txt", tmp_path / "config.yaml"
    keys.write_text(block("text"))
    config.write_text(block("yaml"))
    assert [key.name for key in read_keys(keys, "api_key_file")] == ["alice", "bob", ""]
    settings = load_settings({"config": config}, {})
    assert settings.allowed_hosts == ("ai.example.com",)
    assert settings.api_key_file == Path("/etc/lemonade-like/keys")
