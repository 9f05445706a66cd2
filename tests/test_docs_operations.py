"""docs/operations.md names what there is."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from lemonade_like.engine.backends.states import State
from lemonade_like.engine.backends.unpack import LARGEST
from lemonade_like.engine.spec import RESERVED_FLAGS, child_environment
from lemonade_like.settings import Backend

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "operations.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "names", [RESERVED_FLAGS, get_args(Backend)[1:], get_args(State)], ids=["flags", "backends", "states"]
)
def test_the_page_names_them_all(names: tuple[str, ...]) -> None:
    assert [name for name in names if f"`{name}`" not in PAGE] == []


def test_the_page_shows_what_is_set_in_an_engines_environment() -> None:
    set_here = child_environment({}, "").items() - {("LLAMA_API_KEY", "")}
    assert [f"{name}={value}" for name, value in set_here if f"`{name}={value}`" not in PAGE] == []


def test_the_page_tells_the_bound_on_archives() -> None:
    assert f"{LARGEST >> 30} GB" in PAGE
