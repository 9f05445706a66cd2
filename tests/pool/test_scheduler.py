"""The scheduler's rules, with a recorder of what it decides."""

from __future__ import annotations

import heapq
from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from lemonade_like.errors import EngineFailure, EngineUnavailable, NotEnoughMemory, QueueFull
from lemonade_like.pool.eviction import Limits
from lemonade_like.pool.scheduler import Rules
from lemonade_like.pool.state import HEALTHY_SECONDS, LONGEST_BACK_OFF, Place, back_off
from tests.support.scheduled import GB, World

ONE_AT_A_TIME = Limits(budget=5 * GB, strict=True)
SIZES = {"a": 4, "b": 4, "c": 1}


@pytest.fixture
def world() -> World:
    return World(SIZES, ONE_AT_A_TIME, Rules(queue_size=3, slots=2))


def test_turns_beyond_the_slots_wait_and_those_beyond_the_queue_are_sent_away(world: World) -> None:
    places = [world.arrive("a") for _ in range(5)]
    with pytest.raises(QueueFull) as full:
        world.arrive("a")
    assert full.value.retry_after == 1
    world.settle()
    assert world.served == places[:2]
    with pytest.raises(QueueFull):
        world.arrive("a")
    world.leave(places[0])
    assert world.served == places[:3]
    world.arrive("a")


def test_a_turn_that_continues_an_answer_waits_however_many_do(world: World) -> None:
    world.slots = 1
    places = [world.arrive("a") for _ in range(4)]
    world.settle()
    with pytest.raises(QueueFull):
        world.arrive("a")
    continues = world.arrive("a", continues=True)
    world.leave(places[0])
    assert world.served == [places[0], continues]


def test_a_turn_that_continues_an_answer_waits_for_an_engine_that_keeps_crashing(world: World) -> None:
    for _ in range(2):
        place = world.arrive("a")
        world.settle()
        world.leave(place)
        world.crash("a")
    with pytest.raises(EngineUnavailable):
        world.arrive("a")
    continues = world.arrive("a", continues=True)
    world.settle(LONGEST_BACK_OFF)
    assert world.served[-1] is continues


def test_a_slot_is_spare_if_whoever_comes_now_gets_it(world: World) -> None:
    assert world.scheduler.spare_slots("a") == 0
    places = [world.arrive("a")]
    world.settle()
    assert world.scheduler.spare_slots("a") == 1
    places.append(world.arrive("a"))
    assert world.scheduler.spare_slots("a") == 0
    world.leave(places[1])
    # Another model waits for this one to go.
    world.arrive("b")
    world.settle()
    assert world.scheduler.spare_slots("a") == 0


def test_who_is_sent_away_is_told_when_a_turn_is_likely_to_end(world: World) -> None:
    places = [world.arrive("a") for _ in range(5)]
    world.settle()
    world.now += 30
    world.leave(places[0])
    world.arrive("a")
    with pytest.raises(QueueFull, match="3 requests wait for a already") as full:
        world.arrive("a")
    assert full.value.retry_after == 15  # turns of 30 s, two at a time


def test_models_that_fit_together_are_loaded_at_the_same_time(world: World) -> None:
    for model in "ac":
        world.arrive(model)
    world.finish("a")
    world.finish("c")
    assert world.doing == {"a": "load", "c": "load"}


def test_a_small_model_need_not_wait_behind_a_large_one_if_that_loses_nothing_by_it(world: World) -> None:
    world.sizes = {"a": 4, "b": 5, "c": 1}
    turn = world.arrive("a")
    world.settle()
    waits = world.arrive("b")
    small = world.arrive("c")
    world.settle()
    # c would fit beside a, but not beside b, which came first.
    assert small not in world.served
    world.leave(turn)
    world.settle()
    assert world.served == [turn, waits]
    world.leave(waits)
    world.settle()
    assert world.served == [turn, waits, small]


def test_a_small_model_that_fits_beside_both_goes_ahead(world: World) -> None:
    turn = world.arrive("a")
    world.settle()
    waits = world.arrive("b")
    small = world.arrive("c")
    world.settle()
    assert world.served == [turn, small]
    world.leave(turn)
    world.settle()
    assert world.served == [turn, small, waits]


