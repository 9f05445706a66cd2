from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lemonade_like.models.progress import Progress, Tracker
from lemonade_like.models.remote import Plan, RemoteFile


def plan(*sizes: int) -> Plan:
    return Plan(tuple(RemoteFile("org/repo", "main", f"{n}.gguf", size, "0" * 64) for n, size in enumerate(sizes)))


def test_the_rate_is_of_the_last_seconds_and_not_of_what_was_there_already() -> None:
    wanted = plan(1000, 3000)
    tracker = Tracker(wanted)
    tracker.progress(0.0)
    tracker.begin(0, wanted.files[0])
    tracker.at(1000, "verifying")  # was there
    assert tracker.progress(1.0).rate == 0
    assert tracker.progress(1.0).eta is None
    tracker.begin(1, wanted.files[1])
    tracker.fetched(1000)
    tracker.at(1000, "downloading")
    now = tracker.progress(2.0)
    assert (now.rate, now.eta) == (500, 4)
    assert (now.total_bytes_downloaded, now.total_bytes, now.percent) == (2000, 4000, 33)
    # The line dies.
    tracker.progress(8.0)
    tracker.progress(13.0)
    assert tracker.progress(20.0).rate == 0


@given(sizes=st.lists(st.integers(0, 10**12), min_size=1, max_size=5), data=st.data())
def test_progress_never_shows_more_than_there_is(sizes: list[int], data: st.DataObject) -> None:
    wanted = plan(*sizes)
    tracker = Tracker(wanted)
    index = data.draw(st.integers(0, len(sizes) - 1))
    tracker.begin(index, wanted.files[index])
    # Another process may be fetching it, and what it has is not looked at more closely.
    tracker.at(data.draw(st.integers(0, 10**13)), "waiting")
    progress = tracker.progress(1.0)
    assert 0 <= progress.bytes_downloaded <= progress.bytes_total
    assert 0 <= progress.total_bytes_downloaded <= progress.total_bytes
    assert 0 <= progress.percent <= 100
    assert (progress.percent == 100) == (progress.bytes_downloaded == progress.bytes_total)
    assert Progress.from_json(progress.as_json()) == progress
