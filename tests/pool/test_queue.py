"""Nobody is lost, nobody twice, and clients take turns."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from lemonade_like.pool.queue import FairQueue


@dataclass(frozen=True)
class One:
    number: int
    client: str
    continues: bool = False


def filled(clients: str) -> FairQueue[One]:
    queue: FairQueue[One] = FairQueue()
    for number, client in enumerate(clients):
        queue.add(One(number, client))
    return queue


def emptied(queue: FairQueue[One], before: int | None = None) -> list[One]:
    taken = []
    while (one := queue.pop(before)) is not None:
        taken.append(one)
    return taken


def served(queue: FairQueue[One]) -> str:
    return "".join(one.client for one in emptied(queue))


def test_clients_take_turns_however_many_one_has() -> None:
    assert served(filled("aaaabbc")) == "abcabaa"


def test_a_client_that_was_just_served_comes_after_those_who_were_not() -> None:
    queue = filled("ab")
    assert queue.pop() == One(0, "a")
    queue.add(One(2, "a"))
    assert served(queue) == "ba"


def test_who_came_too_late_is_passed_over_without_losing_its_place() -> None:
    queue = filled("abab")
    assert emptied(queue, before=1) == [One(0, "a")]
    assert queue.count(before=2) == 1
    assert [one.number for one in emptied(queue)] == [1, 2, 3]


def test_who_continues_comes_before_its_clients_others_and_before_no_other_client() -> None:
    queue = filled("bbaaa")
    queue.add(One(5, "a", continues=True))
    queue.add(One(6, "a", continues=True))
    queue.add(One(7, "a"))
    assert queue.oldest() == 0
    assert [one.number for one in emptied(queue)] == [0, 5, 1, 6, 2, 3, 4, 7]


def test_who_continues_and_came_too_late_holds_up_none_of_its_clients_others() -> None:
    queue = filled("aa")
    queue.add(One(2, "a", continues=True))
    assert queue.oldest() == 0
    assert [one.number for one in emptied(queue, before=2)] == [0, 1]
    assert [one.number for one in emptied(queue)] == [2]


def test_who_leaves_is_passed_over() -> None:
    queue = filled("aab")
    assert queue.remove(One(0, "a"))
    assert not queue.remove(One(0, "a"))
    assert served(queue) == "ab"
    assert (queue.oldest(), len(queue)) == (None, 0)


CLIENTS = st.text("abcd", max_size=40)


@given(CLIENTS)
def test_the_order_that_is_told_is_the_order_of_service(clients: str) -> None:
    queue = filled(clients)
    told = list(queue)
    assert emptied(queue) == told


@given(CLIENTS)
def test_nobody_is_lost_and_each_client_keeps_its_own_order(clients: str) -> None:
    order = emptied(filled(clients))
    assert sorted(one.number for one in order) == list(range(len(clients)))
    for client in set(clients):
        numbers = [one.number for one in order if one.client == client]
        assert numbers == sorted(numbers)


@given(CLIENTS)
def test_no_client_is_ever_more_than_one_ahead_of_another_that_waits(clients: str) -> None:
    queue = filled(clients)
    left = Counter(clients)
    had: Counter[str] = Counter()
    for one in emptied(queue):
        assert all(had[one.client] <= had[other] for other in left if left[other])
        had[one.client] += 1
        left[one.client] -= 1


@given(CLIENTS, st.data())
def test_who_leaves_takes_nobody_along(clients: str, data: st.DataObject) -> None:
    queue = filled(clients)
    everybody = list(queue)
    leaving = data.draw(st.sets(st.sampled_from(everybody))) if everybody else set()
    for one in leaving:
        assert queue.remove(one)
    assert len(queue) == len(everybody) - len(leaving)
    assert queue.oldest() == min((one.number for one in everybody if one not in leaving), default=None)
    assert set(emptied(queue)) == set(everybody) - leaving