def test_an_engine_that_another_waits_for_serves_those_who_came_before_and_no_others(world: World) -> None:
    world.slots = 1
    early = [world.arrive("a") for _ in range(2)]
    world.settle()
    other = world.arrive("b")
    world.settle()
    late = world.arrive("a")
    for place in early:
        world.leave(place)
    world.settle()
    assert world.served == [*early, other]
    world.leave(other)
    world.settle()
    assert world.served == [*early, other, late]
    assert world.loads == {"a": 2, "b": 1}


def test_an_engine_that_another_waits_for_gives_its_free_slots_to_no_newcomer(world: World) -> None:
    turn = world.arrive("a")
    world.settle()
    other = world.arrive("b")
    world.settle()
    late = world.arrive("a")
    world.settle()
    assert world.served == [turn]
    assert world.scheduler.is_closed_to(late)
    world.leave(turn)
    world.settle()
    assert world.served == [turn, other]


def test_those_who_came_while_a_model_was_loaded_are_served_before_it_goes_again(world: World) -> None:
    first = world.arrive("a")
    other = world.arrive("b")
    world.finish("a")
    world.finish("b")
    late = world.arrive("a")
    world.finish("a")
    assert world.served == [first, late]
    for place in (first, late):
        world.leave(place)
    world.settle()
    assert world.served == [first, late, other]


def test_the_wait_of_a_client_that_leaves_closes_nothing(world: World) -> None:
    world.slots = 1
    turn = world.arrive("a")
    world.settle()
    other = world.arrive("b")
    world.settle()
    late = world.arrive("a")
    world.leave(other)
    world.leave(turn)
    assert world.served == [turn, late]
    assert world.stops == []


def test_what_nobody_waits_for_any_more_is_loaded_to_the_end_but_not_begun(world: World) -> None:
    begun = world.arrive("a")
    world.finish("a")
    world.leave(begun)
    not_begun = world.arrive("b")
    world.leave(not_begun)
    world.settle()
    assert world.loads == {"a": 1}
    assert list(world.ready) == ["a"]


def test_a_model_that_never_fits_is_refused_to_all_who_wait_for_it(world: World) -> None:
    world.sizes = {**SIZES, "b": 9}
    places = [world.arrive("b"), world.arrive("b", turn=False)]
    world.settle()
    assert [type(world.refused[place]) for place in places] == [NotEnoughMemory] * 2


def test_a_pinned_model_stays_and_who_needs_its_place_is_told(world: World) -> None:
    world.leave(world.arrive("a"))
    world.settle()
    world.arrive("a", turn=False)
    world.pin("a", True)
    place = world.arrive("b")
    world.settle()
    assert "unload a, which is pinned" in world.refused[place].message


def test_an_idle_model_goes_after_its_time_and_a_pinned_or_busy_one_does_not() -> None:
    world = World({"a": 1, "b": 1, "c": 1}, Limits(), Rules(idle_timeout=60))
    for model in "abc":
        world.arrive(model)
    world.settle()
    for place in list(world.running):
        if place.model != "c":
            world.leave(place)
    world.pin("b", True)
    assert world.scheduler.next_wake() == 60
    world.settle(59.9)
    assert world.stops == []
    world.settle(0.1)
    assert [(stop.model, stop.why) for stop in world.stops] == [("a", "unloading a, idle for 60 s")]
    assert world.scheduler.next_wake() is None


def test_a_model_that_is_unloaded_while_nobody_waits_for_its_load_is_not_loaded_to_the_end(world: World) -> None:
    world.leave(world.arrive("a"))
    place = world.arrive("a")
    world.finish("a")
    world.unload("a")
    assert world.doing == {"a": "load"}
    world.leave(place)
    assert world.doing == {"a": "stop"}


def test_a_dead_engines_memory_is_kept_for_the_turns_that_it_had(world: World) -> None:
    turn = world.arrive("a")
    world.settle()
    waits = world.arrive("b")
    world.settle()
    world.crash("a")
    assert world.doing == {}
    world.recover(turn)
    world.settle()
    assert list(world.ready) == ["a"]
    assert world.recovering == set()
    world.leave(turn)
    world.settle()
    assert world.served == [turn, waits]


