"""What a scrape is answered with: every metric of the catalogue, out of a reading and nothing else."""

import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from math import inf
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from app.observe import catalogue, endpoint
from app.observe.catalogue import Kind
from app.observe.gauges import Gauges
from app.observe.metrics import LedgerCollector
from app.observe.monitor import Periodic
from app.observe.reading import Reading, Seen, Sum
from app.policy.standing import Standing
from tests.deploy.timelines import LIMITS, TIMELINES
from tests.support.factories import NOW

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


class Told:
    """A monitor that is told what it has seen."""

    def __init__(self, now: Seen) -> None:
        self.now = now

    def seen(self) -> Seen:
        return self.now


def registry(seen: Seen) -> CollectorRegistry:
    found = CollectorRegistry()
    settings: Gauges = {"linger_seconds": {(): 300.0}}
    found.register(LedgerCollector(Told(seen), limits=LIMITS, settings=settings, version="1.2"))
    return found


def scraped(seen: Seen) -> Samples:
    """Samples as a scrape has them."""
    text = generate_latest(registry(seen)).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[f"unhurried_{name}", tuple(sorted(labels.items()))]


def a_sum(
    name: str, *labels: str, le: float = inf, count: int = 1, model: str = "", total: float = 0
) -> Sum:
    return Sum(name=name, labels=labels, le=le, count=count, model=model, total=total)


def a_reading(*sums: Sum, standing: Standing | None = None) -> Reading:
    return Reading(at=NOW, standing=standing or Standing(), sums=sums)


def now(reading: Reading | None, *, age_s: float = 0, failed: Standing | None = None) -> Seen:
    return Seen(reading=reading, age_s=age_s, failed=failed)


def test_before_the_first_reading_nothing_is_known() -> None:
    """
    It says so, and shows no figure that it does not have.
    """
    samples = scraped(now(None))

    assert 0 == value(samples, "monitor_up")
    assert 1 == value(samples, "build_info", version="1.2")
    assert not any("batches" in name or "jobs" in name for name, _ in samples)


def test_every_count_of_findings_is_there_before_there_is_one() -> None:
    """
    An alert needs a series that was 0.
    """
    samples = scraped(now(a_reading()))

    assert 0 == value(samples, "findings", finding="batch_stuck", severity="attention")
    assert 0 == value(samples, "findings", finding="packer_silent", severity="stuck")


def test_a_finding_is_counted_under_its_name_and_severity() -> None:
    """
    As `status` says it.
    """
    standing = TIMELINES["a dead packer"].at(100)
    assert standing is not None
    at = NOW + timedelta(minutes=100)
    samples = scraped(now(Reading(at=at, standing=standing)))

    assert 1 == value(samples, "findings", finding="packer_silent", severity="stuck")
    assert 0 == value(samples, "findings", finding="packer_silent", severity="attention")


def test_what_was_found_stays_while_nothing_can_be_read() -> None:
    """
    The last reading is kept, and the ledger is said to be unreachable.
    """
    standing = TIMELINES["a dead packer"].at(100)
    assert standing is not None
    reading = Reading(at=NOW + timedelta(minutes=100), standing=standing)
    samples = scraped(now(reading, age_s=3600, failed=Standing(ledger_error="OperationalError")))

    assert 0 == value(samples, "monitor_up")
    assert 1 == value(samples, "findings", finding="ledger_unreachable", severity="stuck")
    assert 1 == value(samples, "findings", finding="packer_silent", severity="stuck")


def test_ages_grow_from_scrape_to_scrape() -> None:
    """
    Without another reading; counts stay as they were read.
    """
    standing = TIMELINES["a batch that cannot be followed while the queue drains"].at(62)
    assert standing is not None
    reading = Reading(at=NOW + timedelta(minutes=62), standing=standing)
    for age_s in (0, 600):
        samples = scraped(now(reading, age_s=age_s))
        assert 3720 + age_s == value(samples, "batch_oldest_age_seconds", provider="anthropic")
        assert 120 + age_s == value(samples, "queue_oldest_age_seconds", tier="batch")
        assert 201 == value(samples, "queue_depth", tier="batch")
        assert 1 == value(samples, "batches", provider="anthropic", health="ok")


def test_a_counter_has_its_model_where_its_labels_say() -> None:
    """
    Money is in dollars, tokens are tokens.
    """
    samples = scraped(
        now(
            a_reading(
                a_sum("cost_usd", "anthropic", "batch", model="m", total=2.5e9, count=4),
                a_sum("tokens", "anthropic", "batch", "input", model="m", total=7, count=4),
                a_sum("batch_attempts", "anthropic", "answered", model="m", count=4),
                a_sum("jobs_queued", "batch", count=3),
            )
        )
    )

    assert 2.5 == value(samples, "cost_usd_total", provider="anthropic", model="m", tier="batch")
    assert 7 == value(
        samples, "tokens_total", provider="anthropic", model="m", tier="batch", type="input"
    )
    assert 4 == value(
        samples, "batch_attempts_total", provider="anthropic", model="m", outcome="answered"
    )
    assert 3 == value(samples, "jobs_queued_total", tier="batch")
    assert 0 == value(samples, "jobs_queued_total", tier="sync")


