from __future__ import annotations

from typing import Any

from lemonade_like.turns.events import ContentDelta, TokenLogprob
from lemonade_like.turns.logprobs import AnswerLogprobs


def _entry(token: str) -> dict[str, Any]:
    others = [{"id": n, "token": str(n), "bytes": [n], "logprob": -float(n)} for n in (1, 2)]
    return {"id": 7, "token": token, "bytes": list(token.encode()), "logprob": -0.5, "top_logprobs": others}


def test_a_token_comes_with_its_text_and_as_many_others_as_were_wanted() -> None:
    logprobs = AnswerLogprobs(1)
    piece = ContentDelta("ab")
    logprobs.written([_entry("ab")], "ab")
    logprobs.attach([piece])
    assert piece.logprobs == [TokenLogprob("ab", [97, 98], -0.5, [("1", [1], -1.0)])]


def test_what_is_held_back_keeps_its_tokens_until_it_is_shown() -> None:
    logprobs = AnswerLogprobs(0)
    logprobs.written([_entry("S")], "S")
    logprobs.attach([])
    logprobs.written([_entry("o")], "o")
    piece = ContentDelta("So")
    logprobs.attach([piece])
    assert [one.token for one in piece.logprobs or ()] == ["S", "o"]


def test_what_a_stop_string_cuts_off_has_none() -> None:
    logprobs = AnswerLogprobs(0)
    logprobs.written([_entry("a")], "a")
    logprobs.written([_entry("b stop")], "b stop")
    piece = ContentDelta("ab ")
    logprobs.attach([piece])
    assert [one.token for one in piece.logprobs or ()] == ["a"]