def test_what_was_to_go_is_forgotten_with_the_turns_that_held_it(world: World) -> None:
    turn = world.arrive("a")
    world.settle()
    world.unload("a")
    world.crash("a")
    late = world.arrive("a")
    assert world.doing == {"a": "survey"}
    world.leave(turn)
    world.finish("a")
    # It was looked into for the turn that has left, with the options that it ran with.
    assert world.doing == {"a": "survey"}
    world.settle()
    assert world.served == [turn, late]
    assert world.stops == []


def test_an_engine_that_has_to_go_is_not_kept_for_more_by_being_asked_to_go_again(world: World) -> None:
    first = world.arrive("a")
    world.settle()
    world.unload("a")
    later = world.arrive("a", turn=False)
    world.unload("a")
    assert later in world.waiting  # it is for the next engine
    world.leave(first)
    assert world.doing == {"a": "stop"}
    world.settle()
    assert world.loads["a"] == 2
    assert later not in world.waiting


def test_an_engine_that_ran_for_a_minute_leaves_no_failures_behind_when_it_is_stopped(world: World) -> None:
    for seconds, failures in ((0, 1), (HEALTHY_SECONDS, 0)):
        turn = world.arrive("a")
        world.settle()
        world.leave(turn)
        world.crash("a")
        turn = world.arrive("a")
        world.settle()
        world.leave(turn)
        world.settle(seconds)
        world.unload("a")
        world.settle()
        assert world.scheduler.state("a").failures == failures
        world.scheduler.state("a").failures = 0


def test_the_back_off_doubles_up_to_a_minute() -> None:
    assert [back_off(failures) for failures in range(1, 10)] == [0, 1, 2, 4, 8, 16, 32, 60, 60]
    assert back_off(5000) == LONGEST_BACK_OFF


@pytest.mark.parametrize("clients", [2, 20])
def test_two_models_that_fit_one_at_a_time_do_not_thrash_and_nobody_starves(clients: int) -> None:
    """Clients that ask for either model again and again, each turn a second, each load ten."""
    rounds = 30
    world = World(SIZES, ONE_AT_A_TIME, Rules(queue_size=64, slots=4), slots=4)
    events: list[tuple[float, int, str, str]] = []
    asked: Counter[str] = Counter()
    waited: list[float] = []
    begun: dict[Place, float] = {}
    known: set[Place] = set()
    ticks = iter(range(10**6))

    def ask(client: str) -> None:
        if asked[client] < rounds:
            asked[client] += 1
            place = world.arrive("ab"[(hash_of(client) + asked[client]) % 2], client)
            begun[place] = world.now

    def hash_of(client: str) -> int:
        return int(client) // 2

    def plan() -> None:
        for place in list(world.running):
            if place not in known:
                known.add(place)
                waited.append(world.now - begun[place])
                heapq.heappush(events, (world.now + 1, next(ticks), "done", str(place.number)))
        for model in world.doing:
            if (model, world.doing[model]) not in under_way:
                under_way.add((model, world.doing[model]))
                seconds = {"survey": 0.0, "load": 10.0, "stop": 1.0}[world.doing[model]]
                heapq.heappush(events, (world.now + seconds, next(ticks), "finish", model))

    under_way: set[tuple[str, str]] = set()
    for client in range(clients):
        ask(str(client))
    plan()
    while events:
        world.now, _, what, who = heapq.heappop(events)
        if what == "finish":
            under_way.discard((who, world.doing[who]))
            world.finish(who)
        else:
            place = next(place for place in world.running if place.number == int(who))
            world.leave(place)
            ask(place.client)
        plan()

    assert len(waited) == clients * rounds
    # A client that alternates needs a swap for each of its requests, and all others travel with it.
    assert sum(world.loads.values()) <= rounds + 2
    assert max(waited) <= 2 * (11 + clients / 4 + 2)


