"""Stop strings are found in text that arrives in pieces, as if it had come whole."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lemonade_like.turns.stop import StopMatcher

_letters = st.text("ab", max_size=12)
_stops = st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=3)


def _shown(stops: list[str], pieces: list[str]) -> tuple[str, str | None]:
    matcher = StopMatcher(stops)
    shown = "".join(matcher.feed(piece) for piece in pieces if matcher.matched is None)
    return (shown if matcher.matched is not None else shown + matcher.flush()), matcher.matched


@given(stops=_stops, pieces=st.lists(_letters, max_size=6))
def test_the_cut_does_not_depend_on_the_pieces(stops: list[str], pieces: list[str]) -> None:
    assert _shown(stops, pieces) == _shown(stops, list("".join(pieces)))


@given(stops=_stops, text=_letters)
def test_nothing_up_to_the_stop_string_is_lost(stops: list[str], text: str) -> None:
    shown, matched = _shown(stops, [text])

    assert text.startswith(shown + (matched or ""))
    assert matched is not None or shown == text
    assert not any(stop in shown for stop in stops)


def test_text_that_may_become_a_stop_string_is_held_back() -> None:
    matcher = StopMatcher(["END"])

    assert matcher.feed("the E") == "the "
    assert matcher.feed("N") == ""
    assert matcher.feed("d") == "ENd"


def test_without_stop_strings_text_passes_at_once() -> None:
    assert StopMatcher([]).feed("anything") == "anything"
