"""What is told of turns: the last one, and all together."""

from __future__ import annotations

from lemonade_like.observe.stats import Statistics
from tests.support.observed import a_record


def collected(*records: object) -> Statistics:
    statistics = Statistics()
    for record in records:
        statistics.began()
        statistics.ended(record)  # type: ignore[arg-type]
    return statistics


def test_the_last_turn_is_told_under_lemonades_names_and_in_full() -> None:
    told = collected(a_record(), a_record(outcome="length", time_to_first_token=None)).snapshot()

    lemonade = {key: told[key] for key in ("time_to_first_token", "input_tokens", "output_tokens", "prompt_tokens")}
    assert lemonade == {"time_to_first_token": None, "input_tokens": 6, "output_tokens": 5, "prompt_tokens": 10}
    assert told["tokens_per_second"] == 2.5
    assert (told["last"]["model"], told["last"]["finish_reason"], told["last"]["waited"]) == ("m", "length", 1.0)
    assert told["last"]["seconds_by_channel"]["analysis"] == 0.5


def test_totals_are_of_all_turns() -> None:
    totals = collected(a_record(), a_record(), a_record(outcome="tool_calls", recovered={})).snapshot()["totals"]

    assert (totals["turns"], totals["finished"], totals["prompt_tokens"], totals["cached_tokens"]) == (3, 3, 30, 12)
    assert (totals["completion_tokens"], totals["reasoning_tokens"], totals["tool_calls"]) == (15, 6, 3)
    assert (totals["tokens_by_channel"]["commentary"], totals["recovered"]) == (3, {"missing_end": 4})
    assert totals["seconds_by_channel"]["final"] == 1.5
    assert totals["finish_reasons"] == {"stop": 2, "tool_calls": 1}


def test_a_turn_that_fails_or_is_given_up_is_no_finished_one_but_its_tokens_count() -> None:
    statistics = collected(a_record(outcome="error", error="x"), a_record(outcome="cancelled"))
    statistics.began()
    told = statistics.snapshot()
    counts = told["totals"]

    assert {name: counts[name] for name in ("turns", "failed", "cancelled", "finished")} == {
        "turns": 3, "failed": 1, "cancelled": 1, "finished": 0
    }  # fmt: skip
    assert (told["last"], counts["completion_tokens"]) == (None, 10)


def test_before_the_first_turn_there_is_nothing_to_tell() -> None:
    told = Statistics().snapshot()
    assert (told["last"], told["tokens_per_second"], told["output_tokens"]) == (None, None, 0)
    assert told["totals"]["turns"] == 0
