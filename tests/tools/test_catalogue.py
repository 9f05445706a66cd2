"""What tools are called, where several servers offer some."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from lemonade_like.tools.catalogue import Tool, find, offered_names
from tests.support.toolboxes import tool

READ, WEATHER = tool("files", "read"), tool("weather", "get_weather")


def test_a_name_that_no_other_has_stays_as_it_is() -> None:
    assert offered_names([READ, WEATHER]) == {"read": READ, "get_weather": WEATHER}


def test_names_that_several_have_are_said_with_their_server() -> None:
    other = tool("web", "read")
    names = offered_names([READ, other, WEATHER])

    assert names == {"files__read": READ, "web__read": other, "get_weather": WEATHER}
    assert find(names, "web__read") is other
    assert find(names, "read") is None


def test_a_tool_may_always_be_named_with_its_server() -> None:
    assert find(offered_names([READ, WEATHER]), "files__read") is READ


def test_the_clients_own_functions_keep_their_names() -> None:
    assert offered_names([READ], taken={"read"}) == {"files__read": READ}


@given(
    st.lists(st.tuples(st.sampled_from(["a", "a-b"]), st.text(min_size=1, max_size=80)), max_size=8),
    st.frozensets(st.sampled_from(["_", "a___", "x", "a__x"])),
)
def test_every_tool_has_a_name_of_its_own_that_every_api_takes(
    given_: list[tuple[str, str]], taken: frozenset[str]
) -> None:
    tools = [Tool(label, name, "", {}) for label, name in given_]
    names = offered_names(tools, taken)

    assert list(names.values()) == tools
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) for name in names)
    assert not taken & names.keys()
