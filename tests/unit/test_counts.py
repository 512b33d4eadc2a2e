"""Counts wait in the process until they are written, and none is written twice."""

from collections import Counter
from collections.abc import Mapping
from threading import Thread

from app.observe.counts import Counts, Key
from tests.support.waiting import wait_until


class Store:
    """What was written; refuses while it is down."""

    def __init__(self) -> None:
        self.counted: Counter[Key] = Counter()
        self.down = False

    def write(self, counted: Mapping[Key, int]) -> None:
        if self.down:
            raise OSError
        self.counted.update(counted)


def test_what_is_noted_is_written_by_itself() -> None:
    """
    Whoever notes waits for nothing.
    """
    store = Store()
    counts = Counts(store.write, every_s=0.01)
    for _ in range(3):
        counts.note("provider_requests", "openai", "poll", "reported", "200")
    key = ("provider_requests", ("openai", "poll", "reported", "200"))

    wait_until(lambda: store.counted[key] == 3, within_s=5, what="three requests to be written")


def test_a_store_that_is_down_loses_nothing() -> None:
    """
    What could not be written is written once it can be.
    """
    store = Store()
    store.down = True
    counts = Counts(store.write, every_s=3600)
    counts.note("a")
    counts.flush()
    counts.note("a")
    assert {} == store.counted
    store.down = False
    counts.flush()
    counts.flush()

    assert {("a", ()): 2} == store.counted


def test_many_threads_lose_nothing() -> None:
    """
    Noted and flushed at the same time.
    """
    store = Store()
    counts = Counts(store.write, every_s=0.001)

    def note() -> None:
        for _ in range(500):
            counts.note("a")
            counts.flush()

    threads = [Thread(target=note) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts.flush()

    wait_until(lambda: store.counted["a", ()] == 2000, within_s=5, what="the last one")