@given(
    st.dictionaries(st.sampled_from([*catalogue.HOURS, 7.0, inf]), st.integers(1, 1000), min_size=1)
)
def test_buckets_are_cumulative(under: dict[float, int]) -> None:
    """
    Each holds all that is under it, the last holds everything, and that is the count.
    """
    name = "batch_collect_duration_seconds"
    sums = [a_sum(name, "openai", le=le, count=count, total=1.0) for le, count in under.items()]
    samples = scraped(now(a_reading(*sums)))
    buckets = {
        float(dict(labels)["le"]): found
        for (sample, labels), found in samples.items()
        if sample == f"unhurried_{name}_bucket" and ("provider", "openai") in labels
    }

    assert {*catalogue.HOURS, inf} <= buckets.keys()
    for le, found in buckets.items():
        assert found == sum(count for bound, count in under.items() if bound <= le)
    assert buckets[inf] == value(samples, f"{name}_count", provider="openai")
    assert len(under) == value(samples, f"{name}_sum", provider="openai")


def test_every_metric_is_one_of_the_catalogue() -> None:
    """
    By name, type and labels, whatever the story.
    """
    known = {metric.exposed: metric for metric in catalogue.ALL}
    for story in TIMELINES.values():
        standing = story.at(29)
        assert standing is not None
        text = generate_latest(registry(now(a_reading(standing=standing)))).decode()
        for family in text_string_to_metric_families(text):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            assert known[name].kind == family.type
            for sample in family.samples:
                assert set(known[name].labels) == sample.labels.keys() - {"le"}


def test_no_label_is_of_an_open_set() -> None:
    """
    No id, tenant, account, consumer, key or address.
    """
    labels = {label for metric in catalogue.ALL for label in metric.labels}

    assert labels == {
        *"finding severity provider model health tier from_tier to_tier".split(),
        *"state reason outcome type operation reply code round version".split(),
    }


def test_what_was_counted_with_fewer_labels_stays() -> None:
    """
    An earlier version, or one that still runs, says no code: it is unknown.
    """
    sums = tuple(
        Sum(name="provider_requests", labels=labels, model="", le=inf, count=count, total=0)
        for labels, count in (
            (("openai", "poll", "reported"), 5),
            (("openai", "poll", "reported", "200"), 2),
        )
    )
    reading = Reading(at=NOW, standing=Standing(), sums=sums)
    samples = scraped(Seen(reading=reading, age_s=0))
    labels = {"provider": "openai", "operation": "poll", "reply": "reported"}

    assert 5 == value(samples, "provider_requests_total", code="unknown", **labels)
    assert 2 == value(samples, "provider_requests_total", code="200", **labels)


def test_names_have_their_units() -> None:
    """
    Spans are seconds; a total is a counter's.
    """
    for metric in catalogue.ALL:
        assert not metric.name.endswith("_total")
        if metric.kind is Kind.HISTOGRAM:
            assert metric.name.endswith(("_seconds", "_jobs"))


def test_a_monitor_keeps_what_it_saw_last() -> None:
    """
    A failure is known by its class alone, and is over with the next reading.
    """
    answers: list[Reading | Exception] = [a_reading(), RuntimeError("secret"), a_reading()]
    clock = iter(range(100))

    def read() -> Reading:
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    monitor = Periodic(read, every_s=15, monotonic=lambda: next(clock))
    assert not monitor.ready()
    monitor.refresh()
    assert monitor.ready()
    monitor.refresh()
    assert not monitor.ready()
    failed = monitor.seen().failed
    assert failed is not None
    assert "RuntimeError" == failed.ledger_error
    assert monitor.seen().reading is not None
    monitor.refresh()
    assert monitor.ready()


def test_a_ledger_that_is_away_is_no_reading() -> None:
    """
    What was read before stays.
    """
    answers = [
        a_reading(a_sum("jobs_queued", "batch")),
        a_reading(standing=Standing(ledger_error="E")),
    ]
    monitor = Periodic(lambda: answers.pop(0), every_s=15)
    monitor.refresh()
    monitor.refresh()
    seen = monitor.seen()

    assert not seen.up
    assert seen.reading is not None
    assert 1 == len(seen.reading.sums)


def test_an_old_reading_is_not_ready() -> None:
    """
    A thread that hangs is no more sight than one that fails.
    """
    clock = [0.0]
    monitor = Periodic(a_reading, every_s=15, monotonic=lambda: clock[0])
    monitor.refresh()
    clock[0] = 61

    assert not monitor.ready()


@contextmanager
def served(*, ready: bool) -> Iterator[str]:
    server = endpoint.serve(registry(now(a_reading())), lambda: ready, address="127.0.0.1", port=0)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def asked(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.mark.parametrize("ready", [True, False])
def test_the_endpoint_says_whether_it_is_ready(*, ready: bool) -> None:
    """
    Live as long as it answers; ready while it can read; and nothing else has a page.
    """
    with served(ready=ready) as url:
        assert (200, '{"status": "live"}') == asked(f"{url}/health/live")
        assert (200 if ready else 503) == asked(f"{url}/health/ready")[0]
        assert 404 == asked(f"{url}/")[0]
        status, body = asked(f"{url}/metrics")

    assert 200 == status
    assert "unhurried_monitor_up 1.0" in body
