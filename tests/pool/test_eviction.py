"""Who makes room for whom."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_like.pool.eviction import (
    Decision,
    Evict,
    Fits,
    Holding,
    Impossible,
    Limits,
    Wait,
    make_room,
    size_of,
)

GB = 10**9


def ready(name: str, gigabytes: float, **more: object) -> Holding:
    return replace(Holding(name, int(gigabytes * GB)), **more)  # type: ignore[arg-type]


OLD = ready("old", 4, idle=300)
NEW = ready("new", 4, idle=10)
BUSY = ready("busy", 4, busy=2)
PINNED = ready("pinned", 4, pinned=True, idle=900)
COMING = ready("coming", 4, state="coming")
GOING = ready("going", 4, state="going")


def victims(decision: Decision) -> list[str]:
    assert isinstance(decision, Evict), decision
    return [each.name for each in decision.victims]


def budget(gigabytes: float) -> Limits:
    return Limits(budget=int(gigabytes * GB), strict=True)


@pytest.mark.parametrize(
    ("holdings", "limits"),
    [
        ((), Limits()),
        ((OLD, NEW, BUSY), Limits()),
        ((OLD, NEW), budget(12)),
        ((OLD,), Limits(max_models=2)),
        ((OLD,), Limits(free=4 * GB)),
        ((COMING,), Limits(free=8 * GB)),
    ],
)
def test_what_has_room_fits(holdings: tuple[Holding, ...], limits: Limits) -> None:
    assert make_room("A", 4 * GB, holdings, limits) == Fits()


@pytest.mark.parametrize(
    ("holdings", "limits", "names"),
    [
        ((NEW, OLD), budget(8), ["old"]),
        ((NEW, OLD), budget(4), ["old", "new"]),
        ((PINNED, NEW), budget(8), ["new"]),
        ((BUSY, NEW), budget(8), ["new"]),
        ((NEW, OLD), Limits(max_models=2), ["old"]),
        ((NEW, OLD), Limits(max_models=1), ["old", "new"]),
        ((NEW, OLD), Limits(free=0), ["old"]),
        # Memory that was promised to another is not free.
        ((COMING, OLD), Limits(free=7 * GB), ["old"]),
        # The small one was used before the large one, but would not be enough.
        ((ready("small", 1, idle=500), OLD), budget(5), ["old"]),
        # What goes already is counted on.
        ((GOING, OLD, NEW), budget(8), ["old"]),
    ],
)
def test_the_least_recently_used_makes_room(holdings: tuple[Holding, ...], limits: Limits, names: list[str]) -> None:
    assert victims(make_room("A", 4 * GB, holdings, limits)) == names


@pytest.mark.parametrize(
    ("holdings", "limits", "names"),
    [
        ((BUSY,), budget(4), ("busy",)),
        ((GOING,), budget(4), ()),
        ((COMING,), Limits(max_models=1), ("coming",)),
        ((PINNED, BUSY), budget(8), ("busy",)),
        # Who is nearest to its end is waited for.
        ((BUSY, replace(BUSY, name="nearly", busy=1)), budget(8), ("nearly",)),
        # What does not fit by the estimate still gets all the room there is.
        ((BUSY,), Limits(budget=2 * GB), ("busy",)),
    ],
)
def test_the_busy_are_waited_for(holdings: tuple[Holding, ...], limits: Limits, names: tuple[str, ...]) -> None:
    decision = make_room("A", 4 * GB, holdings, limits)
    assert isinstance(decision, Wait)
    assert decision.victims == names


def test_an_eviction_says_who_goes_and_why() -> None:
    holdings = (ready("B", 9.1, idle=312),)
    decision = make_room("A", int(11.8 * GB), holdings, Limits(free=int(3.2 * GB)))
    assert isinstance(decision, Evict)
    assert decision.victims[0].explanation == "evicting B (9.1 GB, idle 312 s): A needs 11.8 GB, 3.2 GB free"


def test_an_eviction_for_the_number_of_models_says_so() -> None:
    decision = make_room("A", GB, (OLD,), Limits(max_models=1))
    assert isinstance(decision, Evict)
    assert decision.victims[0].explanation == "evicting old (4.0 GB, idle 300 s): at most one model may be loaded"


def test_what_can_never_fit_into_a_budget_is_refused_with_the_ways_out() -> None:
    decision = make_room("A", 9 * GB, (OLD, PINNED), budget(8))
    assert decision == Impossible(
        "A needs 9.0 GB, 4.0 GB of the memory budget of 8.0 GB free. Either unload pinned, which is pinned, or give "
        "the server a larger --memory-budget, or load it with a smaller ctx_size or choose a smaller quantisation."
    )


def test_pins_are_no_way_round_the_number_of_models() -> None:
    decision = make_room("A", GB, (PINNED,), Limits(max_models=1))
    assert isinstance(decision, Impossible)
    assert "unload pinned, which is pinned" in decision.explanation
    assert "--max-loaded-models" in decision.explanation


def test_without_a_budget_of_the_users_the_engine_has_the_last_word() -> None:
    decision = make_room("A", 9 * GB, (), Limits(budget=8 * GB, free=7 * GB))
    assert decision == Fits("A needs 9.0 GB, 7.0 GB free; it is tried all the same")


@pytest.mark.parametrize(
    ("size", "text"), [(11_800_000_000, "11.8 GB"), (56_400_000, "56 MB"), (100_000_000, "0.1 GB")]
)
def test_sizes_are_written_as_people_read_them(size: int, text: str) -> None:
    assert size_of(size) == text


@st.composite
def machines(draw: st.DrawFn) -> tuple[int, list[Holding], Limits]:
    states = st.sampled_from(["ready", "ready", "ready", "coming", "going"])
    holdings = [
        Holding(
            f"m{number}",
            draw(st.integers(0, 10)) * GB,
            draw(states),
            busy=draw(st.integers(0, 2)),
            idle=draw(st.integers(0, 100)),
            pinned=draw(st.booleans()),
        )
        for number in range(draw(st.integers(0, 6)))
    ]
    some = st.none() | st.integers(0, 40).map(lambda size: size * GB)
    limits = Limits(draw(st.none() | st.integers(1, 5)), draw(some), draw(some), draw(st.booleans()))
    return draw(st.integers(1, 12)) * GB, holdings, limits


def room_after(size: int, holdings: list[Holding], limits: Limits, gone: set[str]) -> bool:
    """The rule once more, in other words."""
    left = [each for each in holdings if each.name not in gone]
    freed = sum(each.bytes for each in holdings if each.name in gone)
    promised = sum(each.bytes for each in holdings if each.state == "coming")
    return (
        (limits.max_models is None or len(left) < limits.max_models)
        and (limits.budget is None or sum(each.bytes for each in left) + size <= limits.budget)
        and (limits.free is None or size <= limits.free - promised + freed)
    )


@given(machines())
def test_nobody_goes_who_may_not_and_nobody_in_vain(machine: tuple[int, list[Holding], Limits]) -> None:
    size, holdings, limits = machine
    by_name = {each.name: each for each in holdings}
    going = {each.name for each in holdings if each.state == "going"}
    decision = make_room("A", size, holdings, limits)
    if isinstance(decision, Fits):
        fits = room_after(size, holdings, limits, set())
        assert fits or (decision.warning and not limits.strict and not holdings)
        assert bool(decision.warning) != fits
    elif isinstance(decision, Evict):
        named = set(victims(decision))
        assert not room_after(size, holdings, limits, going)
        for each in (by_name[name] for name in named):
            assert (each.state, each.busy, each.pinned) == ("ready", 0, False)
        if room_after(size, holdings, limits, going | named):
            idles = [by_name[name].idle for name in victims(decision)]
            assert idles == sorted(idles, reverse=True)
            for fewer in combinations(named, len(named) - 1):
                assert not room_after(size, holdings, limits, going | set(fewer))
    elif isinstance(decision, Wait):
        assert going or decision.victims
        for each in (by_name[name] for name in decision.victims):
            assert not each.pinned
            assert each.busy or each.state == "coming"
    else:
        movable = {each.name for each in holdings if not each.pinned}
        assert not room_after(size, holdings, limits, going | movable)
        assert limits.strict or any(each.pinned for each in holdings)


@given(machines())
def test_carrying_the_decisions_out_ends(machine: tuple[int, list[Holding], Limits]) -> None:
    size, holdings, limits = machine
    for _ in range(3 * len(holdings) + 1):
        decision = make_room("A", size, holdings, limits)
        if isinstance(decision, Fits | Impossible):
            return
        gone = set(victims(decision)) if isinstance(decision, Evict) else {*decision.victims}
        gone |= {each.name for each in holdings if each.state == "going"}
        free = None if limits.free is None else limits.free + sum(each.bytes for each in holdings if each.name in gone)
        free = free if free is None else free - sum(e.bytes for e in holdings if e.name in gone and e.state == "coming")
        holdings = [each for each in holdings if each.name not in gone]
        limits = replace(limits, free=free)
    raise AssertionError("it goes on for ever")
