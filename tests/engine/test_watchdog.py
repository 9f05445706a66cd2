"""A hung engine is told from a busy one."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_like.engine.vitals import slot_state
from lemonade_like.engine.watchdog import Slots, Vitals, Watchdog

if TYPE_CHECKING:
    from collections.abc import Iterable

TIMEOUT, INTERVAL = 60.0, 10.0


def _killed_at(seen: Iterable[Vitals], *, interval: float = INTERVAL, timeout: float = TIMEOUT) -> float | None:
    """After how many seconds of looks the engine is found to hang."""
    watchdog = Watchdog(timeout, longest_gap=25.0)
    for count, vitals in enumerate(seen):
        if watchdog.is_hung(vitals, 1000.0 + count * interval):
            return count * interval
    return None


STOPPED = Vitals(5, 1, answered=False, cpu_seconds=3.0, slots=Slots.SILENT)
DEADLOCKED = Vitals(5, 1, answered=True, cpu_seconds=3.0, slots=Slots.SILENT)
STUCK_SLOT = Vitals(5, 1, answered=True, cpu_seconds=3.0, slots='[{"n_decoded":7}]')
UNREADABLE = Vitals(5, 1, answered=False, cpu_seconds=None, slots=Slots.UNKNOWN)


@pytest.mark.parametrize("hung", [STOPPED, DEADLOCKED, STUCK_SLOT, UNREADABLE])
def test_an_engine_without_a_sign_of_life_hangs_after_the_timeout_and_not_before(hung: Vitals) -> None:
    assert _killed_at([Vitals(5, 1)] + [hung] * 20) in (TIMEOUT, TIMEOUT + INTERVAL)


def test_the_looks_themselves_are_no_sign_of_life() -> None:
    probed = [Vitals(5, 1, answered=True, cpu_seconds=3.0 + 0.01 * look) for look in range(20)]
    assert _killed_at(probed) is not None


HOURS = 500


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param([Vitals(read, 4) for read in range(HOURS)], id="frames come"),
        pytest.param([Vitals(5, 0, cpu_seconds=3.0)] * HOURS, id="nobody asks for anything"),
        pytest.param([Vitals(5, 1, cpu_seconds=look * 9.9) for look in range(HOURS)], id="a long step on the CPU"),
        pytest.param([Vitals(5, 1, cpu_seconds=look * 0.1) for look in range(HOURS)], id="a starved CPU"),
        pytest.param(
            [Vitals(5, 1, True, 3.0, f'[{{"n_prompt_tokens_processed":{look}}}]') for look in range(HOURS)],
            id="a GPU at work, its process waiting",
        ),
        pytest.param(
            [Vitals(5, 1, True, 3.0, f'[{{"n_prompt_tokens_processed":{look // 4}}}]') for look in range(HOURS)],
            id="a GPU with long steps",
        ),
        pytest.param([Vitals(5, 1, True, 3.0, Slots.RESTING)] * HOURS, id="a client that does not read"),
        pytest.param([Vitals(5, 1, True, 3.0, Slots.UNKNOWN)] * HOURS, id="an engine without /slots"),
        pytest.param([Vitals(5, 1, True, None, Slots.SILENT)] * HOURS, id="a process that cannot be looked at"),
        pytest.param([Vitals(5, 1, False, 9.0 - look / 100) for look in range(HOURS)], id="children that end"),
    ],
)
def test_what_is_only_slow_is_never_killed(seen: list[Vitals]) -> None:
    assert _killed_at(seen) is None


def test_the_time_that_the_server_itself_was_away_does_not_count() -> None:
    watchdog = Watchdog(TIMEOUT, longest_gap=25.0)
    assert not watchdog.is_hung(STOPPED, 0.0)
    assert not watchdog.is_hung(STOPPED, 10.0)
    assert not watchdog.is_hung(STOPPED, 100_000.0)


def test_only_what_looks_dead_is_looked_at_more_closely() -> None:
    watchdog = Watchdog(TIMEOUT, longest_gap=25.0)
    watchdog.is_hung(Vitals(5, 1), 0.0)
    assert watchdog.lives(reads=5, streams=0)
    assert watchdog.lives(reads=6, streams=1)
    assert not watchdog.lives(reads=5, streams=1)


_signs = st.sampled_from(["read", "cpu", "slot", "idle", "none"])


@given(signs=st.lists(_signs, max_size=60))
def test_it_is_killed_if_and_only_if_no_sign_comes_for_the_timeout(signs: list[str]) -> None:
    def counted(sign: str) -> list[int]:
        return list(accumulate(int(one == sign) for one in signs))

    seen = [
        Vitals(reads, int(sign != "idle"), True, float(cpu), f"slot {slot}")
        for sign, reads, cpu, slot in zip(signs, counted("read"), counted("cpu"), counted("slot"), strict=True)
    ]
    silent = longest = 0
    for sign in signs[1:]:
        silent = silent + 1 if sign == "none" else 0
        longest = max(longest, silent)
    killed = _killed_at([Vitals(0, 1, True, 0.0, "slot 0"), *seen])

    if killed is not None:
        assert longest * INTERVAL >= TIMEOUT - INTERVAL
    elif longest:
        assert longest * INTERVAL <= TIMEOUT + INTERVAL


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (None, Slots.SILENT),
        (b"", Slots.UNKNOWN),
        (b'{"error": {}}', Slots.UNKNOWN),
        (b"[]", Slots.RESTING),
        (b'[{"is_processing":false}]', Slots.RESTING),
        (b'[{"is_processing":true}]', '[{"is_processing":true}]'),
    ],
)
def test_slots_are_read_as_the_engine_writes_them(answer: bytes | None, state: str | Slots) -> None:
    assert slot_state(answer) == state
