"""What a tool returned, as a model reads it."""

from __future__ import annotations

from typing import Any

import pytest

from lemonade_like.tools.results import bounded, text_of


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "a\nb"),
        ([{"type": "resource", "resource": {"uri": "file:///x", "text": "inside"}}], "inside"),
        ([{"type": "resource", "resource": {"uri": "file:///x", "blob": "AAAA"}}], "[resource file:///x]"),
        ([{"type": "resource_link", "name": "x", "uri": "file:///x"}], "[x](file:///x)"),
        ([{"type": "image", "mimeType": "image/png", "data": "AAAA"}], "[image image/png]"),
        ([{"type": "audio"}], "[audio]"),
        ([], ""),
    ],
)
def test_text_is_taken_and_the_rest_is_named(content: list[dict[str, Any]], text: str) -> None:
    assert text_of(content) == text


def test_structured_content_is_read_where_there_is_nothing_else() -> None:
    assert text_of([], {"sum": 3}) == '{"sum":3}'
    assert text_of([{"type": "text", "text": "three"}], {"sum": 3}) == "three"


def test_what_is_too_long_is_cut_and_says_so() -> None:
    assert bounded("x" * 10, 10) == "x" * 10
    assert bounded("x" * 11, 10) == "x" * 10 + "\n[cut: these are the first 10 of 11 characters]"