class PoolMachine(RuleBasedStateMachine):
    """Clients come and go, turns end, loads finish and fail, engines crash, time passes."""

    @initialize(
        budget=st.sampled_from([4, 5, 8, 9]),
        most=st.sampled_from([None, 1, 2]),
        idle=st.sampled_from([0.0, 30.0]),
    )
    def open(self, budget: int, most: int | None, idle: float) -> None:
        limits = Limits(most, budget * GB, strict=True)
        self.world = World(SIZES, limits, Rules(queue_size=3, slots=2, idle_timeout=idle))
        self.dead: dict[Place, None] = {}

    @rule(
        model=st.sampled_from("abc"),
        client=st.sampled_from("xyz"),
        kind=st.sampled_from(["turn", "turn", "later turn", "call"]),
    )
    def arrive(self, model: str, client: str, kind: str) -> None:
        state = self.world.scheduler.state(model)
        try:
            self.world.arrive(model, client, turn=kind != "call", continues=kind == "later turn")
        except QueueFull:
            assert kind == "turn"
            assert len(state.queue) >= 3
        except EngineUnavailable as unavailable:
            assert kind == "turn"
            assert 1 <= (unavailable.retry_after or 0) <= LONGEST_BACK_OFF
            assert state.failures > 1

    @precondition(lambda self: self.world.waiting)
    @rule(data=st.data())
    def leave_the_line(self, data: st.DataObject) -> None:
        self.world.leave(data.draw(st.sampled_from(list(self.world.waiting))))

    @precondition(lambda self: self.world.running)
    @rule(data=st.data())
    def end_a_turn(self, data: st.DataObject) -> None:
        self.world.leave(data.draw(st.sampled_from(list(self.world.running))))

    @precondition(lambda self: self.world.doing)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        self.world.finish(data.draw(st.sampled_from(list(self.world.doing))))

    @precondition(lambda self: any(what != "stop" for what in self.world.doing.values()))
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        failing = [model for model, what in self.world.doing.items() if what != "stop"]
        self.world.fail(data.draw(st.sampled_from(failing)), EngineFailure("no luck"))

    @precondition(lambda self: self.world.ready)
    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        model = data.draw(st.sampled_from(list(self.world.ready)))
        for place in [place for place in self.world.running if place.model == model]:
            self.dead[place] = None
        self.world.crash(model)

    @precondition(lambda self: self.lost())
    @rule(data=st.data())
    def recover(self, data: st.DataObject) -> None:
        place = data.draw(st.sampled_from(self.lost()))
        del self.dead[place]
        self.world.recover(place)

    @rule(seconds=st.sampled_from([0.5, 5.0, 40.0]))
    def wait(self, seconds: float) -> None:
        self.world.now += seconds
        self.world.step()

    @rule(model=st.sampled_from("abc"), pinned=st.booleans())
    def pin(self, model: str, pinned: bool) -> None:
        self.world.pin(model, pinned)

    @rule(model=st.sampled_from("abc"))
    def unload(self, model: str) -> None:
        self.world.pin(model, False)
        self.world.unload(model)

    def lost(self) -> list[Place]:
        """The turns whose engine died and that have not asked for another yet."""
        return [place for place in self.dead if place in self.world.running]

    def teardown(self) -> None:
        """When all is quiet, everybody has been served or told why not."""
        if not hasattr(self, "world"):
            return
        world = self.world
        for model in "abc":
            world.pin(model, False)
        for _ in range(200):
            if not (world.waiting or world.running or world.doing):
                break
            world.settle(LONGEST_BACK_OFF)
            for place in list(world.running):
                if place not in world.recovering:
                    world.leave(place)
        assert not world.waiting, "somebody was forgotten"
        assert not world.recovering
        assert world.scheduler.next_wake() is None or world.rules.idle_timeout
        for state in world.scheduler.states():
            assert not state.running
            assert not state.asked_for


TestPoolMachine = PoolMachine.TestCase
TestPoolMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_the_pool_machine_for_longer() -> None:
    run_state_machine_as_test(PoolMachine, settings=settings(max_examples=500, stateful_step_count=80, deadline=None))
