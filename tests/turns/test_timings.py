"""The timings of a turn that several engines have written."""

from __future__ import annotations

from lemonade_like.turns.timings import TurnTimings

LAST = {"cache_n": 90, "prompt_n": 5, "prompt_ms": 1.0, "predicted_n": 6, "predicted_ms": 600.0, "draft_n": 2}


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def _written(timings: TurnTimings, clock: Clock, first: int, last: int) -> None:
    """Tokens, one each tenth of a second."""
    for predicted in range(first, last + 1):
        clock.now += 0.1
        timings.tick(predicted)


def test_those_of_one_engine_are_passed_on() -> None:
    clock = Clock()
    timings = TurnTimings(clock)
    timings.prefill({"total": 50, "cache": 10})
    _written(timings, clock, 1, 6)

    assert timings.of_turn(LAST, 6) is LAST


def test_the_prompt_is_the_first_engines_and_the_answer_is_all_of_theirs() -> None:
    clock = Clock()
    timings = TurnTimings(clock)
    timings.prefill({"total": 50, "cache": 10, "time_ms": 20})
    _written(timings, clock, 1, 4)
    timings.lost(4, goes_on=True)
    clock.now += 60
    timings.prefill({"total": 54, "cache": 0, "time_ms": 9_000})
    timings.tick(4)
    _written(timings, clock, 5, 10)

    merged = timings.of_turn(LAST, 10)

    assert (merged["cache_n"], merged["prompt_n"], merged["prompt_ms"], merged["prompt_per_second"]) == (
        10,
        40,
        20,
        2000,
    )
    assert merged["predicted_n"] == 10
    assert round(merged["predicted_ms"]) == 300 + 600
    assert round(merged["predicted_per_token_ms"]) == 90
    assert merged["draft_n"] == 2


def test_what_is_written_again_does_not_count_twice() -> None:
    clock = Clock()
    timings = TurnTimings(clock)
    timings.prefill({"total": 50, "cache": 10, "time_ms": 20})
    _written(timings, clock, 1, 4)
    timings.lost(4, goes_on=False)
    _written(timings, clock, 1, 6)

    assert timings.of_turn(LAST, 6)["predicted_ms"] == 600


def test_a_turn_that_lost_its_engine_before_the_first_token_begins_anew() -> None:
    timings = TurnTimings(Clock())
    timings.prefill({"total": 50, "cache": 10, "time_ms": 20})
    timings.lost(0, goes_on=True)
    timings.prefill({"total": 50, "cache": 0, "time_ms": 30})

    assert timings.cached == 0
    assert timings.of_turn(LAST, 6) is LAST


def test_an_engine_that_tells_nothing_has_no_rates_that_cannot_be() -> None:
    clock = Clock()
    timings = TurnTimings(clock)
    timings.tick(1)
    timings.lost(1, goes_on=True)

    assert timings.of_turn({}, 1) == {
        "predicted_n": 1,
        "predicted_ms": 0.0,
        "predicted_per_token_ms": 0.0,
        "predicted_per_second": 0.0,
    }
